"""Functions that generated programs call: their own dims, bound anew at each call by a rule written for the tests.

A function may be generic, take an int that is a dim, and say with `where` that a dim is even or not larger than
another. It may call those that were written before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hypothesis import strategies as st

from tests.properties.kinds import KINDS
from tests.properties.scope import NotApplicable, Operation, Scope, Tensor, half_of, is_local, is_named
from tests.properties.sizes import Shape, Size, named, size

FUNCTIONS = 2
"""How many functions a program has beside its entry, at most."""


@dataclass(frozen=True)
class Function:
    """A function with tensor parameters, of whose dims each is an atom, twice an atom, or a number.

    `count` is the name of an int parameter, which comes last. The first size of each of the `bounds` is at most the
    second. `numbers` are what the sizes are worth that only the body knows.
    """

    name: str
    source: str
    parameters: tuple[Tensor, ...]
    result: Tensor
    count: str | None
    bounds: tuple[tuple[Size, Size], ...]
    numbers: Mapping[str, int]


@st.composite
def functions(draw: st.DrawFn) -> list[Function]:
    made: list[Function] = []
    for i in range(draw(st.integers(0, FUNCTIONS))):
        made.append(draw(_function(f"g{i}", made)))
    return made


@dataclass
class _Head:
    """What a function's head says beside its parameters."""

    generic: bool
    count: str | None = None
    where: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def clause(self) -> str:
        return f" where {' and '.join(self.where)}" if self.where else ""


@st.composite
def _function(draw: st.DrawFn, name: str, others: Sequence[Function]) -> Function:
    s = Scope(draw)
    head = _Head(s.chance())
    choices = _dims(s, head)
    texts = _parameters(s, head, choices)
    parameters = tuple(s.values)
    _forget_unused(s, parameters, head)
    bounds = tuple(s.bounds)
    s.write([*KINDS, *(tuple(called(other) for other in others),) * 2] if others else KINDS)
    result = s.values[-1]
    lines = "\n".join(f"    {line}" for line in [*s.lines, f"return {result.text}"])
    type_parameter = "<T: float>" if head.generic else ""
    source = f"fn {name}{type_parameter}({', '.join(texts)}) -> {s.type(result)}{head.clause} {{\n{lines}\n}}\n"
    return Function(name, source, parameters, result, head.count, bounds, s.numbers)


def _dims(s: Scope, head: _Head) -> list[tuple[str, Size]]:
    """The dims of a function, and what they may be in its parameters."""
    s.names = {"P": named("P"), "Q": named("Q")}
    if s.chance():
        half = half_of("R")
        s.names |= {"R": half * 2, "R/2": half}
        head.where["R % 2 == 0"] = ("R",)
    if s.number(0, 3) == 0:
        s.bounds.append((named("P"), named("Q")))
        head.where["P <= Q"] = ("P", "Q")
    if s.number(0, 3) == 0:
        head.count = "n"
        s.names["n"] = named("n")
        head.where["1 <= n"] = ("n",)
    return [*((n, v) for n, v in s.names.items() if n != "R/2"), ("2", size(2))]


def _parameters(s: Scope, head: _Head, choices: Sequence[tuple[str, Size]]) -> list[str]:
    """The parameters as they are written; their values are put into the scope."""
    pack = s.pick((None, None, "A"))
    element = "T" if head.generic else "float16"
    texts: list[str] = []
    for parameter in ("a", "b")[: s.number(1, 2)]:
        dims = [s.pick(choices) for _ in range(s.number(1, 3))]
        pack_text = [f"...{pack}"] if pack is not None else []
        texts.append(f"{parameter}: {element}[{', '.join([*pack_text, *(text for text, _ in dims)])}]")
        s.values.append(Tensor(parameter, element, Shape(pack, tuple(n for _, n in dims))))
        pack = None if s.chance() else pack
    return [*texts, "n: int"] if head.count is not None else texts


def _forget_unused(s: Scope, parameters: tuple[Tensor, ...], head: _Head) -> None:
    """Keep the dims that some parameter has: no other can be found at a call."""
    atoms = {atom for p in parameters for n in p.shape.sizes for atom in n.atoms()}
    atoms |= {head.count} if head.count is not None else set()
    s.names = {name: n for name, n in s.names.items() if n.atoms() <= atoms}
    s.bounds = [(low, high) for low, high in s.bounds if low.atoms() | high.atoms() <= atoms]
    head.where = {clause: dims for clause, dims in head.where.items() if set(dims) <= set(s.names)}


# --- calls


def called(function: Function) -> Operation:
    """The operation that calls a function with values that fit, or with ones where there are none."""

    def call(s: Scope) -> Tensor:
        bound: dict[str, Size] = {}
        packs: dict[str, Shape] = {}
        texts: list[str] = []
        count = ""
        if function.count is not None:
            count, bound[function.count] = s.pick([(t, n) for t, n in s.numbered.items() if s.at_least(n, 1)])
        element = function.parameters[0].element
        element = s.floats().element if element == "T" else element
        for parameter in function.parameters:
            text, (bound, packs) = _argument(s, parameter, element, bound, packs)
            texts.append(text)
        if not all(s.at_least(high.replaced(bound), low.replaced(bound)) for low, high in function.bounds):
            raise NotApplicable
        if function.count is not None:
            texts.append(s.pick((count, f"{function.count}: {count}")))
        result = function.result
        leading = packs[result.shape.pack] if result.shape.pack is not None else Shape(None, ())
        made = Shape(leading.pack, (*leading.sizes, *(n.replaced(bound) for n in result.shape.sizes)))
        text = f"{function.name}({', '.join(texts)})"
        element = element if result.element == "T" else result.element
        return _named_unknowns(s, function, bound, Tensor(text, element, made))

    return call


def _argument(
    s: Scope, parameter: Tensor, element: str, bound: Mapping[str, Size], packs: Mapping[str, Shape]
) -> tuple[str, tuple[dict[str, Size], dict[str, Shape]]]:
    """A value that fits a parameter, or one made for it, with what it binds."""
    fitting = [
        (value.text, found)
        for value in reversed(s.values)
        if value.element == element and (found := _bound(s, parameter, value, bound, packs)) is not None
    ]
    return s.pick(fitting or [_made(s, parameter, element, bound, packs)])


def _named_unknowns(s: Scope, function: Function, bound: Mapping[str, Size], made: Tensor) -> Tensor:
    """The result of a call, in which each `?` of the function's result is a new unknown of the caller's."""
    if is_named(function.result.shape):
        return made
    name = s.fresh()
    s.lines.append(f"let {name} = {made.text}")
    sizes = list(made.shape.sizes)
    known = {atom: n.value(s.numbers) for atom, n in bound.items() if n.atoms() <= set(s.numbers)}
    numbers = {**known, **function.numbers}
    for i in range(-function.result.shape.rank, 0):
        declared = function.result.shape.sizes[i]
        if any(is_local(atom) for atom in declared.atoms()):
            if declared.atoms() - set(numbers):
                raise NotApplicable
            atom = f"{name}.shape[{i}]"
            s.numbers[atom] = declared.value(numbers)
            s.loose.add(atom)
            sizes[i] = named(atom)
    return Tensor(name, made.element, made.shape.with_sizes(sizes))


def _made(
    s: Scope, parameter: Tensor, element: str, bound: Mapping[str, Size], packs: Mapping[str, Shape]
) -> tuple[str, tuple[dict[str, Size], dict[str, Shape]]]:
    """Ones of the parameter's shape, whose free dims are some that are here."""
    names = [n for n in s.names.values() if s.at_least(n, 1)]
    free = {atom for n in parameter.shape.sizes for atom in n.atoms()} - set(bound)
    dims = {**bound, **{atom: s.pick([*names, size(2)]) for atom in sorted(free)}}
    tops = dict(packs)
    leading = Shape(None, ())
    if parameter.shape.pack is not None:
        leading = tops.setdefault(parameter.shape.pack, leading)
    if leading.pack is not None:
        raise NotApplicable
    sizes = (*leading.sizes, *(n.replaced(dims) for n in parameter.shape.sizes))
    return f"ones([{s.sizes(sizes)}], dtype: {element})", (dims, tops)


def _bound(
    s: Scope, parameter: Tensor, value: Tensor, bound: Mapping[str, Size], packs: Mapping[str, Shape]
) -> tuple[dict[str, Size], dict[str, Shape]] | None:
    """The binding of dims and packs under which a value is what a parameter says; None where there is none."""
    declared, actual = parameter.shape, value.shape
    count = declared.rank
    if actual.rank < count or (declared.pack is None and (actual.pack is not None or actual.rank != count)):
        return None
    dims, tops = dict(bound), dict(packs)
    split = actual.rank - count
    if declared.pack is not None:
        leading = Shape(actual.pack, actual.sizes[:split])
        if tops.setdefault(declared.pack, leading) != leading:
            return None
    for wanted, found in zip(declared.sizes, actual.sizes[split:], strict=True):
        if not _equal(s, wanted, found, dims):
            return None
    return dims, tops


def _equal(s: Scope, wanted: Size, found: Size, bound: dict[str, Size]) -> bool:
    """Whether a declared size is the one found, after its atom is bound where it was free."""
    match wanted.terms:
        case (((), number),):
            return found == size(number)
        case (((atom,), factor),):
            exact = found.divided(factor)
            if exact is None or not s.at_least(exact, 1):
                return False
            return bound.setdefault(atom, exact) == exact
    return False
