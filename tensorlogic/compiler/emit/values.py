"""Operations on what the host holds: constants, functions and their calls, tuples, lists, structs and their parts."""

from __future__ import annotations

from tensorlogic.compiler.emit.identifiers import attribute
from tensorlogic.compiler.emit.literals import literal, string, tuple_of
from tensorlogic.compiler.emit.naming import Expression, Naming, Texts, constant_key, where, written
from tensorlogic.compiler.ir.core import Operation
from tensorlogic.compiler.ops.lowering import COMPARISON, Text
from tensorlogic.compiler.types import ElementType, ElementVariable, ListType, StructType


def _constant(o: Naming, operation: Operation, texts: Texts) -> Text:
    if "called" in operation.attributes:
        return Text(o.module.constants[constant_key(operation)])
    value = operation.attributes["value"]
    if isinstance(value, ElementType | ElementVariable):
        return Text(o.element_type(value))
    text = literal(value)
    if "math." in text.code:
        o.module.needs.add("math")
    return text


def _retype(o: Naming, operation: Operation, texts: Texts) -> Text:
    return texts[operation.operands[0]] if operation.operands else Text("None")


def _call(o: Naming, operation: Operation, texts: Texts) -> Text:
    callee = operation.attributes["callee"]
    arguments = [texts[v].code for v in operation.operands]
    for variable, element in operation.attributes.get("elements", ()):
        arguments.append(f"{o.module.elements[callee][variable]}={o.visible_dtype(element)}")
    return Text(f"{o.module.functions[callee]}({', '.join(arguments)})")


def _function(o: Naming, operation: Operation, texts: Texts) -> Text:
    return Text(o.module.functions[operation.attributes["callee"]])


def _call_value(o: Naming, operation: Operation, texts: Texts) -> Text:
    function, *arguments = (texts[v] for v in operation.operands)
    return Text(f"{function:atom}({', '.join(a.code for a in arguments)})")


def _tuple(o: Naming, operation: Operation, texts: Texts) -> Text:
    return Text(tuple_of([texts[v].code for v in operation.operands]))


def _list(o: Naming, operation: Operation, texts: Texts) -> Text:
    source = operation.attributes.get("shape_of")
    if source is not None and source in texts:
        return Text(f"{texts[source]:atom}.shape")
    return _tuple(o, operation, texts)


def _item(o: Naming, operation: Operation, texts: Texts) -> Text:
    source = operation.operands[0]
    if isinstance(source.type, ListType) and source.type.items is None:
        # A size is found in the first item of a list, which may be empty.
        code, index = texts[source].code, operation.attributes["index"]
        place = string(where(operation.span))
        return Text(f"{o.runtime('item')}({code}, {index}, {string(f'{code}[{index}]')}, {place})")
    return Text(f"{texts[operation.operands[0]]:atom}[{operation.attributes['index']}]")


def _host_item(o: Naming, operation: Operation, texts: Texts) -> Text:
    items, index = (texts[v].code for v in operation.operands)
    place = string(where(operation.span))
    return Text(f"{o.runtime('item')}({items}, {index}, {string(written(operation.span))}, {place})")


def _struct(o: Naming, operation: Operation, texts: Texts) -> Text:
    names, definition = operation.attributes["names"], operation.attributes["definition"]
    pairs = [f"{attribute(n)}={texts[v].code}" for n, v in zip(names, operation.operands, strict=True)]
    assert isinstance(operation.result.type, StructType)
    for variable, element in zip(definition.elements, operation.result.type.elements, strict=True):
        pairs.append(f"{attribute(variable.name)}={o.visible_dtype(element)}")
    return Text(f"{o.runtime('made')}({', '.join([o.hint_name(definition), *pairs])})")


def _set_fields(o: Naming, operation: Operation, texts: Texts) -> Text:
    names = operation.attributes["names"]
    pairs = [f"{attribute(n)}={texts[v].code}" for n, v in zip(names, operation.operands, strict=True)]
    return Text(f"{o.runtime('set_fields')}({', '.join(['self', *pairs])})")


def _field(o: Naming, operation: Operation, texts: Texts) -> Text:
    return Text(f"{texts[operation.operands[0]]:atom}.{attribute(operation.attributes['field'])}")


def _arguments(o: Naming, operation: Operation, texts: Texts) -> Text:
    return Text("args")


def _range(o: Naming, operation: Operation, texts: Texts) -> Text:
    start, stop = (texts[v].code for v in operation.operands)
    return Text(f"range({stop})" if start == "0" else f"range({start}, {stop})")


def _len(o: Naming, operation: Operation, texts: Texts) -> Text:
    return Text(f"len({texts[operation.operands[0]].code})")


def _enumerate(o: Naming, operation: Operation, texts: Texts) -> Text:
    return Text(f"tuple(enumerate({texts[operation.operands[0]].code}))")


def _in(o: Naming, operation: Operation, texts: Texts) -> Text:
    a, b = (texts[v].within(COMPARISON + 1) for v in operation.operands)
    return Text(f"{a} {operation.name.removeprefix('host.').replace('_', ' ')} {b}", COMPARISON)


def _is_none(o: Naming, operation: Operation, texts: Texts) -> Text:
    return Text(f"{texts[operation.operands[0]].within(COMPARISON + 1)} is None", COMPARISON)


def _is_not_none(o: Naming, operation: Operation, texts: Texts) -> Text:
    return Text(f"{texts[operation.operands[0]].within(COMPARISON + 1)} is not None", COMPARISON)


VALUES: dict[str, Expression] = {
    "constant": _constant,
    "retype": _retype,
    "call": _call,
    "function": _function,
    "call_value": _call_value,
    "tuple": _tuple,
    "list": _list,
    "item": _item,
    "host.item": _host_item,
    "struct": _struct,
    "set_fields": _set_fields,
    "field": _field,
    "arguments": _arguments,
    "range": _range,
    "host.len": _len,
    "host.enumerate": _enumerate,
    "host.in": _in,
    "host.not_in": _in,
    "host.is_none": _is_none,
    "host.is_not_none": _is_not_none,
}
