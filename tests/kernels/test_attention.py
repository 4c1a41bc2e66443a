"""Attention beside float64: few and many queries, every instruction set, types, strides and masks.

The bound is that of `attending.Expected`. The reference takes what arrays hold, also where their types are narrow.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorlogic_cpu import kernels

from tests.kernels.attending import ROUNDING, Hidden, address, assert_close, attention, normal, wide

TYPES = tuple(ROUNDING)

# B, H, K, L, S, D, E: heads of SmolLM2 and Gemma 3, odd sizes, one key, more queries than keys.
SHAPES = [
    (1, 9, 3, 1, 200, 64, 64),
    (1, 4, 1, 1, 131, 256, 256),
    (2, 4, 2, 3, 77, 80, 48),
    (1, 3, 1, 8, 70, 24, 20),
    (1, 1, 1, 1, 1, 1, 1),
    (1, 2, 2, 5, 3, 7, 9),
    (1, 6, 3, 40, 40, 64, 64),
    (1, 4, 1, 18, 150, 160, 256),
    (2, 4, 2, 35, 140, 40, 72),
    (1, 1, 1, 12, 3, 5, 3),
]


def check(q: mx.array, k: mx.array, v: mx.array, hidden: Hidden, scale: float = 0.3) -> None:
    found = kernels.attention(q, k, v, scale=scale, causal=hidden.causal, window=hidden.window, mask=hidden.mask)
    assert found.dtype == q.dtype
    assert_close(found, attention(wide(q), wide(k), wide(v), scale, hidden, q.dtype))


def random_mask(rng: np.random.Generator, kind: int, shape: tuple[int, ...]) -> mx.array | None:
    """None, bools, or floats of some type; each dim as it is, or 1."""
    if kind == 0:
        return None
    sizes = tuple(int(n) if rng.random() < 0.5 else 1 for n in shape)[int(rng.integers(0, 4)) :]
    if kind == 1:
        return mx.array(rng.random(sizes) < 0.7)
    hidden = np.where(rng.random(sizes) < 0.2, -np.inf, rng.normal(size=sizes) * 2)
    return mx.array(hidden.astype(np.float32)).astype(TYPES[int(rng.integers(3))])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_attention_is_that_of_its_definition(shape: tuple[int, ...], instruction_set: str) -> None:
    batch, heads, kv_heads, queries, keys, width, value_width = shape
    for seed, (causal, window) in enumerate(((False, None), (True, None), (True, 1), (True, 9), (True, 70))):
        rng = np.random.default_rng(seed)
        types = [TYPES[int(i)] for i in rng.integers(0, 3, 3)]
        q = normal(rng, batch, heads, queries, width, dtype=types[0])
        k = normal(rng, batch, kv_heads, keys, width, dtype=types[1])
        v = normal(rng, batch, kv_heads, keys, value_width, dtype=types[2])
        mask = random_mask(rng, seed % 3, (batch, heads, queries, keys))
        check(q, k, v, Hidden(causal, window, mask), width**-0.5)


@given(st.data())
def test_attention_of_any_sizes(data: st.DataObject) -> None:
    size = st.integers(1, 12)
    batch, kv_heads, group = data.draw(st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 5)))
    queries, keys = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 150))
    width, value_width = data.draw(size) * data.draw(size), data.draw(size) * data.draw(size)
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    types = data.draw(st.tuples(*3 * [st.sampled_from(TYPES)]))
    causal = data.draw(st.booleans())
    window = data.draw(st.none() | st.integers(1, 200)) if causal else None
    mask = random_mask(rng, data.draw(st.integers(0, 2)), (batch, group * kv_heads, queries, keys))
    q = normal(rng, batch, group * kv_heads, queries, width, dtype=types[0])
    k = normal(rng, batch, kv_heads, keys, width, dtype=types[1])
    v = normal(rng, batch, kv_heads, keys, value_width, dtype=types[2])
    check(q, k, v, Hidden(causal, window, mask), width**-0.5)


@pytest.mark.parametrize("queries", [2, 20])
@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_arrays_are_read_where_they_are(dtype: mx.Dtype, queries: int, instruction_set: str) -> None:
    rng = np.random.default_rng(3)
    causal = Hidden(causal=True)
    q = normal(rng, 1, 4, queries, 32, dtype=dtype)
    capacity, gaps = normal(rng, 1, 2, 90, 32, dtype=dtype), normal(rng, 1, 2, 50, 96, dtype=dtype)
    joined, one = normal(rng, 1, 50, 8, 32, dtype=dtype), normal(rng, 1, 1, 50, 32, dtype=dtype)
    same = mx.broadcast_to(one, (1, 2, 50, 32))
    check(q, capacity[:, :, 20:70], capacity[:, :, 40:90], causal)
    check(q, gaps[..., ::3], gaps[..., 95::-3], causal)
    check(q, joined[:, :, 0:2].transpose(0, 2, 1, 3), joined[:, :, 5:7].transpose(0, 2, 1, 3), causal)
    check(q, same, same, causal)
    check(q, capacity[:, :, 60:10:-1], capacity[:, :, 80:30:-1], causal)
    check(mx.broadcast_to(one[:, :, :1], (1, 4, queries, 32)), same, same, causal)
    check(joined[:, :queries, ::2].transpose(0, 2, 1, 3), same, same, causal)


def test_masks_are_read_where_they_are(instruction_set: str) -> None:
    rng = np.random.default_rng(4)
    for queries in (3, 30):
        q, k = normal(rng, 2, 4, queries, 16), normal(rng, 2, 2, 50, 16)
        for mask in (
            normal(rng, 50, queries).T,
            mx.broadcast_to(normal(rng, 2, 1, 1, 50), (2, 4, queries, 50)),
            mx.array(rng.random((100, 2)) < 0.5)[::2, 0],
            mx.array(rng.random((2, 1, 1, 50)) < 0.5),
            normal(rng, 1, 4, queries, 100, dtype=mx.float16)[..., ::2],
            mx.array(0.5),
        ):
            check(q, k, k, Hidden(mask=mask))
            check(q, k, k, Hidden(causal=True, window=7, mask=mask))


def test_long_contexts(instruction_set: str) -> None:
    """Stretches of keys are longer where there are many."""
    rng = np.random.default_rng(5)
    q, k = normal(rng, 1, 2, 2, 16), normal(rng, 1, 1, 9000, 16)
    check(q, k, k, Hidden(causal=True))
    check(q, k, k, Hidden(causal=True, window=300))


@pytest.mark.parametrize("queries", [1, 30])
def test_scores_of_any_size(queries: int, instruction_set: str) -> None:
    rng = np.random.default_rng(6)
    v = normal(rng, 1, 1, 200, 16)
    # One key of ten thousand, in the first block or the last, then all alike.
    for place in (3, 190):
        k = np.zeros((1, 1, 200, 16), np.float32)
        k[0, 0, place] = 1e4
        found = kernels.attention(mx.ones((1, 1, queries, 16)), mx.array(k), v, scale=1)
        np.testing.assert_array_equal(wide(found), np.broadcast_to(wide(v)[:, :, place : place + 1], found.shape))
    for size in (1e-38, 1e30):
        found = kernels.attention(mx.full((1, 1, queries, 16), size), mx.full((1, 1, 200, 16), -1e-3), v, scale=1)
        np.testing.assert_allclose(wide(found)[0, 0, -1], wide(v).mean(axis=2)[0, 0], atol=1e-6)


@pytest.mark.parametrize("queries", [2, 30])
def test_a_query_that_sees_nothing_gives_zeros(queries: int, instruction_set: str) -> None:
    rng = np.random.default_rng(7)
    q, k = normal(rng, 1, 2, queries, 16), normal(rng, 1, 1, 40, 16)
    seen = mx.arange(queries)[:, None] != 1
    nothing = mx.where(seen, mx.array(0.0), mx.array(-math.inf))
    for mask in (mx.broadcast_to(seen, (queries, 40)), nothing, mx.broadcast_to(nothing, (queries, 40))):
        found = wide(kernels.attention(q, k, k, scale=1, mask=mask))
        assert np.all(found[:, :, 1] == 0)
        assert np.all(found[:, :, 0] != 0)
    check(q, k[:, :, :1], k[:, :, :1], Hidden(causal=True))


@pytest.mark.parametrize("queries", [2, 30])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_nan_and_infinity_stay(value: float, queries: int, instruction_set: str) -> None:
    """As softmax and matmul would have it, in the heads that see them and in no other."""
    rng = np.random.default_rng(8)
    q, k, v = normal(rng, 1, 2, queries, 16), normal(rng, 1, 2, 150, 16), normal(rng, 1, 2, 150, 16)
    bad = np.array(k)
    bad[0, 0, 77, 3] = value

    def by_definition(k: mx.array, v: mx.array) -> Any:
        return np.isfinite(wide(mx.softmax(q @ k.swapaxes(2, 3), axis=-1) @ v))

    for keys, values in ((mx.array(bad), v), (k, mx.array(bad))):
        found = wide(kernels.attention(q, keys, values, scale=1))
        np.testing.assert_array_equal(np.isfinite(found), by_definition(keys, values))
    assert np.all(np.isnan(wide(kernels.attention(mx.array(bad)[:, :, 77:78], k, v, scale=1))[0, 0]))


def test_empty_arrays(instruction_set: str) -> None:
    for shape in ((0, 2, 1, 4, 5, 6, 7), (1, 2, 1, 0, 5, 6, 7), (1, 2, 1, 4, 5, 6, 0), (1, 0, 1, 4, 5, 6, 7)):
        batch, heads, kv_heads, queries, keys, width, value_width = shape
        q, k = mx.ones((batch, heads, queries, width)), mx.ones((batch, kv_heads, keys, width))
        found = kernels.attention(q, k, mx.ones((batch, kv_heads, keys, value_width)), scale=1)
        mx.eval(found)
        assert found.shape == (batch, heads, queries, value_width)
    for queries in (1, 20):
        none = kernels.attention(mx.ones((1, 2, queries, 6)), mx.ones((1, 1, 0, 6)), mx.ones((1, 1, 0, 7)), scale=1)
        np.testing.assert_array_equal(wide(none), np.zeros((1, 2, queries, 7)))
        mean = kernels.attention(mx.ones((1, 2, queries, 0)), mx.ones((1, 1, 3, 0)), mx.ones((1, 1, 3, 7)), scale=1)
        np.testing.assert_allclose(wide(mean), np.ones((1, 2, queries, 7)), rtol=1e-6)


def test_results_do_not_depend_on_threads(instruction_set: str, threads: None) -> None:
    rng = np.random.default_rng(9)
    for queries, keys in ((1, 900), (5, 300), (150, 150)):
        q, k = normal(rng, 1, 6, queries, 64), normal(rng, 1, 3, keys, 64, dtype=mx.float16)
        results = []
        for count in (1, 2, 5):
            kernels.set_threads(count)
            results.append(wide(kernels.attention(q, k, k, scale=0.125, causal=True)))
        np.testing.assert_array_equal(results[0], results[1])
        np.testing.assert_array_equal(results[0], results[2])


@pytest.mark.parametrize("queries", [1, 3, 20])
def test_joining_heads_is_no_copy(queries: int) -> None:
    rng = np.random.default_rng(10)
    q, k = normal(rng, 2, 4, queries, 8), normal(rng, 2, 2, 30, 8)
    out = kernels.attention(q, k, k, scale=1)
    joined = out.transpose(0, 2, 1, 3).reshape(2, queries, 32)
    expected = attention(wide(q), wide(k), wide(k), 1, Hidden(), mx.float32)
    together = expected.values.transpose(0, 2, 1, 3).reshape(2, queries, 32)
    assert_close(joined, replace(expected, values=together, bound=np.full_like(together, expected.bound.max())))
    assert address(joined) == address(out)
    assert_close(out + 0, expected)
    assert_close(mx.contiguous(out), expected)
    assert_close(mx.concatenate([out[:, :1], out[:, 1:]], axis=1), expected)


def both(function: Callable[..., mx.array], *arrays: mx.array) -> list[mx.array]:
    """Gradients in all arrays of a sum that tells items apart."""

    def total(*given: mx.array) -> mx.array:
        out = function(*given)
        return (out * mx.cos(mx.arange(out.size).reshape(out.shape))).sum()

    return list(mx.grad(total, argnums=tuple(range(len(arrays))))(*arrays))


@pytest.mark.parametrize("hidden", [Hidden(), Hidden(causal=True), Hidden(causal=True, window=3)], ids=str)
@pytest.mark.parametrize("masked", [False, True])
def test_gradients_are_those_of_mlx(hidden: Hidden, masked: bool) -> None:
    rng = np.random.default_rng(11)
    arrays = [normal(rng, 2, 4, 5, 8), normal(rng, 2, 2, 9, 8), normal(rng, 2, 2, 9, 8)]
    seen = mx.ones((5, 9), dtype=mx.bool_)
    places = mx.arange(4, 9)[:, None]
    if hidden.causal:
        seen = seen & (mx.arange(9) <= places)
    if hidden.window:
        seen = seen & (mx.arange(9) > places - hidden.window)
    added = mx.where(seen, mx.array(0.0), mx.array(-math.inf))
    if masked:
        arrays.append(normal(rng, 5, 9))

    def ours(q: mx.array, k: mx.array, v: mx.array, mask: mx.array | None = None) -> mx.array:
        return kernels.attention(q, k, v, scale=0.5, causal=hidden.causal, window=hidden.window, mask=mask)

    def theirs(q: mx.array, k: mx.array, v: mx.array, mask: mx.array | None = None) -> mx.array:
        both = added if mask is None else mask + added
        return mx.fast.scaled_dot_product_attention(q, k, v, scale=0.5, mask=both)

    for found, expected in zip(both(ours, *arrays), both(theirs, *arrays), strict=True):
        np.testing.assert_allclose(np.array(found), np.array(expected), atol=2e-5)


@pytest.mark.parametrize("kind", ["bools", "floats", "causal"])
def test_a_query_that_sees_nothing_has_no_gradient(kind: str) -> None:
    """MLX's own attention has NaN for it, and with it in all keys and values."""
    rng = np.random.default_rng(15)
    q, k, v = normal(rng, 1, 2, 3, 8), normal(rng, 1, 2, 2, 8), normal(rng, 1, 2, 2, 8)
    seen = mx.array([[False, False], [True, False], [True, True]])
    hidden = {"bools": seen, "floats": mx.where(seen, mx.array(0.0), mx.array(-math.inf)), "causal": None}[kind]

    def ours(q: mx.array, k: mx.array, v: mx.array) -> mx.array:
        return kernels.attention(q, k, v, scale=0.5, causal=kind == "causal", mask=hidden)

    def seeing(q: mx.array, k: mx.array, v: mx.array) -> mx.array:
        rest = kernels.attention(q[:, :, 1:], k, v, scale=0.5, causal=True)
        return mx.concatenate([mx.zeros_like(rest[:, :, :1]), rest], axis=2)

    for found, expected in zip(both(ours, q, k, v), both(seeing, q, k, v), strict=True):
        np.testing.assert_allclose(np.array(found), np.array(expected), atol=2e-5)
    mapped = mx.vmap(ours, in_axes=(0, None, None))(q[None], k, v)
    np.testing.assert_allclose(wide(mapped[0]), wide(ours(q, k, v)), atol=1e-5)


@pytest.mark.parametrize("queries", [2, 20])
def test_queries_without_items_see_all_keys_alike(queries: int, instruction_set: str) -> None:
    v = normal(np.random.default_rng(16), 1, 1, 5, 4)
    q, k = mx.zeros((1, 1, queries, 0)), mx.zeros((1, 1, 5, 0))
    # Memory that is taken again holds other numbers.
    mx.eval(kernels.attention(mx.ones((1, 1, queries, 8)), mx.ones((1, 1, 5, 8)), v, scale=9.0))
    found = wide(kernels.attention(q, k, v, scale=1.0))
    np.testing.assert_allclose(found, np.broadcast_to(wide(v).mean(axis=2, keepdims=True), found.shape), atol=1e-6)


def test_vmap_and_compile() -> None:
    rng = np.random.default_rng(12)
    q, k = normal(rng, 3, 1, 4, 2, 8), normal(rng, 1, 2, 9, 8)

    def one(q: mx.array, k: mx.array) -> mx.array:
        return kernels.attention(q, k, k, scale=0.5, causal=True) * 2

    expected = mx.stack([one(item, k) for item in q])
    np.testing.assert_allclose(wide(mx.vmap(one, in_axes=(0, None))(q, k)), wide(expected), atol=1e-5)
    for shapeless in (False, True):
        compiled = mx.compile(one, shapeless=shapeless)
        for size in (9, 9, 5):
            found, again = compiled(q[0], k[:, :, :size]), one(q[0], k[:, :, :size])
            np.testing.assert_array_equal(wide(found), wide(again))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"q": mx.ones((4, 2, 8))}, "q, k and v have four dims"),
        ({"q": mx.ones((1, 4, 2, 8), dtype=mx.int32)}, "q is of floats, not int32"),
        ({"k": mx.ones((1, 2, 9, 8), dtype=mx.int8)}, "k and v are of floats"),
        ({"k": mx.ones((2, 2, 9, 8))}, "are not of one batch"),
        ({"v": mx.ones((1, 2, 8, 8))}, "not of the same rows"),
        ({"v": mx.ones((1, 1, 9, 8))}, "not of the same rows"),
        ({"k": mx.ones((1, 2, 9, 7))}, "rows of different widths"),
        ({"q": mx.ones((1, 3, 2, 8))}, "3 heads of queries do not share 2 of keys evenly"),
        ({"window": 4}, "a window goes with causal"),
        ({"window": 0, "causal": True}, "a window is of 1 key or more"),
        ({"mask": mx.ones((2, 8))}, r"a mask of shape \[2, 8\] does not broadcast to \[1, 4, 2, 9\]"),
        ({"mask": mx.ones((1, 1, 1, 1, 1))}, "does not broadcast"),
        ({"mask": mx.ones((2, 9), dtype=mx.int32)}, "a mask is of bools or floats, not int32"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], message: str) -> None:
    fitting: dict[str, Any] = {"q": mx.ones((1, 4, 2, 8)), "k": mx.ones((1, 2, 9, 8)), "v": mx.ones((1, 2, 9, 8))}
    with pytest.raises(ValueError, match=message):
        kernels.attention(**(fitting | {"scale": 1.0} | change))
