"""Cases of the functions and operators on host values, which the compiler does not know."""

from __future__ import annotations

import itertools

from tests.ops.harness import Case, host, values

_INF, _NAN = float("inf"), float("nan")

_PAIRS = [
    Case(op, f"a {symbol} b", {"a": host(a), "b": host(b)})
    for op, symbol in (
        ("host.add", "+"),
        ("host.subtract", "-"),
        ("host.multiply", "*"),
        ("host.divide", "/"),
        ("host.remainder", "%"),
        ("host.power", "**"),
    )
    for a, b in itertools.product((0.0, -0.0, 2.5, -8.0, 1e300, _INF, -_INF, _NAN), (0.0, -3.0, 1.5, 2.0, _INF))
]

_COMPARISONS = [
    Case(op, f"a {symbol} b", {"a": host(a), "b": host(b)})
    for op, symbol in (
        ("host.equal", "=="),
        ("host.not_equal", "!="),
        ("host.less", "<"),
        ("host.less_equal", "<="),
        ("host.greater", ">"),
        ("host.greater_equal", ">="),
    )
    for a, b in ((1, 2), (2, 2), (1.5, 1.5), (2.5, 1), ("a", "b"))
]

_INTS = [
    Case("host.add", "a + b", {"a": host(2), "b": host(-5)}),
    Case("host.subtract", "a - b", {"a": host(2), "b": host(-5)}),
    Case("host.multiply", "a * b", {"a": host(2), "b": host(-5)}),
    Case("host.multiply", "a * b", {"a": host(2), "b": host(2.5)}),
    Case("host.power", "a ** 3", {"a": host(-2)}),
    Case("host.power", "a ** b", {"a": host(2), "b": host(0.5)}),
    Case("host.divide", "a / b", {"a": host(1), "b": host(2.5)}),
    Case("host.divide", "1.0 / b", {"b": host(0.0)}),
    Case("host.divide", "b / 4.0", {"b": host(3.0)}),
    Case("host.floor_divide", "a / 1", {"a": host(4)}),
    Case("host.remainder", "a % 3", {"a": host(-7)}),
    Case("host.negative", "-a", {"a": host(3)}),
    Case("host.negative", "-a", {"a": host(2.5)}),
    Case("host.concat", "a + b", {"a": host("x"), "b": host("yz")}),
    *(
        Case(op, f"a {word} b", {"a": host(a), "b": host(b)})
        for op, word in (("host.and", "and"), ("host.or", "or"))
        for a, b in itertools.product((True, False), repeat=2)
    ),
    Case("host.not", "not a", {"a": host(True)}),
]

_FUNCTIONS = [
    *(
        Case(f"host.{name}", f"{name}(x)", {"x": host(x)})
        for name in ("sqrt", "exp", "log", "floor", "ceil", "round", "abs", "float")
        for x in (0.0, -0.0, 1.0, 2.5, 3.5, -2.5, 1000.0, _INF, -_INF, _NAN)
    ),
    *(Case(f"host.{name}", f"{name}(n)", {"n": host(5)}) for name in ("sqrt", "exp", "log", "abs", "float")),
    *(
        Case("host.pow", "pow(x, y)", {"x": host(x), "y": host(y)})
        for x, y in ((2.0, 0.5), (-8.0, 3.0), (-8.0, 0.5), (0.0, -1.0), (-0.0, -1.0), (0.0, -2.0), (10.0, 400.0))
    ),
    *(
        Case(f"host.{name}", f"{name}(a, b)", {"a": host(a), "b": host(b)})
        for name in ("min", "max")
        for a, b in ((2, 3), (3, 2), (2.5, -1.5))
    ),
    *(Case("host.floor_div", "floor_div(a, b)", {"a": host(a), "b": host(b)}) for a, b in ((7, 2), (-7, 2), (0, 1))),
    Case("host.floor_div", "floor_div(a, 2)", {"a": host(-7)}),
    Case("host.floor_div", "floor_div(a, -2)", {"a": host(7)}),
    Case("host.len", "len(text)", {"text": host("añb")}),
    *(Case("host.int", "int(x)", {"x": host(x)}) for x in (2.5, -2.5, 1e18)),
    Case("host.int", "int(text)", {"text": host(" -12 ")}),
    Case("host.float", "float(n)", {"n": host(3)}),
    Case("host.float", "float(text)", {"text": host("2.5e3")}),
    *(Case("host.string", "string(x)", {"x": host(x)}) for x in (3, 2.5, True, False)),
]

_ITEMS = [
    *(
        Case("int", "int(x)", {"x": values(x, dtype)})
        for x, dtype in ((7, "int32"), (True, "bool"), (-2.75, "float32"))
    ),
    *(Case("float", "float(x)", {"x": values(x, d)}) for x, d in ((7, "uint32"), (True, "bool"), (-2.75, "float16"))),
    *(Case("bool", "bool(x)", {"x": values(x, d)}) for x, d in ((7, "int32"), (False, "bool"), (0.0, "float32"))),
    Case("string", "string(x)", {"x": values([[1, 2], [3, 4]], "int32")}),
    Case("string", "string(x)", {"x": values([0.5, 0.25], "float16")}),
]

CASES = [*_PAIRS, *_COMPARISONS, *_INTS, *_FUNCTIONS, *_ITEMS]
