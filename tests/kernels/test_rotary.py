"""Rotary position embedding beside float64: within 2.5e-7 (|a| + |b|) for a pair (a, b), at every position below 2^24,
and one rounding more for results in half precision."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest
from tensorlogic_cpu import kernels

from tests.kernels.row_values import Floats, assert_within, laid_out, random, wide

pytestmark = pytest.mark.usefixtures("instruction_set")


def rotated(x: Floats, frequencies: Floats, dims: int, traditional: bool, scale: float, offset: int) -> Floats:
    angles = ((offset + np.arange(x.shape[-2])) * scale)[:, None] * frequencies
    c, s = np.cos(angles), np.sin(angles)
    first = np.arange(0, dims, 2) if traditional else np.arange(dims // 2)
    second = first + (1 if traditional else dims // 2)
    result = x.copy()
    a, b = x[..., first], x[..., second]
    result[..., first], result[..., second] = a * c - b * s, a * s + b * c
    return result


def rope_bound(x: Floats, dims: int, traditional: bool) -> Floats:
    sizes = np.abs(x)
    first = np.arange(0, dims, 2) if traditional else np.arange(dims // 2)
    second = first + (1 if traditional else dims // 2)
    sums = np.zeros_like(x)
    sums[..., first] = sums[..., second] = sizes[..., first] + sizes[..., second]
    return 2.5e-7 * sums


@pytest.mark.parametrize("traditional", [False, True], ids=["halves", "pairs"])
def test_rope_is_that_of_float64(traditional: bool) -> None:
    shapes = [(1, 8), (3, 8), (2, 5, 34), (1, 9, 1, 64), (1, 3, 130, 64), (2, 1, 2, 3, 256), (0, 3, 4), (2, 0, 4)]
    offsets, bases = [0, 1, 4000, 131_000, 2**24 - 200, -5], [10_000.0, 1e6, 100.0]
    for case in range(15):
        for index, shape in enumerate(shapes):
            number = case + index
            x, values = laid_out(number, shape)
            width, offset, base = shape[-1], offsets[number % 6], bases[number % 3]
            dims = width if case % 2 else max(2, width // 4 * 2)
            scale = 1.0 if case % 4 else 0.125
            if case % 5:
                found = kernels.rope(x, dims, traditional=traditional, base=base, scale=scale, offset=offset)
                frequencies = base ** (-np.arange(dims // 2) / (dims // 2))
            else:
                freqs = mx.array(np.random.default_rng(case).uniform(1, 1e4, dims // 2).astype(np.float32))
                found = kernels.rope(
                    x, dims, traditional=traditional, base=None, scale=scale, offset=offset, freqs=freqs
                )
                frequencies = 1 / wide(freqs)
            assert found.dtype == x.dtype
            expected = rotated(values, frequencies, dims, traditional, scale, offset)
            assert_within(found, expected, rope_bound(values, dims, traditional))


def test_sines_and_cosines_are_right_at_large_positions() -> None:
    x = mx.concatenate([mx.ones((64, 128)), mx.zeros((64, 128))], axis=-1)
    for offset in (131_072 - 64, 2**24 - 64):
        found = wide(kernels.rope(x, 256, traditional=False, base=1e6, scale=1.0, offset=offset))
        angles = (offset + np.arange(64))[:, None] * 1e6 ** (-np.arange(128) / 128)
        assert np.abs(found - np.concatenate([np.cos(angles), np.sin(angles)], axis=-1)).max() < 1.5e-7


@pytest.mark.parametrize("dims", [8, 6])
@pytest.mark.parametrize("traditional", [False, True], ids=["halves", "pairs"])
def test_rope_means_what_mlx_means(traditional: bool, dims: int) -> None:
    x = random((2, 3, 5, 8), mx.float32, 1)
    for freqs in (None, mx.array([1.0, 3.0, 10.0, 40.0][: dims // 2])):
        base = 10_000.0 if freqs is None else None
        ours = kernels.rope(x, dims, traditional=traditional, base=base, scale=0.5, offset=7, freqs=freqs)
        theirs = mx.fast.rope(x, dims, traditional=traditional, base=base, scale=0.5, offset=7, freqs=freqs)
        assert mx.allclose(ours, theirs, atol=1e-5)
