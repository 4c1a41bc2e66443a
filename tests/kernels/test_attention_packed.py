"""Attention over packed keys and values: that of the elements that the packing means, within the same bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from tensorlogic_cpu import kernels

from tests.kernels.attending import ROUNDING, Hidden, assert_close, attention, normal, wide

Parts = tuple[mx.array, mx.array, mx.array]


def quantized(x: mx.array, bits: int, group: int, scales: mx.Dtype = mx.float32) -> Parts:
    weight, scale, bias = mx.quantize(x, group_size=group, bits=bits)
    return weight, scale.astype(scales), bias.astype(scales)


def elements(parts: Parts, bits: int, group: int) -> Any:
    weight, scale, bias = parts
    return wide(mx.dequantize(weight, scale.astype(mx.float32), bias.astype(mx.float32), group, bits))


def check(q: mx.array, keys: Parts, values: Parts, bits: int, group: int, hidden: Hidden) -> None:
    found = kernels.attention_packed(
        q,
        keys,
        values,
        bits=bits,
        group_size=group,
        scale=0.125,
        causal=hidden.causal,
        window=hidden.window,
        mask=hidden.mask,
    )
    k, v = (elements(parts, bits, group) for parts in (keys, values))
    assert_close(found, attention(wide(q), k, v, 0.125, hidden, q.dtype))


@pytest.mark.parametrize("group", [32, 64, 128])
@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 8])
def test_attention_is_that_of_the_elements(bits: int, group: int, instruction_set: str) -> None:
    for seed, (queries, scales) in enumerate(((1, mx.float32), (3, mx.float16), (20, mx.bfloat16))):
        rng = np.random.default_rng(seed)
        q = normal(rng, 1, 4, queries, 128, dtype=tuple(ROUNDING)[seed])
        keys = quantized(normal(rng, 1, 2, 75, 128), bits, group, scales)
        values = quantized(normal(rng, 1, 2, 75, 256), bits, group, scales)
        check(q, keys, values, bits, group, Hidden())
        check(q, keys, values, bits, group, Hidden(True, 20, mx.array(rng.random((queries, 75)) < 0.9)))


def test_caches_with_room_are_read_in_place(instruction_set: str) -> None:
    rng = np.random.default_rng(5)
    cache = quantized(normal(rng, 2, 3, 90, 64), 8, 64)
    across = quantized(normal(rng, 2, 40, 3, 64), 8, 64)

    def each(parts: Parts, take: Callable[[mx.array], mx.array]) -> Parts:
        return take(parts[0]), take(parts[1]), take(parts[2])

    turned = each(across, lambda p: p.transpose(0, 2, 1, 3))
    k, v = each(cache, lambda p: p[:, :, :40]), each(cache, lambda p: p[:, :, 50:])
    for queries in (1, 20):
        q = normal(rng, 2, 6, queries, 64)
        check(q, k, v, 8, 64, Hidden(causal=True))
        check(q, turned, v, 8, 64, Hidden(causal=True))


def test_empty_and_threads(instruction_set: str, threads: None) -> None:
    rng = np.random.default_rng(6)
    q, cache = normal(rng, 1, 6, 1, 64), quantized(normal(rng, 1, 3, 500, 64), 8, 64)
    none: Parts = (cache[0][:, :, :0], cache[1][:, :, :0], cache[2][:, :, :0])
    found = kernels.attention_packed(q, none, none, group_size=64, scale=0.1)
    np.testing.assert_array_equal(wide(found), np.zeros((1, 6, 1, 64)))
    results = []
    for count in (1, 2, 5):
        kernels.set_threads(count)
        results.append(wide(kernels.attention_packed(q, cache, cache, group_size=64, scale=0.1)))
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


def test_gradients_and_vmap_are_those_of_mlx() -> None:
    rng = np.random.default_rng(7)
    q, cache = normal(rng, 3, 1, 4, 2, 64), quantized(normal(rng, 1, 2, 9, 64), 8, 64)
    k = mx.dequantize(*cache, group_size=64, bits=8)

    def ours(q: mx.array) -> mx.array:
        return kernels.attention_packed(q, cache, cache, group_size=64, scale=0.1, causal=True)

    def theirs(q: mx.array) -> mx.array:
        return mx.fast.scaled_dot_product_attention(q, k, k, scale=0.1, mask="causal")

    def gradient(f: Any) -> mx.array:
        total: mx.array = mx.grad(lambda x: mx.sin(f(x)).sum())(q[0])
        return total

    np.testing.assert_allclose(wide(gradient(ours)), wide(gradient(theirs)), atol=1e-5)
    np.testing.assert_allclose(wide(mx.vmap(ours)(q)), wide(mx.vmap(theirs)(q)), atol=1e-5)
    np.testing.assert_array_equal(wide(mx.compile(ours)(q[0])), wide(ours(q[0])))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bits": 7}, "no kernel for 7 bits"),
        ({"group_size": 16}, "no kernel for groups of 16"),
        ({"group_size": 32}, r"scales and biases of keys are \[1, 2, 9, 2\], not \[1, 2, 9, 1\]"),
        ({"bits": 4}, "of keys are"),
        ({"bits": 6, "group_size": 128}, "rows of 16 words are not whole groups"),
        ({"q": mx.ones((1, 4, 2, 32))}, "rows of different widths"),
        ({"window": 3}, "a window goes with causal"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], message: str) -> None:
    cache = quantized(mx.ones((1, 2, 9, 64)), 8, 64)
    fitting: dict[str, Any] = {
        "q": mx.ones((1, 4, 2, 64)),
        "keys": cache,
        "values": cache,
        "group_size": 64,
        "scale": 1.0,
    }
    with pytest.raises(ValueError, match=message):
        kernels.attention_packed(**(fitting | change))
    with pytest.raises(ValueError, match="keys are uint32"):
        kernels.attention_packed(**(fitting | {"keys": (mx.ones((1, 2, 9, 16)), *cache[1:])}))
    with pytest.raises(ValueError, match="of one float type"):
        kernels.attention_packed(**(fitting | {"values": (cache[0], cache[1], cache[2].astype(mx.float16))}))


def test_rows_with_gaps_are_refused() -> None:
    """When it is evaluated, since strides are not known before."""
    weight, scales, biases = quantized(mx.ones((1, 2, 9, 64)), 8, 32)
    gaps = mx.repeat(scales, 2, axis=-1)[..., ::2]
    parts = weight, gaps, biases
    with pytest.raises(ValueError, match="rows of packed keys and values have no gaps"):
        mx.eval(kernels.attention_packed(mx.ones((1, 2, 1, 64)), parts, parts, group_size=32, scale=1))
