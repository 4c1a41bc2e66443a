"""Chains: norms, gates and sums between packed products, beside float64."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import Any

import mlx.core as mx
import numpy as np
import numpy.typing as npt
import pytest
from tensorlogic_cpu import kernels

from tests.kernels.packing import Floats, Layout, Packed, packed
from tests.kernels.test_packed import wide

Given = npt.NDArray[np.floating[Any]]


def norm(given: Given, eps: float, weight: Given | None = None) -> Floats:
    x = np.asarray(given, np.float64)
    scaled: Floats = x / np.sqrt(np.mean(x**2, axis=-1, keepdims=True) + eps)
    return scaled if weight is None else scaled * np.asarray(weight, np.float64)


def silu(x: Floats) -> Floats:
    active: Floats = x / (1 + np.exp(-x))
    return active


def gelu_tanh(x: Floats) -> Floats:
    active: Floats = 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return active


def scaled(rng: np.random.Generator, rows: int, width: int, layout: Layout) -> Packed:
    """A matrix that keeps a chain's values near 1."""
    w = packed(rng, rows, width, layout)
    weight, scales, biases = w.parts
    assert biases is not None
    factor = 1 / math.sqrt(width) / float(np.std(w.elements))
    parts = (weight, scales * factor, biases * factor)
    matrix = kernels.Matrix(*parts, layout.bits, layout.group, layout.mode)
    return Packed(matrix, parts, w.elements * factor, w.sizes * factor)


@pytest.mark.parametrize("rows", [1, 4, 60])
@pytest.mark.parametrize("gate", ["silu", "gelu_tanh"])
def test_a_feed_forward_is_one_node(gate: str, rows: int, instruction_set: str) -> None:
    rng = np.random.default_rng(1)
    output, gate_up, down = (
        scaled(rng, 96, 64, Layout(4, 32)),
        scaled(rng, 320, 96, Layout(5, 32)),
        scaled(rng, 96, 160, Layout(8, 32)),
    )
    mixed, x = (rng.normal(size=(rows, width)).astype(np.float32) for width in (64, 96))
    before, after = (rng.normal(1, 0.1, 96).astype(np.float32) for _ in range(2))
    chain = kernels.Chain(
        [
            kernels.Stage([output.matrix], norm_after=mx.array(after), eps_after=1e-6, addend=0),
            kernels.Stage(
                [gate_up.matrix], norm=mx.array(before), eps=1e-5, gate="silu" if gate == "silu" else "gelu_tanh"
            ),
            kernels.Stage([down.matrix], eps_after=1e-5, add_value=1),
        ],
        [3, 1],
    )
    last, first = chain(mx.array(mixed), [mx.array(x)])
    value = x + norm(mixed @ output.elements.T, 1e-6, after)
    np.testing.assert_allclose(wide(first), value, rtol=1e-4, atol=1e-4)
    both = norm(value, 1e-5, before) @ gate_up.elements.T
    active = (silu if gate == "silu" else gelu_tanh)(both[:, :160]) * both[:, 160:]
    expected = value + norm(active @ down.elements.T, 1e-5)
    np.testing.assert_allclose(wide(last), expected, rtol=1e-4, atol=1e-4)


def test_the_input_can_be_added(instruction_set: str) -> None:
    rng = np.random.default_rng(2)
    w = scaled(rng, 64, 64, Layout(4, 32))
    x = rng.normal(size=(3, 64)).astype(np.float32)
    chain = kernels.Chain([kernels.Stage([w.matrix]), kernels.Stage([w.matrix], add_value=0)], [2])
    expected = x @ w.elements.T @ w.elements.T + x
    np.testing.assert_allclose(wide(chain(mx.array(x))[0]), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16])
def test_half_precision_goes_in_and_out(dtype: mx.Dtype, instruction_set: str) -> None:
    """Weights of norms and addends may have other types than x; between stages nothing is rounded."""
    rng = np.random.default_rng(3)
    w = scaled(rng, 64, 64, Layout(6, 32))
    x, added, weight = (mx.array(rng.normal(size=shape)).astype(dtype) for shape in ((2, 64), (2, 64), (64,)))
    chain = kernels.Chain([kernels.Stage([w.matrix], norm=weight, eps=1e-5, addend=0)] * 1, [1])
    found = chain(x, [added.astype(mx.float32)])[0]
    assert found.dtype == dtype
    expected = norm(wide(x), 1e-5, wide(weight)) @ w.elements.T + wide(added)
    np.testing.assert_allclose(wide(found), expected, rtol=2**-7, atol=2**-7)


def test_gradients_and_compilation_see_through() -> None:
    rng = np.random.default_rng(4)
    w, v = scaled(rng, 128, 64, Layout(4, 32)), scaled(rng, 64, 64, Layout(4, 32))
    weight = mx.array(rng.normal(1, 0.1, 64).astype(np.float32))
    chain = kernels.Chain(
        [kernels.Stage([w.matrix], norm=weight, eps=1e-5, gate="silu"), kernels.Stage([v.matrix], addend=0)], [2]
    )
    dense_w, dense_v = (mx.array(m.elements.astype(np.float32)) for m in (w, v))

    def plain(x: mx.array, added: mx.array) -> mx.array:
        gate, up = mx.split(mx.fast.rms_norm(x, weight, 1e-5) @ dense_w.T, 2, axis=-1)
        return (gate * mx.sigmoid(gate) * up) @ dense_v.T + added

    x, added = (mx.array(rng.normal(size=(2, 64)).astype(np.float32)) for _ in range(2))
    for argument in (0, 1):
        ours = mx.grad(lambda *given: (chain(given[0], [given[1]])[0] ** 2).sum(), argument)(x, added)
        theirs = mx.grad(lambda *given: (plain(*given) ** 2).sum(), argument)(x, added)
        np.testing.assert_allclose(wide(ours), wide(theirs), rtol=1e-3, atol=1e-3)
    compiled = mx.compile(lambda *given: chain(given[0], [given[1]])[0])
    for rows in (2, 5):
        given = [mx.array(rng.normal(size=(rows, 64)).astype(np.float32)) for _ in range(2)]
        np.testing.assert_allclose(wide(compiled(*given)), wide(plain(*given)), rtol=1e-3, atol=1e-3)


def test_stages_that_do_not_fit_are_refused() -> None:
    rng = np.random.default_rng(5)
    w, odd = packed(rng, 64, 64, Layout(4, 32)).matrix, packed(rng, 33, 64, Layout(4, 32)).matrix
    stage, cases = kernels.Stage, []
    ones = mx.ones((64,))
    cases += [
        ([stage([])], [1], "has a matrix"),
        ([], [1], "there is a stage"),
        ([stage([w])], [], "there is a stage"),
        ([stage([w])], [2], "results are stages"),
        ([stage([w])], [1, 1], "asked for once"),
        ([stage([odd]), stage([w])], [1], "rows of 33 items"),
        ([stage([odd], gate="silu")], [1], "two halves"),
        ([stage([w], norm=ones)], [1], "with its eps"),
        ([stage([w], norm=ones[:5], eps=1e-5)], [1], "no weight of shape"),
        ([stage([w], norm=ones.astype(mx.int32), eps=1e-5)], [1], "of floats"),
        ([stage([odd], add_value=0)], [1], "no earlier value"),
        ([stage([w], add_value=1)], [1], "no earlier value"),
        ([stage([w], addend=1)], [1], "in order"),
        ([stage([w], addend=0), stage([odd], addend=0)], [1], "one width"),
    ]
    for stages, results, told in cases:
        with pytest.raises(ValueError, match=told):
            kernels.Chain(stages, results)
    with pytest.raises(ValueError, match="adds one thing"):
        stage([w], add_value=0, addend=0)
    with pytest.raises(ValueError, match="no gate"):
        stage([w], gate="relu")  # type: ignore[arg-type]
    chain = kernels.Chain([stage([w], addend=0)], [1])
    with pytest.raises(ValueError, match="takes 1 addends"):
        chain(mx.ones((2, 64)))
    with pytest.raises(ValueError, match="what is added"):
        chain(mx.ones((2, 64)), [mx.ones((1, 64))])


@pytest.mark.parametrize("dtype", [mx.float32, mx.float16, mx.bfloat16])
@pytest.mark.parametrize("rows", [1, 7, 40])
def test_dense_matrices_stand_beside_packed_ones(rows: int, dtype: mx.Dtype, instruction_set: str) -> None:
    rng = np.random.default_rng(6)
    w = scaled(rng, 40, 64, Layout(5, 32))
    v = mx.array(rng.normal(0, 0.1, (33, 64)).astype(np.float32)).astype(dtype)
    x = rng.normal(size=(rows, 64)).astype(np.float32)
    chain = kernels.Chain([kernels.Stage([w.matrix, kernels.Matrix.dense(v)], norm=None, eps=1e-5)], [1])
    expected = norm(x, 1e-5) @ np.concatenate([w.elements, wide(v)]).T
    np.testing.assert_allclose(wide(chain(mx.array(x))[0]), expected, rtol=1e-4, atol=1e-4)
    gradient = mx.grad(lambda given: chain(given)[0].sum())(mx.array(x))
    assert gradient.shape == x.shape


def test_rows_are_taken_in_parts_of_even_sizes() -> None:
    rng = np.random.default_rng(12)
    w, down = packed(rng, 64, 32, Layout(4, 32)), packed(rng, 32, 32, Layout(8, 32))
    x = mx.array(rng.normal(size=(1025, 32)).astype(np.float32))
    added = mx.array(rng.normal(size=(1025, 32)).astype(np.float32))
    chain = kernels.Chain(
        [
            kernels.Stage([w.matrix], gate="silu", add_value=0),
            kernels.Stage([down.matrix], addend=0),
        ],
        [1, 2],
    )
    whole = chain(x, [added])
    for rows in (slice(0, 300), slice(341, 342 + 40), slice(683, 1025)):
        for all_rows, some in zip(whole, chain(x[rows], [added[rows]]), strict=True):
            np.testing.assert_allclose(np.array(all_rows[rows]), np.array(some), rtol=1e-4, atol=1e-4)


def test_dense_matrices_that_do_not_fit_are_refused() -> None:
    for weight in (mx.zeros((4, 4), mx.int32), mx.zeros((4,)), mx.zeros((2, 4, 4))):
        with pytest.raises(ValueError, match="weights are floats"):
            kernels.Matrix.dense(weight)


def test_a_chain_knows_whether_watched_objects_are_what_they_were() -> None:
    weight, other = mx.ones((4, 8)), mx.ones((8,))
    mx.eval(weight, other)
    assert kernels.Matrix.lies(weight)
    assert not kernels.Matrix.lies(weight.T)
    chain = kernels.Chain([kernels.Stage([kernels.Matrix.dense(weight)])], [1])
    assert chain.unchanged()
    chain.watch([weight, other])
    assert chain.unchanged()
    mx.eval(weight + 1, other)
    assert chain.unchanged()
    other -= 1
    assert not chain.unchanged()
    again = kernels.Chain([kernels.Stage([kernels.Matrix.dense(weight)])], [1])
    again.watch([weight])
    weight[1:2] = 0
    assert not again.unchanged()
    # It goes on with what it was made of.
    assert mx.array_equal(again(mx.ones((1, 8)))[0], mx.full((1, 4), 8.0)).item()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process's memory in /proc/self/statm")
def test_memory_for_a_large_call_is_given_back() -> None:
    """In a process of its own, whose memory is this call's: x in float32 takes 164 MB."""
    code = """if True:
        import os
        from pathlib import Path
        import mlx.core as mx
        from tensorlogic_cpu import kernels

        mx.set_default_device(mx.cpu)
        chain = kernels.Chain([kernels.Stage([kernels.Matrix.dense(mx.ones((8, 1024)))])], [1])

        def megabytes(rows):
            mx.eval(chain(mx.ones((rows, 1024), mx.float16)))
            mx.clear_cache()
            return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

        print(megabytes(1), megabytes(40_000))
    """
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    before, after = map(float, said.split())
    assert after - before < 50
