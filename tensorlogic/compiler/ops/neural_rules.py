"""Shapes of the layers that a signature cannot say: convolution, pooling, masks of attention, rotary positions.

Takes operands that fit their declared types already, and sizes as host ints. Promises the exact shape of the result:
a window of size k with stride s over a padded length L stands at `floor((L - k) / s) + 1` places, which for a symbolic
L is given where the division can be proved to leave one remainder, whatever the size, and unknown where a host `int` or
an unknown size takes part. Refuses other divisions (TL3012), with the clause that would help; demands that every window
fits (TL3018).
"""

from __future__ import annotations

from typing import NoReturn

from tensorlogic.compiler.dims import HOLE, ONE, Polynomial
from tensorlogic.compiler.ops.broadcast import labels, name_of
from tensorlogic.compiler.ops.quotients import rounded_down
from tensorlogic.compiler.ops.rule import Application, divisibly, provably
from tensorlogic.compiler.ops.shape_rules import refuse_optional
from tensorlogic.compiler.ops.sizes import require_at_least, require_number
from tensorlogic.compiler.records import dataclass
from tensorlogic.compiler.types import BoolType, FloatType, IntType, OptionalType, Shape, TensorType, Type

# --- windows


@dataclass(frozen=True, slots=True)
class _Windows:
    """How windows of an op go over one dim of `x`. Each number is at least what makes sense for it."""

    kernel: Polynomial
    stride: Polynomial
    padding: Polynomial
    dilation: Polynomial

    @property
    def reach(self) -> Polynomial:
        """The items from a window's first to its last."""
        return self.dilation * (self.kernel - 1) + 1


def _places(app: Application, size: Polynomial, windows: _Windows) -> Polynomial:
    """At how many places a window stands over a dim."""
    padded = size + windows.padding * 2

    def refuse() -> NoReturn:
        app.demands.fail(
            "TL3018",
            f"`{app.op}`: a window of {windows.reach} does not {provably(app, padded, windows.reach)}fit into {padded}",
            app.span,
            others=labels([app["x"]]),
        )

    message = f"`{app.op}` of {name_of(app['x'])}: {{0}} items, with padding, are less than a window of {{1}}"
    app.demands.require_nonnegative(padded, windows.reach, app.span, message, refuse)
    moved = padded - windows.reach

    def refuse_rest() -> NoReturn:
        app.demands.fail(
            "TL3012",
            f"`{app.op}` moves its window by {windows.stride} over {moved}: cannot tell how much remains",
            app.span,
            others=labels([app["x"]]),
        )

    steps = rounded_down(app, moved, windows.stride, app.span, refuse_rest)
    return steps if steps.variable is HOLE else steps + 1


def _pair(app: Application, name: str, least: int) -> tuple[Polynomial, Polynomial]:
    """One number for both spatial dims, or one for each."""
    argument = app[name]
    if isinstance(argument.type, IntType):
        number = require_at_least(app, name, least)
        return number, number
    numbers = app.sizes(name) if app.given(name) else ()
    if len(numbers) != 2:
        app.demands.fail("TL2001", f"`{name}` of `{app.op}` is an int or a pair of ints", argument.span)
    for number in numbers:
        require_number(app, number, least, argument, f"a number in `{name}` of `{app.op}`")
    first, second = numbers
    return first, second


# --- convolution


def conv1d(app: Application) -> Type:
    """`[N, L', O]`."""
    x, weight = app.tensor("x"), app.tensor("weight")
    n, length, _ = x.shape.dims
    outputs, _, kernel = weight.shape.dims
    _require_groups(app, x, weight)
    numbers = (require_at_least(app, name, least) for name, least in _LEAST)
    return TensorType(x.element, Shape(None, (n, _places(app, length, _Windows(kernel, *numbers)), outputs)))


def conv2d(app: Application) -> Type:
    """`[N, H', W', O]`."""
    x, weight = app.tensor("x"), app.tensor("weight")
    n, height, width, _ = x.shape.dims
    outputs, _, *kernel = weight.shape.dims
    _require_groups(app, x, weight)
    by_dim = zip(*(_pair(app, name, least) for name, least in _LEAST), strict=True)
    rows, columns = (
        _places(app, size, _Windows(k, *numbers))
        for size, k, numbers in zip((height, width), kernel, by_dim, strict=True)
    )
    return TensorType(x.element, Shape(None, (n, rows, columns, outputs)))


_LEAST = (("stride", 1), ("padding", 0), ("dilation", 1))
"""The numbers of a convolution besides its kernel, and the least that each can be."""


def _require_groups(app: Application, x: TensorType, weight: TensorType) -> None:
    """The channels of `x` and the outputs are dealt out to the groups evenly."""
    groups = require_at_least(app, "groups", 1)
    channels, outputs, own = x.shape.dims[-1], weight.shape.dims[0], weight.shape.dims[1]

    def refuse() -> NoReturn:
        in_groups = "" if groups == ONE else f", {groups} groups of it make {own * groups}"
        app.demands.fail(
            "TL3003",
            f"`weight` of `{app.op}` takes {own} channels{in_groups}, `x` has {channels}",
            app.span,
            others=labels([app["x"], app["weight"]]),
            notes=["`x` has its channels last, `weight` is [outputs, channels of a group, kernel...]"],
        )

    def refuse_outputs() -> NoReturn:
        app.demands.fail(
            "TL3012",
            f"{outputs} outputs of `{app.op}` are not {divisibly(outputs, groups)}divisible by {groups} groups",
            app.span,
            others=labels([app["weight"]]),
        )

    message = f"`weight` of `{app.op}` takes {{0}} channels, with all groups; `x` has {{1}}"
    app.demands.require_equal(own * groups, channels, app.span, message, refuse)
    if groups != ONE:
        message = f"{{0}} outputs of `{app.op}` are not divisible by {{1}} groups"
        app.demands.require_divisible(outputs, groups, app.span, message, refuse_outputs)


# --- pooling


def pool2d(app: Application) -> Type:
    """`[N, H', W', C]`. Without a stride the windows stand side by side."""
    x = app.tensor("x")
    n, height, width, channels = x.shape.dims
    kernel = _pair(app, "kernel", 1)
    stride = _pair(app, "stride", 1) if app.given("stride") else kernel
    padding = _pair(app, "padding", 0)
    sizes: list[Polynomial] = []
    for size, k, s, p in zip((height, width), kernel, stride, padding, strict=True):
        _require_half(app, k, p)
        sizes.append(_places(app, size, _Windows(k, s, p, ONE)))
    return TensorType(x.element, Shape(None, (n, *sizes, channels)))


def _require_half(app: Application, kernel: Polynomial, padding: Polynomial) -> None:
    """A window that lies in the padding alone would hold nothing."""

    def refuse() -> NoReturn:
        app.demands.fail(
            "TL3018",
            f"`padding` of `{app.op}` is {padding}: it is at most half of the kernel, which is {kernel}",
            app["padding"].span,
        )

    message = f"`{app.op}` with a kernel of {{0}}: twice its padding, {{1}}, is more than that"
    app.demands.require_nonnegative(kernel, padding * 2, app["padding"].span, message, refuse)


# --- attention


def attention(app: Application) -> Type:
    """`[B, H, L, E]`; a mask broadcasts to the scores, `[B, H, L, S]`."""
    q, k, v = (app.tensor(name) for name in ("q", "k", "v"))
    batch, heads, queries, _ = q.shape.dims
    keys = k.shape.dims[2]
    if app["causal"].type != BoolType(False):
        _require_past(app, queries, keys)
    if app.given("window"):
        _check_window(app)
    if app.given("soft_cap"):
        _check_soft_cap(app)
    if app.given("mask"):
        _check_mask(app, q, (batch, heads, queries, keys))
    return TensorType(q.element, Shape(None, (batch, heads, queries, v.shape.dims[-1])))


def _require_past(app: Application, queries: Polynomial, keys: Polynomial) -> None:
    """The last query sees the last key, so with fewer keys than queries the first queries would see none."""

    def refuse() -> NoReturn:
        false = app.demands.provably_different(keys, queries)
        app.demands.fail(
            "TL3018",
            "causal attention needs at least as many keys as queries: "
            + (f"{queries} is more than {keys}" if false else f"cannot prove {queries} <= {keys}"),
            app.span,
            others=labels([app["q"], app["k"]]),
        )

    message = "causal attention needs at least as many keys as queries: {0} keys, {1} queries"
    app.demands.require_nonnegative(keys, queries, app.span, message, refuse)


def _check_window(app: Application) -> None:
    refuse_optional(app, "window")
    require_at_least(app, "window", 1)
    if app["causal"].type == BoolType(False):
        message = "a `window` of `attention` goes with `causal: true`"
        app.demands.fail("TL2004", message, app["window"].span)


def _check_soft_cap(app: Application) -> None:
    cap = app["soft_cap"].type
    if isinstance(cap, FloatType) and cap.high <= 0:
        message = f"the `soft_cap` of `attention` is above 0, not {cap.high:g}"
        app.demands.fail("TL3018", message, app["soft_cap"].span)


def _check_mask(app: Application, q: TensorType, scores: tuple[Polynomial, ...]) -> None:
    argument = app["mask"]
    app.known_rank(argument)
    mask = argument.type.item if isinstance(argument.type, OptionalType) else argument.type
    assert isinstance(mask, TensorType)
    if mask.element.kind != "bool" and mask.element != q.element:
        app.demands.fail(
            "TL2002",
            f"`mask` of `attention` is bool, or {q.element} to be added to the scores; not {mask.element}",
            argument.span,
            str(mask),
        )
    if mask.shape.pack is not None or len(mask.shape.dims) > 4:
        app.demands.fail(
            "TL3005",
            f"`mask` of `attention` broadcasts to {Shape(None, scores)}: it has at most four dims",
            argument.span,
            str(mask),
        )
    for axis in range(-len(mask.shape.dims), 0):
        _require_score(app, mask.shape.dims[axis], scores, axis)


def _require_score(app: Application, size: Polynomial, scores: tuple[Polynomial, ...], axis: int) -> None:
    if app.demands.provably_equal(size, ONE):
        return

    def refuse() -> NoReturn:
        app.demands.fail(
            "TL3002",
            f"`mask` of `attention` broadcasts to {Shape(None, scores)}: at axis {axis}, {size} is not {scores[axis]}",
            app["mask"].span,
            str(app["mask"].type),
            others=labels([app["q"], app["k"]]),
        )

    message = f"`mask` of `attention` at axis {axis}: {{0}} is not {{1}}"
    app.demands.require_equal(size, scores[axis], app["mask"].span, message, refuse)


# --- rotary positions, dropout


def rope(app: Application) -> Type:
    """The type of `x`; the dims that are rotated are pairs."""
    x = app.tensor("x")
    width = x.shape.dims[-1]
    refuse_optional(app, "dims")
    rotated = require_at_least(app, "dims", 2) if app.given("dims") else width
    argument = app["dims"] if app.given("dims") else app["x"]

    two = Polynomial.of(2)

    def refuse_odd() -> NoReturn:
        app.demands.fail(
            "TL3012",
            f"`rope` rotates pairs: {rotated} is not {divisibly(rotated, two)}even",
            argument.span,
        )

    def refuse_excess() -> NoReturn:
        app.demands.fail(
            "TL3018",
            f"`rope` rotates {rotated} of {width} dims: there are not {provably(app, width, rotated)}so many",
            argument.span,
            others=labels([app["x"]] if argument is not app["x"] else []),
        )

    app.demands.require_divisible(
        rotated, two, argument.span, "`rope` rotates pairs: {0} is not divisible by {1}", refuse_odd
    )
    if rotated != width:
        message = "`rope` cannot rotate {1} of {0} dims"
        app.demands.require_nonnegative(width, rotated, argument.span, message, refuse_excess)
    if app.given("periods"):
        _require_periods(app, rotated)
    return x


def _require_periods(app: Application, rotated: Polynomial) -> None:
    """A period for each pair that is rotated."""
    (count,) = app.tensor("periods").shape.dims
    span = app["periods"].span

    def refuse() -> NoReturn:
        half = f"{provably(app, rotated, count)}half as many"
        app.demands.fail(
            "TL3003",
            f"`rope` rotates {rotated} dims in pairs: {count} periods are not {half}",
            span,
            others=labels([app["x"]]),
        )

    message = "`rope` rotates {1} dims in pairs, and twice the number of periods is {0}"
    app.demands.require_equal(count * Polynomial.of(2), rotated, span, message, refuse)


def dropout(app: Application) -> Type:
    """The type of `x`; a rate that is known lies in 0...1, without 1."""
    rate = app["rate"].type
    assert isinstance(rate, FloatType)
    if rate.high < 0 or rate.low >= 1:
        app.demands.fail(
            "TL3018",
            f"the rate of `dropout` is at least 0 and less than 1, not {rate.low:g}",
            app["rate"].span,
        )
    return app.tensor("x")
