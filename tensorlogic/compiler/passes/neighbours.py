"""What passes that match patterns look at: a region's operations, who makes a value and who uses it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field, replace

from tensorlogic.compiler.ir.core import Function, Operation, Region, Value, uses, walk
from tensorlogic.compiler.records import dataclass


@dataclass
class Neighbours:
    """The operations of one region. `made` and `counts` are of the whole function."""

    operations: list[Operation]
    made: Mapping[Value, Operation]
    counts: Mapping[Value, int]
    positions: dict[Operation, int] = field(default_factory=dict)
    users: dict[Value, list[Operation]] = field(default_factory=dict)
    """Those in this region."""

    def __post_init__(self) -> None:
        for position, operation in enumerate(self.operations):
            self.positions[operation] = position
            for operand in operation.operands:
                self.users.setdefault(operand, []).append(operation)

    def only_user(self, value: Value) -> Operation | None:
        """The one operation of this region that uses a value, where nothing else does."""
        users = self.users.get(value, [])
        return users[0] if self.counts.get(value) == 1 and len(users) == 1 else None


def each_region(function: Function, change: Callable[[Neighbours], Iterable[Operation]]) -> Function:
    """The function with the operations of each region as `change` gives them, inner regions first."""
    made = {result: operation for operation in walk(function.body) for result in operation.results}
    counts = uses(function.body)

    def changed(region: Region) -> Region:
        operations = [replace(o, regions=tuple(map(changed, o.regions))) if o.regions else o for o in region.operations]
        return Region(region.arguments, tuple(change(Neighbours(operations, made, counts))))

    return replace(function, body=changed(function.body))
