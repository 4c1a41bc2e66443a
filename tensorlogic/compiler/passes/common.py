"""Common subexpressions: an operation that computes what an earlier one did is replaced by the earlier one's result.

Looks for two operations of the same name, operands and attributes, the earlier one in the same region or in one around
it, where its values are visible. Both must be without effect; `debug`, checks and what reads the world are left alone.
Two constants of equal value and type are one, unless the source gave one of them a name. Where the source gave both
values names, the later one becomes a second name of the first.

Right because language.md makes functions pure: equal operations on equal operands give equal values. Random operations
take a key, so equal calls are equal by contract.
"""

from __future__ import annotations

from collections import ChainMap
from dataclasses import field, replace
from typing import Any

from tensorlogic.compiler.ir.core import Function, Operation, Region, Value
from tensorlogic.compiler.passes.dead import has_effect
from tensorlogic.compiler.records import dataclass
from tensorlogic.compiler.types import FunctionType

Key = tuple[object, ...]

_WRITTEN = frozenset({"range", "format", "list", "tuple"})
"""Operations that are read more easily where they are used than under a name that nobody chose."""


def run(function: Function) -> Function:
    """The function with each value computed once where it is visible."""
    merger = _Merger(dict(function.names))
    body = merger.merged(function.body, ChainMap())
    return replace(function, body=body, names=merger.names)


@dataclass
class _Merger:
    names: dict[Value, str]
    values: dict[Value, Value] = field(default_factory=dict)
    """What stands for a value that is gone."""
    firsts: dict[Value, Value] = field(default_factory=dict)
    """The first of several values that are equal and stay: those with names of their own, and `_WRITTEN` ones."""

    def merged(self, region: Region, known: ChainMap[Key, Value]) -> Region:
        kept: list[Operation] = []
        for operation in region.operations:
            operands = tuple(self.values.get(v, v) for v in operation.operands)
            regions = tuple(self.merged(inner, known.new_child()) for inner in operation.regions)
            operation = replace(operation, operands=operands, regions=regions)
            kept += self._once(operation, known)
        return Region(region.arguments, tuple(kept))

    def _once(self, operation: Operation, known: ChainMap[Key, Value]) -> list[Operation]:
        """The operation, what is left of it where an earlier one computes the same, or nothing."""
        if operation.regions or has_effect(operation) or len(operation.results) != 1:
            return [operation]
        key = _key(operation, tuple(self.firsts.get(v, v) for v in operation.operands))
        earlier = known.get(key) if key is not None else None
        if key is None or earlier is None:
            if key is not None:
                known[key] = operation.result
            return [operation]
        named = operation.result in self.names
        if operation.name in _WRITTEN:
            self.firsts[operation.result] = self.firsts.get(earlier, earlier)
            return [operation]
        if operation.name == "constant" and (earlier in self.names or named):
            return [operation]
        if named and earlier in self.names:
            self.firsts[operation.result] = self.firsts.get(earlier, earlier)
            return [replace(operation, name="retype", operands=(earlier,), attributes={})]
        self.values[operation.result] = earlier
        if named:
            self.names[earlier] = self.names[operation.result]
        return []


def _key(operation: Operation, operands: tuple[Value, ...]) -> Key | None:
    type = operation.result.type
    if isinstance(type, FunctionType):
        return None
    attributes = tuple((k, _frozen(v)) for k, v in sorted(operation.attributes.items()))
    if operation.name == "retype" and not operation.operands:
        return None
    return (operation.name, operands, attributes, type)


def _frozen(value: Any) -> object:
    if isinstance(value, list | tuple):
        return tuple(_frozen(v) for v in value)
    # 1, 1.0 and True are equal in Python and different constants here, and so are 0.0 and -0.0.
    return (type(value).__name__, repr(value) if isinstance(value, float) else value)
