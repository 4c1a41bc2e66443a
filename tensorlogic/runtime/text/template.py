"""A chat template from a model's file, which anybody may have written, run so that it can do no harm.

Takes Jinja with what chat templates expect of Hugging Face's transformers: blocks are trimmed, loops have `break` and
`continue`, `{% generation %}` is there, and so are `raise_exception`, `strftime_now` and `tojson`. Promises that a
template ends, and soon: its steps are counted while it runs, with a limit and a time after which it is ended, and what
it builds is bounded (`sandbox.py`).

Refuses, with a `ModelFileError` that says what happened: a missing library (TL4401), and a template that is no Jinja,
raises, or does too much (TL4407). What a template raises by itself is told in its own words.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

from tensorlogic.runtime.errors import ModelFileError, TensorLogicError
from tensorlogic.runtime.formats.header import shown

MOST_STEPS = 1_000_000
"""Lines of the compiled template and calls. A chat of a thousand messages takes some ten thousand."""
MOST_SECONDS = 10.0
_CLOCK_EVERY = 64
_FILE = "<template>"


class Template:
    """A compiled template. Raises `ModelFileError` where it cannot be compiled (TL4407)."""

    def __init__(self, source: str, path: Path) -> None:
        try:
            import jinja2
        except ImportError as fault:
            raise TensorLogicError(
                "TL4401",
                "chat templates need the library `jinja2`, which is not installed",
                helps=["pip install 'tensorlogic-mlx[text]'"],
            ) from fault
        from tensorlogic.runtime.text.sandbox import compiled

        self._path = path
        try:
            self._code = compiled(source)
        except jinja2.TemplateSyntaxError as fault:
            raise self._failed(f"is no valid Jinja: line {fault.lineno}: {shown(str(fault.message))}") from None
        except (RecursionError, MemoryError, SyntaxError):
            # Whichever of Jinja's and Python's own compilers is the first to have enough of it.
            raise self._failed("is nested too deeply") from None
        except Exception as fault:
            raise self._failed(f"cannot be compiled: {shown(str(fault))}") from None

    def render(self, variables: Mapping[str, Any]) -> str:
        """What the template writes. Raises `ModelFileError` where it raises, or does too much (TL4407)."""
        from tensorlogic.runtime.text.sandbox import Environment, Refusal, TooMuch

        try:
            # One for each run, since threads may share a template.
            environment = Environment(variables)
            return _counted(lambda: environment.written(self._code, variables))
        except Refusal as fault:
            raise self._failed(f"refuses these messages: {shown(str(fault))}") from None
        except TooMuch as fault:
            raise self._failed(f"was ended: {fault}") from None
        except RecursionError:
            raise self._failed("was ended: it calls itself without an end") from None
        except MemoryError:
            raise self._failed("was ended: it takes too much memory") from None
        except Exception as fault:
            raise self._failed(f"failed: {type(fault).__name__}: {shown(str(fault))}") from None

    def _failed(self, reason: str) -> ModelFileError:
        return ModelFileError("TL4407", f"the chat template of {self._path} {reason}")


def _counted(work: Callable[[], str]) -> str:
    """What work gives. It is ended after `MOST_STEPS` steps of a template, or after `MOST_SECONDS`.

    Python tells a trace function of each line that runs, which nothing in a sandbox can turn off; a loop in the
    template is lines, and a recursion calls. Of long expressions each instruction is told, to look at the clock. A
    debugger's or a coverage tool's own function is put back.
    """
    from tensorlogic.runtime.text.sandbox import TooMuch

    steps = events = 0
    end = time.monotonic() + MOST_SECONDS

    def trace(frame: FrameType, event: str, argument: Any) -> Callable[..., Any] | None:
        nonlocal steps, events
        events += 1
        steps += event != "opcode"
        if steps > MOST_STEPS:
            raise TooMuch(f"it took more than {MOST_STEPS} steps")
        if events % _CLOCK_EVERY == 0 and time.monotonic() > end:
            raise TooMuch(f"it took more than {MOST_SECONDS:.0f} seconds")
        # Lines of the libraries that it calls do not count, but calls do.
        if frame.f_code.co_filename != _FILE:
            return None
        frame.f_trace_opcodes = True
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        return work()
    finally:
        sys.settrace(before)
