"""Common subexpressions: an operation that computes what an earlier one did is replaced by the earlier one's result.

Looks for two operations of the same name, operands and attributes, the earlier one in the same region or in one around
it, where its values are visible. Both must be without effect; `debug`, checks and what reads the world are left alone.
Two constants of equal value and type are one, unless the source gave one of them a name. Two values that the source
both named stay two.

Right because language.md makes functions pure: equal operations on equal operands give equal values. Random operations
take a key, so equal calls are equal by contract.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tensorlogic.compiler.ir.core import Function, Operation, Region, Value
from tensorlogic.compiler.passes.dead import has_effect
from tensorlogic.compiler.types import FunctionType

Key = tuple[object, ...]

_WRITTEN = frozenset({"range", "format", "list", "tuple"})
"""Operations that are read more easily where they are used than under a name that nobody chose."""


def run(function: Function) -> Function:
    """The function with each value computed once where it is visible."""
    names = dict(function.names)
    body = _merged(function.body, {}, {}, names)
    return replace(function, body=body, names=names)


def _merged(region: Region, known: Mapping[Key, Value], values: dict[Value, Value], names: dict[Value, str]) -> Region:
    seen = dict(known)
    kept: list[Operation] = []
    for operation in region.operations:
        operands = tuple(values.get(v, v) for v in operation.operands)
        regions = tuple(_merged(inner, seen, values, names) for inner in operation.regions)
        operation = replace(operation, operands=operands, regions=regions)
        key = None if regions or has_effect(operation) or len(operation.results) != 1 else _key(operation)
        if key is not None:
            earlier = seen.get(key)
            apart = operation.name == "constant" and (earlier in names or operation.result in names)
            both_named = earlier in names and operation.result in names
            if earlier is not None and not apart and not both_named:
                values[operation.result] = earlier
                if operation.result in names:
                    names.setdefault(earlier, names[operation.result])
                continue
            seen[key] = operation.result
        kept.append(operation)
    return Region(region.arguments, tuple(kept))


def _key(operation: Operation) -> Key | None:
    type = operation.result.type
    if isinstance(type, FunctionType):
        return None
    attributes = tuple((k, _frozen(v)) for k, v in sorted(operation.attributes.items()))
    if operation.name in _WRITTEN or (operation.name == "retype" and not operation.operands):
        return None
    return (operation.name, operation.operands, attributes, type)


def _frozen(value: Any) -> object:
    if isinstance(value, list | tuple):
        return tuple(_frozen(v) for v in value)
    # 1, 1.0 and True are equal in Python and different constants here, and so are 0.0 and -0.0.
    return (type(value).__name__, repr(value) if isinstance(value, float) else value)
