"""Reductions over axes.

`axis` is a constant: one axis, a tuple of them, or none for all dims, a pack included; `keepdims` keeps each reduced
axis as a dim of size 1. Sums of floats are accumulated in float32; sums of bools and int32 are int32. Demands of the
rules: nothing is the largest of no items, so `max`, `min`, `argmax` and `argmin` need at least one along what they
reduce; `mean` of integers is refused (TL2012).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import NoReturn

from tensorlogic.compiler.dims import ONE, Polynomial
from tensorlogic.compiler.ops.broadcast import name_of, postfix_text
from tensorlogic.compiler.ops.lowering import Call, Text
from tensorlogic.compiler.ops.operators import refuse_element, refuse_fractions
from tensorlogic.compiler.ops.rule import Application, Rule
from tensorlogic.compiler.ops.sizes import require_at_least, surely_positive
from tensorlogic.compiler.ops.table import NO_COREML, Op
from tensorlogic.compiler.types import (
    BOOL,
    FLOAT32,
    INT32,
    BoolType,
    Element,
    NoneType,
    Shape,
    TensorType,
    Type,
)

# --- shapes


def reduced(app: Application, shape: Shape) -> tuple[Shape, tuple[Polynomial, ...]]:
    """The shape without the axes that `axis` names (of size 1 with `keepdims`), and the sizes of these."""
    keepdims = app.constant_bool("keepdims")
    if not app.given("axis"):
        if keepdims and shape.pack is not None:
            app.demands.fail(
                "TL3008",
                f"`keepdims` without an axis in a shape that begins with `{shape.pack}`: its dims cannot be named",
                app["keepdims"].span,
                notes=[f"the shape of {name_of(app['x'])} is {shape}"],
            )
        return Shape(None, (ONE,) * len(shape.dims) if keepdims else ()), shape.dims
    axes = app.axes("axis", shape)
    if not axes:
        app.demands.fail("TL3008", f"`{app.op}` is given no axis", app["axis"].span, helps=["leave `axis` out for all"])
    count = len(shape.dims)
    kept = [
        ONE if i - count in axes else size for i, size in enumerate(shape.dims) if keepdims or i - count not in axes
    ]
    return Shape(shape.pack, tuple(kept)), tuple(shape.dims[axis] for axis in axes)


def require_items(app: Application, sizes: tuple[Polynomial, ...]) -> None:
    """Demand at least one item along each of these dims of `x`."""
    for size in sizes:

        def refuse(size: Polynomial = size) -> NoReturn:
            no_items = "a dim is 0" if size.constant is not None else f"`{size}` may be 0"
            app.demands.fail(
                "TL3016",
                f"`{app.op}` of no items has no value: {no_items}",
                app.span,
                others=[(app["x"].span, str(app["x"].type))],
            )

        message = f"`{app.op}` of {name_of(app['x'])} along a dim of {{0}} items: it needs at least {{1}}"
        app.demands.require_nonnegative(size, ONE, app.span, message, refuse)


# --- rules


def _count_element(app: Application, element: Element) -> Element:
    """The element type of sums and products: bools are counted in int32."""
    if element.kind == "any":
        refuse_element(app, element, [])
    return INT32 if element == BOOL else element


def _sum(app: Application) -> Type:
    x = app.tensor("x")
    return TensorType(_count_element(app, x.element), reduced(app, x.shape)[0])


def _cumsum(app: Application) -> Type:
    x = app.tensor("x")
    app.axis("axis", x.shape)
    return TensorType(_count_element(app, x.element), x.shape)


def _of_floats(app: Application) -> Type:
    x = app.tensor("x")
    if x.element.kind != "float":
        text = postfix_text(app["x"].span)
        refuse_fractions(app, x.element, [f"`{app.op}({text}.to(float32))` computes it in float32"])
    if "ddof" in app.arguments:
        require_at_least(app, "ddof", 0)
    return TensorType(x.element, reduced(app, x.shape)[0])


def _extreme(app: Application) -> Type:
    x = app.tensor("x")
    shape, sizes = reduced(app, x.shape)
    require_items(app, sizes)
    return TensorType(x.element, shape)


def _position(app: Application) -> Type:
    x = app.tensor("x")
    shape, sizes = reduced(app, x.shape)
    require_items(app, sizes)
    return TensorType(INT32, shape)


def _logical(app: Application) -> Type:
    return TensorType(BOOL, reduced(app, app.tensor("x").shape)[0])


# --- lowerings


def _arguments(call: Call) -> str:
    """The operands as arguments of MLX's function, whose defaults are left out."""
    arguments = [call["x"].code]
    if "axis" in call.types and not isinstance(call.types["axis"], NoneType):
        arguments.append(f"axis={call['axis']}")
    if call.types.get("keepdims") == BoolType(True):
        arguments.append("keepdims=True")
    if "ddof" in call.types and call.constant_int("ddof") != 0:
        arguments.append(f"ddof={call['ddof']}")
    return ", ".join(arguments)


def _accumulating(name: str, helper: str) -> Callable[[Call], Text]:
    """MLX's own function where it accumulates as the language promises and takes what may be empty, else a helper."""

    def lowered(call: Call) -> Text:
        x = call.tensor("x")
        # MLX gives a scalar bool back as it is, where its sum is an int.
        counts = x.element.kind == "bool" and bool(x.shape.dims)
        exact = x.element == FLOAT32 or x.element.kind == "integer" or counts
        plain = exact and (name == "cumsum" or surely_has_items(x.shape))
        return Text(f"{f'mx.{name}' if plain else call.names.runtime(helper)}({_arguments(call)})")

    return lowered


def _of_items(call: Call, name: str) -> Call:
    """The call on a tensor that has an item: a pack may hold a dim of 0, which only run time tells."""
    if call.tensor("x").shape.pack is None or not isinstance(call.types["axis"], NoneType):
        return call
    some = f"{call.names.runtime('some')}({call['x']}, {json.dumps(name)}, {json.dumps(call.where)})"
    return replace(call, operands={**call.operands, "x": Text(some)})


def _plain(name: str) -> Callable[[Call], Text]:
    return lambda call: Text(f"mx.{name}({_arguments(_of_items(call, name))})")


def _positional(name: str) -> Callable[[Call], Text]:
    def lowered(call: Call) -> Text:
        shape = call.tensor("x").shape
        if surely_has_items(shape) and shape.dims:
            return Text(f"mx.{name}({_arguments(call)}).astype(mx.int32)")
        call = _of_items(call, name)
        return Text(f"{call.names.runtime(name)}({_arguments(call)})")

    return lowered


def surely_has_items(shape: Shape) -> bool:
    """Whether no size is 0, as the sizes tell by themselves."""
    return shape.pack is None and all(surely_positive(size) for size in shape.dims)


def _reduction(name: str, rule: Rule, coreml: str) -> Op:
    return Op(name, _accumulating(name, f"reduce_{name}"), rule=rule, coreml=coreml)


OPS: tuple[Op, ...] = (
    _reduction("sum", _sum, "reduce_sum"),
    _reduction("mean", _of_floats, "reduce_mean"),
    _reduction("prod", _sum, "reduce_prod"),
    Op("max", _plain("max"), rule=_extreme, coreml="reduce_max"),
    Op("min", _plain("min"), rule=_extreme, coreml="reduce_min"),
    _reduction("var", _of_floats, NO_COREML),
    _reduction("std", _of_floats, NO_COREML),
    Op("argmax", _positional("argmax"), rule=_position, coreml="reduce_argmax"),
    Op("argmin", _positional("argmin"), rule=_position, coreml="reduce_argmin"),
    _reduction("all", _logical, NO_COREML),
    _reduction("any", _logical, NO_COREML),
    _reduction("logsumexp", _of_floats, "reduce_log_sum_exp"),
    Op("cumsum", _accumulating("cumsum", "cumsum"), rule=_cumsum, coreml="cumsum"),
)
