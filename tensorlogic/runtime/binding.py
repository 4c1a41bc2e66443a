"""Structs filled from model files by their fields' keys (language.md, section 9.2).

Every missing tensor, and every struct whose shapes conflict, is told in one error with the file's shapes; what fits is
decided by the structs' own constructors.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import mlx.core as mx

from tensorlogic.runtime.boundary import instance, integer
from tensorlogic.runtime.errors import BoundaryError, ModelFileError
from tensorlogic.runtime.formats.header import shown
from tensorlogic.runtime.formats.unifying import Size, Sum, Tensor, Unifier, over
from tensorlogic.runtime.models import Model
from tensorlogic.runtime.outside import short
from tensorlogic.runtime.packed import Packed

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


_MOST_SHOWN = 20


@dataclass(frozen=True, slots=True)
class _Found:
    """Where the model holds the fields of a struct: keys of tensors, structs and tuples of either, None for nothing."""

    cls: Any
    prefix: str
    fields: dict[str, Any]
    dims: dict[str, Sum]
    """The struct's dims over those of the outermost struct."""


@dataclass
class _Filling:
    """The filling of a struct and of those in it: the model, and what it was found to lack or to have wrong."""

    model: Model
    unifier: Unifier
    missing: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)

    # --- where things are, by the header alone

    def find(self, cls: Any, prefix: str, dims: dict[str, Sum]) -> _Found:
        return _Found(
            cls, prefix, {place.name: self._field(prefix, place, dims) for place in cls._model_fields()}, dims
        )

    def _field(self, prefix: str, place: Field, dims: dict[str, Sum]) -> Any:
        keys = [_joined(prefix, key) for key in place.keys]
        if place.listed:
            return self._list(keys, place, dims)
        key = self._first(keys) if place.struct is None else self._first_below(keys)
        if key is None and place.optional:
            return None
        if place.struct is not None:
            return self._struct(keys[0] if key is None else key, place, dims)
        if key is None:
            self.missing.append(_either(keys))
            return None
        return self._tensor(key, place, dims)

    def _struct(self, key: str, place: Field, dims: dict[str, Sum]) -> _Found:
        """A struct inside: what `?` stands for is a dim of its own."""
        inner = {
            name: over(
                f"{name} of {key}" if size is None else size, dims | {f"{name} of {key}": {(f"{name} of {key}",): 1}}
            )
            for name, size in place.dims
        }
        return self.find(place.struct, key, inner)

    def _tensor(self, key: str, place: Field, dims: dict[str, Sum]) -> str:
        found = self.model.dtype(key)
        if isinstance(place.dtype, mx.Dtype) and found != place.dtype:
            self.conflicts.append(f"`{shown(key)}` holds {short(found)}, not {short(place.dtype)}")
        if place.shape is not None:
            sums = [None if size is None else over(size, dims) for size in place.shape]
            self.unifier.tensors.append(Tensor(shown(key), place.shape, sums, self.model.shape(key)))
        return key

    def _list(self, keys: list[str], place: Field, dims: dict[str, Sum]) -> tuple[Any, ...] | None:
        """The items counted from 0 without a gap."""
        found: list[Any] = []
        while True:
            places = [key.replace("{i}", str(len(found))) for key in keys]
            key = self._first(places) if place.struct is None else self._first_below(places)
            if key is None:
                break
            found.append(self._tensor(key, place, dims) if place.struct is None else self._struct(key, place, dims))
        above = self._has_item_above(keys, len(found))
        if not found and not above and place.optional:
            return None
        if not found or above:
            self.missing.append(_either(key.replace("{i}", str(len(found))) for key in keys))
        return tuple(found)

    def _has_item_above(self, keys: list[str], count: int) -> bool:
        """Whether the model has an item after the first one that it lacks."""
        pattern = re.compile("|".join(re.escape(key).replace(r"\{i\}", "([0-9]{1,9})") for key in keys))
        found = (pattern.match(name) for name in self.model.tensors)
        return any(int(index) > count for match in found if match for index in match.groups() if index)

    def _first(self, keys: Iterable[str]) -> str | None:
        return next((key for key in keys if self.model.has(key)), None)

    def _first_below(self, keys: Iterable[str]) -> str | None:
        """The first key below which the model has anything."""
        names = self.model.tensors
        return next((k for k in keys if not k or any(n == k or n.startswith(f"{k}.") for n in names)), None)

    # --- what is there

    def make(self, found: Any) -> Any:
        """A field's value; None for a struct in which something is wrong."""
        if isinstance(found, tuple):
            return tuple(self.make(item) for item in found)
        if isinstance(found, _Found):
            return self._made(found)
        return None if found is None else self.model.get_tensor(found)

    def _made(self, found: _Found) -> Any:
        before = len(self.conflicts)
        values = {name: self.make(each) for name, each in found.fields.items()}
        if len(self.conflicts) != before:
            return None
        asked = {each.name for each in dataclasses.fields(found.cls) if each.init} - values.keys()
        sizes = {name: self.unifier.value(size) for name, size in found.dims.items() if name in asked}
        unknown = " and ".join(f"`{name}`" for name in sorted(sizes) if sizes[name] is None)
        if unknown:
            self.conflicts.append(
                f"{unknown} of `{_name_of(found.cls)}`: no tensor tells it, and `bind` was not given it"
            )
            return None
        try:
            return found.cls(**values, **sizes)
        except BoundaryError as wrong:
            self.conflicts.append(f"{wrong.where}: {wrong.message}{self._shapes(found, wrong.message)}")
            return None

    def _shapes(self, found: _Found, message: str) -> str:
        """The file's shapes of the fields of a struct that a message names."""
        named = set(re.findall(r"`(?:\w+\.)?(\w+)[`\[]", message))
        keys = [key for name, key in found.fields.items() if name in named and isinstance(key, str)]
        shapes = ", ".join(f"`{shown(key)}` is {list(self.model.shape(key))}" for key in keys)
        return f" ({shapes})" if shapes else ""


def bind(cls: type[Net], model: Model, prefix: str, dims: dict[str, int]) -> Net:
    """An instance of a struct's class, with its dims by name where tensors do not tell them.

    Raises ModelFileError TL4020 for all that the model lacks, and for shapes that conflict; BoundaryError TL5002 for
    what is no model.
    """
    asked = f"{_name_of(cls)}.bind"
    instance(model, Model, f"model` of `{asked}", "")
    dims = {name: integer(size, f"{name}` of `{asked}", "") for name, size in dims.items()}
    made: Any = cls
    names = {each.name for each in dataclasses.fields(cls)} - {place.name for place in made._model_fields()}
    unknown = dims.keys() - names
    if unknown:
        raise TypeError(f"`{_name_of(cls)}` has no dim `{min(unknown)}`")
    filling = _Filling(model, Unifier(dict(dims)))
    found = filling.find(cls, prefix, {name: {(name,): 1} for name in names})
    filling.unifier.solve()
    filling.conflicts += filling.unifier.conflicts()
    if not filling.missing and not filling.conflicts:
        net: Net = filling.make(found)
        if not filling.conflicts:
            return net
    # A dim that was not given is told once, not for each item of a list.
    filling.conflicts = list(dict.fromkeys(filling.conflicts))
    counts = [(len(filling.missing), "missing tensor"), (len(filling.conflicts), "conflict")]
    told = " and ".join(f"{count} {what}{'' if count == 1 else 's'}" for count, what in counts if count)
    notes = [*_at_most(f"missing: {name}" for name in filling.missing), *_at_most(filling.conflicts)]
    raise ModelFileError("TL4020", f"`{model.header.path}` does not fit `{_name_of(cls)}`: {told}", notes=notes)


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


def _at_most(notes: Iterable[str]) -> Iterator[str]:
    """The first of many notes, and how many there are."""
    every = list(notes)
    yield from every[:_MOST_SHOWN]
    if len(every) > _MOST_SHOWN:
        yield f"and {len(every) - _MOST_SHOWN} more"


def _either(keys: Iterable[str]) -> str:
    return " or ".join(f"`{shown(key)}`" for key in keys)


def _joined(prefix: str, key: str) -> str:
    return f"{prefix}.{key}" if prefix and key else prefix or key
