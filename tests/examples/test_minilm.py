"""all-MiniLM-L6-v2 by the standard library's BERT, against vectors of a PyTorch float32 run of the same weights."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

import tensorlogic
from tensorlogic.compiler.names import STANDARD_LIBRARY
from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.models import load_model
from tensorlogic.runtime.text.tokenizer import load_tokenizer
from tests.models import MINILM, model_path

ROOT = Path(__file__).parents[2]
REFERENCE = json.loads((ROOT / "tests/data/minilm/reference.json").read_text(encoding="utf-8"))


@cache
def program() -> ModuleType:
    return tensorlogic.load(STANDARD_LIBRARY / "models/bert.tl")


@cache
def network() -> Any:
    return program().load(load_model(model_path(MINILM)))


@pytest.mark.parametrize("case", REFERENCE["cases"], ids=lambda case: case["name"])
def test_vectors_agree_with_pytorch(case: dict[str, Any]) -> None:
    vector = np.array(program().encode(network(), mx.array([case["ids"]], dtype=mx.int32))[0].astype(mx.float32))
    expected = np.array(case["vector"])
    cosine = vector @ expected / (np.linalg.norm(vector) * np.linalg.norm(expected))
    assert cosine >= 0.9999, cosine


@pytest.mark.parametrize("case", REFERENCE["cases"], ids=lambda case: case["name"])
def test_the_tokenizer_agrees(case: dict[str, Any]) -> None:
    tokenizer = load_tokenizer(model_path(MINILM))
    # The reference takes what spells a special token as one.
    assert tokenizer.encode(case["text"], REFERENCE["max_length"], special=True) == case["ids"]


def test_a_batch_equals_its_texts() -> None:
    rows = [REFERENCE["cases"][0]["ids"][:6], REFERENCE["cases"][1]["ids"][:6]]
    both = program().encode(network(), mx.array(rows, dtype=mx.int32))
    for row, vector in zip(rows, both, strict=True):
        alone = program().encode(network(), mx.array([row], dtype=mx.int32))[0]
        assert np.abs(np.array(alone) - np.array(vector)).max() < 1e-3


def test_dims_are_bound_to_the_file() -> None:
    net = network()
    assert (net.V, net.P, net.S, net.D, net.H, net.K, net.F) == (30522, 512, 2, 384, 12, 32, 1536)
    assert (len(net.weights.layers), net.eps) == (6, 1e-12)


def test_what_the_signature_demands_is_checked() -> None:
    with pytest.raises(tensorlogic.TensorLogicError, match="L <= P"):
        program().encode(network(), mx.zeros((1, 513), mx.int32))
    with pytest.raises(ModelFileError, match="`H`"):
        program().Weights.bind(load_model(model_path(MINILM)), H=7)


def test_nothing_is_evaluated_before_it_must_be() -> None:
    before = mx.get_active_memory()
    result = program().encode(network(), mx.zeros((1, 256), mx.int32))
    assert mx.get_active_memory() - before < 1_000_000, "building the graph computed something"
    mx.eval(result)
