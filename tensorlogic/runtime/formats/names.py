"""The names of a model's tensors, found by what they begin with, by the numbers in them and by likeness.

Takes the names once and indexes them when a question first needs it, so that each question costs what its answer does
and not what the model holds. Names are paths of segments with `.` between them (`blk.3.attn_q.weight`).
"""

from __future__ import annotations

import bisect
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from functools import cached_property

from tensorlogic.runtime.formats.nearest import nearest

_NUMBER = re.compile(r"(?<![0-9])(?:0|[1-9][0-9]{0,8})(?![0-9])")
_MOST_FORMS = 5
"""The nearest forms of names that are looked through for a name that is not taken."""
_MOST_RUNS = 4
_LONGEST = 1000
"""Of a longer name no beginnings are kept: a file may hold names of 65 kB, whose beginnings would fill the memory."""


class Names:
    """Names of tensors. `in` and iteration are those of the names themselves, in their order."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = dict.fromkeys(names)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def is_prefix(self, prefix: str) -> bool:
        """Whether a name begins with `prefix` and a dot; every name begins with the empty prefix."""
        return not prefix or prefix in self._prefixes._names

    def numbers(self, before: str, above: int = -1) -> list[int]:
        """The numbers over `above`, ascending, that stand right behind the text `before` in a name."""
        found = self._numbers.get(before, [])
        return found[bisect.bisect_right(found, above) :]

    def nearest(self, name: str, taken: Collection[str] = ()) -> str | None:
        """The name most like `name` that is not among `taken`, with the same numbers where there is one."""
        wanted = _numbers_in(name)
        for near in nearest(form_of(name), self._forms, _MOST_FORMS):
            free = [other for other in self._forms[near] if other not in taken]
            if free:
                return min(free, key=lambda other: _distance(wanted, _numbers_in(other)))
        return None

    def nearest_prefix(self, prefix: str) -> str | None:
        """The prefix of names that is most like `prefix`."""
        return self._prefixes.nearest(prefix)

    @cached_property
    def _prefixes(self) -> Names:
        found: dict[str, None] = {}
        for name in self._names:
            end = name.rfind(".") if len(name) <= _LONGEST else 0
            while end > 0 and name[:end] not in found:
                found[name[:end]] = None
                end = name.rfind(".", 0, end)
        return Names(found)

    @cached_property
    def _numbers(self) -> dict[str, list[int]]:
        found: defaultdict[str, set[int]] = defaultdict(set)
        for name in self._names:
            for match in _NUMBER.finditer(name if len(name) <= _LONGEST else ""):
                found[name[: match.start()]].add(int(match.group()))
        return {before: sorted(numbers) for before, numbers in found.items()}

    @cached_property
    def _forms(self) -> dict[str, list[str]]:
        """The names by what they are when every number in them is 0."""
        found: defaultdict[str, list[str]] = defaultdict(list)
        for name in self._names:
            found[form_of(name)].append(name)
        return found


def form_of(name: str) -> str:
    """A name in which every number is 0."""
    return _NUMBER.sub("0", name[:200])


def together(names: Sequence[str]) -> str:
    """Different names of one form as one: `blk.{0..2,5}.weight`, where all differ in the same number alone."""
    numbers = [_numbers_in(name) for name in names]
    varying = [place for place, column in enumerate(zip(*numbers, strict=True)) if len(set(column)) > 1]
    runs: list[list[int]] = []
    for number in sorted(found[varying[0]] for found in numbers if len(varying) == 1):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    if not 0 < len(runs) <= _MOST_RUNS:
        return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more like it"
    told = ",".join(f"{run[0]}" if len(run) == 1 else f"{run[0]}..{run[-1]}" for run in runs)
    match = list(_NUMBER.finditer(names[0]))[varying[0]]
    return f"{names[0][: match.start()]}{{{told}}}{names[0][match.end() :]}"


def _numbers_in(name: str) -> list[int]:
    return [int(number) for number in _NUMBER.findall(name[:200])]


def _distance(wanted: list[int], found: list[int]) -> list[int]:
    """How far numbers are from those that are wanted, the first ones first."""
    return [abs(a - b) for a, b in zip(wanted, found, strict=False)]
