"""Operations of generated programs that compute: element-wise, matrix products, reductions, made tensors.

Each takes a scope and gives an expression with the element type and the shape that language.md says it has. The shape
rules here are written anew from the contract: they are what the compiler's are compared with.
"""

from __future__ import annotations

from tests.properties.scope import NotApplicable, Operation, Scope, Tensor
from tests.properties.sizes import ONE, Shape, Size, broadcast, shape, size

UNARY = (
    *(f"{name}({{0}})" for name in ("relu", "tanh", "sigmoid", "exp", "abs", "silu", "gelu", "square", "softplus")),
    *(f"{name}({{0}})" for name in ("erf", "floor", "sign", "sin")),
    "-{0}",
    "{0} * 0.5",
    "2 - {0}",
    "{0} / 1.5",
    "{0} ** 2",
    "{0}.tanh()",
    "clip({0}, -1, 1)",
    "softmax({0}, axis: {axis})",
    "log_softmax({0}, axis: {axis})",
    "cumsum({0}, axis: {axis})",
    "sort({0}, axis: {axis})",
    "flip({0}, axis: {axis})",
    "roll({0}, 1, axis: {axis})",
    "layer_norm({0})",
    "rms_norm({0}, eps: 1e-3)",
    "dropout({0}, 0.5, 3)",
)
"""Expressions of the shape of their operand; those with an axis, and the norms, need a dim."""

BINARY = ("+", "-", "*", "/")
CHOOSING = ("maximum", "minimum")
COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")


def same_shape(s: Scope, x: Tensor) -> Tensor:
    """Something of the shape of a float tensor."""
    normed = x.shape.rank > 0 and s.at_least(x.shape.sizes[-1], 1)
    pattern = s.pick([p for p in UNARY if ("{axis}" not in p or x.shape.rank) and ("norm" not in p or normed)])
    axis = s.axis(x.shape) if "{axis}" in pattern else 0
    return Tensor(pattern.format(x.text, axis=axis), x.element, x.shape)


def unary(s: Scope) -> Tensor:
    return same_shape(s, s.floats())


def scaled(s: Scope) -> Tensor:
    """A tensor and a dim as a number."""
    x = s.floats()
    name = s.pick(list(s.numbered))
    return Tensor(s.pick((f"{x.text} / sqrt({name})", f"{x.text} * {name}", f"{name} + {x.text}")), x.element, x.shape)


def binary(s: Scope) -> Tensor:
    x = s.floats()
    y, met = s.pick(s.meeting(x, lambda other: other.element == x.element))
    if s.chance():
        x, y = y, x
    if s.chance():
        return Tensor(f"{s.pick(CHOOSING)}({x.text}, {y.text})", x.element, met)
    return Tensor(f"{x.text} {s.pick(BINARY)} {y.text}", x.element, met)


def comparison(s: Scope) -> Tensor:
    x = s.floats()
    y, met = s.pick(s.meeting(x, lambda other: other.element == x.element))
    return Tensor(f"{x.text} {s.pick(COMPARISONS)} {y.text}", "bool", met)


def mask(s: Scope) -> Tensor:
    m = s.tensor(lambda value: value.element == "bool")
    if s.chance():
        return Tensor(f"~{m.text}", "bool", m.shape)
    n, met = s.pick(s.meeting(m, lambda other: other.element == "bool"))
    return Tensor(f"{m.text} {s.pick(('&', '|'))} {n.text}", "bool", met)


def chosen(s: Scope) -> Tensor:
    """`where(mask, a, b)`, in which three shapes meet."""
    m = s.tensor(lambda value: value.element == "bool")
    x, met = s.pick(s.meeting(m, lambda other: other.is_float))
    others = [
        (y.text, both) for y in s.values if y.element == x.element and (both := broadcast(met, y.shape)) is not None
    ]
    text, both = s.pick([("0", met), *others])
    return Tensor(f"where({m.text}, {x.text}, {text})", x.element, both)


def converted(s: Scope) -> Tensor:
    x = s.floats()
    element = s.pick(("float16", "float32"))
    return Tensor(f"{x.text}.to({element})", element, x.shape)


# --- products


def matmul(s: Scope) -> Tensor:
    x = s.floats(lambda a: a.rank >= 1)
    found: list[tuple[str, Shape]] = []
    for y in reversed(s.values):
        if y.element != x.element or not y.shape.rank:
            continue
        for text, other in ((y.text, y.shape), (f"{y.text}.T", _swapped(y.shape))):
            result = product_shape(x.shape, other) if other is not None else None
            if result is not None:
                found.append((text, result))
    text, result = s.pick(found)
    return Tensor(f"{x.text} @ {text}", x.element, result)


def _swapped(a: Shape) -> Shape | None:
    return a.with_sizes((*a.sizes[:-2], a.sizes[-1], a.sizes[-2])) if a.rank >= 2 else None


def product_shape(a: Shape, b: Shape) -> Shape | None:
    """The shape of `a @ b`, None where it is none."""
    if a.pack is not None and b.pack != a.pack and (b.pack is not None or b.rank > 2):
        return None
    if a.pack is None and b.pack is not None:
        return None
    if b.pack is not None and (a.rank < 2 or b.rank < 2):
        return None
    inner = b.sizes[-2] if b.rank > 1 else b.sizes[-1]
    if a.sizes[-1] != inner:
        return None
    rows, columns = a.sizes[-2:-1], b.sizes[-1:] if b.rank > 1 else ()
    batches = broadcast(Shape(a.pack, a.sizes[:-2]), Shape(b.pack, b.sizes[:-2]))
    return None if batches is None else batches.with_sizes((*batches.sizes, *rows, *columns))


def surely(s: Scope, a: Shape) -> bool:
    """Whether every size is at least 1, as a dimension variable must be."""
    return all(s.at_least(n, 1) for n in a.sizes)


# --- reductions


def reduction(s: Scope) -> Tensor:
    x = s.tensor(lambda value: value.element != "int32")
    if x.element == "bool":
        name, element = s.pick((("any", "bool"), ("all", "bool"), ("sum", "int32")))
    else:
        name = s.pick(("sum", "mean", "max", "min", "prod", "var", "std", "logsumexp", "argmax", "argmin"))
        element = "int32" if name.startswith("arg") else x.element
    if name in ("max", "min", "argmax", "argmin") and not surely(s, x.shape):
        raise NotApplicable
    if not x.shape.rank or s.number(0, 3) == 0:
        return Tensor(f"{name}({x.text})", element, shape())
    if name.startswith("arg"):
        axes = [s.axis(x.shape)]
        text = str(axes[0])
    else:
        axes = s.axes(x.shape)
        text = str(axes[0]) if len(axes) == 1 else f"({', '.join(map(str, axes))})"
    if s.chance():
        result = x.shape
        for axis in axes:
            result = result.with_size(axis, ONE)
        return Tensor(f"{name}({x.text}, axis: {text}, keepdims: true)", element, result)
    return Tensor(f"{name}({x.text}, axis: {text})", element, x.shape.without(axes))


def positions(s: Scope) -> Tensor:
    x = s.floats(lambda a: a.rank >= 1)
    axis = s.axis(x.shape)
    return Tensor(f"argsort({x.text}, axis: {axis})", "int32", x.shape)


def largest(s: Scope) -> Tensor:
    x = s.floats(lambda a: a.rank >= 1)
    axis = s.axis(x.shape)
    k = s.number(1, s.least(x.shape.sizes[axis]))
    values, places = s.fresh(), s.fresh()
    s.lines.append(f"let ({values}, {places}) = topk({x.text}, {k}, axis: {axis})")
    result = x.shape.with_size(axis, size(k))
    s.values.append(Tensor(places, "int32", result))
    return Tensor(values, x.element, result)


# --- making


def made(s: Scope) -> Tensor:
    sizes: list[Size] = [s.pick([*s.numbered.values(), ONE, size(2)]) for _ in range(s.number(0, 3))]
    if not all(s.at_least(n, 0) for n in sizes):
        raise NotApplicable
    text = s.sizes(sizes)
    maker = s.pick(
        ("zeros([{}])", "ones([{}])", "full([{}], 0.5)", "random_normal([{}], 7)", "random_uniform([{}], 7)")
    )
    return Tensor(maker.format(text), "float16", shape(*sizes))


def like_another(s: Scope) -> Tensor:
    x = s.floats(lambda a: a.pack is None)
    maker = s.pick(("zeros({}.shape, dtype: {})", "ones({}.shape, dtype: {})"))
    return Tensor(maker.format(x.text, x.element), x.element, x.shape)


def counted(s: Scope) -> Tensor:
    name = s.pick([n for n, known in s.numbered.items() if s.at_least(known, 0)])
    known = s.numbered[name]
    if s.chance():
        return Tensor(f"eye({name})", "float16", shape(known, known))
    return Tensor(f"arange({name})", "int32", shape(known))


def triangle(s: Scope) -> Tensor:
    x = s.floats(lambda a: a.rank >= 2 and surely(s, a.with_sizes(a.sizes[-2:])))
    return Tensor(f"{s.pick(('tril', 'triu'))}({x.text}, {s.number(-1, 1)})", x.element, x.shape)


def integers(s: Scope) -> Tensor:
    """What is computed of integer tensors: integers, comparisons, floats made of them."""
    x = s.tensor(lambda value: value.element == "int32")
    y, met = s.pick(s.meeting(x, lambda value: value.element == "int32"))
    name = s.pick(list(s.numbered))
    same = (
        "{x} * 2",
        "-{x}",
        "{x} % 3",
        "floor_div({x}, 2)",
        "{x} ** 2",
        "clip({x}, 0, 3)",
        "abs({x})",
        "{x} + {name}",
    )
    text, element, result = s.pick(
        [
            (s.pick(same).format(x=x.text, name=name), "int32", x.shape),
            (f"{x.text} {s.pick(('+', '-', '*'))} {y.text}", "int32", met),
            (f"{x.text} {s.pick(COMPARISONS)} {y.text}", "bool", met),
            (f"where({x.text} > 1, {y.text}, 0)", "int32", met),
            (f"{x.text}.to(float16)", "float16", x.shape),
            (f"sum({x.text})", "int32", shape()),
        ]
    )
    return Tensor(text, element, result)


COMPUTING: tuple[Operation, ...] = (
    unary,
    scaled,
    binary,
    binary,
    comparison,
    mask,
    chosen,
    converted,
    matmul,
    matmul,
    reduction,
    reduction,
    positions,
    largest,
    made,
    like_another,
    counted,
    triangle,
    integers,
    integers,
)
