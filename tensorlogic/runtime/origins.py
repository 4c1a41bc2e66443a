"""Where tensors of model files came from, so that a check that fails can name the file and the tensor.

`remember` is told of each tensor that a program reads. `naming_files` runs a script, finds those tensors that a failing
line of the emitted module is about, and adds the files' shapes to the error. Nothing is kept alive: a tensor that the
program drops is forgotten.
"""

from __future__ import annotations

import linecache
import re
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from tensorlogic.runtime.errors import BoundaryError
from tensorlogic.runtime.formats.header import shown

_origins: dict[int, tuple[weakref.ref[Any], str]] = {}
_OF_SHAPES = frozenset({"TL5001", "TL5003", "TL5005", "TL5006"})
_MOST = 4
_LINES = 2
"""A check is a condition on one line, and what says no on the next."""


def remember(value: Any, file: object, name: str) -> None:
    """Keep that an array, or a packed weight, is the tensor `name` of `file`."""
    key = id(value)

    def forget(dead: weakref.ref[Any]) -> None:
        # Another tensor may stand at the address by now.
        if key in _origins and _origins[key][0] is dead:
            del _origins[key]

    _origins[key] = (weakref.ref(value, forget), f"`{shown(name)}` of `{file}`")


def origin(value: Any) -> str | None:
    """`` `w` of `m.gguf` is [4, 2] `` for a tensor that was read from a file."""
    found = _origins.get(id(value))
    if found is None or found[0]() is not value:
        return None
    shape: tuple[int, ...] = getattr(value, "shape", ())
    return f"{found[1]} is {list(shape)}"


@contextmanager
def naming_files(file: str) -> Iterator[None]:
    """Runs a script, the emitted module `file`: a check of shapes that fails also tells what model files have."""
    try:
        yield
    except BoundaryError as problem:
        if problem.code in _OF_SHAPES:
            problem.notes = (*problem.notes, *_told_of(problem.__traceback__, file))
        raise


def _told_of(trace: TracebackType | None, file: str) -> list[str]:
    """The tensors of files that the failing line of the module, or the condition before it, is about."""
    found: list[str | None] = []
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            lines = range(trace.tb_lineno - _LINES + 1, trace.tb_lineno + 1)
            text = re.sub(r'"[^"]*"', "", "".join(linecache.getline(file, line) for line in lines))
            names = dict.fromkeys(re.findall(r"[^\W\d]\w*", text))
            found = [origin(trace.tb_frame.f_locals.get(name)) for name in names]
        trace = trace.tb_next
    return [told for told in dict.fromkeys(found) if told is not None][:_MOST]
