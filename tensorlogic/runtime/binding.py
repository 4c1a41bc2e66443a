"""Structs filled from model files by their fields' keys (language.md, section 9.2).

A field takes the first of its keys that the model has. A list has the items counted from 0 without a gap, and an
optional field is none where the model has nothing of it. Every tensor that is missing or of another type is told in
one error, as a table, with what the dims are that it contradicts and which tensors told them. What the table cannot
say is decided by the structs' own constructors.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

import mlx.core as mx

from tensorlogic.runtime.boundary import instance, integer, set_fields, string
from tensorlogic.runtime.errors import BoundaryError, ModelFileError
from tensorlogic.runtime.formats.header import shown
from tensorlogic.runtime.formats.names import form_of, together
from tensorlogic.runtime.formats.table import MOST_ROWS, Row, at_most, table
from tensorlogic.runtime.models import Model
from tensorlogic.runtime.outside import FLOATS, short
from tensorlogic.runtime.packed import Packed
from tensorlogic.runtime.unifying import Size, Sum, Tensor, Unifier, over

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Net = TypeVar("Net", bound="DataclassInstance")


@dataclass(frozen=True, slots=True)
class Field:
    """A field: its keys (alternatives, `{i}` for a list's index), its struct's class, and what else it may be.

    `dtype` is a tensor's declared type, or the name of the struct's attribute that holds it, and `shape` its declared
    shape, None where it begins with a pack. `dims` are the dims of a struct over those of the struct around it. A `?`
    is None in both.
    """

    name: str
    keys: tuple[str, ...]
    dtype: mx.Dtype | str | None = None
    shape: tuple[Size | None, ...] | None = None
    struct: Any = None
    listed: bool = False
    optional: bool = False
    dims: tuple[tuple[str, Size | None], ...] = ()


def tensors_of(net: Any, prefix: str = "") -> dict[str, mx.array | Packed]:
    """A struct's tensors by the first of each field's keys, in their declared types: what `save_model` writes."""
    found: dict[str, mx.array | Packed] = {}
    for place in net._model_fields():
        value, key = getattr(net, place.name), _joined(prefix, place.keys[0])
        items = enumerate(value) if place.listed and value is not None else [(None, value)]
        for index, item in items:
            name = key if index is None else key.replace("{i}", str(index))
            if item is not None and place.struct is not None:
                found.update(tensors_of(item, name))
            elif item is not None:
                dtype = getattr(net, place.dtype) if isinstance(place.dtype, str) else place.dtype
                found[name] = item if isinstance(item, Packed) or dtype is None else item.astype(dtype)
    return found


@dataclass(frozen=True, slots=True)
class _Found:
    """Where the model holds the fields of a struct: keys of tensors, structs and tuples of either, None for nothing."""

    cls: Any
    dims: dict[str, Sum]
    """The struct's dims over those of the outermost struct."""
    fields: dict[str, Any] = field(default_factory=dict)
    elements: dict[str, tuple[str, str]] = field(default_factory=dict)
    """What the struct's type parameters are, and by which tensor."""


@dataclass
class _Filling:
    """The filling of a struct and of those in it: the model, and what it was found to lack or to have wrong."""

    model: Model
    unifier: Unifier
    gaps: list[Row] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    told: list[str] = field(default_factory=list)
    """What is wrong with a struct as a whole, and what tells a type parameter that a tensor contradicts."""
    places: dict[Any, tuple[Field, ...]] = field(default_factory=dict)

    # --- where things are, by the header alone

    def find(self, cls: Any, prefix: str, dims: dict[str, Sum]) -> _Found:
        found = _Found(cls, dims)
        for place in self._places(cls):
            found.fields[place.name] = self._field(prefix, place, found)
        return found

    def _places(self, cls: Any) -> tuple[Field, ...]:
        if cls not in self.places:
            self.places[cls] = cls._model_fields()
        return self.places[cls]

    def _field(self, prefix: str, place: Field, outer: _Found) -> Any:
        if place.listed:
            return self._list(prefix, place, outer)
        keys = tuple(_joined(prefix, key) for key in place.keys)
        key = self._first(place, keys)
        return None if key is None and place.optional else self._item(keys, key, place, outer)

    def _list(self, prefix: str, place: Field, outer: _Found) -> tuple[Any, ...] | None:
        """The items counted from 0 without a gap."""
        found: list[Any] = []
        keys = _keys_of_item(prefix, place, 0)
        while (key := self._first(place, keys)) is not None:
            found.append(self._item(keys, key, place, outer))
            keys = _keys_of_item(prefix, place, len(found))
        above = self._item_above(prefix, place, len(found))
        if above is not None:
            wanted = self.unifier.wanted(self._wanted(keys, place, outer)) if place.struct is None else ""
            told = f"missing, next: {shown(above)}"
            self.gaps.append(Row(" or ".join(map(shown, keys)), wanted or _name_of(place.struct), told))
        elif not found and place.optional:
            return None
        elif not found:
            self._item(keys, None, place, outer)
        return tuple(found)

    def _item_above(self, prefix: str, place: Field, count: int) -> str | None:
        """The first item that the model has after number `count`."""
        befores = [_joined(prefix, key.partition("{i}")[0]) for key in place.keys]
        numbers = {number for before in befores for number in self.model.names.numbers(before, count)}
        every = (self._first(place, _keys_of_item(prefix, place, number)) for number in sorted(numbers))
        return next((key for key in every if key is not None), None)

    def _first(self, place: Field, keys: Iterable[str]) -> str | None:
        return next((key for key in keys if self._is_there(place, key)), None)

    def _is_there(self, place: Field, key: str) -> bool:
        """Whether the model has the tensor, or any tensor of the struct."""
        if place.struct is None:
            return self.model.has(key)
        if not self.model.names.is_prefix(key) and not self.model.has(key):
            return False
        return any(self._has_any(inner, key) for inner in self._places(place.struct))

    def _has_any(self, place: Field, prefix: str) -> bool:
        """Whether the model has anything of a field, of a list any item."""
        if place.listed:
            return self._item_above(prefix, place, -1) is not None
        return self._first(place, [_joined(prefix, key) for key in place.keys]) is not None

    def _item(self, keys: tuple[str, ...], key: str | None, place: Field, outer: _Found) -> _Found | str | None:
        """A field, or an item of a list, at `key`. A struct that is not there is told by all that it lacks."""
        if place.struct is not None:
            near = (other for other in keys if self.model.names.is_prefix(other))
            return self._struct(next(near, keys[0]) if key is None else key, place, outer.dims)
        self.unifier.tensors.append(self._wanted(keys, place, outer) if key is None else self._taken(key, place, outer))
        return key

    def _struct(self, key: str, place: Field, dims: dict[str, Sum]) -> _Found:
        """A struct inside: what `?` stands for is a dim of its own."""
        inner = {
            name: over(
                f"{name} of {key}" if size is None else size, dims | {f"{name} of {key}": {(f"{name} of {key}",): 1}}
            )
            for name, size in place.dims
        }
        return self.find(place.struct, key, inner)

    def _wanted(self, keys: tuple[str, ...], place: Field, outer: _Found) -> Tensor:
        """A tensor as it is declared; its type parameter is what another tensor said."""
        assert place.dtype is not None, "a tensor has an element type"
        element = place.dtype if isinstance(place.dtype, str) else short(place.dtype)
        element, _ = outer.elements.get(element, (element, ""))
        sums = None if place.shape is None else [None if s is None else over(s, outer.dims) for s in place.shape]
        return Tensor(tuple(shown(key) for key in keys), element, sums)

    def _taken(self, key: str, place: Field, outer: _Found) -> Tensor:
        self.taken.add(key)
        found = short(self.model.dtype(key))
        if isinstance(place.dtype, str):
            element, by = outer.elements.setdefault(place.dtype, (found, key))
            if found != element:
                self.told.append(f"`{place.dtype}` of `{_name_of(outer.cls)}` is {element} by `{shown(by)}`")
        return replace(self._wanted((key,), place, outer), actual_element=found, actual=self.model.shape(key))

    # --- what is wrong

    def refuse(self, cls: Any, conflicts: list[tuple[Tensor, tuple[str, ...]]]) -> None:
        """Raise the error that tells all that was found to be wrong, if anything was."""
        rows = [*self._rows([tensor for tensor, _ in conflicts]), *self.gaps]
        missing = sum(tensor.actual is None for tensor, _ in conflicts) + len(self.gaps)
        # What is wrong with every item of a list is told once.
        told = list(dict.fromkeys(self.told))
        if not rows and not told:
            return
        counts = [
            (missing, "missing tensor"),
            (len(conflicts) + len(self.gaps) - missing if rows else len(told), "conflict"),
        ]
        summary = " and ".join(f"{count} {what}{'' if count == 1 else 's'}" for count, what in counts if count)
        origins = dict.fromkeys(self.unifier.origin(name) for _, names in conflicts for name in names)
        notes = [*([table(rows)] if rows else []), *at_most([*origins, *told])]
        message = f"`{self.model.header.path}` does not fit `{_name_of(cls)}`: {summary}"
        raise ModelFileError("TL4020", message, notes=notes, helps=_helps(conflicts))

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
        near = (self.model.names.nearest(key, self.taken) for key in tensor.keys)
        name = next((name for name in near if name is not None), None)
        return "" if name is None else f", nearest: {shown(name)}"

    # --- what is there

    def make(self, found: Any) -> Any:
        """A field's value; None for a struct in which something is wrong."""
        if isinstance(found, tuple):
            return tuple(self.make(item) for item in found)
        if isinstance(found, _Found):
            return self._made(found)
        return None if found is None else self.model.get_tensor(found)

    def _made(self, found: _Found) -> Any:
        before = len(self.told)
        values = {name: self.make(each) for name, each in found.fields.items()}
        if len(self.told) != before:
            return None
        asked = {each.name for each in dataclasses.fields(found.cls) if each.init} - values.keys()
        sizes = {name: self.unifier.value(size) for name, size in found.dims.items() if name in asked}
        unknown = " and ".join(f"`{name}`" for name in sorted(sizes) if sizes[name] is None)
        if unknown:
            self.told.append(f"{unknown} of `{_name_of(found.cls)}`: no tensor tells it, and `bind` was not given it")
            return None
        try:
            net = found.cls(**values, **sizes)
        except BoundaryError as wrong:
            self.told.append(f"{wrong.where}: {wrong.message}{self._shapes(found, wrong.message)}")
            return None
        keys = {name: key for name, key in found.fields.items() if isinstance(key, str)}
        set_fields(net, **{name: self.model.shared(key, getattr(net, name)) for name, key in keys.items()})
        return net

    def _shapes(self, found: _Found, message: str) -> str:
        """The file's shapes of the fields of a struct that a message names."""
        named = set(re.findall(r"`(?:\w+\.)?(\w+)[`\[]", message))
        keys = [key for name, key in found.fields.items() if name in named and isinstance(key, str)]
        shapes = ", ".join(f"`{shown(key)}` is {list(self.model.shape(key))}" for key in keys)
        return f" ({shapes})" if shapes else ""


def bind(cls: type[Net], model: Model, prefix: str, dims: dict[str, int]) -> Net:
    """An instance of a struct's class, with its dims by name where tensors do not tell them.

    Structs that are filled from one model share its tensors. Raises ModelFileError TL4020 for all that the model lacks
    and for all types that conflict, in one table, and for a prefix that no tensor's name begins with; BoundaryError
    TL5002 for what is no model.
    """
    asked = f"{_name_of(cls)}.bind"
    instance(model, Model, f"model` of `{asked}", "")
    string(prefix, f"prefix` of `{asked}", "")
    dims = {name: integer(size, f"{name}` of `{asked}", "") for name, size in dims.items()}
    made: Any = cls
    names = {each.name for each in dataclasses.fields(cls)} - {place.name for place in made._model_fields()}
    unknown = dims.keys() - names
    if unknown:
        raise TypeError(f"`{_name_of(cls)}` has no dim `{min(unknown)}`")
    if not model.names.is_prefix(prefix) and not model.has(prefix):
        near = model.names.nearest_prefix(prefix)
        helps = [] if near is None else [f"did you mean `{shown(near)}`?"]
        message = f"no tensor's name in `{model.header.path}` begins with `{shown(prefix)}.`"
        raise ModelFileError("TL4020", message, helps=helps)
    filling = _Filling(model, Unifier(dict(dims)))
    found = filling.find(cls, prefix, {name: {(name,): 1} for name in names})
    filling.unifier.solve()
    filling.refuse(cls, filling.unifier.conflicts())
    net: Net = filling.make(found)
    filling.refuse(cls, [])
    model.note_bound()
    return net


def of_elements(net: Net, where: str, /, **elements: mx.Dtype) -> Net:
    """A struct from a model, whose type parameters are checked to be what the program takes them to be.

    Raises BoundaryError TL5002.
    """
    for name, wanted in elements.items():
        found = getattr(net, name)
        if found != wanted:
            told = f"`{_name_of(type(net))}` from the model holds {short(found)}, not {short(wanted)}"
            raise BoundaryError("TL5002", told, where=where)
    return net


def _name_of(cls: Any) -> str:
    """What the program calls a struct."""
    return str(getattr(cls, "_name", cls.__name__))


def _helps(conflicts: Iterable[tuple[Tensor, tuple[str, ...]]]) -> list[str]:
    """How a model is loaded whose floats are all of one other type than the struct's."""
    floats = {short(dtype) for dtype in FLOATS}
    wanted = {
        tensor.element
        for tensor, _ in conflicts
        if tensor.actual_element != tensor.element and {tensor.actual_element, tensor.element} <= floats
    }
    return [f"`load_model(path, dtype: {dtype})` reads floats so" for dtype in wanted] if len(wanted) == 1 else []


def _keys_of_item(prefix: str, place: Field, index: int) -> tuple[str, ...]:
    return tuple(_joined(prefix, key.replace("{i}", str(index))) for key in place.keys)


def _joined(prefix: str, key: str) -> str:
    return f"{prefix}.{key}" if prefix and key else prefix or key
