"""Makes functions of the IR, one operation after another.

The checker drives it. A region is opened, filled and closed; what is open is where operations go. `mark` and `forget`
let the checker try something and take it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tensorlogic.compiler.ir.core import TERMINATORS, Operation, Region, Value
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.types import Type


def ends(operations: Sequence[Operation]) -> bool:
    """Whether nothing can follow: a terminator stands last, or an `if` that ends on both sides."""
    if not operations:
        return False
    last = operations[-1]
    if last.name == "if":
        return all(ends(region.operations) and region.operations[-1].name != "yield" for region in last.regions)
    return last.name in TERMINATORS


class Builder:
    """The open regions of one function, innermost last, and the names the source gave to values."""

    def __init__(self) -> None:
        self._open: list[list[Operation]] = []
        self.names: dict[Value, str] = {}

    def add(
        self,
        name: str,
        operands: tuple[Value, ...],
        type: Type,
        span: Span,
        *,
        regions: tuple[Region, ...] = (),
        **attributes: Any,
    ) -> Value:
        """Append an operation with one result, and give the result."""
        result = Value(type)
        self._open[-1].append(Operation(name, operands, (result,), attributes, regions, span))
        return result

    def add_statement(
        self,
        name: str,
        operands: tuple[Value, ...],
        span: Span,
        *,
        results: tuple[Value, ...] = (),
        regions: tuple[Region, ...] = (),
        **attributes: Any,
    ) -> None:
        """Append an operation with any number of results."""
        self._open[-1].append(Operation(name, operands, results, attributes, regions, span))

    def made_by(self, value: Value) -> str | None:
        """The name of the operation that gave a value, where it is the last that was added."""
        last = self._open[-1][-1] if self._open[-1] else None
        return last.name if last is not None and value in last.results else None

    def name(self, value: Value, name: str) -> None:
        """Say what the source calls a value; the first name stays."""
        self.names.setdefault(value, name)

    def open(self) -> None:
        self._open.append([])

    def close(self, arguments: tuple[Value, ...] = ()) -> Region:
        return Region(arguments, tuple(self._open.pop()))

    def join(self) -> None:
        """Close the innermost region and let its operations stand where it was opened."""
        operations = self._open.pop()
        self._open[-1] += operations

    @property
    def depth(self) -> int:
        """How many regions are open: what a value's visibility depends on."""
        return len(self._open)

    @property
    def last(self) -> Operation:
        """The operation added last to the innermost region."""
        return self._open[-1][-1]

    @property
    def terminated(self) -> bool:
        """Whether the innermost region has its terminator already."""
        return ends(self._open[-1])

    def mark(self) -> tuple[int, int]:
        return len(self._open), len(self._open[-1])

    def forget(self, mark: tuple[int, int]) -> None:
        """Take back all that was added, and close all that was opened, since the mark."""
        del self._open[mark[0] :]
        del self._open[-1][mark[1] :]
