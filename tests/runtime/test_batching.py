"""A batch of prompts of different lengths answers as its prompts do one by one."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import pytest

import tensorlogic
from tensorlogic.compiler.names import STANDARD_LIBRARY
from tensorlogic.runtime import KVCache, Model, generate, generate_batch, load_model
from tensorlogic.runtime.errors import BoundaryError
from tests.models import GEMMA3, SMOLLM2, model_path

MODELS = STANDARD_LIBRARY / "models"
QUESTIONS = (
    "What is the capital of France? Answer in one sentence.",
    "Say hello.",
    "What is the capital of Norway? Answer in one sentence, please, and no more than that.",
)
PLAIN = """
fn step(ids: int32[B, L], table: float32[V, K], cache: KVCache) -> (float32[B, V], KVCache) {
    let x = embedding(ids, table)[:, none]
    let (ks, vs, next) = cache.update(0, x, x)
    let mixed = attention(x, ks, vs, causal: true)
    return (mixed[:, 0, L-1] @ table.T, next)
}
"""


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model(model_path(SMOLLM2))


def test_each_answer_is_the_one_of_its_prompt_alone(model: Model) -> None:
    prompts = [model.tokenizer.apply_chat_template([("user", question)]) for question in QUESTIONS]
    assert len(set(map(len, prompts))) == 3
    found = generate_batch(model, prompts, max_tokens=10)
    for prompt, answer in zip(prompts, found, strict=True):
        alone = generate(model, prompt, max_tokens=10)
        assert answer.text == "".join(alone)
        assert (answer.ids, answer.finish) == (alone.ids, alone.finish)
    assert {answer.finish for answer in found} == {"end", "length"}


@pytest.mark.parametrize(("name", "weights"), [("llama", SMOLLM2), ("gemma3", GEMMA3)])
@pytest.mark.parametrize("strict", [False, True])
def test_logits_are_those_of_each_row_alone(name: str, weights: str, strict: bool) -> None:
    """Under `strict` attention is written out. The shorter row begins within the longer one's window."""
    module: Any = tensorlogic.load(MODELS / f"{name}.tl", strict=strict)
    net = module.load(load_model(model_path(weights), dtype="float32"))
    rows = [[7 * i * i % 5000 + 10 for i in range(count)] for count in (40, 23)]
    cache = KVCache(begins=[0, 17])
    ids = mx.array([rows[0], [5] * 17 + rows[1]], mx.int32)
    for begin, end in ((0, 20), (20, 39), (39, 40)):
        logits, cache = module.step(net, ids[:, begin:end], cache)
    for row, each in enumerate(rows):
        alone, _ = module.step(net, mx.array([each], mx.int32), KVCache())
        assert np.abs(np.asarray(logits[row]) - np.asarray(alone[0])).max() < 0.02


def test_a_program_that_is_no_pattern_sees_its_own_rows() -> None:
    module: Any = tensorlogic.compile(PLAIN)
    table = mx.random.normal((9, 32), key=mx.random.key(1))
    cache = KVCache(begins=[2, 0])
    for part in ([[8, 8, 1], [3, 4, 5]], [[2], [6]]):
        logits, cache = module.step(mx.array(part, mx.int32), table, cache)
    for row, each in enumerate(([1, 2], [3, 4, 5, 6])):
        alone, _ = module.step(mx.array([each], mx.int32), table, KVCache())
        assert np.abs(np.asarray(logits[row]) - np.asarray(alone[0])).max() < 1e-4


def test_what_is_refused(model: Model) -> None:
    assert generate_batch(model, []) == []
    with pytest.raises(BoundaryError, match="at least one token"):
        generate_batch(model, ["Once", []])
    with pytest.raises(BoundaryError, match="context has room for 8192"):
        generate_batch(model, ["Once", [1] * 9000])


def test_the_pass_is_seen() -> None:
    from tensorlogic.compiler import driver

    python = driver.compile_text(PLAIN).python
    assert "mask = next.mask(0, x, ks)" in python
