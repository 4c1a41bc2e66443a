"""Standard output and standard error of a program: characters that they lack, and readers that went away.

It needs neither MLX nor the compiler, so that the command line uses it, too.
"""

from __future__ import annotations

import io
import os
import sys


def accept_every_character() -> None:
    """Let standard output and standard error write what their encoding lacks as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def discard_output() -> None:
    """Send what is still buffered nowhere, so that the interpreter does not fail on it when it exits."""
    if sys.stdout is None:
        return
    try:
        descriptor = sys.stdout.fileno()
    except io.UnsupportedOperation:
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
