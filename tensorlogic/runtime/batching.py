"""Answers to several prompts at once, of different lengths: one step computes a token of each.

Shorter prompts begin later, so that all end at one place; what stands before them is hidden by the cache (`begins`).
An answer is what its prompt has alone, up to rounding. Rows that have ended are computed along until all have.

Refuses what `generate` refuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mlx.core as mx
import numpy as np

from tensorlogic.runtime.caching import KVCache
from tensorlogic.runtime.generating import bound
from tensorlogic.runtime.generation import (
    Finish,
    LanguageModel,
    chunks,
    next_tokens,
    number_of,
    prefill,
    require_prompt,
    room_for,
)
from tensorlogic.runtime.models import Model
from tensorlogic.runtime.sampling import Sampler


@dataclass
class Answer:
    """One answer: its tokens without the one that ended it, their text, and what ended it."""

    ids: list[int]
    text: str = ""
    finish: Finish = "length"


def generate_batch(
    model: Model | LanguageModel,
    prompts: Sequence[str | Sequence[int]],
    max_tokens: int = 256,
    temperature: float = 0.0,
    top_k: int = 0,
    top_p: float = 1.0,
    min_p: float = 0.0,
    repetition_penalty: float = 1.0,
    seed: int = 0,
    bits: int | None = None,
    fast: bool = False,
) -> list[Answer]:
    """The answers in the order of the prompts. Settings are those of `generate`."""
    known = bound(model, fast=fast)
    ids = [known.tokenizer.encode(prompt) if isinstance(prompt, str) else list(prompt) for prompt in prompts]
    if not ids:
        return []
    for each in ids:
        require_prompt(len(each), 0, known.context)
    longest = max(map(len, ids))
    room = room_for(max_tokens, longest, known.context)
    begins = [longest - len(each) for each in ids]
    sampler = Sampler(temperature, top_k, top_p, min_p, repetition_penalty, seed)
    cache = known.new_cache(known.net, capacity=longest + max(room, 1), bits=bits, begins=begins)
    return _answers(known, ids, begins, sampler, cache, room)


def _answers(
    model: LanguageModel,
    ids: Sequence[Sequence[int]],
    begins: Sequence[int],
    sampler: Sampler,
    cache: KVCache,
    room: int,
) -> list[Answer]:
    # What is hidden is a token of the prompt, so that the penalty of repetitions counts no other.
    parts = chunks([[each[0]] * begin + list(each) for begin, each in zip(begins, ids, strict=True)])
    *_, (logits, cache) = prefill(model.step, model.net, parts, cache)
    sampler.note(mx.concatenate(parts, axis=1), logits.shape[-1])
    answers = [Answer([]) for _ in ids]
    open_rows = set(range(len(ids)))
    ends = frozenset(model.tokenizer.eos_ids)
    tokens = next_tokens(sampler, logits)
    for _ in range(room):
        logits, cache = model.step(model.net, tokens[:, None], cache)
        ahead = next_tokens(sampler, logits)
        for row, number in enumerate(np.asarray(tokens).tolist()):
            if row in open_rows and number_of(number, cache) in ends:
                answers[row].finish = "end"
                open_rows.discard(row)
            elif row in open_rows:
                answers[row].ids.append(number)
        if not open_rows:
            break
        tokens = ahead
    for answer in answers:
        answer.text = model.tokenizer.decode(answer.ids)
    return answers
