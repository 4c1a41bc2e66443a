"""Programs over folders as people have them: quantized by MLX, by GPTQ, by AWQ, in FP8. Bound, multiplied, compared."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import tensorlogic
from tensorlogic.runtime.models import load_model
from tests.runtime.grouped_folders import (
    Array,
    awq_config,
    awq_parts,
    gptq_config,
    gptq_parts,
    named,
    random_weight,
    write_folder,
)

PROGRAM = """
struct Layer[I, O] { weight: float16[O, I]
    bias: float16[O]? }
struct Net[D, F] { up: Layer[D, F] = "model.layers.0.up_proj"
    down: Layer[F, D] = "model.layers.0.down_proj" }
fn apply(l: Layer[I, O], x: float16[...B, I]) -> float16[...B, O] {
    let y = x @ l.weight.T
    if l.bias != none { return y + l.bias }
    return y
}
fn run(net: Net[D, F], x: float16[N, D]) -> float16[N, D] { return apply(net.down, apply(net.up, x)) }
"""
SCRIPT = """
let model = load_model(args[0])
let net = bind<Net>(model)
print(net.D, net.F, model.metadata.quantization)
print(run(net, ones([2, net.D])).shape)
"""
UP, DOWN = "model.layers.0.up_proj", "model.layers.0.down_proj"
SHAPES = {UP: (96, 64), DOWN: (64, 96)}
"""[out, in]"""

Built = tuple[Path, dict[str, Array], Array]
"""A folder, the float64 weights by name, and the bias of the first."""


def bias() -> Array:
    return np.random.default_rng(9).normal(size=SHAPES[UP][0]).astype(np.float16)


def mlx_folder(folder: Path) -> Built:
    """4 bits in groups of 32, but for one weight in 6: as mlx-lm writes a mixed recipe, in two shards."""
    tensors: dict[str, Any] = {f"{UP}.bias": bias()}
    weights = {}
    four, six = {"bits": 4, "group_size": 32}, {"bits": 6, "group_size": 32}
    settings: dict[str, dict[str, Any]] = {UP: four, DOWN: six, "lm_head": four}
    for seed, (name, shape) in enumerate([*SHAPES.items(), ("lm_head", (7, 64))]):
        weight = mx.random.normal(shape, key=mx.random.key(seed)).astype(mx.float16)
        words, scales, biases = mx.quantize(weight, **settings[name])
        tensors |= {f"{name}.weight": words, f"{name}.scales": scales, f"{name}.biases": biases}
        wide = mx.dequantize(words, scales.astype(mx.float32), biases.astype(mx.float32), **settings[name])
        weights[name] = np.asarray(wide).astype(np.float64)
    quantization = {**four, DOWN: six}
    config = {"model_type": "llama", "quantization": quantization, "quantization_config": quantization}
    return write_folder(folder, tensors, config, shards=2), weights, bias()


def gptq_folder(folder: Path) -> Built:
    """One weight with its inputs in order, the other reordered."""
    tensors: dict[str, Any] = {f"{UP}.bias": bias()}
    weights = {}
    for name, (outputs, inputs) in SHAPES.items():
        groups = np.random.default_rng(3).permutation(np.arange(inputs) // 32) if name == DOWN else None
        weight = random_weight(inputs, outputs, 4, 32, groups=groups, seed=len(name))
        tensors |= named(name, gptq_parts(weight, 4))
        weights[name] = weight.values
    return write_folder(folder, tensors, gptq_config(4, 32, desc_act=True)), weights, bias()


def awq_folder(folder: Path) -> Built:
    tensors: dict[str, Any] = {f"{UP}.bias": bias()}
    weights = {}
    for name, (outputs, inputs) in SHAPES.items():
        weight = random_weight(inputs, outputs, 4, 32, seed=len(name))
        tensors |= named(name, awq_parts(weight))
        weights[name] = weight.values
    return write_folder(folder, tensors, awq_config(32), shards=2), weights, bias()


def fp8_folder(folder: Path) -> Built:
    tensors = {f"{UP}.bias": torch.from_numpy(bias())}
    weights = {}
    for name, (outputs, inputs) in SHAPES.items():
        weight = torch.randn(outputs, inputs, generator=torch.Generator().manual_seed(4)).to(torch.float8_e4m3fn)
        scales = torch.rand(outputs // 32, inputs // 32, generator=torch.Generator().manual_seed(5)) + 0.5
        tensors |= {f"{name}.weight": weight, f"{name}.weight_scale_inv": scales}
        wide = scales.to(torch.float64).repeat_interleave(32, 0).repeat_interleave(32, 1)
        weights[name] = (weight.to(torch.float64) * wide).numpy()
    folder.mkdir()
    save_file(tensors, folder / "model.safetensors")
    config = {"model_type": "llama", "quantization_config": {"quant_method": "fp8", "weight_block_size": [32, 32]}}
    (folder / "config.json").write_text(json.dumps(config))
    return folder, weights, bias()


BUILDERS: list[tuple[Callable[[Path], Built], str]] = [
    (mlx_folder, "MLX_4BIT_G32"),
    (gptq_folder, "GPTQ_4BIT_G32"),
    (awq_folder, "AWQ_4BIT_G32"),
    (fp8_folder, "F8_E4M3_SCALED"),
]


@pytest.mark.parametrize(("build", "called"), BUILDERS)
def test_a_bound_program_gives_the_reference_numbers(
    build: Callable[[Path], Built], called: str, tmp_path: Path
) -> None:
    folder, weights, bias_ = build(tmp_path / "model")
    program = tensorlogic.compile(PROGRAM, f"net_{called.lower()}")
    model = load_model(folder)
    net = program.Net.bind(model)
    assert (net.D, net.F) == (64, 96)
    assert (model.metadata.quantization, model.metadata.architecture) == (called, "llama")
    x = np.random.default_rng(7).normal(size=(3, 64)).astype(np.float16)
    found = np.asarray(program.run(net, mx.array(x)).astype(mx.float32))
    expected = (x.astype(np.float64) @ weights[UP].T + bias_) @ weights[DOWN].T
    # Dense weights were rounded to float16 once, and so is the result.
    assert np.abs(found - expected).max() <= 2**-9 * np.abs(expected).max()


@pytest.mark.parametrize(("build", "called"), BUILDERS)
def test_a_script_binds_a_folder(build: Callable[[Path], Built], called: str, tmp_path: Path) -> None:
    folder, _, _ = build(tmp_path / "model")
    script = tmp_path / "script.tl"
    script.write_text(PROGRAM + SCRIPT)
    command = [sys.executable, "-m", "tensorlogic", "run", str(script), "--", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"64 96 {called}\n[2, 64]\n"
