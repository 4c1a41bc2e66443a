"""What tests of row-wise operations share: random numbers in every float type and layout of memory, and bounds."""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Layout = Callable[[mx.array], mx.array]

ROUNDING = {mx.float32: 2.0**-24, mx.float16: 2.0**-11, mx.bfloat16: 2.0**-8}
DTYPES = list(ROUNDING)
SHAPES = [(1,), (3, 0), (0, 5), (1, 1), (1, 576), (7, 31), (2, 3, 5, 33), (4, 2, 640), (2, 9001)]
# The same numbers, lying elsewhere.
LAYOUTS: dict[str, Layout] = {
    "dense": lambda x: x,
    "half": lambda x: mx.concatenate([x, x + 1], axis=-1)[..., : x.shape[-1]],
    "every_second": lambda x: mx.repeat(x, 2, axis=-1)[..., ::2],
    "backwards": lambda x: mx.contiguous(x[..., ::-1])[..., ::-1],
    "columns": lambda x: mx.contiguous(x.T).T,
}


def wide(x: mx.array) -> Floats:
    return np.array(x.astype(mx.float32), np.float64)


def random(shape: tuple[int, ...], dtype: mx.Dtype, seed: int, spread: float = 3.0) -> mx.array:
    x = np.random.default_rng(seed).normal(size=shape) * spread
    return mx.array(x.astype(np.float32)).astype(dtype)


def assert_within(found: mx.array, expected: Floats, bound: Floats | float) -> None:
    dtype = found.dtype
    least = {mx.float32: 2.0**-149, mx.float16: 2.0**-24, mx.bfloat16: 2.0**-133}[dtype]
    most = bound + (ROUNDING[dtype] * np.abs(expected) + least if dtype != mx.float32 else 0)
    assert found.shape == expected.shape
    error = np.abs(wide(found) - expected)
    assert np.all(error <= most), (dtype, found.shape, (error / np.maximum(most, 1e-300)).max())


def laid_out(case: int, shape: tuple[int, ...], spread: float = 3.0) -> tuple[mx.array, Floats]:
    """Random numbers of a shape in a type and layout that the number of the case chooses, and what they are."""
    x = random(shape, DTYPES[case % 3], case, spread)
    layouts = list(LAYOUTS.values())
    placed = layouts[case % len(layouts)](x)
    mx.eval(placed)
    return placed, wide(x)


def cases() -> list[tuple[int, tuple[int, ...]]]:
    return [(case, shape) for case in range(15) for shape in SHAPES]
