"""What the values of a tensor are like: their range, mean and magnitude, and what float16 would make of them.

Takes the open files and a `TensorInfo`, gives a frozen record. Values are the file's own (those of a quantized tensor
dequantized, in float32); sums are accumulated in float64. `elements` says what bounds the memory and what is refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tensorlogic.runtime import progress
from tensorlogic.runtime.elements import CACHED, elements
from tensorlogic.runtime.formats import OpenFiles, TensorInfo
from tensorlogic.runtime.formats.summary import stored_bytes
from tensorlogic.runtime.formats.values import ROUNDS_TO_INFINITY, Array

ROUNDS_TO_ZERO = 2.0**-25
"""Nonzero magnitudes up to this one become 0 in float16: half of its smallest, and the tie goes to the even one."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of `count` elements. Range, mean and rms are those of the finite ones, and None where there are none.

    `nans` and `infinities` are counts. `overflows` counts the finite values that float16 would make infinite,
    `underflows` those of the `nonzero` ones that it would make 0; both are 0 for integers, which it never holds.
    """

    count: int
    minimum: float | None
    maximum: float | None
    mean: float | None
    rms: float | None
    nans: int = 0
    infinities: int = 0
    nonzero: int = 0
    overflows: int = 0
    underflows: int = 0

    @property
    def overflow_fraction(self) -> float:
        """Of all values, how many would become infinite in float16."""
        return self.overflows / self.count if self.count else 0.0

    @property
    def underflow_fraction(self) -> float:
        """Of the nonzero values, how many would become 0 in float16."""
        return self.underflows / self.nonzero if self.nonzero else 0.0


@dataclass(slots=True)
class _Sums:
    """What is known of the values so far."""

    count: int = 0
    finite: int = 0
    minimum: float = math.inf
    maximum: float = -math.inf
    total: float = 0.0
    squares: float = 0.0
    nans: int = 0
    infinities: int = 0
    nonzero: int = 0
    overflows: int = 0
    underflows: int = 0

    def add(self, values: Array) -> None:
        self.count += values.size
        self.nonzero += int(np.count_nonzero(values))
        if values.dtype.kind == "f":
            values = self._float(values)
        elif values.dtype.kind == "b":
            values = values.view(np.uint8)
        if values.size == 0:
            return
        self.finite += values.size
        self.minimum = min(self.minimum, values.min().item())
        self.maximum = max(self.maximum, values.max().item())
        wide = values.astype(np.float64)
        with np.errstate(over="ignore"):
            self.total += float(wide.sum())
            self.squares += float(np.dot(wide, wide))

    def _float(self, values: Array) -> Array:
        """Count what floats alone may be; gives the finite ones."""
        magnitudes = np.abs(values)
        # NaN is the largest of any values that it is among.
        largest = magnitudes.max()
        if not np.isfinite(largest):
            nans = int(np.count_nonzero(np.isnan(values)))
            self.nans += nans
            values = values[np.isfinite(values)]
            self.infinities += magnitudes.size - nans - values.size
            magnitudes = np.abs(values)
            largest = magnitudes.max(initial=0)
        if largest >= ROUNDS_TO_INFINITY["float16"]:
            self.overflows += int(np.count_nonzero(magnitudes >= ROUNDS_TO_INFINITY["float16"]))
        small = int(np.count_nonzero(magnitudes <= ROUNDS_TO_ZERO))
        if small:
            self.underflows += small - (magnitudes.size - int(np.count_nonzero(magnitudes)))
        return values

    def result(self) -> Statistics:
        counts = (self.nans, self.infinities, self.nonzero, self.overflows, self.underflows)
        if not self.finite:
            return Statistics(self.count, None, None, None, None, *counts)
        mean, rms = self.total / self.finite, math.sqrt(self.squares / self.finite)
        return Statistics(self.count, self.minimum, self.maximum, mean, rms, *counts)


def statistics(files: OpenFiles, info: TensorInfo) -> Statistics:
    """The statistics of one tensor, whose bytes are told to `progress`.

    Raises `ModelFileError` for one that cannot be read (TL4004, TL4008, TL4009).
    """
    sums = _Sums()
    with progress.part(stored_bytes(info)):
        for piece in elements(files, info):
            for first in range(0, piece.size, CACHED):
                sums.add(piece[first : first + CACHED])
    return sums.result()
