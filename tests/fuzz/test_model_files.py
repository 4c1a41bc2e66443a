"""Mutated model files: each loads or is refused. No signal, no hang, no memory without bound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from tensorlogic.runtime.models import load_model, save_model
from tests.fuzz.running import hold
from tests.runtime.model_files import BLOCK_TYPES, Array, block_size, random_blocks, write_gguf

MUTATIONS = 2000
SECONDS = 55
"""How long `make fuzz` mutates a file of each format: a minute, with the start of the process."""


def gguf_file(folder: Path, storages: Sequence[str] = BLOCK_TYPES) -> Path:
    tensors: dict[str, Array | tuple[str, Array]] = {
        "token_embd.weight": ("Q8_0", random_blocks("Q8_0", (8,), 64, seed=1)),
        "blk.0.attn_q.weight": ("Q4_0", random_blocks("Q4_0", (4,), 64, seed=2)),
        "blk.0.ffn_up.weight": ("Q4_1", random_blocks("Q4_1", (4,), 32, seed=3)),
    }
    # One block of every type that the format has, so that a mutated header meets each way of reading.
    for place, storage in enumerate(storages):
        blocks = random_blocks(storage, (1,), block_size(storage)[0], seed=4 + place)
        tensors[f"blk.1.{storage.lower()}.weight"] = (storage, blocks)
    tensors |= {"norm": np.ones(16, np.float32), "half": np.ones((2, 3), np.float16)}
    metadata: dict[str, str | int | float | list[Any]] = {
        "general.alignment": 32,
        "general.name": "a small model",
        "tokenizer.ggml.tokens": [f"token{i}" for i in range(50)],
        "tokenizer.ggml.scores": [0.5] * 20,
        "llama.block_count": 1,
        "llama.eps": 1e-5,
    }
    return write_gguf(folder / "sound.gguf", tensors, metadata)


def safetensors_file(folder: Path) -> Path:
    random = np.random.default_rng(1)
    tensors: dict[str, Array] = {
        "encoder.weight": random.normal(size=(6, 8)).astype(np.float32),
        "encoder.bias": random.normal(size=6).astype(np.float16),
        "ids": np.arange(10),
        "mask": np.array([True, False, True]),
        "wide": random.normal(size=3),
    }
    path = folder / "dense.safetensors"
    save_file(tensors, path, metadata={"format": "pt"})
    return path


def packed_file(folder: Path) -> Path:
    path = folder / "packed.safetensors"
    save_model(load_model(gguf_file(folder, ["Q4_K", "Q5_1", "Q6_K"])), path)
    return path


BUILDERS = pytest.mark.parametrize("build", [gguf_file, safetensors_file, packed_file])


@BUILDERS
def test_mutated_headers(build: Callable[[Path], Path], tmp_path: Path) -> None:
    hold("mutate_model_files", build(tmp_path), tmp_path, 0, "--count", MUTATIONS)


@pytest.mark.fuzz
@BUILDERS
def test_many_more_mutated_headers(build: Callable[[Path], Path], tmp_path: Path) -> None:
    hold("mutate_model_files", build(tmp_path), tmp_path, MUTATIONS, "--seconds", SECONDS)
