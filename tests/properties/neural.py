"""Operations of generated programs of the neural group, and `einsum`.

The shape rules are written anew from the contract, as in `operations.py`.
"""

from __future__ import annotations

from tests.properties.operations import surely
from tests.properties.scope import NotApplicable, Operation, Scope, Tensor
from tests.properties.sizes import ONE, shape, size


def linear(s: Scope) -> Tensor:
    x = s.floats(lambda a: a.rank >= 1)
    plain = [y for y in s.values if y.element == x.element and y.shape.pack is None]
    w = s.pick([y for y in plain if y.shape.rank == 2 and y.shape.sizes[1] == x.shape.sizes[-1] and surely(s, y.shape)])
    outputs = w.shape.sizes[0]
    if not (surely(s, x.shape) and s.at_least(outputs, 1)):
        raise NotApplicable
    biases = [f", {y.text}" for y in plain if y.shape == shape(outputs)]
    return Tensor(f"linear({x.text}, {w.text}{s.pick(['', *biases])})", x.element, x.shape.with_size(-1, outputs))


def normalized(s: Scope) -> Tensor:
    x = s.floats(lambda a: a.rank >= 1 and s.at_least(a.sizes[-1], 1))
    weight = s.tensor(lambda y: y.element == x.element and y.shape == shape(x.shape.sizes[-1]))
    name = s.pick(("layer_norm", "rms_norm"))
    return Tensor(f"{name}({x.text}, {weight.text})", x.element, x.shape)


def attention(s: Scope) -> Tensor:
    """Queries with keys and values of their own number of heads or of one head, of any length."""
    q = s.floats(lambda a: a.pack is None and a.rank == 4 and surely(s, a))
    batch, heads, length, width = q.shape.sizes
    keys, values = ([*s.numbered.values(), ONE, size(3)] for _ in range(2))
    seen, wide = (s.pick([n for n in sizes if s.at_least(n, 1)]) for sizes in (keys, values))
    few = s.pick((heads, ONE))
    k = f"ones([{s.sizes((batch, few, seen, width))}], dtype: {q.element})"
    v = f"zeros([{s.sizes((batch, few, seen, wide))}], dtype: {q.element})"
    mask = f", mask: ones([{s.sizes((length, seen))}]) > 0.5"
    causal = (", causal: true", ", causal: true, window: 2") if seen == length else ()
    more = s.pick(("", ", scale: 0.5", mask, *causal))
    return Tensor(f"attention({q.text}, {k}, {v}{more})", q.element, q.shape.with_size(-1, wide))


def convolution(s: Scope) -> Tensor:
    x = s.floats(lambda a: a.pack is None and a.rank == 3 and surely(s, a))
    n, length, channels = x.shape.sizes
    weight = f"ones([2, {s.text(channels)}, 3], dtype: {x.element})"
    return Tensor(f"conv1d({x.text}, {weight}, padding: 1)", x.element, shape(n, length, 2))


def images(s: Scope) -> Tensor:
    """Convolutions and pools in two dims: of all places, or of every second one."""
    x = s.floats(lambda a: a.pack is None and a.rank == 4 and surely(s, a))
    n, height, width, channels = x.shape.sizes
    if s.chance():
        weight = f"ones([2, {s.text(channels)}, 3, 1], dtype: {x.element})"
        return Tensor(f"conv2d({x.text}, {weight}, padding: (1, 0))", x.element, shape(n, height, width, 2))
    name, halves = s.pick(("max_pool2d", "avg_pool2d")), (height.divided(2), width.divided(2))
    if None not in halves and s.chance():
        return Tensor(f"{name}({x.text}, 2)", x.element, shape(n, *(h for h in halves if h is not None), channels))
    if not (s.at_least(height, 2) and s.at_least(width, 2)):
        raise NotApplicable
    return Tensor(f"{name}({x.text}, 2, stride: 1)", x.element, shape(n, height - 1, width - 1, channels))


def rotated(s: Scope) -> Tensor:
    """`rope`, of which the last dim is even."""
    x = s.floats(lambda a: a.rank >= 2 and surely(s, a) and a.sizes[-1].divided(2) is not None)
    more = s.pick(("", ", offset: 3", ", traditional: true", ", dims: 2"))
    return Tensor(f"rope({x.text}{more})", x.element, x.shape)


def batch_normalized(s: Scope) -> Tensor:
    x = s.floats(lambda a: a.rank >= 1 and s.at_least(a.sizes[-1], 1))
    row = f"ones([{s.text(x.shape.sizes[-1])}], dtype: {x.element})"
    return Tensor(f"batch_norm({x.text}, {row}, {row}{s.pick(('', f', bias: {row}'))})", x.element, x.shape)


def loss(s: Scope) -> Tensor:
    x = s.floats(lambda a: a.rank >= 1 and surely(s, a))
    if x.shape.pack is None and s.chance():
        targets = f"zeros([{s.sizes(x.shape.sizes[:-1])}], dtype: int32)"
        return Tensor(f"cross_entropy({x.text}, {targets})", x.element, shape())
    y = s.tensor(lambda v: v.element == x.element and v.shape == x.shape)
    return Tensor(f"mse({x.text}, {y.text})", x.element, shape())


def spread_einsum(s: Scope) -> Tensor:
    """Patterns with `...`, and with one operand or three."""
    x = s.floats(lambda a: a.pack is None and a.rank >= 2)
    rows, last = x.shape.sizes[-2:]
    lead = x.shape.sizes[:-2]
    row = f"ones([{s.text(last)}], dtype: {x.element})"
    text, result = s.pick(
        [
            (f'einsum("... a b -> ... b a", {x.text})', shape(*lead, last, rows)),
            (f'einsum("... a b -> ... a", {x.text})', shape(*lead, rows)),
            (f'einsum("... b, b -> ...", {x.text}, {row})', shape(*lead, rows)),
            (f'einsum("... a b, b, b -> b ...", {x.text}, {row}, {row})', shape(last, *lead)),
        ]
    )
    if not (s.at_least(last, 0) and s.at_least(rows, 0)):
        raise NotApplicable
    return Tensor(text, x.element, result)


def einsum(s: Scope) -> Tensor:
    x = s.floats(lambda a: a.pack is None and a.rank == 2)
    y = s.tensor(
        lambda v: (
            v.element == x.element
            and v.shape.pack is None
            and v.shape.rank == 2
            and v.shape.sizes[1] == x.shape.sizes[1]
        )
    )
    pattern, result = s.pick(
        [
            ("i k, j k -> i j", shape(x.shape.sizes[0], y.shape.sizes[0])),
            ("i k, j k -> k j i", shape(x.shape.sizes[1], y.shape.sizes[0], x.shape.sizes[0])),
            ("a b, c b -> b", shape(x.shape.sizes[1])),
        ]
    )
    return Tensor(f'einsum("{pattern}", {x.text}, {y.text})', x.element, result)


NEURAL: tuple[Operation, ...] = (
    linear,
    linear,
    normalized,
    attention,
    convolution,
    images,
    rotated,
    batch_normalized,
    loss,
    einsum,
    spread_einsum,
)
