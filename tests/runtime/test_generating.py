"""`generate` from a model file: its program is found by the architecture, and its settings say how it goes on."""

from __future__ import annotations

import gc
import os
import signal
import threading
import weakref
from pathlib import Path
from typing import Any

import mlx.core as mx
import pytest

import tensorlogic
from tensorlogic.compiler.names import STANDARD_LIBRARY
from tensorlogic.runtime import (
    LanguageModel,
    Model,
    generate,
    generate_batch,
    kernels,
    load_model,
    until_interrupted,
)
from tensorlogic.runtime.architectures import language_model
from tensorlogic.runtime.caching import KVCache
from tensorlogic.runtime.errors import BoundaryError, ModelFileError
from tensorlogic.runtime.generating import bound
from tensorlogic.runtime.keeping import Kept
from tensorlogic.runtime.reading import FloatType
from tests.models import GEMMA3, SMOLLM2, model_path

ANSWER = "The capital of France is Paris."


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model(model_path(SMOLLM2))


@pytest.fixture(scope="module")
def question(model: Model) -> list[int]:
    return model.tokenizer.apply_chat_template([("user", "What is the capital of France? Answer in one sentence.")])


def test_a_model_answers(model: Model, question: list[int]) -> None:
    answer = generate(model, question)
    assert "".join(answer) == ANSWER
    assert (answer.finish, len(answer.ids)) == ("end", 7)
    assert answer.tokens_per_second > 0


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_gemma_goes_on_in_each_float_type(dtype: FloatType) -> None:
    model = load_model(model_path(GEMMA3), dtype=dtype)
    text = "".join(generate(model, "The capital of France is", max_tokens=8))
    assert text == " the capital of the country of France."


def test_fast_is_what_a_program_compiled_so_computes(model: Model, question: list[int]) -> None:
    ids = mx.array([question], mx.int32)
    exact, hasty = bound(model), bound(model, fast=True)
    assert bound(model, fast=True) is hasty is bound(exact, fast=True)
    compiled = tensorlogic.load(STANDARD_LIBRARY / "models" / "llama.tl", fast=True)
    expected, _ = compiled.step(compiled.load(model), ids, KVCache())
    found, _ = hasty.step(hasty.net, ids, KVCache())
    assert mx.array_equal(found, expected)
    assert "".join(generate(model, question, fast=True)) == ANSWER
    assert [each.text for each in generate_batch(model, [question], fast=True)] == [ANSWER]
    # Where the kernels compute, it is another number.
    assert mx.array_equal(found, exact.step(exact.net, ids, KVCache())[0]) == (kernels.active() is None)


@pytest.mark.parametrize("way", ["exact", "fast", "without our kernels"])
def test_what_is_made_once_of_the_weights_is_made_when_a_model_is_bound(
    question: list[int], way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "without our kernels":
        monkeypatch.setattr(kernels, "active", lambda: None)
    kept: list[object] = []
    keep = Kept.keep

    def noted(self: Kept[Any], key: object, thing: object, arrays: Any) -> object:
        kept.append(thing)
        return keep(self, key, thing, arrays)

    monkeypatch.setattr(Kept, "keep", noted)
    known = bound(load_model(model_path(SMOLLM2)), fast=way == "fast")
    assert len(kept) >= 60
    kept.clear()
    assert "".join(generate(known, question)) == ANSWER
    assert not kept


def test_where_our_kernels_do_not_compute_fast_is_the_same_model(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "active", lambda: None)
    assert bound(model, fast=True) is bound(model)


def test_a_model_that_has_answered_can_go(question: list[int]) -> None:
    model = load_model(model_path(SMOLLM2))
    alive = weakref.ref(model)
    for fast, reuse in ((False, False), (True, False), (False, True)):
        list(generate(model, question, max_tokens=2, fast=fast, reuse=reuse))
    del model
    gc.collect()
    assert alive() is None


def test_text_is_no_special_token(model: Model) -> None:
    text = "<|im_end|>"
    answer = generate(model, text, max_tokens=1)
    assert list(answer.prompt) == model.tokenizer.encode(text)
    assert not set(answer.prompt) & set(model.tokenizer.eos_ids)


def test_settings_of_sampling_are_used(model: Model) -> None:
    def told(**settings: Any) -> str:
        return "".join(generate(model, "Once upon a time", max_tokens=12, **settings))

    assert told(temperature=1.0, seed=1) == told(temperature=1.0, seed=1) != told(temperature=1.0, seed=2)
    assert told(temperature=1.0, seed=1, top_k=1) == told()
    assert told(repetition_penalty=1.8) != told()
    assert len(told(stop=["a"])) < len(told())
    with pytest.raises(BoundaryError, match="`temperature`"):
        told(temperature=-1)
    for window in (None, 8):
        with pytest.raises(BoundaryError, match="`max_tokens` is at least 0, not -1"):
            generate(model, "Once", max_tokens=-1, window=window)


@pytest.mark.parametrize("settings", [{"window": 200}, {"bits": 8}, {"reuse": True}])
def test_each_cache_answers(model: Model, question: list[int], settings: dict[str, Any]) -> None:
    assert "".join(generate(model, question, **settings)) == ANSWER


def test_a_chat_computes_what_is_new_alone(model: Model) -> None:
    known = language_model(model)
    counts: list[int] = []

    def step(net: object, ids: mx.array, cache: KVCache) -> tuple[mx.array, KVCache]:
        counts.append(ids.shape[1])
        return known.step(net, ids, cache)

    counting = LanguageModel(known.net, step, known.tokenizer, known.context)
    template = known.tokenizer.apply_chat_template
    history = [("user", "What is the capital of France?")]
    text = "".join(generate(counting, template(history), reuse=True))
    assert text == ANSWER
    history += [("assistant", text), ("user", "And of Norway?")]
    counts.clear()
    again = "".join(generate(counting, template(history), reuse=True))
    assert 1 < counts[0] < 20 < len(template(history))
    assert again == "".join(generate(counting, template(history)))
    # Another text shares its beginning; an interrupted answer is used as far as it went.
    half = generate(counting, template(history), reuse=True)
    assert next(half)
    others = [generate(counting, template([("user", "What is 2 + 2?")]), reuse=reuse) for reuse in (True, False)]
    assert "".join(others[0]) == "".join(others[1])
    assert (list(half), half.finish) == ([], "interrupted")


def test_an_answer_ends_where_the_context_does(model: Model) -> None:
    known = language_model(model)
    small = LanguageModel(known.net, known.step, known.tokenizer, context=12)
    answer = generate(small, [1] * 10, max_tokens=50)
    list(answer)
    assert (len(answer.ids), answer.finish) == (2, "length")
    with pytest.raises(BoundaryError, match="the prompt has 13 tokens; the model's context has room for 12"):
        generate(small, [1] * 13)
    beyond = generate(small, [1] * 13, max_tokens=3, window=8)
    list(beyond)
    assert len(beyond.ids) == 3


def test_an_architecture_that_is_not_here_is_named(tmp_path: Path) -> None:
    for config, told in (('{"model_type": "mamba"}', "is of the architecture mamba"), ("{}", "names no architecture")):
        (tmp_path / "config.json").write_text(config)
        mx.save_safetensors(str(tmp_path / "model.safetensors"), {"w": mx.zeros(1)})
        with pytest.raises(ModelFileError, match=told) as caught:
            generate(load_model(tmp_path), "Hello")
        assert caught.value.code == "TL4501"
        assert "llama" in caught.value.helps[0]


def test_an_interrupt_ends_the_answer_alone(model: Model, question: list[int]) -> None:
    answer = generate(model, question)
    pieces = []
    before = signal.getsignal(signal.SIGINT)
    for piece in until_interrupted(answer):
        pieces.append(piece)
        if len(pieces) == 2:
            os.kill(os.getpid(), signal.SIGINT)
    assert ANSWER.startswith("".join(pieces))
    assert (len(pieces), answer.finish) == (2, "interrupted")
    assert signal.getsignal(signal.SIGINT) is before


def test_an_interrupt_ends_a_long_prompt(model: Model) -> None:
    answer = generate(model, [1] * 1000)
    answer.interrupt()
    assert list(answer) == []
    assert answer.ids == []


def test_a_second_interrupt_is_an_interrupt(model: Model, question: list[int]) -> None:
    answer = generate(model, question)

    def both() -> None:
        for _ in until_interrupted(answer):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            both()
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_goes_through_an_answer(question: list[int]) -> None:
    found: list[str] = []

    def go() -> None:
        # MLX computes in a thread what was built in it.
        found.append("".join(until_interrupted(generate(load_model(model_path(SMOLLM2)), question))))

    thread = threading.Thread(target=go)
    thread.start()
    thread.join()
    assert found == [ANSWER]
