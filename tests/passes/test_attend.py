"""Attention over a cache in one piece: what is found, what only looks like it, and that rounding alone changes."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import pytest

import tensorlogic
from tensorlogic.runtime import KVCache, kernels
from tensorlogic.runtime.packed import Tensor, quantize
from tests.passes.helpers import stages

HEADS, KV_HEADS, WIDTH, FEATURES = 4, 2, 32, 64

PROGRAM = """struct Layer<T: float>[D, H, G, K] {
    norm: T[D]; q: T[H*K, D]; k: T[G*K, D]; v: T[G*K, D]; o: T[D, H*K]; qn: T[K]; kn: T[K]
}
fn step<T: float>(l: Layer<T>[D, H, G, K], x: T[B, L, D], cache: KVCache) -> (T[B, L, D], KVCache)
    where H % G == 0 and K % 2 == 0
{
    let start = cache.length()
    let h = rms_norm(x, l.norm)
    let q = (h @ l.q.T).reshape([B, L, H, K]).transpose([0, 2, 1, 3])
    let k = (h @ l.k.T).reshape([B, L, G, K]).transpose([0, 2, 1, 3])
    let v = (h @ l.v.T).reshape([B, L, G, K]).transpose([0, 2, 1, 3])
    // NORMS
    let (ks, vs, next) = cache.update(0, rope(k, start), v)
    // BETWEEN
    let mixed = attention(rope(q, start), ks, vs, causal: true)
    return (x + mixed.transpose([0, 2, 1, 3]).reshape([B, L, H*K]) @ l.o.T, next)
}
"""
NORMS = ("// NORMS", "q = rms_norm(q, l.qn, 1e-6)\n    k = rms_norm(k, l.kn, 1e-6)")

FOUND = {
    "as it is": [],
    "with norms of queries and keys": [NORMS],
    "without rotary positions": [("rope(k, start)", "k"), ("rope(q, start)", "q")],
    "with a window": [("causal: true", "causal: true, window: 3"), ("rope(k, start), v", "rope(k, start), v, 3")],
    "with a scale and a base": [
        ("causal: true", "causal: true, scale: 0.3"),
        ("rope(k, start)", "rope(k, start, 500.0, true)"),
        ("rope(q, start)", "rope(q, start, 500.0, true)"),
    ],
}

NOT_FOUND = {
    "not causal": [("causal: true", "causal: false")],
    "a mask": [("causal: true", "causal: true, mask: ones([1]) > ones([1])")],
    "another position of keys": [("rope(k, start)", "rope(k, start + 1)")],
    "keys that are not turned": [("rope(k, start)", "k")],
    "values that are turned": [("rope(k, start), v", "rope(k, start), rope(v, start)")],
    "a norm of queries alone": [("// NORMS", "q = rms_norm(q, l.qn, 1e-6)")],
    "another epsilon": [(NORMS[0], NORMS[1].replace("l.kn, 1e-6", "l.kn, 1e-5"))],
    "queries that are used again": [("return (x +", "return (x + sum(q) +")],
    "keys that are used again": [("return (x +", "return (x + sum(ks) +")],
    "a cache that is used between": [
        ("// BETWEEN", "let (us, ws, last) = next.update(1, v, v)"),
        (", next)\n}", ", last)\n}"),
    ],
    "keys and values of another order": [("ks, vs, causal", "vs, ks, causal")],
}


def changed(changes: list[tuple[str, str]]) -> str:
    text = PROGRAM
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    return text


def is_found(text: str) -> bool:
    (after,) = stages(text, "attend")
    return any("cached_attention" in line for line in after)


@pytest.mark.parametrize("name", FOUND)
def test_found(name: str) -> None:
    assert is_found(changed(FOUND[name]))


@pytest.mark.parametrize("name", NOT_FOUND)
def test_not_found(name: str) -> None:
    assert not is_found(changed(NOT_FOUND[name]))


def weights() -> dict[str, Tensor]:
    def random(*shape: int) -> mx.array:
        return mx.random.normal(shape, key=mx.random.key(sum(shape))) * 0.1

    shapes = {"q": HEADS * WIDTH, "k": KV_HEADS * WIDTH, "v": KV_HEADS * WIDTH}
    matrices: dict[str, Tensor] = {
        name: quantize(random(rows, FEATURES), 8, 32, mx.float32) for name, rows in shapes.items()
    }
    matrices["o"] = quantize(random(FEATURES, HEADS * WIDTH), 8, 32, mx.float32)
    return {**matrices, "norm": random(FEATURES) + 1, "qn": random(WIDTH) + 1, "kn": random(WIDTH + 1)[1:] + 1}


def steps(module: Any, cache: KVCache) -> list[np.ndarray[Any, Any]]:
    net = module.Layer(**weights())
    found = []
    for i, length in enumerate((5, 1, 300, 1, 2)):
        x = mx.random.normal((2, length, FEATURES), key=mx.random.key(i))
        mixed, cache = module.step(net, x, cache)
        found.append(np.asarray(mixed))
    assert cache.length() == 309
    return found


@pytest.mark.parametrize("name", FOUND)
@pytest.mark.parametrize("used", [True, False], ids=["our kernels", "MLX's"])
def test_it_computes_what_the_program_says(name: str, used: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    text = changed(FOUND[name])
    whole, strict = tensorlogic.compile(text), tensorlogic.compile(text, strict=True)
    if not used:
        monkeypatch.setattr(kernels, "active", lambda: None)
    expected = steps(strict, KVCache())
    for cache in (KVCache(), KVCache(capacity=309), KVCache(window=1000)):
        for found, wanted in zip(steps(whole, cache), expected, strict=True):
            np.testing.assert_allclose(found, wanted, atol=2e-4)
