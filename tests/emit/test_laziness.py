"""A compiled function builds a graph and evaluates nothing: its results are computed when they are asked for.

Shown by what MLX says of its memory, by an input that cannot be read when it is evaluated, and by MLX's own
transformations, which refuse to evaluate inside. What the contract says is evaluated (masks, conditions and conversions
to host numbers) is shown to be.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

import mlx.core as mx
import pytest

import tensorlogic

TEXT = """
struct Layer[I, O] { weight: float16[O, I], bias: float16[O]? }
fn apply(l: Layer[I, O], x: float16[N, I]) -> float16[N, O] { return linear(x, l.weight, l.bias) }
fn network(x: float16[N, D], layers: [Layer[D, D]], start: int) -> (float16[N, D], float16[]) {
    let y = x
    for l in layers { y = relu(apply(l, y)) + y }
    assert 0 <= start and start < N
    let z = softmax(y[start:], axis: -1)
    return (y, sum(z) / mean(y))
}
fn unknown(x: float16[?, D], y: float16[D, ?]) -> float16[?] { let z = x @ y; return z[0] + z[-1] }
fn gathered(x: float16[N, D], ids: int32[M]) -> float16[M, D] { return x[ids] + embedding(ids, x) }
fn chosen(x: float16[N, D], on: bool) -> float16[N, D] {
    let y = if on { x * 2 } else { x @ (x.T @ x) }
    return y - 1
}
fn selected(x: float16[N]) -> float16[?] { return x[x > 0] }
fn decided(x: float16[N]) -> float16[N] { if sum(x) > 0 { return x }; return -x }
fn counted(x: float16[N]) -> int { return int(sum(x)) }
"""
SIDE = 1000
ROWS = 500


@pytest.fixture(scope="module")
def module() -> ModuleType:
    return tensorlogic.compile(TEXT)


def matrix(rows: int = SIDE) -> mx.array:
    made = mx.ones((rows, SIDE), mx.float16) / SIDE
    mx.eval(made)
    return made


def built(call: object) -> tuple[mx.array, ...]:
    """The results of a call that allocates nothing of the size of its arguments."""
    assert callable(call)
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    results = call()
    assert mx.get_peak_memory() - before < 2 * SIDE, "the call computed something"
    made = results if isinstance(results, tuple) else (results,)
    mx.eval(made)
    assert mx.get_peak_memory() - before >= 2 * ROWS * SIDE, "evaluating computed nothing"
    return made


def test_a_network_is_a_graph(module: ModuleType) -> None:
    x = matrix(ROWS)
    layers = [module.Layer(weight=matrix(), bias=None), module.Layer(weight=matrix(), bias=matrix()[0])]
    y, ratio = built(lambda: module.network(x, layers, 5))
    assert (y.shape, ratio.shape) == ((ROWS, SIDE), ())


def test_checks_of_unknown_sizes_look_at_shapes_alone(module: ModuleType) -> None:
    x, y = matrix(ROWS), matrix()
    built(lambda: module.unknown(x, y))
    with pytest.raises(tensorlogic.TensorLogicError, match="TL5001"):
        module.unknown(x, matrix(ROWS))


def test_gathering_and_branches_are_graphs(module: ModuleType) -> None:
    x, ids = matrix(), mx.arange(ROWS, dtype=mx.int32)
    mx.eval(ids)
    built(lambda: module.gathered(x, ids))
    built(lambda: module.chosen(x, True))
    built(lambda: module.chosen(x, False))


def test_an_input_is_read_when_the_result_is(module: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    mx.save_safetensors(str(path), {"w": matrix()})
    weights = mx.load(str(path))
    assert isinstance(weights, dict)
    os.truncate(path, 1000)
    layer = module.Layer(weight=weights["w"], bias=None)
    y, ratio = module.network(matrix(ROWS), [layer], 0)
    assert y.shape == (ROWS, SIDE)
    with pytest.raises(RuntimeError, match="read"):
        mx.eval(ratio)


def test_mlx_transforms_compiled_functions(module: ModuleType) -> None:
    """While MLX traces, an evaluation would raise."""
    x, w = matrix(ROWS), matrix()

    def network(x: mx.array, w: mx.array) -> mx.array:
        y, _ = module.network(x, [module.Layer(weight=w, bias=None)], 1)
        assert isinstance(y, mx.array)
        return y

    compiled, plain = mx.compile(network)(x, w), network(x, w)
    assert mx.allclose(compiled, plain, rtol=1e-2).item()
    slope = mx.grad(lambda w: mx.sum(network(x, w)))(w)
    assert slope.shape == w.shape
    assert mx.any(slope != 0).item()


@pytest.mark.parametrize("name", ["selected", "decided", "counted"])
def test_what_must_be_known_is_evaluated(module: ModuleType, name: str) -> None:
    """The contract's exceptions, of which `tlc check` tells: MLX refuses to trace them."""
    function = getattr(module, name)
    assert function(mx.ones((3,), mx.float16)) is not None
    with pytest.raises(ValueError, match=r"(?i)eval"):
        mx.compile(function)(mx.ones((3,), mx.float16))


def test_checking_tells_what_is_evaluated() -> None:
    notes = [d for d in tensorlogic.check(TEXT) if d.severity == "note"]
    lines = {d.span.line for d in notes if d.span is not None}
    wanted = {i for i, line in enumerate(TEXT.splitlines(), 1) if "fn selected" in line or "fn decided" in line}
    assert wanted <= lines
