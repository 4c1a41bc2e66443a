"""Structs filled from model files by their fields' keys (language.md, section 9.2).

Where the fields are, and whether the file's types fit, is decided by the header (`formats/matching.py`), and told in
one error. Then the tensors are read, and the structs' own constructors decide what the header's rules leave to them.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import mlx.core as mx

from tensorlogic.runtime import kernels
from tensorlogic.runtime.boundary import instance, integer, set_fields, string
from tensorlogic.runtime.errors import BoundaryError, ModelFileError
from tensorlogic.runtime.formats.header import shown
from tensorlogic.runtime.formats.matching import Found, Matching, Place, joined, why_nothing
from tensorlogic.runtime.formats.table import at_most
from tensorlogic.runtime.formats.unifying import Size, Unifier
from tensorlogic.runtime.joining import join_fields
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
        value, key = getattr(net, place.name), joined(prefix, place.keys[0])
        items = enumerate(value) if place.listed and value is not None else [(None, value)]
        for index, item in items:
            name = key if index is None else key.replace("{i}", str(index))
            if item is not None and place.struct is not None:
                found.update(tensors_of(item, name))
            elif item is not None:
                dtype = getattr(net, place.dtype) if isinstance(place.dtype, str) else place.dtype
                found[name] = item if isinstance(item, Packed) or dtype is None else item.astype(dtype)
    return found


@dataclass
class _Filling:
    """The making of a struct and of those in it, all of whose tensors are there."""

    model: Model
    tensors: Mapping[str, mx.array | Packed]
    unifier: Unifier
    told: list[str] = field(default_factory=list)
    """What the structs' own constructors refuse."""

    def make(self, found: Any) -> Any:
        """A field's value; None for a struct in which something is wrong."""
        if isinstance(found, tuple):
            return tuple(self.make(item) for item in found)
        if isinstance(found, Found):
            return self._made(found)
        return None if found is None else self.tensors[found]

    def _made(self, found: Found) -> Any:
        before = len(self.told)
        values = {name: self.make(each) for name, each in found.fields.items()}
        if len(self.told) != before:
            return None
        asked = {each.name for each in dataclasses.fields(found.struct) if each.init} - values.keys()
        sizes = {name: self.unifier.value(size) for name, size in found.dims.items() if name in asked}
        unknown = " and ".join(f"`{name}`" for name in sorted(sizes) if sizes[name] is None)
        if unknown:
            self.told.append(
                f"{unknown} of `{_name_of(found.struct)}`: no tensor tells it, and `bind` was not given it"
            )
            return None
        try:
            net = found.struct(**values, **sizes)
        except BoundaryError as wrong:
            self.told.append(f"{wrong.where}: {wrong.message}{self._shapes(found, wrong.message)}")
            return None
        keys = {name: key for name, key in found.fields.items() if isinstance(key, str)}
        set_fields(net, **{name: self.model.shared(key, getattr(net, name)) for name, key in keys.items()})
        if not kernels.active():
            # Our kernels go through the rows of several matrices as of one, and take them where they lie.
            join_fields(net)
        return net

    def _shapes(self, found: Found, message: str) -> str:
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
    nothing = why_nothing(model.names, model.header.path, prefix)
    if nothing is not None:
        message, helps = nothing
        raise ModelFileError("TL4020", message, helps=helps)
    matching = Matching(
        model.header.tensors, model.names, _places, lambda info: short(model.dtype(info.name)), Unifier(dict(dims))
    )
    found = matching.find(cls, prefix, {name: {(name,): 1} for name in names})
    problems = matching.problems()
    told = f"`{model.header.path}` does not fit `{_name_of(cls)}`"
    if problems is not None:
        raise ModelFileError("TL4020", f"{told}: {problems.summary}", notes=problems.notes, helps=problems.helps)
    filling = _Filling(model, dict(model.read_all(dict.fromkeys(_keys(found)))), matching.unifier)
    net: Net = filling.make(found)
    if filling.told:
        # What is wrong with every item of a list is told once.
        notes = list(dict.fromkeys(filling.told))
        count = "1 problem" if len(notes) == 1 else f"{len(notes)} problems"
        raise ModelFileError("TL4020", f"{told}: {count}", notes=at_most(notes))
    model.note_bound()
    return net


def _keys(found: Any) -> Iterator[str]:
    """The keys of all tensors that fill a field, in order."""
    if isinstance(found, str):
        yield found
    elif found is not None:
        for inner in found if isinstance(found, tuple) else found.fields.values():
            yield from _keys(inner)


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


def _places(cls: Any) -> tuple[Place, ...]:
    return tuple(map(_place, cls._model_fields()))


def _place(own: Field) -> Place:
    dtype, struct = own.dtype, own.struct
    return Place(
        own.name,
        own.keys,
        "" if dtype is None else dtype if isinstance(dtype, str) else short(dtype),
        isinstance(dtype, str),
        own.shape,
        struct,
        "" if struct is None else _name_of(struct),
        own.listed,
        own.optional,
        own.dims,
    )
