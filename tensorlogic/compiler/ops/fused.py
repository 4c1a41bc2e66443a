"""Ops that no source names: passes make them of several others."""

from __future__ import annotations

from tensorlogic.compiler.ops.lowering import Call, Text
from tensorlogic.compiler.ops.products import product
from tensorlogic.compiler.ops.table import Op


def _matmul_transposed(call: Call) -> Text:
    """`a @ b.T`, the last two dims of `b` swapped."""
    return product(call, "a", "b", transpose=True)


OPS: tuple[Op, ...] = (Op("matmul_transposed", _matmul_transposed, parameters=("a", "b"), packed=frozenset({"b"})),)
