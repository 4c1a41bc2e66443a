"""Long work tells how far it is, to whoever listens; by default nobody does, and it costs a microsecond.

Work is counted in bytes. What reads or writes many tensors opens `work` once around all of it, and a `part` around
each, which advances by the pieces that are read in it (`formats/pieces.py`); work inside other work only advances that.
Threads may advance the same work. The runtime never draws: `tlc` listens where standard error is a terminal.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from tensorlogic.runtime.formats.pieces import told


class Listener(Protocol):
    """What is told of work. Its methods are called under a lock, one at a time."""

    def begin(self, what: str, total: int) -> None:
        """Work begins: a line that says what, and its bytes. Work of the same name may go on after a short `end`."""

    def advance(self, nbytes: int) -> None:
        """So many more bytes are done."""

    def end(self) -> None:
        """The work ended, or failed."""


_lock = threading.RLock()
_listener: Listener | None = None
_depth = 0


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Tell `listener` of all work in the block."""
    global _listener
    before, _listener = _listener, listener
    try:
        yield
    finally:
        _listener = before


@contextmanager
def work(what: str, nbytes: Callable[[], int]) -> Iterator[None]:
    """The block works on so many bytes, which are asked for only where somebody listens."""
    global _depth
    listener = _listener
    if listener is None:
        yield
        return
    with _lock:
        if _depth == 0:
            listener.begin(what, nbytes())
        _depth += 1
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            if _depth == 0:
                listener.end()


def advanced(nbytes: int) -> None:
    """So many more bytes of the work around are done."""
    if _listener is None or not nbytes:
        return
    with _lock:
        if _listener is not None and _depth > 0:
            _listener.advance(nbytes)


@contextmanager
def part(nbytes: int) -> Iterator[None]:
    """So many bytes of the work around are this block's: what it reads in this thread, and at its end the rest."""
    left = nbytes

    def advance(read: int) -> None:
        nonlocal left
        done = min(read, left)
        left -= done
        advanced(done)

    try:
        with told(advance):
            yield
    finally:
        advanced(left)
