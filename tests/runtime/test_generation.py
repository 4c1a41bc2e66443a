"""Text from real weights by the model written in the language, and what ends an answer."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

import tensorlogic
from benchmarks import decoder
from tensorlogic.compiler.names import PRELUDE
from tensorlogic.runtime import KVCache, device, load_model
from tensorlogic.runtime.errors import BoundaryError
from tensorlogic.runtime.generation import Generation, LanguageModel, chunk
from tensorlogic.runtime.packed import dense
from tensorlogic.runtime.sampling import Sampler
from tests.models import GEMMA3, SMOLLM2, model_path

MODELS = PRELUDE.parent / "models"
QUESTION = "What is the capital of France? Answer in one sentence."


@pytest.fixture(scope="module")
def smollm2() -> LanguageModel:
    module: Any = tensorlogic.load(MODELS / "llama.tl")
    model = load_model(model_path(SMOLLM2))
    return LanguageModel(module.load(model), module.step, model.tokenizer, context=2048)


@pytest.mark.parametrize(("file", "weights"), [("llama.tl", SMOLLM2), ("gemma3.tl", GEMMA3)])
def test_logits_are_those_of_the_decoder_by_hand(file: str, weights: str) -> None:
    """On a prompt that is longer than Gemma's window."""
    module: Any = tensorlogic.load(MODELS / file)
    ids = [2, *((7 * i * i + 13 * i) % 5000 + 10 for i in range(600))]
    by_hand = decoder.load(model_path(weights))
    by_hand.new_cache(len(ids))
    expected = np.asarray(by_hand.prefill(ids))
    net, cache = module.load(load_model(model_path(weights))), KVCache()
    for begin in range(0, len(ids), chunk()):
        logits, cache = module.step(net, mx.array([ids[begin : begin + chunk()]], mx.int32), cache)
    # Logits reach 20, and float16 carries them to 0.008.
    assert np.abs(np.asarray(logits.astype(mx.float32))[0] - expected).max() < 0.05


def ask(model: LanguageModel, text: str = QUESTION) -> list[int]:
    return model.tokenizer.apply_chat_template([("user", text)])


def answer(model: LanguageModel, ids: Sequence[int], **settings: Any) -> Generation:
    generation = Generation(model, ids, Sampler(), KVCache(), **settings)
    pieces = list(generation)
    assert "".join(pieces) == model.tokenizer.decode(generation.ids) or generation.finish == "stop"
    return generation


def test_it_answers(smollm2: LanguageModel) -> None:
    generation = answer(smollm2, ask(smollm2))
    assert smollm2.tokenizer.decode(generation.ids) == "The capital of France is Paris."
    assert generation.finish == "end"
    assert generation.prompt_seconds > 0
    assert generation.seconds > 0


def logits_of(model: LanguageModel, cache: KVCache, parts: Sequence[Sequence[int]]) -> mx.array:
    for part in parts:
        logits, cache = model.step(model.net, mx.array([list(part)], mx.int32), cache)
    return logits.astype(mx.float32)


@pytest.mark.parametrize(
    "make", [KVCache, lambda: KVCache(capacity=100), lambda: KVCache(window=100)], ids=["growing", "room", "window"]
)
def test_step_by_step_is_all_at_once(smollm2: LanguageModel, make: Callable[[], KVCache]) -> None:
    ids = ask(smollm2)
    at_once = logits_of(smollm2, KVCache(), [ids])
    for parts in ([[i] for i in ids], [ids[:20], ids[20:21], ids[21:]]):
        difference = np.abs(np.asarray(logits_of(smollm2, make(), parts) - at_once)).max()
        # Logits reach 20; activations of few rows and of many are kept in 16 to 24 bits, the cache in float16.
        assert difference < 0.05


def test_a_quantized_cache_answers_alike(smollm2: LanguageModel) -> None:
    ids = ask(smollm2)
    exact, near = (logits_of(smollm2, KVCache(bits=bits), [ids[:30], ids[30:]]) for bits in (None, 8))
    assert np.abs(np.asarray(exact - near)).max() < 2
    assert mx.argmax(exact).item() == mx.argmax(near).item()


def test_a_batch_is_its_prompts_one_by_one(smollm2: LanguageModel) -> None:
    ids, other = ask(smollm2), ask(smollm2, "What is the capital of Norway? Answer in one sentence.")
    assert len(ids) == len(other)
    both, _ = smollm2.step(smollm2.net, mx.array([ids, other], mx.int32), KVCache())
    for row, alone in zip(both, (ids, other), strict=True):
        difference = row.astype(mx.float32) - logits_of(smollm2, KVCache(), [alone])[0]
        assert np.abs(np.asarray(difference)).max() < 0.05


def test_long_prompts_are_computed_in_chunks(smollm2: LanguageModel) -> None:
    sizes: list[int] = []

    def step(net: Any, ids: mx.array, cache: KVCache) -> tuple[mx.array, KVCache]:
        sizes.append(ids.shape[1])
        return smollm2.step(net, ids, cache)

    ids = ask(smollm2, QUESTION * 12)
    assert len(ids) > chunk()
    model = LanguageModel(smollm2.net, step, smollm2.tokenizer)
    generation = answer(model, ids, max_tokens=2)
    assert sum(sizes[: -(-len(ids) // chunk())]) == len(ids)
    assert max(sizes) <= chunk()
    whole = logits_of(smollm2, KVCache(), [ids])
    assert generation.ids[0] == int(np.asarray(mx.argmax(whole)))


def test_a_gpu_computes_more_of_a_prompt_together(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chunk() == 128
    monkeypatch.setattr(device, "on_gpu", lambda: True)
    assert chunk() == 2048


def test_what_ends_an_answer(smollm2: LanguageModel) -> None:
    ids = ask(smollm2)
    few = answer(smollm2, ids, max_tokens=3)
    assert (few.finish, len(few.ids)) == ("length", 3)
    stopped = Generation(smollm2, ids, Sampler(), KVCache(), stop=["xyz", "of Fra"])
    assert "".join(stopped) == "The capital "
    assert stopped.finish == "stop"


def test_a_conversation_goes_on_with_its_cache(smollm2: LanguageModel) -> None:
    ids = ask(smollm2)
    first = answer(smollm2, ids, max_tokens=4)
    cache = first.cache
    # One token ahead was computed.
    cache.rewind(len(ids) + 3)
    second = Generation(smollm2, first.ids[3:4], Sampler(), cache, max_tokens=3)
    list(second)
    assert first.ids + second.ids == answer(smollm2, ids).ids[:7]


def test_equal_seeds_give_equal_texts(smollm2: LanguageModel) -> None:
    def tell(seed: int) -> list[int]:
        sampler = Sampler(temperature=1.5, top_k=50, seed=seed)
        generation = Generation(smollm2, ask(smollm2, "Tell me a story."), sampler, KVCache(), max_tokens=12)
        list(generation)
        return generation.ids

    assert tell(1) == tell(1)
    assert tell(1) != tell(2)


def test_prompts_that_do_not_fit_are_refused(smollm2: LanguageModel) -> None:
    with pytest.raises(BoundaryError, match="at least one token"):
        answer(smollm2, [])
    small = LanguageModel(smollm2.net, smollm2.step, smollm2.tokenizer, context=10)
    with pytest.raises(BoundaryError, match="the prompt has 11 tokens; the model's context has room for 10"):
        answer(small, [1] * 11)
    cache = answer(smollm2, [1] * 5, max_tokens=1).cache
    with pytest.raises(BoundaryError, match="the prompt has 6 tokens, and 6 stand before it"):
        Generation(small, [1] * 6, Sampler(), cache)


def test_logits_that_are_no_numbers_end_it(smollm2: LanguageModel) -> None:
    def step(net: Any, ids: mx.array, cache: KVCache) -> tuple[mx.array, KVCache]:
        logits, cache = smollm2.step(net, ids, cache)
        return logits + math.nan, cache

    with pytest.raises(BoundaryError, match="the model's logits are no numbers") as caught:
        answer(LanguageModel(smollm2.net, step, smollm2.tokenizer), ask(smollm2))
    assert caught.value.notes == ("made by the last layer, or what follows it",)


@pytest.mark.parametrize(
    ("layer", "field", "told"),
    [
        (3, "down", "made by layer 3"),
        (0, "attention_norm", "made by the embedding, or by the weights of layer 0"),
        (29, "down", "made by the last layer, or what follows it"),
    ],
)
def test_the_layer_that_made_them_is_named(smollm2: LanguageModel, layer: int, field: str, told: str) -> None:

    def changed(struct: Any, name: str, value: Any) -> Any:
        """Without the checks of the constructor, which refuse what is carried in float32."""
        other = copy.copy(struct)
        object.__setattr__(other, name, value)
        return other

    layers = list(smollm2.net.weights.layers)
    whole = dense(getattr(layers[layer], field), mx.float32)
    layers[layer] = changed(layers[layer], field, whole * math.nan)
    broken = changed(smollm2.net, "weights", changed(smollm2.net.weights, "layers", tuple(layers)))
    with pytest.raises(BoundaryError) as caught:
        answer(LanguageModel(broken, smollm2.step, smollm2.tokenizer), ask(smollm2))
    assert caught.value.notes == (told,)
