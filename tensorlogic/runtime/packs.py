"""Packs that only lists and optionals have: an entry compares the leading dims of whatever tensors are there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tensorlogic.runtime.outside import refuse

Form = int | tuple["Form | None", ...] | list["Form | None"] | None


def same_leading(pack: str, function: str, where: str, *arguments: tuple[str, Any, Form]) -> None:
    """Raise BoundaryError TL5001 unless the leading dims of all these tensors are the same.

    Each argument has its name, its value and its form: the number of dims after the pack in a tensor, a tuple of its
    items' forms, or a list of the form of each item; None has no pack.
    """
    found = [leading for name, value, form in arguments for leading in _leading(name, value, form)]
    for name, dims in found[1:]:
        first, expected = found[0]
        if dims != expected:
            message = "`{}` of `{}` is {} by `{}` and {} by `{}`"
            refuse(where, "TL5001", message, pack, function, dims, name, expected, first)


def _leading(name: str, value: Any, form: Form) -> Iterator[tuple[str, list[int]]]:
    """The leading dims of each tensor that is there, with its name."""
    if value is None or form is None:
        return
    if isinstance(form, int):
        yield name, list(value.shape[: len(value.shape) - form])
        return
    for i, item in enumerate(value):
        yield from _leading(f"{name}[{i}]", item, form[0] if isinstance(form, list) else form[i])
