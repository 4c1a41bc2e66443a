"""Cases of what the passes make ops of."""

from __future__ import annotations

from tests.ops.harness import Case, normal

CASES = [
    Case("matmul_transposed", "x @ w.T", {"x": normal(*a), "w": normal(*b)}, 1e-5)
    for a, b in (((2, 3), (4, 3)), ((3,), (4, 3)), ((5, 2, 3), (4, 3)), ((5, 2, 3), (5, 4, 3)), ((2, 3), (5, 4, 3)))
]
