"""Whether a host number fits an element type that only the op knows: `full([2], 1e6)` would be infinite in float16.

Where a host number meets a tensor, the checker has seen to that; these are for ops that choose their element type
themselves. A constant is refused while compiling (TL2007); a float that only run time knows is checked then.
"""

from __future__ import annotations

import json
import math

from tensorlogic.compiler.ops.lowering import Call
from tensorlogic.compiler.ops.rule import Application, Argument
from tensorlogic.compiler.types import (
    FLOAT32,
    UINT32,
    Element,
    ElementType,
    ElementVariable,
    FloatType,
    IntType,
    TensorType,
)


def require_representable(app: Application, argument: Argument, element: Element) -> None:
    """Refuse a constant that would become infinite or 0 in a float type, or wrap around in an integer type."""
    type = argument.type
    value = type.constant if isinstance(type, IntType | FloatType) else None
    if value is None or isinstance(element, ElementVariable):
        return
    change = loss(value, element)
    if change is None:
        return
    can_choose = "dtype" in app.arguments and element.kind == "float" and loss(value, FLOAT32) is None
    helps = ["make it in float32: `dtype: float32`"] if can_choose and element != FLOAT32 else []
    app.demands.fail("TL2007", f"{value:g} {change}", argument.span, helps=helps)


def loss(value: float, element: ElementType) -> str | None:
    """What keeps a number out of an element type; None where it fits."""
    if element.kind == "integer":
        low, high = (0, 2**32 - 1) if element == UINT32 else (-(2**31), 2**31 - 1)
        return None if low <= value <= high else f"does not fit {element}, which goes from {low} to {high}"
    if value == 0 or not math.isfinite(value):
        return None
    if abs(value) > element.largest:
        return f"does not fit {element}, whose largest number is {element.largest:g}"
    return f"does not fit {element}, whose smallest is {element.smallest:g}" if abs(value) < element.smallest else None


def fitting(call: Call, name: str) -> str:
    """An operand as it becomes a number of the result's element type: checked where it is not known yet."""
    type = call.types[name]
    assert isinstance(call.result, TensorType)
    element = call.result.element
    known = type.constant if isinstance(type, IntType | FloatType) else 0
    if element.kind == "bool" or (known is not None and not isinstance(element, ElementVariable)):
        return call[name].code
    dtype = call.names.visible_dtype(element)
    return f"{call.names.runtime('fits')}({call[name]}, {dtype}, {json.dumps(name)}, {json.dumps(call.where)})"
