"""Constant folding: what is known while compiling is not computed again.

Looks for operations without effect whose one result has a type that carries a constant (an `int` whose polynomial is a
number, a known float, bool or string): the checker computed it already. They become `constant` operations. Looks also
for an `item` of a `tuple` or `list` that is made in the same function: it is what was put there, and takes the item's
name where it has none of its own. An `if` whose condition is known is the branch that it takes, and nothing follows
where that branch leaves.

Right because a type's constant is the value: the checker folds with Python's own arithmetic, which is what the emitted
code would compute. Values never change, so an item is what it was made of.
"""

from __future__ import annotations

from dataclasses import replace

from tensorlogic.compiler.ir.builder import ends
from tensorlogic.compiler.ir.core import Function, Operation, Region, Value, rewrite, walk
from tensorlogic.compiler.passes.dead import has_effect
from tensorlogic.compiler.types import BoolType, FloatType, IntType, StringType


def run(function: Function) -> Function:
    """The function with known host values as constants, and without tuples that are only taken apart."""
    made = {o.result: o for o in walk(function.body) if o.name in ("tuple", "list")}
    names = dict(function.names)
    values: dict[Value, Value] = {}

    def change(operation: Operation) -> Operation | Value | None:
        source = made.get(operation.operands[0]) if operation.name == "item" else None
        if source is None:
            return _folded(operation)
        operand: Value = source.operands[operation.attributes["index"]]
        item = values.get(operand, operand)
        if item.type != operation.result.type:
            return _folded(operation)
        if operation.result in names:
            names.setdefault(item, names[operation.result])
        return item

    return replace(function, body=_straight(rewrite(function.body, change, values)), names=names)


def _straight(region: Region) -> Region:
    """The region with the branches that known conditions take in the place of their `if`s."""
    operations: list[Operation] = []
    for operation in region.operations:
        inner = tuple(map(_straight, operation.regions))
        taken = _known_branch(operation, inner)
        if taken is None:
            operations.append(replace(operation, regions=inner) if inner else operation)
        else:
            operations += _in_place(operation, taken)
        if ends(operations):
            break
    return Region(region.arguments, tuple(operations))


def _known_branch(operation: Operation, regions: tuple[Region, ...]) -> Region | None:
    """The branch of an `if` that is surely taken."""
    condition = operation.operands[0].type if operation.name == "if" else None
    if not isinstance(condition, BoolType) or condition.constant is None:
        return None
    then, otherwise = regions
    return then if condition.constant else otherwise


def _in_place(operation: Operation, taken: Region) -> list[Operation]:
    """A branch's operations, and what it yields as the results of its `if`."""
    *operations, end = taken.operations
    if end.name != "yield":
        return [*operations, end]
    for value, result in zip(end.operands, operation.results, strict=True):
        operations.append(Operation("retype", (value,), (result,), {}, (), operation.span))
    return operations


def _folded(operation: Operation) -> Operation:
    if operation.name == "constant" or len(operation.results) != 1 or operation.regions or has_effect(operation):
        return operation
    type = operation.result.type
    if not isinstance(type, IntType | FloatType | BoolType | StringType) or type.constant is None:
        return operation
    return replace(operation, name="constant", operands=(), attributes={"value": type.constant})
