"""The model's side of the application: a model, the one thread that runs it, and a queue with a bound.

`load` opens a model file, and imports the module that was compiled from the TensorLogic program for its architecture.
`Engine` answers one chat after the other, in the order in which they came, and knows nothing of HTTP. An answer holds a
place from when it is asked for until its last token, or until its reader has left or is dropped; who finds no free
place is refused with `Full`.

All of the model's work, its loading too, is done in the engine's own thread.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mlx.core as mx

from examples.app.answer import Answer, End, Failure, Gone
from tensorlogic.runtime import KVCache, load_model
from tensorlogic.runtime.architectures import language_model
from tensorlogic.runtime.errors import TensorLogicError
from tensorlogic.runtime.generating import generate
from tensorlogic.runtime.generation import LanguageModel, require_prompt

STOPPING = "the server is being stopped"
BROKEN = "the server could not compute this answer; its log says why"
LONGEST_WAIT = 60
"""The most seconds after which a client is told to come again."""

_log = logging.getLogger("examples.app")


@dataclass(frozen=True)
class Question:
    """A chat that is to be answered: messages as (role, content), and how tokens are chosen."""

    messages: Sequence[tuple[str, str]]
    max_tokens: int = 512
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0


@dataclass(frozen=True)
class _Job:
    prompt: Sequence[int]
    question: Question
    answer: Answer


class Unsuited(Exception):
    """A model file that is in order, but not one that this application can use."""


class Full(Exception):
    """All places are taken; in about so many whole seconds one may be free."""

    def __init__(self, places: int, seconds: int) -> None:
        self.places, self.seconds = places, seconds
        super().__init__(f"all {places} places are taken: try again in {seconds} s")


def load(path: Path) -> LanguageModel:
    """The weights of a file or folder, and the compiled module of its architecture, which is imported.

    Raises TensorLogicError for what is no such model, Unsuited where there is no chat template.
    """
    model = load_model(path)
    if model.tokenizer.chat_template is None:
        help = "the names of models that were trained for chats often end in -Instruct or -it"
        raise Unsuited(f"{path} has no chat template\n  help: {help}")
    return language_model(model)


class Engine:
    """A loaded model and who waits for it.

    `places` is how many answers there are at once: the one that is computed, and those that wait. `buffer` and
    `patience` are those of each `Answer`. Raises what `load` raises.
    """

    def __init__(
        self, load: Callable[[], LanguageModel], *, places: int = 8, buffer: int = 64, patience: float = 10.0
    ) -> None:
        self.places = places
        self._buffer, self._patience = buffer, patience
        self._changed = threading.Condition()
        self._waiting: deque[_Job] = deque()
        self._running: _Job | None = None
        self._stopped = False
        self._seconds = 1.0
        """What the last whole answer took."""
        loaded: Future[LanguageModel] = Future()
        self._thread = threading.Thread(target=self._work, args=(load, loaded), name="model", daemon=True)
        self._thread.start()
        self.model = loaded.result()

    def prompt(self, question: Question) -> list[int]:
        """The tokens of a chat. Raises TensorLogicError for one that the model cannot take, or that is too long."""
        ids = self.model.tokenizer.apply_chat_template(question.messages)
        require_prompt(len(ids), 0, self.model.context)
        return ids

    def ask(self, prompt: Sequence[int], question: Question, notify: Callable[[], None]) -> Answer:
        """Wait in line for an answer. Raises Full. Whoever asks says `leave` in the end, whatever happens."""
        answer = Answer(notify, buffer=self._buffer, patience=self._patience)
        with self._changed:
            taken = self._taken()
            if taken >= self.places:
                raise Full(self.places, max(1, min(LONGEST_WAIT, math.ceil(self._seconds))))
            if self._stopped:
                answer.end(Failure(STOPPING))
                return answer
            self._waiting.append(_Job(prompt, question, answer))
            answer.wait(taken)
            self._changed.notify_all()
        return answer

    def leave(self, answer: Answer) -> None:
        """Free the place of an answer that nobody reads any more; one that has ended holds none."""
        answer.leave()
        with self._changed:
            kept = [job for job in self._waiting if job.answer is not answer]
            if len(kept) < len(self._waiting):
                self._waiting = deque(kept)
                self._tell()

    def taken(self) -> int:
        """How many places are taken."""
        with self._changed:
            return self._taken()

    def stop(self, seconds: float = 0.0) -> bool:
        """End all answers, and the thread at its next step; whether it has ended in so many seconds."""
        with self._changed:
            self._stopped = True
            jobs = [*([self._running] if self._running else []), *self._waiting]
            self._waiting.clear()
            self._changed.notify_all()
        for job in jobs:
            job.answer.end(Failure(STOPPING))
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _taken(self) -> int:
        return len(self._waiting) + (self._running is not None)

    def _tell(self) -> None:
        for before, job in enumerate(self._waiting, 1 if self._running else 0):
            job.answer.wait(before)

    # --- the thread

    def _work(self, load: Callable[[], LanguageModel], loaded: Future[LanguageModel]) -> None:
        try:
            model = load()
        except BaseException as fault:
            loaded.set_exception(fault)
            return
        loaded.set_result(model)
        while (job := self._next()) is not None:
            begun = time.monotonic()
            last = _answer(model, job)
            # The place is free before the reader hears of the end.
            with self._changed:
                self._running = None
                if isinstance(last, End):
                    self._seconds = time.monotonic() - begun
            if last is not None:
                job.answer.end(last)

    def _next(self) -> _Job | None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._waiting)
            if self._stopped:
                return None
            job = self._running = self._waiting.popleft()
            job.answer.wait(0)
            self._tell()
            return job


def _answer(model: LanguageModel, job: _Job) -> End | Failure | None:
    """Compute one answer but for its last event, which is returned; None where nobody waits for it any more."""
    question, answer = job.question, job.answer

    def step(net: Any, ids: mx.array, cache: KVCache) -> tuple[mx.array, KVCache]:
        # A long prompt has many steps before the first piece.
        if answer.over:
            raise Gone
        return model.step(net, ids, cache)

    try:
        generation = generate(
            replace(model, step=step),
            job.prompt,
            max_tokens=question.max_tokens,
            temperature=question.temperature,
            top_p=question.top_p,
            seed=question.seed,
        )
        for piece in generation:
            answer.put(piece)
        finish = generation.finish
        assert finish is not None
        count = len(generation.ids)
        return End(finish, len(job.prompt), count, generation.prompt_seconds, generation.tokens_per_second)
    except Gone:
        return None
    except TensorLogicError as fault:
        return Failure(fault.message)
    except Exception:
        _log.exception("an answer could not be computed")
        return Failure(BROKEN)
