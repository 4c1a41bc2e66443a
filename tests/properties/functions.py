"""Functions that generated programs call: their own dims, bound anew at each call by a rule written for the tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hypothesis import strategies as st

from tests.properties.control import CONTROL
from tests.properties.operations import COMPUTING
from tests.properties.scope import NotApplicable, Operation, Scope, Tensor, half_of
from tests.properties.shaping import SHAPING
from tests.properties.sizes import Shape, Size, named, size

FUNCTIONS = 2
"""How many functions a program has beside its entry, at most."""


@dataclass(frozen=True)
class Function:
    """A function with tensor parameters, of whose dims each is an atom, twice an atom, or a number."""

    name: str
    source: str
    parameters: tuple[Tensor, ...]
    result: Tensor


@st.composite
def functions(draw: st.DrawFn) -> list[Function]:
    return [draw(_function(f"g{i}")) for i in range(draw(st.integers(0, FUNCTIONS)))]


@st.composite
def _function(draw: st.DrawFn, name: str) -> Function:
    s = Scope(draw)
    s.names = {"P": named("P"), "Q": named("Q")}
    where = ""
    if s.chance():
        half = half_of("R")
        s.names |= {"R": half * 2, "R/2": half}
        where = " where R % 2 == 0"
    choices: list[tuple[str, Size]] = [*((n, v) for n, v in s.names.items() if n != "R/2"), ("2", size(2))]
    pack = s.pick((None, None, "A"))
    texts: list[str] = []
    for parameter in ("a", "b")[: s.number(1, 2)]:
        dims = [s.pick(choices) for _ in range(s.number(1, 3))]
        made = Tensor(parameter, "float16", Shape(pack, tuple(n for _, n in dims)))
        pack_text = [f"...{pack}"] if pack is not None else []
        texts.append(f"{parameter}: float16[{', '.join([*pack_text, *(text for text, _ in dims)])}]")
        s.values.append(made)
        pack = None if s.chance() else pack
    parameters = tuple(s.values)
    _forget_unused(s, parameters)
    s.write((COMPUTING, SHAPING, CONTROL))
    result = s.values[-1]
    used = where if "R" in s.names else ""
    lines = "\n".join(f"    {line}" for line in [*s.lines, f"return {result.text}"])
    source = f"fn {name}({', '.join(texts)}) -> {s.type(result)}{used} {{\n{lines}\n}}\n"
    return Function(name, source, parameters, result)


def _forget_unused(s: Scope, parameters: tuple[Tensor, ...]) -> None:
    """Keep the dims that some parameter has: no other can be found at a call."""
    atoms = {atom for p in parameters for n in p.shape.sizes for atom in n.atoms()}
    s.names = {name: n for name, n in s.names.items() if n.atoms() <= atoms}


# --- calls


def called(function: Function) -> Operation:
    """The operation that calls a function with values that fit, or with zeros where there are none."""

    def call(s: Scope) -> Tensor:
        bound: dict[str, Size] = {}
        packs: dict[str, Shape] = {}
        texts: list[str] = []
        for parameter in function.parameters:
            fitting = [
                (value.text, found)
                for value in reversed(s.values)
                if value.element == parameter.element
                and (found := _bound(s, parameter, value, bound, packs)) is not None
            ]
            text, (bound, packs) = s.pick(fitting or [_made(s, parameter, bound, packs)])
            texts.append(text)
        result = function.result
        sizes = tuple(n.replaced(bound) for n in result.shape.sizes)
        leading = packs[result.shape.pack] if result.shape.pack is not None else Shape(None, ())
        made = Shape(leading.pack, (*leading.sizes, *sizes))
        return Tensor(f"{function.name}({', '.join(texts)})", result.element, made)

    return call


def _made(
    s: Scope, parameter: Tensor, bound: Mapping[str, Size], packs: Mapping[str, Shape]
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
    return f"ones([{s.sizes(sizes)}])", (dims, tops)


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
