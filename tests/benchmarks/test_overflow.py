"""The benchmark of the check for losses: what it measures, on tensors of a few elements."""

from __future__ import annotations

import pytest

from benchmarks.overflow import CONVERSIONS, comparisons, table, weights


def test_each_conversion_is_measured_at_each_size() -> None:
    measured = comparisons((64, 128), pairs=3)
    assert len(measured) == 2 * len(CONVERSIONS)
    assert all(len(each.ratios) == 3 for each in measured)
    assert len(table(measured).splitlines()) == 2 + len(measured)


@pytest.mark.parametrize("storage", ["F32", "BF16", "F64"])
def test_weights_are_about_zero(storage: str) -> None:
    made = weights(storage, 1000)
    assert made.size == 1000
    assert made.dtype.itemsize == {"F32": 4, "BF16": 2, "F64": 8}[storage]
