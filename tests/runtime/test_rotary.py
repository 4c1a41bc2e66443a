"""Periods of rotary positions from the settings of files, beside plain definitions in NumPy."""

from __future__ import annotations

import json
import math
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

import tensorlogic
from tensorlogic.compiler.names import STANDARD_LIBRARY
from tensorlogic.runtime.errors import BoundaryError
from tensorlogic.runtime.models import Model, load_model
from tests.runtime.model_files import write_gguf

PAIRS = 32
TOLERANCE = 1e-6


@cache
def module() -> ModuleType:
    return tensorlogic.load(STANDARD_LIBRARY / "models" / "rotary.tl")


def folder(path: Path, **config: Any) -> Model:
    """A model as Hugging Face keeps it."""
    (path / "config.json").write_text(json.dumps({"model_type": "llama", "max_position_embeddings": 8192, **config}))
    mx.save_safetensors(str(path / "model.safetensors"), {"model.norm.weight": mx.ones(4)})
    return load_model(path)


def file(path: Path, factors: np.ndarray[Any, np.dtype[np.float32]] | None = None, **more: Any) -> Model:
    """A model as llama.cpp keeps it; double underscores of the names are dots."""
    metadata: dict[str, Any] = {"general.architecture": "llama", "llama.context_length": 8192}
    metadata |= {f"llama.rope.{name.replace('__', '.')}": value for name, value in more.items()}
    tensors = {"token_embd.weight": np.zeros((2, 32), np.float32)}
    return load_model(
        write_gguf(path / "m.gguf", tensors | ({} if factors is None else {"rope_freqs.weight": factors}), metadata)
    )


def assert_periods(model: Model, frequencies: Any, attention: float = 1.0) -> None:
    found = module().rotary(model, PAIRS)
    np.testing.assert_allclose(np.asarray(found.periods), 1 / np.asarray(frequencies), rtol=TOLERANCE)
    assert found.attention == pytest.approx(attention)


def plain(base: float) -> Any:
    return base ** (-np.arange(PAIRS) / PAIRS)


def yarn(base: float, factor: float, context: float, fast: float = 32, slow: float = 1) -> Any:
    """Peng et al. 2023, equations 17 to 22: the number of turns of a pair decides, by its index."""
    turning = [2 * PAIRS * math.log(context / (2 * math.pi * n)) / (2 * math.log(base)) for n in (fast, slow)]
    low, high = max(math.floor(turning[0]), 0), min(math.ceil(turning[1]), 2 * PAIRS - 1)
    share = np.clip((np.arange(PAIRS) - low) / (high - low), 0, 1)
    return plain(base) * (1 - share) + plain(base) / factor * share


def llama3(base: float, factor: float, low: float, high: float, context: float) -> Any:
    found = []
    for frequency in plain(base):
        wavelength = 2 * math.pi / frequency
        if wavelength < context / high:
            found.append(frequency)
        elif wavelength > context / low:
            found.append(frequency / factor)
        else:
            share = (context / wavelength - low) / (high - low)
            found.append((1 - share) * frequency / factor + share * frequency)
    return np.array(found)


def test_without_scaling(tmp_path: Path) -> None:
    assert_periods(folder(tmp_path), plain(10000))
    assert_periods(folder(tmp_path, rope_theta=5e5), plain(5e5))
    assert_periods(folder(tmp_path, rope_parameters={"rope_theta": 2e5, "rope_type": "default"}), plain(2e5))
    assert_periods(file(tmp_path), plain(10000))
    assert_periods(file(tmp_path, freq_base=1e6, scaling__type="none"), plain(1e6))


def test_linear(tmp_path: Path) -> None:
    assert_periods(folder(tmp_path, rope_scaling={"type": "linear", "factor": 4}), plain(10000) / 4)
    assert_periods(file(tmp_path, scaling__type="linear", scaling__factor=8.0), plain(10000) / 8)


def test_llama_3(tmp_path: Path) -> None:
    scaling = {
        "rope_type": "llama3",
        "factor": 32.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    expected = llama3(5e5, 32, 1, 4, 8192)
    assert_periods(folder(tmp_path, rope_theta=5e5, rope_scaling=scaling), expected)
    assert_periods(folder(tmp_path, rope_parameters={"rope_theta": 5e5, **scaling}), expected)
    assert len(set(np.round(expected / plain(5e5), 4))) > 3


def test_factors_of_a_file(tmp_path: Path) -> None:
    factors = np.linspace(1, 32, PAIRS, dtype=np.float32)
    assert_periods(file(tmp_path, factors, freq_base=5e5), plain(5e5) / factors)


def test_yarn(tmp_path: Path) -> None:
    grown = 0.1 * math.log(4) + 1
    scaling = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4096}
    assert_periods(folder(tmp_path, rope_scaling=scaling), yarn(10000, 4, 4096), grown**2)
    slower = {**scaling, "beta_fast": 16, "beta_slow": 2, "attention_factor": 1.5}
    assert_periods(folder(tmp_path, rope_scaling=slower), yarn(10000, 4, 4096, 16, 2), 1.5**2)
    told: dict[str, Any] = {"scaling__type": "yarn", "scaling__factor": 4.0, "scaling__original_context_length": 4096}
    assert_periods(file(tmp_path, **told), yarn(10000, 4, 4096), grown**2)
    assert_periods(file(tmp_path, **told, scaling__attn_factor=0.5), yarn(10000, 4, 4096), (0.5 * grown) ** 2)


def test_another_kind_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BoundaryError, match="rotary positions are scaled as dynamic, which"):
        module().rotary(folder(tmp_path, rope_scaling={"type": "dynamic", "factor": 2.0}), PAIRS)
