"""Operations of generated programs that rearrange: reshape, transpose, rearrange, broadcast, join and part.

The shape rules are written anew from the contract, as in `operations.py`.
"""

from __future__ import annotations

from tests.properties.scope import NotApplicable, Operation, Scope, Tensor
from tests.properties.sizes import ONE, Size, product_of, shape, size

LETTERS = "abcd"


def plain(s: Scope, least: int = 1) -> Tensor:
    """A tensor without a pack, of at least this rank."""
    return s.tensor(lambda value: value.shape.pack is None and value.shape.rank >= least)


# --- another shape of as many items


def reshape(s: Scope) -> Tensor:
    x = plain(s, 0)
    sizes = list(x.shape.sizes)
    how = s.pick(("all", "merge", "insert", "part"))
    if how == "all":
        sizes = [product_of(sizes)]
    elif how == "merge":
        at = s.number(0, len(sizes) - 2)
        sizes[at : at + 2] = [sizes[at] * sizes[at + 1]]
    elif how == "insert":
        sizes.insert(s.number(0, len(sizes)), ONE)
    else:
        at = s.number(0, len(sizes) - 1)
        sizes[at : at + 1] = _factors(s, sizes[at])
    texts = [s.text(n) for n in sizes]
    if s.chance() and sizes:
        # The size that is left out must be what the others leave, by a division that is surely exact.
        at = s.number(0, len(sizes) - 1)
        if all(s.at_least(n, 1) for i, n in enumerate(sizes) if i != at):
            texts[at] = "-1"
    text = f"[{', '.join(texts)}]"
    made = f"{x.text}.reshape({text})" if s.chance() else f"reshape({x.text}, {text})"
    return Tensor(made, x.element, shape(*sizes))


def _factors(s: Scope, n: Size) -> list[Size]:
    """Two sizes whose product it is."""
    if len(n.terms) != 1:
        raise NotApplicable
    ((product, coefficient),) = n.terms
    parts = [*(size(f) for f in (2, 3) if coefficient % f == 0 and coefficient > f)]
    parts += [Size((((atom,), 1),)) for atom in product if len(product) > 1 or coefficient > 1]
    one = s.pick(parts)
    left = list(product)
    if one.atom is not None:
        left.remove(one.atom)
    other = Size(((tuple(left), coefficient // (one.constant or 1)),))
    return [one, other] if s.chance() else [other, one]


def transpose(s: Scope) -> Tensor:
    x = s.tensor(lambda value: value.shape.rank >= 2)
    if s.chance():
        return Tensor(f"{x.text}.T", x.element, x.shape.with_sizes((*x.shape.sizes[:-2], *x.shape.sizes[:-3:-1])))
    order = s.permutation(x.shape.rank)
    result = x.shape.with_sizes(x.shape.sizes[i] for i in order)
    written = [i - x.shape.rank if x.shape.pack is not None else i for i in order]
    name = s.pick(("transpose", "permute"))
    return Tensor(f"{name}({x.text}, [{', '.join(map(str, written))}])", x.element, result)


def unsqueeze(s: Scope) -> Tensor:
    x = s.tensor()
    rank = x.shape.rank
    axis = s.number(-rank - 1, -1)
    sizes = list(x.shape.sizes)
    sizes.insert(axis + rank + 1, ONE)
    written = axis + rank + 1 if x.shape.pack is None and s.chance() else axis
    return Tensor(f"unsqueeze({x.text}, {written})", x.element, x.shape.with_sizes(sizes))


def squeeze(s: Scope) -> Tensor:
    x = s.tensor(lambda value: ONE in value.shape.sizes)
    axis = s.pick([i for i, n in enumerate(x.shape.sizes) if n == ONE])
    return Tensor(f"squeeze({x.text}, {axis - x.shape.rank})", x.element, x.shape.without([axis]))


def rearrange(s: Scope) -> Tensor:
    """Dims exchanged, two of them joined, or one parted."""
    x = s.tensor(lambda value: value.shape.pack is None and 2 <= value.shape.rank <= 4)
    names = LETTERS[: x.shape.rank]
    sizes = dict(zip(names, x.shape.sizes, strict=True))
    order = "".join(names[i] for i in s.permutation(len(names)))
    left, apart = " ".join(names), [sizes[n] for n in order]
    how = s.pick(("order", "join", "part"))
    if how == "order":
        return Tensor(f'rearrange({x.text}, "{left} -> {" ".join(order)}")', x.element, shape(*apart))
    if how == "join":
        right = f"({' '.join(order[:2])}) {' '.join(order[2:])}".rstrip()
        joined = shape(apart[0] * apart[1], *apart[2:])
        return Tensor(f'rearrange({x.text}, "{left} -> {right}")', x.element, joined)
    one, other = _factors(s, sizes["a"])
    if not s.at_least(one, 1):
        raise NotApplicable
    text = f'rearrange({x.text}, "(p q) {left[2:]} -> q {left[2:]} p", p: {s.text(one)})'
    return Tensor(text, x.element, shape(other, *x.shape.sizes[1:], one))


def broadcast_to(s: Scope) -> Tensor:
    x = plain(s, 0)
    sizes = [s.pick([n, *s.numbered.values()]) if n == ONE else n for n in x.shape.sizes]
    if s.chance():
        sizes.insert(0, s.pick([ONE, size(2), *s.numbered.values()]))
    if not all(s.at_least(n, 0) for n in sizes):
        raise NotApplicable
    return Tensor(f"broadcast_to({x.text}, [{s.sizes(sizes)}])", x.element, shape(*sizes))


# --- joining and parting


def concat(s: Scope) -> Tensor:
    x = s.tensor(lambda value: value.shape.rank >= 1)
    axis = s.axis(x.shape)
    at = axis % x.shape.rank

    def fits(other: Tensor) -> bool:
        a, b = x.shape, other.shape
        return (
            other.element == x.element
            and a.pack == b.pack
            and a.rank == b.rank
            and all(p == q for i, (p, q) in enumerate(zip(a.sizes, b.sizes, strict=True)) if i != at)
        )

    others = [s.tensor(fits) for _ in range(s.number(1, 2))]
    total = x.shape.sizes[at]
    for other in others:
        total = total + other.shape.sizes[at]
    text = ", ".join(value.text for value in (x, *others))
    return Tensor(f"concat([{text}], axis: {axis})", x.element, x.shape.with_size(at, total))


def stack(s: Scope) -> Tensor:
    x = s.tensor()
    y = s.tensor(lambda value: value.element == x.element and value.shape == x.shape)
    rank = x.shape.rank
    axis = s.number(-rank - 1, -1)
    sizes = list(x.shape.sizes)
    sizes.insert(axis + rank + 1, size(2))
    return Tensor(f"stack([{x.text}, {y.text}], axis: {axis})", x.element, x.shape.with_sizes(sizes))


def split(s: Scope) -> Tensor:
    """Two parts, of which one is given back and the other kept aside."""
    x = s.tensor(lambda value: value.shape.rank >= 1)
    axis = s.axis(x.shape)
    whole = x.shape.sizes[axis]
    half = whole.divided(2)
    if half is not None and s.chance():
        first, rest, text = half, half, "2"
    else:
        first = s.pick([n for n in (size(1), *s.numbered.values()) if s.at_least(whole, n) and s.at_least(n, 0)])
        rest = whole - first
        text = f"[{s.text(first)}, {s.text(rest)}]"
    one, other = s.fresh(), s.fresh()
    s.lines.append(f"let ({one}, {other}) = split({x.text}, {text}, axis: {axis})")
    s.values.append(Tensor(other, x.element, x.shape.with_size(axis, rest)))
    return Tensor(one, x.element, x.shape.with_size(axis, first))


def repeat(s: Scope) -> Tensor:
    x = s.tensor(lambda value: value.shape.rank >= 1)
    axis = s.axis(x.shape)
    n = s.number(1, 3)
    return Tensor(f"repeat({x.text}, {n}, axis: {axis})", x.element, x.shape.with_size(axis, x.shape.sizes[axis] * n))


def tile(s: Scope) -> Tensor:
    x = plain(s)
    counts = [s.number(1, 2) for _ in x.shape.sizes]
    result = x.shape.with_sizes(n * count for n, count in zip(x.shape.sizes, counts, strict=True))
    return Tensor(f"tile({x.text}, [{', '.join(map(str, counts))}])", x.element, result)


def pad(s: Scope) -> Tensor:
    x = s.floats(lambda a: a.pack is None and a.rank >= 1)
    widths = [(s.number(0, 2), s.number(0, 2)) for _ in x.shape.sizes]
    result = x.shape.with_sizes(n + a + b for n, (a, b) in zip(x.shape.sizes, widths, strict=True))
    value = s.pick(("", ", value: 1.5"))
    return Tensor(f"pad({x.text}, [{', '.join(map(str, widths))}]{value})", x.element, result)


def widened(s: Scope) -> Tensor:
    """A tensor inside of zeros, or of a larger one: `slice_update` at a known place."""
    x = s.floats(lambda a: a.pack is None and a.rank >= 1)
    starts = [s.number(0, 2) for _ in x.shape.sizes]
    sizes = [n + start + s.number(0, 1) for n, start in zip(x.shape.sizes, starts, strict=True)]
    text = f"slice_update(zeros([{s.sizes(sizes)}], dtype: {x.element}), {x.text}, {starts})"
    return Tensor(text, x.element, shape(*sizes))


SHAPING: tuple[Operation, ...] = (
    reshape,
    reshape,
    transpose,
    unsqueeze,
    squeeze,
    rearrange,
    broadcast_to,
    concat,
    concat,
    stack,
    split,
    repeat,
    tile,
    pad,
    widened,
)
