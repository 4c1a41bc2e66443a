"""What promise 4 costs: converting the floats of a file with the check that nothing is lost, beside converting alone.

`python -m benchmarks.overflow` prints the table. The source lies in memory, in the pieces in which a file is read, so
that the disk has no part in it. Both sides convert with the same code; one of them looks at what came out, and counts.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from benchmarks.harness import Comparison, aligned, compare
from tensorlogic.runtime.formats.values import PIECE_BYTES, STORED, Array, convert, convert_unchecked, widen

CONVERSIONS = (
    ("F32", "float16"),
    ("BF16", "float16"),
    ("F64", "float16"),
    ("BF16", "float32"),
    ("F32", "bfloat16"),
)
"""Storage and element types."""
SIZES = (4_000_000, 64_000_000)
"""Numbers of elements."""
PAIRS = 15
MOST = 1.15
"""The check may take this many times the conversion alone."""
_KEPT = {"float16": np.float16, "bfloat16": np.uint16, "float32": np.float32}


def comparisons(sizes: Sequence[int] = SIZES, pairs: int = PAIRS) -> list[Comparison]:
    """Each conversion with the check as `ours` and without it as `baseline`, for tensors of each size."""
    return [
        _compared(storage, dtype, weights(storage, size), pairs) for size in sizes for storage, dtype in CONVERSIONS
    ]


def weights(storage: str, size: int) -> Array:
    """Numbers as weights are: about 0, of a deviation of 0.02, BF16 as its bits."""
    # A million of them, again and again: the conversion is as fast, and they are made sooner.
    some = np.random.default_rng(0).normal(scale=0.02, size=min(size, 1 << 20)).astype(np.float32)
    values = np.resize(some, size)
    return (values.view(np.uint32) >> 16).astype(np.uint16) if storage == "BF16" else values.astype(STORED[storage])


def _compared(storage: str, dtype: str, source: Array, pairs: int) -> Comparison:
    target = np.empty(source.size, _KEPT[dtype])
    step = PIECE_BYTES // source.itemsize
    pieces = [(source[start : start + step], target[start : start + step]) for start in range(0, source.size, step)]

    def checked() -> None:
        for piece, into in pieces:
            convert(dtype, widen(storage, piece), into)

    def unchecked() -> None:
        for piece, into in pieces:
            convert_unchecked(dtype, widen(storage, piece), into)

    name = f"{storage} to {dtype}, {source.size // 1_000_000} million"
    # Processor time, since both sides are one thread's work and other processes are nobody's cost here.
    return compare(name, checked, unchecked, pairs=pairs, warm_up=1, clock=time.process_time)


def table(measured: Sequence[Comparison]) -> str:
    """The comparisons as a table; a ratio above `MOST` is marked."""
    rows: list[Sequence[str]] = [("", "checked ms", "unchecked ms", "ratio", "quartiles")]
    rows += [
        (
            summary.name,
            f"{summary.ours_milliseconds:.2f}",
            f"{summary.baseline_milliseconds:.2f}",
            f"{summary.ratio:.3f}" + (" !" if summary.ratio > MOST else ""),
            f"{summary.ratio_lower_quartile:.3f} to {summary.ratio_upper_quartile:.3f}",
        )
        for summary in (comparison.summary for comparison in measured)
    ]
    return aligned(rows)


if __name__ == "__main__":
    print(table(comparisons()))
