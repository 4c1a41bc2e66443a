"""The bytes of a tensor in pieces, and who is told of each: what shows progress, and what stops a reading.

A hook belongs to the thread that it is set in. It is called after each piece that the thread reads, with its bytes, and
may raise, which ends the reading.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Hook = Callable[[int], None]


class _Hooks(threading.local):
    """The hooks of one thread, outermost first."""

    hooks: tuple[Hook, ...] = ()


_of_thread = _Hooks()


@contextmanager
def told(hook: Hook) -> Iterator[None]:
    """Call `hook` for each piece that this thread reads in the block, after the hooks around it."""
    before = _of_thread.hooks
    _of_thread.hooks = (*before, hook)
    try:
        yield
    finally:
        _of_thread.hooks = before


def tell_read(nbytes: int) -> None:
    """A piece of so many bytes was read."""
    for hook in _of_thread.hooks:
        hook(nbytes)
