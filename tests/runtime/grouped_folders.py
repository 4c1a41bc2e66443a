"""Builds folders of weights of groups for tests, and their float64 values, from the formats' definitions.

Nothing here is shared with the code under test: words are made bit by bit from Python integers, as the packers of
AutoGPTQ (`qlinear_cuda.py`, `pack`) and AutoAWQ (`gemm.py`, `from_linear`) make them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

AWQ_ORDER_MAP = [0, 2, 4, 6, 1, 3, 5, 7]


@dataclass(frozen=True)
class Weight:
    """A quantized weight: `codes` [in, out], `zeros` and `scales` [groups, out], and the group of each input."""

    codes: Array
    zeros: Array
    scales: Array
    groups: Array

    @property
    def values(self) -> Array:
        """The float64 elements, [out, in]: `scale * (code - zero)`."""
        zeros, scales = self.zeros[self.groups], self.scales.astype(np.float64)[self.groups]
        return np.ascontiguousarray((scales * (self.codes.astype(np.float64) - zeros)).T)


def random_weight(
    inputs: int,
    outputs: int,
    bits: int,
    group_size: int,
    *,
    seed: int = 1,
    zero: int | None = None,
    groups: Array | None = None,
    least_zero: int = 1,
) -> Weight:
    """Random codes; zeros are random too, or all `zero`. `groups` are the inputs in their order unless given."""
    random = np.random.default_rng(seed)
    size = inputs if group_size == -1 else group_size
    plain = np.arange(inputs) // size
    count = int(plain[-1]) + 1
    zeros = random.integers(least_zero, 2**bits, (count, outputs)) if zero is None else np.full((count, outputs), zero)
    scales = (random.uniform(0.5, 1, (count, outputs)) / 2**bits).astype(np.float16)
    codes = random.integers(0, 2**bits, (inputs, outputs))
    return Weight(codes, zeros, scales, plain if groups is None else groups)


def stream(values: list[int], bits: int) -> list[int]:
    """Values side by side in words of 32 bits, the first in the lowest bits."""
    number = sum(value << (bits * place) for place, value in enumerate(values))
    return [number >> (32 * word) & 0xFFFFFFFF for word in range(len(values) * bits // 32)]


def signed(words: Any) -> Array:
    return np.array(words, np.uint32).view(np.int32)


def gptq_parts(weight: Weight, bits: int, *, version: int = 1, order: bool = True) -> dict[str, Array]:
    """The tensors `qweight`, `qzeros`, `scales` and, with `order`, `g_idx`."""
    words = [stream([int(code) for code in column], bits) for column in weight.codes.T]
    zeros = []
    for row in weight.zeros:
        number = np.array(stream([int(zero) for zero in row], bits), np.uint32)
        if version == 1 and bits == 3:
            number = np.array(stream([(int(zero) - 1) % 8 for zero in row], bits), np.uint32)
        elif version == 1:
            number = number - np.uint32(sum(1 << place for place in range(0, 32, bits)))
        zeros.append(number)
    parts = {
        "qweight": signed(words).T.copy(),
        "qzeros": signed(np.array(zeros)),
        "scales": weight.scales,
    }
    return parts | ({"g_idx": weight.groups.astype(np.int32)} if order else {})


def awq_parts(weight: Weight) -> dict[str, Array]:
    """The tensors `qweight`, `qzeros` and `scales`, eight outputs in a word in AWQ's order."""

    def packed(matrix: Array) -> Array:
        rows = []
        for row in matrix:
            words = []
            for column in range(len(row) // 8):
                word = 0
                for place in range(8):
                    word |= int(row[column * 8 + AWQ_ORDER_MAP[place]]) << (4 * place)
                words.append(word)
            rows.append(words)
        return signed(rows)

    return {"qweight": packed(weight.codes), "qzeros": packed(weight.zeros), "scales": weight.scales}


def compressed_parts(weight: Weight, bits: int, *, symmetric: bool) -> dict[str, Array]:
    """The tensors of compressed-tensors' `pack-quantized`: words along the input, zeros along the output."""
    outputs = weight.codes.shape[1]
    padding = -outputs * bits % 32 // bits
    zeros = [stream([*map(int, column), *[0] * padding], bits) for column in weight.zeros]
    words = [stream([int(code) for code in column], bits) for column in weight.codes.T]
    parts = {
        "weight_packed": signed(words),
        "weight_scale": weight.scales.T.copy(),
        "weight_shape": np.array([outputs, weight.codes.shape[0]]),
    }
    return parts if symmetric else parts | {"weight_zero_point": signed(np.array(zeros).T.copy())}


def write_folder(
    folder: Path, tensors: Mapping[str, Array | mx.array], config: Mapping[str, Any], shards: int = 1
) -> Path:
    """A folder with a `config.json`; with several shards, tensors go to them in turn, and an index says where."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {name: tensor if isinstance(tensor, mx.array) else mx.array(tensor) for name, tensor in tensors.items()}
    (folder / "config.json").write_text(json.dumps(config))
    if shards == 1:
        mx.save_safetensors(str(folder / "model.safetensors"), arrays, {"format": "mlx"})
        return folder
    places: dict[str, str] = {}
    for shard in range(shards):
        file = f"model-{shard + 1:05d}-of-{shards:05d}.safetensors"
        chosen = {name: arrays[name] for place, name in enumerate(arrays) if place % shards == shard}
        mx.save_safetensors(str(folder / file), chosen, {"format": "mlx"})
        places |= dict.fromkeys(chosen, file)
    index = {"metadata": {"total_size": sum(array.nbytes for array in arrays.values())}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


def named(prefix: str, parts: Mapping[str, Array]) -> dict[str, Array]:
    return {f"{prefix}.{part}": array for part, array in parts.items()}


def gptq_config(bits: int, group_size: int, /, **more: Any) -> dict[str, Any]:
    quantization = {"quant_method": "gptq", "bits": bits, "group_size": group_size, "desc_act": False, "sym": True}
    return {"model_type": "llama", "quantization_config": quantization | more}


def compressed_config(bits: int, group_size: int, /, **more: Any) -> dict[str, Any]:
    strategy = {"strategy": "channel", "group_size": None} if group_size == -1 else {"strategy": "group"}
    weights = {"num_bits": bits, "type": "int", "symmetric": True, "group_size": group_size, **strategy, **more}
    groups = {"group_0": {"targets": ["Linear"], "weights": weights, "input_activations": None}}
    quantization = {"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": groups}
    return {"model_type": "llama", "quantization_config": quantization}


def awq_config(group_size: int, /, **more: Any) -> dict[str, Any]:
    quantization = {"quant_method": "awq", "bits": 4, "group_size": group_size, "zero_point": True, "version": "gemm"}
    return {"model_type": "llama", "quantization_config": quantization | more}
