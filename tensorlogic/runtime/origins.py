"""Where tensors of model files came from, so that a check that fails can name the file and the tensor.

`remember` is told of each tensor that a program reads; `told_of` finds those that a failing line of an emitted module
is about, and says the file's shapes. Nothing is kept alive: a tensor that the program drops is forgotten.
"""

from __future__ import annotations

import linecache
import re
import weakref
from types import FrameType
from typing import Any

from tensorlogic.runtime.formats.header import shown

_origins: dict[int, tuple[weakref.ref[Any], str]] = {}
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


def told_of(frame: FrameType, line: int) -> list[str]:
    """The tensors of files that a line of an emitted module, or the condition before it, is about."""
    file = frame.f_code.co_filename
    text = "".join(linecache.getline(file, n) for n in range(line - _LINES + 1, line + 1))
    names = re.findall(r"[^\W\d]\w*", re.sub(r'"[^"]*"', "", text))
    found = [origin(frame.f_locals.get(name)) for name in dict.fromkeys(names)]
    return [told for told in dict.fromkeys(found) if told is not None][:_MOST]
