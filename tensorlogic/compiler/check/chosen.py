"""The sizes that a function chooses: each `?S` that only its result names (language.md, section 4.2).

In the body, every `return` binds such a size to what the returned value has in the first place where `S` stands alone;
the other places that name it are compared with that. A caller gets a fresh unknown for each call, read off the result.
A size that stands in lists and optionals only cannot be read off: it is `?` to the caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from functools import partial

from tensorlogic.compiler.check.context import Context
from tensorlogic.compiler.check.places import at_place
from tensorlogic.compiler.check.plan import Place, places_of
from tensorlogic.compiler.check.signatures import Signature
from tensorlogic.compiler.dims import HOLE, Kind, Polynomial, Variable
from tensorlogic.compiler.ir.core import Value
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.types import (
    IntType,
    ListType,
    OptionalType,
    Shape,
    StructType,
    Substitution,
    TensorType,
    TupleType,
    Type,
    substitute,
    transform,
)

Sizes = Mapping[Variable, Polynomial]


def chosen_by(signature: Signature) -> frozenset[Variable]:
    """The variables that only the result's type names."""
    bound = {step.variable for step in signature.plan}
    return frozenset(v for v in signature.variables if v.kind is Kind.UNKNOWN and v not in bound)


def open_result(declared: Type, sizes: Sizes) -> Type:
    """A result's type with chosen sizes replaced. A dim made of one that is not known is `?`, too."""

    def opened(p: Polynomial) -> Polynomial:
        return Polynomial.of(HOLE) if HOLE in p.variables() else p

    def leaf(t: Type) -> Type:
        match t:
            case TensorType(element, shape):
                return TensorType(element, Shape(shape.pack, tuple(map(opened, shape.dims))))
            case StructType(definition, elements, dims):
                return StructType(definition, elements, tuple(map(opened, dims)))
        return t

    return transform(substitute(declared, Substitution(dims=dict(sizes))), leaf)


def unknown(chosen: Set[Variable]) -> Sizes:
    """Each chosen size as `?`."""
    return {v: Polynomial.of(HOLE) for v in chosen}


def sizes_of(declared: Type, actual: Type, chosen: Set[Variable]) -> Sizes:
    """What a value says that the chosen sizes are: each as the first place has it where it stands alone."""
    found: dict[Variable, Polynomial] = {}

    def visit(t: Type, other: Type) -> None:
        match t, other:
            case TensorType(), TensorType() if len(t.shape.dims) == len(other.shape.dims):
                pair(t.shape.dims, other.shape.dims)
            case StructType(), StructType() if t.definition is other.definition:
                pair(t.dims, other.dims)
            case TupleType(items), TupleType(others) if len(items) == len(others):
                for inner, value in zip(items, others, strict=True):
                    visit(inner, value)
            case OptionalType(item), OptionalType(value):
                visit(item, value)
            case OptionalType(item), _:
                visit(item, other)
            case ListType(item, _), ListType(value, values):
                for each in values if values is not None else (value,):
                    visit(item, each)

    def pair(dims: tuple[Polynomial, ...], others: tuple[Polynomial, ...]) -> None:
        for p, q in zip(dims, others, strict=True):
            variable = p.variable
            if variable is not None and variable in chosen and q.variable is not HOLE:
                found.setdefault(variable, q)

    visit(declared, actual)
    return {**unknown(chosen), **found}


def renew(signature: Signature) -> tuple[Sizes, dict[Variable, Place]]:
    """For one call: a fresh unknown for each chosen size that can be read off the result, and where; `?` for others."""
    sizes = dict(unknown(chosen_by(signature)))
    places: dict[Variable, Place] = {}
    for place in sure_places(signature.result, ()):
        variable = place.polynomial.variable
        if variable is not None and variable in sizes and sizes[variable].variable is HOLE:
            fresh = Variable(variable.name, Kind.UNKNOWN)
            sizes[variable] = Polynomial.of(fresh)
            places[fresh] = place
    return sizes, places


def read_off(cx: Context, result: Value, places: Mapping[Variable, Place]) -> None:
    """Say where the fresh unknowns of a call are found: in its result."""
    for variable, place in places.items():
        cx.witnesses[variable] = partial(_read, cx, variable, place, result)
        kind, _ = place.steps[-1]
        if kind == "parameter":
            # A struct's dims were found to be at least 1 when it was made.
            cx.facts = cx.facts.with_bound(Polynomial.of(variable) - 1)


def _read(cx: Context, variable: Variable, place: Place, result: Value, span: Span) -> Value:
    return at_place(cx, place, (result,), span, variable)


def sure_places(t: Type, steps: tuple[tuple[str, int | str], ...]) -> list[Place]:
    """The sizes that are there in every value of a type: none inside lists, which may be empty, and optionals."""
    match t:
        case ListType() | OptionalType() | IntType():
            return []
        case TupleType(items):
            return [p for i, item in enumerate(items) for p in sure_places(item, (*steps, ("item", i)))]
    return places_of(t, 0, steps)
