"""One answer on its way from the thread that computes it to the client that reads it.

The worker puts pieces of text in, the reader takes all that came since it last looked. Between the two lie so many
pieces at most: a worker whose reader does not keep up waits, `patience` seconds in all of an answer, and then drops it.
`notify` is called, from any thread, whenever there is something to take.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

TOO_SLOW = "you read too slowly, so that your place was given to others"


@dataclass(frozen=True)
class Waiting:
    """How many answers come before this one; 0 when it is being computed."""

    before: int


@dataclass(frozen=True)
class Piece:
    """More of the text."""

    text: str


@dataclass(frozen=True)
class End:
    """The whole text was given. The members are those of a `Generation`."""

    finish: str
    prompt_tokens: int
    tokens: int
    prompt_seconds: float
    tokens_per_second: float


@dataclass(frozen=True)
class Failure:
    """Nothing more comes, for this reason."""

    message: str


Event = Waiting | Piece | End | Failure


class Gone(Exception):
    """To the worker: nobody waits for this answer any more."""


class Answer:
    """What both sides hold of one answer."""

    def __init__(self, notify: Callable[[], None], *, buffer: int, patience: float) -> None:
        self._notify = notify
        self._buffer = buffer
        self._patience = patience
        """What is left of it, in seconds."""
        self._changed = threading.Condition()
        self._pieces: list[str] = []
        self._before: int | None = None
        self._told: int | None = None
        self._end: End | Failure | None = None
        self._over = False

    @property
    def over(self) -> bool:
        """Whether the worker has nothing more to do for it."""
        return self._over

    # --- the reader's side

    def take(self) -> list[Event]:
        """All that is new: a position, one piece with all of the text, and the end, which comes last and once."""
        with self._changed:
            events: list[Event] = []
            if self._before is not None:
                events.append(Waiting(self._before))
            if self._pieces:
                events.append(Piece("".join(self._pieces)))
            if self._end is not None:
                events.append(self._end)
            self._pieces, self._before, self._end = [], None, None
            self._changed.notify_all()
        return events

    def leave(self) -> None:
        """The reader is gone; the worker stops at its next step."""
        with self._changed:
            self._over = True
            self._pieces, self._before, self._end = [], None, None
            self._changed.notify_all()

    # --- the worker's side

    def put(self, text: str) -> None:
        """Hand a piece over, when there is room. Raises Gone where the reader has left, or is dropped."""
        with self._changed:
            begun = time.monotonic()
            self._changed.wait_for(lambda: self._over or len(self._pieces) < self._buffer, self._patience)
            if self._over:
                raise Gone
            has_room = len(self._pieces) < self._buffer
            if has_room:
                self._patience -= min(self._patience, time.monotonic() - begun)
                self._pieces.append(text)
        if not has_room:
            self.end(Failure(TOO_SLOW))
            raise Gone
        self._notify()

    def wait(self, before: int) -> None:
        """Tell the reader how many answers come first, where that is news."""
        with self._changed:
            if self._over or before == self._told:
                return
            self._before = self._told = before
        self._notify()

    def end(self, event: End | Failure) -> None:
        """The last that comes; an answer that is over already keeps its own end."""
        with self._changed:
            if self._over:
                return
            self._over, self._end = True, event
            self._changed.notify_all()
        self._notify()
