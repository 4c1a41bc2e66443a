"""Row-wise operations as nodes of graphs: what NaN becomes, threads, memory that is used again, gradients, refusals."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from tensorlogic_cpu import kernels

from tests.kernels.row_values import random

pytestmark = pytest.mark.usefixtures("instruction_set")
inf, nan = math.inf, math.nan
STRANGE = [[inf, 1, 2], [-inf, 1, 2], [-inf, -inf, -inf], [inf, -inf, 0], [nan, 1, 2], [1, inf, nan], [1e30, 1, 2]]


def mlx_rope(x: mx.array) -> mx.array:
    """MLX wants three dims."""
    given = x if x.ndim > 2 else x[None]
    return mx.fast.rope(given, 6, traditional=True, base=100.0, scale=1.0, offset=3).reshape(x.shape)


def mlx_gelu_tanh(x: mx.array) -> mx.array:
    return 0.5 * x * (1 + mx.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))


# Ours, and MLX's own.
PAIRS: dict[str, tuple[Callable[[mx.array], mx.array], Callable[[mx.array], mx.array]]] = {
    "rms_norm": (lambda x: kernels.rms_norm(x, None, 1e-5), lambda x: mx.fast.rms_norm(x, None, 1e-5)),
    "layer_norm": (
        lambda x: kernels.layer_norm(x, None, None, 1e-5),
        lambda x: mx.fast.layer_norm(x, None, None, 1e-5),
    ),
    "softmax": (kernels.softmax, lambda x: mx.softmax(x, axis=-1)),
    "silu": (kernels.silu, lambda x: x * mx.sigmoid(x)),
    "gelu": (lambda x: kernels.gelu(x, False), lambda x: x * (1 + mx.erf(x / math.sqrt(2))) / 2),
    "gelu_tanh": (lambda x: kernels.gelu(x, True), mlx_gelu_tanh),
    "gated_silu": (lambda x: kernels.gated(x, x + 1, "silu"), lambda x: x * mx.sigmoid(x) * (x + 1)),
    "gated_gelu": (lambda x: kernels.gated(x, x + 1, "gelu_tanh"), lambda x: mlx_gelu_tanh(x) * (x + 1)),
    "rope": (lambda x: kernels.rope(x, 6, traditional=True, base=100.0, scale=1.0, offset=3), mlx_rope),
}


@pytest.mark.parametrize("repeat", [2, 7, 40])
@pytest.mark.parametrize("name", PAIRS)
def test_infinities_and_nan_go_where_mlx_takes_them(name: str, repeat: int) -> None:
    """In whole vectors and in their last part: rows have 6, 21 and 120 items."""
    x = mx.concatenate([mx.array(STRANGE), mx.zeros((len(STRANGE), 3 * repeat - 3))], axis=-1)
    ours, theirs = (np.array(f(x)) for f in PAIRS[name])
    assert np.array_equal(np.isnan(ours), np.isnan(theirs)), (ours, theirs)
    assert np.array_equal(np.isinf(ours) * np.sign(ours), np.isinf(theirs) * np.sign(theirs), equal_nan=True)


BIG: dict[str, tuple[Callable[[mx.array], mx.array], tuple[int, ...]]] = {
    "rms_norm": (PAIRS["rms_norm"][0], (70, 1001)),
    "layer_norm": (PAIRS["layer_norm"][0], (70, 1001)),
    "softmax": (kernels.softmax, (70, 1001)),
    "softmax_row": (kernels.softmax, (1, 40_001)),
    "softmax_rows": (kernels.softmax, (3, 20_001)),
    "silu": (kernels.silu, (3, 5, 4001)),
    "gelu": (PAIRS["gelu"][0], (3, 5, 4001)),
    "gated": (PAIRS["gated_silu"][0], (70, 1001)),
    "cast": (lambda x: kernels.cast(x, mx.bfloat16 if x.dtype == mx.float32 else mx.float32), (70, 1001)),
    "rope": (lambda x: kernels.rope(x, 64, traditional=False, base=1e4, scale=1.0, offset=3), (2, 3, 200, 66)),
}


@pytest.mark.parametrize("name", BIG)
@pytest.mark.usefixtures("threads")
def test_results_do_not_depend_on_threads_or_other_rows(name: str) -> None:
    f, shape = BIG[name]
    for dtype in (mx.float32, mx.float16):
        x = random(shape, dtype, 5)
        results = []
        for count in (1, 2, 5):
            kernels.set_threads(count)
            results.append(np.array(f(x).astype(mx.float32)))
        assert np.array_equal(results[0], results[1])
        assert np.array_equal(results[0], results[2])
        alone = np.array(f(x[:1]).astype(mx.float32))
        assert np.array_equal(alone, results[0][:1])


def test_arrays_that_are_held_stay_as_they_are() -> None:
    """A node may take the memory of what only it holds: nothing else."""
    x = random((64, 70), mx.float32, 1)
    before = np.array(x)
    rows = x.reshape(70, 64)
    mx.eval(x, rows)
    for f, _ in PAIRS.values():
        mx.eval(f(x), f(rows))
        assert np.array_equal(np.array(x), before)


def test_chains_of_nodes_in_one_memory_are_right() -> None:
    x = random((33, 70), mx.float32, 1)
    names = ["rms_norm", "silu", "layer_norm", "gelu", "softmax", "gated_silu"]
    step, together = x, x
    for name in names:
        step = PAIRS[name][0](step)
        mx.eval(step)
        together = PAIRS[name][0](together)
    assert mx.array_equal(step, together)


@pytest.mark.parametrize("name", PAIRS)
def test_gradients_vmap_and_compile_give_mlxs_results(name: str) -> None:
    ours, theirs = PAIRS[name]
    x = random((3, 4, 6), mx.float32, 1, spread=1.0)
    slope = random((3, 4, 6), mx.float32, 2)
    ours_slope, theirs_slope = (mx.grad(lambda x, f=f: (f(x) * slope).sum())(x) for f in (ours, theirs))
    assert mx.allclose(ours_slope, theirs_slope, rtol=1e-4, atol=1e-5)
    tangent = [mx.jvp(f, [x], [slope])[1][0] for f in (ours, theirs)]
    assert mx.allclose(tangent[0], tangent[1], rtol=1e-4, atol=1e-5)
    assert mx.allclose(mx.vmap(ours)(x), mx.vmap(theirs)(x), atol=1e-5)
    assert mx.array_equal(mx.compile(lambda x: ours(x * 2) + 1)(x), ours(x * 2) + 1)
    shapeless = mx.compile(lambda x: ours(x) + 1, shapeless=True)
    for given in (x, mx.concatenate([x, x])):
        assert mx.array_equal(shapeless(given), ours(given) + 1)


def test_gradients_reach_weights() -> None:
    x, w, b = random((5, 8), mx.float32, 1), random((8,), mx.float32, 2), random((8,), mx.float32, 3)

    def loss(layer_norm: Callable[..., mx.array], rms_norm: Callable[..., mx.array]) -> Callable[..., mx.array]:
        return lambda x, w, b: (layer_norm(x, w, b, 1e-5) * rms_norm(x, w, 1e-5)).sum()

    ours = mx.grad(loss(kernels.layer_norm, kernels.rms_norm), argnums=(0, 1, 2))(x, w, b)
    theirs = mx.grad(loss(mx.fast.layer_norm, mx.fast.rms_norm), argnums=(0, 1, 2))(x, w, b)
    for found, expected in zip(ours, theirs, strict=True):
        assert mx.allclose(found, expected, rtol=1e-4, atol=1e-4)
    slope = mx.grad(lambda x: (kernels.cast(x, mx.bfloat16) * 2).sum())(x)
    assert slope.dtype == mx.float32
    assert mx.array_equal(slope, mx.full((5, 8), 2.0))


def test_scalars_are_items() -> None:
    assert kernels.silu(mx.array(0.0)).shape == ()
    assert kernels.cast(mx.array(1.5), mx.float16).item() == 1.5
    assert kernels.gated(mx.array(0.0), mx.array(1.0), "silu").item() == 0


def test_broadcast_arrays_are_taken() -> None:
    row = random((1, 1, 40), mx.float32, 1)
    x = mx.broadcast_to(row, (3, 2, 40))
    column = mx.broadcast_to(random((3, 2, 1), mx.float16, 2), (3, 2, 40))
    assert mx.array_equal(kernels.softmax(x), kernels.softmax(mx.contiguous(x)))
    assert mx.array_equal(kernels.silu(column), kernels.silu(mx.contiguous(column)))
    weight = mx.broadcast_to(mx.array([2.0]), (40,))
    assert mx.allclose(kernels.rms_norm(x, weight, 1e-5), 2 * kernels.rms_norm(x, None, 1e-5))


X = mx.zeros((2, 3, 8))
ROPE: dict[str, Any] = {"traditional": False, "base": 100.0, "scale": 1.0, "offset": 0}
REFUSALS: dict[str, tuple[Callable[[], object], str]] = {
    "argmax_empty": (lambda: kernels.argmax(mx.zeros((2, 0))), "argmax. rows have items"),
    "argmax_type": (lambda: kernels.argmax(mx.zeros((2,), mx.int32)), "argmax. x is of floats, not int32"),
    "rms_scalar": (lambda: kernels.rms_norm(mx.array(1.0), None, 1e-5), "rms_norm. x has a last dim"),
    "rms_int": (lambda: kernels.rms_norm(mx.zeros((3,), mx.int32), None, 1e-5), "x is of floats, not int32"),
    "rms_weight": (lambda: kernels.rms_norm(X, mx.zeros((7,)), 1e-5), "of 8 items has no weight of shape .7."),
    "rms_rank": (lambda: kernels.rms_norm(X, mx.zeros((1, 8)), 1e-5), "has no weight of shape .1, 8."),
    "rms_type": (lambda: kernels.rms_norm(X, mx.zeros((8,), mx.int8), 1e-5), "weight is of floats, not int8"),
    "layer_bias": (lambda: kernels.layer_norm(X, None, mx.zeros((9,)), 1e-5), "layer_norm. .* no bias of shape .9."),
    "softmax": (lambda: kernels.softmax(mx.array(1.0)), "softmax. x has a last dim"),
    "silu": (lambda: kernels.silu(mx.array(True)), "silu. x is of floats, not bool"),
    "gelu": (lambda: kernels.gelu(mx.array(1), False), "gelu. x is of floats, not int32"),
    "gated": (lambda: kernels.gated(X, mx.zeros((3, 8)), "silu"), r"gate \[2, 3, 8\] and up \[3, 8\] have one shape"),
    "gated_type": (lambda: kernels.gated(X, mx.zeros((2, 3, 8), mx.int32), "silu"), "up is of floats, not int32"),
    "gated_kind": (lambda: kernels.gated(X, X, "relu"), 'no gate "relu"'),  # type: ignore[arg-type]
    "cast": (lambda: kernels.cast(X, mx.int32), "cast. the result is of float32, float16 or bfloat16, not int32"),
    "cast_int": (lambda: kernels.cast(mx.array(1), mx.float16), "cast. x is of floats, not int32"),
    "rope_rank": (lambda: kernels.rope(mx.zeros((8,)), 8, **ROPE), r"rope. x is \[..., L, D\], not \[8\]"),
    "rope_odd": (lambda: kernels.rope(X, 7, **ROPE), "dims are even, from 2 to 8, not 7"),
    "rope_many": (lambda: kernels.rope(X, 10, **ROPE), "dims are even, from 2 to 8, not 10"),
    "rope_none": (lambda: kernels.rope(X, 0, **ROPE), "dims are even, from 2 to 8, not 0"),
    "rope_base": (lambda: kernels.rope(X, 8, **{**ROPE, "base": None}), "one of base and freqs is given"),
    "rope_both": (lambda: kernels.rope(X, 8, **ROPE, freqs=mx.ones((4,))), "one of base and freqs is given"),
    "rope_zero": (lambda: kernels.rope(X, 8, **{**ROPE, "base": 0.0}), "base is positive and finite"),
    "rope_freqs": (
        lambda: kernels.rope(X, 8, **{**ROPE, "base": None}, freqs=mx.ones((8,))),
        r"freqs are \[4\], not \[8\]",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_does_not_fit_is_refused(name: str) -> None:
    make, message = REFUSALS[name]
    with pytest.raises(ValueError, match=message) as refused:
        make()
    assert str(refused.value).startswith("[tensorlogic_cpu.")
