"""What comes from outside and what goes back: the expressions that accept and give values of a type."""

from __future__ import annotations

from tensorlogic.compiler.emit.identifiers import attribute
from tensorlogic.compiler.emit.literals import string, tuple_of
from tensorlogic.compiler.emit.naming import Naming
from tensorlogic.compiler.ops.lowering import Text
from tensorlogic.compiler.passes.packing import may_be_packed
from tensorlogic.compiler.types import (
    BoolType,
    ElementVariable,
    FloatType,
    IntType,
    ListType,
    OpaqueType,
    OptionalType,
    StringType,
    StructType,
    TensorType,
    TupleType,
    Type,
    field_type,
)


def accept(o: Naming, t: Type, value: Text, name: str, where: str, *, packed: bool = False) -> Text:
    """The value as the body takes it: converted, checked for its kind, element type and rank."""
    quoted = string(name)
    place = string(where)
    match t:
        case TensorType(element, shape):
            count = len(shape.dims)
            rank = str(count) if shape.pack is None else f"-{count + 1}"
            keep = ", packed=True" if packed and not o.module.standalone else ""
            dtype = o.visible_dtype(element)
            keep += ", carry=False" if o.module.strict else ""
            arguments = f"{value.code}, {quoted}, {dtype}, {rank}, {string(str(t))}, {place}{keep}"
            return Text(f"{o.runtime('array')}({arguments})")
        case IntType():
            return Text(f"{o.runtime('integer')}({value.code}, {quoted}, {place})")
        case FloatType():
            return Text(f"{o.runtime('number')}({value.code}, {quoted}, {place})")
        case BoolType():
            return Text(f"{o.runtime('boolean')}({value.code}, {quoted}, {place})")
        case StringType():
            return Text(f"{o.runtime('string')}({value.code}, {quoted}, {place})")
        case OptionalType(item):
            inner = accept(o, item, value, name, where, packed=packed)
            return Text(f"None if {value.code} is None else {inner.code}", 0)
        case ListType(item, _):
            inner = accept(o, item, Text("item"), f"{name}[i]", where, packed=packed)
            return Text(f"tuple({inner.code} for item in {o.runtime('items')}({value.code}, {quoted}, {place}))")
        case TupleType(items):
            checked = f"{o.runtime('parts')}({value.code}, {len(items)}, {quoted}, {place})"
            sources = [checked, *[f"{value:atom}"] * (len(items) - 1)]
            parts = [
                accept(o, item, Text(f"{source}[{i}]"), f"{name}[{i}]", where, packed=packed).code
                for i, (item, source) in enumerate(zip(items, sources, strict=True))
            ]
            return Text(tuple_of(parts))
        case StructType(definition, _, _):
            kind = o.hint_name(definition)
            return Text(f"{o.runtime('instance')}({value.code}, {kind}, {quoted}, {place})")
        case OpaqueType(kind):
            return Text(f"{o.runtime('instance')}({value.code}, tl.{kind}, {quoted}, {place})")
    return value


def give(o: Naming, t: Type, value: Text, *, packed: bool = False) -> Text:
    """The value as it can be seen: float16 is float16 again, and with `packed` what lists and tuples hold is expanded.

    A struct is handed out as it is: what it holds was carried when it was made, and will be used so again.
    """
    match t:
        case TensorType(element, _) if packed and may_be_packed(t):
            return Text(f"{o.runtime('dense')}({value.code}, {o.visible_dtype(element)})")
        case TensorType(element, _) if _changes(t, packed):
            if element.kind == "float":
                return Text(f"{o.runtime('cast')}({value.code}, {o.visible_dtype(element)})")
            return Text(f"{value:atom}.astype({o.visible_dtype(element)})")
        case TupleType(items) if any(_changes(i, packed) for i in items):
            parts = [give(o, item, Text(f"{value:atom}[{i}]"), packed=packed).code for i, item in enumerate(items)]
            return Text(tuple_of(parts))
        case ListType(item, _) if _changes(item, packed):
            return Text(f"tuple({give(o, item, Text('item'), packed=packed).code} for item in {value.code})")
        case OptionalType(item) if _changes(item, packed):
            return Text(f"None if {value.code} is None else {give(o, item, value, packed=packed).code}", 0)
    return value


def _changes(t: Type, packed: bool) -> bool:
    match t:
        case TensorType(element, _):
            carried = isinstance(element, ElementVariable) or (element.kind == "float" and element.name != "float32")
            return carried or (packed and may_be_packed(t))
        case TupleType(items):
            return any(_changes(i, packed) for i in items)
        case ListType(item, _) | OptionalType(item):
            return _changes(item, packed)
    return False


def show_inside(o: Naming, t: Type, value: Text) -> Text:
    """What a Python function may look into: tensors of their declared types, none of them packed, in structs too."""
    if isinstance(t, TensorType) or not _holds_floats(t):
        return give(o, t, value)
    return _opened(o, t, value)


def _opened(o: Naming, t: Type, value: Text) -> Text:
    match t:
        case TensorType(element, _) if may_be_packed(t) and not o.module.standalone:
            return Text(f"{o.runtime('dense')}({value.code}, {o.visible_dtype(element)})")
        case TupleType(items):
            parts = [_opened(o, item, Text(f"{value:atom}[{i}]")).code for i, item in enumerate(items)]
            return Text(tuple_of(parts))
        case ListType(item, _) if _holds_floats(item):
            return Text(f"tuple({_opened(o, item, Text('item')).code} for item in {value.code})")
        case OptionalType(item) if _holds_floats(item):
            return Text(f"None if {value.code} is None else {_opened(o, item, value).code}", 0)
        case StructType(definition, _, _) if _holds_floats(t):
            fields = {n: _opened(o, field_type(t, n), Text(f"{value:atom}.{attribute(n)}")) for n in definition.fields}
            pairs = [f"{attribute(name)}={text.code}" for name, text in fields.items()]
            plain = [attribute(n) for n in (*(d.name for d in definition.dims), *(e.name for e in definition.elements))]
            pairs += [f"{name}={value:atom}.{name}" for name in plain]
            return Text(f"{o.runtime('made')}({', '.join([o.hint_name(definition), *pairs])})")
    return give(o, t, value)


def _holds_floats(t: Type) -> bool:
    """Whether a value of the type holds tensors that are carried or stored otherwise than they are seen."""
    match t:
        case TensorType():
            return _changes(t, packed=True)
        case TupleType(items):
            return any(_holds_floats(i) for i in items)
        case ListType(item, _) | OptionalType(item):
            return _holds_floats(item)
        case StructType(definition, _, _):
            return any(_holds_floats(field_type(t, name)) for name in definition.fields)
    return False
