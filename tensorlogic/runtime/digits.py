"""The shortest decimal that gives back a number of an element type.

Takes: a Python float that is exactly a number of the element type (float16, bfloat16, float32), or any float for
float64.

Promises: the fewest significant digits that round to this number and no other of the type, and among those the
nearest to it; laid out as Python prints floats: `6.418`, `65500.0`, `1e-05`, `1e+16`, `inf`, `-inf`, `nan`, `-0.0`.

Refuses: nothing; a value that is no number of the type is a bug of the caller.

Rounding to nearest sends to a number what lies between the midpoints to its neighbours, ends included when its
significand is even. For at most 24 significand bits these midpoints are exact in float64, and decimals compare with
them exactly, so no digit rests on a rounded comparison. The idea is Steele and White's, "How to print floating-point
numbers accurately" (1990), made simple by the small types.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, ROUND_UP, Context, Decimal


@dataclass(frozen=True, slots=True)
class FloatFormat:
    """A binary floating-point type: significand bits with the hidden one, and the exponent of its smallest step."""

    bits: int
    smallest_exponent: int


FORMATS = {
    "float16": FloatFormat(bits=11, smallest_exponent=-24),
    "bfloat16": FloatFormat(bits=8, smallest_exponent=-133),
    "float32": FloatFormat(bits=24, smallest_exponent=-149),
}

_MOST_DIGITS = 9  # any float32 is given back by nine significant digits
_NEAREST = tuple(Context(prec=digits, rounding=ROUND_HALF_EVEN) for digits in range(1, _MOST_DIGITS + 1))
_AWAY = tuple(Context(prec=digits, rounding=ROUND_UP) for digits in range(1, _MOST_DIGITS + 1))


def shortest(value: float, dtype: str) -> str:
    """`value`, a number of the element type `dtype` (or `float64`), in its shortest digits."""
    if dtype == "float64" or value == 0.0 or not math.isfinite(value):
        return repr(value)
    decimal = _shortest_decimal(abs(value), FORMATS[dtype])
    # Nine digits at most survive float64, whose own shortest digits are therefore the same: `repr` lays them out.
    return repr(math.copysign(float(decimal), value))


def _shortest_decimal(value: float, kind: FloatFormat) -> Decimal:
    low, high, closed = _interval(value, kind)
    exact = Decimal(value)
    for nearest, away in zip(_NEAREST, _AWAY, strict=True):
        # Above a power of two the step doubles, so the decimal further from zero may fit where the nearest does not.
        for context in (nearest, away):
            candidate = context.plus(exact)
            if low < candidate < high or (closed and candidate in (low, high)):
                return candidate
    raise AssertionError(f"{value!r} is no number of {kind}")


def _interval(value: float, kind: FloatFormat) -> tuple[Decimal, Decimal, bool]:
    """What rounds to `value` > 0: the midpoints to its neighbours, and whether they belong to it."""
    fraction, exponent = math.frexp(value)
    step_exponent = max(exponent - kind.bits, kind.smallest_exponent)
    step = math.ldexp(1.0, step_exponent)
    at_power_of_two = fraction == 0.5 and step_exponent > kind.smallest_exponent
    below = step / 4 if at_power_of_two else step / 2
    significand = value / step
    assert significand.is_integer(), f"{value!r} is no number of {kind}"
    return Decimal(value - below), Decimal(value + step / 2), significand % 2 == 0
