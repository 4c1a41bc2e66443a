"""Text from a model: the loop around its `step`, prompt in chunks, one token ahead of what is read.

Takes a `LanguageModel`: the weights as an emitted module bound them, its `step(net, ids, cache) -> (logits, cache)` and
a tokenizer. `Generation` is the iterator of one answer: pieces of text whose sum is the text of the tokens, never half
a character. The graph of a token is built while the one before it is computed. It ends at a token that ends texts, at
a stop string, after `max_tokens`, and when it is interrupted; `finish` says which, and `cache` holds all tokens but the
last.

Refuses, with a `BoundaryError`: a prompt without tokens or longer than the context (TL5024), logits that are no numbers
(TL5025), and what `Sampler` and `KVCache` refuse.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

import mlx.core as mx
import numpy as np

from tensorlogic.runtime import device
from tensorlogic.runtime.caching import KVCache, new_cache
from tensorlogic.runtime.errors import BoundaryError
from tensorlogic.runtime.sampling import Sampler
from tensorlogic.runtime.text.tokenizer import Tokenizer

_CHUNK, _CHUNK_OF_GPU = 128, 2048
"""The most tokens of a prompt that are computed together, so that the memory they take is bounded. A GPU works on few
no more quickly than on many."""

Step = Callable[[Any, mx.array, KVCache], tuple[mx.array, KVCache]]
NewCache = Callable[..., KVCache]
Finish = Literal["end", "stop", "length", "interrupted"]


@dataclass(frozen=True, eq=False)
class LanguageModel:
    """A model that generates. `context` is how many tokens it was trained for, where the file says it.

    `identity` tells it from others where a prompt's cache is kept in a file. `new_cache(net, capacity=..., window=...,
    bits=..., begins=...)` makes an empty cache for its steps.
    """

    net: Any
    step: Step
    tokenizer: Tokenizer
    context: int | None = None
    identity: Callable[[], str] = str
    new_cache: NewCache = new_cache
    last: list[tuple[list[int], Generation]] = field(default_factory=list, init=False, repr=False)
    """The last answer of those that are used again, with all ids of its prompt."""


@dataclass
class Generation(Iterator[str]):
    """One answer, piece by piece."""

    model: LanguageModel
    prompt: Sequence[int]
    sampler: Sampler
    cache: KVCache
    max_tokens: int = 256
    stop: Sequence[str] = ()
    prompted: Callable[[KVCache], None] | None = None
    """Called with the cache once it holds the prompt, and no more."""
    ids: list[int] = field(default_factory=list, init=False)
    """The tokens so far, without the one that ended it."""
    finish: Finish | None = field(default=None, init=False)
    prompt_seconds: float = field(default=0.0, init=False)
    """From the first piece's being asked for to the first token."""
    seconds: float = field(default=0.0, init=False)
    """From the first token to the last."""

    def __post_init__(self) -> None:
        require_prompt(len(self.prompt), self.cache.length(), self.model.context)
        self._pieces = self._run()

    def __next__(self) -> str:
        return next(self._pieces)

    @property
    def tokens_per_second(self) -> float:
        """The speed of the tokens after the first; 0.0 before there are two."""
        return (len(self.ids) - 1) / self.seconds if len(self.ids) > 1 and self.seconds > 0 else 0.0

    def interrupt(self) -> None:
        """End it with what is there; from a signal's handler or another thread, too."""
        self.finish = "interrupted"

    def _run(self) -> Iterator[str]:
        stream = _Stopped(self.model.tokenizer, self.stop)
        for token in self._tokens():
            piece = stream.push(token)
            if piece:
                yield piece
            if stream.stopped:
                self.finish = "stop"
                return
            if self.finish is not None:
                return
        rest = stream.end()
        if rest:
            yield rest

    def _tokens(self) -> Iterator[int]:
        begun = time.perf_counter()
        ends = frozenset(self.model.tokenizer.eos_ids)
        token = self._prefill()
        first: float | None = None
        for _ in range(self.max_tokens):
            if token is None or self.finish is not None:
                return
            ahead = self._next(token)
            number = number_of(int(np.asarray(token)[0]), self.cache)
            now = time.perf_counter()
            if first is None:
                first, self.prompt_seconds = now, now - begun
            self.seconds = now - first
            if number in ends:
                self.finish = "end"
                return
            self.ids.append(number)
            yield number
            token = ahead
        self.finish = self.finish or "length"

    def _prefill(self) -> mx.array | None:
        """The first token, being computed; None where it was interrupted before."""
        parts = chunks([self.prompt])
        for found in prefill(self.model.step, self.model.net, parts, self.cache):
            logits, self.cache = found
            if self.finish is not None:
                return None
        if self.prompted is not None:
            self.prompted(self.cache)
        self.sampler.note(mx.concatenate(parts, axis=1), logits.shape[-1])
        return next_tokens(self.sampler, logits)

    def _next(self, token: mx.array) -> mx.array:
        logits, self.cache = self.model.step(self.model.net, token[:, None], self.cache)
        return next_tokens(self.sampler, logits)


def rehearse(model: LanguageModel) -> None:
    """Build a step and drop it unevaluated: what is made once for the weights is then not made for the first token.

    For the models of the standard library: of another program's step nobody knows what else it does.
    """
    model.step(model.net, mx.zeros((1, 1), mx.int32), model.new_cache(model.net))


def prefill(step: Step, net: Any, parts: Sequence[mx.array], cache: KVCache) -> Iterator[tuple[mx.array, KVCache]]:
    """The logits and the cache after each part of a prompt; all but the last are computed, to bound the memory."""
    for part in parts:
        logits, cache = step(net, part, cache)
        if part is not parts[-1]:
            cache.evaluate()
        yield logits, cache


def next_tokens(sampler: Sampler, logits: mx.array) -> mx.array:
    """A token for each row of logits [B, V], being computed: int32 [B], -1 where they are no numbers."""
    tokens = sampler(logits)
    mx.async_eval(tokens)  # type: ignore[no-untyped-call]  # MLX declares it without types
    return tokens


def chunk() -> int:
    """The most tokens of a prompt that are computed together on the default device."""
    return _CHUNK_OF_GPU if device.on_gpu() else _CHUNK


def chunks(prompts: Sequence[Sequence[int]]) -> list[mx.array]:
    """Prompts of one length in parts [B, L] of at most `chunk()`, of even sizes: few alone take as long as many."""
    ids = mx.array([list(prompt) for prompt in prompts], mx.int32)
    length = ids.shape[1]
    count = -(-length // chunk())
    bounds = [length * i // count for i in range(count + 1)]
    return [ids[:, begin:end] for begin, end in pairwise(bounds)]


def room_for(max_tokens: int, count: int, context: int | None) -> int:
    """How many tokens an answer to a prompt of so many may have. Refuses less than none."""
    if max_tokens < 0:
        raise BoundaryError("TL5023", f"`max_tokens` is at least 0, not {max_tokens}")
    return max_tokens if context is None else min(max_tokens, context - count)


def require_prompt(count: int, before: int, context: int | None) -> None:
    """Refuse a prompt of so many tokens behind those of a cache."""
    if count == 0:
        raise BoundaryError("TL5024", "a prompt has at least one token")
    if context is not None and before + count > context:
        more = f", and {before} stand before it" if before else ""
        message = f"the prompt has {count} tokens{more}; the model's context has room for {context}"
        raise BoundaryError("TL5024", message)


def number_of(number: int, cache: KVCache) -> int:
    """The id that was sampled; -1 says that the logits were no numbers, and the cache where they came from."""
    if number < 0:
        layer = cache.first_of_nan()
        where = "the last layer, or what follows it" if layer is None else f"layer {layer - 1}"
        raise BoundaryError(
            "TL5025",
            "the model's logits are no numbers",
            notes=[f"made by {where}" if layer != 0 else "made by the embedding, or by the weights of layer 0"],
            helps=["float16 may be too narrow for this model: load it as bfloat16 or float32"],
        )
    return number


class _Stopped:
    """The pieces of a text up to the first of the stop strings; what may begin one is held back."""

    def __init__(self, tokenizer: Tokenizer, stop: Sequence[str]) -> None:
        self._stream = tokenizer.stream()
        self._stop = [text for text in stop if text]
        self._held = ""
        self.stopped = False

    def push(self, token: int) -> str:
        return self._past(self._stream.push(token))

    def end(self) -> str:
        rest = self._past(self._stream.end())
        return rest if self.stopped else rest + self._held

    def _past(self, piece: str) -> str:
        if not self._stop:
            return piece
        text = self._held + piece
        places = [place for stop in self._stop if (place := text.find(stop)) >= 0]
        if places:
            self.stopped, self._held = True, ""
            return text[: min(places)]
        begun = max(
            (
                size
                for stop in self._stop
                for size in range(1, min(len(stop), len(text) + 1))
                if text.endswith(stop[:size])
            ),
            default=0,
        )
        self._held = text[len(text) - begun :]
        return text[: len(text) - begun]
