"""Structs filled from model files by their fields' keys (language.md, section 9.2).

Every missing tensor, and every struct whose shapes conflict, is told in one error with the file's shapes; what fits is
decided by the structs' own constructors.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import mlx.core as mx

from tensorlogic.runtime.errors import BoundaryError, ModelFileError
from tensorlogic.runtime.formats.header import shown
from tensorlogic.runtime.models import Model
from tensorlogic.runtime.outside import short
from tensorlogic.runtime.packed import Packed

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Net = TypeVar("Net", bound="DataclassInstance")


@dataclass(frozen=True, slots=True)
class Field:
    """A field: its keys (alternatives, `{i}` for a list's index), its struct's class, and what else it may be.

    `dtype` is a tensor's declared type, or the name of the struct's attribute that holds it. `dims` are the dims of its
    struct that are given by name, each over the dims of the outer struct: a name, or products of names with factors.
    """

    name: str
    keys: tuple[str, ...]
    dtype: mx.Dtype | str | None = None
    struct: Any = None
    listed: bool = False
    optional: bool = False
    dims: tuple[tuple[str, str | Mapping[tuple[str, ...], int]], ...] = ()


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


@dataclass
class _Filling:
    """The filling of a struct and of those in it: the model, and what it was found to lack or to have wrong."""

    model: Model
    missing: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)

    def struct(self, cls: Any, prefix: str, dims: dict[str, int]) -> Any:
        """An instance, or None where something in it is missing or wrong."""
        before = len(self.missing), len(self.conflicts)
        values = {place.name: self._field(prefix, place, dims) for place in cls._model_fields()}
        if (len(self.missing), len(self.conflicts)) != before:
            return None
        open_dims = {each.name for each in dataclasses.fields(cls) if each.init} - values.keys()
        unknown = " and ".join(f"`{name}`" for name in sorted(open_dims - dims.keys()))
        if unknown:
            self.conflicts.append(f"{unknown} of `{_name_of(cls)}`: no tensor tells it, and `bind` was not given it")
            return None
        try:
            net = cls(**values, **{name: dims[name] for name in open_dims})
        except BoundaryError as wrong:
            self.conflicts.append(f"{wrong.where}: {wrong.message}{self._shapes(cls, prefix, wrong.message)}")
            return None
        for name, size in dims.items():
            if getattr(net, name) != size:
                self.conflicts.append(
                    f"`{name}` of `{_name_of(cls)}` is {getattr(net, name)} by the tensors, not {size}"
                )
        return net

    def _field(self, prefix: str, place: Field, dims: dict[str, int]) -> Any:
        keys = [_joined(prefix, key) for key in place.keys]
        over = ((name, _value(size, dims)) for name, size in place.dims)
        inner = {name: size for name, size in over if size is not None}
        if place.listed:
            return self._list(keys, place, inner)
        if place.struct is not None:
            key = self._first_below(keys)
            if key is None and place.optional:
                return None
            return self.struct(place.struct, key if key is not None else keys[0], inner)
        key = self._first(keys)
        if key is not None:
            return self.model.get_tensor(key)
        if not place.optional:
            self.missing.append(_either(keys))
        return None

    def _list(self, keys: list[str], place: Field, dims: dict[str, int]) -> tuple[Any, ...]:
        """The items counted from 0 without a gap."""
        found: list[Any] = []
        while True:
            places = [key.replace("{i}", str(len(found))) for key in keys]
            key = self._first(places) if place.struct is None else self._first_below(places)
            if key is None:
                break
            found.append(self.model.get_tensor(key) if place.struct is None else self.struct(place.struct, key, dims))
        if (not found and not place.optional) or self._has_item_above(keys, len(found)):
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

    def _shapes(self, cls: Any, prefix: str, message: str) -> str:
        """The file's shapes of the fields of a struct that a message names."""
        named = set(re.findall(r"`(?:\w+\.)?(\w+)[`\[]", message))
        shapes = []
        for place in cls._model_fields():
            key = self._first(_joined(prefix, key) for key in place.keys)
            if key is not None and place.name in named:
                shapes.append(f"`{shown(key)}` is {list(self.model.shape(key))}")
        return f" ({', '.join(shapes)})" if shapes else ""


def bind(cls: type[Net], model: Model, prefix: str, dims: dict[str, int]) -> Net:
    """An instance of a struct's class, with its dims by name where tensors do not tell them.

    Raises ModelFileError TL4020 for all that the model lacks, and for shapes that conflict.
    """
    unknown = dims.keys() - {each.name for each in dataclasses.fields(cls)}
    if unknown:
        raise TypeError(f"`{_name_of(cls)}` has no dim `{min(unknown)}`")
    filling = _Filling(model)
    net: Net = filling.struct(cls, prefix, dims)
    if not filling.missing and not filling.conflicts:
        return net
    # A dim that was not given is told once, not for each item of a list.
    filling.conflicts = list(dict.fromkeys(filling.conflicts))
    counts = [(len(filling.missing), "missing tensor"), (len(filling.conflicts), "conflict")]
    told = " and ".join(f"{count} {what}{'' if count == 1 else 's'}" for count, what in counts if count)
    notes = [*_at_most(f"missing: {name}" for name in filling.missing), *_at_most(filling.conflicts)]
    raise ModelFileError("TL4020", f"`{model.header.path}` does not fit `{_name_of(cls)}`: {told}", notes=notes)


def _value(size: str | Mapping[tuple[str, ...], int], dims: Mapping[str, int]) -> int | None:
    """A dim over dims that are known; None where one is not."""
    if isinstance(size, str):
        return dims.get(size)
    if any(name not in dims for product in size for name in product):
        return None
    return sum(factor * math.prod(dims[name] for name in product) for product, factor in size.items())


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
