"""The cached attention node: its numbers beside float64, and what happens to the caches that it changes.

Bounds: the new rows of a cache are right to 4e-6 of a head's largest item (times 1 + the norm's largest weight), and a
rounding to the cache's type; results are those of attention over what the caches hold, within `attending.Expected`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from tensorlogic_cpu import kernels

from tests.kernels.attending import ROUNDING, Floats, Hidden, address, assert_close, attention, normal, wide

Caches = tuple[mx.array, mx.array]
TYPES = tuple(ROUNDING)


@dataclass(frozen=True)
class Block:
    """The keywords of cached_attention that a model fixes."""

    heads: int = 6
    kv_heads: int = 3
    width: int = 16
    scale: float = 0.3
    window: int | None = None
    rope_dims: int = 16
    rope_base: float | None = 1e4
    rope_scale: float = 1.0
    traditional: bool = False
    freqs: mx.array | None = None
    q_norm: mx.array | None = None
    k_norm: mx.array | None = None
    eps: float = 1e-6

    def __call__(self, qkv: mx.array, caches: Caches, offset: int) -> tuple[mx.array, mx.array, mx.array]:
        keywords = {name: value for name, value in vars(self).items() if name != "width"}
        return kernels.cached_attention(qkv, *caches, offset=offset, **keywords)

    def joined(self, rng: np.random.Generator, batch: int, length: int, dtype: mx.Dtype = mx.float32) -> mx.array:
        return normal(rng, batch, length, (self.heads + 2 * self.kv_heads) * self.width, dtype=dtype)

    def caches(self, batch: int, capacity: int, dtype: mx.Dtype = mx.float32) -> Caches:
        shape = (batch, self.kv_heads, capacity, self.width)
        made = (mx.full(shape, 7.0, dtype=dtype), mx.full(shape, -7.0, dtype=dtype))
        mx.eval(made)
        return made


def head_norm(x: Floats, weight: mx.array | None, eps: float) -> Floats:
    if weight is None:
        return x
    size: Floats = np.sqrt((x**2).mean(axis=-1, keepdims=True) + eps)
    return x / size * wide(weight)


def rotated(x: Floats, block: Block, offset: int) -> Floats:
    """x [B, heads, L, D] turned by definition."""
    half = block.rope_dims // 2
    if half == 0:
        return x
    if block.freqs is None:
        assert block.rope_base is not None
        turns = block.rope_base ** (-np.arange(half) / half)
    else:
        turns = 1 / wide(block.freqs)
    angles = (offset + np.arange(x.shape[2]))[:, None] * block.rope_scale * turns
    first = np.arange(half) * 2 if block.traditional else np.arange(half)
    second = first + (1 if block.traditional else half)
    a, b, result = x[..., first], x[..., second], x.copy()
    result[..., first] = a * np.cos(angles) - b * np.sin(angles)
    result[..., second] = a * np.sin(angles) + b * np.cos(angles)
    return result


def check(block: Block, qkv: mx.array, caches: Caches, offset: int) -> Caches:
    """Takes a step, compares everything, and gives the new caches."""
    batch, length, _ = qkv.shape
    before = [wide(cache) for cache in caches]
    out, *after = block(qkv, caches, offset)
    assert [out.dtype, *(a.dtype for a in after)] == [qkv.dtype, *(c.dtype for c in caches)]
    split = wide(qkv).reshape(batch, length, -1, block.width).transpose(0, 2, 1, 3)
    q, k, v = np.split(split, [block.heads, block.heads + block.kv_heads], axis=1)
    q = rotated(head_norm(q, block.q_norm, block.eps), block, offset)
    k = rotated(head_norm(k, block.k_norm, block.eps), block, offset)
    for found, old, rows in zip(after, before, (k, v), strict=True):
        now, end = wide(found), offset + length
        np.testing.assert_array_equal(now[:, :, :offset], old[:, :, :offset])
        np.testing.assert_array_equal(now[:, :, end:], old[:, :, end:])
        bound = 4e-6 * np.abs(rows).max(initial=0) + ROUNDING[found.dtype] * np.abs(rows)
        assert np.all(np.abs(now[:, :, offset:end] - rows) <= bound)
    keys, values = (wide(a)[:, :, : offset + length] for a in after)
    expected = attention(q, keys, values, block.scale, Hidden(True, block.window), qkv.dtype)
    # Queries are rounded on the way, too.
    joined = expected.values.transpose(0, 2, 1, 3).reshape(out.shape)
    bound = 3 * expected.bound.transpose(0, 2, 1, 3).reshape(out.shape)
    assert_close(out, replace(expected, values=joined, bound=bound))
    return after[0], after[1]


BLOCKS = [
    Block(),
    Block(heads=9, kv_heads=3, width=64, rope_dims=64, scale=0.125),
    Block(heads=4, kv_heads=1, width=32, rope_dims=32, window=5, rope_base=1e6),
    Block(heads=2, kv_heads=2, width=12, rope_dims=8, traditional=True, rope_scale=0.25),
    Block(heads=3, kv_heads=1, width=10, rope_dims=0, rope_base=None),
    Block(rope_base=None, freqs=mx.array(np.geomspace(1, 500, 8).astype(np.float32))),
    Block(
        q_norm=mx.array(np.linspace(0.5, 2, 16).astype(np.float32)),
        k_norm=mx.array(np.linspace(-1, 3, 16).astype(np.float32)).astype(mx.bfloat16),
        eps=1e-2,
    ),
]


@pytest.mark.parametrize("block", BLOCKS, ids=[str(i) for i in range(len(BLOCKS))])
def test_steps_are_those_of_the_definition(block: Block, instruction_set: str) -> None:
    for seed, dtype in enumerate(TYPES):
        rng = np.random.default_rng(seed)
        caches, offset = block.caches(2, 48, dtype), 0
        for length in (13, 1, 1, 5, 1, 20, 7):
            qkv = block.joined(rng, 2, length, TYPES[(seed + length) % 3])
            caches = check(block, qkv, caches, offset)
            offset += length


def test_angles_are_right_far_away() -> None:
    block, rng = Block(heads=1, kv_heads=1), np.random.default_rng(0)
    for offset in (4095, 131_000):
        caches = block.caches(1, offset + 3)
        check(block, block.joined(rng, 1, 2), caches, offset)


def test_arrays_are_read_where_they_are(instruction_set: str) -> None:
    block, rng = BLOCKS[3], np.random.default_rng(1)
    wider = normal(rng, 2, 6, 3 * 72)
    for qkv in (wider[:, ::2, 72:144], wider[:, :3, ::3], mx.broadcast_to(wider[:, :1, :72], (2, 4, 72))):
        keys, values = normal(rng, 2, 9, 2, 24).transpose(0, 2, 1, 3), normal(rng, 2, 2, 12, 30)[:, :, 1:10]
        caches = check(block, qkv, (keys[..., ::2], values[..., 4:16]), 3)
        mx.eval(caches)
        check(block, qkv, caches, 4)


def test_free_caches_are_changed_in_place() -> None:
    block, rng = Block(), np.random.default_rng(2)
    keys, values = block.caches(1, 20)
    places = address(keys), address(values)
    for offset in range(6):
        out, keys, values = block(block.joined(rng, 1, 1), (keys, values), offset)
        mx.eval([out] if offset % 2 else [values, out, keys])
        assert (address(keys), address(values)) == places


Hold = Callable[[mx.array], Any]
HOLDS: dict[str, Hold] = {
    "array": lambda a: a,
    "view": lambda a: a[:, :, 2:9],
    "reshaped": lambda a: a.reshape(-1),
    "NumPy": lambda a: np.array(a, copy=False),
    "graph": lambda a: a * 1,
}


@pytest.mark.parametrize("evaluated", [True, False])
@pytest.mark.parametrize("hold", HOLDS.values(), ids=HOLDS.keys())
def test_a_kept_cache_never_changes(hold: Hold, evaluated: bool) -> None:
    block, rng = Block(), np.random.default_rng(3)
    keys, values = block.caches(1, 20)
    kept = hold(keys), hold(values)
    if evaluated:
        mx.eval([a for a in kept if isinstance(a, mx.array)])
    before = np.array(keys), np.array(values)
    expected = tuple(np.array(hold(mx.array(a))) for a in before)
    for offset in range(4):
        out, keys, values = block(block.joined(rng, 1, 1), (keys, values), offset)
        mx.eval(out)
        assert not np.array_equal(np.array(keys), before[0])
        for a, b in zip(kept, expected, strict=True):
            np.testing.assert_array_equal(np.array(a), b)


def test_two_futures_of_one_cache() -> None:
    block, rng = Block(), np.random.default_rng(4)
    caches = block.caches(1, 20)
    one, other = block.joined(rng, 1, 2), block.joined(rng, 1, 2)
    alone = [[np.array(a) for a in block(x, block.caches(1, 20), 3)] for x in (one, other)]
    futures = [block(x, caches, 3) for x in (one, other)]
    del caches
    mx.eval(futures[0][0], futures[1][0])
    for found, expected in zip(futures, alone, strict=True):
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(np.array(a), b)


def test_one_array_as_both_caches() -> None:
    block, rng = Block(), np.random.default_rng(5)
    keys, _ = block.caches(1, 20)
    check(block, block.joined(rng, 1, 2), (keys, keys), 3)


def ahead(*arrays: mx.array) -> None:
    mx.async_eval(*arrays)  # type: ignore[no-untyped-call]


def run(block: Block, inputs: list[mx.array], after_step: Callable[[mx.array, Caches], None]) -> list[mx.array]:
    """The results of steps that feed their results to the next ones, and the caches at the end."""
    caches, outs, previous = block.caches(1, 64), [], None
    for offset, qkv in enumerate(inputs):
        given = qkv if previous is None else qkv + previous.sum() * 0.01
        out, *new = block(given, caches, offset)
        caches, previous = (new[0], new[1]), out
        outs.append(out)
        after_step(out, caches)
    return [*outs, *caches]


def test_steps_may_be_evaluated_late_or_ahead() -> None:
    block, rng = Block(heads=9, kv_heads=3, width=64, rope_dims=64), np.random.default_rng(6)
    inputs = [block.joined(rng, 1, 1) for _ in range(60)]
    expected = run(block, inputs, lambda out, caches: mx.eval(out, *caches))
    ways: list[Callable[[mx.array, Caches], None]] = [
        lambda out, caches: None,
        lambda out, caches: ahead(out),
        lambda out, caches: ahead(*caches),
        lambda out, caches: ahead(out, *caches),
        lambda out, caches: mx.eval(caches[1]),
    ]
    for way in ways:
        for found, wanted in zip(run(block, inputs, way), expected, strict=True):
            np.testing.assert_array_equal(np.array(found), np.array(wanted))


def test_kept_caches_do_not_change_while_steps_run_ahead() -> None:
    block, rng = Block(heads=9, kv_heads=3, width=64, rope_dims=64), np.random.default_rng(7)
    inputs = [block.joined(rng, 1, 1) for _ in range(60)]
    kept: list[tuple[int, mx.array, mx.array]] = []

    def keep(out: mx.array, caches: Caches) -> None:
        ahead(out)
        step = len(kept)
        held = caches if step % 2 else (caches[0][:, :, :40], caches[1][:, :, :40])
        kept.append((step, *held) if step % 3 == 0 else (step, out, out))

    keys, values = run(block, inputs, keep)[-2:]
    for step, k, v in kept:
        if step % 3:
            continue
        for held, last, filling in ((k, keys, 7.0), (v, values, -7.0)):
            now, filled = np.array(held), step + 1
            np.testing.assert_array_equal(now[:, :, :filled], np.array(last)[:, :, : min(filled, now.shape[2])])
            assert np.all(now[:, :, filled:] == filling)


def test_compile() -> None:
    block, rng = Block(), np.random.default_rng(8)
    inputs = [block.joined(rng, 1, 1) for _ in range(3)]

    def step(qkv: mx.array, keys: mx.array, values: mx.array) -> tuple[mx.array, mx.array, mx.array]:
        return block(mx.exp(qkv) * 2, (keys, values), 5)

    compiled = mx.compile(step)
    for qkv in inputs:
        caches = block.caches(1, 20)
        for a, b in zip(compiled(qkv, *caches), step(qkv, *caches), strict=True):
            np.testing.assert_allclose(wide(a), wide(b), atol=1e-5)
        for cache, filling in zip(caches, (7.0, -7.0), strict=True):
            assert np.all(wide(cache) == filling)


def test_results_do_not_depend_on_threads(instruction_set: str, threads: None) -> None:
    block, rng = Block(heads=9, kv_heads=3, width=64, rope_dims=64), np.random.default_rng(9)
    inputs = [block.joined(rng, 2, length, mx.float16) for length in (200, 1, 3)]
    results = []
    for count in (1, 2, 5):
        kernels.set_threads(count)
        caches, offset = block.caches(2, 204, mx.float16), 0
        for qkv in inputs:
            out, *new = block(qkv, caches, offset)
            caches, offset = (new[0], new[1]), offset + qkv.shape[1]
            results.append(wide(out))
        results.append(wide(caches[0]))
    for one, two, five in zip(results[:4], results[4:8], results[8:], strict=True):
        np.testing.assert_array_equal(one, two)
        np.testing.assert_array_equal(one, five)


def test_empty_steps() -> None:
    block = Block()
    for batch, length in ((1, 0), (0, 3)):
        caches = block.caches(batch, 5)
        out, keys, values = block(mx.zeros((batch, length, 192)), caches, 2)
        mx.eval(out)
        assert out.shape == (batch, length, 96)
        np.testing.assert_array_equal(np.array(keys), np.array(caches[0]))
        np.testing.assert_array_equal(np.array(values), np.array(caches[1]))


def test_gradients_and_vmap_are_refused() -> None:
    block, rng = Block(), np.random.default_rng(10)
    qkv, caches = block.joined(rng, 1, 1), block.caches(1, 5)
    with pytest.raises(ValueError, match=r"cached_attention.*no gradient and no vmap"):
        mx.eval(mx.grad(lambda x: block(x, caches, 0)[0].sum())(qkv))
    with pytest.raises(ValueError, match=r"cached_attention.*no gradient and no vmap"):
        mx.eval(mx.vmap(lambda x: block(x, caches, 0)[0])(qkv[None]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"offset": 4}, "2 rows from 4 on do not fit a cache of 5"),
        ({"offset": -1}, "2 rows from -1 on do not fit"),
        ({"offset": 2**31 - 1}, "do not fit a cache"),
        ({"qkv": mx.ones((1, 2, 191))}, "does not fit caches of shape"),
        ({"qkv": mx.ones((2, 2, 192))}, "does not fit caches of shape"),
        ({"qkv": mx.ones((2, 192))}, "qkv is"),
        ({"qkv": mx.ones((1, 2, 192), dtype=mx.int32)}, "are of floats"),
        ({"keys": mx.ones((1, 3, 4, 16))}, "the caches are"),
        ({"heads": 7}, "7 heads do not share 3 of keys evenly"),
        ({"heads": 0}, "0 heads"),
        ({"heads": 9}, "does not fit caches"),
        ({"kv_heads": 2}, "does not fit caches"),
        ({"rope_base": 0.0}, "rope_base is above 0"),
        ({"rope_base": -1.0}, "rope_base is above 0"),
        ({"rope_base": math.nan}, "rope_base is above 0"),
        ({"window": 0}, "a window is of 1 key or more"),
        ({"rope_dims": 18}, "rope_dims is an even number of at most 16, not 18"),
        ({"rope_dims": 5}, "rope_dims is an even number"),
        ({"rope_base": None}, "rope_base or freqs"),
        ({"freqs": mx.ones((8,))}, "rope_base or freqs"),
        ({"rope_base": None, "freqs": mx.ones((7,))}, r"freqs is of floats \[8\]"),
        ({"q_norm": mx.ones((15,))}, r"q_norm is of floats \[16\], not float32 \[15\]"),
        ({"k_norm": mx.ones((16,), dtype=mx.int32)}, r"k_norm is of floats \[16\], not int32"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], message: str) -> None:
    keys, values = Block().caches(1, 5)
    fitting: dict[str, Any] = {"qkv": mx.ones((1, 2, 192)), "keys": keys, "values": values, "offset": 0}
    options = {name: value for name, value in vars(Block()).items() if name != "width"}
    with pytest.raises(ValueError, match=message):
        kernels.cached_attention(**(fitting | options | change))
