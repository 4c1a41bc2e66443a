"""A terminal for tests: runs `tlc` with standard output and standard error on a pseudo-terminal of a given width."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Screen:
    """What the terminal was sent, with the newlines of a file, and how the process ended."""

    text: str
    status: int


def in_terminal(
    *arguments: str,
    columns: int = 80,
    environment: dict[str, str] | None = None,
    stdout: int | None = None,
    seen: Callable[[str, subprocess.Popen[bytes]], None] = lambda text, process: None,
) -> Screen:
    """Run `tlc` with these arguments. `seen` is told all that came so far whenever more comes, and may send signals.

    With `stdout`, standard output goes to that descriptor and standard error alone to the terminal.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    wanted = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    wanted |= {"TERM": "xterm-256color", **(environment or {})}
    process = subprocess.Popen(
        [sys.executable, "-m", "tensorlogic", *arguments],
        stdin=theirs,
        stdout=theirs if stdout is None else stdout,
        stderr=theirs,
        env=wanted,
    )
    os.close(theirs)
    data = b""
    while True:
        try:
            more = os.read(ours, 65536)
        except OSError:  # Linux says so that the other end is closed
            break
        if not more:
            break
        data += more
        seen(data.decode(errors="replace"), process)
    os.close(ours)
    return Screen(data.decode().replace("\r\n", "\n"), process.wait())
