"""Operations of generated programs that pick: slices, indices, masks, gathers, and what they write back.

The shape rules are written anew from the contract, as in `operations.py`.
"""

from __future__ import annotations

from tests.properties.operations import surely
from tests.properties.scope import NotApplicable, Operation, Scope, Tensor
from tests.properties.sizes import ONE, Shape, Size, named, shape, size


def index(s: Scope) -> Tensor:
    """Items between brackets for some dims: a slice, an int, a new dim, or all of it."""
    x = s.tensor(lambda value: value.shape.rank >= 1)
    count = s.number(1, x.shape.rank)
    from_right = x.shape.pack is not None or s.chance()
    used = x.shape.sizes[-count:] if from_right else x.shape.sizes[:count]
    written: list[str] = []
    kept: list[Size] = []
    for n in used:
        item, left = _item(s, n)
        written.append(item)
        kept += left
        if s.number(0, 7) == 0:
            written.append("none")
            kept.append(ONE)
    rest = x.shape.sizes[:-count] if from_right else x.shape.sizes[count:]
    if from_right:
        return Tensor(f"{x.text}[..., {', '.join(written)}]", x.element, x.shape.with_sizes((*rest, *kept)))
    return Tensor(f"{x.text}[{', '.join(written)}]", x.element, x.shape.with_sizes((*kept, *rest)))


def _item(s: Scope, n: Size) -> tuple[str, list[Size]]:
    """What stands between brackets for a dim, and the dims that are left of it."""
    least = s.least(n)
    choices: list[tuple[str, list[Size]]] = [(":", [n])]
    for a in range(min(least, 3) + 1):
        choices += [(f"{a}:", [n - a]), (f":{a}", [size(a)])]
        if a:
            choices += [(f":-{a}", [n - a]), (f"-{a}:", [size(a)]), (f"-{a}", []), (f"{a - 1}", [])]
    if least >= 2:
        choices += [("1:2", [ONE]), (f"1:{s.text(n)}", [n - 1]), (f"{s.text(n - 2)}", [])]
    for name, known in s.numbered.items():
        if s.at_least(n, known) and s.at_least(known, 0):
            choices += [(f":{name}", [known]), (f"{name}:", [n - known])]
        if s.at_least(n - 1, known) and s.at_least(known, 0):
            choices.append((name, []))
    for step in (2, 3):
        part = n.divided(step)
        if part is not None:
            choices.append((f"::{step}", [part]))
            choices += [(f"{step}::{step}", [part - 1])] if least >= step else []
    if least >= 3:
        choices.append(("0:3:2", [size(2)]))
    return s.pick(choices)


def gathered(s: Scope) -> Tensor:
    """Rows by an integer tensor: `x[ids]`, `take`, `embedding`."""
    ids = s.tensor(lambda value: value.element == "int32" and value.shape.pack is None)
    how = s.pick(("[]", "take", "embedding"))
    if how == "embedding":
        table = s.floats(lambda a: a.pack is None and a.rank == 2 and surely(s, a))
        result = shape(*ids.shape.sizes, table.shape.sizes[1])
        return Tensor(f"embedding({ids.text}, {table.text})", table.element, result)
    x = s.tensor(lambda v: v.shape.pack is None and v.shape.rank >= 1 and surely(s, v.shape))
    axis = 0 if how == "[]" else s.number(0, x.shape.rank - 1)
    result = Shape(None, (*x.shape.sizes[:axis], *ids.shape.sizes, *x.shape.sizes[axis + 1 :]))
    text = f"{x.text}[{ids.text}]" if how == "[]" else f"take({x.text}, {ids.text}, axis: {axis})"
    return Tensor(text, x.element, result)


def masked(s: Scope) -> Tensor:
    """`x[mask]`, with a mask of which it is known how many items are true."""
    x = s.tensor(lambda v: v.shape.pack is None and v.shape.rank >= 1)
    count, *rest = x.shape.sizes
    if not s.at_least(count, 0) or any(atom not in s.numbers for atom in count.atoms()):
        raise NotApplicable
    name = s.fresh()
    limit = s.number(0, 3)
    atom = f"{name}.shape[0]"
    s.lines.append(f"let {name} = {x.text}[arange({s.text(count)}) < {limit}]")
    s.numbers[atom] = min(limit, count.value(s.numbers))
    s.loose.add(atom)
    return Tensor(name, x.element, shape(named(atom), *rest))


def aligned(s: Scope) -> Tensor:
    """`gather` along an axis, whose ids have the other dims of the tensor."""
    x = s.floats(lambda a: a.pack is None and a.rank >= 1 and surely(s, a))
    axis = s.axis(x.shape)
    count = s.pick([ONE, size(2), *(n for n in s.numbered.values() if s.at_least(n, 1))])
    result = x.shape.with_size(axis, count)
    text = f"zeros([{s.sizes(result.sizes)}], dtype: int32)"
    return Tensor(f"gather({x.text}, {text}, axis: {axis})", x.element, result)


def scattered(s: Scope) -> Tensor:
    """`scatter` of as many values as there are ids along an axis."""
    x = s.floats(lambda a: a.pack is None and a.rank >= 1 and surely(s, a))
    axis = s.axis(x.shape)
    some = s.sizes(x.shape.with_size(axis, s.pick([ONE, size(2)])).sizes)
    ids, values = f"ones([{some}], dtype: int32)", f"ones([{some}], dtype: {x.element})"
    return Tensor(f"scatter({x.text}, {ids}, {values}, axis: {axis})", x.element, x.shape)


def overwritten(s: Scope) -> Tensor:
    """`slice_update` of a part of a tensor by ones."""
    x = s.floats(lambda a: a.pack is None and a.rank >= 1)
    starts = [s.number(0, min(s.least(n), 2)) for n in x.shape.sizes]
    sizes = [s.pick((n - start, size(0))) for n, start in zip(x.shape.sizes, starts, strict=True)]
    text = f"ones([{s.sizes(sizes)}], dtype: {x.element})"
    return Tensor(f"slice_update({x.text}, {text}, {starts})", x.element, x.shape)


INDEXING: tuple[Operation, ...] = (index, index, index, gathered, masked, aligned, scattered, overwritten)
