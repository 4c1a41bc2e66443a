"""What is assumed at a place: facts about dims, and optionals that are there."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tensorlogic.compiler.dims import Polynomial, Variable
from tensorlogic.compiler.ir.core import Value
from tensorlogic.compiler.records import dataclass

Path = tuple[str, ...]
"""A variable and the fields taken of it: what narrowing is about."""


@dataclass(frozen=True, slots=True)
class Bound:
    """`low <= high`, or `low < high`."""

    low: Polynomial
    high: Polynomial
    strict: bool = False

    @property
    def difference(self) -> Polynomial:
        """What is not negative."""
        return self.high - self.low - (1 if self.strict else 0)


@dataclass(frozen=True, slots=True)
class Equation:
    left: Polynomial
    right: Polynomial


@dataclass(frozen=True, slots=True)
class Divisible:
    value: Polynomial
    divisor: Polynomial


@dataclass(frozen=True, slots=True)
class NotNone:
    """What stands at `path` is there, as long as its first name stands for `root`."""

    path: Path
    root: Value


Assumption = Bound | Equation | Divisible | NotNone


@dataclass(frozen=True, slots=True)
class Implications:
    """What follows from a host `bool` being true, and from its being false."""

    when_true: tuple[Assumption, ...] = ()
    when_false: tuple[Assumption, ...] = ()


def sides_of(assumption: Assumption) -> tuple[str, tuple[Polynomial, Polynomial]]:
    """A part of a `where` as the kind of a demand and its two numbers."""
    match assumption:
        case Bound(low, high, strict):
            return "more_than" if strict else "at_least", (high, low)
        case Equation(left, right):
            return "equal", (left, right)
        case Divisible(value, divisor):
            return "divisible", (value, divisor)
    raise AssertionError(f"no part of a `where`: {assumption}")


def parts_of(polynomials: Iterable[Polynomial]) -> dict[Variable, None]:
    """The variables that a clause names: a quotient stands for those that it is made of."""
    found: dict[Variable, None] = {}
    for p in polynomials:
        for variable in p.variables():
            found.update({variable: None} if variable.definition is None else parts_of(variable.definition))
    return found


def named_in(polynomials: Iterable[Polynomial], clause: str) -> list[Variable]:
    """The variables of a clause in the order in which its text names them."""

    def position(variable: Variable) -> int:
        match = re.search(rf"\b{re.escape(variable.name)}\b", clause)
        return match.start() if match is not None else len(clause)

    return sorted(parts_of(polynomials), key=position)
