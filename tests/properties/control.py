"""Branches and loops of generated programs: what they rebind keeps its shape."""

from __future__ import annotations

from tests.properties.operations import same_shape
from tests.properties.scope import NotApplicable, Operation, Scope, Tensor, is_named
from tests.properties.sizes import shape

BLOCK = 3
"""How many statements a block has at most, nearly."""


def _condition(s: Scope) -> str:
    """A host condition on the sizes, which some sizes fulfil and others do not."""
    name, known = s.pick(list(s.numbered.items()))
    number = s.pick([n for n in (1, 2, 3) if known.constant is not None or not s.at_least(known, n + 1)])
    return f"{name} {s.pick(('<=', '>', '==', '!='))} {number}"


def _same(s: Scope, x: Tensor) -> str:
    """Something of the type of a tensor, made of the values that are there."""
    others = [(other.text, both) for other, both in s.meeting(x, lambda o: o.element == x.element) if both == x.shape]
    if s.chance():
        text, _ = s.pick(others)
        return f"{x.text} {s.pick(('+', '-', '*'))} {text}"
    return same_shape(s, x).text


def if_expression(s: Scope) -> Tensor:
    x = s.floats()
    return Tensor(f"if {_condition(s)} {{ {_same(s, x)} }} else {{ {_same(s, x)} }}", x.element, x.shape)


def if_statement(s: Scope) -> Tensor:
    """A variable that one branch or both rebind."""
    x = s.floats()
    name = s.fresh()
    other = f" else {{ {name} = {_same(s, x)} }}" if s.chance() else ""
    s.lines += [f"let {name} = {x.text}", f"if {_condition(s)} {{ {name} = {_same(s, x)} }}{other}"]
    return Tensor(name, x.element, x.shape)


def counted_loop(s: Scope) -> Tensor:
    """`for i in 0..n`, in which a variable is made anew."""
    x = s.floats()
    name, index = s.fresh(), s.fresh()
    carried = Tensor(name, x.element, x.shape)
    stop = s.pick([str(s.number(0, 3)), *s.numbered])
    leaving = s.pick(("", f" if {index} > 1 {{ break }}", f" if {index} == 1 {{ continue }}"))
    before = s.made
    s.lines += [
        f"let {name} = {x.text}",
        f"for {index} in 0..{stop} {{{leaving or ''}" + ("; " if leaving else " ") + f"{name} = {_same(s, carried)} }}",
    ]
    s.made = max(s.made, before)
    return carried


def row_loop(s: Scope) -> Tensor:
    """The rows of a tensor, by an index that is proved to be inside, added up."""
    x = s.floats(lambda a: a.pack is None and a.rank >= 1)
    count, *rest = x.shape.sizes
    if not is_named(x.shape):
        raise NotApplicable
    total, index = s.fresh(), s.fresh()
    row = s.pick((f"{x.text}[{index}]", f"{x.text}[{index}:{index} + 1].sum(axis: 0)"))
    made = f"zeros([{s.sizes(rest)}], dtype: {x.element})"
    s.lines += [f"let {total} = {made}", f"for {index} in 0..{s.text(count)} {{ {total} = {total} + {row} }}"]
    return Tensor(total, x.element, shape(*rest))


def while_loop(s: Scope) -> Tensor:
    """A counter and a tensor, both carried."""
    x = s.floats()
    name, counter = s.fresh(), s.fresh()
    carried = Tensor(name, x.element, x.shape)
    s.lines += [
        f"let {name} = {x.text}",
        f"let {counter} = 0",
        f"while {counter} < {s.pick(['2', *s.numbered])} {{ {counter} += 1; {name} = {_same(s, carried)} }}",
    ]
    return carried


def block(s: Scope) -> Tensor:
    """A branch or a loop with statements of its own, of which the last rebinds a variable from outside."""
    x = s.floats()
    name = s.fresh()
    low, high = (s.pick(list(s.numbered)) for _ in range(2))
    head = s.pick((f"if {low} <= {high}", f"if {_condition(s)}", f"for {s.fresh()} in 0..{s.number(0, 2)}"))
    inner = s.block(BLOCK)
    same = [v.text for v in inner.values[len(s.values) :] if v.element == x.element and v.shape == x.shape]
    last = s.pick(same) if same else _same(inner, Tensor(name, x.element, x.shape))
    s.lines += [f"let {name} = {x.text}", f"{head} {{"]
    s.lines += [*(f"    {line}" for line in inner.lines), f"    {name} = {last}", "}"]
    return Tensor(name, x.element, x.shape)


CONTROL: tuple[Operation, ...] = (if_expression, if_statement, counted_loop, row_loop, while_loop, block)
