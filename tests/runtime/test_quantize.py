"""`quantize` in programs: it gives a packed weight wherever one may be, and an array of its values elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

import tensorlogic
from tensorlogic.compiler.driver import Options, compile_text
from tensorlogic.runtime.formats.header import PackedLayout
from tensorlogic.runtime.models import load_model
from tensorlogic.runtime.packed import Packed, dense, quantize
from tensorlogic.runtime.script import run

PROGRAM = """
struct Net<T: float>[O, I] { weight: T[O, I] = "weight" }
fn packed<T: float>(n: Net<T>[O, I]) -> Net<T>[O, I] where I % 64 == 0 { return Net(weight: quantize(n.weight)) }
fn product(x: float16[N, I], w: float16[O, I]) -> float16[N, O] where I % 32 == 0 {
    return x @ quantize(w, bits: 8, group: 32).T
}
fn values<T: float>(w: T[...B, O, I]) -> T[...B, O, I] where I % 64 == 0 { return quantize(w) }
"""


@pytest.fixture(scope="module")
def program() -> Any:
    return tensorlogic.compile(PROGRAM)


def weight(*shape: int, dtype: mx.Dtype = mx.float16) -> mx.array:
    return mx.random.normal(shape, key=mx.random.key(3)).astype(dtype)


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16, mx.float32])
def test_a_struct_keeps_it_packed_in_its_own_type(program: Any, dtype: mx.Dtype) -> None:
    w = weight(6, 128, dtype=dtype)
    found = program.packed(program.Net(weight=w)).weight
    assert isinstance(found, Packed)
    assert (found.layout, found.shape, found.dtype) == (PackedLayout(4, 64), (6, 128), dtype)
    words, scales, biases = mx.quantize(w, group_size=64, bits=4)
    assert found.biases is not None
    for part, expected in ((found.weight, words), (found.scales, scales), (found.biases, biases)):
        assert part.dtype == expected.dtype
        assert mx.array_equal(part, expected)


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16, mx.float32])
def test_elsewhere_it_is_an_array(program: Any, dtype: mx.Dtype) -> None:
    w = weight(2, 6, 128, dtype=dtype)
    found = program.values(w)
    assert isinstance(found, mx.array)
    assert found.dtype == dtype
    assert mx.array_equal(found, dense(quantize(w, 4, 64, dtype)))


def test_a_product_uses_the_packed_bits(program: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    w, x = weight(6, 96), weight(3, 96)
    expected = np.asarray(x.astype(mx.float32) @ dense(quantize(w, 8, 32, mx.float16), mx.float32).T)

    def refuse(*_: object, **options: object) -> None:
        pytest.fail("the weight is expanded")

    monkeypatch.setattr(mx, "dequantize", refuse)
    np.testing.assert_allclose(np.asarray(program.product(x, w)), expected, rtol=2e-3, atol=2e-2)


def test_a_standalone_module_has_the_values(program: Any) -> None:
    python = compile_text(PROGRAM, "a.tl", Options(standalone=True)).python
    namespace: dict[str, Any] = {"__name__": __name__}
    assert python is not None
    exec(compile(python, "alone", "exec"), namespace)
    w = weight(6, 128)
    assert mx.array_equal(namespace["values"](w), program.values(w))


@pytest.mark.parametrize("ending", ["safetensors", "gguf"])
def test_a_script_saves_it_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str) -> None:
    monkeypatch.chdir(tmp_path)
    program = 'struct Net { w: float16[4, 64] = "w" }\n'
    program += f'save_model(Net(w: quantize(random_normal([4, 64], key: 1), group: 32)), "a.{ending}")'
    python = compile_text(program, "a.tl").python
    assert python is not None
    run(python, "a.tl", [])
    info = load_model(tmp_path / f"a.{ending}").header.tensors["w"]
    assert info.layout == PackedLayout(4, 32)
