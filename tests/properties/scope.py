"""What a generated function may use at a place: its sizes, its values, and what is known of them.

`Scope` draws choices for the operations of `operations.py` and `shaping.py`. An operation that finds nothing to work on
raises `NotApplicable`, and the program does without it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from hypothesis import strategies as st

from tests.properties.sizes import Shape, Size, broadcast, named

T = TypeVar("T")

STATEMENTS = 10
"""How many statements a body has at most, nearly."""

ATTEMPTS = 4
"""How often a statement is tried with other operations, where those before found nothing to work on."""

FLOATS = ("float16", "float32", "T")
"""`T` is the type parameter of a generic function."""


class NotApplicable(Exception):
    """There is nothing here that this could be done with."""


@dataclass(frozen=True)
class Tensor:
    """A tensor that a text stands for."""

    text: str
    element: str
    shape: Shape

    @property
    def is_float(self) -> bool:
        return self.element in FLOATS


@dataclass
class Scope:
    """One body being written.

    `names` are what dims and ints are called, with their sizes; `ints` are expressions that are no dims of types;
    `numbers` what the atoms are worth in the call that will be made. `loose` atoms are those that run time may check:
    unknown sizes and ints. `bounds` are pairs of sizes of which the first is known to be at most the second.
    """

    draw: st.DrawFn
    names: dict[str, Size] = field(default_factory=dict)
    ints: dict[str, Size] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    loose: set[str] = field(default_factory=set)
    bounds: list[tuple[Size, Size]] = field(default_factory=list)
    values: list[Tensor] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    kinds: Sequence[Sequence[Operation]] = ()
    made: int = 0

    # --- choices

    def pick(self, items: Sequence[T]) -> T:
        if not items:
            raise NotApplicable
        return self.draw(st.sampled_from(items))

    def number(self, low: int, high: int) -> int:
        if high < low:
            raise NotApplicable
        return self.draw(st.integers(low, high))

    def chance(self) -> bool:
        return self.draw(st.booleans())

    def tensor(self, fits: Callable[[Tensor], bool] = lambda value: True) -> Tensor:
        """A value that fits; the latest as often as all others."""
        fitting = [value for value in reversed(self.values) if fits(value)]
        return self.pick(fitting[:1] if self.chance() else fitting)

    def floats(self, fits: Callable[[Shape], bool] = lambda shape: True) -> Tensor:
        return self.tensor(lambda value: value.is_float and fits(value.shape))

    def axis(self, shape: Shape) -> int:
        """An axis, counted from the right where there is a pack, else from either side."""
        if shape.pack is not None:
            return self.number(-shape.rank, -1)
        return self.number(-shape.rank, shape.rank - 1)

    def axes(self, shape: Shape) -> list[int]:
        """Some axes, each once, at least one."""
        chosen = self.draw(st.lists(st.integers(-shape.rank, -1), min_size=1, max_size=shape.rank, unique=True))
        return [a if shape.pack is not None or self.chance() else a + shape.rank for a in chosen]

    def permutation(self, count: int) -> list[int]:
        return list(self.draw(st.permutations(range(count))))

    # --- knowledge

    def at_least(self, larger: Size, smaller: Size | int) -> bool:
        """Whether this is known, or is checked at run time and will be found to hold."""
        difference = larger - smaller
        if difference.atoms() & self.loose:
            return difference.atoms() <= set(self.numbers) and difference.value(self.numbers) >= 0
        if _grows(difference):
            return True
        return any(_grows(difference - (high - low)) for low, high in self.bounds)

    def least(self, size: Size) -> int:
        """The largest small number that the size is known to reach."""
        return max(n for n in range(-4, 9) if n == -4 or self.at_least(size, n))

    # --- text

    @property
    def numbered(self) -> dict[str, Size]:
        """All expressions of ints, with their values."""
        return {**self.names, **self.ints}

    def text(self, size: Size) -> str:
        """The size as an expression; by another name where it has one."""
        return self.pick([name for name, known in self.numbered.items() if known == size] + [str(size)])

    def dim(self, size: Size) -> str:
        """The size as a dim of a type: by another name where it has one, `?` where it has none."""
        if any(is_local(atom) for atom in size.atoms()):
            return "?"
        return self.pick([name for name, known in self.names.items() if known == size] + [str(size)])

    def sizes(self, sizes: Sequence[Size]) -> str:
        return ", ".join(self.text(s) for s in sizes)

    def type(self, tensor: Tensor) -> str:
        """The tensor's type, with `?` for sizes that have no name."""
        dims = [self.dim(s) for s in tensor.shape.sizes]
        pack = [f"...{tensor.shape.pack}"] if tensor.shape.pack is not None else []
        return f"{tensor.element}[{', '.join(pack + dims)}]"

    # --- statements

    def write(self, kinds: Sequence[Sequence[Operation]], most: int = STATEMENTS) -> None:
        """At most so many statements, nearly, with operations of these kinds."""
        self.kinds = kinds
        for _ in range(self.number(1, most)):
            if len(self.lines) >= most:
                break
            for _ in range(ATTEMPTS):
                try:
                    self.keep(self.pick(self.pick(kinds))(self))
                    break
                except NotApplicable:
                    continue

    def block(self, most: int) -> Scope:
        """A block inside of this body: what it makes and finds out is not seen outside of it."""
        inner = replace(self, ints=dict(self.ints), bounds=list(self.bounds), values=list(self.values), lines=[])
        inner.write(self.kinds, most)
        self.made = inner.made
        return inner

    def fresh(self) -> str:
        self.made += 1
        return f"v{self.made}"

    def keep(self, made: Tensor) -> Tensor:
        """Make a value usable: by a name, with its type or without, or as the expression that it is."""
        how = self.pick(("let", "typed", "inline"))
        if how == "inline" and len(made.text) < 60:
            kept = Tensor(f"({made.text})", made.element, made.shape)
        else:
            kept = Tensor(self.fresh(), made.element, made.shape)
            type = f": {self.type(made)}" if how == "typed" and is_named(made.shape) else ""
            self.lines.append(f"let {kept.text}{type} = {made.text}")
        self.values.append(kept)
        return kept

    def meeting(self, value: Tensor, fits: Callable[[Tensor], bool]) -> list[tuple[Tensor, Shape]]:
        """The values that fit and meet a value by broadcasting, with the shape in which they do."""
        found = [(other, broadcast(value.shape, other.shape)) for other in reversed(self.values) if fits(other)]
        return [(other, met) for other, met in found if met is not None]


Operation = Callable[[Scope], Tensor]
"""Makes a value of what is in scope."""


def is_named(shape: Shape) -> bool:
    """Whether every size can be written in a type."""
    return not any(is_local(atom) for s in shape.sizes for atom in s.atoms())


def is_local(atom: str) -> bool:
    """Whether an atom is an int of the body, or a size that only the body knows: no type can name it."""
    return "." in atom or atom.startswith("v")


def _grows(size: Size) -> bool:
    """Whether a size is not negative where each atom is at least 1."""
    return all(c >= 0 for product, c in size.terms if product) and sum(c for _, c in size.terms) >= 0


def half_of(name: str) -> Size:
    """The exact half of a dim that a `where` says to be even."""
    return named(f"({name}/2)")
