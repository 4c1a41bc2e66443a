"""Values as text: what `print`, `debug` and format strings hand to the runtime, and what it must be told of types."""

from __future__ import annotations

from tensorlogic.compiler.emit.identifiers import attribute
from tensorlogic.compiler.emit.literals import string, tuple_of
from tensorlogic.compiler.emit.naming import Expression, Naming, Texts
from tensorlogic.compiler.ir.core import Operation, Value
from tensorlogic.compiler.ops.lowering import Text
from tensorlogic.compiler.types import (
    BoolType,
    Element,
    ElementTypeType,
    ElementVariable,
    FloatType,
    IntType,
    ListType,
    NoneType,
    OptionalType,
    StringType,
    StructType,
    TensorType,
    TupleType,
    Type,
    field_type,
)

_LONGEST = 80
"""A longer string with quotes in its expressions is written by `str.format`, whose arguments go to further lines."""


def _format(o: Naming, operation: Operation, texts: Texts) -> Text:
    parts: list[str | Text] = []
    for value in operation.operands:
        t = value.type
        if isinstance(t, StringType) and t.constant is not None:
            parts.append(string(t.constant)[1:-1].replace("{", "{{").replace("}", "}}"))
        else:
            parts.append(texts[value] if isinstance(t, IntType | StringType) else _shown(o, value, texts))
    codes = [part.code for part in parts if isinstance(part, Text)]
    quotes = {character for code in codes for character in code if character in "\"'\\#{"}
    if quotes == {'"'}:
        # Before Python 3.12 an expression inside an f-string does not hold the quotes around it.
        plain = [part if isinstance(part, Text) else part.replace('\\"', '"').replace("'", "\\'") for part in parts]
        text = "f'" + "".join(f"{{{part.code}}}" if isinstance(part, Text) else part for part in plain) + "'"
        if len(text) <= _LONGEST:
            return Text(text)
    if quotes:
        # Nor does it hold a backslash there.
        holes = "".join("{}" if isinstance(part, Text) else part for part in parts)
        return Text(f'"{holes}".format({", ".join(codes)})')
    return Text('f"' + "".join(f"{{{part.code}}}" if isinstance(part, Text) else part for part in parts) + '"')


def _print(o: Naming, operation: Operation, texts: Texts) -> Text:
    values = list(operation.operands)
    end = texts[values.pop()].code if operation.attributes["ends"] else None
    arguments = [texts[v].code if _prints_itself(o, v.type) else _shown(o, v, texts).code for v in values]
    if end is not None:
        arguments.append(f"end={end}")
    return Text(f"{o.runtime('print_values')}({', '.join(arguments)})")


def _debug(o: Naming, operation: Operation, texts: Texts) -> Text:
    value, label = (texts[v].code for v in operation.operands)
    form = _form_of(o, operation.operands[0].type) or "None"
    return Text(f"{o.runtime('debug')}({value}, {label}, {form})")


def _shown(o: Naming, value: Value, texts: Texts) -> Text:
    if isinstance(value.type, ElementTypeType):
        assert value.type.element is not None
        return Text(_name_of(o, value.type.element))
    form = _form_of(o, value.type)
    if form is None and isinstance(value.type, IntType | FloatType | BoolType | NoneType):
        return Text(f"{o.runtime('shown')}({texts[value].code})")
    arguments = texts[value].code + ("" if form is None else f", {form}")
    return Text(f"{o.runtime('shown')}({arguments})")


def _name_of(o: Naming, element: Element) -> str:
    """The expression of what the language calls an element type."""
    if isinstance(element, ElementVariable):
        return f"{o.runtime('short')}({o.visible_dtype(element)})"
    return string(element.name)


def _prints_itself(o: Naming, t: Type) -> bool:
    return _form_of(o, t) is None and not isinstance(t, ElementTypeType)


def _form_of(o: Naming, t: Type) -> str | None:
    """What `show` must be told of a type that its Python value does not tell; None where it tells all."""
    match t:
        case TensorType(element, _):
            return _name_of(o, element) if isinstance(element, ElementVariable) or element.kind == "float" else None
        case ListType(item, items):
            inner = _form_of(o, items[0] if items else item)
            return f"[{inner}]"
        case TupleType(items):
            forms = [_form_of(o, i) or "None" for i in items]
            return tuple_of(forms)
        case OptionalType(item):
            return _form_of(o, item)
        case StructType(definition, _, _):
            forms_by_name = {attribute(name): _form_of(o, field_type(t, name)) for name in definition.fields}
            return "{" + ", ".join(f"{string(n)}: {f}" for n, f in forms_by_name.items() if f is not None) + "}"
    return None


SHOWING: dict[str, Expression] = {
    "format": _format,
    "print": _print,
    "debug": _debug,
}
