"""Where entries and the constructors of structs read element types off what they are given.

Takes the types of the arguments with their expressions, which nothing has checked before. Promises an expression for
each type parameter that they name: of the first argument that is sure to tell it, else of the first optional one that
is there, else float16, of which nothing then has values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tensorlogic.compiler.emit.identifiers import attribute
from tensorlogic.compiler.emit.literals import string
from tensorlogic.compiler.emit.naming import Naming
from tensorlogic.compiler.records import dataclass
from tensorlogic.compiler.types import (
    ElementVariable,
    ListType,
    OpaqueType,
    OptionalType,
    StructType,
    TensorType,
    TupleType,
    Type,
)


@dataclass(frozen=True)
class Given:
    """An argument: its declared type, its expression, and what messages call it."""

    type: Type
    text: str
    name: str


@dataclass(frozen=True)
class _Source:
    """Where a type parameter is read; `condition` says when it can be, and is empty where it always can."""

    element: ElementVariable
    code: str
    condition: str = ""


def read_elements(o: Naming, arguments: Iterable[Given], place: str) -> dict[ElementVariable, str]:
    """The expression of each type parameter, in the order in which the arguments name them."""
    found: dict[ElementVariable, list[_Source]] = {}
    for argument in arguments:
        for source in _sources(o, argument, place):
            found.setdefault(source.element, []).append(source)
    return {element: _first(sources) for element, sources in found.items()}


def _first(sources: list[_Source]) -> str:
    sure = next((s for s in sources if not s.condition), None)
    if sure is not None:
        return sure.code
    return "".join(f"{s.code} if {s.condition} else " for s in sources) + "mx.float16"


def _sources(o: Naming, given: Given, place: str) -> Iterator[_Source]:
    text, name = given.text, given.name
    quoted = f"{string(name)}, {string(place)}"
    match given.type:
        case TensorType(element, _) if isinstance(element, ElementVariable):
            arguments = f"{text}, {string(name)}, {string(element.bound)}, {string(place)}"
            yield _Source(element, f"{o.runtime('element')}({arguments})")
        case StructType(definition, elements, _):
            for own, element in zip(definition.elements, elements, strict=True):
                if isinstance(element, ElementVariable):
                    checked = f"{o.runtime('instance')}({text}, {o.hint_name(definition)}, {quoted})"
                    yield _Source(element, f"{checked}.{attribute(own.name)}")
        case OpaqueType(_, element) if isinstance(element, ElementVariable):
            yield _Source(element, f"{o.runtime('floats_of')}({text}, {quoted})")
        case ListType(item, _) if _names_elements(item):
            first = f"{name}[0]"
            items = f"{o.runtime('items')}({text}, {quoted})"
            code = f"{o.runtime('item')}({items}, 0, {string(first)}, {string(place)})"
            yield from _sources(o, Given(item, code, first), place)
        case TupleType(items) if _names_elements(given.type):
            parts = f"{o.runtime('parts')}({text}, {len(items)}, {quoted})"
            for i, item in enumerate(items):
                yield from _sources(o, Given(item, f"{parts}[{i}]", f"{name}[{i}]"), place)
        case OptionalType(item):
            there = f"{text} is not None"
            for source in _sources(o, Given(item, text, name), place):
                condition = f"{there} and {source.condition}" if source.condition else there
                yield _Source(source.element, source.code, condition)


def _names_elements(t: Type) -> bool:
    match t:
        case TensorType(element, _):
            return isinstance(element, ElementVariable)
        case StructType(_, elements, _):
            return any(isinstance(e, ElementVariable) for e in elements)
        case OpaqueType(_, element):
            return isinstance(element, ElementVariable)
        case ListType(item, _) | OptionalType(item):
            return _names_elements(item)
        case TupleType(items):
            return any(_names_elements(item) for item in items)
    return False
