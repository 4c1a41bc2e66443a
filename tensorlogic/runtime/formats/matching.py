"""Where a model file holds the fields of a struct, and all that it lacks or has otherwise: by the header alone.

Takes the table of a file's tensors and the fields of a struct, and follows the rules of language.md, section 9.2. A
field takes the first of its keys that the file has. A list has the items counted from 0 without a gap, and an optional
field is none where the file has nothing of it. Promises where each field is, and every tensor that is missing or of
another type as one table, with what the dims are that it contradicts and which tensors told them. Reads no element, and
imports neither NumPy nor MLX, so that the compiler can ask it too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tensorlogic.runtime.formats.header import TensorInfo, shown
from tensorlogic.runtime.formats.names import Names, form_of, together
from tensorlogic.runtime.formats.nearest import did_you_mean
from tensorlogic.runtime.formats.table import MOST_ROWS, Row, at_most, table
from tensorlogic.runtime.formats.unifying import Size, Sum, Tensor, Unifier, over

FLOATS = frozenset({"float16", "bfloat16", "float32"})


@dataclass(frozen=True, slots=True)
class Place:
    """A field: its keys (alternatives, `{i}` for the index of a list's item), and what stands below them.

    `element` is the element type of a tensor, or the name of the type parameter that is one, and `shape` its declared
    shape, None where it begins with a pack. `struct` is a struct inside, None for a tensor, `struct_name` what the
    program calls it, and `dims` are that struct's dims over those of the struct around it. A `?` is None in both.
    """

    name: str
    keys: tuple[str, ...]
    element: str = ""
    is_parameter: bool = False
    shape: tuple[Size | None, ...] | None = None
    struct: Any = None
    struct_name: str = ""
    listed: bool = False
    optional: bool = False
    dims: tuple[tuple[str, Size | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """Where the file holds a struct's fields: keys of tensors, structs and tuples of either, None for nothing."""

    struct: Any
    dims: dict[str, Sum]
    """The struct's dims over those of the outermost struct."""
    fields: dict[str, Any] = field(default_factory=dict)
    elements: dict[str, tuple[str, str]] = field(default_factory=dict)
    """What the struct's type parameters are, and by which tensor."""


@dataclass(frozen=True, slots=True)
class Problems:
    """All that keeps a struct from being filled: its number, and a table with what told the dims that it contradicts.

    `tensors` are those that are missing or otherwise, as the struct wants them.
    """

    summary: str
    notes: tuple[str, ...]
    tensors: tuple[Tensor, ...]

    @property
    def helps(self) -> list[str]:
        """How a model is loaded whose floats are all of one other type than the struct's."""
        wanted = {
            tensor.element
            for tensor in self.tensors
            if tensor.actual_element != tensor.element and {tensor.actual_element, tensor.element} <= FLOATS
        }
        return [f"`load_model(path, dtype: {dtype})` reads floats so" for dtype in wanted] if len(wanted) == 1 else []


@dataclass
class Matching:
    """The matching of one struct with one file. `places` gives the fields of a struct, `element` a tensor's type."""

    tensors: Mapping[str, TensorInfo]
    names: Names
    places: Callable[[Any], Sequence[Place]]
    element: Callable[[TensorInfo], str]
    unifier: Unifier
    _gaps: list[tuple[Place, Tensor, str]] = field(default_factory=list)
    """Items that lists lack, as they are wanted, and the next ones that are there."""
    _taken: set[str] = field(default_factory=set)
    _told: list[str] = field(default_factory=list)
    """What told the type parameters that tensors contradict."""
    _places_of: dict[Any, Sequence[Place]] = field(default_factory=dict)

    def find(self, struct: Any, prefix: str, dims: dict[str, Sum]) -> Found:
        """Where the fields are. What the struct wants of each tensor goes to the unifier."""
        found = Found(struct, dims)
        for place in self._places(struct):
            found.fields[place.name] = self._field(prefix, place, found)
        return found

    def fits(self) -> bool:
        """Whether there are no problems: the same answer without the words for it, which cost more."""
        self.unifier.solve()
        return not self._gaps and not self.unifier.conflicts()

    def problems(self) -> Problems | None:
        """All that does not fit, once the dims are found; None where everything does."""
        self.unifier.solve()
        conflicts = self.unifier.conflicts()
        if not conflicts and not self._gaps:
            return None
        missing = sum(tensor.actual is None for tensor, _ in conflicts) + len(self._gaps)
        counts = [(missing, "missing tensor"), (len(conflicts) + len(self._gaps) - missing, "conflict")]
        summary = " and ".join(f"{count} {what}{'' if count == 1 else 's'}" for count, what in counts if count)
        tensors = tuple(tensor for tensor, _ in conflicts)
        origins = [self.unifier.origin(name) for _, names in conflicts for name in names]
        told = at_most(dict.fromkeys([*origins, *self._told]))
        gaps = [
            Row(" or ".join(item.keys), place.struct_name or self.unifier.wanted(item), f"missing, next: {above}")
            for place, item, above in self._gaps
        ]
        return Problems(summary, (table([*self._rows(tensors), *gaps]), *told), tensors)

    def _places(self, struct: Any) -> Sequence[Place]:
        if struct not in self._places_of:
            self._places_of[struct] = self.places(struct)
        return self._places_of[struct]

    def _field(self, prefix: str, place: Place, outer: Found) -> Any:
        if place.listed:
            return self._list(prefix, place, outer)
        keys = tuple(joined(prefix, key) for key in place.keys)
        key = self._first(place, keys)
        return None if key is None and place.optional else self._item(keys, key, place, outer)

    def _list(self, prefix: str, place: Place, outer: Found) -> tuple[Any, ...] | None:
        """The items counted from 0 without a gap."""
        found: list[Any] = []
        keys = _keys_of_item(prefix, place, 0)
        while (key := self._first(place, keys)) is not None:
            found.append(self._item(keys, key, place, outer))
            keys = _keys_of_item(prefix, place, len(found))
        above = self._item_above(prefix, place, len(found))
        if above is not None:
            self._gaps.append((place, self._wanted(keys, place, outer), shown(above)))
        elif not found and place.optional:
            return None
        elif not found:
            self._item(keys, None, place, outer)
        return tuple(found)

    def _item_above(self, prefix: str, place: Place, count: int) -> str | None:
        """The first item that the model has after number `count`."""
        numbers = {n for key in place.keys for n in self.names.numbers(_before_index(prefix, key), count)}
        every = (self._first(place, _keys_of_item(prefix, place, number)) for number in sorted(numbers))
        return next((key for key in every if key is not None), None)

    def _first(self, place: Place, keys: Iterable[str]) -> str | None:
        return next((key for key in keys if self._is_there(place, key)), None)

    def _is_there(self, place: Place, key: str) -> bool:
        """Whether the model has the tensor, or any tensor of the struct."""
        if place.struct is None:
            return key in self.tensors
        if not self.names.is_prefix(key) and key not in self.tensors:
            return False
        return any(self._has_any(inner, key) for inner in self._places(place.struct))

    def _has_any(self, place: Place, prefix: str) -> bool:
        """Whether the model has anything of a field, of a list any item."""
        if place.listed:
            return self._item_above(prefix, place, -1) is not None
        return self._first(place, [joined(prefix, key) for key in place.keys]) is not None

    def _item(self, keys: tuple[str, ...], key: str | None, place: Place, outer: Found) -> Found | str | None:
        """A field, or an item of a list, at `key`. A struct that is not there is told by all that it lacks."""
        if place.struct is not None:
            near = (other for other in keys if self.names.is_prefix(other))
            return self._struct(next(near, keys[0]) if key is None else key, place, outer.dims)
        self.unifier.tensors.append(self._wanted(keys, place, outer) if key is None else self._take(key, place, outer))
        return key

    def _struct(self, key: str, place: Place, dims: dict[str, Sum]) -> Found:
        """A struct inside: what `?` stands for is a dim of its own."""
        inner = {
            name: over(
                f"{name} of {key}" if size is None else size, dims | {f"{name} of {key}": {(f"{name} of {key}",): 1}}
            )
            for name, size in place.dims
        }
        return self.find(place.struct, key, inner)

    def _wanted(self, keys: tuple[str, ...], place: Place, outer: Found) -> Tensor:
        """A tensor as it is declared; its type parameter is what another tensor said."""
        element, _ = outer.elements.get(place.element, ("", "")) if place.is_parameter else ("", "")
        sums = None if place.shape is None else [None if s is None else over(s, outer.dims) for s in place.shape]
        return Tensor(tuple(map(shown, keys)), element or place.element, sums)

    def _take(self, key: str, place: Place, outer: Found) -> Tensor:
        """The tensor at a key that the file has, beside what the file holds there."""
        self._taken.add(key)
        info = self.tensors[key]
        found = self.element(info)
        if place.is_parameter:
            element, by = outer.elements.setdefault(place.element, (found, shown(key)))
            if found != element:
                self._told.append(f"`{place.element}` is {element} by `{by}`")
        return replace(self._wanted((key,), place, outer), actual_element=found, actual=info.shape)

    def _rows(self, tensors: Iterable[Tensor]) -> list[Row]:
        """A row for each tensor; of those that differ in a list's index alone, one for all."""
        groups: dict[tuple[str, ...], list[Tensor]] = {}
        for tensor in tensors:
            found = "missing" if tensor.actual is None else f"{tensor.actual_element}{list(tensor.actual)}"
            key = (*map(form_of, tensor.keys), self.unifier.wanted(tensor), found)
            groups.setdefault(key, []).append(tensor)
        rows: list[Row] = []
        for (*_, wanted, found), group in groups.items():
            if len(rows) < MOST_ROWS and found == "missing":
                found += self._nearest(group[0])
            keys = zip(*(tensor.keys for tensor in group), strict=True)
            rows.append(
                Row(" or ".join(together(list(dict.fromkeys(each))) for each in keys), wanted, found, len(group))
            )
        return rows

    def _nearest(self, tensor: Tensor) -> str:
        near = (self.names.nearest(key, self._taken) for key in tensor.keys)
        name = next((name for name in near if name is not None), None)
        return "" if name is None else f", nearest: {shown(name)}"


def why_nothing(names: Names, path: object, prefix: str) -> tuple[str, list[str]] | None:
    """What is wrong with a prefix that no name begins with, and the nearest one; None where some name does."""
    if names.is_prefix(prefix) or prefix in names:
        return None
    near = names.nearest_prefix(prefix)
    helps = did_you_mean([] if near is None else [near])
    return f"no tensor's name in `{path}` begins with `{shown(prefix)}.`", helps


def _before_index(prefix: str, key: str) -> str:
    """What stands before an item's index in a list's key."""
    return joined(prefix, key).removesuffix(key) + key.partition("{i}")[0]


def _keys_of_item(prefix: str, place: Place, index: int) -> tuple[str, ...]:
    return tuple(joined(prefix, key.replace("{i}", str(index))) for key in place.keys)


def joined(prefix: str, key: str) -> str:
    """A key below a prefix, either of which may be empty."""
    return f"{prefix}.{key}" if prefix and key else prefix or key
