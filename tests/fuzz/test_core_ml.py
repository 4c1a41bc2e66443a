"""Mutated Core ML models, each file of them: they load or are refused. No signal, no hang, no memory without bound."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.runtime.core_ml_files import sub_byte, write_network, write_program

ROOT = Path(__file__).parents[2]
MUTATIONS = 600
PROGRAM, WEIGHTS = "Data/com.apple.CoreML/model.mlmodel", "Data/com.apple.CoreML/weights/weight.bin"
PARTS = pytest.mark.parametrize(
    ("kind", "part"),
    [("package", "Manifest.json"), ("package", PROGRAM), ("package", WEIGHTS), ("network", ".")],
)


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


def fuzz(kind: str, part: str, folder: Path, first: int, count: int) -> None:
    model = {"package": package, "network": network}[kind](folder / "model")
    command = [sys.executable, "-m", "tests.fuzz.mutate_core_ml", str(model), part, str(first), str(count)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ended with {done.returncode}: {done.stderr}"
    counts = re.fullmatch(r"(\d+) loaded, (\d+) refused\n", done.stdout)
    assert counts is not None
    # Mutations that are all refused, or all loaded, would test nothing.
    assert min(int(counts[1]), int(counts[2])) > count / 100


@PARTS
def test_mutated_models(kind: str, part: str, tmp_path: Path) -> None:
    fuzz(kind, part, tmp_path, 0, MUTATIONS)


@pytest.mark.fuzz
@PARTS
def test_many_more_mutated_models(kind: str, part: str, tmp_path: Path) -> None:
    fuzz(kind, part, tmp_path, MUTATIONS, 8_000)
