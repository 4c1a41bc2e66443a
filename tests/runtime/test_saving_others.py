"""What `save_model` writes, others read: PyTorch, MLX and safetensors' own reader, bit for bit; and so do we."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import mlx.core as mx
import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from hypothesis import given, settings

from tensorlogic.runtime.models import FloatType, load_model, save_model
from tensorlogic.runtime.packed import Packed, dense
from tests.models import GEMMA3, MINILM, SMOLLM2, model_path
from tests.runtime.test_saving import same
from tests.runtime.test_saving_gguf import packed

OURS = (mx.float16, mx.bfloat16, mx.float32, mx.int32, mx.bool_)
"""The element types that the language has, so that they are loaded as they were saved."""
LOADED: dict[mx.Dtype, FloatType] = {mx.float16: "float16", mx.bfloat16: "bfloat16", mx.float32: "float32"}
THEIRS = {mx.uint8: "uint8", mx.int8: "int8", mx.int16: "int16", mx.uint32: "uint32", mx.int64: "int64"}

names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).filter(lambda n: n != "__metadata__")
dotted = st.lists(names, min_size=1, max_size=3).map(".".join)


@st.composite
def arrays(draw: st.DrawFn) -> mx.array:
    """Any bits of any type, of any rank, as they lie or as a view with strides."""
    shape = tuple(draw(st.lists(st.integers(0, 4), max_size=4)))
    dtype = draw(st.sampled_from([*OURS, *THEIRS]))
    count = int(np.prod(shape))
    raw = np.random.default_rng(draw(st.integers(0, 2**32))).integers(0, 256, count * dtype.size, dtype=np.uint8)
    if dtype == mx.bool_:
        raw &= 1
    array = mx.array(raw).view(dtype) if count else mx.zeros(0, dtype)
    array = array.reshape(shape)
    match draw(st.integers(0, 3)):
        case 0 if array.ndim > 1:
            return array.T
        case 1 if array.ndim:
            return array[::2]
        case 2 if array.ndim:
            return mx.broadcast_to(array, (2, *array.shape))
    return array


def bits(array: mx.array) -> tuple[Any, ...]:
    """An array's type, shape and bytes."""
    if array.size == 0:
        return array.dtype, array.shape, b""
    plain = mx.contiguous(array)
    return array.dtype, array.shape, bytes(np.asarray(plain.reshape(-1).view(mx.uint8)))


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(dotted, arrays(), max_size=5))
def test_any_arrays_come_back_bit_equal(tensors: dict[str, mx.array]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.safetensors"
        save_model(tensors, path)
        theirs = safetensors.torch.load_file(path)
        ours = load_model(path, dtype="native")
        assert theirs.keys() == tensors.keys() == set(ours.tensors)
        for name, array in tensors.items():
            dtype, shape, content = bits(array)
            found = theirs[name]
            assert str(found.dtype).removeprefix("torch.") == str(dtype).removeprefix("mlx.core.").removesuffix("_")
            assert (tuple(found.shape), _bytes(found)) == (shape, content)
            if dtype in OURS:
                again = ours.get_tensor(name)
                assert isinstance(again, mx.array)
                assert bits(again) == (dtype, shape, content)


def _bytes(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b""


@pytest.mark.parametrize(
    ("bits", "group", "mode"),
    [(4, 64, "affine"), (2, 32, "affine"), (6, 128, "affine"), (4, 32, "mxfp4"), (4, 16, "nvfp4"), (8, 32, "mxfp8")],
)
@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16, mx.float32])
def test_mlx_reads_packed_weights(tmp_path: Path, bits: int, group: int, mode: str, dtype: mx.Dtype) -> None:
    path = tmp_path / "a.safetensors"
    # An odd number of groups, so that byte scales would put what follows at odd places.
    weights = {
        f"{name}.weight": packed(mx.random.normal((3, 128), key=mx.random.key(i)).astype(dtype), bits, group, mode)
        for i, name in enumerate("ab")
    }
    save_model({**weights, "half": mx.ones(3, mx.float16)}, path)
    theirs: Any = mx.load(str(path))
    assert safetensors.torch.load_file(path).keys() == theirs.keys()
    for name, weight in weights.items():
        stem = name.removesuffix("weight")
        assert (stem + "biases" in theirs) == (mode == "affine")
        expanded = mx.dequantize(
            theirs[name],
            theirs[stem + "scales"],
            theirs.get(stem + "biases"),
            group_size=group,
            bits=bits,
            mode=mode,
        )
        expected = mx.dequantize(weight.weight, weight.scales, weight.biases, group_size=group, bits=bits, mode=mode)
        assert mx.array_equal(expanded, expected)
    with safetensors.safe_open(path, "numpy") as file:
        noted = json.loads(file.metadata()["tensorlogic.quantization"])
    assert noted["a.weight"] == ([bits, group] if mode == "affine" else [bits, group, mode])


@pytest.mark.parametrize(("bits", "group", "mode"), [(4, 64, "affine"), (4, 32, "mxfp4"), (4, 16, "nvfp4")])
@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16, mx.float32])
def test_packed_weights_come_back(tmp_path: Path, bits: int, group: int, mode: str, dtype: mx.Dtype) -> None:
    path = tmp_path / "a.safetensors"
    weight = packed(mx.random.normal((3, 128), key=mx.random.key(1)).astype(dtype), bits, group, mode)
    save_model({"a.weight": weight}, path)
    # Scales of one byte say nothing of the type that they were made for.
    again = load_model(path, dtype=LOADED[dtype]).get_tensor("a.weight")
    assert isinstance(again, Packed)
    assert same(again, weight)
    assert mx.array_equal(dense(again), dense(weight))


def test_old_notes_are_read(tmp_path: Path) -> None:
    """A file of a version that noted no modes."""
    weight = packed(mx.random.normal((3, 128), key=mx.random.key(1)), 4, 64)
    assert weight.biases is not None
    tensors = {"w": np.asarray(weight.weight), "w.scales": np.asarray(weight.scales)}
    tensors["w.biases"] = np.asarray(weight.biases)
    note = {"tensorlogic.quantization": '{"w":[4,64]}'}
    safetensors.numpy.save_file(tensors, tmp_path / "a.safetensors", note)
    again = load_model(tmp_path / "a.safetensors", dtype="native").get_tensor("w")
    assert same(again, weight)


PEAK = """
import resource, sys
import mlx.core as mx
from tensorlogic.runtime.models import load_model, save_model

model = load_model(sys.argv[1])
model.get_tensor("w.0.weight")
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
save_model(model, sys.argv[2], dequantize=True)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize("ending", ["safetensors", "gguf"])
def test_memory_holds_one_tensor_at_a_time(tmp_path: Path, ending: str) -> None:
    """Expanded, each of 24 tensors has 4 MB in float16, and twice that in float32 for a moment."""
    weights = {f"w.{i}.weight": packed(mx.random.normal((1024, 2048), key=mx.random.key(i)), 4, 64) for i in range(24)}
    source, target = tmp_path / "a.safetensors", tmp_path / f"b.{ending}"
    save_model(weights, source)
    done = subprocess.run([sys.executable, "-c", PEAK, source, target], capture_output=True, text=True, check=True)
    assert target.stat().st_size > 96_000_000
    assert int(done.stdout) < 48_000


@pytest.mark.parametrize("name", [SMOLLM2, GEMMA3])
def test_a_quantized_model_comes_back_bit_equal(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.safetensors"
    model = load_model(model_path(name))
    readable = [name for name, info in model.header.tensors.items() if info.readable]
    save_model({name: model.get_tensor(name) for name in readable}, path)
    again = load_model(path)
    assert sorted(again.tensors) == sorted(readable)
    for name in readable:
        before = model.get_tensor(name)
        # What MLX has no layout for is saved as the floats that it is.
        is_foreign = isinstance(before, Packed) and not before.layout.is_mlx
        assert same(again.get_tensor(name), dense(before) if is_foreign else before)


def test_minilm_comes_back_bit_equal(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    model = load_model(model_path(MINILM), dtype="native")
    save_model(model, path)
    again = load_model(path, dtype="native")
    assert all(same(again.get_tensor(name), model.get_tensor(name)) for name in model.tensors)
    old, new = (safetensors.torch.load_file(p) for p in (model_path(MINILM) / "model.safetensors", path))
    assert old.keys() == new.keys()
    assert all(torch.equal(new[name].to(tensor.dtype), tensor) for name, tensor in old.items())
