"""Row-wise operations beside float64, for every instruction set, float type and layout of memory.

Bounds; results in half precision have one rounding more:

- casts are exact: rounded once, to the nearest, ties to even;
- rms_norm: a relative 1e-6;
- layer_norm: 1e-6 (1 + max|x| / sqrt(var + eps)) |weight| + 1e-7 |bias|;
- softmax: a relative 1e-6 + 1.2e-7 (max - x), and the least of float32 where numbers are subnormal;
- silu: a relative 4e-7; gelu: 2.5e-7 |x|, and a relative 1e-6 above -5; its tanh form: 2.5e-7 |x|.
"""

from __future__ import annotations

import math

import mlx.core as mx
import numpy as np
import pytest
from tensorlogic_cpu import kernels

from tests.kernels.row_values import DTYPES, LAYOUTS, Floats, assert_within, cases, laid_out, random, wide

pytestmark = pytest.mark.usefixtures("instruction_set")
erfc = np.vectorize(math.erfc, otypes=[np.float64])


@pytest.mark.parametrize("of", [mx.float16, mx.bfloat16], ids=str)
def test_half_precision_is_widened_exactly(of: mx.Dtype) -> None:
    bits = np.arange(65536, dtype=np.uint16)
    x = mx.array(bits).view(of)
    other = mx.bfloat16 if of == mx.float16 else mx.float16
    found, expected = np.array(kernels.cast(x, mx.float32)), np.array(x.astype(mx.float32))
    numbers = ~np.isnan(expected)
    assert np.array_equal(found[numbers].view(np.uint32), expected[numbers].view(np.uint32))
    assert np.array_equal(np.isnan(found), ~numbers)
    narrowed, again = kernels.cast(x, other), kernels.cast(mx.array(expected), other)
    assert narrowed.dtype == other
    assert np.array_equal(np.array(narrowed.view(mx.uint16))[numbers], np.array(again.view(mx.uint16))[numbers])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_casts_round_to_the_nearest(layout: str) -> None:
    bits = np.random.default_rng(1).integers(0, 2**32, 5 * 4001, np.uint32)
    # Ties, in both types, and the numbers around float16's smallest and largest.
    bits[:4000] &= 0xFFFFF000
    bits[4000:8000] = bits[4000:8000] & 0xFFFF0000 | 0x8000
    bits[8000:12000] = bits[8000:12000] & 0x80FFF000 | 0x38000000
    bits[12000:14000] = np.arange(2000) * 7 + 0x477FE000
    x = bits.view(np.float32).reshape(5, 4001)
    numbers = ~np.isnan(x)
    given = LAYOUTS[layout](mx.array(x))
    with np.errstate(over="ignore", invalid="ignore"):
        halves = x.astype(np.float16).view(np.uint16)
    top = x.view(np.uint32) + (0x7FFF + (x.view(np.uint32) >> 16 & 1)) >> 16
    for dtype, expected in ((mx.float16, halves), (mx.bfloat16, top.astype(np.uint16))):
        found = kernels.cast(given, dtype)
        assert np.array_equal(np.array(found.view(mx.uint16))[numbers], expected[numbers])
        assert np.array_equal(np.isnan(wide(found)), ~numbers)


def test_a_cast_to_the_same_type_is_the_array() -> None:
    x = mx.ones((3,))
    assert mx.array_equal(kernels.cast(x, mx.float32), x)


def test_norms_are_those_of_float64() -> None:
    for case, shape in cases():
        x, values = laid_out(case, shape)
        width = shape[-1]
        weight, bias = random((width,), DTYPES[case // 3 % 3], case), random((width,), DTYPES[case // 5 % 3], case + 1)
        w, b = wide(weight), wide(bias)
        if not values.size:
            assert kernels.rms_norm(x, weight, 1e-5).shape == shape == kernels.layer_norm(x, None, bias, 1e-5).shape
            continue
        expected = values / np.sqrt((values**2).mean(-1, keepdims=True) + 1e-5)
        assert_within(kernels.rms_norm(x, weight, 1e-5), expected * w, 1e-6 * np.abs(expected * w))
        assert_within(kernels.rms_norm(x, None, 1e-5), expected, 1e-6 * np.abs(expected))
        deviation = np.sqrt(values.var(-1, keepdims=True) + 1e-5)
        expected = (values - values.mean(-1, keepdims=True)) / deviation
        bound = 1e-6 * (1 + np.abs(values).max(-1, keepdims=True) / deviation) * np.ones_like(values)
        assert_within(kernels.layer_norm(x, weight, bias, 1e-5), expected * w + b, bound * np.abs(w) + 1e-7 * np.abs(b))
        assert_within(kernels.layer_norm(x, None, None, 1e-5), expected, bound)
        assert_within(kernels.layer_norm(x, weight, None, 1e-5), expected * w, bound * np.abs(w))
        assert_within(kernels.layer_norm(x, None, bias, 1e-5), expected + b, bound + 1e-7 * np.abs(b))


def test_layer_norm_keeps_its_digits_beside_a_large_mean() -> None:
    x = random((3, 577), mx.float32, 1) + 1000
    values = wide(x)
    expected = (values - values.mean(-1, keepdims=True)) / np.sqrt(values.var(-1, keepdims=True) + 1e-5)
    assert np.abs(wide(kernels.layer_norm(x, None, None, 1e-5)) - expected).max() < 2e-4


def test_softmax_is_that_of_float64() -> None:
    for case, shape in cases():
        x, values = laid_out(case, shape, spread=20.0)
        if not values.size:
            assert kernels.softmax(x).shape == shape
            continue
        below = values.max(-1, keepdims=True) - values
        expected = np.exp(-below) / np.exp(-below).sum(-1, keepdims=True)
        assert_within(kernels.softmax(x), expected, (1e-6 + 1.2e-7 * below) * expected + 2.0**-149)


def test_a_long_row_of_softmax_sums_to_one() -> None:
    x = mx.concatenate([mx.zeros((1, 100_001)), random((1, 100_001), mx.float32, 2)])
    found = wide(kernels.softmax(x))
    assert np.abs(found.sum(-1) - 1).max() < 1e-6
    assert np.abs(found[0] * 100_001 - 1).max() < 1e-6


def activations(x: Floats) -> dict[str, Floats]:
    with np.errstate(over="ignore"):
        u = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
        return {
            "silu": x / (1 + np.exp(-x)),
            "gelu": 0.5 * x * erfc(-x / math.sqrt(2)),
            "gelu_tanh": x / (1 + np.exp(-2 * u)),
        }


def activation_bounds(x: Floats) -> dict[str, Floats]:
    expected = activations(x)
    return {
        "silu": 4e-7 * np.abs(expected["silu"]) + np.where(x < -87, 1e-36, 0),
        "gelu": np.minimum(2.5e-7 * np.abs(x), np.where(x > -5, 1e-6, 1.0) * np.abs(expected["gelu"]) + 1e-36),
        "gelu_tanh": 2.5e-7 * np.abs(x) + 0,
    }


def activated(x: mx.array) -> dict[str, mx.array]:
    return {"silu": kernels.silu(x), "gelu": kernels.gelu(x, False), "gelu_tanh": kernels.gelu(x, True)}


def test_activations_are_those_of_float64() -> None:
    for case, shape in cases():
        x, values = laid_out(case, shape)
        expected, bounds = activations(values), activation_bounds(values)
        for name, found in activated(x).items():
            assert found.dtype == x.dtype
            assert_within(found, expected[name], bounds[name])


def test_activations_are_near_everywhere() -> None:
    small = 10.0 ** np.linspace(-30, 0, 2001)
    x = np.concatenate([np.linspace(-100, 100, 20001), np.linspace(-6, 6, 20001), small, -small]).astype(np.float32)
    expected, bounds = activations(x.astype(np.float64)), activation_bounds(x.astype(np.float64))
    for name, found in activated(mx.array(x)).items():
        assert_within(found, expected[name], bounds[name])


@pytest.mark.parametrize("kind", ["silu", "gelu_tanh"])
def test_gates_are_those_of_float64(kind: str) -> None:
    for case, shape in cases():
        gate, g = laid_out(case, shape)
        up, u = laid_out(case * 7 + 1, shape)
        found = kernels.gated(gate, up, "silu" if kind == "silu" else "gelu_tanh")
        assert found.dtype == gate.dtype
        expected = activations(g)[kind] * u
        assert_within(found, expected, activation_bounds(g)[kind] * np.abs(u) + 1e-7 * np.abs(expected))


def test_gates_take_the_halves_of_one_array() -> None:
    both = random((3, 5, 2 * 97), mx.float16, 3)
    gate, up = mx.split(both, 2, axis=-1)
    g, u = wide(gate), wide(up)
    expected = activations(g)["silu"] * u
    assert_within(kernels.gated(gate, up, "silu"), expected, 5e-7 * np.abs(expected))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_argmax_is_the_first_of_the_largest(dtype: mx.Dtype, layout: str) -> None:
    for shape in [(1,), (1, 1), (7, 31), (2, 3, 5, 33), (2, 9001)]:
        x = LAYOUTS[layout](random(shape, dtype, len(shape)))
        found = kernels.argmax(x)
        assert (found.dtype, found.shape) == (mx.int32, shape[:-1])
        assert np.array_equal(np.array(found), wide(x).argmax(axis=-1))


def test_argmax_of_equals_nan_and_infinities() -> None:
    x = np.zeros((6, 9001), np.float32)
    x[1, [5, 9000]] = 2.0
    x[2, [4095, 4096, 8999]] = math.inf
    x[3] = -math.inf
    x[4, 8192], x[4, 3] = math.nan, 7.0
    x[5, 9000] = math.nan
    assert np.array(kernels.argmax(mx.array(x))).tolist() == [0, 5, 4095, 0, -1, -1]
