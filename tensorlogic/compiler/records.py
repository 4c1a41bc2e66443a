"""Dataclasses that cost little to import: `dataclass` with the meaning and the keywords of the standard library's.

Python's own compiles the methods of every class when its module is imported, up to a millisecond for each: for the
compiler's 150 classes a fifth of the time that `tlc check` takes. Here a class gets its `__init__` when its first
instance is made, and the other methods share their code. `frozen` is held by the type checker alone; a frozen class
hashes by its fields as usual. Refuses keyword-only fields and those that `__init__` leaves out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(cls=None, /, *, frozen=False, eq=True, repr=True, slots=False):
        """The class with the fields that `dataclasses` reads, and the methods that are asked for."""
        if cls is None:
            return lambda decorated: dataclass(decorated, frozen=frozen, eq=eq, repr=repr, slots=slots)
        if cls.__doc__ is None:
            # Else the standard library writes the signature there, which takes longer than all the rest.
            cls.__doc__ = cls.__name__
        own = frozenset(vars(cls))
        made = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots)(cls)
        made.__init__ = _first_initializer(made)
        if repr and "__repr__" not in own:
            made.__repr__ = _show
        if eq and "__eq__" not in own:
            values = _reader(tuple(field.name for field in dataclasses.fields(made) if field.compare))
            made.__eq__ = _equality(values)
            if "__hash__" not in own:
                made.__hash__ = _hashing(values) if frozen else None
        return made


def _first_initializer(cls: Any) -> Callable[..., None]:
    """An `__init__` that puts the real one in its place, and calls it."""

    def initialize_first(self: Any, *arguments: Any, **named: Any) -> None:
        cls.__init__ = _initializer(cls)
        cls.__init__(self, *arguments, **named)

    return initialize_first


def _initializer(cls: Any) -> Callable[..., None]:
    """Sets each field in its order, and calls `__post_init__` where there is one."""
    scope: dict[str, Any] = {"absent": object()}
    parameters, lines = ["self"], []
    for field in dataclasses.fields(cls):
        name = value = field.name
        assert field.init, f"{cls.__name__}.{name}: a field that `__init__` leaves out"
        assert not field.kw_only, f"{cls.__name__}.{name}: a keyword-only field"
        if field.default is not dataclasses.MISSING:
            scope[f"default_{name}"] = field.default
            parameters.append(f"{name}=default_{name}")
        elif field.default_factory is not dataclasses.MISSING:
            scope[f"make_{name}"] = field.default_factory
            parameters.append(f"{name}=absent")
            value = f"make_{name}() if {name} is absent else {name}"
        else:
            parameters.append(name)
        lines.append(f"    self.{name} = {value}")
    if hasattr(cls, "__post_init__"):
        lines.append("    self.__post_init__()")
    exec("\n".join([f"def __init__({', '.join(parameters)}):", *(lines or ["    pass"])]), scope)
    made: Callable[..., None] = scope["__init__"]
    made.__qualname__ = f"{cls.__qualname__}.__init__"
    return made


def _reader(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    """A function that gives these fields of an instance as a tuple."""
    if len(names) > 1:
        return attrgetter(*names)
    if not names:
        return lambda instance: ()
    one = attrgetter(names[0])
    return lambda instance: (one(instance),)


def _equality(values: Callable[[Any], tuple[Any, ...]]) -> Callable[[Any, object], object]:
    def equal(self: Any, other: object) -> object:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return values(self) == values(other)

    return equal


def _hashing(values: Callable[[Any], tuple[Any, ...]]) -> Callable[[Any], int]:
    def hashed(self: Any) -> int:
        return hash(values(self))

    return hashed


def _show(self: Any) -> str:
    shown = (f"{field.name}={getattr(self, field.name)!r}" for field in dataclasses.fields(self) if field.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"
