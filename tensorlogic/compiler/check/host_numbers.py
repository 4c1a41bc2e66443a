"""Arithmetic and comparisons of host ints and floats.

Promises that a result's type says what is known of it: an int is a polynomial wherever the operator gives one, a float
lies in a range, and the comparison of ints says what follows where it is true and where it is false. `/` of ints must
be exact, `%` and `**` need operands for which they are defined.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NoReturn

from tensorlogic.compiler.check.assumptions import Bound, Divisible, Equation, Implications
from tensorlogic.compiler.check.context import Context
from tensorlogic.compiler.check.operands import COMPARISONS, OP_OF, labels
from tensorlogic.compiler.check.refusals import as_operand, fail
from tensorlogic.compiler.dims import ONE, Polynomial
from tensorlogic.compiler.ir.core import Value
from tensorlogic.compiler.ops.sizes import LARGEST_DIM
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.types import (
    BOOLEAN,
    FLOAT,
    BoolType,
    FloatType,
    IntType,
    Type,
)

LONGEST = 1024
"""How many terms of polynomials are multiplied. A longer product is an unknown int."""


def ints(cx: Context, operator: str, left: Value, right: Value, spans: tuple[Span, Span], span: Span) -> Value:
    assert isinstance(left.type, IntType)
    assert isinstance(right.type, IntType)
    a, b = left.type.value, right.type.value
    assert a is not None
    assert b is not None
    if operator in COMPARISONS:
        return _compare_ints(cx, operator, left, right, span)
    name = f"host.{OP_OF.get(operator, '')}"
    match operator:
        case "+":
            return cx.add(name, (left, right), _int(a + b, span), span)
        case "-":
            return cx.add(name, (left, right), _int(a - b, span), span)
        case "*":
            product = _int(a * b, span) if len(a.terms) * len(b.terms) <= LONGEST else IntType()
            return cx.add(name, (left, right), product, span)
        case "/":
            exact = cx.facts.divided(a, b)
            if exact is None:
                _refuse_division(cx, a, b, spans, span)
            return cx.add("host.floor_divide", (left, right), IntType(exact), span)
        case "%":
            return _remainder(cx, left, right, a, b, spans[1], span)
        case "**":
            exponent = b.constant
            if exponent is None or not 0 <= exponent <= 64:
                helps = [f"`float({spans[0].text}) ** {as_operand(spans[1])}` is a float"]
                fail("TL2008", "the exponent of an int is a constant from 0 to 64", spans[1], helps=helps)
            short = len(a.terms) <= 1 or len(a.terms) ** exponent <= LONGEST
            return cx.add(name, (left, right), _int(a.power(exponent), span) if short else IntType(), span)
    fail("TL2003", f"`{operator}` does not take ints", span, others=labels(left, right, spans))


def _int(p: Polynomial, span: Span) -> IntType:
    """The type of an int; one that is known fits 64 bits."""
    if p.constant is not None and abs(p.constant) >= 2**63:
        fail("TL2007", f"{p.constant} does not fit an int, which has 64 bits", span)
    return IntType(p)


def _refuse_division(cx: Context, a: Polynomial, b: Polynomial, spans: tuple[Span, Span], span: Span) -> NoReturn:
    dividend, divisor = (s.text for s in spans)
    text = f"{dividend} / {divisor}"
    if not b.terms:
        fail("TL2011", f"`{text}` divides by 0", span)
    known = a.constant is not None and b.constant is not None
    rounded = [f"`floor_div({dividend}, {divisor})` rounds down"] if cx.facts.positive(b) else []
    fail(
        "TL2011",
        f"`{text}` is not exact" if known else f"cannot prove that `{text}` is exact",
        span,
        notes=["between ints `/` is exact division"],
        helps=[*rounded, f"`float({dividend}) / {as_operand(spans[1])}` is a float"],
    )


def _remainder(cx: Context, left: Value, right: Value, a: Polynomial, b: Polynomial, place: Span, span: Span) -> Value:
    """`a % b`. A divisor, which stands at `place`, is positive: that is proved, or checked at run time."""
    if cx.facts.divided(a, b) is not None:
        return cx.add("host.remainder", (left, right), IntType(Polynomial.of(0)), span)
    if a.constant is not None and b.constant is not None and b.constant != 0:
        return cx.add("host.remainder", (left, right), IntType(Polynomial.of(a.constant % b.constant)), span)

    def refuse() -> NoReturn:
        never = cx.facts.nonnegative(-b)
        told = f"the divisor `{place.text}` is not positive"
        fail("TL2011", told if never else f"cannot prove that the divisor `{place.text}` is positive", place)

    message = f"the divisor `{place.text}` of `%` is {{0}}: it must be at least {{1}}"
    cx.require_nonnegative(b, ONE, place, message, refuse)
    result = cx.add("host.remainder", (left, right), IntType(), span)
    assert isinstance(result.type, IntType)
    assert result.type.value is not None
    rest = result.type.value
    cx.facts = cx.facts.with_bound(rest).with_bound(b - rest - 1)
    cx.remainders[rest] = (a, b)
    return result


def _compare_ints(cx: Context, operator: str, left: Value, right: Value, span: Span) -> Value:
    assert isinstance(left.type, IntType)
    assert isinstance(right.type, IntType)
    a, b = left.type.value, right.type.value
    assert a is not None
    assert b is not None
    known = _known_comparison(cx, operator, a, b)
    result = cx.add(f"host.{OP_OF[operator]}", (left, right), BoolType(known), span)
    less, less_equal = (Bound(a, b, strict=True),), (Bound(a, b),)
    greater, greater_equal = (Bound(b, a, strict=True),), (Bound(b, a),)
    equation: tuple[Equation | Divisible, ...] = (Equation(a, b),)
    if a in cx.remainders and b == Polynomial.of(0):
        equation = (*equation, Divisible(*cx.remainders[a]))
    truths = {
        "==": Implications(equation),
        "!=": Implications((), equation),
        "<": Implications(less, greater_equal),
        "<=": Implications(less_equal, greater),
        ">": Implications(greater, less_equal),
        ">=": Implications(greater_equal, less),
    }
    cx.implications[result] = truths[operator]
    return result


def _known_comparison(cx: Context, operator: str, a: Polynomial, b: Polynomial) -> bool | None:
    difference = cx.facts.normal(a - b).constant
    if difference is None:
        return None
    tests: dict[str, Callable[[int], bool]] = {
        "==": lambda d: d == 0,
        "!=": lambda d: d != 0,
        "<": lambda d: d < 0,
        "<=": lambda d: d <= 0,
        ">": lambda d: d > 0,
        ">=": lambda d: d >= 0,
    }
    return tests[operator](difference)


# --- host floats


def as_float_range(cx: Context, t: Type) -> FloatType:
    """A host number as a float, with the bounds that are known."""
    if isinstance(t, FloatType):
        return t
    assert isinstance(t, IntType)
    if t.constant is not None:
        return FloatType(float(t.constant), float(t.constant), known=True)
    low, high = -math.inf, math.inf
    if t.value is not None:
        if cx.facts.positive(t.value):
            low = 1.0
        elif cx.facts.nonnegative(t.value):
            low = 0.0
        variable = t.value.variable
        if variable is not None and variable.lower is not None:
            high = float(LARGEST_DIM)
    return FloatType(low, high)


def floats(cx: Context, operator: str, left: Value, right: Value, spans: tuple[Span, Span], span: Span) -> Value:
    if operator not in OP_OF or operator in ("@", "&", "|"):
        fail("TL2003", f"`{operator}` does not take floats", span, others=labels(left, right, spans))
    name = f"host.{OP_OF[operator]}"
    if operator in COMPARISONS:
        return cx.add(name, (left, right), BOOLEAN, span)
    a, b = as_float_range(cx, left.type), as_float_range(cx, right.type)
    return cx.add(name, (left, right), _float_result(operator, a, b, spans, span), span)


def _float_result(operator: str, a: FloatType, b: FloatType, spans: tuple[Span, Span], span: Span) -> FloatType:
    compute: dict[str, Callable[[float, float], float]] = {
        "+": lambda x, y: x + y,
        "-": lambda x, y: x - y,
        "*": lambda x, y: x * y,
        "/": lambda x, y: x / y,
        "%": lambda x, y: x % y,
        "**": lambda x, y: float(x**y),
    }
    apply = compute[operator]
    if a.constant is not None and b.constant is not None:
        try:
            exact = apply(a.constant, b.constant)
        except (ArithmeticError, TypeError):
            fail("TL2001", f"`{spans[0].to(spans[1]).text}` has no value", span)
        return FloatType(exact, exact, known=True)
    bounded = all(map(math.isfinite, (a.low, a.high, b.low, b.high)))
    if operator in "+-*/" and bounded and not (operator == "/" and b.low <= 0 <= b.high):
        corners = [apply(x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
        return FloatType(min(corners), max(corners))
    return FLOAT
