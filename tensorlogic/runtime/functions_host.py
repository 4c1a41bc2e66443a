"""Arithmetic on Python floats as IEEE 754 has it, and conversions that say what they could not convert.

Python raises for what IEEE answers: `1.0 / 0.0` is infinite here, `float_sqrt(-1.0)` is NaN, `float_exp(1000.0)`
infinite. The conversions raise `BoundaryError` (TL5008) with the place in the program.
"""

from __future__ import annotations

import math

from tensorlogic.runtime.errors import BoundaryError


def float_divide(a: float, b: float) -> float:
    """`a / b`."""
    if b != 0:
        return a / b
    if a == 0 or math.isnan(a):
        return math.nan
    return math.copysign(math.inf, a) * math.copysign(1.0, b)


def float_remainder(a: float, b: float) -> float:
    """`a % b`, with the sign of `b`; NaN for b = 0."""
    return a % b if b != 0 else math.nan


def float_power(a: float, b: float) -> float:
    """`a ** b`; NaN for a fractional power of a negative number."""
    try:
        return math.pow(a, b)
    except OverflowError:
        return -math.inf if a < 0 and b % 2 == 1 else math.inf
    except ValueError:
        # A power of 0 with a negative exponent is infinite; the rest has no real value.
        if a != 0:
            return math.nan
        return math.copysign(math.inf, a) if b % 2 == 1 else math.inf


def float_sqrt(x: float) -> float:
    """The square root."""
    return math.sqrt(x) if x >= 0 else math.nan


def float_exp(x: float) -> float:
    """The exponential."""
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def float_log(x: float) -> float:
    """The natural logarithm."""
    if x > 0:
        return math.log(x)
    return -math.inf if x == 0 else math.nan


def float_floor(x: float) -> float:
    """The largest whole number that is not above `x`."""
    return float(math.floor(x)) if math.isfinite(x) else x


def float_ceil(x: float) -> float:
    """The least whole number that is not below `x`."""
    return float(math.ceil(x)) if math.isfinite(x) else x


def float_round(x: float) -> float:
    """The nearest whole number, the even one of two."""
    return float(round(x)) if math.isfinite(x) else x


def float_to_int(x: float, where: str) -> int:
    """`x` without its fraction."""
    if not math.isfinite(x):
        raise BoundaryError("TL5008", f"{x} is no integer", where=where)
    return int(x)


def parse_int(text: str, where: str) -> int:
    """The integer that a text says."""
    try:
        return int(text)
    except ValueError:
        raise BoundaryError("TL5008", f"{text!r} is no integer", where=where) from None


def parse_float(text: str, where: str) -> float:
    """The number that a text says."""
    try:
        return float(text)
    except ValueError:
        raise BoundaryError("TL5008", f"{text!r} is no number", where=where) from None
