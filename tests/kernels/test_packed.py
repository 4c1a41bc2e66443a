"""Products with packed weights: every layout, instruction set and kind of activations beside float64.

Bounds, for a product of activations x and elements w = scale * code + bias, where `peak` is the largest activation of a
block of 32:

- by floats: 1e-6 of the sum of peak * (|scale * code| + |bias|), the float32 rounding of sums and activations;
- as float16 would keep them: besides, 1/64000 of the sum of peak * |w| over blocks whose mean size is 1/15 of the peak;
- by int8: besides, 1/254 of the sum of peak * |w|, the rounding of activations to bytes;
- results in half precision: one rounding of the result more.
"""

from __future__ import annotations

from typing import Literal, get_args

import mlx.core as mx
import numpy as np
import pytest
from tensorlogic_cpu import kernels

from tests.kernels.packing import LAYOUTS, Floats, Layout, Packed, block_peaks, packed

ROUNDING = {mx.float32: 2.0**-24, mx.float16: 2.0**-11, mx.bfloat16: 2.0**-8}
SEEDS = range(4)


Kept = Literal["float32", "float16", "int8"]
KEPT: tuple[Kept, ...] = get_args(Kept)


def product(x: mx.array, *weights: Packed, kept: Kept = "float32") -> mx.array:
    return kernels.Chain([kernels.Stage([w.matrix for w in weights], activations=kept)], [1])(x)[0]


def wide(x: mx.array) -> Floats:
    return np.array(x.astype(mx.float32), np.float64)


def bound(x: Floats, w: Packed, result: Floats, dtype: mx.Dtype, kept: Kept) -> Floats:
    peaks = block_peaks(x)
    most = 1e-6 * peaks @ w.sizes.T + ROUNDING[dtype] * np.abs(result)
    if kept == "float16":
        means = np.abs(x).reshape(len(x), -1, 32).mean(axis=2).repeat(32, axis=1)
        peaks = np.where(means > peaks / 15.01, peaks, 0)
    unseen = {"float32": 0.0, "float16": 1 / 64000, "int8": 1 / 254}[kept]
    return most + unseen * peaks @ np.abs(w.elements).T


def random_case(seed: int, layout: Layout, dtype: mx.Dtype, scales: mx.Dtype, rows: int) -> tuple[mx.array, Packed]:
    rng = np.random.default_rng(seed)
    width = layout.block * int(rng.integers(1, 9))
    w = packed(rng, int(rng.integers(1, 70)), width, layout, scales)
    # Magnitudes from 1e-4 to 30 beside each other, as activations have.
    x = rng.normal(size=(rows, width)) * 10.0 ** rng.uniform(-4, 1.5, (rows, width))
    return mx.array(x.astype(np.float32)).astype(dtype), w


@pytest.mark.parametrize("kept", KEPT)
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("seed", SEEDS)
def test_products_are_those_of_the_elements(seed: int, layout: Layout, kept: Kept, instruction_set: str) -> None:
    for rows in (1, 2, 5, 8, 9, 33):
        dtype, scales = (tuple(ROUNDING)[(seed + rows + shift) % 3] for shift in (0, 1))
        x, w = random_case(seed * 100 + rows, layout, dtype, scales, rows)
        given = wide(x)
        expected = given @ w.elements.T
        found = product(x, w, kept=kept)
        assert found.dtype == dtype
        error = np.abs(wide(found) - expected)
        assert np.all(error <= bound(given, w, expected, dtype, kept)), (rows, dtype, scales, error.max())


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_elements_are_what_mlx_says(layout: Layout) -> None:
    """Guards the reference itself."""
    w = packed(np.random.default_rng(1), 5, 2 * layout.block, layout)
    weight, scales, biases = w.parts
    given = mx.dequantize(weight, scales, biases, group_size=layout.group, bits=layout.bits, mode=layout.mode)
    np.testing.assert_allclose(wide(given), w.elements, rtol=2e-6, atol=1e-6)


def test_products_with_several_matrices_stand_side_by_side(instruction_set: str) -> None:
    rng = np.random.default_rng(2)
    parts = [
        packed(rng, rows, 128, layout)
        for rows, layout in ((7, Layout(4, 32)), (1, Layout(8, 128)), (33, Layout(5, 64)))
    ]
    for rows in (1, 40):
        x = mx.array(rng.normal(size=(rows, 128)).astype(np.float32))
        side_by_side = np.concatenate([wide(product(x, w)) for w in parts], axis=1)
        np.testing.assert_array_equal(wide(product(x, *parts)), side_by_side)


@pytest.mark.parametrize("shape", [(128,), (1, 128), (2, 3, 128), (0, 128), (3, 0, 128)], ids=str)
def test_leading_dims_are_rows(shape: tuple[int, ...], instruction_set: str) -> None:
    rng = np.random.default_rng(3)
    w = packed(rng, 10, 128, Layout(4, 64))
    x = mx.array(rng.normal(size=shape).astype(np.float32))
    found = product(x, w)
    assert found.shape == (*shape[:-1], 10)
    np.testing.assert_allclose(wide(found), wide(x) @ w.elements.T, rtol=1e-4, atol=1e-4)


def test_strided_and_broadcast_rows_are_read_as_they_are(instruction_set: str) -> None:
    rng = np.random.default_rng(4)
    w = packed(rng, 10, 64, Layout(4, 32))
    base = mx.array(rng.normal(size=(64, 12)).astype(np.float32))
    for x in (base.T, base.T[::3], mx.broadcast_to(base[:, 0], (5, 64)), base.astype(mx.float16).T[2:]):
        plain = mx.array(np.array(x.astype(mx.float32))).astype(x.dtype)
        np.testing.assert_array_equal(wide(product(x, w)), wide(product(plain, w)))


def test_parts_with_gaps_are_read_rightly() -> None:
    w = packed(np.random.default_rng(10), 6, 64, Layout(4, 32))
    x = mx.array(np.random.default_rng(11).normal(size=(3, 64)).astype(np.float32))
    weight, scales, biases = w.parts
    assert biases is not None
    gapped = [mx.repeat(part, 2, axis=0)[::2] for part in (weight, scales, biases)]
    matrix = kernels.Matrix(gapped[0], gapped[1], gapped[2], 4, 32, "affine")
    found = kernels.Chain([kernels.Stage([matrix])], [1])(x)[0]
    np.testing.assert_array_equal(wide(found), wide(product(x, w)))


@pytest.mark.parametrize("kept", KEPT)
def test_what_is_no_number_is_seen(kept: Kept, instruction_set: str) -> None:
    rng = np.random.default_rng(5)
    w = packed(rng, 9, 96, Layout(4, 32))
    for bad in (np.inf, -np.inf, np.nan):
        x = rng.normal(size=(2, 96)).astype(np.float32)
        x[1, 70] = bad
        found = wide(product(mx.array(x), w, kept=kept))
        assert np.all(np.isfinite(found[0]))
        assert not np.any(np.isfinite(found[1]))


def test_zero_and_tiny_rows_give_what_the_biases_say(instruction_set: str) -> None:
    w = packed(np.random.default_rng(6), 9, 64, Layout(8, 32))
    for value in (0.0, 1e-42, 1e-30):
        x = mx.full((1, 64), value, mx.float32)
        found = wide(product(x, w))
        np.testing.assert_allclose(found, wide(x) @ w.elements.T, rtol=1e-3, atol=1e-36)


@pytest.mark.parametrize("rows", [1, 8, 200])
def test_the_number_of_threads_changes_no_bit(rows: int, instruction_set: str, threads: None) -> None:
    rng = np.random.default_rng(7)
    w = packed(rng, 600, 576, Layout(4, 32), mx.float16)
    x = mx.array(rng.normal(size=(rows, 576)).astype(np.float32))
    results = []
    for count in (1, 2, 5):
        mx.synchronize()
        kernels.set_threads(count)
        results.append(np.array(product(x, w)))
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_the_last_bytes_of_a_matrix_are_the_last_read(instruction_set: str) -> None:
    """Under `make sanitize` this sees a read behind the end: buffers of exactly the bytes that the shapes say."""
    for layout in LAYOUTS:
        for rows in (1, 3, 4):
            w = packed(np.random.default_rng(8), rows, layout.block, layout, mx.float16)
            for count in (1, 9):
                x = mx.ones((count, layout.block))
                np.testing.assert_allclose(wide(product(x, w))[0], w.elements.sum(axis=1), rtol=1e-4, atol=1e-3)


def test_mlx_transforms_see_through(instruction_set: str) -> None:
    rng = np.random.default_rng(9)
    w = packed(rng, 16, 64, Layout(4, 32))
    x = mx.array(rng.normal(size=(3, 64)).astype(np.float32))
    gradient = mx.grad(lambda given: product(given, w).sum())(x)
    np.testing.assert_allclose(wide(gradient), np.broadcast_to(w.elements.sum(axis=0), (3, 64)), rtol=1e-4, atol=1e-4)
    _, (tangent,) = mx.jvp(lambda given: product(given, w), [x], [mx.ones_like(x)])
    np.testing.assert_allclose(wide(tangent)[0], w.elements.sum(axis=1), rtol=1e-4, atol=1e-3)
    compiled = mx.compile(lambda given: product(given * 2, w) + 1)
    np.testing.assert_allclose(wide(compiled(x)), wide(x) * 2 @ w.elements.T + 1, rtol=1e-4, atol=1e-3)


def test_shapes_that_do_not_fit_are_refused() -> None:
    weight, scales = mx.zeros((4, 8), mx.uint32), mx.zeros((4, 2))
    cases = [
        ((weight, mx.zeros((4, 3)), mx.zeros((4, 3)), 4, 32, "affine"), "scales are"),
        ((weight, scales, mx.zeros((4, 1)), 4, 32, "affine"), "biases are like scales"),
        ((weight, scales, scales.astype(mx.float16), 4, 32, "affine"), "biases are like scales"),
        ((weight, scales, None, 4, 32, "affine"), "has biases"),
        ((weight, scales, scales, 7, 32, "affine"), "7 bits"),
        ((weight, scales, scales, 4, 16, "affine"), "groups of 16"),
        ((weight, scales, scales, 4, 32, "nvfp4"), "nvfp4"),
        ((weight, scales, None, 4, 32, "mxfp4"), "scales in the mode mxfp4"),
        ((weight.astype(mx.int32), scales, scales, 4, 32, "affine"), "uint32"),
        ((mx.zeros((4, 7), mx.uint32), scales, scales, 4, 32, "affine"), "whole groups"),
        ((mx.zeros((0, 8), mx.uint32), mx.zeros((0, 2)), mx.zeros((0, 2)), 4, 32, "affine"), "rows and columns"),
        ((mx.zeros((4, 0), mx.uint32), mx.zeros((4, 0)), mx.zeros((4, 0)), 4, 32, "affine"), "rows and columns"),
        ((mx.zeros((8,), mx.uint32), scales, scales, 4, 32, "affine"), "uint32"),
    ]
    for parts, told in cases:
        with pytest.raises(ValueError, match=told):
            kernels.Matrix(*parts)
    stage = kernels.Stage([kernels.Matrix(weight, scales, scales, 4, 32, "affine")])
    chain = kernels.Chain([stage], [1])
    for x in (mx.zeros((1, 65)), mx.zeros((64,), mx.int32), mx.array(1.0)):
        with pytest.raises(ValueError, match="x is of floats"):
            chain(x)
