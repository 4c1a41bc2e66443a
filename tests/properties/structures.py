"""Lists, tuples, optionals, lambdas and structs of generated programs, with the functions that take them.

The declarations are fixed; how they are called is drawn. A program carries those that it uses.
"""

from __future__ import annotations

import re

from tests.properties.operations import same_shape
from tests.properties.scope import NotApplicable, Operation, Scope, Tensor, is_named
from tests.properties.sizes import named, shape, size

DECLARATIONS = {
    "Pair": """\
struct Pair<T: float>[A, C] {
    first: T[A, C]
    rest: [T[C]]
    scale: float
    extra: T[C]?
}
""",
    "spread": """\
fn spread<T: float>(p: Pair<T>[A, C]) -> T[A, C] {
    let y = p.first * p.scale
    for r in p.rest { y = y + r }
    if p.extra != none { y = y + p.extra }
    return y
}
""",
    "ends": "fn ends<T: any>(x: T[...B, P]) -> (T[...B], T[...B]) { return (x[..., 0], x[..., -1]) }\n",
    "halves": """\
fn halves<T: any>(x: T[...B, P]) -> (T[...B, P/2], T[...B, P/2]) where P % 2 == 0 { return split(x, 2, axis: -1) }
""",
    "front": "fn front<T: any>(x: T[...B, P], n: int) -> T[...B, n] where n <= P { return x[..., :n] }\n",
    "some": "fn some<T: any>(x: T[P, Q]) -> T[?S, Q] { return x[arange(P) < 2] }\n",
    "plus": """\
fn plus<T: float>(x: T[...B, P], extra: T[P]? = none, scale: float = 1.0) -> T[...B, P] {
    if extra == none { return x * scale }
    return x * scale + extra
}
""",
    "twice": """\
fn twice<T: float>(g: fn(T[...B]) -> T[...B], x: T[...B]) -> T[...B] { return g(g(x)) }
""",
    "each": """\
fn each<T: float>(g: fn(T[P]) -> T[P], xs: [T[P]]) -> [T[P]] {
    let made: [T[P]] = []
    for x in xs { made = made + [g(x)] }
    return made
}
""",
    "grid": "fn grid(n: int, m: int) -> float16[n, m] { return ones([n, m]) }\n",
    "outer": """\
fn outer<T: float>(x: T[...B, P], y: T[...B, Q]) -> T[...B, P, Q] { return x[..., none] * y[..., none, :] }
""",
    "again": """\
fn again<T: float>(x: T[...B], n: int) -> T[...B] {
    if n <= 0 { return x }
    return again(x * 0.5, n - 1)
}
""",
    "part_heads": """\
fn part_heads<T: any>(x: T[P, C*K], C: int) -> T[C, P, K] { return transpose(x.reshape([P, C, K]), [1, 0, 2]) }
""",
}


def declarations(text: str) -> list[str]:
    """Those that a text uses, and those that these use."""
    used = [name for name in DECLARATIONS if re.search(rf"\b{name}\(", text)]
    return [DECLARATIONS[name] for name in DECLARATIONS if name in used or (name == "Pair" and "spread" in used)]


# --- lists and tuples


def listed(s: Scope) -> Tensor:
    """A list of tensors of one type: joined, added up in a loop, or one of them taken."""
    x = s.floats()
    same = [v for v in s.values if v.element == x.element and v.shape == x.shape]
    items = [x, *(s.pick(same) for _ in range(s.number(0, 2)))]
    name = s.fresh()
    s.lines.append(f"let {name} = [{', '.join(v.text for v in items)}]")
    s.ints[f"len({name})"] = size(len(items))
    how = s.pick(("item", "concat", "stack", "loop", "enumerate", "each"))
    if how == "item":
        return Tensor(f"{name}[{s.number(-len(items), len(items) - 1)}]", x.element, x.shape)
    if how == "stack":
        return Tensor(f"stack({name}, axis: -1)", x.element, x.shape.with_sizes((*x.shape.sizes, size(len(items)))))
    if how == "concat":
        axis = s.axis(x.shape)
        joined = x.shape.with_size(axis, x.shape.sizes[axis] * len(items))
        return Tensor(f"concat({name}, axis: {axis})", x.element, joined)
    if how == "each":
        if x.shape.pack is not None or x.shape.rank != 1 or not s.at_least(x.shape.sizes[0], 1):
            raise NotApplicable
        at = s.number(0, len(items) - 1)
        return Tensor(f"each(|u| u * 2 + {x.text}, {name})[{at}]", x.element, x.shape)
    total, item, index = s.fresh(), s.fresh(), s.fresh()
    s.lines.append(f"let {total} = {x.text}")
    if how == "loop":
        s.lines.append(f"for {item} in {name} {{ {total} = {total} + {item} }}")
    else:
        s.lines.append(f"for ({index}, {item}) in enumerate({name}) {{ {total} = {total} * {index} + {item} }}")
    return Tensor(total, x.element, x.shape)


def tupled(s: Scope) -> Tensor:
    """Two tensors in a tuple, taken apart again; or exchanged."""
    x, y = s.tensor(), s.tensor()
    pair, one, other = s.fresh(), s.fresh(), s.fresh()
    s.lines += [f"let {pair} = ({x.text}, {y.text})", f"let ({one}, {other}) = {pair}"]
    s.values.append(Tensor(one, x.element, x.shape))
    return Tensor(other, y.element, y.shape)


def exchanged(s: Scope) -> Tensor:
    """Two variables of one type, exchanged in a loop."""
    x = s.floats()
    y = s.tensor(lambda v: v.element == x.element and v.shape == x.shape)
    one, other, index = s.fresh(), s.fresh(), s.fresh()
    s.lines += [
        f"let {one} = {x.text}",
        f"let {other} = {y.text}",
        f"for {index} in 0..3 {{ ({one}, {other}) = ({other}, {one} + {other}) }}",
    ]
    return Tensor(one, x.element, x.shape)


# --- functions as values


def lambda_called(s: Scope) -> Tensor:
    """A lambda with a type, that uses what is around it, called by name."""
    x = s.floats(is_named)
    name = s.fresh()
    inner = same_shape(s, Tensor("u", x.element, x.shape)).text
    captured, _ = s.pick([(v, both) for v, both in s.meeting(x, lambda v: v.element == x.element) if both == x.shape])
    s.lines.append(f"let {name}: fn({s.type(x)}) -> {s.type(x)} = |u| {inner} + {captured.text}")
    return Tensor(f"{name}({x.text})", x.element, x.shape)


def lambda_passed(s: Scope) -> Tensor:
    """A lambda, or a function by its name, as an argument."""
    x = s.floats(lambda a: all(s.at_least(n, 0) for n in a.sizes))
    inner = same_shape(s, Tensor("u", x.element, x.shape)).text
    return Tensor(f"twice({s.pick((f'|u| {inner}', 'relu', 'tanh'))}, {x.text})", x.element, x.shape)


# --- calls of the declared functions


def parted(s: Scope) -> Tensor:
    """Functions that return two tensors."""
    x = s.tensor(lambda v: v.shape.rank >= 1 and s.at_least(v.shape.sizes[-1], 1))
    half = x.shape.sizes[-1].divided(2)
    if half is not None and s.chance():
        name, result = "halves", x.shape.with_size(-1, half)
    else:
        name, result = "ends", x.shape.without([-1])
    one, other = s.fresh(), s.fresh()
    call = s.pick((f"{name}({x.text})", f"{name}(x: {x.text})"))
    s.lines.append(f"let ({one}, {other}) = {call}")
    s.values.append(Tensor(one, x.element, result))
    return Tensor(other, x.element, result)


def front(s: Scope) -> Tensor:
    x = s.tensor(lambda v: v.shape.rank >= 1 and s.at_least(v.shape.sizes[-1], 1))
    last = x.shape.sizes[-1]
    fitting = [(t, n) for t, n in s.numbered.items() if s.at_least(n, 1) and s.at_least(last, n)]
    text, n = s.pick([("1", size(1)), *fitting])
    call = s.pick((f"front({x.text}, {text})", f"front({x.text}, n: {text})", f"{x.text}.front({text})"))
    return Tensor(call, x.element, x.shape.with_size(-1, n))


def some(s: Scope) -> Tensor:
    x = s.tensor(lambda v: v.shape.pack is None and v.shape.rank == 2 and all(s.at_least(n, 1) for n in v.shape.sizes))
    count, last = x.shape.sizes
    if count.atoms() - set(s.numbers):
        raise NotApplicable
    name = s.fresh()
    atom = f"{name}.shape[0]"
    s.lines.append(f"let {name} = some({x.text})")
    s.numbers[atom] = min(2, count.value(s.numbers))
    s.loose.add(atom)
    return Tensor(name, x.element, shape(named(atom), last))


def plus(s: Scope) -> Tensor:
    """Optional and named arguments, and those that are left out."""
    x = s.floats(lambda a: a.rank >= 1 and s.at_least(a.sizes[-1], 1))
    row = shape(x.shape.sizes[-1])
    extras = [v.text for v in s.values if v.element == x.element and v.shape == row]
    extra = s.pick(["none", *extras, *extras])
    call = s.pick(
        (
            f"plus({x.text}, {extra})",
            f"plus({x.text}, scale: 2.0, extra: {extra})",
            f"{x.text}.plus(extra: {extra})",
            f"plus({x.text})",
        )
    )
    return Tensor(call, x.element, x.shape)


def spread(s: Scope) -> Tensor:
    """A struct made of what is there; its dims are ints."""
    x = s.floats(lambda a: a.pack is None and a.rank == 2 and all(s.at_least(n, 1) for n in a.sizes))
    row = shape(x.shape.sizes[1])
    rows = [v.text for v in s.values if v.element == x.element and v.shape == row]
    made = f"ones([{s.text(x.shape.sizes[1])}], dtype: {x.element})"
    rest = [s.pick([made, *rows]) for _ in range(s.number(0, 2))]
    extra = s.pick(["none", made, *rows])
    name = s.fresh()
    s.lines.append(f"let {name} = Pair(first: {x.text}, rest: [{', '.join(rest)}], scale: 0.5, extra: {extra})")
    # The length of the list in it is none that the checker knows: a field has the type that is declared.
    s.ints |= {f"{name}.A": x.shape.sizes[0], f"{name}.C": x.shape.sizes[1]}
    return Tensor(s.pick((f"spread({name})", f"{name}.spread()", f"{name}.first")), x.element, x.shape)


def grid(s: Scope) -> Tensor:
    names = [(t, n) for t, n in s.numbered.items() if s.at_least(n, 1)]
    (a, n), (b, m) = s.pick([*names, ("2", size(2))]), s.pick([*names, ("1", size(1))])
    return Tensor(s.pick((f"grid({a}, {b})", f"grid(m: {b}, n: {a})")), "float16", shape(n, m))


def outer(s: Scope) -> Tensor:
    x = s.floats(lambda a: a.rank >= 1 and s.at_least(a.sizes[-1], 1))
    leading = x.shape.without([-1])
    y = s.tensor(
        lambda v: (
            v.element == x.element
            and v.shape.rank >= 1
            and v.shape.without([-1]) == leading
            and s.at_least(v.shape.sizes[-1], 1)
        )
    )
    result = x.shape.with_sizes((*x.shape.sizes, y.shape.sizes[-1]))
    return Tensor(f"outer({x.text}, {y.text})", x.element, result)


def heads(s: Scope) -> Tensor:
    """A dim that is a multiple of an int, parted by it."""
    x = s.tensor(lambda v: v.shape.pack is None and v.shape.rank == 2 and all(s.at_least(n, 1) for n in v.shape.sizes))
    rows, columns = x.shape.sizes
    count = s.number(1, 2)
    part = columns.divided(count)
    if part is None:
        raise NotApplicable
    call = s.pick((f"part_heads({x.text}, {count})", f"part_heads(C: {count}, x: {x.text})"))
    return Tensor(call, x.element, shape(count, rows, part))


def again(s: Scope) -> Tensor:
    """A function that calls itself."""
    x = s.floats(lambda a: all(s.at_least(n, 0) for n in a.sizes))
    return Tensor(f"again({x.text}, {s.number(0, 3)})", x.element, x.shape)


STRUCTURES: tuple[Operation, ...] = (
    listed,
    listed,
    tupled,
    exchanged,
    lambda_called,
    lambda_passed,
    parted,
    front,
    some,
    plus,
    spread,
    grid,
    outer,
    heads,
    again,
)
