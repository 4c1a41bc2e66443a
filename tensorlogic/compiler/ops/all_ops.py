"""The op table: every group's entries, by name."""

from __future__ import annotations

from tensorlogic.compiler.ops import elementwise, fused, host, make, neural, operators, packing, reduce, shape, sort
from tensorlogic.compiler.ops.table import Op, gather

OPS: dict[str, Op] = gather(
    (
        operators.OPS,
        make.OPS,
        elementwise.OPS,
        reduce.OPS,
        sort.OPS,
        host.OPS,
        shape.OPS,
        neural.OPS,
        packing.OPS,
        fused.OPS,
    )
)
