"""How matrix products become Python: the runtime's, which chooses a kernel, and MLX's own in a standalone module."""

from __future__ import annotations

from tensorlogic.compiler.ops.growth import guarded
from tensorlogic.compiler.ops.lowering import PRODUCT, Call, Text


def product(call: Call, left: str, right: str, *, transpose: bool = False) -> Text:
    """The product of two operands; with `transpose`, the last two dims of the right one swapped."""
    a, b = call[left], call[right]
    if call.standalone:
        if transpose:
            b = Text(f"{b:atom}.T" if call.tensor(right).shape.rank == 2 else f"{b:atom}.swapaxes(-1, -2)")
        return guarded(call, Text(f"{a.within(PRODUCT)} @ {b.within(PRODUCT + 1)}", PRODUCT))
    options = ", transpose=True" if transpose else ""
    text = Text(f"{call.names.runtime('matmul')}({a}, {b}{options}{allowed(call, right)})")
    return text if right in call.packed else guarded(call, text)


def allowed(call: Call, weight: str) -> str:
    """The argument that lets a product with a packed weight round its left side."""
    return ", fast=True" if call.fast and weight in call.packed else ""
