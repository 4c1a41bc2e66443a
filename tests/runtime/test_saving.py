"""Saving: what is read back is what was saved, by others' readers too, and a failure leaves the older file alone."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import safetensors
import safetensors.numpy

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.models import load_model, save_model
from tensorlogic.runtime.packed import Packed, Tensor, dense
from tests.models import SMOLLM2, model_path
from tests.runtime.model_files import random_blocks, write_gguf


def packed_model(folder: Path) -> Path:
    tensors: dict[str, Any] = {
        "a.weight": ("Q4_0", random_blocks("Q4_0", (3,), 64, seed=1)),
        "b": ("Q8_0", random_blocks("Q8_0", (2, 3), 32, seed=2, largest=60000.0)),
        "norm": np.arange(5, dtype=np.float32),
        "ids": np.arange(3),
    }
    return write_gguf(
        folder / "model.gguf", tensors, {"n": 3, "x": 0.5, "list": [1, 2], "kinds": ["a", "b"], "words": ["a"] * 300}
    )


def same(found: Tensor | None, expected: Tensor | None) -> bool:
    """Bit-equal, of the same element type and packed alike."""
    if found is None or expected is None:
        return found is expected
    if isinstance(found, Packed) and isinstance(expected, Packed):
        fields = ("layout", "shape", "dtype")
        parts = ("weight", "scales", "biases")
        alike = all(getattr(found, field) == getattr(expected, field) for field in fields)
        return alike and all(same(getattr(found, part), getattr(expected, part)) for part in parts)
    assert isinstance(found, mx.array)
    assert isinstance(expected, mx.array)
    return found.dtype == expected.dtype and bool(mx.array_equal(found, expected, equal_nan=True))


def refusal(tensors: Any, path: Path, code: str = "TL4012") -> str:
    with pytest.raises(ModelFileError) as caught:
        save_model(tensors, path)
    assert caught.value.code == code
    assert str(path) in caught.value.message
    return str(caught.value)


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16, mx.float32])
def test_floats_read_back_bit_equal(tmp_path: Path, dtype: mx.Dtype) -> None:
    path = tmp_path / "a.safetensors"
    tensors = {
        "matrix": mx.random.normal((3, 5), key=mx.random.key(1)).astype(dtype),
        "scalar": mx.array(2.5, dtype),
        "none": mx.zeros((0, 3), dtype),
        "odd": mx.array([float("inf"), -0.0, float("nan")], dtype),
        "größe 😀\n": mx.ones((2,), dtype),
    }
    save_model(tensors, path)
    model = load_model(path, dtype="native")
    assert sorted(model.tensors) == sorted(tensors)
    assert all(same(model.get_tensor(name), tensor) for name, tensor in tensors.items())


def test_others_read_it(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    tensors = {
        "bytes": mx.array([1, 2, 3], mx.uint8),
        "mask": mx.array([True, False]),
        "turned": mx.arange(6).reshape(2, 3).T,
        "lazy": mx.ones((2, 2)) * 3,
        "half": mx.array([0.5], mx.float16),
    }
    save_model(tensors, path)
    found = safetensors.numpy.load_file(path)
    assert {name: (array.dtype.name, array.tolist()) for name, array in found.items()} == {
        name: (str(array.dtype).removeprefix("mlx.core.").replace("bool_", "bool"), array.tolist())
        for name, array in tensors.items()
    }
    theirs: Any = mx.load(str(path))
    assert all(mx.array_equal(theirs[name], tensors[name]) for name in tensors)
    with safetensors.safe_open(path, "numpy") as file:
        assert file.metadata() == {"format": "pt"}


def test_a_packed_model_reads_back_packed(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    model = load_model(packed_model(tmp_path), dtype="float32")
    save_model(model, path)
    again = load_model(path, dtype="float32")
    assert sorted(again.tensors) == sorted(model.tensors)
    assert all(same(again.get_tensor(name), model.get_tensor(name)) for name in model.tensors)
    keys = safetensors.numpy.load_file(path).keys()
    assert keys == {"a.weight", "a.scales", "a.biases", "b", "b.scales", "b.biases", "norm", "ids"}


def test_metadata_is_kept_but_for_vocabularies(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_model(load_model(packed_model(tmp_path), dtype="float32"), path)
    model = load_model(path)
    assert (model.int("n"), model.float("x"), model.ints("list")) == (3, 0.5, (1, 2))
    assert model.strings("kinds") == ("a", "b")
    assert (model.metadata.architecture, model.metadata.format) == ("test", "safetensors")
    assert model.string("format") == "mlx"
    assert "words" not in model.header.metadata


def test_dequantize_expands(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    model = load_model(packed_model(tmp_path), dtype="float32")
    save_model(model, path, dequantize=True)
    again = load_model(path, dtype="native")
    assert again.string("format") == "pt"
    assert all(same(again.get_tensor(name), dense(model.get_tensor(name))) for name in model.tensors)


def test_a_dense_save_of_a_packed_file_forgets_the_packing(tmp_path: Path) -> None:
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    save_model(load_model(packed_model(tmp_path), dtype="float32"), first)
    save_model(load_model(first, dtype="float32"), second, dequantize=True)
    assert load_model(second).header.tensors["a.weight"].storage == "F32"


def test_saving_over_the_file_that_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_model({"w": mx.arange(4)}, path)
    model = load_model(path)
    save_model(model, path)
    assert same(load_model(path).get_tensor("w"), mx.arange(4))


def test_equal_tensors_make_equal_bytes(tmp_path: Path) -> None:
    one, two = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    tensors = {"b": mx.ones(3), "a": mx.zeros(2, mx.float16)}
    save_model(tensors, one)
    save_model(dict(reversed(tensors.items())), two)
    assert one.read_bytes() == two.read_bytes()


def test_tensors_are_aligned(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_model({"a": mx.ones(3, mx.uint8), "b": mx.ones(3, mx.float16), "c": mx.ones(1), "d": mx.array(1)}, path)
    for info in load_model(path).header.tensors.values():
        assert info.offset % (info.nbytes // max(int(np.prod(info.shape)), 1)) == 0


def test_no_tensors_at_all(tmp_path: Path) -> None:
    save_model({}, tmp_path / "a.safetensors")
    assert load_model(tmp_path / "a.safetensors").tensors == ()


def test_what_cannot_be_saved_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    assert "`w` is a `list`" in refusal({"w": [1.0]}, path)
    assert "`w` is mlx.core.complex64" in refusal({"w": mx.array(1j)}, path)
    assert "__metadata__" in refusal({"__metadata__": mx.ones(1)}, path)
    assert "Unicode" in refusal({"\ud800": mx.ones(1)}, path)
    assert "the tensor name 3 is no text" in refusal({3: mx.ones(1)}, path)
    assert "a `list` is neither a model" in refusal([mx.ones(1)], path)
    assert ".safetensors" in refusal({"w": mx.ones(1)}, tmp_path / "a.bin")
    assert ".gguf" in refusal({"w": mx.ones(1)}, tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_two_tensors_of_one_name(tmp_path: Path) -> None:
    tensor = load_model(packed_model(tmp_path)).get_tensor("a.weight")
    for tensors in ({"x.weight": tensor, "x.scales": mx.ones(1)}, {"x.scales": mx.ones(1), "x.weight": tensor}):
        assert "`x.scales`" in refusal(tensors, tmp_path / "a.safetensors")


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    tensors = {"w": mx.ones(1)}
    refusal(tensors, tmp_path / "no" / "folder.safetensors")
    refusal(tensors, tmp_path / ("x" * 300 + ".safetensors"))
    refusal(tensors, tmp_path / "nul\0.safetensors")
    (tmp_path / "folder.safetensors").mkdir()
    os.mkfifo(tmp_path / "pipe.safetensors")
    assert "no regular file" in refusal(tensors, tmp_path / "folder.safetensors")
    assert "no regular file" in refusal(tensors, tmp_path / "pipe.safetensors")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.safetensors", "pipe.safetensors"]


@pytest.mark.parametrize("step", ["fsync", "replace", "chmod"])
def test_a_failure_leaves_the_older_file(tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.safetensors"
    save_model({"w": mx.arange(4)}, path)
    older = path.read_bytes()

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, fail)
    assert "No space left" in refusal({"w": mx.arange(5)}, path)
    assert path.read_bytes() == older
    assert os.listdir(tmp_path) == ["a.safetensors"]


def test_an_interrupt_leaves_the_older_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.safetensors"
    save_model({"w": mx.arange(4)}, path)
    older = path.read_bytes()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        save_model({"w": mx.arange(5)}, path)
    assert path.read_bytes() == older
    assert os.listdir(tmp_path) == ["a.safetensors"]


def test_a_link_and_permissions_stay(tmp_path: Path) -> None:
    path, link = tmp_path / "a.safetensors", tmp_path / "link.safetensors"
    save_model({"w": mx.arange(4)}, path)
    path.chmod(0o640)
    link.symlink_to(path)
    save_model({"w": mx.arange(5)}, link)
    assert link.is_symlink()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert load_model(path).shape("w") == (5,)


def test_a_real_model_reads_back_bit_equal(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    model = load_model(model_path(SMOLLM2))
    save_model(model, path)
    again = load_model(path)
    assert all(same(again.get_tensor(name), model.get_tensor(name)) for name in model.tensors)
    theirs = safetensors.numpy.load_file(path)
    packed = sum(info.layout is not None for info in model.header.tensors.values())
    assert len(theirs) == len(model.tensors) + 2 * packed
    norm = model.get_tensor("output_norm.weight")
    assert isinstance(norm, mx.array)
    np.testing.assert_array_equal(theirs["output_norm.weight"], np.asarray(norm))
    assert json.loads(again.string("tensorlogic.quantization"))["token_embd.weight"] == [8, 32]


def test_layouts_that_mlx_does_not_have_are_saved_expanded(tmp_path: Path) -> None:
    """Groups of 16, which our CPU kernels multiply by and nobody else does."""
    blocks = random_blocks("Q6_K", (4,), 512, seed=3)
    model = load_model(write_gguf(tmp_path / "model.gguf", {"w": ("Q6_K", blocks)}))
    whole = model.get_tensor("w")
    assert isinstance(whole, Packed)
    save_model(model, tmp_path / "model.safetensors")
    with safetensors.safe_open(tmp_path / "model.safetensors", "np") as file:
        assert list(file.keys()) == ["w"]
        np.testing.assert_array_equal(file.get_tensor("w"), np.asarray(dense(whole)))
    save_model(model, tmp_path / "again.gguf")
    again = load_model(tmp_path / "again.gguf").get_tensor("w")
    np.testing.assert_array_equal(np.asarray(dense(again, mx.float32)), np.asarray(dense(whole, mx.float32)))
