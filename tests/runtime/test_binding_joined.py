"""Weights of one left side are joined when a struct is bound: once in memory, one product, the same fields."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import gguf
import mlx.core as mx
import numpy as np
import pytest

import tensorlogic
from tensorlogic.runtime import kernels
from tensorlogic.runtime.joining import joined_already
from tensorlogic.runtime.models import FloatType, Model, load_model
from tensorlogic.runtime.packed import Packed, Tensor, dense
from tensorlogic.runtime.saving import save_model
from tests.runtime.model_files import write_gguf

PROGRAM = """
struct Layer<T: float>[D, F, O] { q: T[F, D]; k: T[O, D]; v: T[O, D]; gate: T[F, D]; up: T[F, D]; extra: T[O, D]? }
struct Net<T: float>[D, F, O] { layers: [Layer<T>[D, F, O]] = "blk.{i}" }
fn attend<T: float>(x: T[N, D], l: Layer<T>[D, F, O]) -> (T[N, F], T[N, O], T[N, O]) {
    return (x @ l.q.T, x @ l.k.T, x @ l.v.T)
}
fn feed<T: float>(x: T[N, D], l: Layer<T>[D, F, O]) -> T[N, F] {
    let h = rms_norm(x)
    return silu(h @ l.gate.T) * (h @ l.up.T)
}
fn run<T: float>(x: T[N, D], net: Net<T>[D, 4*O, O]) -> T[N, 4*O] {
    let (q, k, v) = attend(x, net.layers[0])
    return feed(x, net.layers[0]) + q + concat([k, v, k, v], axis: 1)
}
"""
D, F, SMALL = 64, 96, 24
ROWS = {"q": F, "k": SMALL, "v": SMALL, "gate": F, "up": F}


@pytest.fixture(scope="module")
def program() -> Any:
    return tensorlogic.compile(PROGRAM, "net")


@pytest.fixture
def by_mlx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "active", lambda: None)


def folder(path: Path, dtype: FloatType = "float32", changed: dict[str, mx.Dtype] | None = None) -> Model:
    tensors = {
        f"blk.{i}.{name}": (mx.random.normal((rows, D), key=mx.random.key(rows + i)) * 0.1).astype(
            (changed or {}).get(name, mx.float32)
        )
        for i in range(2)
        for name, rows in ROWS.items()
    }
    save_model(tensors, path / "m.safetensors")
    return load_model(path / "m.safetensors", dtype=dtype)


def blocks(path: Path, kinds: dict[str, str]) -> Model:
    random, tensors = np.random.default_rng(1), {}
    for i in range(2):
        for name, rows in ROWS.items():
            kind = kinds.get(name, "Q8_0")
            values = random.normal(0, 0.1, (rows, D)).astype(np.float32)
            tensors[f"blk.{i}.{name}"] = kind, gguf.quants.quantize(values, gguf.GGMLQuantizationType[kind])
    return load_model(write_gguf(path / "m.gguf", tensors))


def parts(layer: Any, *names: str) -> list[Tensor]:
    return [getattr(layer, name) for name in names]


def values(net: Any) -> list[Any]:
    """Every weight, in float32."""
    return [np.asarray(dense(w, mx.float32)) for layer in net.layers for w in parts(layer, *ROWS)]


def products(array: mx.array) -> list[str]:
    """The kinds of products in the array's graph."""
    text = io.StringIO()
    mx.export_to_dot(text, array)
    lines = [line for line in text.getvalue().splitlines() if "shape=rectangle" in line]
    labels = [line.split('label ="')[1].split('"')[0] for line in lines]
    return [label for label in labels if "Mat" in label or "Chain" in label]


def expected(net: Any, x: mx.array) -> Any:
    q, k, v, gate, up = values(net)[:5]
    left = np.asarray(x.astype(mx.float32))
    h = left / np.sqrt(np.mean(left * left, axis=-1, keepdims=True) + 1e-5)
    g = h @ gate.T
    mixed = np.concatenate([left @ k.T, left @ v.T, left @ k.T, left @ v.T], axis=1)
    return g / (1 + np.exp(-g)) * (h @ up.T) + left @ q.T + mixed


@pytest.mark.parametrize("kind", ["float32", "float16", "bfloat16", "Q8_0"])
def test_one_product_of_several(kind: str, program: Any, tmp_path: Path, by_mlx: None) -> None:
    dtype: Any = "float16" if kind == "Q8_0" else kind
    model = blocks(tmp_path, {}) if kind == "Q8_0" else folder(tmp_path, dtype)
    before = {name: np.asarray(dense(model.get_tensor(name), mx.float32)) for name in model.tensors}
    net = program.Net.bind(model)
    for i, layer in enumerate(net.layers):
        for names in (("q", "k", "v"), ("gate", "up")):
            whole = joined_already(parts(layer, *names))
            assert whole is not None
            assert whole.shape == (sum(ROWS[name] for name in names), D)
        for name, rows in ROWS.items():
            weight = getattr(layer, name)
            assert weight.shape == (rows, D)
            assert np.array_equal(np.asarray(dense(weight, mx.float32)), before[f"blk.{i}.{name}"])
    x = mx.random.normal((3, D), key=mx.random.key(5)).astype(getattr(mx, dtype))
    found = program.run(x, net)
    assert products(found) == (["QuantizedMatmul"] if kind == "Q8_0" else ["Matmul"]) * 2
    near = {"float32": 1e-4, "float16": 2e-2, "bfloat16": 2e-1}[dtype]
    np.testing.assert_allclose(np.asarray(found.astype(mx.float32)), expected(net, x), rtol=near / 5, atol=near)


@pytest.mark.parametrize("kind", ["float32", "Q8_0"])
def test_weights_take_their_memory_once(kind: str, program: Any, tmp_path: Path, by_mlx: None) -> None:
    model = blocks(tmp_path, {}) if kind == "Q8_0" else folder(tmp_path)
    net = program.Net.bind(model)
    for layer in net.layers:
        whole = joined_already(parts(layer, "q", "k", "v"))
        assert whole is not None
        for name in ("weight", "scales", "biases") if isinstance(whole, Packed) else ("",):
            arrays: list[Any] = [getattr(w, name) if name else w for w in (*parts(layer, "q", "k", "v"), whole)]
            begins, nbytes = [address(array) for array in arrays], [array.nbytes for array in arrays]
            assert begins == [begins[0], begins[0] + nbytes[0], begins[0] + nbytes[0] + nbytes[1], begins[0]]
            assert sum(nbytes[:3]) == nbytes[3]
    # Another struct of the same model has the same weights.
    again = program.Net.bind(model)
    assert all(a is b for a, b in zip(parts(net.layers[1], *ROWS), parts(again.layers[1], *ROWS), strict=True))


def address(array: mx.array) -> int:
    """Where an array of 32-bit or 16-bit numbers lies."""
    found: int = np.asarray(array).__array_interface__["data"][0]
    return found


def test_with_our_kernels_weights_stay_where_they_lie(program: Any, tmp_path: Path) -> None:
    net = program.Net.bind(folder(tmp_path))
    assert joined_already(parts(net.layers[0], "q", "k", "v")) is None
    x = mx.random.normal((3, D), key=mx.random.key(5))
    found = program.run(x, net)
    assert products(found) == ["TensorLogicChain"] * 2
    np.testing.assert_allclose(np.asarray(found), expected(net, x), rtol=1e-5, atol=1e-4)


def test_weights_that_do_not_go_together_stay_apart(program: Any, tmp_path: Path, by_mlx: None) -> None:
    net = program.Net.bind(blocks(tmp_path, {"k": "Q4_1"}))
    assert joined_already(parts(net.layers[0], "q", "k", "v")) is None
    assert isinstance(joined_already(parts(net.layers[0], "gate", "up")), Packed)
    x = mx.random.normal((3, D), key=mx.random.key(5)).astype(mx.float16)
    found = program.run(x, net)
    assert products(found) == ["QuantizedMatmul"] * 4
    np.testing.assert_allclose(np.asarray(found.astype(mx.float32)), expected(net, x), rtol=5e-3, atol=2e-2)


def test_a_struct_that_python_makes_is_left_as_it_is(program: Any, by_mlx: None) -> None:
    given = {name: mx.random.normal((rows, D), key=mx.random.key(rows)) * 0.1 for name, rows in ROWS.items()}
    net = program.Net(layers=(program.Layer(**given),))
    x = mx.random.normal((3, D), key=mx.random.key(5))
    for _ in range(2):
        found = program.run(x, net)
        assert products(found) == ["Matmul"] * 5
        np.testing.assert_allclose(np.asarray(found), expected(net, x), rtol=1e-5, atol=1e-4)
    assert net.layers[0].q is given["q"]
    assert joined_already(list(given.values())[:3]) is None
