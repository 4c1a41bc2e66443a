"""What emitted text must do where it stands, and what may be written elsewhere.

An operation that does, evaluates or refuses something keeps its place among its kind; the others build graphs, which
may be built at any time.
"""

from __future__ import annotations

from tensorlogic.compiler.ir.core import Operation, Region, Value
from tensorlogic.compiler.passes.dead import has_effect

REPEATED = frozenset(
    {"constant", "dim", "field", "item", "dtype", "shape", "rank", "size", "attribute", "arguments", "retype"}
    | {"list", "tuple", "host.is_none", "host.is_not_none"}
)
"""Operations so cheap that they are written at each use rather than kept."""

SUMS = frozenset({"host.add", "host.subtract", "host.multiply", "host.floor_divide"})
"""Arithmetic of host ints: a short one is written at each use, too."""

STATEMENTS = frozenset({"print", "save_model", "set_fields"})
"""Operations that stand for what they do: each is a statement where it stands."""

ORDERED = frozenset(
    {
        "read_line",
        "generate",
        "new_cache",
        "load_model",
        "load_tokenizer",
        "bind",
        "method",
        "accept",
        "ranked",
        "debug",
    }
    | {"update_cache", "cached_attention"}
)
"""Operations that read the world or may refuse: they stay where they stand, in a statement of their own."""

_CALLS = frozenset({"extern", "pieces", "tensor", "int", "float", "bool", "string", "select"})
"""Operations that may evaluate or refuse something, and are written where they are used."""


def acts(operation: Operation) -> bool:
    """Whether the operation does, evaluates or refuses anything when it runs."""
    inside = any(acts(o) for region in operation.regions for o in region.operations)
    return inside or operation.name in _CALLS or (has_effect(operation) and operation.name != "yield")


def items_of(value: Value, operations: tuple[Operation, ...]) -> list[Operation]:
    """The operations at the beginning that take items of a tuple, each another one."""
    found: list[Operation] = []
    for operation in operations:
        if operation.name != "item" or operation.operands[0] is not value:
            break
        if any(o.attributes["index"] == operation.attributes["index"] for o in found):
            break
        found.append(operation)
    return found


def last_uses(region: Region) -> dict[Value, tuple[int, int]]:
    """What the region's own operations use; what loops and branches inside use is left out."""
    found: dict[Value, tuple[int, int]] = {}
    for position, operation in enumerate(region.operations):
        for operand in operation.operands:
            found[operand] = (found.get(operand, (0, 0))[0] + 1, position)
    return found


def barriers(region: Region) -> list[int]:
    """Where something is done in a statement of its own, before which all that was to be done is done."""

    def stays(operation: Operation) -> bool:
        if operation.name == "lambda":
            return False
        if operation.regions:
            return acts(operation)
        return operation.name in STATEMENTS | ORDERED | {"demand"}

    return [i for i, operation in enumerate(region.operations) if stays(operation)]
