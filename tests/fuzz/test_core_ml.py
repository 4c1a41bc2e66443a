"""Mutated Core ML models, each file of them: they load or are refused. No signal, no hang, no memory without bound."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fuzz.running import hold
from tests.runtime.core_ml_files import sub_byte, write_network, write_program

MUTATIONS = 600
SECONDS = 15
"""How long `make fuzz` mutates each of the four files: a minute together."""
PROGRAM, WEIGHTS = "Data/com.apple.CoreML/model.mlmodel", "Data/com.apple.CoreML/weights/weight.bin"


def package(path: Path) -> Path:
    random = np.random.default_rng(5)

    def table(mb: Any, name: str) -> Any:
        indices = random.integers(0, 8, (6, 4)).astype(sub_byte("uint3"))
        return mb.constexpr_lut_to_dense(indices=indices, lut=np.ones((3, 1, 8, 1), np.float16), name=name)

    def scaled(mb: Any, name: str) -> Any:
        data = random.integers(-8, 8, (4, 64)).astype(sub_byte("int4"))
        return mb.constexpr_blockwise_shift_scale(data=data, scale=np.ones((4, 2), np.float16), name=name)

    def sparse(mb: Any, name: str) -> Any:
        mask = random.random((5, 5)) < 0.5
        values = np.ones(int(mask.sum()), np.float16)
        return mb.constexpr_sparse_to_dense(nonzero_data=values, mask=mask.astype(sub_byte("uint1")), name=name)

    weights = {"half": np.ones((4, 8), np.float16), "ids": np.arange(12, dtype=np.int32), "few": np.ones(3, np.float32)}
    return write_program(path.with_suffix(".mlpackage"), {**weights, "t": table, "s": scaled, "z": sparse})


def network(path: Path) -> Path:
    random = np.random.default_rng(6)

    def build(b: Any) -> None:
        kernel = random.normal(size=(3, 3, 3, 4)).astype(np.float32)
        b.add_convolution("c", 3, 4, 3, 3, 1, 1, "same", 1, kernel, None, False, False, None, "x", "a")
        scale = np.ones(6, np.float32)
        bits = {"is_quantized_weight": True, "nbits": 4, "quant_scale": scale, "quant_bias": scale}
        b.add_inner_product("d", bytes(24), scale, 8, 6, True, "x", "b", **bits)
        b.add_embedding("e", np.ones((5, 11), np.float32), None, 11, 5, False, "x", "y")

    return write_network(path.with_suffix(".mlmodel"), build)


PARTS = pytest.mark.parametrize(
    ("build", "part"),
    [(package, "Manifest.json"), (package, PROGRAM), (package, WEIGHTS), (network, ".")],
    ids=["manifest", "program", "weights", "network"],
)


@PARTS
def test_mutated_models(build: Callable[[Path], Path], part: str, tmp_path: Path) -> None:
    hold("mutate_core_ml", build(tmp_path / "model"), part, 0, "--count", MUTATIONS)


@pytest.mark.fuzz
@PARTS
def test_many_more_mutated_models(build: Callable[[Path], Path], part: str, tmp_path: Path) -> None:
    hold("mutate_core_ml", build(tmp_path / "model"), part, MUTATIONS, "--seconds", SECONDS)
