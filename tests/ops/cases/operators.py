"""Cases of the operators on tensors."""

from __future__ import annotations

from tests.ops.harness import Case, bools, host, integers, normal, uniform, values

_FLOATS = [
    Case(op, f"x {symbol} y", {"x": uniform(0.5, 2, *a, dtype=dtype), "y": uniform(0.5, 2, *b, dtype=dtype)}, tolerance)
    for op, symbol in (
        ("add", "+"),
        ("subtract", "-"),
        ("multiply", "*"),
        ("divide", "/"),
        ("remainder", "%"),
        ("power", "**"),
    )
    for a, b, dtype, tolerance in (
        ((2, 3), (2, 3), "float32", 2e-6),
        ((2, 3), (3,), "float32", 2e-6),
        ((3,), (2, 3), "float32", 2e-6),
        ((2, 1), (1, 3), "float32", 2e-6),
        ((), (2, 3), "float32", 2e-6),
        ((), (), "float32", 2e-6),
        ((2, 0), (1,), "float32", 2e-6),
    )
]

_HALVES = [
    Case(op, f"x {symbol} y", {"x": normal(4, 3, dtype="float16"), "y": normal(3, dtype="float16")})
    for op, symbol in (("add", "+"), ("subtract", "-"), ("multiply", "*"), ("divide", "/"))
]

_HOST = [
    *(
        Case(op, source, {"x": uniform(0.5, 2, 2, 3)})
        for op, source in (
            ("add", "x + 2"),
            ("add", "2.5 + x"),
            ("subtract", "1 - x"),
            ("multiply", "x * 0.25"),
            ("divide", "1 / x"),
            ("divide", "x / 3"),
            ("remainder", "x % 0.75"),
            ("remainder", "2.0 % x"),
            ("power", "x ** 2"),
            ("power", "2.0 ** x"),
            ("power", "x ** -0.5"),
            ("less", "x < 1"),
            ("greater_equal", "1.0 >= x"),
        )
    ),
    Case("multiply", "x * s", {"x": normal(2, 3), "s": host(0.5)}),
    Case("subtract", "n - x", {"x": normal(2, 3), "n": host(3)}),
]

_INTEGERS = [
    *(
        Case(op, f"x {symbol} y", {"x": integers(-9, 9, 3, 4), "y": integers(1, 5, 4)})
        for op, symbol in (
            ("add", "+"),
            ("subtract", "-"),
            ("multiply", "*"),
            ("remainder", "%"),
            ("power", "**"),
            ("logical_and", "&"),
            ("logical_or", "|"),
        )
    ),
    Case("subtract", "x - 1", {"x": integers(0, 2, 5, dtype="uint32")}),
    Case("add", "1 + x", {"x": integers(0, 9, 5, dtype="uint32")}),
    Case("remainder", "x % 3", {"x": integers(-9, 9, 5)}),
    Case("remainder", "x % -1", {"x": values([-(2**31), 5], "int32")}),
    Case("remainder", "x % y", {"x": values([-(2**31), 7], "int32"), "y": values([-1, -2], "int32")}),
    Case("remainder", "x % n", {"x": integers(-9, 9, 5), "n": host(4)}),
    Case("remainder", "7 % x", {"x": values([2, -3], "int32")}),
    Case("remainder", "x % 3", {"x": integers(0, 9, 5, dtype="uint32")}),
    Case("logical_and", "6 & x", {"x": integers(0, 9, 5)}),
    Case("logical_or", "x | 1", {"x": integers(0, 9, 5)}),
    Case("logical_not", "~x", {"x": integers(-9, 9, 5)}),
    Case("negative", "-x", {"x": integers(-9, 9, 2, 2)}),
]

_BOOLS = [
    Case("add", "x + y", {"x": bools(4), "y": bools(4)}),
    Case("multiply", "x * y", {"x": bools(4), "y": bools(4)}),
    Case("logical_and", "x & y", {"x": bools(2, 3), "y": bools(3)}),
    Case("logical_and", "true & x", {"x": bools(4)}),
    Case("logical_or", "x | y", {"x": bools(2, 1), "y": bools(3)}),
    Case("logical_or", "x | false", {"x": bools(4)}),
    Case("logical_not", "~x", {"x": bools(2, 3)}),
]

_COMPARISONS = [
    Case(op, f"x {symbol} y", inputs)
    for op, symbol in (
        ("equal", "=="),
        ("not_equal", "!="),
        ("less", "<"),
        ("less_equal", "<="),
        ("greater", ">"),
        ("greater_equal", ">="),
    )
    for inputs in (
        {"x": values([1.0, 2.0, float("nan")]), "y": values([[1.0, 1.0, 1.0], [2.0, 3.0, float("nan")]])},
        {"x": integers(0, 3, 6), "y": integers(0, 3, 6)},
        {"x": bools(6), "y": bools(6)},
        {"x": values([1.0, 0.1, 65504.0], "float16"), "y": values([1.0, 0.2, 65504.0], "float16")},
    )
]

_MATMUL = [
    Case("matmul", "x @ w", {"x": normal(*a), "w": normal(*b)}, 1e-5)
    for a, b in (
        ((2, 3), (3, 4)),
        ((3,), (3,)),
        ((3,), (3, 4)),
        ((2, 3), (3,)),
        ((5, 2, 3), (3, 4)),
        ((5, 2, 3), (5, 3, 4)),
        ((5, 1, 2, 3), (6, 3, 4)),
        ((3,), (5, 3, 4)),
        ((5, 2, 3), (3,)),
        ((2, 3), (5, 3, 4)),
        ((1, 1), (1, 1)),
        ((0, 3), (3, 4)),
        ((2, 0), (0, 4)),
    )
]

CASES = [
    *_FLOATS,
    *_HALVES,
    *_HOST,
    *_INTEGERS,
    *_BOOLS,
    *_COMPARISONS,
    *_MATMUL,
    Case("matmul", "x @ w", {"x": normal(4, 64, dtype="float16"), "w": normal(64, 4, dtype="float16")}, 2e-2),
    Case("negative", "-x", {"x": normal(2, 3)}),
    Case("negative", "-x", {"x": values(1.5)}),
]
