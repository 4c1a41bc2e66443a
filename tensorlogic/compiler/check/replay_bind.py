"""`bind<S>(model, prefix: ..., N: 4)` against the header of a file: every tensor that lacks or conflicts, in one error.

Follows the rules of run time (`runtime/formats/matching.py`, which both share) on the struct's fields as the program
declares them. What only the struct's own constructor compares (packs, products of several unknown dims, items of lists
among each other) is left to run time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from tensorlogic.compiler.check import file_refusals
from tensorlogic.compiler.check.file_values import UNKNOWN, Fact, Known, ModelFile, Net, Sight, Weight
from tensorlogic.compiler.check.replay_models import note_use, sight_of
from tensorlogic.compiler.diagnostics.model import error
from tensorlogic.compiler.dims import over_names
from tensorlogic.compiler.ir.core import Operation
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.types import (
    ElementType,
    ListType,
    OptionalType,
    StructDefinition,
    StructType,
    TensorType,
    Type,
    field_type,
)

if TYPE_CHECKING:
    from tensorlogic.compiler.check.replay import Replay
    from tensorlogic.runtime.formats.matching import Found, Matching, Place, Problems

_MOST_HELPED = 3
"""For how many missing names the nearest ones are looked for."""


def bind(replay: Replay, operation: Operation) -> Fact:
    """The struct with the file's shapes, or an error for all that does not fit."""
    from tensorlogic.runtime.formats.matching import Matching, why_nothing
    from tensorlogic.runtime.formats.unifying import Unifier

    model, prefix, *sizes = map(replay.fact, operation.operands)
    type = operation.result.type
    if not isinstance(model, ModelFile) or not isinstance(prefix, Known):
        return UNKNOWN
    assert isinstance(type, StructType)
    nothing = why_nothing(model.names, model.use.path, prefix.value)
    if nothing is not None:
        message, helps = nothing
        replay.tell(error("TL4025", message, operation.span, helps=helps), [prefix])
        return UNKNOWN
    given = {n: s.value for n, s in zip(operation.attributes["sizes"], sizes, strict=True) if isinstance(s, Known)}
    tensors = model.header.tensors
    matching = Matching(tensors, model.names, _places, lambda info: info.element(model.floats), Unifier(given))
    found = matching.find(type, prefix.value, {v.name: {(v.name,): 1} for v in type.definition.dims})
    if replay.is_told("TL4025", operation.span) and not matching.fits():
        replay.tell_again("TL4025", operation.span, sizes)
        return UNKNOWN
    problems = matching.problems()
    if problems is not None:
        _note_uses(model, problems)
        replay.tell(file_refusals.unfilled(type.definition.name, model.use.path, problems, operation.span), sizes)
        return UNKNOWN
    small = dict(_below_one(matching, found))
    if small:
        told = file_refusals.too_small(type.definition.name, model.use.path, list(small.items()), operation.span)
        replay.tell(told, sizes)
        return UNKNOWN
    return _net(model, matching, found, operation.span)


def _below_one(matching: Matching, found: Any) -> Iterator[tuple[str, int]]:
    """The dims of a struct and of those inside it that no dim may be."""
    if found is None or isinstance(found, str):
        return
    if isinstance(found, tuple):
        for item in found:
            yield from _below_one(matching, item)
        return
    values = ((name, matching.unifier.value(size)) for name, size in found.dims.items())
    yield from ((name, value) for name, value in values if value is not None and value < 1)
    for inner in found.fields.values():
        yield from _below_one(matching, inner)


def _note_uses(model: ModelFile, problems: Problems) -> None:
    """Keep what the file has of the tensors that do not fit, for editors."""
    from tensorlogic.runtime.formats.nearest import nearest

    for key in (key for tensor in problems.tensors for key in tensor.keys):
        note_use(model, key)
    missing = [tensor.keys[0] for tensor in problems.tensors if tensor.actual is None]
    for key in [key for key in missing if key not in model.use.missing][:_MOST_HELPED]:
        model.use.missing[key] = nearest(key, model.header.tensors)


# --- the fields as the program declares them


def _places(struct: StructType) -> Sequence[Place]:
    return [_place(name, field_type(struct, name), struct.definition) for name in struct.definition.fields]


def _place(name: str, t: Type, definition: StructDefinition) -> Place:
    from tensorlogic.runtime.formats.matching import Place

    # The shape over the struct's own dims; `t` has the element types of this instance.
    own = definition.fields[name]
    inner, declared = _item(t), _item(own)
    place: dict[str, Any] = {"listed": _is_list(t), "optional": isinstance(t, OptionalType)}
    if isinstance(inner, TensorType) and isinstance(declared, TensorType):
        place |= {"element": inner.element.name, "is_parameter": not isinstance(inner.element, ElementType)}
        if declared.shape.pack is None:
            place["shape"] = tuple(map(over_names, declared.shape.dims))
    elif isinstance(inner, StructType) and isinstance(declared, StructType):
        pairs = zip(inner.definition.dims, declared.dims, strict=True)
        place |= {
            "struct": inner,
            "struct_name": inner.definition.name,
            "dims": tuple((v.name, over_names(size)) for v, size in pairs),
        }
    return Place(name, definition.keys[name], **place)


def _item(t: Type) -> Type:
    inner = t.item if isinstance(t, OptionalType) else t
    return inner.item if isinstance(inner, ListType) else inner


def _is_list(t: Type) -> bool:
    return isinstance(t.item if isinstance(t, OptionalType) else t, ListType)


# --- what was found


def _net(model: ModelFile, matching: Matching, found: Found, span: Span) -> Net:
    fields = {name: _fact(model, matching, each, span) for name, each in found.fields.items()}
    dims: dict[str, Fact] = {}
    for name, size in found.dims.items():
        value = matching.unifier.value(size)
        sight = Sight(model.use.path, f"`{name}` of `{found.struct.definition.name}`", str(value), span)
        dims[name] = UNKNOWN if value is None else Known(value, (sight,))
    return Net(fields, dims)


def _fact(model: ModelFile, matching: Matching, found: Any, span: Span) -> Fact:
    """What stands in a field: nothing, a tensor's key, a struct, or a tuple of either."""
    if found is None:
        return Known(None)
    if isinstance(found, tuple):
        return Known(tuple(_fact(model, matching, item, span) for item in found))
    if isinstance(found, str):
        return Weight(model.header.tensors[found].shape, (sight_of(model, found, span),))
    return _net(model, matching, found, span)
