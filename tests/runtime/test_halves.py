"""Matrices in half precision on a CPU: our kernels read them as they are, so they are kept so; all else is carried.

What a program computes does not tell how a weight is kept: it is what float32 gives of the same numbers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

import tensorlogic
from tensorlogic.compiler import driver
from tensorlogic.runtime import kernels
from tensorlogic.runtime.models import load_model
from tensorlogic.runtime.saving import save_model

PROGRAM = """
struct Net<T: float>[V, D, F] { table: T[V, D]; up: T[F, D]; down: T[D, F]; norm: T[D]; stack: T[2, D, D] }
fn rows<T: float>(ids: int32[N], n: Net<T>[V, D, F]) -> T[N, D] { return embedding(ids, n.table) }
fn feed<T: float>(x: T[N, D], n: Net<T>[V, D, F]) -> T[N, D] {
    let h = rms_norm(x, n.norm)
    return x + silu(h @ n.up.T) @ n.down.T
}
fn turned<T: float>(x: T[N, F], n: Net<T>[V, D, F]) -> T[N, D] { return x @ n.up }
fn energy<T: float>(n: Net<T>[V, D, F]) -> T[] { return sum(n.up * n.up) / 4000 }
fn stacked<T: float>(x: T[2, N, D], n: Net<T>[V, D, F]) -> T[2, N, D] { return x @ n.stack.transpose([0, 2, 1]) }
fn given(x: float16[N, D], w: float16[F, D], bias: float16[F]) -> float16[N, F] { return linear(x, w, bias) + x @ w.T }
fn paired<T: float>(p: (T[D, D], int)) -> T[] {
    let (w, n) = p
    let y = full([D, D], 300, dtype: T) @ w.T
    return sum(y * y / n) / 50000
}
fn nested<T: float>(p: (int, (T[D, D], [T[D, D]]))) -> T[D, D] { return full([D, D], 300, dtype: T) * 300 / p[0] }
fn both<T: float>(w: T[D, D], n: int) -> T[D, D] { return ones([D, D], dtype: T) @ w.T / n + w / n }
"""
HALVES = pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16], ids=str)
NEAR = {mx.float16: 2e-3, mx.bfloat16: 1.6e-2}
V, D, F = 9, 32, 48


@pytest.fixture(scope="module")
def program() -> Any:
    return tensorlogic.compile(PROGRAM, "net")


def random(seed: int, *shape: int) -> mx.array:
    return mx.random.normal(shape, key=mx.random.key(seed))


def tensors(dtype: mx.Dtype) -> dict[str, mx.array]:
    shapes = {"table": (V, D), "up": (F, D), "down": (D, F), "norm": (D,), "stack": (2, D, D)}
    return {name: random(i, *shape).astype(dtype) for i, (name, shape) in enumerate(shapes.items())}


def wide(x: mx.array) -> Any:
    return np.asarray(x.astype(mx.float32))


def close(found: mx.array, expected: Any) -> bool:
    near = NEAR[found.dtype]
    return bool(np.allclose(wide(found), expected, rtol=near, atol=near * np.abs(expected).max()))


@HALVES
@pytest.mark.parametrize("whose", ["our kernels", "MLX's"])
def test_results_are_those_of_float32(
    dtype: mx.Dtype, whose: str, program: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if whose == "MLX's":
        monkeypatch.setattr(kernels, "active", lambda: None)
    given = tensors(dtype)
    net = program.Net(**given)
    table, up, down, norm, stack = map(wide, given.values())
    x, ids = random(7, 3, D).astype(dtype), mx.array([3, 0])
    assert np.array_equal(wide(program.rows(ids, net)), table[[3, 0]])
    assert program.rows(ids, net).dtype == dtype
    left = wide(x)
    h = left / np.sqrt(np.mean(left * left, axis=-1, keepdims=True) + 1e-5) * norm
    g = h @ up.T
    assert close(program.feed(x, net), left + g / (1 + np.exp(-g)) @ down.T)
    y = random(8, 3, F).astype(dtype)
    assert close(program.turned(y, net), wide(y) @ up)
    assert close(program.energy(net), np.sum(up * up) / 4000)
    both = random(9, 2, 3, D).astype(dtype)
    assert close(program.stacked(both, net), wide(both) @ stack.swapaxes(1, 2))
    square = random(10, D, D).astype(dtype)
    expected = np.broadcast_to(wide(square).sum(axis=1), (D, D)) / 3 + wide(square) / 3
    assert close(program.both(square, 3), expected)


def test_arguments(program: Any) -> None:
    x, w, bias = (random(i, *shape).astype(mx.float16) for i, shape in enumerate(((3, D), (F, D), (F,))))
    product = wide(x) @ wide(w).T
    for given in (w, np.asarray(w), mx.concatenate([w.T, w.T])[:D].T):
        assert close(program.given(x, given, bias), 2 * product + wide(bias))


def test_sums_of_a_matrix_do_not_leave_float16s_range(program: Any) -> None:
    """A field that is a weight elsewhere is carried in float32 where it is an array."""
    net = program.Net(**(tensors(mx.float16) | {"up": mx.full((F, D), 200, mx.float16)}))
    assert program.energy(net).item() == F * D * 200 * 200 / 4000


def test_what_a_body_makes_is_carried_where_a_tuple_tells_its_type(program: Any) -> None:
    w = mx.ones((D, D), mx.float16) * 16
    assert program.paired((w, 30000)).item() == pytest.approx((300 * 16 * D) ** 2 * D * D / 30000 / 5e4, rel=1e-3)
    assert program.nested((100, (w, [w])))[0, 0].item() == 900


OPTIONAL = """
struct Net[D] { a: float16[D, D]; o: float16[D, D]? }
fn read(n: Net[D]) -> float16[D, D]? { return n.o }
fn chosen(n: Net[D], c: bool) -> float16[D, D]? { return if c { n.o } else { none } }
fn handed(n: Net[D]) -> float16[D, D] { return _plus(n.a, n.o) }
fn _plus(a: float16[D, D], o: float16[D, D]?) -> float16[D, D] { return if o == none { a * 2 } else { a + o } }
"""


def test_a_matrix_that_is_not_there() -> None:
    program: Any = tensorlogic.compile(OPTIONAL)
    a = random(1, D, D).astype(mx.float16)
    without, filled = program.Net(a=a, o=None), program.Net(a=a, o=a)
    assert program.read(without) is program.chosen(without, True) is program.chosen(filled, False) is None
    assert mx.array_equal(program.read(filled), a)
    assert mx.array_equal(program.handed(without), a + a)
    assert mx.array_equal(program.handed(filled), a + a)


@HALVES
def test_weights_that_are_changed_in_place(dtype: mx.Dtype, program: Any) -> None:
    """As a loop that trains them does."""
    given = tensors(dtype)
    net = program.Net(**given)
    x = random(7, 3, D).astype(dtype)
    first = program.feed(x, net)
    given["up"][:] = 0
    assert mx.array_equal(program.feed(x, net), x)
    assert not mx.array_equal(first, x)


@HALVES
def test_a_model_s_matrices_are_its_memory(dtype: mx.Dtype, program: Any, tmp_path: Path) -> None:
    save_model(tensors(dtype), tmp_path / "m.safetensors")
    kind: Any = "float16" if dtype == mx.float16 else "bfloat16"
    model = load_model(tmp_path / "m.safetensors", dtype=kind)
    held = {name: model.get_tensor(name) for name in ("table", "up", "down", "norm", "stack")}
    net = program.Net.bind(model)
    assert all(getattr(net, name) is held[name] for name in ("table", "up", "down"))
    # What products alone read is kept; vectors and stacks are carried.
    assert (net.norm.dtype, net.stack.dtype) == (mx.float32, mx.float32)


def test_without_our_kernels_and_under_strict(program: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = driver.compile_text(PROGRAM, "net", driver.Options(strict=True)).python
    assert "tl.expanded(" not in exact
    given = tensors(mx.bfloat16)
    monkeypatch.setattr(kernels, "active", lambda: None)
    assert {program.Net(**given).up.dtype, program.Net(**given).norm.dtype} == {mx.float32}
