"""Saving as GGUF: the format's own reader accepts the file, blocks come back byte for byte, and nothing is rounded."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import gguf
import mlx.core as mx
import numpy as np
import pytest

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats.header import PackedLayout
from tensorlogic.runtime.models import load_model, save_model
from tensorlogic.runtime.packed import Packed, dense
from tests.models import GEMMA3, SMOLLM2, model_path
from tests.runtime.model_files import Array, random_blocks, write_gguf

SEED = np.random.default_rng(7)


def theirs(path: Path) -> dict[str, Any]:
    """The tensors of a file by GGUF's own reader."""
    return {tensor.name: tensor for tensor in gguf.GGUFReader(path).tensors}


def values(tensor: Any) -> Array:
    """A tensor's elements as GGUF's own library expands them, in PyTorch's order of dims."""
    found: Array = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
    return found


def fields(path: Path) -> dict[str, tuple[list[Any], Any]]:
    """The metadata of a file by GGUF's own reader: types and values."""
    found = gguf.GGUFReader(path).fields
    return {k: (list(f.types), f.contents()) for k, f in found.items() if not k.startswith("GGUF.")}


def packed(weight: mx.array, bits: int, group: int, mode: str = "affine") -> Packed:
    words, scales, *biases = mx.quantize(weight, group_size=group, bits=bits, mode=mode)
    layout = PackedLayout(bits, group, mode)
    return Packed(words, scales, biases[0] if biases else None, layout, weight.shape, weight.dtype)


def source(folder: Path) -> Path:
    tensors: dict[str, Any] = {
        "a.weight": ("Q4_0", random_blocks("Q4_0", (3,), 64, seed=1)),
        "b.weight": ("Q4_1", random_blocks("Q4_1", (2, 3), 32, seed=2)),
        "c.weight": ("Q8_0", random_blocks("Q8_0", (5,), 96, seed=3)),
        "k.weight": ("Q6_K", np.arange(420, dtype=np.uint32).astype(np.uint8).reshape(2, 210)),
        "norm": np.linspace(0, 1, 5, dtype=np.float32),
        "ids": np.arange(3),
    }
    metadata: dict[str, Any] = {"n": 3, "x": 0.1, "list": [1, -2], "words": ["a", "größe"], "scores": [0.5, 1.5]}
    return write_gguf(folder / "model.gguf", tensors, metadata)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "native"])
def test_a_gguf_model_is_copied_with_its_metadata(tmp_path: Path, dtype: Any) -> None:
    path = tmp_path / "again.gguf"
    save_model(load_model(source(tmp_path), dtype=dtype), path)
    assert fields(path) == fields(source(tmp_path))
    old, new = theirs(source(tmp_path)), theirs(path)
    assert list(new) == list(old)
    for name, tensor in old.items():
        assert new[name].tensor_type == tensor.tensor_type
        np.testing.assert_array_equal(new[name].data, tensor.data)


def test_a_model_that_became_empty_is_an_error(tmp_path: Path) -> None:
    model = load_model(source(tmp_path))
    os.truncate(tmp_path / "model.gguf", 0)
    with pytest.raises(ModelFileError, match="became empty") as caught:
        save_model(model, tmp_path / "again.gguf")
    assert caught.value.code == "TL4003"


def test_another_alignment_stays(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "old.gguf", "test")
    writer.add_custom_alignment(64)
    for name in ("a", "b"):
        writer.add_tensor(name, np.ones(3, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    save_model(load_model(tmp_path / "old.gguf"), tmp_path / "new.gguf")
    assert (tmp_path / "new.gguf").read_bytes() == (tmp_path / "old.gguf").read_bytes()


@pytest.mark.parametrize("storage", ["Q4_0", "Q4_1", "Q8_0"])
def test_blocks_come_back_through_safetensors(tmp_path: Path, storage: str) -> None:
    blocks = random_blocks(storage, (70, 5), 160, seed=4, largest=8.0)
    write_gguf(tmp_path / "old.gguf", {"w": (storage, blocks)})
    save_model(load_model(tmp_path / "old.gguf"), tmp_path / "a.safetensors")
    save_model(load_model(tmp_path / "a.safetensors"), tmp_path / "new.gguf")
    tensor = theirs(tmp_path / "new.gguf")["w"]
    assert tensor.tensor_type.name == storage
    np.testing.assert_array_equal(tensor.data, blocks)


@pytest.mark.parametrize(
    ("bits", "group", "storage"),
    [(2, 32, "Q4_1"), (3, 64, "Q4_1"), (4, 32, "Q4_1"), (4, 64, "Q4_1"), (4, 128, "Q4_1"), (5, 64, "Q5_1")],
)
@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16])
def test_what_mlx_packed_keeps_its_values(tmp_path: Path, bits: int, group: int, storage: str, dtype: mx.Dtype) -> None:
    weight = packed(mx.array(SEED.standard_normal((3, 7, 256))).astype(dtype), bits, group)
    save_model({"w": weight}, tmp_path / "a.gguf")
    tensor = theirs(tmp_path / "a.gguf")["w"]
    assert tensor.tensor_type.name == storage
    np.testing.assert_array_equal(values(tensor), np.asarray(dense(weight, mx.float32)))


@pytest.mark.parametrize(("bits", "storage"), [(4, "Q4_0"), (5, "Q5_0"), (8, "Q8_0")])
def test_a_bias_of_the_middle_makes_symmetric_blocks(tmp_path: Path, bits: int, storage: str) -> None:
    words = mx.array(SEED.integers(0, 2**32, (6, 64 * bits // 32), dtype=np.uint32))
    scales = mx.array(SEED.standard_normal((6, 2))).astype(mx.float16)
    layout = PackedLayout(bits, 32)
    weight = Packed(words, scales, scales * -(2.0 ** (bits - 1)), layout, (6, 64), mx.float16)
    save_model({"w": weight}, tmp_path / "a.gguf")
    tensor = theirs(tmp_path / "a.gguf")["w"]
    assert tensor.tensor_type.name == storage
    np.testing.assert_array_equal(values(tensor), np.asarray(dense(weight, mx.float32)))


def test_small_floats_keep_their_blocks(tmp_path: Path) -> None:
    weight = packed(mx.array(SEED.standard_normal((6, 64))).astype(mx.float16), 4, 32, "mxfp4")
    save_model({"w": weight}, tmp_path / "a.gguf")
    tensor = theirs(tmp_path / "a.gguf")["w"]
    assert tensor.tensor_type.name == "MXFP4"
    np.testing.assert_array_equal(values(tensor), np.asarray(dense(weight, mx.float32)))


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def test_what_has_no_blocks_is_expanded_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    weight = mx.array(SEED.standard_normal((6, 64))).astype(mx.float16)
    wide = packed(weight.astype(mx.float32) * 1e5, 8, 64)
    tensors = {"six": packed(weight, 6, 32), "eight": packed(weight, 8, 32), "wide": wide}
    save_model(tensors, tmp_path / "a.gguf")
    found = theirs(tmp_path / "a.gguf")
    assert {name: tensor.tensor_type.name for name, tensor in found.items()} == {
        "six": "F16",
        "eight": "F16",
        "wide": "F32",
    }
    np.testing.assert_array_equal(found["six"].data, np.asarray(dense(tensors["six"], mx.float16)))
    np.testing.assert_array_equal(found["wide"].data, np.asarray(dense(wide, mx.float32)))
    (line,) = told(caplog)
    assert "3 packed tensors were expanded to F16 and F32" in line
    assert "`six`, `eight`, `wide`" in line


def test_dequantize_expands_all(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tensors: dict[str, Any] = {"w": ("Q4_0", random_blocks("Q4_0", (3,), 64, seed=1)), "n": np.ones(4, np.float32)}
    old = write_gguf(tmp_path / "old.gguf", tensors, {"general.file_type": 2})
    save_model(load_model(old), tmp_path / "a.gguf", dequantize=True)
    save_model(load_model(old, dequantize=True), tmp_path / "b.gguf")
    for name in "ab":
        found = theirs(tmp_path / f"{name}.gguf")
        assert found["w"].tensor_type.name == "F16"
        np.testing.assert_array_equal(found["w"].data, np.asarray(load_model(old, dequantize=True).get_tensor("w")))
        assert "general.file_type" not in fields(tmp_path / f"{name}.gguf")
    assert told(caplog) == []


def test_dense_tensors_of_every_type(tmp_path: Path) -> None:
    tensors = {
        "half": mx.array([[0.1, 2.0]], mx.float16),
        "brain": mx.array([[0.1, 2.0]], mx.bfloat16),
        "float": mx.array([[0.1, 2.0]], mx.float32),
        "norm": mx.array([0.1, 2.0], mx.bfloat16),
        "scalar": mx.array(0.1, mx.float16),
        "turned": mx.arange(6, dtype=mx.float32).reshape(2, 3).T,
        "bytes": mx.array([1, 255], mx.uint8),
        "words": mx.array([2**32 - 1], mx.uint32),
        "mask": mx.array([True, False]),
        "größe 😀": mx.ones((2, 2, 2, 2)),
    }
    save_model(tensors, tmp_path / "a.gguf")
    found = theirs(tmp_path / "a.gguf")
    assert {name: tensor.tensor_type.name for name, tensor in found.items()} == {
        "half": "F16",
        "brain": "BF16",
        "float": "F32",
        "norm": "F32",
        "scalar": "F32",
        "turned": "F32",
        "bytes": "I16",
        "words": "I64",
        "mask": "I8",
        "größe 😀": "F32",
    }
    model = load_model(tmp_path / "a.gguf", dtype="native")
    for name, tensor in tensors.items():
        if name != "words":
            again = model.get_tensor(name)
            assert isinstance(again, mx.array)
            assert again.shape == tensor.shape
            assert mx.array_equal(again.astype(mx.float32), tensor.astype(mx.float32))
    assert found["words"].data.tolist() == [2**32 - 1]


def test_metadata_of_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "tiny-model"
    folder.mkdir()
    save_model({"w": mx.ones((2, 2))}, folder / "model.safetensors")
    config = '{"model_type": "bert", "size": 384, "eps": 1e-12, "half": 0.5, "big": 5000000000, "low": -1, "on": true, '
    config += '"ids": [1, 2], "mixed": [1, 2.5], "names": ["a"], "odd": ["a", 1], "none": [], "rope": {"base": 1e4}}'
    (folder / "config.json").write_text(config)
    save_model(load_model(folder), tmp_path / "a.gguf")
    kind = gguf.GGUFValueType
    assert fields(tmp_path / "a.gguf") == {
        "general.architecture": ([kind.STRING], "bert"),
        "general.name": ([kind.STRING], "tiny-model"),
        "general.quantization_version": ([kind.UINT32], 2),
        "model_type": ([kind.STRING], "bert"),
        "size": ([kind.UINT32], 384),
        "eps": ([kind.FLOAT64], 1e-12),
        "half": ([kind.FLOAT32], 0.5),
        "big": ([kind.INT64], 5000000000),
        "low": ([kind.INT64], -1),
        "on": ([kind.BOOL], True),
        "ids": ([kind.ARRAY, kind.UINT32], [1, 2]),
        "mixed": ([kind.ARRAY, kind.FLOAT32], [1, 2.5]),
        "names": ([kind.ARRAY, kind.STRING], ["a"]),
        "odd": ([kind.STRING], '["a", 1]'),
        "none": ([kind.ARRAY], []),
        "rope.base": ([kind.FLOAT32], 10000.0),
    }
    model = load_model(tmp_path / "a.gguf")
    assert (model.int("size"), model.metadata.architecture) == (384, "bert")


def test_what_llama_cpp_does_not_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    refused = {
        "n" * 64: mx.ones(1),
        "deep": mx.ones((1, 1, 1, 1, 1)),
        "empty": mx.zeros((0, 3)),
        "wide": mx.array([1], mx.uint64),
    }
    for name, tensor in refused.items():
        with pytest.raises(ModelFileError) as caught:
            save_model({name: tensor}, path)
        assert caught.value.code == "TL4030"
        assert name in caught.value.message
    assert os.listdir(tmp_path) == []


def test_no_tensors_at_all(tmp_path: Path) -> None:
    save_model({}, tmp_path / "a.gguf")
    assert theirs(tmp_path / "a.gguf") == {}
    assert load_model(tmp_path / "a.gguf").tensors == ()


def test_saving_over_the_file_that_is_loaded(tmp_path: Path) -> None:
    path = source(tmp_path)
    older = {name: bytes(tensor.data) for name, tensor in theirs(path).items()}
    model = load_model(path)
    save_model(model, path)
    assert {name: bytes(tensor.data) for name, tensor in theirs(path).items()} == older
    assert load_model(path).int("n") == 3


def test_a_real_model_comes_back_block_equal_through_safetensors(tmp_path: Path) -> None:
    old = model_path(SMOLLM2)
    save_model(load_model(old), tmp_path / "a.safetensors")
    save_model(load_model(tmp_path / "a.safetensors"), tmp_path / "b.gguf")
    found = theirs(tmp_path / "b.gguf")
    for name, tensor in theirs(old).items():
        assert found[name].tensor_type == tensor.tensor_type
        np.testing.assert_array_equal(found[name].data, tensor.data)


@pytest.mark.parametrize("name", [SMOLLM2, GEMMA3])
def test_a_real_model_is_copied(tmp_path: Path, name: str) -> None:
    """Every byte of it: types that MLX has no layout for, too."""
    old = model_path(name)
    save_model(load_model(old), tmp_path / "a.gguf")
    assert (tmp_path / "a.gguf").read_bytes() == old.read_bytes()
