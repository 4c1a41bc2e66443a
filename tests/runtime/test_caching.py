"""Caches of keys and values: what `update` gives, beside plain concatenation, for every kind and any steps."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorlogic.runtime.caching import STEP, KVCache
from tensorlogic.runtime.errors import BoundaryError

HEADS, WIDTH, VALUE_WIDTH = 2, 32, 64


def rows(seed: int, count: int, width: int = WIDTH, batch: int = 1) -> mx.array:
    return mx.random.normal((batch, HEADS, count, width), key=mx.random.key(seed))


def steps(counts: list[int]) -> list[tuple[mx.array, mx.array]]:
    return [(rows(i, count), rows(1000 + i, count, VALUE_WIDTH)) for i, count in enumerate(counts)]


def joined(parts: list[mx.array]) -> mx.array:
    return mx.concatenate(parts, axis=2)


@given(st.lists(st.integers(1, 300), min_size=1, max_size=5), st.booleans())
def test_all_keys_and_values_come_back(counts: list[int], preallocated: bool) -> None:
    cache = KVCache(capacity=sum(counts)) if preallocated else KVCache()
    given_steps = steps(counts)
    for i, (k, v) in enumerate(given_steps, 1):
        assert cache.length(0) == sum(counts[: i - 1])
        ks, vs, cache = cache.update(0, k, v)
        assert mx.array_equal(ks, joined([k for k, _ in given_steps[:i]]))
        assert mx.array_equal(vs, joined([v for _, v in given_steps[:i]]))
    assert cache.length(0) == sum(counts)
    assert cache.length(1) == 0


@given(st.lists(st.integers(1, 40), min_size=1, max_size=60), st.integers(1, 70))
def test_a_rotating_cache_keeps_the_window_before_each_new_token(counts: list[int], window: int) -> None:
    cache = KVCache(window=window)
    given_steps = steps(counts)
    for i, (k, v) in enumerate(given_steps, 1):
        ks, vs, cache = cache.update(0, k, v)
        kept = min(sum(counts[:i]), counts[i - 1] + window - 1)
        assert mx.array_equal(ks, joined([k for k, _ in given_steps[:i]])[:, :, -kept:])
        assert mx.array_equal(vs, joined([v for _, v in given_steps[:i]])[:, :, -kept:])
    assert cache.length() == sum(counts)


def test_the_memory_of_a_rotating_cache_is_bounded() -> None:
    cache, token = KVCache(window=100), rows(0, 1)
    for _ in range(1000):
        _, _, cache = cache.update(0, token, token)
    assert cache.nbytes <= 2 * HEADS * WIDTH * 4 * (100 + STEP)


def test_a_window_of_attention_gets_no_more_than_it_needs() -> None:
    k, v = rows(0, 50), rows(1, 50)
    _, _, cache = KVCache().update(0, k, v)
    token = rows(2, 1)
    ks, _, cache = cache.update(0, token, token, window=8)
    assert mx.array_equal(ks, joined([k, token])[:, :, -8:])
    ks, _, _ = cache.update(0, token, token)
    assert mx.array_equal(ks, joined([k, token, token]))


@pytest.mark.parametrize("bits", [4, 8])
def test_a_quantized_cache_is_near(bits: int) -> None:
    cache, (first, second) = KVCache(bits=bits), steps([10, 300])
    _, _, cache = cache.update(0, *first)
    ks, vs, cache = cache.update(0, *second)
    for found, parts in ((ks, (first[0], second[0])), (vs, (first[1], second[1]))):
        exact = joined(list(parts))
        # Of values between -5 and 5, in so many steps.
        assert np.abs(np.asarray(found - exact)).max() <= 10 / (2**bits - 1)
    plain = KVCache()
    for part in (first, second):
        _, _, plain = plain.update(0, *part)
    assert cache.nbytes < plain.nbytes * (bits + 2) / 32


def test_half_precision_is_kept_as_it_can_be_seen() -> None:
    k = rows(0, 3)
    ks, _, cache = KVCache().update(0, k, k, dtype=mx.float16)
    assert ks.dtype == mx.float32
    assert mx.array_equal(ks, k.astype(mx.float16).astype(mx.float32))
    assert cache.nbytes == 2 * HEADS * STEP * WIDTH * 2


def test_a_cache_is_used_once() -> None:
    k = rows(0, 3)
    old = KVCache()
    _, _, new = old.update(0, k, k)
    for use in (lambda: old.update(0, k, k), old.length, old.copy, old.evaluate, lambda: old.rewind(0)):
        with pytest.raises(BoundaryError, match="this cache was used already"):
            use()
    assert new.length() == 3


def test_a_copy_goes_its_own_way() -> None:
    k, other = rows(0, 3), rows(1, 2)
    _, _, cache = KVCache().update(0, k, k)
    twin = cache.copy()
    ks, _, cache = cache.update(0, other, other)
    ts, _, twin = twin.update(0, k, k)
    assert mx.array_equal(ks, joined([k, other]))
    assert mx.array_equal(ts, joined([k, k]))


def test_what_is_forgotten_is_written_again() -> None:
    k, other = rows(0, 5), rows(1, 2)
    _, _, cache = KVCache().update(0, k, k)
    cache.rewind(3)
    assert cache.length() == 3
    ks, _, cache = cache.update(0, other, other)
    assert mx.array_equal(ks, joined([k[:, :, :3], other]))
    with pytest.raises(BoundaryError, match="cannot go back to -1"):
        cache.rewind(-1)
    rotating = KVCache(window=2)
    for _ in range(400):
        _, _, rotating = rotating.update(0, other, other)
    with pytest.raises(BoundaryError, match="it keeps the last alone"):
        rotating.rewind(5)


def test_layers_are_apart() -> None:
    k, other = rows(0, 3), rows(1, 3)
    _, _, cache = KVCache().update(0, k, k)
    ks, _, cache = cache.update(1, other, other)
    assert mx.array_equal(ks, other)
    assert (cache.length(0), cache.length(1)) == (3, 3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: KVCache(capacity=0), "the capacity of a cache is at least 1, not 0"),
        (lambda: KVCache(window=-1), "the window of a cache is at least 1, not -1"),
        (lambda: KVCache(bits=3), "a cache is quantized to 4 or 8 bits, not 3"),
        (lambda: KVCache(capacity=4, window=2), "a cache has a capacity or a window"),
        (lambda: KVCache(capacity=4).update(0, rows(0, 5), rows(0, 5)), "5 more tokens do not fit a cache of 4"),
        (lambda: KVCache().update(0, rows(0, 5), rows(0, 4)), "are no pairs"),
        (lambda: KVCache().update(0, rows(0, 5)[0], rows(0, 5)[0]), "are no pairs"),
        (lambda: KVCache(bits=4).update(0, rows(0, 5, 20), rows(0, 5)), "20 items are not whole groups of 32"),
        (
            lambda: KVCache().update(0, rows(0, 5), rows(0, 5))[2].update(0, rows(0, 5, batch=2), rows(0, 5, batch=2)),
            "do not follow those before",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(make: Any, message: str) -> None:
    with pytest.raises(BoundaryError, match=message):
        make()
