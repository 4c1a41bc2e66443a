"""Chains of products: one node with our kernels, several operations without them, and the same numbers."""

from __future__ import annotations

import gc
import io
import itertools
import weakref
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from tensorlogic.runtime import kernels, sizes
from tensorlogic.runtime.chains import Stage, _nodes, _plans, chain, chain_apart
from tensorlogic.runtime.errors import BoundaryError
from tensorlogic.runtime.packed import Packed, Tensor, dense, quantize

D, F = 64, 96


def random(seed: int, *shape: int) -> mx.array:
    return mx.random.normal(shape, key=mx.random.key(seed))


def packed(seed: int, *shape: int, bits: int = 4) -> Packed:
    made = quantize(random(seed, *shape) * 0.1, bits, 32, mx.float32)
    assert isinstance(made, Packed)
    mx.eval(made.weight, made.scales, made.biases)
    return made


def nodes(array: mx.array) -> list[str]:
    """The operations of the array's graph."""
    text = io.StringIO()
    mx.export_to_dot(text, array)
    return [
        line.split('label ="')[1].split('"')[0] for line in text.getvalue().splitlines() if "shape=rectangle" in line
    ]


def rms_norm(x: mx.array, weight: mx.array | None, eps: float) -> mx.array:
    return mx.fast.rms_norm(x, weight, eps)


def close(found: mx.array, expected: mx.array) -> bool:
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    limit = 2e-5 * np.abs(np.asarray(expected)).max(initial=1)
    return bool(np.abs(np.asarray(found) - np.asarray(expected)).max(initial=0) <= limit)


def block(x: mx.array, y: mx.array, norm: mx.array, o: Tensor, gate: Tensor, up: Tensor, down: Tensor) -> mx.array:
    """The end of an attention block, and the feed-forward block."""
    return chain(
        y,
        Stage(o, add=x),
        Stage(gate, up, norm=norm, eps=1e-6, gate="silu"),
        Stage(down, norm_after=norm, eps_after=1e-5, add_stage=1),
    )


def block_by_hand(
    x: mx.array, y: mx.array, norm: mx.array, o: Tensor, gate: Tensor, up: Tensor, down: Tensor
) -> mx.array:
    o, gate, up, down = (dense(w, mx.float32) for w in (o, gate, up, down))
    z = x + y @ o.T
    h = rms_norm(z, norm, 1e-6)
    g = h @ gate.T
    return z + rms_norm((g * mx.sigmoid(g) * (h @ up.T)) @ down.T, norm, 1e-5)


WEIGHTS = ((D, D), (F, D), (F, D), (D, F))


@pytest.mark.parametrize("which", list(itertools.product((True, False), repeat=4)), ids=str)
@pytest.mark.parametrize("whose", ["our kernels", "MLX's"])
def test_any_of_the_weights_may_be_dense(which: tuple[bool, ...], whose: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if whose == "MLX's":
        monkeypatch.setattr(kernels, "active", lambda: None)
    weights = [
        packed(i, *shape) if is_packed else random(i, *shape) * 0.1
        for i, (shape, is_packed) in enumerate(zip(WEIGHTS, which, strict=True))
    ]
    x, y, norm = random(7, 3, D), random(8, 3, D), random(9, D)
    for _ in range(2):
        assert close(block(x, y, norm, *weights), block_by_hand(x, y, norm, *weights))


def test_dense_weights_of_any_type_make_one_node() -> None:
    kinds = (mx.float32, mx.float16, mx.bfloat16, mx.bfloat16)
    weights = [(random(i, *shape) * 0.1).astype(t) for i, (shape, t) in enumerate(zip(WEIGHTS, kinds, strict=True))]
    x, y, norm = random(7, 3, D), random(8, 3, D), random(9, D)
    mx.eval(x, y, norm, weights)
    found = block(x, y, norm, *weights)
    assert nodes(found) == ["TensorLogicChain"]
    assert close(found, block_by_hand(x, y, norm, *weights))


def test_dense_weights_that_do_not_lie_by_rows_are_read_where_they_lie() -> None:
    x, w, before = random(1, 3, D), random(2, D, F), len(_nodes)
    mx.eval(x, w)
    for _ in range(2):
        # A view for each call, as who has weights [I, O] hands them over.
        assert close(chain(x, Stage(w.T, eps=1.0)), rms_norm(x, None, 1.0) @ w)
        gaps = w[:, ::2].T
        mx.eval(gaps)
        assert close(chain(x, Stage(gaps, eps=1.0)), rms_norm(x, None, 1.0) @ w[:, ::2])
        # One that is computed for each call.
        assert close(chain(x, Stage(w.T * 2, eps=1.0)), rms_norm(x, None, 1.0) @ (w * 2))
    assert len(_nodes) == before


def test_packed_weights_make_one_node_with_dense_ones_among_them() -> None:
    weights: list[Tensor] = [packed(i, *shape) for i, shape in enumerate(WEIGHTS)]
    x, y, norm = random(7, 1, D), random(8, 1, D), random(9, D)
    mx.eval(x, y, norm)
    assert nodes(block(x, y, norm, *weights)) == ["TensorLogicChain"]
    projections = chain_apart(x, Stage(*weights[1:3], norm=norm, eps=1e-5))
    assert sorted({name for p in projections for name in nodes(p)}) == ["Split", "TensorLogicChain"]
    assert [p.shape for p in projections] == [(1, F), (1, F)]
    weights[3] = random(3, D, F)
    mx.eval(weights[3])
    mixed = block(x, y, norm, *weights)
    assert nodes(mixed) == ["TensorLogicChain"]
    assert close(mixed, block_by_hand(x, y, norm, *weights))


def test_weights_that_our_kernels_do_not_take_are_mlxs(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = [packed(i, *shape) for i, shape in enumerate(WEIGHTS)]
    x, y, norm = random(7, 3, D), random(8, 3, D), random(9, D)
    monkeypatch.setattr("tensorlogic.runtime.packed.has_kernel", lambda layout: False)
    found = block(x, y, norm, *weights)
    assert "TensorLogicChain" not in nodes(found)
    assert close(found, block_by_hand(x, y, norm, *weights))
    one, two = chain_apart(x, Stage(weights[0], add=x), Stage(*weights[1:3]))
    assert "TensorLogicChain" not in nodes(one)
    assert (one.shape, two.shape) == ((3, F), (3, F))


def test_products_apart_are_those_of_their_weights() -> None:
    x, norm = random(7, 2, 3, D), random(8, D)
    weights: list[Tensor] = [packed(1, F, D), packed(2, 32, D, bits=8), random(3, 8, D)]
    for chosen in (weights[:2], weights[:1], weights, weights[1:]):
        found = chain_apart(x, Stage(*chosen, norm=norm, eps=1e-5))
        left = rms_norm(x, norm, 1e-5)
        assert all(close(p, left @ dense(w, mx.float32).T) for p, w in zip(found, chosen, strict=True))
    # After a stage of another kind.
    for first in (packed(4, D, D), random(4, D, D) * 0.1):
        one, two = chain_apart(x, Stage(first, add=x), Stage(*weights[:2]))
        value = x + x @ dense(first, mx.float32).T
        assert close(one, value @ dense(weights[0], mx.float32).T)
        assert close(two, value @ dense(weights[1], mx.float32).T)


def test_a_node_is_made_once_and_kept_with_its_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = [packed(i, *shape) for i, shape in enumerate(WEIGHTS)]
    made: list[object] = []
    real = kernels.cpu.Chain

    def counted(*parts: Any) -> Any:
        made.append(real(*parts))
        return made[-1]

    monkeypatch.setattr(kernels.cpu, "Chain", counted)
    norm, before = random(9, D), len(_nodes)
    for i in range(5):
        x, y = random(i, 1, D), random(10 + i, 1, D)
        assert close(block(x, y, norm, *weights), block_by_hand(x, y, norm, *weights))
    assert len(made) == 1
    # What is computed anew for each call makes a new node each time, which goes with it.
    for _ in range(3):
        block(x, y, norm + 1, *weights)
        block(x, y, norm, weights[0], random(1, F, D), weights[2], weights[3])
    assert len(_nodes) - before == 1
    # Nothing keeps a model's weights but the model.
    held = weakref.ref(weights[0])
    gc.disable()
    try:
        weights.clear()
        assert held() is None
        assert len(_nodes) == before
    finally:
        gc.enable()


def test_what_is_changed_in_place_counts() -> None:
    x, w, norm, packed_one = random(1, 3, D), random(2, F, D), random(3, D), packed(4, F, D)
    mx.eval(x, w, norm)

    def value() -> mx.array:
        return chain(x, Stage(w, packed_one, norm=norm, eps=1.0, gate="silu"))

    def expected() -> mx.array:
        h = rms_norm(x, norm, 1.0)
        g = h @ w.T
        return g * mx.sigmoid(g) * (h @ dense(packed_one, mx.float32).T)

    before = len(_nodes)
    for change in range(6):
        assert close(value(), expected())
        assert close(value(), expected())
        if change % 3 == 0:
            w -= 0.5 * x[:1]
            assert close(value(), expected())
        elif change % 3 == 1:
            norm[:] = norm * 2
        else:
            w[1:3] = 0
        mx.eval(w, norm)
    assert len(_nodes) - before == 1


def test_plans_do_not_grow_with_norms_that_are_computed_for_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "active", lambda: None)
    x, w, norm, before = random(1, 3, D), packed(2, F, D), random(3, D), len(_plans)
    for i in range(4):
        assert close(chain(x, Stage(w, norm=norm + i, eps=1.0)), rms_norm(x, norm + i, 1.0) @ dense(w, mx.float32).T)
        assert close(chain(x, Stage(w, norm_after=None, eps_after=1.0 + i)), rms_norm(x @ dense(w).T, None, 1.0 + i))
    assert len(_plans) - before == 1


def test_stages_that_differ_are_told_apart() -> None:
    w, x, norm = packed(1, D, D), random(2, 1, D), random(3, D)
    wide = dense(w, mx.float32)
    plain = x @ wide.T
    assert close(chain(x, Stage(w, add=x)), x + plain)
    assert close(chain(x, Stage(w, eps=1e-6)), rms_norm(x, None, 1e-6) @ wide.T)
    assert close(chain(x, Stage(w, eps=1.0)), rms_norm(x, None, 1.0) @ wide.T)
    assert close(chain(x, Stage(w, norm=norm, eps=1.0)), rms_norm(x, norm, 1.0) @ wide.T)
    assert close(chain(x, Stage(w, norm_after=norm, eps_after=1.0)), rms_norm(plain, norm, 1.0))
    assert close(chain(x, Stage(w)), plain)
    fast = chain(x, Stage(w, fast=True))
    assert not mx.array_equal(fast, plain)
    assert np.abs(np.asarray(fast - plain)).max() < 0.05


def test_empty_arrays_go_through_by_parts() -> None:
    w, x = packed(1, D, D), random(2, 0, D)
    assert chain(x, Stage(w, eps=1e-6)).shape == (0, D)
    none, narrow = mx.zeros((0, D)), random(3, 4, D)
    assert [part.shape for part in chain_apart(narrow, Stage(w, none))] == [(4, D), (4, 0)]


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16])
def test_the_result_is_of_the_type_of_what_goes_in(dtype: mx.Dtype) -> None:
    weights = [packed(i, *shape) for i, shape in enumerate(WEIGHTS)]
    x, y, norm = random(7, 3, D), random(8, 3, D), random(9, D)
    found = block(x.astype(dtype), y.astype(dtype), norm, *weights)
    assert found.dtype == dtype
    expected = np.asarray(block_by_hand(x, y, norm, *weights))
    tolerance = 0.05 if dtype == mx.bfloat16 else 5e-3
    assert np.abs(np.asarray(found.astype(mx.float32)) - expected).max() <= tolerance * np.abs(expected).max()


def test_products_on_the_way_that_no_memory_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    wide, narrow = packed(1, 4096, D), packed(2, D, 4096)
    x = mx.zeros((2**15, D))
    monkeypatch.setattr(sizes, "memory", lambda: 2**28)
    with pytest.raises(BoundaryError, match="TL5010"):
        chain(x, Stage(wide), Stage(narrow))


def test_weights_of_one_left_side_are_joined_once_and_share_their_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """By MLX's own operations, which a step on a GPU waits for one by one."""
    monkeypatch.setattr(kernels, "active", lambda: None)
    q, k, v = packed(1, D, D), packed(2, 32, D), packed(3, 32, D)
    before = [np.asarray(dense(weight)) for weight in (q, k, v)]
    x = random(4, 3, D)
    expected = mx.concatenate([x @ mx.array(weight).T for weight in before], axis=-1)
    held = mx.get_active_memory()
    found = [chain(x, Stage(q, k, v)) for _ in range(2)]
    assert [name for name in nodes(found[1]) if "Matmul" in name] == ["QuantizedMatmul"]
    assert all(close(each, expected) for each in found)
    apart = chain_apart(x, Stage(q, k, v))
    assert [part.shape[-1] for part in apart] == [D, 32, 32]
    assert close(mx.concatenate(list(apart), axis=-1), expected)
    assert all(np.array_equal(np.asarray(dense(w)), was) for w, was in zip((q, k, v), before, strict=True))
    del found, apart, expected
    whole = q.nbytes + k.nbytes + v.nbytes
    assert mx.get_active_memory() - held < whole / 2


def test_weights_that_do_not_go_together_are_multiplied_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "active", lambda: None)
    x = random(4, 3, D)
    pairs: list[list[Tensor]] = [[packed(1, D, D), packed(2, 32, D, bits=8)], [packed(1, D, D), random(2, 32, D)]]
    for weights in pairs:
        expected = mx.concatenate([x @ dense(weight, mx.float32).T for weight in weights], axis=-1)
        assert close(chain(x, Stage(*weights)), expected)
    one = packed(5, F, D)
    assert close(chain(x[0], Stage(one)), x[0] @ dense(one, mx.float32).T)
    assert chain(x[:0], Stage(one, packed(6, F, D))).shape == (0, 2 * F)
