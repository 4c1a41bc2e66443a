"""Cases of the element-wise functions."""

from __future__ import annotations

from tests.ops.harness import Case, bools, host, integers, normal, uniform, values

_INF, _NAN = float("inf"), float("nan")

_ANYWHERE = ("abs", "neg", "sign", "square", "exp", "sin", "cos", "tanh", "sigmoid", "relu", "gelu", "silu", "softplus")
_ROUNDING = ("floor", "ceil", "round", "isnan", "isfinite", "erf")
_POSITIVE = ("log", "sqrt", "rsqrt")

_UNARY = [
    *(
        Case(op, f"{op}(x)", {"x": make})
        for op in (*_ANYWHERE, *_ROUNDING)
        for make in (normal(2, 3), normal(), normal(0, 3), normal(5, dtype="float16"))
    ),
    *(
        Case(op, f"{op}(x)", {"x": make})
        for op in _POSITIVE
        for make in (uniform(0.1, 9, 2, 3), uniform(0.1, 9, 1, 1), uniform(0.1, 9, 5, dtype="float16"))
    ),
    *(
        Case(op, f"{op}(x)", {"x": values([-_INF, -2.5, -1.0, -0.5, 0.0, 0.5, 1.5, 2.5, 1e4, _INF, _NAN])})
        for op in (*_ROUNDING, "abs", "sign", "square", "relu", "sigmoid", "softplus", "tanh")
    ),
    *(Case(op, f"{op}(x)", {"x": values([-1.0, 0.0, _INF, _NAN])}) for op in _POSITIVE),
    *(Case(op, f"{op}(x)", {"x": integers(-9, 9, 2, 3)}) for op in ("abs", "neg", "sign", "square")),
    Case("exp", "exp(x)", {"x": values([-200.0, 0.0, 88.0, _INF])}, 1e-5),
    Case("silu", "silu(x)", {"x": values([-30.0, -1.0, 0.0, 30.0])}),
    Case("gelu", "gelu(x, approximate: true)", {"x": normal(3, 4)}),
    Case("gelu", "gelu(x, true)", {"x": normal(4, dtype="float16")}),
    Case("gelu", "gelu(x, approximate: a)", {"x": normal(3), "a": host(True)}),
    Case("gelu", "gelu(x, approximate: a)", {"x": normal(3), "a": host(False)}),
    Case("gelu", "gelu(x)", {"x": uniform(-5, 5, 20, dtype="float16")}),
    Case("neg", "neg(x)", {"x": values([3.0, -0.0])}),
    Case("sign", "sign(x)", {"x": integers(0, 2, 4, dtype="uint32")}),
]

_PAIRS = [
    *(
        Case(op, f"{op}(x, y)", {"x": x, "y": y})
        for op in ("minimum", "maximum")
        for x, y in (
            (normal(2, 3), normal(3)),
            (normal(2, 1), normal(1, 3)),
            (integers(-9, 9, 4), integers(-9, 9, 4)),
            (bools(4), bools(4)),
            (values([1.0, _NAN, 2.0]), values([_NAN, 1.0, _INF])),
            (normal(3, dtype="float16"), normal(dtype="float16")),
        )
    ),
    Case("minimum", "minimum(x, 0.5)", {"x": normal(2, 3)}),
    Case("minimum", "minimum(1, x)", {"x": integers(-9, 9, 4)}),
    Case("maximum", "maximum(0, x)", {"x": normal(2, 3, dtype="float16")}),
    Case("maximum", "maximum(x, s)", {"x": normal(2, 3), "s": host(0.25)}),
    Case("pow", "pow(x, y)", {"x": uniform(0.1, 3, 2, 3), "y": normal(3)}),
    Case("pow", "pow(x, 3)", {"x": normal(2, 3)}),
    Case("pow", "pow(2.0, x)", {"x": normal(2, 3)}),
    Case("pow", "pow(x, exponent: 2)", {"x": integers(-9, 9, 4)}),
    Case("pow", "pow(x, 0.5)", {"x": uniform(0.1, 3, 4, dtype="float16")}),
    Case("floor_div", "floor_div(x, y)", {"x": integers(-9, 9, 2, 6), "y": values([1, 2, 3, -1, -2, -3], "int32")}),
    Case("floor_div", "floor_div(x, 2)", {"x": integers(-9, 9, 5)}),
    Case("floor_div", "floor_div(x, 2)", {"x": integers(0, 9, 5, dtype="uint32")}),
    Case("floor_div", "floor_div(x, n)", {"x": integers(-9, 9, 5), "n": host(4)}),
    Case("floor_div", "floor_div(20, x)", {"x": integers(1, 9, 5)}),
    Case("floor_div", "floor_div(x, -1)", {"x": values([5, -5, 2**31 - 1], "int32")}),
]

_THREES = [
    Case("clip", "clip(x, -0.5, 0.5)", {"x": normal(2, 3)}),
    Case("clip", "clip(x, 0, 1)", {"x": normal(2, 3, dtype="float16")}),
    Case("clip", "clip(x, 2, 5)", {"x": integers(0, 9, 6)}),
    Case("clip", "clip(x, low: l, high: h)", {"x": normal(2, 3), "l": uniform(-1, 0, 3), "h": uniform(0, 1, 2, 1)}),
    Case("clip", "clip(x, 1.0, -1.0)", {"x": normal(4)}),
    Case("clip", "clip(x, 0.0, 1.0)", {"x": values([_NAN, -_INF, _INF])}),
    Case("where", "where(m, x, y)", {"m": bools(2, 3), "x": normal(2, 3), "y": normal(2, 3)}),
    Case("where", "where(m, x, y)", {"m": bools(3), "x": normal(2, 1), "y": normal()}),
    Case("where", "where(m, x, 0)", {"m": bools(2, 3), "x": normal(2, 3, dtype="float16")}),
    Case("where", "where(m, -inf, x)", {"m": bools(2, 3), "x": normal(2, 3)}),
    Case("where", "where(m, x, 1)", {"m": bools(4), "x": integers(0, 9, 4, dtype="uint32")}),
    Case("where", "where(m, x, y)", {"m": bools(4), "x": bools(4), "y": bools(4)}),
    Case("where", "where(m, 0.0, -inf)", {"m": bools(2, 3)}),
    Case("where", "where(m, 1, 0)", {"m": bools(2, 3)}),
    Case("where", "where(m, 1, 0.5)", {"m": bools(4)}),
]

CASES = [*_UNARY, *_PAIRS, *_THREES]
