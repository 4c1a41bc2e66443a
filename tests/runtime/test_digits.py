"""Shortest digits: against NumPy's for every float16, by definition for every bfloat16, by sample for float32."""

from __future__ import annotations

import itertools
import math
import struct
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tensorlogic.runtime.digits import shortest


def bfloat16_from_bits(bits: int) -> float:
    (value,) = struct.unpack(">f", struct.pack(">I", bits << 16))
    assert isinstance(value, float)
    return value


def float32_from_bits(bits: int) -> float:
    (value,) = struct.unpack(">f", struct.pack(">I", bits))
    assert isinstance(value, float)
    return value


def numpys(value: np.floating[Any]) -> str:
    """NumPy's shortest digits, which it finds by another algorithm, laid out as Python does."""
    return repr(float(np.format_float_scientific(value, unique=True)))


def test_every_float16_has_numpys_digits() -> None:
    values = np.arange(2**16, dtype=np.uint16).view(np.float16)
    assert [shortest(float(v), "float16") for v in values] == [numpys(v) for v in values]


def test_every_positive_bfloat16_comes_back_and_no_shorter_decimal_does() -> None:
    values = [bfloat16_from_bits(bits) for bits in range(0x7F80)]
    midpoints = [Decimal(a / 2 + b / 2) for a, b in itertools.pairwise(values)]
    for index in range(1, len(values) - 1):
        low, high = midpoints[index - 1], midpoints[index]
        closed = index % 2 == 0
        text = Decimal(shortest(values[index], "bfloat16"))
        assert low < text < high or (closed and text in (low, high)), values[index]
        digits = len(text.normalize().as_tuple().digits)
        if digits > 1:
            for candidate in _neighbours(Decimal(values[index]), digits - 1):
                assert not low < candidate < high, (values[index], candidate)


def _neighbours(exact: Decimal, digits: int) -> tuple[Decimal, Decimal]:
    """The two decimals of so many digits around `exact`."""
    step = Decimal((0, (1,), exact.adjusted() - digits + 1))
    below = (exact / step).to_integral_value(rounding="ROUND_FLOOR") * step
    return below, below + step


@settings(max_examples=3000, deadline=None)
@given(bits=st.integers(0, 2**31 - 1))
@example(bits=0x7F7FFFFF)
@example(bits=0x00000001)
@example(bits=0x00800000)
def test_float32_has_numpys_digits(bits: int) -> None:
    value = float32_from_bits(bits)
    assert shortest(value, "float32") == numpys(np.float32(value))


def test_every_power_of_two_of_float32_has_numpys_digits() -> None:
    """There the interval that rounds to the number is not symmetric."""
    for exponent in range(-149, 128):
        value = math.ldexp(1.0, exponent)
        assert shortest(value, "float32") == numpys(np.float32(value))


@pytest.mark.parametrize(
    ("value", "dtype", "text"),
    [
        (6.41796875, "float16", "6.418"),
        (6.40625, "bfloat16", "6.4"),
        (65504.0, "float16", "65500.0"),
        (2.0**-24, "float16", "6e-08"),
        (1.0, "float16", "1.0"),
        (-0.0, "float16", "-0.0"),
        (math.inf, "bfloat16", "inf"),
        (-math.inf, "float32", "-inf"),
        (math.nan, "float16", "nan"),
        (0.1, "float64", "0.1"),
        (1048576.0, "float32", "1048576.0"),
        (1e16, "float64", "1e+16"),
        (3.3895313892515355e38, "bfloat16", "3.39e+38"),
    ],
)
def test_layout(value: float, dtype: str, text: str) -> None:
    assert shortest(value, dtype) == text


def test_a_value_outside_the_type_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="is no number of"):
        shortest(0.1, "float16")
