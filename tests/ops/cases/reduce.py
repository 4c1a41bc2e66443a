"""Cases of the reductions."""

from __future__ import annotations

from tests.ops.harness import Case, bools, integers, normal, uniform, values

_INF, _NAN = float("inf"), float("nan")
_AXES = ("", ", axis: -1", ", axis: 0", ", axis: (0, 2)", ", axis: [-1, 1]", ", keepdims: true", ", 1, true")

_FLOATS = [
    Case(op, f"{op}(x{arguments})", {"x": uniform(0.5, 1.5, 2, 3, 4)}, 1e-5)
    for op in ("sum", "mean", "max", "min", "prod", "var", "std", "logsumexp")
    for arguments in (*_AXES, ", axis: -2, keepdims: true", ", axis: (0, 1, 2), keepdims: true")
]

_HALVES = [
    Case(op, f"{op}(x, axis: -1)", {"x": normal(2, 300, dtype="float16")}, 4e-3)
    for op in ("sum", "mean", "max", "min", "var", "std", "logsumexp")
]

_INTEGERS = [
    *(
        Case(op, f"{op}(x{arguments})", {"x": make})
        for op in ("sum", "prod", "max", "min")
        for make in (integers(-4, 5, 2, 3, 2), integers(0, 3, 2, 3, 2, dtype="uint32"))
        for arguments in ("", ", axis: 1", ", axis: (0, -1), keepdims: true")
    ),
    *(
        Case(op, f"{op}(x{arguments})", {"x": bools(2, 3)})
        for op in ("sum", "prod", "all", "any", "max", "min")
        for arguments in ("", ", axis: -1", ", 0, keepdims: true", ", axis: (0, 1)")
    ),
]

_POSITIONS = [
    Case(op, f"{op}(x{arguments})", {"x": make})
    for op in ("argmax", "argmin")
    for make in (normal(2, 3, 4), integers(-50, 50, 2, 3, 4), normal(2, 3, 4, dtype="float16"))
    for arguments in ("", ", axis: -1", ", 0", ", axis: 1, keepdims: true", ", keepdims: true")
]

_CUMSUM = [
    Case("cumsum", f"cumsum(x{arguments})", {"x": make}, 1e-5)
    for make in (normal(2, 3, 4), integers(-9, 9, 2, 3), bools(2, 3), integers(0, 9, 2, 3, dtype="uint32"))
    for arguments in ("", ", 0", ", axis: 1", ", axis: -2")
]

_EDGES = [
    *(
        Case(op, f"{op}(x)", {"x": values(1.5)})
        for op in ("sum", "mean", "max", "min", "prod", "var", "std", "logsumexp", "argmax", "argmin")
    ),
    Case("sum", "sum(x, axis: 0)", {"x": normal(0, 3)}),
    Case("prod", "prod(x, axis: 0)", {"x": normal(0, 3)}),
    Case("mean", "mean(x, axis: 1)", {"x": normal(0, 3)}),
    Case("all", "all(x)", {"x": bools(0)}),
    Case("any", "any(x)", {"x": bools(0)}),
    Case("max", "max(x, axis: 1)", {"x": normal(0, 3)}),
    Case("argmax", "argmax(x, axis: 1)", {"x": normal(0, 3)}),
    Case("argmin", "argmin(x, axis: -1, keepdims: true)", {"x": normal(2, 0, 3)}),
    Case("logsumexp", "logsumexp(x, axis: 1)", {"x": normal(0, 3)}),
    Case("cumsum", "cumsum(x, axis: 0)", {"x": normal(0, 3)}),
    Case("cumsum", "cumsum(x)", {"x": normal(2, 0)}),
    Case("max", "max(x)", {"x": values([1.0, _NAN, 3.0])}),
    Case("min", "min(x)", {"x": values([1.0, -_INF, 3.0])}),
    Case("logsumexp", "logsumexp(x)", {"x": values([-_INF, -_INF])}),
    Case("logsumexp", "logsumexp(x)", {"x": values([1000.0, 1001.0])}),
    Case("sum", "sum(x)", {"x": values([1.0] * 5000, "float16")}),
    Case("mean", "mean(x)", {"x": values([2.0] * 40000, "float16")}),
    Case("cumsum", "cumsum(x)", {"x": values([1.0] * 3000, "float16")}),
    Case("var", "var(x)", {"x": values([10000.0, 10001.0, 10002.0])}, 1e-4),
    Case("var", "var(x, axis: -1, ddof: 1)", {"x": normal(2, 5)}, 1e-5),
    Case("std", "std(x, axis: 0, keepdims: true, ddof: 1)", {"x": normal(4, 3)}, 1e-5),
    Case("std", "std(x, ddof: 1)", {"x": normal(40, dtype="float16")}),
]

CASES = [*_FLOATS, *_HALVES, *_INTEGERS, *_POSITIONS, *_CUMSUM, *_EDGES]
