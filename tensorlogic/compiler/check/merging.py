"""Values that come by several ways: the one type that they have after the branches of an `if`.

Takes what each way leaves: a type, and the facts that hold there. Promises a type that is right whichever way was
taken: each of its dims is, by the facts of each way, the dim that the value has there, so that 1 and `P` are `P` where
`P == 1` was the condition. None where there is no such type. A size that only a block knows becomes `?` outside of it.
"""

from __future__ import annotations

from collections.abc import Sequence

from tensorlogic.compiler.check.bindings import widen
from tensorlogic.compiler.check.refusals import fail
from tensorlogic.compiler.dims import HOLE, Polynomial
from tensorlogic.compiler.facts import Facts
from tensorlogic.compiler.records import dataclass
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.types import (
    ERROR,
    ErrorType,
    FloatType,
    IntType,
    ListType,
    NoneType,
    OptionalType,
    Shape,
    StructType,
    TensorType,
    TupleType,
    Type,
    transform,
)


@dataclass(frozen=True, slots=True)
class Side:
    """The type of a value where one way ends, and what is known there."""

    type: Type
    facts: Facts


def merged(sides: Sequence[Side]) -> Type | None:
    """The one type of values that come by several ways; what is known of host values is kept where all agree."""
    types = [side.type for side in sides]
    first = types[0]
    if any(isinstance(t, ErrorType) for t in types):
        return ERROR
    if all(t == first for t in types):
        return first
    plain = [widen(t) for t in types]
    if all(t == plain[0] for t in plain):
        return plain[0]
    if any(isinstance(t, FloatType) for t in plain) and all(isinstance(t, IntType | FloatType) for t in plain):
        return None
    found: Type | None = None
    match first:
        case TensorType():
            found = _tensor(sides)
        case StructType():
            found = _struct(sides)
        case TupleType():
            found = _tuple(sides)
        case ListType():
            found = _list(sides)
    return found if found is not None else _optional(sides)


def _tensor(sides: Sequence[Side]) -> Type | None:
    types = [side.type for side in sides if isinstance(side.type, TensorType)]
    packs = {None if t.unknown_rank else t.shape.pack for t in types}
    alike = {(t.element, t.unknown_rank, len(t.shape.dims)) for t in types}
    if len(types) < len(sides) or len(packs) > 1 or len(alike) > 1:
        return None
    dims = _dims([t.shape.dims for t in types], sides)
    return None if dims is None else TensorType(types[0].element, Shape(types[0].shape.pack, dims))


def _struct(sides: Sequence[Side]) -> Type | None:
    types = [side.type for side in sides if isinstance(side.type, StructType)]
    if len(types) < len(sides) or len({(t.definition, t.elements) for t in types}) > 1:
        return None
    dims = _dims([t.dims for t in types], sides)
    return None if dims is None else StructType(types[0].definition, types[0].elements, dims)


def _dims(columns: Sequence[tuple[Polynomial, ...]], sides: Sequence[Side]) -> tuple[Polynomial, ...] | None:
    """Dim by dim the one, of those that the sides have, that each side knows to be its own; `?` where a list varies."""
    found: list[Polynomial] = []
    for dims in zip(*columns, strict=True):
        if any(d.variable is HOLE for d in dims):
            found.append(Polynomial.of(HOLE))
            continue
        fitting = (d for d in dims if all(s.facts.equal(d, own) for s, own in zip(sides, dims, strict=True)))
        dim = next(fitting, None)
        if dim is None:
            return None
        found.append(dim)
    return tuple(found)


def _tuple(sides: Sequence[Side]) -> Type | None:
    types = [side.type for side in sides if isinstance(side.type, TupleType)]
    if len(types) < len(sides) or len({len(t.items) for t in types}) > 1:
        return None
    columns = zip(*(t.items for t in types), strict=True)
    items = [merged([Side(t, s.facts) for t, s in zip(column, sides, strict=True)]) for column in columns]
    return None if None in items else TupleType(tuple(t for t in items if t is not None))


def _list(sides: Sequence[Side]) -> Type | None:
    """A list of the type that all items have; the length is known no more."""
    items: list[Side] = []
    for side in sides:
        if not isinstance(side.type, ListType):
            return None
        types = (side.type.item,) if side.type.items is None else side.type.items
        items += [Side(widen(t), side.facts) for t in types]
    one = merged(items) if items else None
    return None if one is None else ListType(one)


def item_type(t: ListType, facts: Facts, span: Span) -> Type:
    """What each item of a list is, wherever it stands. Refuses a list whose items are known to differ."""
    if isinstance(t.item, ErrorType):
        helps = ["`let items: [int] = []` says it"]
        fail("TL2008", "nothing says what the items of this empty list are", span, helps=helps)
    if not t.items:
        return t.item
    one = merged([Side(widen(item), facts) for item in t.items])
    if one is None:
        kinds = list(dict.fromkeys(str(widen(item)) for item in t.items))
        notes = [" and ".join(f"`{kind}`" for kind in kinds[:2])] if len(kinds) > 1 else []
        tensors = [item for item in t.items if isinstance(item, TensorType)]
        helps = []
        if (
            len(tensors) == len(t.items)
            and len({(i.element, i.shape.rank) for i in tensors}) == 1
            and tensors[0].shape.rank
        ):
            open_shape = ", ".join("?" * tensors[0].shape.rank)
            helps = [f"`let items: [{tensors[0].element}[{open_shape}]] = ...` lets the sizes differ"]
        fail("TL2017", "the items of this list differ", span, notes=notes, helps=helps)
    return one


def _optional(sides: Sequence[Side]) -> Type | None:
    """`none` on some ways, or an optional, and something that fits on all others."""
    inner = [
        Side(s.type.item if isinstance(s.type, OptionalType) else s.type, s.facts)
        for s in sides
        if not isinstance(s.type, NoneType)
    ]
    if not inner or (len(inner) == len(sides) and not any(isinstance(s.type, OptionalType) for s in sides)):
        return None
    one = merged(inner)
    return None if one is None else OptionalType(one)


def leave(t: Type, mark: int) -> Type:
    """The type outside of the block that began at `mark`: sizes that only the block knows become `?`."""

    def outside(p: Polynomial) -> Polynomial:
        inner = any(v.serial > mark and v is not HOLE for v in p.variables())
        return Polynomial.of(HOLE) if inner else p

    def leaf(t: Type) -> Type:
        match t:
            case TensorType(element, shape):
                return TensorType(element, Shape(shape.pack, tuple(outside(d) for d in shape.dims)))
            case StructType(definition, elements, sizes):
                return StructType(definition, elements, tuple(outside(d) for d in sizes))
            case IntType(p) if p is not None and any(v.serial > mark for v in p.variables()):
                return IntType()
        return t

    return transform(t, leaf)
