"""Where values are still needed: what decides whether a Python variable may be given another value.

Takes a function's region. Promises `needed_after`: false only where no way on from an operation comes to a use of the
value again. Branches that are not taken do not count, a loop counts all that its next iteration uses, and what stands
behind the end of a block that leaves it with `return`, `break` or `continue` is not on the way.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from tensorlogic.compiler.ir.core import Operation, Region, Value

_REPEATS = frozenset({"for", "while", "lambda"})
"""Operations whose regions may run more than once."""


def reads(operation: Operation) -> Iterator[Value]:
    """What the text of an operation mentions: its operands, and the tensor of a list that is written as its shape."""
    yield from operation.operands
    source = operation.attributes.get("shape_of")
    if isinstance(source, Value):
        yield source


class Liveness:
    """The operations of a function in the order of the text, with the places where each value is used."""

    def __init__(self, root: Region) -> None:
        self._start: dict[Operation, int] = {}
        self._end: dict[Operation, int] = {}
        self._region: dict[Operation, Region] = {}
        self._owner: dict[Region, Operation | None] = {root: None}
        self._home: dict[Value, Region] = {}
        self._uses: dict[Value, list[int]] = {}
        self._number(root)

    def _number(self, region: Region) -> None:
        self._home.update(dict.fromkeys(region.arguments, region))
        for operation in region.operations:
            place = self._start[operation] = len(self._start)
            self._region[operation] = region
            for value in reads(operation):
                self._uses.setdefault(value, []).append(place)
            owner = self._owner[region]
            if owner is not None and owner.name == "while" and operation is owner.regions[0].operations[-1]:
                # Where the condition fails, the loop's results are what was carried to it.
                for value in region.arguments:
                    self._uses.setdefault(value, []).append(place)
            for inner in operation.regions:
                self._owner[inner] = operation
                self._number(inner)
            self._end[operation] = len(self._start) - 1
            self._home.update(dict.fromkeys(operation.results, region))

    def used_inside(self, value: Value, operation: Operation) -> bool:
        """Whether the operation's regions use the value."""
        return self._used(value, self._start[operation] + 1, self._end[operation])

    def needed_after(self, value: Value, operation: Operation) -> bool:
        """Whether anything that may run after the operation uses the value."""
        home = self._home[value]
        while True:
            region = self._region[operation]
            owner = self._owner[region]
            # The body of a `while` follows its condition.
            in_condition = owner is not None and owner.name == "while" and region is owner.regions[0]
            last = self._end[owner] if owner is not None and in_condition else self._end[region.operations[-1]]
            if self._used(value, self._end[operation] + 1, last):
                return True
            end = region.operations[-1].name
            if owner is None or end == "return" or self._owner[home] is owner:
                return False
            if end in ("break", "continue"):
                owner = self._left(region)
                if self._stands_in(home, owner):
                    return False
            if owner.name in _REPEATS and self.used_inside(value, owner):
                return True
            operation = owner

    def stands_beside(self, value: Value, operation: Operation) -> bool:
        """Whether the value is defined in the operation's own region, so that no other region outlives its use here."""
        return self._home[value] is self._region[operation]

    def _left(self, region: Region) -> Operation:
        """The loop that a `break` or `continue` at the end of a region leaves."""
        owner = self._owner[region]
        while owner is not None and owner.name not in ("for", "while"):
            owner = self._owner[self._region[owner]]
        assert owner is not None, "a `break` stands in a loop"
        return owner

    def _stands_in(self, region: Region, operation: Operation) -> bool:
        owner = self._owner[region]
        while owner is not None and owner is not operation:
            owner = self._owner[self._region[owner]]
        return owner is operation

    def _used(self, value: Value, first: int, last: int) -> bool:
        places = self._uses.get(value, [])
        i = bisect_left(places, first)
        return i < len(places) and places[i] <= last
