"""Ints of generated programs, and statements that say something of sizes: assertions, conditions, growing variables.

An int whose value the program computes is either a sum of products of dims, which is known, or an atom of its own.
"""

from __future__ import annotations

from tests.properties.scope import NotApplicable, Operation, Scope, Tensor
from tests.properties.sizes import ONE, Size, named, shape, size


def known_int(s: Scope) -> Tensor:
    """An int that is a sum or a product of what is there, with a tensor of that size."""
    name = s.fresh()
    (a, p), (b, q) = (s.pick([*s.numbered.items(), ("2", size(2))]) for _ in range(2))
    text, found = s.pick([(f"{a} * {b}", p * q), (f"{a} + {b}", p + q), (f"{a} - {b}", p - q), (f"{a}", p)])
    s.lines.append(f"let {name} = {text}")
    s.ints[name] = found
    return _of_size(s, name)


def size_of_tensor(s: Scope) -> Tensor:
    """A dim of a tensor, its rank, or the number of its items, asked of it."""
    x = s.tensor(lambda v: v.shape.pack is None and v.shape.rank >= 1 and not v.text.startswith("("))
    axis = s.number(0, x.shape.rank - 1)
    text, found = s.pick(
        [
            (f"{x.text}.shape[{axis}]", x.shape.sizes[axis]),
            (f"{x.text}.shape[{axis - x.shape.rank}]", x.shape.sizes[axis]),
            (f"{x.text}.rank", size(x.shape.rank)),
            (f"{x.text}.size", x.shape.product()),
            (f"len({x.text}.shape)", size(x.shape.rank)),
        ]
    )
    s.ints[text] = found
    return _of_size(s, text)


def unknown_int(s: Scope) -> Tensor:
    """An int that only run time knows, with a tensor of that size."""
    a, p = s.pick(list(s.numbered.items()))
    # Of two ints that are the same, the checker knows which comes out.
    others = [(text, known) for text, known in s.numbered.items() if known != p]
    if not others:
        raise NotApplicable
    b, q = s.pick(others)
    m, n = _number(s, p), _number(s, q)
    mask = f"int(sum(arange({a}) < 2))" if s.at_least(p, 0) else f"max(0, {a})"
    counted = min(m, 2) if s.at_least(p, 0) else max(0, m)
    text, found = s.pick(
        [
            (mask, counted),
            (f"max({a}, {b})", max(m, n)),
            (f"min({a}, {b})", min(m, n)),
            (f"floor_div({a}, 2)", m // 2),
            (f"{a} % 2", m % 2),
            (f"if {a} < {b} {{ {a} }} else {{ {b} }}", min(m, n)),
        ]
    )
    name = s.fresh()
    s.lines.append(f"let {name} = {text}")
    s.numbers[name] = found
    s.loose.add(name)
    s.ints[name] = named(name)
    return _of_size(s, name)


def counted_int(s: Scope) -> Tensor:
    """An int that a loop counts."""
    name, index = s.fresh(), s.fresh()
    stop, known = s.pick([*s.numbered.items(), ("3", size(3))])
    s.lines += [f"let {name} = 0", f"for {index} in 0..{stop} {{ {name} += {index} }}"]
    count = max(0, _number(s, known))
    s.numbers[name] = count * (count - 1) // 2
    s.loose.add(name)
    s.ints[name] = named(name)
    return _of_size(s, name)


def _number(s: Scope, known: Size) -> int:
    """What a size is in the call that will be made. Functions that are called more than once do not know it."""
    if known.atoms() - set(s.numbers):
        raise NotApplicable
    return known.value(s.numbers)


def _of_size(s: Scope, text: str) -> Tensor:
    known = s.ints[text]
    if not s.at_least(known, 0):
        raise NotApplicable
    return Tensor(f"zeros([{text}, 2])", "float16", shape(known, 2))


# --- statements


def asserted(s: Scope) -> Tensor:
    """An assertion that holds in this call, and what it allows."""
    low, high = (s.pick([*s.names.values(), size(2), size(3)]) for _ in range(2))
    if low == high or _number(s, low) > _number(s, high):
        raise NotApplicable
    s.lines.append(f'assert {s.text(low)} <= {s.text(high)}, "asserted"')
    s.bounds.append((low, high))
    x = s.floats(lambda a: a.rank >= 1 and a.sizes[-1] == high)
    if not s.at_least(low, 0):
        raise NotApplicable
    return Tensor(f"{x.text}[..., :{s.text(low)}]", x.element, x.shape.with_size(-1, low))


def guarded(s: Scope) -> Tensor:
    """An item that is used where a condition says that there is one."""
    x = s.floats(lambda a: a.rank >= 1)
    at = s.number(0, 3)
    name = s.fresh()
    last = x.shape.sizes[-1]
    if last.constant is not None and last.constant <= at:
        raise NotApplicable
    s.lines += [f"let {name} = sum({x.text}, axis: -1)", f"if {s.text(last)} > {at} {{ {name} = {x.text}[..., {at}] }}"]
    return Tensor(name, x.element, x.shape.without([-1]))


def growing(s: Scope) -> Tensor:
    """A variable whose first size changes from one iteration to the next."""
    x = s.floats(lambda a: a.pack is None and a.rank >= 1)
    y = s.tensor(lambda v: v.element == x.element and v.shape.pack is None and v.shape.sizes[1:] == x.shape.sizes[1:])
    if y.shape.rank != x.shape.rank:
        raise NotApplicable
    name, index = s.fresh(), s.fresh()
    times = s.number(0, 3)
    first, added = _number(s, x.shape.sizes[0]), _number(s, y.shape.sizes[0])
    dims = ", ".join(["?", *(s.dim(n) for n in x.shape.sizes[1:])])
    s.lines += [
        f"let {name}: {x.element}[{dims}] = {x.text}",
        f"for {index} in 0..{times} {{ {name} = concat([{name}, {y.text}], axis: 0) }}",
    ]
    sizes = [n if s.dim(n) != "?" else _unknown(s, f"{name}.shape[{i}]", n) for i, n in enumerate(x.shape.sizes)]
    sizes[0] = _unknown(s, f"{name}.shape[0]", size(first + times * added))
    return Tensor(name, x.element, shape(*sizes))


def forgotten(s: Scope) -> Tensor:
    """A tensor whose dims a type forgets."""
    x = s.floats(lambda a: a.pack is None and a.rank >= 1)
    name = s.fresh()
    dims, sizes = [], []
    for axis, n in enumerate(x.shape.sizes):
        known = s.chance() and s.dim(n) != "?"
        dims.append(s.dim(n) if known else "?")
        sizes.append(n if known else _unknown(s, f"{name}.shape[{axis}]", n))
    s.lines.append(f"let {name}: {x.element}[{', '.join(dims)}] = {x.text}")
    return Tensor(name, x.element, shape(*sizes))


def _unknown(s: Scope, atom: str, known: Size) -> Size:
    """A new unknown size."""
    s.numbers[atom] = _number(s, known)
    s.loose.add(atom)
    return named(atom)


def one_of_rows(s: Scope) -> Tensor:
    """A row at an index that only run time knows to be inside."""
    x = s.tensor(lambda v: v.shape.pack is None and v.shape.rank >= 1)
    loose = [n for n in s.ints if s.ints[n].atom in s.loose]
    name = s.pick([n for n in loose if s.at_least(x.shape.sizes[0] - ONE, s.ints[n]) and s.at_least(s.ints[n], 0)])
    return Tensor(f"{x.text}[{name}]", x.element, x.shape.without([0]))


KNOWLEDGE: tuple[Operation, ...] = (
    known_int,
    size_of_tensor,
    unknown_int,
    counted_int,
    asserted,
    asserted,
    guarded,
    growing,
    forgotten,
    one_of_rows,
)
