"""Models as programs see them: tensors, element types, metadata, and clear refusals."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from safetensors.numpy import save_file

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.models import FloatType, Model, load_model
from tensorlogic.runtime.packed import Packed, dense
from tests.models import SMOLLM2, model_path
from tests.runtime.model_files import (
    expanded,
    gguf_bytes,
    gguf_entry,
    random_blocks,
    safetensors_bytes,
    write_gguf,
)

MATRIX = np.arange(6, dtype=np.float32).reshape(2, 3) / 8


def refusal(model: Model, name: str) -> ModelFileError:
    with pytest.raises(ModelFileError) as caught:
        model.get_tensor(name)
    assert str(model.header.path) in caught.value.message
    return caught.value


def array(model: Model, name: str) -> mx.array:
    tensor = model.get_tensor(name)
    assert isinstance(tensor, mx.array)
    return tensor


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """A GGUF file with a tensor of each kind."""
    tensors: dict[str, Any] = {
        "f32": MATRIX,
        "f16": MATRIX.astype(np.float16),
        "f64": MATRIX.astype(np.float64),
        "bf16": ("BF16", (MATRIX.view(np.uint32) >> 16).astype(np.uint16)),
        "i64": np.array([1, -2, 3]),
        "q4": ("Q4_1", random_blocks("Q4_1", (4,), 64, seed=1)),
        "vector": ("Q8_0", random_blocks("Q8_0", (), 64, seed=2)),
    }
    return write_gguf(tmp_path / "mixed.gguf", tensors)


def test_names_shapes_and_presence(mixed: Path) -> None:
    model = load_model(mixed)
    assert model.tensors == ("f32", "f16", "f64", "bf16", "i64", "q4", "vector")
    assert model.has("q4")
    assert not model.has("q5")
    assert model.shape("q4") == (4, 64)
    assert repr(model) == f"Model({str(mixed)!r}, 7 tensors)"


@pytest.mark.parametrize("name", ["f32", "f16", "f64", "bf16"])
@pytest.mark.parametrize(
    ("dtype", "becomes"), [("float16", mx.float16), ("bfloat16", mx.bfloat16), ("float32", mx.float32)]
)
def test_floats_become_the_chosen_type(mixed: Path, name: str, dtype: FloatType, becomes: mx.Dtype) -> None:
    tensor = array(load_model(mixed, dtype=dtype), name)
    assert tensor.dtype == becomes
    np.testing.assert_array_equal(np.asarray(tensor.astype(mx.float32)), MATRIX)


def test_native_keeps_each_tensors_own_type(mixed: Path) -> None:
    model = load_model(mixed, dtype="native")
    kept = {name: model.get_tensor(name).dtype for name in ("f32", "f16", "bf16", "i64", "q4")}
    assert kept == {
        "f32": mx.float32,
        "f16": mx.float16,
        "bf16": mx.bfloat16,
        "i64": mx.int32,
        "q4": mx.float16,
    }
    error = refusal(model, "f64")
    assert error.code == "TL4004"
    assert "float32" in error.helps[0]


def test_default_is_float16_and_integers_are_int32(mixed: Path) -> None:
    model = load_model(mixed)
    assert array(model, "f32").dtype == mx.float16
    assert array(model, "i64").dtype == mx.int32
    assert array(model, "i64").tolist() == [1, -2, 3]


def test_another_type_is_refused(mixed: Path) -> None:
    for dtype in ("float64", "", 16):
        with pytest.raises(ModelFileError) as caught:
            load_model(mixed, dtype=dtype)  # type: ignore[arg-type]
        assert caught.value.code == "TL4013"


def test_quantized_weights_stay_packed(mixed: Path) -> None:
    model = load_model(mixed, dtype="bfloat16")
    packed = model.get_tensor("q4")
    assert isinstance(packed, Packed)
    assert (packed.shape, packed.dtype, packed.scales.dtype) == ((4, 64), mx.bfloat16, mx.float16)


def test_dequantize_expands(mixed: Path) -> None:
    tensor = array(load_model(mixed, dtype="float32", dequantize=True), "q4")
    np.testing.assert_array_equal(np.asarray(tensor), expanded("Q4_1", random_blocks("Q4_1", (4,), 64, seed=1)))


def test_a_quantized_vector_is_expanded(mixed: Path) -> None:
    tensor = array(load_model(mixed), "vector")
    values = expanded("Q8_0", random_blocks("Q8_0", (), 64, seed=2))
    np.testing.assert_array_equal(np.asarray(tensor), values.astype(np.float16))


def test_quantized_tensors_of_no_elements(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(gguf_bytes([gguf_entry("w", [64, 0], 2), gguf_entry("v", [0, 3], 8)]))
    model = load_model(path)
    assert (array(model, "w").shape, array(model, "v").shape) == ((0, 64), (3, 0))


def test_a_type_that_nothing_decodes_is_refused_by_name_when_used(tmp_path: Path) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(gguf_bytes([gguf_entry("good", [2]), gguf_entry("w", [256], 15, 32)], data=bytes(32 + 292)))
    model = load_model(path)
    assert array(model, "good").shape == (2,)
    error = refusal(model, "w")
    assert error.code == "TL4004"
    assert "`w` is stored as Q8_K, which neither MLX nor GGUF's library decodes" in error.message


@pytest.mark.parametrize(("storage", "nbytes"), [("F4", 2), ("F6_E2M3", 3), ("F6_E3M2", 3), ("C64", 32)])
def test_types_of_safetensors_that_are_only_named(tmp_path: Path, storage: str, nbytes: int) -> None:
    path = tmp_path / "a.safetensors"
    entries = {
        "w": {"dtype": storage, "shape": [4], "data_offsets": [0, nbytes]},
        "good": {"dtype": "F16", "shape": [1], "data_offsets": [nbytes, nbytes + 2]},
    }
    path.write_bytes(safetensors_bytes(entries, bytes(nbytes + 2)))
    model = load_model(path)
    assert array(model, "good").shape == (1,)
    error = refusal(model, "w")
    assert (error.code, f"stored as {storage}, which" in error.message) == ("TL4004", True)


def test_a_missing_name_offers_the_nearest(mixed: Path) -> None:
    model = load_model(mixed)
    error = refusal(model, "f23")
    assert error.code == "TL4005"
    assert "`f32`" in error.helps[0]
    assert refusal(model, "\x1b[31m" * 1000).helps == ()
    with pytest.raises(ModelFileError, match="holds no tensor"):
        model.shape("nothing")


def test_overflow_and_underflow(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"small": np.array([1e-9, 1, -1e-9]), "big": np.array([1e5, 1], np.float32)}, path)
    model = load_model(path)
    model.get_tensor("small")
    assert dict(model.underflows) == {"small": 2}
    assert refusal(model, "big").helps == ("load the model with `dtype: bfloat16`",)
    assert array(load_model(path, dtype="bfloat16"), "big").tolist() == [99840, 1]


def test_a_tensor_in_use_is_shared_and_another_released(mixed: Path) -> None:
    model = load_model(mixed)
    first, packed = model.get_tensor("f32"), model.get_tensor("q4")
    assert model.get_tensor("f32") is first
    assert model.get_tensor("q4") is packed
    del first, packed
    assert len(model._alive) == 0


def test_an_open_model_reads_the_file_it_opened(tmp_path: Path) -> None:
    path, other = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    save_file({"w": MATRIX}, path)
    save_file({"w": MATRIX * 2}, other)
    model = load_model(path)
    os.replace(other, path)
    np.testing.assert_array_equal(np.asarray(array(model, "w")), MATRIX)
    os.truncate(path, 10)
    np.testing.assert_array_equal(np.asarray(array(model, "w")), MATRIX)


def test_a_model_closes_its_file(mixed: Path) -> None:
    model = load_model(mixed)
    (file,) = model._files.values()
    assert not file.closed
    del model
    assert file.closed


def test_metadata(tmp_path: Path) -> None:
    values: dict[str, Any] = {"n": 7, "x": 0.5, "text": "7x", "list": [1, 2], "words": ["a"], "general.alignment": 32}
    path = write_gguf(tmp_path / "a.gguf", {"w": MATRIX}, values)
    model = load_model(path)
    assert (model.int("n"), model.float("x"), model.string("text"), model.ints("list")) == (7, 0.5, "7x", (1, 2))
    assert (model.strings("words"), model.strings("none", ["b", "c"])) == (("a",), ("b", "c"))
    assert model.float("n") == 7.0
    metadata = model.metadata
    assert (metadata.format, metadata.architecture, metadata.quantization) == ("gguf", "test", None)


@pytest.mark.parametrize(
    ("read", "key"),
    [
        ("int", "x"),
        ("int", "text"),
        ("int", "list"),
        ("float", "text"),
        ("float", "list"),
        ("string", "n"),
        ("string", "words"),
        ("bool", "n"),
        ("bool", "text"),
        ("ints", "n"),
        ("ints", "text"),
        ("ints", "words"),
        ("strings", "n"),
        ("strings", "text"),
        ("strings", "list"),
    ],
)
def test_metadata_of_another_type(tmp_path: Path, read: str, key: str) -> None:
    values: dict[str, Any] = {"n": 7, "x": 0.5, "text": "7x", "list": [1, 2], "words": ["a"]}
    model = load_model(write_gguf(tmp_path / "a.gguf", {"w": MATRIX}, values))
    with pytest.raises(ModelFileError) as caught:
        getattr(model, read)(key)
    assert caught.value.code == "TL4011"
    assert f"`{key}`" in caught.value.message


def test_metadata_that_is_not_there(tmp_path: Path) -> None:
    model = load_model(write_gguf(tmp_path / "a.gguf", {"w": MATRIX}, {"llama.block_count": 1}))
    with pytest.raises(ModelFileError) as caught:
        model.int("lama.block_count")
    assert caught.value.code == "TL4010"
    assert "`llama.block_count`" in caught.value.helps[0]


def test_text_of_safetensors_is_read_as_numbers(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    texts = {"n": "-12", "x": "1e-05", "y": "2.5", "l": "[1, -2]", "none": "[]", "yes": "true", "bad": "12 apples"}
    texts |= {"words": '["a", "\\u00e9, \\"b\\""]', "mixed": '["a", 1]', "half": '["\\ud800"]', "deep": "[" * 100_000}
    save_file({"w": MATRIX}, path, metadata=texts)
    model = load_model(path)
    assert (model.int("n"), model.float("x"), model.float("y"), model.float("n")) == (-12, 1e-5, 2.5, -12.0)
    assert (model.ints("l"), model.ints("none"), model.bool("yes")) == ((1, -2), (), True)
    assert (model.strings("words"), model.strings("none")) == (("a", 'é, "b"'), ())
    for read in (model.int, model.float, model.ints, model.bool, model.strings):
        with pytest.raises(ModelFileError, match="`bad`"):
            read("bad")
    for key in ("n", "l", "yes", "mixed", "half", "deep"):
        with pytest.raises(ModelFileError, match=f"`{key}`.* and not a list of strings"):
            model.strings(key)


def test_a_folders_configuration_is_metadata(tmp_path: Path) -> None:
    save_file({"w": MATRIX}, tmp_path / "model.safetensors")
    config = {"model_type": "bert", "num_attention_heads": 12, "flag": True, "sizes": [1, 2.5]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    model = load_model(tmp_path)
    assert model.int("num_attention_heads") == 12
    assert model.metadata.architecture == "bert"
    assert (model.bool("flag"), model.bool("no", False)) == (True, False)
    for read in (model.int, model.float):
        with pytest.raises(ModelFileError, match="TL4011"):
            read("flag")
    with pytest.raises(ModelFileError, match="TL4011"):
        model.ints("sizes")


def mlx_folder(folder: Path, bits: int, group_size: int, dtype: mx.Dtype) -> tuple[Path, mx.array]:
    """A folder as mlx-lm writes it, and the expanded weight."""
    weight = mx.random.normal((6, 128), key=mx.random.key(3)).astype(dtype)
    words, scales, biases = mx.quantize(weight, group_size=group_size, bits=bits)
    parts = {"x.weight": words, "x.scales": scales, "x.biases": biases}
    mx.save_safetensors(str(folder / "model.safetensors"), parts, {"format": "mlx"})
    config = {"quantization": {"bits": bits, "group_size": group_size}}
    (folder / "config.json").write_text(json.dumps(config))
    scales, biases = scales.astype(mx.float32), biases.astype(mx.float32)
    return folder, mx.dequantize(words, scales, biases, group_size=group_size, bits=bits)


@pytest.mark.parametrize(("bits", "group_size"), [(2, 64), (3, 32), (4, 128), (5, 64), (6, 32), (8, 64)])
@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16, mx.float32])
def test_weights_that_mlx_quantized(tmp_path: Path, bits: int, group_size: int, dtype: mx.Dtype) -> None:
    folder, expected = mlx_folder(tmp_path, bits, group_size, dtype)
    model = load_model(folder, dtype="native")
    assert model.tensors == ("x.weight",)
    packed = model.get_tensor("x.weight")
    assert isinstance(packed, Packed)
    assert (packed.dtype, packed.scales.dtype, packed.shape) == (dtype, dtype, (6, 128))
    assert mx.array_equal(dense(packed, mx.float32), expected)
    assert model.metadata.quantization == f"MLX_{bits}BIT_G{group_size}"


def test_a_packed_file_that_does_not_say_how(tmp_path: Path) -> None:
    folder, _ = mlx_folder(tmp_path, 4, 64, mx.float16)
    error = refusal(load_model(folder / "model.safetensors"), "x.weight")
    assert error.code == "TL4004"
    assert "config.json" in error.helps[0]


def test_a_packed_tensor_of_bfloat16_scales_beyond_float16(tmp_path: Path) -> None:
    folder, _ = mlx_folder(tmp_path, 4, 64, mx.bfloat16)
    path = folder / "model.safetensors"
    parts: Any = mx.load(str(path))
    parts["x.biases"] = mx.full((6, 2), 1e6, mx.bfloat16)
    mx.save_safetensors(str(path), parts)
    assert refusal(load_model(folder), "x.weight").code == "TL4006"
    assert isinstance(load_model(folder, dtype="bfloat16").get_tensor("x.weight"), Packed)


def test_hostile_names_in_messages(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    entry = {"dtype": "F4", "shape": [2], "data_offsets": [0, 1]}
    path.write_bytes(safetensors_bytes({"\x1b]0;": entry}, b"\0"))
    assert "\x1b" not in str(refusal(load_model(path), "\x1b]0;"))


def test_every_tensor_of_a_real_model() -> None:
    model = load_model(model_path(SMOLLM2))
    metadata = model.metadata
    assert (metadata.format, metadata.quantization, metadata.architecture) == ("gguf", "Q4_1", "llama")
    assert (model.int("llama.block_count"), model.int("llama.embedding_length")) == (30, 576)
    assert len(model.header.metadata["tokenizer.ggml.tokens"]) == 49152  # type: ignore[arg-type]
    for name in model.tensors:
        tensor = model.get_tensor(name)
        assert tuple(tensor.shape) == model.shape(name)
        assert tensor.dtype == mx.float16
        assert isinstance(tensor, Packed) == (len(tensor.shape) == 2)
    assert not model.underflows


def test_names_that_are_no_names(tmp_path: Path) -> None:
    save_file({"w": np.ones((2, 2), np.float16)}, tmp_path / "a.safetensors")
    model, no_name, no_list = load_model(tmp_path / "a.safetensors"), json.loads("3"), json.loads('"w"')
    with pytest.raises(TypeError, match="a tensor's name is a string, not 3"):
        model.get_tensor(no_name)
    with pytest.raises(TypeError, match="`get_joined` takes a list of names, not 'w' alone"):
        model.get_joined(no_list)
