"""What is made of arrays once and used again at each call: nodes of our kernels, plans, weights joined to one.

A key names arrays by their `id`, which is theirs as long as they live: what is kept goes with the first of them, at
once. So what is kept may hold what the arrays are in memory, and must not hold the objects that are watched, which
would never go then. An object can become another array while it lives (`w -= x` in Python): who keeps numbers of one
that somebody else may change asks whether it still is the same (`Chain.unchanged` of the kernels).
"""

from __future__ import annotations

import weakref
from collections.abc import Hashable, Iterable
from functools import partial
from typing import Any, Generic, TypeVar

Thing = TypeVar("Thing")


class Kept(Generic[Thing]):
    """Things by their keys."""

    __slots__ = ("_things", "_watched")

    def __init__(self) -> None:
        self._things: dict[Hashable, Thing] = {}
        self._watched: dict[Hashable, list[weakref.ref[Any]]] = {}

    def __len__(self) -> int:
        return len(self._things)

    def get(self, key: Hashable) -> Thing | None:
        """The thing, or None where none is kept."""
        return self._things.get(key)

    def keep(self, key: Hashable, thing: Thing, arrays: Iterable[Any]) -> Thing:
        """Keep a thing as long as all the arrays live; Nones among them are no arrays. Gives the thing."""
        forget = partial(self._forget, key)
        self._things[key] = thing
        self._watched[key] = [weakref.ref(array, forget) for array in arrays if array is not None]
        return thing

    def _forget(self, key: Hashable, _: object) -> None:
        """One of a thing's arrays is gone."""
        self._watched.pop(key, None)
        self._things.pop(key, None)
