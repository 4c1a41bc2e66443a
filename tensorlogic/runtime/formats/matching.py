"""Where a model file holds the fields of a struct, and what it lacks or has otherwise: by the header alone.

Takes the table of a file's tensors and the fields of a struct (their keys with alternatives, `{i}` for the items of a
list, optional fields and structs inside), and follows the rules of language.md, section 9.2: the first key that is
there counts, a list goes from 0 without a gap, an optional field may be missing. Promises every missing tensor and
every tensor whose element type is not the field's, and hands all shapes to a `Unifier`, which finds the dims. Reads no
element, and imports neither NumPy nor MLX, so that the compiler can ask it too.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tensorlogic.runtime.formats.header import TensorInfo, shown
from tensorlogic.runtime.formats.unifying import Size, Sum, Tensor, Unifier, over


@dataclass(frozen=True, slots=True)
class Place:
    """A field: its keys, and what stands below them.

    `element` is the element type of a tensor, None where it is not compared, and `shape` its declared shape, None where
    it begins with a pack. `struct` is a struct inside, None for a tensor, and `dims` are that struct's dims over those
    of the struct around it. A `?` is None in both. `declared` is the type as the program writes it, of
    one item where the field is a list.
    """

    name: str
    keys: tuple[str, ...]
    declared: str
    element: str | None = None
    shape: tuple[Size | None, ...] | None = None
    struct: Any = None
    listed: bool = False
    optional: bool = False
    dims: tuple[tuple[str, Size | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """Where the file holds a struct's fields: keys of tensors, structs and tuples of either, None for nothing."""

    struct: Any
    fields: dict[str, Any]
    dims: dict[str, Sum]
    """The struct's dims over those of the outermost struct."""


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that does not fit: the keys, what the program wants of them, and what the file has, if anything."""

    keys: tuple[str, ...]
    wanted: str
    found: str | None


@dataclass
class Matching:
    """The matching of one struct with one file. `places` gives the fields of a struct, `element` a tensor's type."""

    tensors: Mapping[str, TensorInfo]
    places: Callable[[Any], Sequence[Place]]
    element: Callable[[TensorInfo], str]
    unifier: Unifier
    rows: list[Row] = field(default_factory=list)
    _declared: dict[str, str] = field(default_factory=dict)

    def find(self, struct: Any, prefix: str, dims: dict[str, Sum]) -> Found:
        """Where the fields are; what is wrong is added to `rows`, and shapes to the unifier."""
        return Found(struct, {place.name: self._field(prefix, place, dims) for place in self.places(struct)}, dims)

    def problems(self) -> list[Row]:
        """All that does not fit, once the dims are found: what is missing, other element types, then other shapes."""
        self.unifier.solve()
        rows = [*self.rows]
        for tensor, reasons in self.unifier.disagreements():
            found = str(list(tensor.actual))
            rows.append(Row((tensor.key,), self._declared[tensor.key], f"{found}: {reasons}" if reasons else found))
        return list(dict.fromkeys(rows))

    def _field(self, prefix: str, place: Place, dims: dict[str, Sum]) -> Any:
        keys = [joined(prefix, key) for key in place.keys]
        if place.listed:
            return self._list(keys, place, dims)
        key = self._first(keys, place)
        if key is None and place.optional:
            return None
        if place.struct is not None:
            return self._struct(keys[0] if key is None else key, place, dims)
        if key is None:
            self._miss(keys, place)
            return None
        return self._tensor(key, place, dims)

    def _miss(self, keys: Iterable[str], place: Place) -> None:
        self.rows.append(Row(tuple(map(shown, keys)), place.declared, None))

    def _struct(self, key: str, place: Place, dims: dict[str, Sum]) -> Found:
        """A struct inside: what `?` stands for is a dim of its own."""
        inner: dict[str, Sum] = {}
        for name, size in place.dims:
            own = f"{name} of {key}"
            inner[name] = {(own,): 1} if size is None else over(size, dims)
        return self.find(place.struct, key, inner)

    def _tensor(self, key: str, place: Place, dims: dict[str, Sum]) -> str:
        info = self.tensors[key]
        self._declared.setdefault(shown(key), place.declared)
        element = self.element(info)
        if place.element not in (None, element):
            self.rows.append(Row((shown(key),), place.declared, element))
        if place.shape is not None:
            sums = [None if size is None else over(size, dims) for size in place.shape]
            self.unifier.tensors.append(Tensor(shown(key), place.shape, sums, info.shape))
        return key

    def _list(self, keys: list[str], place: Place, dims: dict[str, Sum]) -> tuple[Any, ...] | None:
        """The items counted from 0 without a gap."""
        found: list[Any] = []
        while (key := self._first([k.replace("{i}", str(len(found))) for k in keys], place)) is not None:
            found.append(self._tensor(key, place, dims) if place.struct is None else self._struct(key, place, dims))
        above = self._has_item_above(keys, len(found))
        if not found and not above and place.optional:
            return None
        if not found or above:
            self._miss((key.replace("{i}", str(len(found))) for key in keys), place)
        return tuple(found)

    def _has_item_above(self, keys: list[str], count: int) -> bool:
        """Whether the file has an item after the first one that it lacks."""
        pattern = re.compile("|".join(re.escape(key).replace(r"\{i\}", "([0-9]{1,9})") for key in keys))
        found = (pattern.match(name) for name in self.tensors)
        return any(int(index) > count for match in found if match for index in match.groups() if index)

    def _first(self, keys: Iterable[str], place: Place) -> str | None:
        """The first key that is there; for a struct the first below which the file has anything."""
        if place.struct is None:
            return next((key for key in keys if key in self.tensors), None)
        return next((key for key in keys if not key or key in self.tensors or self._has_below(key)), None)

    def _has_below(self, key: str) -> bool:
        start = bisect.bisect_left(self._sorted, f"{key}.")
        return start < len(self._sorted) and self._sorted[start].startswith(f"{key}.")

    @cached_property
    def _sorted(self) -> list[str]:
        return sorted(self.tensors)


def joined(prefix: str, key: str) -> str:
    """A key below a prefix, either of which may be empty."""
    return f"{prefix}.{key}" if prefix and key else prefix or key
