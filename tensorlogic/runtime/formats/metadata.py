"""Values of a model file's metadata as a program asks for them.

Takes what a header holds under a key. Gives it as an int, a float, a string, a bool or a list, or None where it is
another thing: the run time and the compiler, which both use this, refuse in words of their own. Text is read as a
number, since safetensors keeps nothing but text. Imports neither NumPy nor MLX.
"""

from __future__ import annotations

import json
import re

from tensorlogic.runtime.formats.header import MetadataValue, shown

_INT = re.compile(r"-?[0-9]{1,20}")
_FLOAT = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,40})?(e[-+]?[0-9]{1,3})?")
_INTS = re.compile(r"\[(-?[0-9]{1,20}(, -?[0-9]{1,20})*+)?\]")


def as_int(value: MetadataValue) -> int | None:
    """A whole number."""
    if isinstance(value, str) and _INT.fullmatch(value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def as_float(value: MetadataValue) -> float | None:
    """A number; a whole one, too, since writers of JSON drop the fraction."""
    if isinstance(value, str) and _FLOAT.fullmatch(value):
        return float(value)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def as_string(value: MetadataValue) -> str | None:
    """A text."""
    return value if isinstance(value, str) else None


def as_bool(value: MetadataValue) -> bool | None:
    """`true` or `false`."""
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value)
    return value if isinstance(value, bool) else None


def as_ints(value: MetadataValue) -> tuple[int, ...] | None:
    """A list of whole numbers."""
    if isinstance(value, str) and _INTS.fullmatch(value):
        return tuple(int(item) for item in re.findall(r"-?[0-9]+", value))
    if isinstance(value, tuple) and all(type(item) is int for item in value):
        return tuple(item for item in value if isinstance(item, int))
    return None


def as_floats(value: MetadataValue) -> tuple[float, ...] | None:
    """A list of numbers."""
    if isinstance(value, str):
        return as_ints(value)
    numbers = [as_float(item) for item in value] if isinstance(value, tuple) else [None]
    return None if None in numbers else tuple(number for number in numbers if number is not None)


def as_strings(value: MetadataValue) -> tuple[str, ...] | None:
    """A list of texts; as text, in the JSON that `save_model` writes."""
    items = _list_in_text(value) if isinstance(value, str) else value
    if isinstance(items, tuple) and all(isinstance(item, str) for item in items):
        return tuple(item for item in items if isinstance(item, str))
    return None


def _list_in_text(text: str) -> object:
    """The items of a list in JSON, or None."""
    try:
        items = json.loads(text)
        # A lone surrogate, which JSON can write, is no text: it cannot be printed.
        json.dumps(items, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return tuple(items) if isinstance(items, list) else None


def told(value: MetadataValue) -> str:
    """What a value is, for a message: `str 'llama'`, `a list of 3`."""
    return f"a list of {len(value)}" if isinstance(value, tuple) else f"{type(value).__name__} {shown(repr(value))}"
