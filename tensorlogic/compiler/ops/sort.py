"""Sorting along an axis, in ascending order; NaN counts as the largest. Positions are int32."""

from __future__ import annotations

from typing import NoReturn

from tensorlogic.compiler.dims import ZERO
from tensorlogic.compiler.ops.broadcast import name_of
from tensorlogic.compiler.ops.lowering import Call, Text
from tensorlogic.compiler.ops.reduce import require_items
from tensorlogic.compiler.ops.rule import Application, provably
from tensorlogic.compiler.ops.table import Op
from tensorlogic.compiler.types import INT32, IntType, Shape, TensorType, TupleType, Type


def _sorted(app: Application) -> Type:
    x = app.tensor("x")
    app.axis("axis", x.shape)
    return x


def _argsort(app: Application) -> Type:
    x = app.tensor("x")
    app.axis("axis", x.shape)
    return TensorType(INT32, x.shape)


def _topk(app: Application) -> Type:
    """The `k` largest and where they are: `0 <= k <= N` along the axis."""
    x = app.tensor("x")
    axis = app.axis("axis", x.shape)
    size = x.shape.dims[axis]
    require_items(app, (size,))
    k = app["k"].type
    assert isinstance(k, IntType)
    assert k.value is not None
    count = k.value

    def refuse() -> NoReturn:
        app.demands.fail(
            "TL3006",
            f"`topk` takes {count} of {size} items: there are not {provably(app, size, count)}so many",
            app["k"].span,
            others=[(app["x"].span, str(x))],
        )

    def refuse_negative() -> NoReturn:
        told = "is" if app.demands.provably_different(count, ZERO) else "may be"
        app.demands.fail("TL3006", f"`k` of `topk` is {count}, which {told} negative", app["k"].span)

    message = f"`topk` takes {{1}} of the {{0}} items of {name_of(app['x'])}"
    app.demands.require_nonnegative(count, ZERO, app["k"].span, "`k` of `topk` is {0}", refuse_negative)
    app.demands.require_nonnegative(size, count, app["k"].span, message, refuse)
    dims = list(x.shape.dims)
    dims[axis] = count
    shape = Shape(x.shape.pack, tuple(dims))
    return TupleType((TensorType(x.element, shape), TensorType(INT32, shape)))


def _lower_topk(call: Call) -> Text:
    return Text(f"{call.names.runtime('topk')}({call['x']}, {call['k']}, {call['axis']})")


OPS: tuple[Op, ...] = (
    Op("sort", "mx.sort({x}, axis={axis})", rule=_sorted),
    Op("argsort", "mx.argsort({x}, axis={axis}).astype(mx.int32)", rule=_argsort, coreml="argsort"),
    Op("topk", _lower_topk, rule=_topk, coreml="topk"),
)
