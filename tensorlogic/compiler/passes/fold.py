"""Constant folding: what is known while compiling is not computed again.

Looks for operations without effect whose one result has a type that carries a constant (an `int` whose polynomial is a
number, a known float, bool or string): the checker computed it already. They become `constant` operations. Looks also
for an `item` of a `tuple` or `list` that is made in the same function: it is what was put there, and takes the item's
name where it has none of its own.

Right because a type's constant is the value: the checker folds with Python's own arithmetic, which is what the emitted
code would compute. Values never change, so an item is what it was made of.
"""

from __future__ import annotations

from dataclasses import replace

from tensorlogic.compiler.ir.core import Function, Operation, Value, rewrite, walk
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

    return replace(function, body=rewrite(function.body, change, values), names=names)


def _folded(operation: Operation) -> Operation:
    if operation.name == "constant" or len(operation.results) != 1 or operation.regions or has_effect(operation):
        return operation
    type = operation.result.type
    if not isinstance(type, IntType | FloatType | BoolType | StringType) or type.constant is None:
        return operation
    return replace(operation, name="constant", operands=(), attributes={"value": type.constant})
