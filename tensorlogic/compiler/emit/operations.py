"""Each operation of the IR as a Python expression: structural ones here, the others by their entry of the op table."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tensorlogic.compiler.emit.boundary import accept, give
from tensorlogic.compiler.emit.identifiers import attribute
from tensorlogic.compiler.emit.literals import dtype_name, literal, string
from tensorlogic.compiler.ir.core import Operation, Value
from tensorlogic.compiler.ops.all_ops import OPS
from tensorlogic.compiler.ops.lowering import COMPARISON, PRODUCT, SUM, UNARY, Call, Text, lower
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.types import (
    BFLOAT16,
    FLOAT16,
    BoolType,
    Element,
    ElementType,
    ElementTypeType,
    ElementVariable,
    FloatType,
    IntType,
    ListType,
    NoneType,
    OpaqueType,
    OptionalType,
    StringType,
    StructDefinition,
    StructType,
    TensorType,
    TupleType,
    Type,
)

Texts = dict[Value, Text]


@dataclass
class ModuleNames:
    """What a module calls things, and which of them it turned out to need."""

    structs: dict[StructDefinition, str] = field(default_factory=dict)
    functions: dict[str, str] = field(default_factory=dict)
    needs: set[str] = field(default_factory=set)
    constants: dict[tuple[str, str, Any], str] = field(default_factory=dict)
    """The module's constants, by what the source calls them, their kind and their value."""
    runtime_functions: set[str] = field(default_factory=set)
    standalone: bool = False
    checked: bool = False
    strict: bool = False


@dataclass
class Operations:
    """Lowers the operations of one function. `elements` tells where each type parameter's dtype is found."""

    module: ModuleNames
    parameters: dict[str, tuple[str, ...]]
    elements: dict[ElementVariable, str] = field(default_factory=dict)
    reserve: Callable[[str], str] = lambda name: name

    # --- what a lowering may ask (the protocol `Names`)

    def dtype(self, element: Element, like: Text | None = None) -> str:
        if isinstance(element, ElementVariable):
            if element in self.elements:
                return self.elements[element]
            return f"{like:atom}.dtype" if like is not None else "F16"
        if element == FLOAT16:
            self.module.needs.add("F16")
            return "F16"
        if element == BFLOAT16:
            self.module.needs.add("BF16")
            return "BF16"
        return self.visible_dtype(element)

    def visible_dtype(self, element: Element) -> str:
        if isinstance(element, ElementVariable):
            return self.elements[element]
        return dtype_name(element)

    def runtime(self, function: str) -> str:
        self.module.runtime_functions.add(function)
        return f"tl.{function}"

    # --- operations

    def lower(self, operation: Operation, texts: Texts) -> Text:
        structural = _STRUCTURAL.get(operation.name)
        if structural is not None:
            return structural(self, operation, texts)
        op = OPS[operation.name]
        names = op.parameters or self.parameters[operation.name]
        names = (*names[: len(operation.operands)], *operation.attributes.get("extra", ()))
        named = dict(zip(names, operation.operands, strict=True))
        texts_by_name = {n: texts[v] for n, v in named.items()}
        types = {n: v.type for n, v in named.items()}
        packed = frozenset(operation.attributes.get("packed", ()))
        call = Call(
            texts_by_name, types, operation.result.type, where(operation.span), self, packed, self.module.checked
        )
        text = lower(op.mlx, call)
        if "math." in text.code:
            self.module.needs.add("math")
        return text

    def demand(self, operation: Operation, texts: Texts) -> list[str]:
        """The statements of a check: a condition, and what says no."""
        a, *rest = (texts[v] for v in operation.operands)
        kind = operation.attributes["kind"]
        match kind:
            case "equal":
                # The number that is known stands on the right.
                left, right = (rest[0], a) if a.code.isdecimal() else (a, rest[0])
                condition = f"{left.within(SUM)} != {right.within(SUM)}"
            case "at_least":
                condition = f"{a.within(SUM)} < {rest[0].within(SUM)}"
            case "divisible":
                condition = f"{a.within(PRODUCT)} % {rest[0].within(UNARY)} != 0"
                if not _is_positive(operation.operands[1].type):
                    condition = f"{rest[0].within(COMPARISON + 1)} < 1 or {condition}"
            case _:
                condition = f"not {a.within(COMPARISON)}"
        shown = rest if kind == "true" else [a, *rest]
        message, used = _message(operation.attributes["message"], shown)
        code = operation.attributes["code"]
        arguments = ", ".join([string(where(operation.span)), string(code), string(message), *used])
        return [f"if {condition}:", f"    {self.runtime('refuse')}({arguments})"]

    def hint_name(self, definition: StructDefinition) -> str:
        return self.module.structs[definition]


def _message(message: str, values: list[Text]) -> tuple[str, list[str]]:
    """A check's message for `str.format`, and what it is given: `{0}` is the first value, other braces are text."""
    used: list[str] = []
    pieces: list[str] = []
    for piece in re.split(r"(\{\d\})", message):
        index = int(piece[1]) if re.fullmatch(r"\{\d\}", piece) else len(values)
        if index < len(values):
            used.append(values[index].code)
            pieces.append("{}")
        else:
            pieces.append(piece.replace("{", "{{").replace("}", "}}"))
    return "".join(pieces), used


def _is_positive(t: Type) -> bool:
    """Whether a divisor's type says that it is not 0."""
    return isinstance(t, IntType) and t.constant is not None and t.constant > 0


def where(span: Span) -> str:
    """The place that a run-time error names: `model.tl:12`."""
    return f"{span.source.place or span.source.name}:{span.line}"


def _written(span: Span) -> str:
    """What the source says at a place, on one line, for a message."""
    text = " ".join(span.text.split())
    return text if len(text) <= 40 else f"{text[:37]}..."


# --- structural operations


def _constant(o: Operations, operation: Operation, texts: Texts) -> Text:
    if "called" in operation.attributes:
        return Text(o.module.constants[constant_key(operation)])
    value = operation.attributes["value"]
    if isinstance(value, ElementType | ElementVariable):
        return Text(o.dtype(value))
    text = literal(value)
    if "math." in text.code:
        o.module.needs.add("math")
    return text


def constant_key(operation: Operation) -> tuple[str, str, Any]:
    """What tells a `const` from others: two files may give one name to two values."""
    value = operation.attributes["value"]
    return operation.attributes["called"], type(value).__name__, value


def _retype(o: Operations, operation: Operation, texts: Texts) -> Text:
    return texts[operation.operands[0]] if operation.operands else Text("None")


def _call(o: Operations, operation: Operation, texts: Texts) -> Text:
    arguments = ", ".join(texts[v].code for v in operation.operands)
    return Text(f"{o.module.functions[operation.attributes['callee']]}({arguments})")


def _function(o: Operations, operation: Operation, texts: Texts) -> Text:
    return Text(o.module.functions[operation.attributes["callee"]])


def _call_value(o: Operations, operation: Operation, texts: Texts) -> Text:
    function, *arguments = (texts[v] for v in operation.operands)
    return Text(f"{function:atom}({', '.join(a.code for a in arguments)})")


def _extern(o: Operations, operation: Operation, texts: Texts) -> Text:
    module, name = operation.attributes["module"], operation.attributes["function"]
    place = where(operation.span)
    o.module.needs.add(f"import {module}")
    arguments = [module, string(name), string(place), *(give(o, v.type, texts[v]).code for v in operation.operands)]
    call = Text(f"{o.runtime('external')}({', '.join(arguments)})")
    return accept(o, operation.result.type, call, f"{name}(...)", place)


def _tuple(o: Operations, operation: Operation, texts: Texts) -> Text:
    items = [texts[v].code for v in operation.operands]
    return Text(f"({', '.join(items)}{',' if len(items) == 1 else ''})")


def _list(o: Operations, operation: Operation, texts: Texts) -> Text:
    source = operation.attributes.get("shape_of")
    if source is not None and source in texts:
        return Text(f"{texts[source]:atom}.shape")
    return _tuple(o, operation, texts)


def _item(o: Operations, operation: Operation, texts: Texts) -> Text:
    source = operation.operands[0]
    if isinstance(source.type, ListType) and source.type.items is None:
        # A size is found in the first item of a list, which may be empty.
        code, index = texts[source].code, operation.attributes["index"]
        place = string(where(operation.span))
        return Text(f"{o.runtime('item')}({code}, {index}, {string(f'{code}[{index}]')}, {place})")
    return Text(f"{texts[operation.operands[0]]:atom}[{operation.attributes['index']}]")


def _host_item(o: Operations, operation: Operation, texts: Texts) -> Text:
    items, index = (texts[v].code for v in operation.operands)
    place = string(where(operation.span))
    return Text(f"{o.runtime('item')}({items}, {index}, {string(_written(operation.span))}, {place})")


def _struct(o: Operations, operation: Operation, texts: Texts) -> Text:
    names, definition = operation.attributes["names"], operation.attributes["definition"]
    pairs = [f"{attribute(n)}={texts[v].code}" for n, v in zip(names, operation.operands, strict=True)]
    assert isinstance(operation.result.type, StructType)
    for variable, element in zip(definition.elements, operation.result.type.elements, strict=True):
        pairs.append(f"{variable.name}={o.visible_dtype(element)}")
    return Text(f"{o.runtime('made')}({', '.join([o.hint_name(definition), *pairs])})")


def _set_fields(o: Operations, operation: Operation, texts: Texts) -> Text:
    names = operation.attributes["names"]
    pairs = [f"{attribute(n)}={texts[v].code}" for n, v in zip(names, operation.operands, strict=True)]
    return Text(f"{o.runtime('set_fields')}({', '.join(['self', *pairs])})")


def _field(o: Operations, operation: Operation, texts: Texts) -> Text:
    return Text(f"{texts[operation.operands[0]]:atom}.{attribute(operation.attributes['field'])}")


def _leading(o: Operations, operation: Operation, texts: Texts) -> Text:
    count = operation.attributes["count"]
    return Text(f"{texts[operation.operands[0]]:atom}.shape" + (f"[:-{count}]" if count else ""))


def _dim(o: Operations, operation: Operation, texts: Texts) -> Text:
    tensor = operation.operands[0]
    axis = operation.attributes["axis"]
    type = tensor.type.item if isinstance(tensor.type, OptionalType) else tensor.type
    if isinstance(type, TensorType) and type.shape.rank is not None:
        axis += type.shape.rank
    return Text(f"{texts[tensor]:atom}.shape[{axis}]")


def _shape(o: Operations, operation: Operation, texts: Texts) -> Text:
    return Text(f"{texts[operation.operands[0]]:atom}.shape")


def _rank(o: Operations, operation: Operation, texts: Texts) -> Text:
    return Text(f"{texts[operation.operands[0]]:atom}.ndim")


def _size(o: Operations, operation: Operation, texts: Texts) -> Text:
    return Text(f"{texts[operation.operands[0]]:atom}.size")


def _dtype(o: Operations, operation: Operation, texts: Texts) -> Text:
    return Text(f"{texts[operation.operands[0]]:atom}.dtype")


def _range(o: Operations, operation: Operation, texts: Texts) -> Text:
    start, stop = (texts[v].code for v in operation.operands)
    return Text(f"range({stop})" if start == "0" else f"range({start}, {stop})")


def _format(o: Operations, operation: Operation, texts: Texts) -> Text:
    parts: list[str | Text] = []
    for value in operation.operands:
        t = value.type
        if isinstance(t, StringType) and t.constant is not None:
            parts.append(string(t.constant)[1:-1].replace("{", "{{").replace("}", "}}"))
        else:
            parts.append(texts[value] if isinstance(t, IntType | StringType) else _shown(o, value, texts))
    codes = [part.code for part in parts if isinstance(part, Text)]
    if any(character in code for code in codes for character in "\"'\\#{"):
        # Before Python 3.12 an expression inside an f-string holds no quotes and no backslash.
        holes = "".join("{}" if isinstance(part, Text) else part for part in parts)
        return Text(f'"{holes}".format({", ".join(codes)})')
    return Text('f"' + "".join(f"{{{part.code}}}" if isinstance(part, Text) else part for part in parts) + '"')


def form_of(t: Type) -> str | None:
    """What `show` must be told of a type that its Python value does not tell; None where it tells all."""
    match t:
        case TensorType(element, _):
            return string(str(element)) if element.kind == "float" else None
        case ListType(item, items):
            inner = form_of(items[0] if items else item)
            return f"[{inner}]"
        case TupleType(items):
            forms = [form_of(i) or "None" for i in items]
            return f"({', '.join(forms)},)"
        case OptionalType(item):
            return form_of(item)
        case StructType(definition, _, _):
            forms_by_name = {attribute(n): form_of(f) for n, f in definition.fields.items()}
            return "{" + ", ".join(f"{string(n)}: {f}" for n, f in forms_by_name.items() if f is not None) + "}"
    return None


def _shown(o: Operations, value: Value, texts: Texts) -> Text:
    if isinstance(value.type, ElementTypeType) and isinstance(value.type.element, ElementType):
        return Text(string(value.type.element.name))
    form = form_of(value.type)
    if form is None and isinstance(value.type, IntType | FloatType | BoolType | NoneType):
        return Text(f"{o.runtime('shown')}({texts[value].code})")
    arguments = texts[value].code + ("" if form is None else f", {form}")
    return Text(f"{o.runtime('shown')}({arguments})")


def _print(o: Operations, operation: Operation, texts: Texts) -> Text:
    values = list(operation.operands)
    end = texts[values.pop()].code if operation.attributes["ends"] else None
    arguments = [texts[v].code if _prints_itself(v.type) else _shown(o, v, texts).code for v in values]
    if end is not None:
        arguments.append(f"end={end}")
    return Text(f"{o.runtime('print_values')}({', '.join(arguments)})")


def _prints_itself(t: Type) -> bool:
    return form_of(t) is None and not isinstance(t, ElementTypeType)


def _tensor_constant(o: Operations, operation: Operation, texts: Texts) -> Text:
    assert isinstance(operation.result.type, TensorType)
    data = literal(operation.attributes["data"]).code
    return _made(o, data, operation)


def _tensor(o: Operations, operation: Operation, texts: Texts) -> Text:
    assert isinstance(operation.result.type, TensorType)
    element = operation.result.type.element
    data = texts[operation.operands[0]].code
    known = getattr(operation.operands[0].type, "items", None) is not None
    data = (
        data
        if known and element.kind != "float"
        else (f"{o.runtime('numbers')}({data}, {o.visible_dtype(element)}, {string(where(operation.span))})")
    )
    return _made(o, data, operation)


def _made(o: Operations, data: str, operation: Operation) -> Text:
    assert isinstance(operation.result.type, TensorType)
    dtype = o.dtype(operation.result.type.element)
    if "math." in data:
        o.module.needs.add("math")
    device = operation.attributes["device"]
    if device is None or o.module.standalone:
        return Text(f"mx.array({data}, dtype={dtype})")
    return Text(f"{o.runtime('tensor')}({data}, {dtype}, device={string(device)})")


def _scalar(o: Operations, operation: Operation, texts: Texts) -> Text:
    assert isinstance(operation.result.type, TensorType)
    return Text(f"mx.array({texts[operation.operands[0]].code}, dtype={o.dtype(operation.result.type.element)})")


def _fits(o: Operations, operation: Operation, texts: Texts) -> Text:
    value = texts[operation.operands[0]].code
    dtype = o.visible_dtype(operation.attributes["element"])
    place = string(where(operation.span))
    return Text(f"{o.runtime('fits')}({value}, {dtype}, {string(_written(operation.span))}, {place})")


def _ranked(o: Operations, operation: Operation, texts: Texts) -> Text:
    a = operation.attributes
    value = texts[operation.operands[0]].code
    arguments = [value, str(a["rank"]), str(a["exactly"]), string(a["what"]), string(a["declared"])]
    return Text(f"{o.runtime('ranked')}({', '.join([*arguments, string(where(operation.span))])})")


def _dynamic(o: Operations, operation: Operation, texts: Texts) -> Text:
    arguments = ", ".join(texts[v].code for v in operation.operands)
    name = string(operation.attributes["op"])
    return Text(f"{o.runtime('dynamic')}({name}, {string(where(operation.span))}, {arguments})")


def _expand(o: Operations, operation: Operation, texts: Texts) -> Text:
    return Text(f"{o.runtime('dense')}({texts[operation.operands[0]].code})")


def _index(o: Operations, operation: Operation, texts: Texts) -> Text:
    return _indexed(texts, operation, texts[operation.operands[0]], None)


def _indexed(texts: Texts, operation: Operation, value: Text, replaced: str | None) -> Text:
    rest = [texts[v] for v in operation.operands[1:]]
    parts: list[str] = []
    for item in operation.attributes["pattern"]:
        if item == "int":
            parts.append(rest.pop(0).code)
        elif item == "ids":
            rest.pop(0)
            parts.append(replaced or ":")
        elif item == "none":
            parts.append("None")
        elif item.startswith("slice"):
            parts.append(_slice(item, rest))
        else:
            parts.append(item)
    while len(parts) > 1 and parts[-1] == ":" and "..." not in parts:
        parts.pop()
    if parts == [":"]:
        return value
    return Text(f"{value:atom}[{', '.join(parts)}]")


def _slice(item: str, rest: list[Text]) -> str:
    ends, step = item.removeprefix("slice").split("/")
    start = rest.pop(0).code if "a" in ends else ""
    stop = rest.pop(0).code if "b" in ends else ""
    return f"{'' if start == '0' else start}:{stop}" + ("" if step == "1" else f":{step}")


def _gather_index(o: Operations, operation: Operation, texts: Texts) -> Text:
    value = _indexed(texts, operation, texts[operation.operands[0]], ":")
    pattern = operation.attributes["pattern"]
    after = [p for p in pattern[pattern.index("ids") + 1 :] if p != "int"]
    tensor = operation.operands[0].type
    assert isinstance(tensor, TensorType)
    consumed = sum(p not in ("none", "...") for p in pattern)
    follow = len(after) if "..." in pattern else len(after) + len(tensor.shape.dims) - consumed
    if "..." in after:
        follow = len(after) - 1 + len(tensor.shape.dims) - consumed
    ids = next(texts[v].code for v in operation.operands[1:] if isinstance(v.type, TensorType))
    arguments = f"{value.code}, {ids}, {-follow - 1}"
    if o.module.checked:
        return Text(f"{o.runtime('take_checked')}({arguments}, {string(where(operation.span))})")
    return Text(f"{o.runtime('take')}({arguments})")


def _select(o: Operations, operation: Operation, texts: Texts) -> Text:
    value, mask = (texts[v].code for v in operation.operands)
    return Text(f"{o.runtime('select')}({value}, {mask})")


def _debug(o: Operations, operation: Operation, texts: Texts) -> Text:
    value, label = (texts[v].code for v in operation.operands)
    form = form_of(operation.operands[0].type) or "None"
    return Text(f"{o.runtime('debug')}({value}, {label}, {form})")


def _method(o: Operations, operation: Operation, texts: Texts) -> Text:
    receiver, *arguments = (texts[v] for v in operation.operands)
    codes = [a.code for a in arguments]
    while codes and codes[-1] == "None":
        codes.pop()
    method = operation.attributes["method"]
    text = f"{receiver:atom}.{method}({', '.join(codes)})"
    if method == "get_tensor" and not o.module.strict:
        text = f"{o.runtime('carry')}({text})"
    return Text(text)


def _attribute(o: Operations, operation: Operation, texts: Texts) -> Text:
    return Text(f"{texts[operation.operands[0]]:atom}.{operation.attributes['name_']}")


def _load_model(o: Operations, operation: Operation, texts: Texts) -> Text:
    path, dequantize = (texts[v].code for v in operation.operands)
    extra = "" if dequantize == "False" else f", dequantize={dequantize}"
    model = operation.result.type
    if isinstance(model, OpaqueType) and model.element is not None:
        extra = f", dtype={string(str(model.element))}{extra}"
    return Text(f"{o.runtime('load_model')}({path}{extra})")


def _save_model(o: Operations, operation: Operation, texts: Texts) -> Text:
    model, path, dequantize = (texts[v].code for v in operation.operands)
    extra = "" if dequantize == "False" else f", dequantize={dequantize}"
    if isinstance(operation.operands[0].type, StructType):
        model = f"{o.runtime('tensors_of')}({model})"
    return Text(f"{o.runtime('save_model')}({model}, {path}{extra})")


def _load_tokenizer(o: Operations, operation: Operation, texts: Texts) -> Text:
    return Text(f"{o.runtime('load_tokenizer')}({texts[operation.operands[0]].code})")


def _read_line(o: Operations, operation: Operation, texts: Texts) -> Text:
    return Text(f"{o.runtime('read_line')}({texts[operation.operands[0]].code})")


def _bind(o: Operations, operation: Operation, texts: Texts) -> Text:
    model, prefix, *sizes = (texts[v].code for v in operation.operands)
    named = [f"{n}={s}" for n, s in zip(operation.attributes["sizes"], sizes, strict=True)]
    arguments = [model, *([] if prefix == '""' else [f"prefix={prefix}"]), *named]
    return Text(f"{o.hint_name(operation.attributes['definition'])}.bind({', '.join(arguments)})")


def _accept(o: Operations, operation: Operation, texts: Texts) -> Text:
    value = operation.operands[0]
    return accept(
        o,
        operation.result.type,
        texts[value],
        operation.attributes["argument"],
        where(operation.span),
        packed=operation.attributes.get("packed", False),
    )


def _give(o: Operations, operation: Operation, texts: Texts) -> Text:
    return give(o, operation.result.type, texts[operation.operands[0]])


def _arguments(o: Operations, operation: Operation, texts: Texts) -> Text:
    return Text("args")


def _is_none(o: Operations, operation: Operation, texts: Texts) -> Text:
    return Text(f"{texts[operation.operands[0]].within(COMPARISON + 1)} is None", COMPARISON)


def _is_not_none(o: Operations, operation: Operation, texts: Texts) -> Text:
    return Text(f"{texts[operation.operands[0]].within(COMPARISON + 1)} is not None", COMPARISON)


def _in(o: Operations, operation: Operation, texts: Texts) -> Text:
    a, b = (texts[v].within(COMPARISON + 1) for v in operation.operands)
    return Text(f"{a} {operation.name.removeprefix('host.').replace('_', ' ')} {b}", COMPARISON)


def _len(o: Operations, operation: Operation, texts: Texts) -> Text:
    return Text(f"len({texts[operation.operands[0]].code})")


def _enumerate(o: Operations, operation: Operation, texts: Texts) -> Text:
    return Text(f"tuple(enumerate({texts[operation.operands[0]].code}))")


_STRUCTURAL: dict[str, Callable[[Operations, Operation, Texts], Text]] = {
    "constant": _constant,
    "retype": _retype,
    "call": _call,
    "function": _function,
    "call_value": _call_value,
    "extern": _extern,
    "tuple": _tuple,
    "list": _list,
    "item": _item,
    "host.item": _host_item,
    "struct": _struct,
    "set_fields": _set_fields,
    "field": _field,
    "dim": _dim,
    "leading": _leading,
    "shape": _shape,
    "rank": _rank,
    "size": _size,
    "dtype": _dtype,
    "range": _range,
    "format": _format,
    "print": _print,
    "tensor_constant": _tensor_constant,
    "tensor": _tensor,
    "scalar": _scalar,
    "fits": _fits,
    "ranked": _ranked,
    "dynamic": _dynamic,
    "expand": _expand,
    "index": _index,
    "gather_index": _gather_index,
    "select": _select,
    "debug": _debug,
    "method": _method,
    "attribute": _attribute,
    "load_model": _load_model,
    "save_model": _save_model,
    "load_tokenizer": _load_tokenizer,
    "read_line": _read_line,
    "bind": _bind,
    "accept": _accept,
    "give": _give,
    "arguments": _arguments,
    "host.is_none": _is_none,
    "host.is_not_none": _is_not_none,
    "host.in": _in,
    "host.not_in": _in,
    "host.enumerate": _enumerate,
    "host.len": _len,
}
