"""all-MiniLM-L6-v2 by the standard library's BERT, against the plain reference and what PyTorch computed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

import tensorlogic
from tensorlogic.runtime import load_model, load_tokenizer
from tests.models import MINILM, model_path
from tests.reference import bert
from tests.reference.files import File, read_folder
from tests.runtime.language_models import CHAPTER, MODELS, numbers

ROOT = Path(__file__).parents[2]
CASES = json.loads((ROOT / "tests/data/minilm/reference.json").read_text(encoding="utf-8"))["cases"]
POSITIONS = 32


@pytest.fixture(scope="module")
def file() -> File:
    return read_folder(model_path(MINILM))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_reference_agrees_with_pytorch(file: File, case: dict[str, Any]) -> None:
    # Written with seven decimals.
    np.testing.assert_allclose(bert.vector(file, case["ids"]), case["vector"], rtol=0, atol=1e-6)


@pytest.mark.parametrize(("dtype", "bound"), [("float32", 1e-4), ("float16", 0.02)])
def test_vectors_of_tokens_and_of_the_text(file: File, dtype: Any, bound: float) -> None:
    """Measured for tokens, whose items reach 6: 0.003, and 2e-6."""
    module = tensorlogic.load(MODELS / "bert.tl")
    net = module.load(load_model(model_path(MINILM), dtype=dtype))
    ids = load_tokenizer(model_path(MINILM)).encode(CHAPTER.read_text(encoding="utf-8"), max_length=POSITIONS)
    assert len(ids) == POSITIONS
    batch = mx.array([ids], mx.int32)
    found, wanted = numbers(module.vectors(net, batch)[0]), bert.hidden(file, ids)
    assert found.shape == wanted.shape == (POSITIONS, 384)
    assert np.abs(found - wanted).max() < bound
    vector = numbers(module.encode(net, batch)[0])
    assert np.abs(vector - bert.vector(file, ids)).max() < bound / 10
