"""Folders with mutated JSON files: each loads or is refused. No signal, no hang, no memory without bound."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from tests.fuzz.running import hold
from tests.runtime.grouped_folders import (
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

MUTATIONS = 600
SECONDS = 12


def mlx_folder(folder: Path) -> Path:
    """Two weights of other bits, in shards."""
    tensors: dict[str, Any] = {"norm.weight": mx.ones(64)}
    for name, bits in (("a", 4), ("b", 8)):
        parts = mx.quantize(mx.random.normal((8, 64), key=mx.random.key(bits)), group_size=32, bits=bits)
        tensors |= dict(zip((f"{name}.weight", f"{name}.scales", f"{name}.biases"), parts, strict=True))
    quantization = {"group_size": 32, "bits": 4, "mode": "affine", "b": {"group_size": 32, "bits": 8}, "norm": False}
    config = {"model_type": "llama", "quantization": quantization, "rope_scaling": {"factor": [1, 2.5], "type": "x"}}
    return write_folder(folder, tensors, config, shards=2)


def gptq_folder(folder: Path) -> Path:
    tensors = named("a", gptq_parts(random_weight(64, 32, 4, 32), 4))
    groups = np.arange(64) % 2
    tensors |= named("b", gptq_parts(random_weight(64, 32, 4, 32, groups=groups), 4))
    return write_folder(folder, tensors, gptq_config(4, 32, checkpoint_format="gptq", dynamic={}), shards=3)


def awq_folder(folder: Path) -> Path:
    return write_folder(folder, named("a", awq_parts(random_weight(64, 32, 4, 32))), awq_config(32))


def compressed_folder(folder: Path) -> Path:
    parts = compressed_parts(random_weight(64, 32, 4, 32), 4, symmetric=False)
    return write_folder(folder, named("a", parts), compressed_config(4, 32, symmetric=False), shards=2)


def fp8_folder(folder: Path) -> Path:
    bits = mx.random.randint(0, 120, (64, 64), key=mx.random.key(1)).astype(mx.uint8)
    config = {"quantization_config": {"quant_method": "fp8", "weight_block_size": [32, 32]}}
    write_folder(folder, {"a.weight": bits, "a.weight_scale_inv": mx.ones((2, 2))}, config)
    path = folder / "model.safetensors"
    # MLX has no such type: the header is told, in as many characters.
    path.write_bytes(path.read_bytes().replace(b'"dtype":"U8"', b'"dtype":"F8_E4M3"', 1))
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little") + len("F8_E4M3") - len("U8")
    path.write_bytes(length.to_bytes(8, "little") + content[8:])
    return folder


BUILDERS = pytest.mark.parametrize("build", [mlx_folder, gptq_folder, awq_folder, compressed_folder, fp8_folder])


@BUILDERS
def test_mutated_folders(build: Callable[[Path], Path], tmp_path: Path) -> None:
    hold("mutate_folders", build(tmp_path / "model"), 0, "--count", MUTATIONS)


@pytest.mark.fuzz
@BUILDERS
def test_many_more_mutated_folders(build: Callable[[Path], Path], tmp_path: Path) -> None:
    hold("mutate_folders", build(tmp_path / "model"), MUTATIONS, "--seconds", SECONDS)
