"""Folders of GPTQ, AWQ and compressed-tensors: elements are what the format says, settings that lie are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats import read_header
from tensorlogic.runtime.models import FloatType, load_model, save_model
from tensorlogic.runtime.packed import Packed, dense
from tests.runtime.grouped_folders import (
    Array,
    Weight,
    awq_config,
    awq_parts,
    compressed_config,
    compressed_parts,
    gptq_config,
    gptq_parts,
    named,
    random_weight,
    write_folder,
)


def gptq_folder(folder: Path, weight: Weight, bits: int, group_size: int, *, version: int = 1, **more: Any) -> Path:
    parts = gptq_parts(weight, bits, version=version)
    format_ = {"checkpoint_format": "gptq" if version == 1 else "gptq_v2"}
    return write_folder(folder, named("x", parts), gptq_config(bits, group_size, **format_, **more))


def read(folder: Path, dtype: FloatType = "float32") -> tuple[mx.array | Packed, Array]:
    """The only weight as the program has it, and its elements."""
    tensor = load_model(folder, dtype=dtype).get_tensor("x.weight")
    return tensor, np.asarray(dense(tensor))


def refusal(folder: Path, code: str = "TL4003") -> str:
    with pytest.raises(ModelFileError) as caught:
        load_model(folder).get_tensor("x.weight")
    assert caught.value.code == code
    return str(caught.value)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("group_size", [32, 64, 128, -1])
def test_gptq(tmp_path: Path, bits: int, group_size: int, version: int) -> None:
    weight = random_weight(256, 64, bits, group_size)
    folder = gptq_folder(tmp_path, weight, bits, group_size, version=version)
    tensor, values = read(folder)
    assert isinstance(tensor, Packed)
    assert (tensor.shape, tensor.layout.bits) == ((64, 256), bits)
    np.testing.assert_array_equal(values, weight.values)
    header = read_header(folder)
    called = f"GPTQ_{bits}BIT_{'ROW' if group_size == -1 else f'G{group_size}'}"
    assert {name: (info.storage, info.shape) for name, info in header.tensors.items()} == {
        "x.weight": (called, (64, 256))
    }
    metadata = load_model(folder).metadata
    assert (metadata.quantization, metadata.architecture, metadata.format) == (called, "llama", "safetensors")


def test_scales_stay_float16_where_the_zeros_leave_them_exact(tmp_path: Path) -> None:
    # The zero of symmetric quantization is a power of two.
    symmetric, values = read(gptq_folder(tmp_path / "a", random_weight(128, 32, 4, 64, zero=8), 4, 64))
    other, _ = read(gptq_folder(tmp_path / "b", random_weight(128, 32, 4, 64), 4, 64))
    assert isinstance(symmetric, Packed)
    assert isinstance(other, Packed)
    assert (symmetric.scales.dtype, other.scales.dtype) == (mx.float16, mx.float32)
    np.testing.assert_array_equal(values, random_weight(128, 32, 4, 64, zero=8).values)


@pytest.mark.parametrize("storage", [mx.bfloat16, mx.float32])
@pytest.mark.parametrize("zero", [8, 5])
def test_gptq_with_scales_of_another_type(tmp_path: Path, storage: mx.Dtype, zero: int) -> None:
    weight = random_weight(64, 32, 4, 32, zero=zero)
    scales = mx.array(weight.scales).astype(storage)
    parts: dict[str, Any] = {**named("x", gptq_parts(weight, 4)), "x.scales": scales}
    exact = Weight(weight.codes, weight.zeros, np.asarray(scales.astype(mx.float32)), weight.groups)
    tensor, values = read(write_folder(tmp_path, parts, gptq_config(4, 32)))
    assert isinstance(tensor, Packed)
    assert tensor.scales.dtype == (mx.bfloat16 if (storage, zero) == (mx.bfloat16, 8) else mx.float32)
    np.testing.assert_allclose(values, exact.values, rtol=2**-23 if storage == mx.float32 else 0, atol=0)


def test_a_zero_of_0_that_borrowed_from_its_neighbours(tmp_path: Path) -> None:
    for bits in (2, 4, 8):
        weight = random_weight(64, 64, bits, 32, seed=bits)
        weight.zeros[:, ::5] = 0
        _, values = read(gptq_folder(tmp_path / str(bits), weight, bits, 32))
        np.testing.assert_array_equal(values, weight.values)


@pytest.mark.parametrize(("group_size", "inputs", "layout"), [(256, 512, 128), (96, 192, 32), (128, 192, 64)])
def test_groups_that_are_parts_of_the_files(tmp_path: Path, group_size: int, inputs: int, layout: int) -> None:
    weight = random_weight(inputs, 32, 4, group_size)
    tensor, values = read(gptq_folder(tmp_path, weight, 4, group_size))
    assert isinstance(tensor, Packed)
    assert tensor.layout.group_size == layout
    np.testing.assert_array_equal(values, weight.values)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_reordered_inputs_are_expanded(tmp_path: Path, bits: int) -> None:
    groups = np.random.default_rng(5).permutation(np.arange(128) // 32)
    weight = random_weight(128, 32, bits, 32, groups=groups)
    folder = gptq_folder(tmp_path, weight, bits, 32, desc_act=True)
    tensor, values = read(folder)
    assert isinstance(tensor, mx.array)
    np.testing.assert_array_equal(values, weight.values)
    half, _ = read(folder, "float16")
    np.testing.assert_array_equal(np.asarray(half), weight.values.astype(np.float16))
    assert load_model(folder).metadata.quantization == f"GPTQ_{bits}BIT_G32"


def test_an_order_that_keeps_groups_together_stays_packed(tmp_path: Path) -> None:
    weight = random_weight(128, 32, 4, 32, groups=np.repeat([2, 0, 3, 1], 32))
    tensor, values = read(gptq_folder(tmp_path, weight, 4, 32, desc_act=True))
    assert isinstance(tensor, Packed)
    np.testing.assert_array_equal(values, weight.values)


def test_groups_that_mlx_does_not_pack_are_expanded(tmp_path: Path) -> None:
    weight = random_weight(64, 32, 4, 16)
    folder = gptq_folder(tmp_path, weight, 4, 16)
    tensor, values = read(folder)
    assert isinstance(tensor, mx.array)
    np.testing.assert_array_equal(values, weight.values)
    assert load_model(folder, dtype="native").get_tensor("x.weight").dtype == mx.float16


@pytest.mark.parametrize("group_size", [32, 64, 128, -1])
def test_awq(tmp_path: Path, group_size: int) -> None:
    weight = random_weight(256, 64, 4, group_size, least_zero=0)
    folder = write_folder(tmp_path, named("x", awq_parts(weight)), awq_config(group_size))
    tensor, values = read(folder)
    assert isinstance(tensor, Packed)
    np.testing.assert_array_equal(values, weight.values)
    called = f"AWQ_4BIT_{'ROW' if group_size == -1 else f'G{group_size}'}"
    assert load_model(folder).metadata.quantization == called


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("group_size", [32, 128, -1])
def test_compressed_tensors(tmp_path: Path, bits: int, group_size: int, symmetric: bool) -> None:
    # 60 outputs do not fill the last word of their zeros.
    weight = random_weight(256, 60, bits, group_size, zero=1 << (bits - 1) if symmetric else None)
    parts = compressed_parts(weight, bits, symmetric=symmetric)
    folder = write_folder(tmp_path, named("x", parts), compressed_config(bits, group_size, symmetric=symmetric))
    tensor, values = read(folder)
    assert isinstance(tensor, Packed)
    np.testing.assert_array_equal(values, weight.values)
    assert load_model(folder).tensors == ("x.weight",)
    called = f"COMPRESSED_{bits}BIT_{'ROW' if group_size == -1 else f'G{group_size}'}"
    assert load_model(folder).metadata.quantization == called


def test_compressed_tensors_of_reordered_inputs(tmp_path: Path) -> None:
    groups = np.random.default_rng(5).permutation(np.arange(128) // 32)
    weight = random_weight(128, 32, 4, 32, groups=groups, zero=8)
    parts = compressed_parts(weight, 4, symmetric=True) | {"weight_g_idx": groups.astype(np.int32)}
    tensor, values = read(write_folder(tmp_path, named("x", parts), compressed_config(4, 32, actorder="group")))
    assert isinstance(tensor, mx.array)
    np.testing.assert_array_equal(values, weight.values)


@pytest.mark.parametrize(
    ("changed", "more", "says"),
    [
        ({"weight_scale": np.zeros((32, 3), np.float16)}, {}, "do not fit"),
        ({"weight_packed": np.zeros((32, 15), np.int32)}, {}, "do not fit"),
        ({"weight_packed": np.zeros((32, 16), np.float32)}, {}, "do not fit"),
        ({"weight_zero_point": np.zeros((3, 4), np.int32)}, {}, "do not fit"),
        ({"weight_g_idx": np.zeros(100, np.int32)}, {}, "do not fit"),
        ({}, {"group_size": 64}, "do not fit"),
        ({}, {"num_bits": 8}, "do not fit"),
        ({}, {"symmetric": False}, "no `x.weight_zero_point`"),
        ({"weight": np.ones(3, np.float16)}, {}, "both"),
    ],
)
def test_compressed_tensors_that_do_not_fit(
    tmp_path: Path, changed: dict[str, Array], more: dict[str, Any], says: str
) -> None:
    parts = compressed_parts(random_weight(128, 32, 4, 32, zero=8), 4, symmetric=True) | changed
    assert says in refusal(write_folder(tmp_path, named("x", parts), compressed_config(4, 32, **more)))


@pytest.mark.parametrize("more", [{"num_bits": 3}, {"strategy": "tensor"}, {"group_size": 0}, {"num_bits": "4"}])
def test_compressed_tensors_of_other_kinds(tmp_path: Path, more: dict[str, Any]) -> None:
    parts = compressed_parts(random_weight(128, 32, 4, 32, zero=8), 4, symmetric=True)
    model = load_model(write_folder(tmp_path, named("x", parts), compressed_config(4, 32, **more)))
    with pytest.raises(ModelFileError, match="packed by compressed-tensors in a way"):
        model.get_tensor("x.weight_packed")


def test_settings_of_older_tools(tmp_path: Path) -> None:
    weight = random_weight(128, 64, 4, 64)
    folder = write_folder(tmp_path / "awq", named("x", awq_parts(weight)), {"model_type": "llama"})
    (folder / "quant_config.json").write_text('{"w_bit": 4, "q_group_size": 64, "version": "GEMM"}')
    np.testing.assert_array_equal(read(folder)[1], weight.values)
    folder = write_folder(tmp_path / "gptq", named("x", gptq_parts(weight, 4)), {"model_type": "llama"})
    (folder / "quantize_config.json").write_text('{"bits": 4, "group_size": 64, "desc_act": false}')
    np.testing.assert_array_equal(read(folder)[1], weight.values)


def test_other_tensors_and_shards(tmp_path: Path) -> None:
    weights = {f"layers.{i}.q_proj": random_weight(128, 64, 4, 64, seed=i) for i in range(3)}
    tensors: dict[str, Any] = {"norm.weight": np.ones(128, np.float16), "layers.0.q_proj.bias": np.ones(64, np.float16)}
    for name, weight in weights.items():
        tensors |= named(name, gptq_parts(weight, 4))
    folder = write_folder(tmp_path, tensors, gptq_config(4, 64), shards=5)
    model = load_model(folder, dtype="float32")
    assert sorted(model.tensors) == sorted(["norm.weight", "layers.0.q_proj.bias", *(f"{n}.weight" for n in weights)])
    for name, weight in weights.items():
        info = model.header.tensors[f"{name}.weight"]
        assert [part.name.removeprefix(f"{name}.") for part in info.parts] == ["scales", "qzeros", "g_idx"]
        np.testing.assert_array_equal(np.asarray(dense(model.get_tensor(f"{name}.weight"))), weight.values)
    assert len({info.file for info in model.header.tensors.values()}) > 1


def test_mixed_bits_where_the_settings_say_so(tmp_path: Path) -> None:
    one, two = random_weight(128, 64, 4, 64), random_weight(128, 64, 8, 32)
    tensors = named("x", gptq_parts(one, 4)) | named("y", gptq_parts(two, 8))
    dynamic = {"dynamic": {"+:y": {"bits": 8, "group_size": 32}}}
    model = load_model(write_folder(tmp_path / "a", tensors, gptq_config(4, 64, **dynamic)), dtype="float32")
    for name, weight in (("x.weight", one), ("y.weight", two)):
        np.testing.assert_array_equal(np.asarray(dense(model.get_tensor(name))), weight.values)
    assert "do not fit GPTQ with 4 bits" in refusal(write_folder(tmp_path / "b", tensors, gptq_config(4, 64)))


def test_packed_weights_are_saved_as_triples(tmp_path: Path) -> None:
    weight = random_weight(128, 64, 4, 64, zero=8)
    model = load_model(write_folder(tmp_path, named("x", awq_parts(weight)), awq_config(64)))
    save_model(model, tmp_path / "saved.safetensors")
    np.testing.assert_array_equal(read(tmp_path / "saved.safetensors")[1], weight.values)


@pytest.mark.parametrize(
    ("more", "code", "says"),
    [
        ({"bits": 8}, "TL4003", "do not fit GPTQ with 8 bits"),
        ({"bits": 5}, "TL4004", "5 bits"),
        ({"bits": 4.0}, "TL4003", "no whole number"),
        ({"bits": None}, "TL4003", "no whole number"),
        ({"bits": True}, "TL4003", "no whole number"),
        ({"group_size": -64}, "TL4003", "groups of -64"),
        ({"group_size": 0}, "TL4003", "groups of 0"),
        ({"group_size": 128}, "TL4003", "make 2 groups of 128 inputs"),
        ({"group_size": 10**30}, "TL4003", "make 2 groups"),
        ({"checkpoint_format": "marlin"}, "TL4004", "`marlin`"),
        ({"checkpoint_format": []}, "TL4004", "laid out for"),
        ({"quant_method": "awq"}, "TL4003", "do not fit AWQ"),
        ({"quant_method": "awq", "version": "gemv"}, "TL4004", "`gemv`"),
    ],
)
def test_settings_that_lie(tmp_path: Path, more: dict[str, Any], code: str, says: str) -> None:
    parts = named("x", gptq_parts(random_weight(128, 64, 4, 64), 4))
    assert says in refusal(write_folder(tmp_path, parts, gptq_config(4, 64, **more)), code)


@pytest.mark.parametrize(
    ("part", "array", "says"),
    [
        ("qweight", None, ""),
        ("qzeros", None, "no `x.qzeros`"),
        ("scales", None, "no `x.scales`"),
        ("qweight", np.zeros((16, 64), np.float32), "no matrices"),
        ("qweight", np.zeros((16, 64), np.int64), "no matrices"),
        ("qweight", np.zeros(16, np.int32), "no matrices"),
        ("qweight", np.zeros((16, 63), np.int32), "do not fit"),
        ("qweight", np.zeros((0, 64), np.int32), "hold nothing"),
        ("qzeros", np.zeros((2, 7), np.int32), "do not fit"),
        ("qzeros", np.zeros((1, 8), np.int32), "do not fit"),
        ("scales", np.zeros((2, 64), np.int32), "no matrices"),
        ("scales", np.zeros((2, 32), np.float16), "do not fit"),
        ("g_idx", np.zeros(64, np.int32), "no list"),
        ("g_idx", np.zeros(128, np.float32), "no list"),
        ("g_idx", np.full(128, 2, np.int32), "outside of the 2"),
        ("g_idx", np.full(128, -1, np.int32), "outside of the 2"),
    ],
)
def test_parts_that_do_not_fit(tmp_path: Path, part: str, array: Array | None, says: str) -> None:
    parts = gptq_parts(random_weight(128, 64, 4, 64), 4)
    if array is None:
        del parts[part]
    else:
        parts[part] = array
    folder = write_folder(tmp_path, named("x", parts), gptq_config(4, 64))
    assert says in refusal(folder, "TL4005" if part == "qweight" and array is None else "TL4003")


def test_reordered_inputs_without_their_order(tmp_path: Path) -> None:
    parts = gptq_parts(random_weight(128, 64, 4, 64), 4, order=False)
    assert "desc_act" in refusal(write_folder(tmp_path / "a", named("x", parts), gptq_config(4, 64, desc_act=True)))
    assert isinstance(read(write_folder(tmp_path / "b", named("x", parts), gptq_config(4, 64)))[0], Packed)


def test_scales_that_are_no_numbers(tmp_path: Path) -> None:
    parts = gptq_parts(random_weight(128, 64, 4, 64), 4)
    parts["scales"][0, 0] = np.inf
    folder = write_folder(tmp_path, named("x", parts), gptq_config(4, 64))
    assert "1 block scales" in refusal(folder, "TL4009")


def test_elements_beyond_float16(tmp_path: Path) -> None:
    for name, groups in (("packed", None), ("expanded", np.arange(128) % 2)):
        weight = random_weight(128, 64, 4, 64, zero=8, groups=groups)
        weight.scales[:] = np.float16(60000)
        folder = gptq_folder(tmp_path / name, weight, 4, 64)
        assert "480000" in refusal(folder, "TL4006")
        np.testing.assert_array_equal(read(folder)[1], weight.values)


def test_a_weight_beside_its_own_words(tmp_path: Path) -> None:
    parts = named("x", gptq_parts(random_weight(128, 64, 4, 64), 4)) | {"x.weight": np.ones(3, np.float16)}
    assert "both" in refusal(write_folder(tmp_path, parts, gptq_config(4, 64)))


def test_a_file_without_its_folder_does_not_say_how(tmp_path: Path) -> None:
    folder = gptq_folder(tmp_path, random_weight(128, 64, 4, 64), 4, 64)
    model = load_model(folder / "model.safetensors")
    with pytest.raises(ModelFileError) as caught:
        model.get_tensor("x.qweight")
    assert caught.value.code == "TL4004"
    assert "load its folder" in caught.value.helps[0]
