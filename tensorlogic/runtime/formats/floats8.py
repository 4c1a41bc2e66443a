"""Floats of eight bits, as float32: exact, through a table of all 256.

    F8_E4M3   4 bits of exponent (bias 7), 3 of mantissa; no infinity, the bits 0x7F and 0xFF are NaN; up to 448
    F8_E5M2   5 bits of exponent (bias 15), 2 of mantissa; infinities and NaN as in IEEE 754; up to 57344
    F8_E8M0   a power of two, 2^(bits - 127), without a sign; 0xFF is NaN

The first two are those of https://arxiv.org/abs/2209.05433 (in PyTorch `float8_e4m3fn` and `float8_e5m2`), the third is
the scale of https://www.opencompute.org/documents/ocp-microscaling-formats-mx-v1-0-spec-final-pdf (`float8_e8m0fnu`).
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

FLOATS8 = ("F8_E4M3", "F8_E5M2", "F8_E8M0")


HALVES_HOLD = ("F8_E4M3", "F8_E5M2")
"""Those whose every value is one of float16 and of bfloat16, too."""


def convert_float8(storage: str, bits: Array, dtype: str, target: Array) -> None:
    """Put the values of one of `HALVES_HOLD` into `target`, of any float type (bfloat16 as its bits): exact."""
    np.take(_exact_table(storage, dtype), bits, out=target, mode="clip")


@functools.cache
def _exact_table(storage: str, dtype: str) -> Array:
    wide = _table(storage)
    if dtype == "bfloat16":
        return (wide.view(np.uint32) >> 16).astype(np.uint16)
    return wide.astype(dtype)


def widen_float8(storage: str, bits: Array) -> Array:
    """float32 values of the bits (uint8) of one of `FLOATS8`; a NaN stays one."""
    values: Array = _table(storage)[bits]
    return values


@functools.cache
def _table(storage: str) -> Array:
    bits = np.arange(256)
    if storage == "F8_E8M0":
        powers: Array = np.where(bits == 255, np.nan, np.ldexp(1.0, bits - 127)).astype(np.float32)
        return powers
    mantissa_bits, bias = (3, 7) if storage == "F8_E4M3" else (2, 15)
    exponent, mantissa = (bits & 0x7F) >> mantissa_bits, bits & (2**mantissa_bits - 1)
    # A subnormal has the exponent of the smallest normal number, and no bit before its point.
    significand = mantissa + np.where(exponent > 0, 2**mantissa_bits, 0)
    values = np.ldexp(significand.astype(np.float64), np.maximum(exponent, 1) - bias - mantissa_bits)
    if storage == "F8_E4M3":
        values[(bits & 0x7F) == 0x7F] = np.nan
    else:
        values[exponent == 31] = np.where(mantissa[exponent == 31] == 0, np.inf, np.nan)
    table: Array = np.where(bits >= 128, -values, values).astype(np.float32)
    return table
