"""Floats of eight bits, and weights of eight bits with scales: equal to PyTorch's, and never without their scales."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats.floats8 import FLOATS8, widen_float8
from tensorlogic.runtime.models import load_model

TORCH = {"F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2, "F8_E8M0": torch.float8_e8m0fnu}
BITS = torch.arange(256, dtype=torch.uint8)


def folder_of(folder: Path, tensors: dict[str, torch.Tensor], config: dict[str, Any] | None) -> Path:
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / "model.safetensors")
    if config is not None:
        (folder / "config.json").write_text(json.dumps({"quantization_config": config}))
    return folder


def values(folder: Path, name: str = "x.weight") -> np.ndarray[Any, Any]:
    tensor = load_model(folder, dtype="float32").get_tensor(name)
    assert isinstance(tensor, mx.array)
    return np.asarray(tensor)


def refusal(folder: Path, name: str = "x.weight", code: str = "TL4003") -> ModelFileError:
    with pytest.raises(ModelFileError) as caught:
        load_model(folder).get_tensor(name)
    assert caught.value.code == code
    return caught.value


@pytest.mark.parametrize("storage", FLOATS8)
def test_all_bits(storage: str) -> None:
    expected = BITS.view(TORCH[storage]).to(torch.float32).numpy()
    np.testing.assert_array_equal(widen_float8(storage, BITS.numpy()), expected)


@pytest.mark.parametrize("storage", ["F8_E4M3", "F8_E5M2"])
def test_a_file_of_them(tmp_path: Path, storage: str) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"w": BITS.view(TORCH[storage]).reshape(2, 128)}, path)
    tensor = load_model(path).get_tensor("w")
    assert isinstance(tensor, mx.array)
    assert tensor.dtype == mx.float16
    expected = BITS.view(TORCH[storage]).to(torch.float16).reshape(2, 128).numpy()
    np.testing.assert_array_equal(np.asarray(tensor), expected)
    with pytest.raises(ModelFileError, match="no such element type"):
        load_model(path, dtype="native").get_tensor("w")


def test_powers_of_two_beyond_float16(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"w": BITS[:255].view(TORCH["F8_E8M0"]), "low": BITS[90:130].clone().view(TORCH["F8_E8M0"])}, path)
    with pytest.raises(ModelFileError, match="112 finite values that would become `inf`"):
        load_model(path).get_tensor("w")
    model = load_model(path)
    model.get_tensor("low")
    # float16 holds no power of two below 2^-24, and a tie at 2^-25 goes to 0.
    assert dict(model.underflows) == {"low": 127 - 24 - 90}
    wide = load_model(path, dtype="float32").get_tensor("w")
    assert isinstance(wide, mx.array)
    np.testing.assert_array_equal(np.asarray(wide), np.ldexp(np.float32(1), np.arange(255) - 127))


def fp8(shape: tuple[int, ...], storage: str = "F8_E4M3", seed: int = 1) -> torch.Tensor:
    """Random weights of any finite bits."""
    random = torch.randn(shape, generator=torch.Generator().manual_seed(seed))
    return (random * 50).to(TORCH[storage])


def scaled(weight: torch.Tensor, scales: torch.Tensor, rows: int, columns: int) -> np.ndarray[Any, Any]:
    """`weight * scale` by blocks of rows and columns, computed in float64 and rounded once."""
    wide = scales.to(torch.float64).repeat_interleave(rows, -2).repeat_interleave(columns, -1)
    product = weight.to(torch.float64) * wide[..., : weight.shape[-2], : weight.shape[-1]]
    return product.to(torch.float32).numpy()


@pytest.mark.parametrize("shape", [(256, 384), (130, 200), (1, 5), (3, 130, 200)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_scales_by_blocks(tmp_path: Path, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    weight = fp8(shape)
    counts = (*shape[:-2], math.ceil(shape[-2] / 128), math.ceil(shape[-1] / 128))
    scales = torch.rand(counts, generator=torch.Generator().manual_seed(2)).to(dtype) + 0.01
    config = {"quant_method": "fp8", "weight_block_size": [128, 128], "fmt": "e4m3", "activation_scheme": "dynamic"}
    folder = folder_of(tmp_path, {"x.weight": weight, "x.weight_scale_inv": scales}, config)
    model = load_model(folder)
    assert model.tensors == ("x.weight",)
    assert model.metadata.quantization == "F8_E4M3_SCALED"
    np.testing.assert_array_equal(values(folder), scaled(weight, scales, 128, 128))


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (64, 1), (64,)])
@pytest.mark.parametrize("storage", ["F8_E4M3", "F8_E5M2"])
def test_scales_by_weights_and_by_rows(tmp_path: Path, shape: tuple[int, ...], storage: str) -> None:
    weight = fp8((64, 48), storage)
    scales = torch.rand(shape) + 0.01
    tensors = {"x.weight": weight, "x.weight_scale": scales, "x.input_scale": torch.ones(1)}
    folder = folder_of(tmp_path, tensors, {"quant_method": "compressed-tensors", "format": "float-quantized"})
    by_rows = scales.reshape(-1, 1).to(torch.float64)
    np.testing.assert_array_equal(values(folder), (weight.to(torch.float64) * by_rows).to(torch.float32).numpy())
    assert load_model(folder).has("x.input_scale")


def test_scales_that_are_powers_of_two_and_int8(tmp_path: Path) -> None:
    weight, scales = fp8((64, 64)), torch.full((2, 1), 120, dtype=torch.uint8)
    tensors = {"x.weight": weight, "x.scale": scales.view(TORCH["F8_E8M0"])}
    folder = folder_of(tmp_path / "a", tensors, {"quant_method": "fp8", "weight_block_size": [32, 64]})
    np.testing.assert_array_equal(values(folder), weight.to(torch.float32).numpy() / 128)
    whole = torch.arange(-128, 128, dtype=torch.int8).reshape(2, 128)
    tensors = {"x.weight": whole, "x.weight_scale": torch.tensor([[0.5], [0.25]])}
    folder = folder_of(tmp_path / "b", tensors, {"quant_method": "compressed-tensors", "format": "int-quantized"})
    np.testing.assert_array_equal(values(folder), whole.numpy() * np.array([[0.5], [0.25]]))


def test_products_beyond_float16_and_below(tmp_path: Path) -> None:
    weight = torch.tensor([[400.0, 1.0], [1.0, 0.0]]).to(TORCH["F8_E4M3"])
    folder = folder_of(
        tmp_path / "a", {"x.weight": weight, "x.weight_scale_inv": torch.tensor(1000.0)}, {"quant_method": "fp8"}
    )
    assert "1 finite value that would become `inf` in float16; the largest magnitude is 384000" in str(
        refusal(folder, code="TL4006")
    )
    folder = folder_of(
        tmp_path / "b", {"x.weight": weight, "x.weight_scale_inv": torch.tensor(1e-9)}, {"quant_method": "fp8"}
    )
    model = load_model(folder)
    model.get_tensor("x.weight")
    assert dict(model.underflows) == {"x.weight": 2}


FP8 = {"quant_method": "fp8", "weight_block_size": [128, 128]}


@pytest.mark.parametrize(
    ("scales", "config", "says"),
    [
        (torch.ones(3, 3), FP8, "do not fit"),
        (torch.ones(2, 2, 2), FP8, "do not fit"),
        (torch.ones(2, 2, dtype=torch.int32), FP8, "do not fit"),
        (torch.ones(2, 2), {"quant_method": "fp8"}, "do not fit"),
        (torch.ones(2, 2), {"quant_method": "fp8", "weight_block_size": [-128, 128]}, "do not fit"),
        (torch.ones(2, 2), {"quant_method": "fp8", "weight_block_size": "128"}, "do not fit"),
        (torch.ones(2, 2), {"quant_method": "fp8", "weight_block_size": [64, 64]}, "do not fit"),
        (torch.ones(2, 2), {"quant_method": "fp8", "weight_block_size": [1, 128, 128]}, "do not fit"),
    ],
)
def test_scales_that_do_not_fit(tmp_path: Path, scales: torch.Tensor, config: dict[str, Any], says: str) -> None:
    folder = folder_of(tmp_path, {"x.weight": fp8((256, 256)), "x.weight_scale_inv": scales}, config)
    assert says in str(refusal(folder))


def test_no_weight_is_read_without_its_scales(tmp_path: Path) -> None:
    weight = fp8((64, 64))
    assert "no scale" in str(refusal(folder_of(tmp_path / "a", {"x.weight": weight}, FP8)))
    tensors = {"x.weight": weight, "x.weight_scale_inv": torch.ones(1)}
    for config in (None, {"quant_method": "something"}):
        error = refusal(folder_of(tmp_path / "b", tensors, config), code="TL4004")
        assert "has scales beside it" in error.message
    zero_point = {"x.weight_zero_point": torch.ones(1)}
    assert "zero points" in str(refusal(folder_of(tmp_path / "c", tensors | zero_point, FP8)))
    nan = {"x.weight": weight, "x.weight_scale_inv": torch.tensor(torch.nan)}
    refusal(folder_of(tmp_path / "d", nan, FP8), code="TL4009")


SCHEMES: list[tuple[dict[str, torch.Tensor], str, str]] = [
    (
        {"x.weight": torch.zeros(32, 1, dtype=torch.uint8), "x.weight.absmax": torch.ones(1)},
        "x.weight",
        "quantized by bitsandbytes",
    ),
    ({"x.weight": torch.zeros(4, 4, dtype=torch.int8), "x.SCB": torch.ones(4)}, "x.weight", "bitsandbytes"),
    (
        {"x.weight_packed": torch.zeros(4, 4, dtype=torch.int32), "x.weight_scale": torch.ones(4, 1)},
        "x.weight_packed",
        "packed by compressed-tensors",
    ),
    (
        {"x_blocks": torch.zeros(2, 4, 1, 16, dtype=torch.uint8), "x_scales": torch.zeros(2, 4, 1, dtype=torch.uint8)},
        "x_blocks",
        "in blocks of MXFP4",
    ),
]


@pytest.mark.parametrize(("tensors", "name", "says"), SCHEMES)
@pytest.mark.parametrize("config", [None, {"quant_method": "bitsandbytes"}, {"quant_method": "compressed-tensors"}])
def test_schemes_that_are_not_supported(
    tmp_path: Path, tensors: dict[str, torch.Tensor], name: str, says: str, config: dict[str, Any] | None
) -> None:
    folder = folder_of(tmp_path, tensors | {"norm": torch.ones(4)}, config)
    error = refusal(folder, name, "TL4004")
    assert says in error.message
    assert "load " in error.helps[0]
    assert load_model(folder).get_tensor("norm").shape == (4,)


def test_a_method_that_nobody_knows(tmp_path: Path) -> None:
    tensors = {"x.weight": torch.zeros(4, 4, dtype=torch.int32), "ids": torch.zeros(4, dtype=torch.int64)}
    folder = folder_of(tmp_path, tensors, {"quant_method": "\x1bnew"})
    error = refusal(folder, code="TL4004")
    assert "stored as I32 of \\x1bnew" in error.message
    assert error.helps
    assert load_model(folder).get_tensor("ids").shape == (4,)
    assert load_model(folder).metadata.quantization == "I32 of \\x1bnew"
