"""Shapes made from one tensor's: reshaping, axes moved, added, removed and repeated, padding, conversion.

Takes tensors of known rank and sizes, axes and permutations as host ints. Promises the exact shape of the result; what
must hold for it (equal products, sizes of 1, numbers that can be sizes) is demanded. A pack of leading dims stays in
front: only the dims after it are named, from the right. Refuses what would need to name or count the dims of a pack.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from tensorlogic.compiler.dims import ONE, Polynomial, product
from tensorlogic.compiler.ops.broadcast import labels, name_of, postfix_text, shape_of
from tensorlogic.compiler.ops.rule import Application, Argument, divisibly
from tensorlogic.compiler.ops.sizes import require_at_least, require_size
from tensorlogic.compiler.types import IntType, OptionalType, Shape, TensorType, TupleType, Type


def refuse_optional(app: Application, name: str) -> None:
    """Refuse an optional that is not known to be there; `none` itself is fine."""
    argument = app[name]
    if not isinstance(argument.type, OptionalType):
        return
    text = argument.span.text
    app.demands.fail(
        "TL2009",
        f"`{name}` of `{app.op}` may be none here: it is {argument.type}",
        argument.span,
        helps=[f"test `if {text} != none {{ ... }}` first"],
    )


def with_dim(shape: Shape, axis: int, size: Polynomial) -> Shape:
    """The shape with another size at an axis counted from the right."""
    dims = list(shape.dims)
    dims[axis] = size
    return Shape(shape.pack, tuple(dims))


def refuse_pack(app: Application, argument: Argument, shape: Shape, help: str) -> None:
    """Refuse a shape whose pack the op would have to name."""
    if shape.pack is None:
        return
    app.demands.fail(
        "TL3013",
        f"`{app.op}` cannot name the dims of `{shape.pack}`",
        argument.span,
        str(argument.type),
        notes=[f"`{shape.pack}` stands for any number of dims"],
        helps=[help],
    )


# --- other sizes


def reshape(app: Application) -> Type:
    """The sizes given; one of -1 is what the others leave of the number of items."""
    x, target = app.tensor("x"), app["shape"]
    refuse_pack(
        app, app["x"], x.shape, '`rearrange(x, "... (h k) -> ... h k", h: 4)` keeps the leading dims as they are'
    )
    sizes = app.sizes("shape")
    open_places = [i for i, size in enumerate(sizes) if size.constant == -1]
    if len(open_places) > 1:
        app.demands.fail("TL3009", "only one size of a reshape can be -1", target.span)
    given = [size for i, size in enumerate(sizes) if i not in open_places]
    for size in given:
        require_size(app, size, target)
    count = product(x.shape.dims)
    if not open_places:
        _require_items(app, count, product(given))
        return TensorType(x.element, Shape(None, sizes))
    missing = _remaining(app, count, product(given))
    i = open_places[0]
    return TensorType(x.element, Shape(None, (*sizes[:i], missing, *sizes[i + 1 :])))


def _require_items(app: Application, count: Polynomial, wanted: Polynomial) -> None:
    def refuse() -> NoReturn:
        app.demands.fail(
            "TL3009",
            f"{name_of(app['x'])} has {count} items, the new shape {wanted}",
            app["shape"].span,
            others=labels([app["x"]]),
        )

    message = f"`{app.op}` of {name_of(app['x'])}: {{0}} items cannot take a shape of {{1}}"
    app.demands.require_equal(count, wanted, app["shape"].span, message, refuse)


def _remaining(app: Application, count: Polynomial, given: Polynomial) -> Polynomial:
    """What a size of -1 stands for."""
    span = app["shape"].span

    def refuse_zero() -> NoReturn:
        app.demands.fail(
            "TL3009",
            f"-1 cannot be told: the other sizes make {given}" + ("" if given.constant == 0 else ", which may be 0"),
            span,
            others=labels([app["x"]]),
            helps=["write the size instead of -1"],
        )

    def refuse() -> NoReturn:
        app.demands.fail(
            "TL3009",
            f"-1 cannot be told: {count} items are not {divisibly(count, given)}divisible by {given}",
            span,
            others=labels([app["x"]]),
        )

    message = f"`{app.op}` of {name_of(app['x'])}: -1 cannot be told where the other sizes make {{0}}"
    app.demands.require_nonnegative(given, ONE, span, message, refuse_zero)
    message = f"`{app.op}` of {name_of(app['x'])}: {{0}} items are not divisible by the other sizes, which make {{1}}"
    return app.demands.require_divisible(count, given, span, message, refuse)


def broadcast_to(app: Application) -> Type:
    """The shape given, with which the tensor's dims meet from the right: equal, or 1."""
    x, target = app.tensor("x"), app["shape"]
    refuse_pack(app, app["x"], x.shape, "an element-wise operator broadcasts it: `x + zeros(...)`")
    sizes = app.sizes("shape")
    for size in sizes:
        require_size(app, size, target)
    if len(sizes) < len(x.shape.dims):
        app.demands.fail(
            "TL3005",
            f"{name_of(app['x'])} has {len(x.shape.dims)} dims, the shape to broadcast to only {len(sizes)}",
            target.span,
            others=labels([app["x"]]),
        )
    for axis in range(-len(x.shape.dims), 0):
        _require_broadcast(app, x.shape.dims[axis], sizes[axis], axis)
    return TensorType(x.element, Shape(None, sizes))


def _require_broadcast(app: Application, size: Polynomial, wanted: Polynomial, axis: int) -> None:
    if app.demands.provably_equal(size, ONE):
        return

    def refuse() -> NoReturn:
        app.demands.fail(
            "TL3002",
            f"`broadcast_to` cannot make {size} into {wanted} at axis {axis}",
            app["shape"].span,
            others=labels([app["x"]]),
            notes=["a dim is broadcast only where it is 1"],
        )

    message = f"`broadcast_to` of {name_of(app['x'])} at axis {axis}: {{0}} is not {{1}}"
    app.demands.require_equal(size, wanted, app["shape"].span, message, refuse)


def repeat(app: Application) -> Type:
    """Each item `n` times along an axis."""
    x = app.tensor("x")
    axis = app.axis("axis", x.shape)
    count = require_at_least(app, "n", 0)
    return TensorType(x.element, with_dim(x.shape, axis, x.shape.dims[axis] * count))


def tile(app: Application) -> Type:
    """The whole tensor repeated; the numbers are for the last dims, further ones make new dims in front."""
    x, target = app.tensor("x"), app["reps"]
    counts = app.sizes("reps")
    if len(counts) > len(x.shape.dims):
        refuse_pack(app, app["x"], x.shape, f"give at most {len(x.shape.dims)} numbers")
    for count in counts:
        require_size(app, count, target)
    width = max(len(counts), len(x.shape.dims))
    sizes = (ONE,) * (width - len(x.shape.dims)) + x.shape.dims
    times = (ONE,) * (width - len(counts)) + counts
    return TensorType(x.element, Shape(x.shape.pack, tuple(s * n for s, n in zip(sizes, times, strict=True))))


def pad(app: Application) -> Type:
    """Each dim (after a pack) longer by a pair of numbers."""
    x, widths = app.tensor("x"), app["widths"]
    refuse_optional(app, "value")
    pairs = app.items("widths")
    if pairs is None:
        app.must_be_constant(widths)
    if len(pairs) != len(x.shape.dims):
        after = f" after `{x.shape.pack}`" if x.shape.pack is not None else ""
        app.demands.fail(
            "TL3005",
            f"`pad` takes a pair for each dim: {len(x.shape.dims)}{after}, not {len(pairs)}",
            widths.span,
            others=labels([app["x"]]),
        )
    sizes: list[Polynomial] = []
    for size, pair in zip(x.shape.dims, pairs, strict=True):
        before, after_it = _pair(pair)
        require_size(app, before, widths)
        require_size(app, after_it, widths)
        sizes.append(before + size + after_it)
    return TensorType(x.element, Shape(x.shape.pack, tuple(sizes)))


def _pair(type: Type) -> tuple[Polynomial, Polynomial]:
    assert isinstance(type, TupleType)
    before, after = (item.value if isinstance(item, IntType) else None for item in type.items)
    assert before is not None
    assert after is not None
    return before, after


# --- axes


def permute(app: Application) -> Type:
    """The dims in another order; a pack stays in front."""
    x = app.tensor("x")
    if not app.given("axes"):
        refuse_pack(app, app["x"], x.shape, "name the axes after it from the right: `transpose(x, [-1, -2])`")
        return TensorType(x.element, Shape(None, x.shape.dims[::-1]))
    axes = app.axes("axes", x.shape)
    if len(axes) != len(x.shape.dims):
        after = f" after `{x.shape.pack}`" if x.shape.pack is not None else ""
        app.demands.fail(
            "TL3008",
            f"`{app.op}` names each axis once: {len(x.shape.dims)}{after}, not {len(axes)}",
            app["axes"].span,
            others=labels([app["x"]]),
        )
    return TensorType(x.element, Shape(x.shape.pack, tuple(x.shape.dims[axis] for axis in axes)))


def transpose_last(app: Application) -> Type:
    """The last two dims swapped."""
    x = app.tensor("x")
    if len(x.shape.dims) < 2:
        packed = x.shape.pack is not None
        text = postfix_text(app["x"].span).removesuffix(".T")
        app.demands.fail(
            "TL3005",
            "`.T` swaps the last two dims: this tensor " + ("may have fewer" if packed else "has fewer"),
            app["x"].span,
            str(x),
            helps=[f"`{text}[:, none]` is a column"] if x.shape.rank == 1 else [],
        )
    *leading, a, b = x.shape.dims
    return TensorType(x.element, Shape(x.shape.pack, (*leading, b, a)))


def squeeze(app: Application) -> Type:
    """Axes of size 1 removed."""
    x = app.tensor("x")
    axes = app.axes("axis", x.shape)
    for axis in axes:
        _require_one(app, x.shape.dims[axis], axis)
    count = len(x.shape.dims)
    kept = tuple(size for i, size in enumerate(x.shape.dims) if i - count not in axes)
    return TensorType(x.element, Shape(x.shape.pack, kept))


def _require_one(app: Application, size: Polynomial, axis: int) -> None:
    def refuse() -> NoReturn:
        app.demands.fail(
            "TL3009",
            f"`squeeze` removes dims of size 1: this one is {size}",
            app["axis"].span,
            others=labels([app["x"]]),
        )

    message = f"`squeeze` of {name_of(app['x'])} at axis {axis}, which has the size {{0}}: it must be {{1}}"
    app.demands.require_equal(size, ONE, app["axis"].span, message, refuse)


def unsqueeze(app: Application) -> Type:
    """A new dim of size 1, at an axis of the result."""
    x = app.tensor("x")
    axis = app.axis_of(app.constant_int("axis"), x.shape, app["axis"], extra=1)
    place = len(x.shape.dims) + 1 + axis
    return TensorType(x.element, Shape(x.shape.pack, (*x.shape.dims[:place], ONE, *x.shape.dims[place:])))


def flip(app: Application) -> Type:
    """The same shape; the axes are checked."""
    x = app.tensor("x")
    if app.given("axis"):
        app.axes("axis", x.shape)
    return x


def same_shape_along_axis(app: Application) -> Type:
    """The type of `x`; `axis` is one of its axes."""
    x = app.tensor("x")
    app.axis("axis", x.shape)
    return x


# --- element types


def astype(app: Application) -> Type:
    """The shape of `x`, whatever its rank, with another element type."""
    type = app["x"].type
    assert isinstance(type, TensorType)
    return TensorType(app.dtype("dtype"), type.shape)


def same_dims(
    app: Application, code: str, first: Argument, second: Argument, axes: Sequence[int], message: str
) -> None:
    """Demand equal sizes of two arguments at axes counted from the right."""
    a, b = shape_of(app, first), shape_of(app, second)
    for axis in axes:
        p, q = a.dims[axis], b.dims[axis]

        def refuse(p: Polynomial = p, q: Polynomial = q, axis: int = axis) -> NoReturn:
            app.demands.fail(
                code,
                f"{message}: at axis {axis}, {p} is not {q}",
                app.span,
                others=labels([first, second]),
            )

        told = f"{message}: at axis {axis}, {name_of(first)} has {{0}} and {name_of(second)} {{1}}"
        app.demands.require_equal(p, q, app.span, told, refuse)
