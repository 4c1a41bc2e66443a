"""`generate`: text from a model file and a prompt, and the loop over its pieces that Ctrl-C ends.

Takes a `Model` whose architecture the standard library has (`architectures`), or a `LanguageModel` of any program's
own. A model is bound once, however often it generates. A prompt of text is encoded as text: what spells a special
token is none; `tokenizer.apply_chat_template` gives ids that have them.

Refuses what `Generation`, `Sampler`, `KVCache` and `language_model` refuse.
"""

from __future__ import annotations

import functools
import signal
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from types import FrameType

from tensorlogic.runtime import kernels
from tensorlogic.runtime.architectures import language_model
from tensorlogic.runtime.cache_files import identity, load_cache, save_cache
from tensorlogic.runtime.caching import KVCache
from tensorlogic.runtime.errors import BoundaryError
from tensorlogic.runtime.generation import Generation, LanguageModel, rehearse, require_prompt, room_for
from tensorlogic.runtime.models import Model
from tensorlogic.runtime.packed import in_bytes
from tensorlogic.runtime.sampling import Sampler

_bound: weakref.WeakKeyDictionary[Model, LanguageModel] = weakref.WeakKeyDictionary()
_fast: weakref.WeakKeyDictionary[LanguageModel, LanguageModel] = weakref.WeakKeyDictionary()
"""What must not hold its own key, which would never go then."""


def bound(model: Model | LanguageModel, *, fast: bool = False) -> LanguageModel:
    """A model that generates, bound once. With `fast`, activations meet its packed weights in bytes on a CPU."""
    exact = model if isinstance(model, LanguageModel) else _bound_once(model)
    if not fast or not kernels.active():
        return exact
    known = _fast.get(exact)
    if known is None:
        known = _fast[exact] = replace(exact, net=in_bytes(exact.net))
        if isinstance(model, Model):
            rehearse(known)
    return known


def _bound_once(model: Model) -> LanguageModel:
    known = _bound.get(model)
    if known is None:
        known = _bound[model] = replace(language_model(model), identity=_identity_of(weakref.ref(model)))
    return known


def _identity_of(model: weakref.ref[Model]) -> Callable[[], str]:
    @functools.cache
    def found() -> str:
        alive = model()
        assert alive is not None, "who generates from a model holds it"
        return identity(alive)

    return found


def generate(
    model: Model | LanguageModel,
    prompt: str | Sequence[int],
    max_tokens: int = 256,
    temperature: float = 0.0,
    top_k: int = 0,
    top_p: float = 1.0,
    min_p: float = 0.0,
    repetition_penalty: float = 1.0,
    seed: int = 0,
    stop: Sequence[str] = (),
    window: int | None = None,
    bits: int | None = None,
    reuse: bool = False,
    prompt_cache: str | Path | None = None,
    fast: bool = False,
) -> Generation:
    """An iterator of the pieces of one answer. Equal arguments give equal answers.

    The settings of sampling are those of `Sampler`. The answer has at most `max_tokens` tokens, ends before one of the
    strings of `stop`, and where the model's context is full. With a `window`, keys and values of so many tokens are
    kept, and neither prompt nor answer has a limit; with `bits` (4 or 8) they are kept quantized. With `reuse`, those
    of the last such answer are used again as far as the texts begin alike, as those of a chat do: the first token comes
    sooner, and rounding may differ from that of a text which is computed at once. A `prompt_cache` is a file for the
    same: where it is there, it is used, and where not, it is written with the whole prompt. With `fast`, activations
    meet packed weights in bytes on a CPU, as in programs compiled so.

    Raises `BoundaryError` TL5020 to TL5026 (see `tlc explain`); `ModelFileError` TL4501 for an architecture that is not
    here, and what reading the model raises.
    """
    known = bound(model, fast=fast)
    ids = known.tokenizer.encode(prompt) if isinstance(prompt, str) else list(prompt)
    sampler = Sampler(temperature, top_k, top_p, min_p, repetition_penalty, seed)
    require_prompt(len(ids), 0, None if window is not None else known.context)
    if prompt_cache is not None and (window is not None or reuse):
        raise BoundaryError("TL5026", "a `prompt_cache` goes without `window` and `reuse`")
    room = room_for(max_tokens, len(ids), None if window is not None else known.context)
    if window is not None:
        endless = replace(known, context=None)
        return Generation(endless, ids, sampler, known.new_cache(known.net, window=window, bits=bits), room, stop)
    if prompt_cache is not None:
        return _from_file(Path(prompt_cache), known, ids, sampler, bits, room, stop)
    if not reuse:
        cache = known.new_cache(known.net, capacity=len(ids) + max(room, 1), bits=bits)
        return Generation(known, ids, sampler, cache, room, stop)
    cache = _used_again(known, ids, bits)
    answer = Generation(known, ids[cache.length() :], sampler, cache, room, stop)
    known.last[:] = [(ids, answer)]
    return answer


def _from_file(
    path: Path,
    model: LanguageModel,
    ids: list[int],
    sampler: Sampler,
    bits: int | None,
    room: int,
    stop: Sequence[str],
) -> Generation:
    """An answer whose prompt's beginning is in a file, or comes into one."""
    owner = model.identity()
    if not path.exists():
        empty = model.new_cache(model.net, bits=bits)
        return Generation(model, ids, sampler, empty, room, stop, lambda cache: save_cache(cache, ids, path, owner))
    cache, seen = load_cache(path, owner)
    if cache.bits != bits:
        raise BoundaryError("TL5026", f"`{path}` has a cache of {cache.bits or 'all'} bits, not of {bits or 'all'}")
    cache.rewind(_alike(seen, ids))
    return Generation(model, ids[cache.length() :], sampler, cache, room, stop)


def _alike(seen: Sequence[int], ids: Sequence[int]) -> int:
    """How many tokens two texts begin with, without the last of the second: something must be computed."""
    pairs = zip(seen, ids[:-1], strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _used_again(model: LanguageModel, ids: Sequence[int], bits: int | None) -> KVCache:
    """The cache of the last answer with the tokens that both texts begin with, but for one; an empty one without it."""
    before, answer = model.last.pop() if model.last else ([], None)
    if answer is None or answer.cache.bits != bits:
        return model.new_cache(model.net, bits=bits)
    seen = [*before, *answer.ids][: answer.cache.length()]
    answer.interrupt()
    answer.cache.rewind(_alike(seen, ids))
    return answer.cache


def until_interrupted(generation: Generation) -> Iterator[str]:
    """The pieces until Ctrl-C, which ends the loop and not the program; a second one does what it always does.

    A loop in another thread than the first, which gets no signals, is as it is without this.
    """
    if threading.current_thread() is not threading.main_thread():
        yield from generation
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        generation.interrupt()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield from generation
    finally:
        signal.signal(signal.SIGINT, before)
