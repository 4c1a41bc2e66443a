"""Importing libraries written in C++ and C, which Ctrl-C would break in the middle.

A `KeyboardInterrupt` inside of their own set-up ends the process (MLX: SIGABRT) or comes out as an `ImportError`
(NumPy). So Ctrl-C waits until they are there, a tenth of a second at most, and is an interrupt then, as at any other
time.
"""

from __future__ import annotations

import signal
import threading
from importlib import import_module


def load_whole(*modules: str) -> None:
    """Import the modules without an interrupt in between; one that came meanwhile is raised afterwards."""
    came: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    # Where interrupts are nobody's, or another thread's, they are left so.
    waits = callable(before) and threading.current_thread() is threading.main_thread()
    if waits:
        signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        for module in modules:
            import_module(module)
    finally:
        if waits:
            signal.signal(signal.SIGINT, before)
    if came:
        signal.raise_signal(signal.SIGINT)
