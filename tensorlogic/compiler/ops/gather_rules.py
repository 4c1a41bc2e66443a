"""Shapes of what joins, parts and picks: `concat stack split take gather scatter slice_update`.

Takes tensors of known rank, lists of tensors of known length, and tensors of int32 as indices. Promises the exact shape
of the result. Indices are the values' matter (clamped, or reported): a rule demands only that there is something to
index. Sizes that do not fit are TL3015 for joining and parting, TL3003 for picking; host starts that may leave the
tensor are TL3007, or checked when the program runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from tensorlogic.compiler.dims import ONE, ZERO, Polynomial, total
from tensorlogic.compiler.ops.broadcast import labels, name_of, shape_of
from tensorlogic.compiler.ops.rule import Application, Argument, divisibly, provably
from tensorlogic.compiler.ops.shape_rules import same_dims, with_dim
from tensorlogic.compiler.ops.sizes import require_size
from tensorlogic.compiler.types import IntType, Shape, TensorType, TupleType, Type

_MOST_PARTS = 4096

# --- joining


def concat(app: Application) -> Type:
    """The sizes along the axis added; all others are equal."""
    first, tensors = _tensors(app)
    axis = app.axis("axis", first.shape)
    count = len(first.shape.dims)
    for i, other in enumerate(tensors[1:], 1):
        for at in range(-count, 0):
            if at != axis:
                _require_same(app, first.shape.dims[at], other.shape.dims[at], at, i)
    joined = total(t.shape.dims[axis] for t in tensors)
    return TensorType(first.element, with_dim(first.shape, axis, joined))


def stack(app: Application) -> Type:
    """A new dim that counts the tensors, whose shapes are equal."""
    first, tensors = _tensors(app)
    axis = app.axis_of(app.constant_int("axis"), first.shape, app["axis"], extra=1)
    count = len(first.shape.dims)
    for i, other in enumerate(tensors[1:], 1):
        for at in range(-count, 0):
            _require_same(app, first.shape.dims[at], other.shape.dims[at], at, i)
    place = count + 1 + axis
    dims = (*first.shape.dims[:place], Polynomial.of(len(tensors)), *first.shape.dims[place:])
    return TensorType(first.element, Shape(first.shape.pack, dims))


def _tensors(app: Application) -> tuple[TensorType, list[TensorType]]:
    """The types of a list's tensors, which agree in rank, pack and element type."""
    argument = app["tensors"]
    items = app.items("tensors")
    if items is None:
        app.demands.fail(
            "TL3015",
            f"how many tensors `{app.op}` joins must be known while compiling",
            argument.span,
            str(argument.type),
            helps=[f"write them out: `{app.op}([a, b])`"],
        )
    if not items:
        app.demands.fail("TL3015", f"`{app.op}` joins at least one tensor", argument.span)
    tensors: list[TensorType] = []
    for i, item in enumerate(items):
        if not isinstance(item, TensorType):
            app.demands.fail("TL2001", f"`{app.op}` joins tensors; item {i} is {item}", argument.span)
        if item.shape.pack is not None and item.shape.pack.unknown:
            app.demands.fail("TL3017", f"`{app.op}` needs to know how many dims item {i} has", argument.span, str(item))
        tensors.append(item)
    first = tensors[0]
    for i, other in enumerate(tensors[1:], 1):
        _require_alike(app, first, other, i)
    return first, tensors


def _require_alike(app: Application, first: TensorType, other: TensorType, i: int) -> None:
    span = app["tensors"].span
    assert other.element == first.element, "the list's items fit the declared type"
    if other.shape.pack is not first.shape.pack:
        app.demands.fail(
            "TL3013",
            f"`{app.op}` cannot join {first} and {other}",
            span,
            notes=["nothing says that their leading dims are equal"],
        )
    if len(other.shape.dims) != len(first.shape.dims):
        app.demands.fail(
            "TL3015",
            f"`{app.op}` joins tensors of one rank: item 0 is {first}, item {i} is {other}",
            span,
        )


def _require_same(app: Application, p: Polynomial, q: Polynomial, axis: int, i: int) -> None:
    items = app.items("tensors")
    assert items is not None

    def refuse() -> NoReturn:
        except_axis = " except along its axis" if app.op == "concat" else ""
        app.demands.fail(
            "TL3015",
            f"`{app.op}` needs equal dims{except_axis}: at axis {axis}, item 0 has {p}, item {i} has {q}",
            app["tensors"].span,
            ", ".join(map(str, items)),
        )

    message = f"`{app.op}` needs equal sizes at axis {axis}: {{0}} in item 0, {{1}} in item {i}"
    app.demands.require_equal(p, q, app["tensors"].span, message, refuse)


# --- parting


def split(app: Application) -> Type:
    """A tuple: of parts with the sizes given, or of so many equal ones."""
    x = app.tensor("x")
    axis = app.axis("axis", x.shape)
    size = x.shape.dims[axis]
    if isinstance(app["sizes"].type, IntType):
        part = _equal_part(app, size)
        parts = (part,) * app.constant_int("sizes")
    else:
        parts = _parts(app, size)
    return TupleType(tuple(TensorType(x.element, with_dim(x.shape, axis, p)) for p in parts))


def _equal_part(app: Application, size: Polynomial) -> Polynomial:
    argument = app["sizes"]
    count = app.constant_int("sizes")
    if not 1 <= count <= _MOST_PARTS:
        app.demands.fail("TL3015", f"`split` makes 1 to {_MOST_PARTS} parts, not {count}", argument.span)

    def refuse() -> NoReturn:
        app.demands.fail(
            "TL3015",
            f"{size} is not {divisibly(size, Polynomial.of(count))}divisible into {count} equal parts",
            argument.span,
            others=labels([app["x"]]),
        )

    message = f"`split` of {name_of(app['x'])}: {{0}} cannot be split into {{1}} equal parts"
    return app.demands.require_divisible(size, Polynomial.of(count), argument.span, message, refuse)


def _parts(app: Application, size: Polynomial) -> tuple[Polynomial, ...]:
    argument = app["sizes"]
    if not app.given("sizes"):
        app.demands.fail("TL2001", "`split` needs the sizes of the parts, or their number", argument.span)
    parts = app.sizes("sizes")
    if not parts:
        app.demands.fail("TL3015", "`split` makes at least one part", argument.span)
    for part in parts:
        require_size(app, part, argument)
    whole = total(parts)

    def refuse() -> NoReturn:
        app.demands.fail(
            "TL3015",
            f"the parts of `split` make {whole}, the dim is {size}",
            argument.span,
            others=labels([app["x"]]),
        )

    message = f"`split` of {name_of(app['x'])}: the parts make {{0}}, the dim is {{1}}"
    app.demands.require_equal(whole, size, argument.span, message, refuse)
    return parts


# --- picking


def require_rows(app: Application, size: Polynomial) -> None:
    """Demand something to pick from: indices are clamped to 0...N-1, and there is none for N = 0."""

    def refuse() -> NoReturn:
        app.demands.fail(
            "TL3016",
            f"`{app.op}` picks from a dim that " + ("is 0" if size.constant == 0 else f"may be 0: `{size}`"),
            app.span,
            others=labels([app["x"]]),
        )

    message = f"`{app.op}` picks from a dim of {name_of(app['x'])} of size {{0}}: it must be at least {{1}}"
    app.demands.require_nonnegative(size, ONE, app.span, message, refuse)


def take(app: Application) -> Type:
    """The dims of the indices in place of the axis."""
    x, ids = app.tensor("x"), app.tensor("ids")
    axis = app.axis("axis", x.shape)
    require_rows(app, x.shape.dims[axis])
    place = len(x.shape.dims) + axis
    before, after = x.shape.dims[:place], x.shape.dims[place + 1 :]
    if ids.shape.pack is not None and (x.shape.pack is not None or before):
        app.demands.fail(
            "TL3013",
            f"`take` would put `{ids.shape.pack}` behind other dims",
            app.span,
            others=labels([app["x"], app["ids"]]),
            notes=["a pack comes first in a shape"],
        )
    return TensorType(x.element, Shape(x.shape.pack or ids.shape.pack, (*before, *ids.shape.dims, *after)))


def gather(app: Application) -> Type:
    """The shape of the indices: they are looked up along one axis, at their own place in the others."""
    x, ids = app.tensor("x"), app.tensor("ids")
    axis = app.axis("axis", x.shape)
    _require_same_rank(app, app["x"], app["ids"])
    others = [i for i in range(-len(x.shape.dims), 0) if i != axis]
    same_dims(app, "TL3003", app["x"], app["ids"], others, "`gather` needs equal dims except along its axis")
    require_rows(app, x.shape.dims[axis])
    return TensorType(x.element, ids.shape)


def scatter(app: Application) -> Type:
    """The shape of `x`."""
    x = app.tensor("x")
    axis = app.axis("axis", x.shape)
    _require_same_rank(app, app["x"], app["ids"])
    _require_same_rank(app, app["ids"], app["values"])
    everywhere = range(-len(x.shape.dims), 0)
    others = [i for i in everywhere if i != axis]
    same_dims(app, "TL3003", app["x"], app["ids"], others, "`scatter` needs equal dims except along its axis")
    same_dims(app, "TL3003", app["ids"], app["values"], everywhere, "`scatter` needs one value for each index")
    require_rows(app, x.shape.dims[axis])
    return x


def _require_same_rank(app: Application, first: Argument, second: Argument) -> None:
    a, b = shape_of(app, first), shape_of(app, second)
    if a.pack is not b.pack:
        app.demands.fail(
            "TL3013",
            f"`{app.op}` needs the same leading dims in {name_of(first)} and {name_of(second)}",
            app.span,
            others=labels([first, second]),
        )
    if len(a.dims) != len(b.dims):
        app.demands.fail(
            "TL3005",
            f"`{app.op}` needs the same rank in {name_of(first)} and {name_of(second)}",
            app.span,
            others=labels([first, second]),
        )


def slice_update(app: Application) -> Type:
    """The shape of `x`, in which the update lies as a whole."""
    x, starts = app.tensor("x"), app["starts"]
    _require_same_rank(app, app["x"], app["update"])
    update = shape_of(app, app["update"])
    numbers = app.sizes("starts")
    if len(numbers) != len(x.shape.dims):
        after = f" after `{x.shape.pack}`" if x.shape.pack is not None else ""
        app.demands.fail(
            "TL3005",
            f"`slice_update` takes a start for each dim: {len(x.shape.dims)}{after}, not {len(numbers)}",
            starts.span,
            others=labels([app["x"]]),
        )
    for axis in range(-len(numbers), 0):
        _require_inside(app, numbers[axis], update.dims[axis], x.shape.dims[axis], axis)
    return x


def _require_inside(app: Application, start: Polynomial, length: Polynomial, size: Polynomial, axis: int) -> None:
    """`0 <= start` and `start + length <= size`."""
    span = app["starts"].span
    stop = start + length

    def refusing(p: Polynomial, q: Polynomial) -> Callable[[], NoReturn]:
        return lambda: app.demands.fail(
            "TL3007",
            f"{start}:{stop} does not {provably(app, p, q)}lie inside {size} at axis {axis}",
            span,
            others=labels([app["x"], app["update"]]),
        )

    message = f"`slice_update` of {name_of(app['x'])} at axis {axis} starts at {{0}}: it must be at least {{1}}"
    app.demands.require_nonnegative(start, ZERO, span, message, refusing(start, ZERO))
    message = f"`slice_update` of {name_of(app['x'])} at axis {axis}, of size {{0}}, would end at {{1}}"
    app.demands.require_nonnegative(size, stop, span, message, refusing(size, stop))
