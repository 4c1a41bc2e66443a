"""Python identifiers for what the source names, and what it does not."""

from __future__ import annotations

import builtins
import keyword
import re

RESERVED = frozenset({"mx", "tl", "math", "dataclass", "dataclasses", "F16", "BF16", "main", "annotations", "Callable"})
_SHADOWED = frozenset(
    {"tuple", "list", "len", "float", "int", "bool", "str", "range", "enumerate", "abs", "min", "max", "round", "sum"}
)
"""Builtins that emitted code calls."""

_CLASS_NAMES = frozenset(
    {"bind", "_model_fields", "_name", "_joined", "field", "classmethod", "staticmethod", "mx", "tl", "self"}
)
"""What a struct's class defines or calls while it is made."""


def python_name(name: str) -> str:
    """A source name as a Python identifier that means nothing else in emitted code: `M_K` for the size `M/K`."""
    if not name.isidentifier():
        name = "_".join(re.findall(r"\w+", name))
        name = name if name.isidentifier() else f"size_{name}"
    if keyword.iskeyword(name) or name in RESERVED or name in _SHADOWED or name in ("self", "cls"):
        return f"{name}_"
    if name.startswith("__") and hasattr(builtins, name):
        return f"{name}_"
    return name


def attribute(name: str) -> str:
    """A struct's field or dim as an attribute of its class, which has methods and a body of its own.

    Two names never become one: `class` becomes `class_`, and so `class_` becomes `class__`. In a class Python would put
    the class's name before `__x`, which becomes `tl__x`.
    """
    if name.startswith("__") or re.match("(tl)+__", name):
        return f"tl{name}"
    plain = name.rstrip("_")
    return f"{name}_" if keyword.iskeyword(plain) or plain in _CLASS_NAMES else name


class Identifiers:
    """Hands out names of one scope, each once; `reserved` ones never."""

    def __init__(self, reserved: frozenset[str] = frozenset()) -> None:
        self._reserved = reserved
        self._taken = set(reserved)

    def take(self, name: str) -> str:
        """The name, or the name with the first free number."""
        wanted = python_name(name)
        result, number = wanted, 2
        while result in self._taken:
            result = f"{wanted}_{number}"
            number += 1
        self._taken.add(result)
        return result

    def take_again(self, name: str) -> str:
        """A name for a scope inside this one, which may have been taken here."""
        self._taken.add(name)
        return name

    def is_reserved(self, name: str) -> bool:
        return name in self._reserved
