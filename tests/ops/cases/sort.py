"""Cases of sorting. The numbers differ from each other: which of two equal ones comes first is not said."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tests.ops.harness import Array, Case, bools, normal, values


def _different(*shape: int, dtype: str = "int32") -> Callable[[np.random.Generator], Array]:
    return lambda rng: rng.permutation(int(np.prod(shape))).reshape(shape).astype(dtype)


CASES = [
    *(
        Case(op, f"{op}(x{arguments})", {"x": make})
        for op in ("sort", "argsort")
        for make in (normal(2, 3, 4), _different(2, 3, 4), _different(2, 3, 4, dtype="float16"))
        for arguments in ("", ", 0", ", axis: -2")
    ),
    Case("sort", "sort(x)", {"x": bools(5)}),
    Case("sort", "sort(x)", {"x": _different(6, dtype="uint32")}),
    Case("sort", "sort(x)", {"x": values([3.0, float("nan"), -float("inf"), 1.0])}),
    Case("sort", "sort(x)", {"x": normal(0)}),
    Case("sort", "sort(x, axis: 0)", {"x": normal(3, 0)}),
    Case("sort", "sort(x)", {"x": normal(1)}),
    Case("argsort", "argsort(x)", {"x": normal(2, 0)}),
    *(
        Case("topk", f"topk(x, {arguments})", {"x": make})
        for make in (normal(4, 5), _different(4, 5), _different(4, 5, dtype="uint32"), normal(4, 5, dtype="float16"))
        for arguments in ("2", "5", "0", "3, axis: 0", "k: 1, axis: -2")
    ),
    Case("topk", "topk(x, 2)", {"x": values([1.0, float("nan"), 3.0])}),
]
