"""What operators and their operands are called: the op of each operator, and the labels of two operands."""

from __future__ import annotations

from tensorlogic.compiler.ir.core import Value
from tensorlogic.compiler.source import Span

OP_OF = {
    "+": "add",
    "-": "subtract",
    "*": "multiply",
    "/": "divide",
    "%": "remainder",
    "**": "power",
    "@": "matmul",
    "==": "equal",
    "!=": "not_equal",
    "<": "less",
    "<=": "less_equal",
    ">": "greater",
    ">=": "greater_equal",
    "&": "logical_and",
    "|": "logical_or",
}
COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})


def labels(left: Value, right: Value, spans: tuple[Span, Span]) -> list[tuple[Span, str]]:
    return [(spans[0], str(left.type)), (spans[1], str(right.type))]
