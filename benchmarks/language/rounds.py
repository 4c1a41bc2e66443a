"""Turns, ratios and the time that they may take: the arithmetic of a comparison of several programs.

Takes: seconds measured elsewhere, and a clock.

Promises: only what was measured in the same turn is divided, since a machine's speed changes from minute to minute by
more than what is compared. The order of a turn is reversed in the next one, and what all are compared with stands in
the middle of it, beside as many of them as can be. A measure ends when its seconds are used up, after a least number
of rounds.

Refuses: fewer than two ratios (no quartiles), a turn in which one side has no time.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Clock: TypeAlias = Callable[[], float]


@dataclass(frozen=True)
class Spread:
    """The median of some numbers and their quartiles."""

    median: float
    lower: float
    upper: float

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.lower:.2f} to {self.upper:.2f})"


def spread(numbers: Sequence[float]) -> Spread:
    """Needs at least two."""
    if len(numbers) < 2:
        raise ValueError(f"quartiles need at least two numbers, not {len(numbers)}")
    lower, median, upper = statistics.quantiles(numbers, n=4, method="inclusive")
    return Spread(median, lower, upper)


def ratios(numerators: Sequence[float], denominators: Sequence[float]) -> tuple[float, ...]:
    """The quotient of each pair; both have one number a turn."""
    if len(numerators) != len(denominators):
        raise ValueError(f"{len(numerators)} and {len(denominators)} numbers are no pairs")
    return tuple(above / below for above, below in zip(numerators, denominators, strict=True))


def order(names: Sequence[str], baseline: str, turn: int) -> tuple[str, ...]:
    """`names` with `baseline` (left out where it is none of them) in their middle; reversed in odd turns."""
    others = [name for name in names if name != baseline]
    middle = len(others) // 2
    forward = (*others[:middle], *([baseline] if baseline in names else ()), *others[middle:])
    return forward if turn % 2 == 0 else forward[::-1]


@dataclass(frozen=True)
class Allowance:
    """How often a measure is repeated: `least` times at all events, and on until `seconds` would be passed."""

    least: int
    most: int
    seconds: float

    def __post_init__(self) -> None:
        if not 0 < self.least <= self.most:
            raise ValueError(f"{self.least} to {self.most} rounds are no range")

    def rounds(self, clock: Clock = time.perf_counter) -> Iterator[int]:
        """The numbers of the rounds. One more is begun where it fits if it is as long as the longest before it."""
        start = began = clock()
        longest = 0.0
        for number in range(self.most):
            if number >= self.least and began - start + longest > self.seconds:
                return
            yield number
            ended = clock()
            longest = max(longest, ended - began)
            began = ended
