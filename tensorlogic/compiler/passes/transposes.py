"""Transposes folded into `@`: `x @ w.T` reads the weight as it lies, and two transposes cancel.

Looks for `matmul` whose right operand is `transpose_last` of a value: it becomes `matmul_transposed` of the value
itself. On a dense array MLX reads a transposed view at no cost, and the emitted text is `x @ w.T` as before; on a
packed weight the quantized kernel takes rows of `[out, in]` as they are stored, so nothing is expanded. A
`transpose_last` of a `transpose_last` is the value.

Right because `transpose_last` only swaps the last two dims, and `matmul` contracts the last of the left with the last
of a transposed right.
"""

from __future__ import annotations

from dataclasses import replace

from tensorlogic.compiler.ir.core import Function, Operation, Value, rewrite, walk


def run(function: Function) -> Function:
    """The function with transposes of matmul's right side folded into it."""
    made = {r: o for o in walk(function.body) for r in o.results}

    def change(operation: Operation) -> Operation | Value | None:
        if operation.name == "transpose_last":
            inner = made.get(operation.operands[0])
            if inner is not None and inner.name == "transpose_last":
                return inner.operands[0]
        if operation.name == "matmul":
            left, right = operation.operands
            source = made.get(right)
            if source is not None and source.name == "transpose_last":
                return replace(operation, name="matmul_transposed", operands=(left, source.operands[0]))
        return operation

    return replace(function, body=rewrite(function.body, change, {}))
