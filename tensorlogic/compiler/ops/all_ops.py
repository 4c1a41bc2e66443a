"""The op table: every group's entries, by name."""

from __future__ import annotations

from tensorlogic.compiler.ops import elementwise, fused, host, make, operators, reduce, sort
from tensorlogic.compiler.ops.table import Op, gather

OPS: dict[str, Op] = gather((operators.OPS, make.OPS, elementwise.OPS, reduce.OPS, sort.OPS, host.OPS, fused.OPS))
