"""Constant folding: host values that are known while compiling are written as constants.

Looks for operations without effect whose one result has a type that carries a constant (an `int` whose polynomial is a
number, a known float, bool or string): the checker computed it already. They become `constant` operations.

Right because a type's constant is the value: the checker folds with Python's own arithmetic, which is what the emitted
code would compute.
"""

from __future__ import annotations

from dataclasses import replace

from tensorlogic.compiler.ir.core import Function, Operation, Value, rewrite
from tensorlogic.compiler.passes.dead import has_effect
from tensorlogic.compiler.types import BoolType, FloatType, IntType, StringType


def run(function: Function) -> Function:
    """The function with known host values as constants."""
    return replace(function, body=rewrite(function.body, _folded, {}))


def _folded(operation: Operation) -> Operation | Value | None:
    if operation.name == "constant" or len(operation.results) != 1 or operation.regions or has_effect(operation):
        return operation
    type = operation.result.type
    if not isinstance(type, IntType | FloatType | BoolType | StringType) or type.constant is None:
        return operation
    return replace(operation, name="constant", operands=(), attributes={"value": type.constant})
