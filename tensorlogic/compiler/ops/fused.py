"""Ops that no source names: passes make them of several others."""

from __future__ import annotations

from tensorlogic.compiler.ops.growth import guarded
from tensorlogic.compiler.ops.lowering import PRODUCT, Call, Text
from tensorlogic.compiler.ops.table import Op


def _matmul_transposed(call: Call) -> Text:
    """`a @ b.T`, the last two dims of `b` swapped."""
    a, b = call["a"], call["b"]
    if "b" in call.packed:
        return Text(f"{call.names.runtime('matmul')}({a}, {b}, transpose=True)")
    swapped = f"{b:atom}.T" if call.tensor("b").shape.rank == 2 else f"{b:atom}.swapaxes(-1, -2)"
    return guarded(call, Text(f"{a.within(PRODUCT)} @ {swapped}", PRODUCT))


OPS: tuple[Op, ...] = (Op("matmul_transposed", _matmul_transposed, parameters=("a", "b"), packed=frozenset({"b"})),)
