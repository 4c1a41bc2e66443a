"""The hand-written computations are right: against plain NumPy, and for the encoder against PyTorch's vectors."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import numpy.typing as npt
import pytest

from benchmarks import baselines
from tests.models import MINILM, model_path

REFERENCE = Path(__file__).parent.parent / "data" / "minilm" / "reference.json"
# The long texts take seconds each and prove nothing more here: the compiled encoder is tested on them.
CASES: list[dict[str, Any]] = [
    case for case in json.loads(REFERENCE.read_text(encoding="utf-8"))["cases"] if len(case["ids"]) <= 32
]

Array = npt.NDArray[np.float64]


def wide(array: mx.array) -> Array:
    return np.array(array.astype(mx.float32)).astype(np.float64)


def dense(x: Array, layer: baselines.Dense) -> Array:
    return x @ wide(layer.weight).T + wide(layer.bias)


def softmax(x: Array) -> Array:
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


@pytest.fixture(scope="module")
def weights() -> dict[str, mx.array]:
    return baselines.minilm_weights(model_path(MINILM), mx.float32)


@pytest.mark.parametrize(("dtype", "tolerance"), [(mx.float32, 1e-4), (mx.float16, 0.05)])
def test_linear(dtype: mx.Dtype, tolerance: float) -> None:
    x, layer = baselines.linear_inputs(dtype)
    result = baselines.linear(x, layer)
    assert result.dtype == dtype
    np.testing.assert_allclose(wide(result), dense(wide(x), layer), atol=tolerance)


def test_mlp() -> None:
    x, up, down = baselines.mlp_inputs(mx.float32)
    inner = dense(wide(x), up)
    gelu = inner * (1 + np.vectorize(math.erf)(inner / math.sqrt(2))) / 2
    np.testing.assert_allclose(wide(baselines.mlp(x, up, down)), dense(gelu, down), atol=1e-4)


def test_attention_block() -> None:
    x, block, heads = baselines.attention_inputs(mx.float32)
    source = wide(x)
    batch, length, width = source.shape
    queries, keys, values = (
        dense(source, layer).reshape(batch, length, heads, width // heads).swapaxes(1, 2)
        for layer in (block.query, block.key, block.value)
    )
    scores = softmax(queries @ keys.swapaxes(2, 3) / math.sqrt(width // heads))
    mixed = (scores @ values).swapaxes(1, 2).reshape(source.shape)
    np.testing.assert_allclose(wide(baselines.attention_block(x, block, heads)), dense(mixed, block.output), atol=1e-4)


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_encoder_agrees_with_pytorch(case: dict[str, Any], weights: dict[str, mx.array]) -> None:
    (vector,) = wide(baselines.minilm(mx.array([case["ids"]]), weights))
    np.testing.assert_allclose(vector, case["vector"], atol=2e-6)


def test_inputs_are_the_same_every_time() -> None:
    first, again = (baselines.linear_inputs(mx.float32)[0] for _ in range(2))
    assert mx.array_equal(first, again)
    ids, _ = baselines.minilm_inputs(model_path(MINILM), mx.float32)
    assert ids.shape == (1, baselines.MINILM_TOKENS)
