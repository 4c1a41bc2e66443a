"""What is assumed at a place: facts about dims, and optionals that are there."""

from __future__ import annotations

from dataclasses import dataclass

from tensorlogic.compiler.dims import Polynomial
from tensorlogic.compiler.ir.core import Value

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
