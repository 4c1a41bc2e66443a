"""The op table's entry on packing: `quantize`, whose result is a packed weight.

Takes a weight whose last dim is the one that a product sums over, and constants. Promises the type of the weight, since
storage is not type, and refuses layouts that MLX has not (TL4031), and rows that are no whole groups (TL3012).
"""

from __future__ import annotations

from typing import NoReturn

from tensorlogic.compiler.dims import Polynomial
from tensorlogic.compiler.ops.broadcast import labels
from tensorlogic.compiler.ops.lowering import Call, Text
from tensorlogic.compiler.ops.rule import Application, divisibly
from tensorlogic.compiler.ops.table import Op
from tensorlogic.compiler.types import IntType, TensorType, Type

_CHOICES = {"bits": (2, 3, 4, 5, 6, 8), "group": (32, 64, 128)}
"""What MLX packs on every device, in its mode `affine`."""


def _quantized(app: Application) -> Type:
    w = app.tensor("w")
    _, number = (_choice(app, name) for name in _CHOICES)
    width, group = w.shape.dims[-1], Polynomial.of(number)

    def refuse() -> NoReturn:
        smaller = [n for n in _CHOICES["group"] if width.constant is not None and width.constant % n == 0]
        app.demands.fail(
            "TL3012",
            f"`quantize` packs groups of {group}: rows of {width} are not {divisibly(width, group)}divisible by it",
            app.span,
            others=labels([app["w"]]),
            helps=[f"`group: {smaller[-1]}`"] if smaller else [],
        )

    message = "`quantize` packs rows in whole groups: {0} is not divisible by {1}"
    app.demands.require_divisible(width, group, app.span, message, refuse)
    return TensorType(w.element, w.shape)


def _choice(app: Application, name: str) -> int:
    """A constant among those that are possible."""
    type = app[name].type
    number = type.constant if isinstance(type, IntType) else None
    if number is None:
        what = f"`{name}` of `quantize` must be known while compiling"
        app.demands.fail("TL2008", what, app[name].span, notes=["it decides how the weight is kept"])
    if number not in _CHOICES[name]:
        *most, last = map(str, _CHOICES[name])
        what = f"`{name}` of `quantize` is {', '.join(most)} or {last}, not {number}"
        app.demands.fail("TL4031", what, app[name].span)
    return number


def _lower_quantize(call: Call) -> Text:
    seen = call.names.visible_dtype(call.tensor("w").element)
    return Text(f"{call.names.runtime('quantize')}({call['w']}, {call['bits']}, {call['group']}, {seen})")


OPS: tuple[Op, ...] = (Op("quantize", _lower_quantize, rule=_quantized, sees=True, gives_packed=True),)
