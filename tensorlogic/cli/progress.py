"""The progress bar of long work, on a terminal's standard error and nowhere else.

It listens to `runtime/progress.py`. Work that is short shows nothing; a bar stands on one line while bytes are read,
and is gone before anything else is printed: it is erased whenever the work pauses or fails. The cursor is left as it
is, so that a process that is killed leaves the terminal as it was.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

from tensorlogic.cli.reporting import wants_color, width_of
from tensorlogic.compiler.diagnostics.glyphs import visible
from tensorlogic.runtime.progress import listening

if TYPE_CHECKING:
    from rich.progress import Progress

DELAY = 0.7
"""Seconds of work before a bar is drawn."""
PAUSE = 0.3
"""Seconds after which work of the same name is new work: tensors that are read one after the other are one."""
INTERVAL = 0.1
"""Seconds between two drawings."""
_LONGEST_NAME = 30
_ERASE = "\r\x1b[2K"


@contextmanager
def progress_shown() -> Iterator[None]:
    """Show a bar for long work in the block, if standard error is a terminal that can erase a line."""
    stream = sys.stderr
    if stream is None or not stream.isatty() or os.environ.get("TERM") == "dumb":
        yield
        return
    with listening(Bar(stream)):
        yield


class Bar:
    """Draws one line for the work that it is told of (`runtime.progress.Listener`)."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._what = ""
        self._total = 0
        self._done = 0
        self._began = self._ended = self._rendered = -PAUSE
        self._line = ""
        self._is_drawn = False
        self._progress: Progress | None = None

    def begin(self, what: str, total: int) -> None:
        now = self._clock()
        if what != self._what or now - self._ended > PAUSE or self._done >= self._total:
            self._what, self._total, self._done, self._began = what, total, 0, now
            self._line, self._progress = "", None
        self._draw(now)

    def advance(self, nbytes: int) -> None:
        self._done += nbytes
        self._draw(self._clock())

    def end(self) -> None:
        self._ended = self._clock()
        if self._is_drawn:
            with suppress(OSError):
                self._write(_ERASE)
            self._is_drawn = False

    def _draw(self, now: float) -> None:
        if now - self._began < DELAY:
            return
        # A terminal that went away is no reason to stop the work.
        with suppress(OSError):
            is_stale = not self._line or now - self._rendered >= INTERVAL
            if is_stale:
                self._line, self._rendered = self._render(), now
            if is_stale or not self._is_drawn:
                # Noted first: Ctrl-C may come between the two.
                self._is_drawn = True
                self._write(f"{_ERASE}{self._line}\r")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()

    def _render(self) -> str:
        from rich.console import Console  # here, since short work needs no bar

        # One column less, so that no terminal begins a new line.
        width = max(width_of(self._stream) - 1, 1)
        color = wants_color(self._stream)
        console = Console(file=self._stream, width=width, force_terminal=color, no_color=not color, highlight=False)
        if self._progress is None:
            self._progress = _made(visible(self._what), self._total)
        self._progress.update(self._progress.task_ids[0], completed=min(self._done, self._total))
        with console.capture() as captured:
            console.print(self._progress.get_renderable(), end="", no_wrap=True, overflow="ellipsis", crop=True)
        return captured.get().partition("\n")[0].rstrip()


def _made(what: str, total: int) -> Progress:
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Column

    name = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis"))
    progress = Progress(name, BarColumn(), DownloadColumn(), TimeRemainingColumn(), auto_refresh=False)
    short = what if len(what) <= _LONGEST_NAME else f"{what[: _LONGEST_NAME - 1]}…"
    progress.add_task(short, total=total)
    return progress
