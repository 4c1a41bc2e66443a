"""Layers: sizes that are symbolic, losses, packed weights, masks, and what their kernels are given."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorlogic.compiler.driver import Options, compile_text
from tensorlogic.runtime.errors import BoundaryError
from tensorlogic.runtime.formats import PackedLayout
from tensorlogic.runtime.packed import Packed
from tests.ops.harness import Array, compiled
from tests.ops.references import neural as reference

_RNG = np.random.default_rng(0)


def _normal(*shape: int) -> Array:
    return _RNG.standard_normal(shape).astype(np.float32)


# --- windows


@st.composite
def _windows(draw: st.DrawFn) -> dict[str, int]:
    """A convolution over one dim whose window fits."""
    kernel, dilation = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    padding, stride = draw(st.integers(0, 3)), draw(st.integers(1, 4))
    reach = dilation * (kernel - 1) + 1
    length = draw(st.integers(max(1, reach - 2 * padding), 14))
    return {"length": length, "kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}


def _arguments(case: dict[str, int]) -> str:
    return ", ".join(f"{name}: {case[name]}" for name in ("stride", "padding", "dilation"))


@given(_windows())
def test_a_convolution_has_as_many_places_as_its_type_says(case: dict[str, int]) -> None:
    """The type is a constant; the numbers are the reference's."""
    x, w = _normal(2, case["length"], 2), _normal(3, 2, case["kernel"])
    numbers = (case["stride"], case["padding"], case["dilation"])
    expected = reference.conv1d(x.astype(np.float64), w.astype(np.float64), None, *numbers)
    text = f"""fn f(x: float32{list(x.shape)}, w: float32{list(w.shape)}) -> float32{list(expected.shape)} {{
        return conv1d(x, w, {_arguments(case)})
    }}"""
    np.testing.assert_allclose(np.array(compiled(text).f(mx.array(x), mx.array(w))), expected, rtol=2e-5, atol=2e-5)


@given(_windows(), st.integers(0, 3))
def test_a_symbolic_length_has_an_exact_number_of_places(case: dict[str, int], remainder: int) -> None:
    """Where the length is `stride * L + remainder`, the result's type is a polynomial of L."""
    stride, padding = case["stride"], case["padding"]
    reach = case["dilation"] * (case["kernel"] - 1) + 1
    rest = remainder % stride
    length = stride * max(1, -(-(reach - 2 * padding - rest) // stride)) + rest
    constant = (rest + 2 * padding - reach) // stride + 1
    places = f"L + {constant}" if constant >= 0 else f"L - {-constant}"
    parameters = f"x: float32[N, {stride}*L + {rest}, 1], w: float32[1, 1, {case['kernel']}]"
    text = f"""fn f({parameters}) -> float32[N, {places}, 1]
        where {reach} <= {stride}*L + {rest + 2 * padding} {{
        return conv1d(x, w, {_arguments(case)})
    }}"""
    result = compiled(text).f(mx.zeros((2, length, 1)), mx.zeros((1, 1, case["kernel"])))
    assert result.shape == (2, length // stride + constant, 1)


@pytest.mark.parametrize("op", ["max_pool2d", "avg_pool2d"])
def test_windows_over_sizes_that_only_run_time_knows(op: str) -> None:
    """The result's sizes are unknown; that the window fits is checked."""
    module = compiled(f"fn f(x: float32[N, ?, ?, C]) -> float32[N, ?, ?, C] {{ return {op}(x, 2) }}")
    x = _normal(1, 5, 4, 2)
    expected = getattr(reference, op)(x, 2)
    np.testing.assert_allclose(np.array(module.f(mx.array(x))), expected, rtol=1e-6)
    with pytest.raises(BoundaryError, match="1 items, with padding, are less than a window of 2"):
        module.f(mx.zeros((1, 1, 4, 2)))


def test_a_pool_of_a_view() -> None:
    """Windows are views of the memory, so the order of the memory must not matter."""
    module = compiled(
        "fn f(x: float32[N, C, H, W]) -> float32[N, H, W, C] { return max_pool2d(permute(x, [0, 2, 3, 1]), 1) }"
    )
    x = _normal(2, 3, 4, 5)
    np.testing.assert_array_equal(np.array(module.f(mx.array(x))), x.transpose(0, 2, 3, 1))


def test_a_bias_that_may_be_none() -> None:
    module = compiled(
        "fn f(x: float32[N, L, I], w: float32[O, I, 1], b: float32[O]?) -> float32[N, L, O] { return conv1d(x, w, b) }"
    )
    x, w, b = mx.ones((1, 2, 3)), mx.ones((2, 3, 1)), mx.array([1.0, 2.0])
    assert module.f(x, w, None).tolist() == [[[3.0, 3.0]] * 2]
    assert module.f(x, w, b).tolist() == [[[4.0, 5.0]] * 2]


# --- losses


def test_cross_entropy_is_the_mean_over_all() -> None:
    module = compiled("fn f(x: float32[...B, V], y: int32[...B]) -> float32[] { return cross_entropy(x, y) }")
    x, y = _normal(2, 3, 5), _RNG.integers(0, 5, (2, 3)).astype(np.int32)
    picked = np.take_along_axis(reference.log_softmax(x.astype(np.float64)), y[..., None], -1)
    assert module.f(mx.array(x), mx.array(y)).item() == pytest.approx(-picked.mean(), rel=1e-5)
    clamped = np.where(y == 4, 9, np.where(y == 0, -3, y)).astype(np.int32)
    assert module.f(mx.array(x), mx.array(clamped)).item() == pytest.approx(-picked.mean(), rel=1e-5)
    one = compiled("fn f(x: float32[V], y: int32[]) -> float32[] { return cross_entropy(x, y) }")
    assert one.f(mx.array([0.0, 0.0]), mx.array(1)).item() == pytest.approx(np.log(2), rel=1e-5)


def test_mse_is_the_mean_over_all() -> None:
    module = compiled("fn f(x: float32[...B], y: float32[...B]) -> float32[] { return mse(x, y) }")
    x, y = _normal(2, 3), _normal(2, 3)
    assert module.f(mx.array(x), mx.array(y)).item() == pytest.approx(np.mean((x - y) ** 2), rel=1e-5)


@pytest.mark.parametrize("strict", [False, True])
def test_losses_of_float16_do_not_overflow_inside(strict: bool) -> None:
    text = """
    fn f(x: float16[N], y: float16[N]) -> float16[] { return mse(x, y) / 1 }
    fn g(x: float16[N, V], y: int32[N]) -> float16[] { return cross_entropy(x, y) }
    """
    module = compiled(text, strict=strict)
    assert module.f(mx.full((4096,), 200, mx.float16), mx.zeros(4096, mx.float16)).item() == 40000
    logits = mx.full((3000, 2), 30000, mx.float16)
    assert module.g(logits, mx.zeros(3000, mx.int32)).item() == pytest.approx(np.log(2), rel=1e-3)


# --- packed weights


def _packed(rows: int, width: int) -> tuple[Packed, Array]:
    dense = mx.array(_normal(rows, width))
    weight, scales, biases = mx.quantize(dense, group_size=32, bits=4)
    packed = Packed(weight, scales, biases, PackedLayout(4, 32), (rows, width), mx.float16)
    return packed, np.array(mx.dequantize(weight, scales, biases, group_size=32, bits=4))


def test_packed_weights_of_linear_and_embedding_stay_packed() -> None:
    text = """
    fn f(x: float16[N, I], w: float16[O, I], b: float16[O]) -> float16[N, O] { return linear(x, w, b) }
    fn g(i: int32[N], w: float16[O, I]) -> float16[N, I] { return embedding(i, w) }
    """
    module = compiled(text)
    packed, dense = _packed(8, 64)
    x, bias = _normal(3, 64), _normal(8)
    half = mx.array(x).astype(mx.float16), packed, mx.array(bias).astype(mx.float16)
    np.testing.assert_allclose(np.array(module.f(*half)), x @ dense.T + bias, rtol=2e-2, atol=5e-2)
    rows = module.g(mx.array([7, -1, 99]), packed)
    np.testing.assert_allclose(np.array(rows), dense[[7, 0, 7]], rtol=2e-3, atol=2e-3)


def test_indices_into_packed_rows_are_reported() -> None:
    module = compiled("fn g(i: int32[N], w: float16[O, I]) -> float16[N, I] { return embedding(i, w) }", checked=True)
    packed, _ = _packed(8, 64)
    with pytest.raises(BoundaryError, match="the index 8 is out of bounds for a dim of 8"):
        module.g(mx.array([8]), packed)


# --- attention and rotary positions

_QKV = "q: float32[B, H, L, D], k: float32[B, K, S, D], v: float32[B, K, S, D]"


def test_causal_attention_continues_where_the_keys_end() -> None:
    """The last query sees all keys, whatever the number of queries."""
    module = compiled(
        f"fn f({_QKV}) -> float32[B, H, L, D] where H % K == 0 and L <= S {{ return attention(q, k, v, causal: true) }}"
    )
    q, k, v = _normal(1, 2, 5, 8), _normal(1, 1, 5, 8), _normal(1, 1, 5, 8)
    whole = np.array(module.f(*map(mx.array, (q, k, v))))
    np.testing.assert_allclose(whole, reference.attention(q, k, v, causal=True), rtol=1e-5, atol=1e-5)
    last = np.array(module.f(mx.array(q[:, :, 3:]), mx.array(k), mx.array(v)))
    np.testing.assert_allclose(last, whole[:, :, 3:], rtol=1e-5, atol=1e-5)


def test_causal_attention_with_fewer_keys_is_refused_when_it_runs() -> None:
    module = compiled(
        """fn f(q: float32[B, H, ?, D], k: float32[B, H, ?, D]) -> float32[B, H, ?, D] {
            return attention(q, k, k, causal: true)
        }"""
    )
    assert module.f(mx.ones((1, 1, 2, 4)), mx.ones((1, 1, 3, 4))).shape == (1, 1, 2, 4)
    with pytest.raises(BoundaryError, match="2 keys, 3 queries"):
        module.f(mx.ones((1, 1, 3, 4)), mx.ones((1, 1, 2, 4)))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("mask", ["none", "bools", "numbers"])
def test_a_mask_that_may_be_none(mask: str, causal: bool) -> None:
    element = "bool" if mask == "bools" else "float32"
    parameters = f"{_QKV}, m: {element}[L, S]?, c: bool"
    module = compiled(f"""fn f({parameters}) -> float32[B, H, L, D] where H % K == 0 and L <= S {{
        return attention(q, k, v, mask: m, causal: c)
    }}""")
    q, k, v = _normal(2, 2, 3, 4), _normal(2, 1, 5, 4), _normal(2, 1, 5, 4)
    given_mask: Any = {"none": None, "bools": _normal(3, 5) > -1, "numbers": _normal(3, 5)}[mask]
    expected = reference.attention(q, k, v, mask=given_mask, causal=causal)
    argument = None if given_mask is None else mx.array(given_mask)
    actual = module.f(mx.array(q), mx.array(k), mx.array(v), argument, causal)
    np.testing.assert_allclose(np.array(actual), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("mask", ["none", "bools", "numbers"])
@pytest.mark.parametrize("standalone", [False, True])
def test_scores_may_be_capped(mask: str, causal: bool, standalone: bool) -> None:
    element = "bool" if mask == "bools" else "float32"
    window = ", window: 2" if causal else ""
    module = compiled(
        f"""fn f({_QKV}, m: {element}[L, S]?, cap: float?) -> float32[B, H, L, D] where H % K == 0 and L <= S {{
            return attention(q, k, v, scale: 0.9, mask: m, causal: {str(causal).lower()}{window}, soft_cap: cap)
        }}""",
        standalone=standalone,
    )
    q, k, v = _normal(2, 4, 3, 8), _normal(2, 2, 5, 8), _normal(2, 2, 5, 8)
    given_mask: Any = {"none": None, "bools": _normal(3, 5) > -1, "numbers": _normal(3, 5)}[mask]
    if mask == "bools":
        given_mask[:, -3:] = True
    argument = None if given_mask is None else mx.array(given_mask)
    for cap in (None, 0.8, 50.0):
        expected = reference.attention(q, k, v, 0.9, given_mask, causal, 2 if causal else None, cap)
        actual = module.f(mx.array(q), mx.array(k), mx.array(v), argument, cap)
        np.testing.assert_allclose(np.array(actual), expected, rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match="the `soft_cap` of `attention` is above 0, not -1"):
        module.f(mx.array(q), mx.array(k), mx.array(v), argument, -1.0)


def test_a_mask_whose_sizes_only_run_time_knows() -> None:
    module = compiled(
        f"fn f({_QKV}, m: bool[?, ?]) -> float32[B, H, L, D] where H % K == 0 {{ return attention(q, k, v, mask: m) }}"
    )
    q, k = mx.ones((1, 2, 3, 4)), mx.ones((1, 1, 5, 4))
    assert module.f(q, k, k, mx.ones((3, 5), mx.bool_)).shape == (1, 2, 3, 4)
    with pytest.raises(BoundaryError, match="`mask` of `attention` at axis -1: 4 is not 5"):
        module.f(q, k, k, mx.ones((3, 4), mx.bool_))


def test_rotating_in_two_steps_is_rotating_once() -> None:
    """Position `a + b` is position `b` after a rotation by `a`: what a cache of rotated keys rests on."""
    module = compiled("fn f(x: float32[...B, L, 2*D], n: int) -> float32[...B, L, 2*D] { return rope(x, offset: n) }")
    x = _normal(2, 4, 6)
    whole = np.array(module.f(mx.array(x), 10))
    for i in range(4):
        np.testing.assert_allclose(
            np.array(module.f(mx.array(x[:, i : i + 1]), 10 + i)), whole[:, i : i + 1], atol=1e-5
        )


# --- dropout


def test_dropout_keeps_the_mean_and_is_told_by_its_key() -> None:
    module = compiled("fn f(x: float32[N], r: float, k: int) -> float32[N] { return dropout(x, r, k) }")
    x = mx.ones(20000)
    once, again, other = (np.array(module.f(x, 0.3, key)) for key in (5, 5, 6))
    np.testing.assert_array_equal(once, again)
    assert not np.array_equal(once, other)
    assert set(np.unique(once)) == {np.float32(0), np.float32(1 / 0.7)}
    assert once.mean() == pytest.approx(1, abs=0.03)


# --- what the emitted code calls

BY_MLX = [
    ("x: float16[N, D], w: float16[D]", "rms_norm(x, w)", "float16[N, D]", "mx.fast.rms_norm(x, w, 1e-05)"),
    ("x: float16[N, D]", "softmax(x)", "float16[N, D]", "mx.softmax(x, -1, precise=True)"),
    (
        "q: float16[B, H, L, 64]",
        "attention(q, q, q)",
        "float16[B, H, L, 64]",
        "mx.fast.scaled_dot_product_attention(q, q, q, scale=0.125)",
    ),
    (
        "q: float16[B, H, L, 64]",
        "attention(q, q, q, causal: true)",
        "float16[B, H, L, 64]",
        'mx.fast.scaled_dot_product_attention(q, q, q, scale=0.125, mask="causal")',
    ),
    (
        "x: float16[B, H, L, 64], n: int",
        "rope(x, offset: n)",
        "float16[B, H, L, 64]",
        "mx.fast.rope(x, 64, traditional=False, base=10000.0, scale=1.0, offset=n)",
    ),
]
"""In a module that needs MLX alone."""

LOWERINGS = [
    ("x: float16[N, D], w: float16[D]", "rms_norm(x, w)", "float16[N, D]", "tl.rms_norm(x, w, 1e-05)"),
    ("x: float16[N, D]", "layer_norm(x, eps: 1e-6)", "float16[N, D]", "tl.layer_norm(x, None, None, 1e-06)"),
    ("x: float16[N, D]", "softmax(x)", "float16[N, D]", "tl.softmax(x)"),
    ("x: float16[N, D]", "softmax(x, axis: 1)", "float16[N, D]", "tl.softmax(x)"),
    ("x: float16[N, D]", "softmax(x, axis: 0)", "float16[N, D]", "mx.softmax(x, 0, precise=True)"),
    ("q: float16[B, H, L, 64]", "attention(q, q, q)", "float16[B, H, L, 64]", "tl.attention(q, q, q, scale=0.125)"),
    (
        "q: float16[B, H, L, D]",
        "attention(q, q, q, causal: true, window: 9)",
        "float16[B, H, L, D]",
        "tl.attention(q, q, q, causal=True, window=9)",
    ),
    (
        "q: float16[B, H, L, D]",
        "attention(q, q, q, soft_cap: 50.0)",
        "float16[B, H, L, D]",
        "tl.attention(q, q, q, soft_cap=50.0)",
    ),
    ("x: float16[B, H, L, 64]", "rope(x)", "float16[B, H, L, 64]", "tl.rope(x)"),
    ("x: float16[L, 6], n: int", "rope(x, n, dims: 4)", "float16[L, 6]", "tl.rope(x, offset=n, dims=4)"),
    ("x: float16[N, D]", "dropout(x, 0.0, 3)", "float16[N, D]", "return x"),
    (
        "x: float16[N, 8, C], w: float16[O, C, 3]",
        "conv1d(x, w, padding: 1)",
        "float16[N, 8, O]",
        "mx.conv1d(x, w.swapaxes(1, 2), padding=1)",
    ),
    (
        "x: float16[N, 6]",
        'rearrange(x, "n (h k) -> h n k", h: 2)',
        "float16[2, N, 3]",
        "mx.unflatten(x, 1, (2, -1)).transpose(1, 0, 2)",
    ),
    (
        "x: float16[N, D], y: float16[D, K]",
        'einsum("n d, d k -> n k", x, y)',
        "float16[N, K]",
        'mx.einsum("nd,dk->nk", x, y)',
    ),
]


@pytest.mark.parametrize(("parameters", "source", "result", "code"), LOWERINGS, ids=[c[1] for c in LOWERINGS])
def test_one_kernel_is_called_where_there_is_one(parameters: str, source: str, result: str, code: str) -> None:
    text = f"fn f({parameters}) -> {result} {{ return {source} }}"
    assert code in compile_text(text, "case.tl", Options()).python


@pytest.mark.parametrize(("parameters", "source", "result", "code"), BY_MLX, ids=[c[1] for c in BY_MLX])
def test_a_standalone_module_calls_mlx(parameters: str, source: str, result: str, code: str) -> None:
    text = f"fn f({parameters}) -> {result} {{ return {source} }}"
    assert code in compile_text(text, "case.tl", Options(standalone=True)).python
