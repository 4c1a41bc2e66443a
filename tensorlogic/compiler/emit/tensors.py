"""Operations on tensors that are no ops of the table: shapes and types asked for, tensors made of numbers."""

from __future__ import annotations

from tensorlogic.compiler.emit.literals import literal, string
from tensorlogic.compiler.emit.naming import Expression, Naming, Texts, where, written
from tensorlogic.compiler.ir.core import Operation
from tensorlogic.compiler.ops.lowering import Text
from tensorlogic.compiler.types import ElementTypeType, OptionalType, TensorType


def _leading(o: Naming, operation: Operation, texts: Texts) -> Text:
    count = operation.attributes["count"]
    return Text(f"{texts[operation.operands[0]]:atom}.shape" + (f"[:-{count}]" if count else ""))


def _dim(o: Naming, operation: Operation, texts: Texts) -> Text:
    tensor = operation.operands[0]
    axis = operation.attributes["axis"]
    type = tensor.type.item if isinstance(tensor.type, OptionalType) else tensor.type
    if isinstance(type, TensorType) and type.shape.rank is not None:
        axis += type.shape.rank
    return Text(f"{texts[tensor]:atom}.shape[{axis}]")


def _shape(o: Naming, operation: Operation, texts: Texts) -> Text:
    return Text(f"{texts[operation.operands[0]]:atom}.shape")


def _rank(o: Naming, operation: Operation, texts: Texts) -> Text:
    return Text(f"{texts[operation.operands[0]]:atom}.ndim")


def _size(o: Naming, operation: Operation, texts: Texts) -> Text:
    return Text(f"{texts[operation.operands[0]]:atom}.size")


def _dtype(o: Naming, operation: Operation, texts: Texts) -> Text:
    assert isinstance(operation.result.type, ElementTypeType)
    assert operation.result.type.element is not None
    return Text(o.element_type(operation.result.type.element))


def _tensor_constant(o: Naming, operation: Operation, texts: Texts) -> Text:
    assert isinstance(operation.result.type, TensorType)
    data = literal(operation.attributes["data"]).code
    return _made(o, data, operation)


def _tensor(o: Naming, operation: Operation, texts: Texts) -> Text:
    assert isinstance(operation.result.type, TensorType)
    element = operation.result.type.element
    data = texts[operation.operands[0]].code
    known = getattr(operation.operands[0].type, "items", None) is not None
    if not known or element.kind != "bool":
        place = string(where(operation.span))
        data = f"{o.runtime('numbers')}({data}, {o.visible_dtype(element)}, {place})"
    return _made(o, data, operation)


def _made(o: Naming, data: str, operation: Operation) -> Text:
    assert isinstance(operation.result.type, TensorType)
    dtype = o.dtype(operation.result.type.element)
    if "math." in data:
        o.module.needs.add("math")
    device = operation.attributes["device"]
    if device is None or o.module.standalone:
        return Text(f"mx.array({data}, dtype={dtype})")
    return Text(f"{o.runtime('tensor')}({data}, {dtype}, device={string(device)})")


def _scalar(o: Naming, operation: Operation, texts: Texts) -> Text:
    assert isinstance(operation.result.type, TensorType)
    return Text(f"mx.array({texts[operation.operands[0]].code}, dtype={o.dtype(operation.result.type.element)})")


def _fits(o: Naming, operation: Operation, texts: Texts) -> Text:
    value = texts[operation.operands[0]].code
    dtype = o.visible_dtype(operation.attributes["element"])
    place = string(where(operation.span))
    return Text(f"{o.runtime('fits')}({value}, {dtype}, {string(written(operation.span))}, {place})")


def _ranked(o: Naming, operation: Operation, texts: Texts) -> Text:
    a = operation.attributes
    value = texts[operation.operands[0]].code
    arguments = [value, str(a["rank"]), str(a["exactly"]), string(a["what"]), string(a["declared"])]
    return Text(f"{o.runtime('ranked')}({', '.join([*arguments, string(where(operation.span))])})")


def _dynamic(o: Naming, operation: Operation, texts: Texts) -> Text:
    arguments = ", ".join(texts[v].code for v in operation.operands)
    name = string(operation.attributes["op"])
    return Text(f"{o.runtime('dynamic')}({name}, {string(where(operation.span))}, {arguments})")


def _expand(o: Naming, operation: Operation, texts: Texts) -> Text:
    function = o.runtime("dense" if o.module.strict else "expanded")
    return Text(f"{function}({texts[operation.operands[0]].code})")


TENSORS: dict[str, Expression] = {
    "leading": _leading,
    "dim": _dim,
    "shape": _shape,
    "rank": _rank,
    "size": _size,
    "dtype": _dtype,
    "tensor_constant": _tensor_constant,
    "tensor": _tensor,
    "scalar": _scalar,
    "fits": _fits,
    "ranked": _ranked,
    "dynamic": _dynamic,
    "expand": _expand,
}
