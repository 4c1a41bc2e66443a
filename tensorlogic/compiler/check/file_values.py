"""What is known of a script's values once the model files that it opens are known.

A fact is `Known` (a host value), a `Weight` (a tensor, by its shape), a `Net` (a struct), a `ModelFile`, or `UNKNOWN`.
Each carries the `Sight`s that it rests on: what was read in which file, and where the program asked for it. A sight
that an error has told of is spent, and so is all that rests on it: one mistake is told once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import field
from typing import TYPE_CHECKING, Any

from tensorlogic.compiler.records import dataclass
from tensorlogic.compiler.source import Span

if TYPE_CHECKING:
    from tensorlogic.runtime.formats import FileHeader
    from tensorlogic.runtime.formats.names import Names


@dataclass(eq=False, slots=True)
class Sight:
    """One thing that a file says: `subject` (`` `w` ``) `is` `found` (`float16[4, 2]`), asked for at `span`."""

    file: str
    subject: str
    found: str
    span: Span
    declared: str = ""
    """What the program declares it to be, as far as it does."""
    told: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Unknown:
    """What only run time knows."""

    sights: tuple[Sight, ...] = ()


UNKNOWN = Unknown()

_LARGEST = 2**63
_LONGEST = 2**16


@dataclass(frozen=True, eq=False, slots=True)
class Known:
    """A host value: a number, string, bool, None, a range, or a tuple of facts for a tuple or list."""

    value: Any
    sights: tuple[Sight, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class Weight:
    """A tensor whose shape is known."""

    shape: tuple[int, ...]
    sights: tuple[Sight, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class Net:
    """A struct: facts of its fields, and of its dims by name."""

    fields: Mapping[str, Fact]
    dims: Mapping[str, Fact]
    sights: tuple[Sight, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class ModelFile:
    """An open model, whose floats are read as `floats`."""

    header: FileHeader
    floats: str
    use: Use
    names: Names
    sights: tuple[Sight, ...] = ()


Fact = Unknown | Known | Weight | Net | ModelFile


@dataclass(eq=False, slots=True)
class Use:
    """What a program asks of one file, in the order of asking: for editors, and `tlc check --json`.

    Names of tensors that are there, and those that are not, with the nearest ones.
    """

    path: str
    format: str
    tensors: dict[str, tuple[str, tuple[int, ...]]] = field(default_factory=dict)
    missing: dict[str, list[str]] = field(default_factory=dict)


def sights_of(facts: Iterable[Fact]) -> tuple[Sight, ...]:
    """All that several facts rest on, each once."""
    return tuple(dict.fromkeys(sight for fact in facts for sight in fact.sights))


def is_spent(fact: Fact) -> bool:
    """Whether an error has told of something that the fact rests on."""
    return any(sight.told for sight in fact.sights)


def is_plain(value: object) -> bool:
    """Whether a value is a host constant of a size that costs nothing to compute with."""
    match value:
        case bool():
            return True
        case int():
            return abs(value) < _LARGEST
        case float():
            return math.isfinite(value)
        case str():
            return len(value) < _LONGEST
    return False
