"""Whether a host number fits an element type that only the op knows: `full([2], 1e6)` would be infinite in float16.

Where a host number meets a tensor, the checker has seen to that; these are for ops that choose their element type
themselves. A constant is refused while compiling (TL2007); a number that only run time knows is checked then (TL5004),
in the same words.
"""

from __future__ import annotations

import json
import math

from tensorlogic.compiler.ops.lowering import Call
from tensorlogic.compiler.ops.rule import Application, Argument
from tensorlogic.compiler.types import (
    FLOAT16,
    FLOAT32,
    UINT32,
    Element,
    ElementType,
    ElementVariable,
    FloatType,
    IntType,
    TensorType,
)

_LIMITS = {
    "float16": (2.0**-25, 65520.0),
    "bfloat16": (2.0**-134, 3.3961775292304957e38),
    "float32": (2.0**-150, 3.4028235677973366e38),
}
"""What becomes 0 and what becomes inf: the magnitudes up to which, and from which, rounding goes there."""
_LONGEST_NAME = 40


def range_of(element: ElementType) -> tuple[int, int]:
    """The ints that an element type holds, each as itself or rounded to one that is finite."""
    if element.kind == "float":
        infinite = math.ceil(_LIMITS[element.name][1])
        return 1 - infinite, infinite - 1
    return (0, 2**32 - 1) if element == UINT32 else (-(2**31), 2**31 - 1)


def loss(value: float, element: ElementType) -> str | None:
    """What keeps a number out of an element type; None where it fits."""
    if element.kind != "float":
        low, high = range_of(element)
        return None if low <= value <= high else f"does not fit {element}"
    if value == 0 or not math.isfinite(value):
        return None
    zero, infinite = _LIMITS[element.name]
    if abs(value) >= infinite:
        return f"would become {'inf' if value > 0 else '-inf'} in {element}"
    return f"would become 0 in {element}" if abs(value) <= zero else None


def require_representable(app: Application, argument: Argument, element: Element) -> None:
    """Refuse a constant that would become infinite or 0 in a float type, or wrap around in an integer type."""
    type = argument.type
    value = type.constant if isinstance(type, IntType | FloatType) else None
    if value is not None:
        require_held(app, argument, value, element)


def require_held(app: Application, argument: Argument, value: float, element: Element) -> None:
    """The same of a number that an argument says, in its own way. A `T: float` may be float16, the narrowest."""
    parameter = element if isinstance(element, ElementVariable) else None
    if isinstance(element, ElementVariable):
        if element.kind != "float":
            return
        element = FLOAT16
    change = loss(value, element)
    if change is None:
        return
    wider = (e for e in (FLOAT32, UINT32) if e.kind == element.kind and e != element and loss(value, e) is None)
    helps = [f"make it in {e}: `dtype: {e}`" for e in wider] if "dtype" in app.arguments else []
    if element.kind == "float":
        note = f"{element} holds magnitudes from {element.smallest:g} to {element.largest:g}"
    else:
        note = "{} goes from {} to {}".format(element, *range_of(element))
    told = f"{change}, which `{parameter}` may be" if parameter is not None else change
    helps = [] if parameter is not None else helps
    app.demands.fail("TL2007", f"{_written(argument, value)} {told}", argument.span, notes=[note], helps=helps)


def _written(argument: Argument, value: float) -> str:
    """A number as the program writes it, where it does; else its name and the number."""
    text = argument.span.text
    try:
        if float(text) == value:
            return text
    except ValueError:
        pass
    return f"`{text}` = {value}" if text.isidentifier() else str(value)


def fitting(call: Call, name: str) -> str:
    """An operand as it becomes a number of the result's element type: checked where it is not known yet."""
    type = call.types[name]
    assert isinstance(call.result, TensorType)
    element = call.result.element
    known = type.constant if isinstance(type, IntType | FloatType) else 0
    checked = not isinstance(element, ElementVariable) or element.kind == "float"
    code = call[name].code
    if element.kind == "bool" or (known is not None and checked):
        return code
    dtype = call.names.visible_dtype(element)
    # The emitted expression is the program's own, but for what became a variable on the way.
    written = code if len(code) <= _LONGEST_NAME else name
    return f"{call.names.runtime('fits')}({code}, {dtype}, {json.dumps(written)}, {json.dumps(call.where)})"
