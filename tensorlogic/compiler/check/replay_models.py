"""What a script asks of its model files, answered from their headers: names, shapes, element types, metadata.

What the file cannot give is told as an error with what it has instead; run time would end with the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tensorlogic.compiler.check import file_refusals
from tensorlogic.compiler.check.file_values import UNKNOWN, Fact, Known, ModelFile, Sight, Weight
from tensorlogic.compiler.ir.core import Operation
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.types import FLOAT16, ElementType, OpaqueType, TensorType

if TYPE_CHECKING:
    from tensorlogic.compiler.check.replay import Replay

FLOATS = frozenset({"float16", "bfloat16", "float32"})


def _load(replay: Replay, operation: Operation) -> Fact:
    """A file's header, where the path is known and the file is there."""
    from tensorlogic.runtime.formats import ModelFileError
    from tensorlogic.runtime.formats.names import Names

    path = replay.fact(operation.operands[0])
    model = operation.result.type
    if not isinstance(path, Known) or not isinstance(path.value, str):
        return UNKNOWN
    try:
        opened = replay.headers.open(path.value)
    except ModelFileError as problem:
        replay.tell(file_refusals.at_run_time(problem, operation.span))
        return UNKNOWN
    if opened is None:
        return UNKNOWN
    assert isinstance(model, OpaqueType)
    header, use = opened
    return ModelFile(header, (model.element or FLOAT16).name, use, Names(header.tensors))


def _save(replay: Replay, operation: Operation) -> Fact:
    path = replay.fact(operation.operands[1])
    replay.headers.save(path.value if isinstance(path, Known) and isinstance(path.value, str) else None)
    return UNKNOWN


def _method(replay: Replay, operation: Operation) -> Fact:
    model, *arguments = map(replay.fact, operation.operands)
    if not isinstance(model, ModelFile) or not arguments or not isinstance(arguments[0], Known):
        return UNKNOWN
    name, method = arguments[0].value, operation.attributes["method"]
    match method:
        case "get_tensor":
            return _tensor(replay, model, name, operation)
        case "has":
            found = name in model.header.tensors
            note_use(model, name)
            is_there = "there" if found else "not there"
            return Known(found, (Sight(model.use.path, f"`{name}`", is_there, operation.span),))
    default = arguments[1]
    has_default = not isinstance(default, Known) or default.value is not None
    return _metadata(replay, model, name, method, operation.span, has_default=has_default)


def _attribute(replay: Replay, operation: Operation) -> Fact:
    model = replay.fact(operation.operands[0])
    if operation.attributes["name_"] != "tensors" or not isinstance(model, ModelFile):
        return UNKNOWN
    return Known(tuple(map(Known, model.header.tensors)))


def _tensor(replay: Replay, model: ModelFile, name: str, operation: Operation) -> Fact:
    from tensorlogic.runtime.formats.header import shown
    from tensorlogic.runtime.formats.nearest import did_you_mean, nearest
    from tensorlogic.runtime.formats.safetensors.schemes import unreadable

    span, type = operation.span, operation.result.type
    info = model.header.tensors.get(name)
    if info is None:
        if name not in model.use.missing:
            model.use.missing[name] = [] if replay.is_told("TL4021", span) else nearest(name, model.header.tensors)
        replay.tell(file_refusals.no_tensor(shown(name), model.use.path, did_you_mean(model.use.missing[name]), span))
        return UNKNOWN
    sight = sight_of(model, name, span)
    weight = Weight(info.shape, (sight,))
    if not info.readable:
        replay.tell(file_refusals.at_run_time(unreadable(info), span), [weight])
        return UNKNOWN
    assert isinstance(type, TensorType)
    # A type parameter that a weight has is that of the model's floats, or run time finds that it is not.
    wanted = type.element.name if isinstance(type.element, ElementType) else model.floats
    found = info.element(wanted if operation.attributes.get("reads") else model.floats)
    if found != wanted:
        replay.tell(file_refusals.other_element(sight, found, wanted, _helps(found, wanted, name)), [weight])
        return UNKNOWN
    return weight


def note_use(model: ModelFile, name: str) -> None:
    """Keep what a file says of a tensor, for editors."""
    info = model.header.tensors.get(name)
    if info is not None:
        model.use.tensors.setdefault(name, (info.storage, info.shape))


def sight_of(model: ModelFile, name: str, span: Span) -> Sight:
    """What a file says of a tensor that is there."""
    from tensorlogic.runtime.formats.header import shown

    note_use(model, name)
    info = model.header.tensors[name]
    return Sight(model.use.path, f"`{shown(name)}`", f"{info.element(model.floats)}{list(info.shape)}", span)


def _helps(found: str, wanted: str, name: str) -> list[str]:
    if {found, wanted} <= FLOATS:
        return [f"`load_model(..., dtype: {wanted})` reads floats so"]
    return [f'`let w: {found}[...] = model.get_tensor("{name}")` takes it, with its shape written out']


def _metadata(replay: Replay, model: ModelFile, key: str, method: str, span: Span, *, has_default: bool) -> Fact:
    from tensorlogic.runtime.formats import metadata
    from tensorlogic.runtime.formats.header import shown
    from tensorlogic.runtime.formats.nearest import did_you_mean, nearest

    value = model.header.metadata.get(key)
    if value is None:
        if has_default:
            return UNKNOWN
        near = [] if replay.is_told("TL4024", span) else nearest(key, model.header.metadata)
        replay.tell(file_refusals.no_key(shown(key), model.use.path, did_you_mean(near), span))
        return UNKNOWN
    read, wanted = {
        "int": (metadata.as_int, "an int"),
        "float": (metadata.as_float, "a float"),
        "string": (metadata.as_string, "a string"),
        "bool": (metadata.as_bool, "a bool"),
        "ints": (metadata.as_ints, "a list of ints"),
        "floats": (metadata.as_floats, "a list of floats"),
        "strings": (metadata.as_strings, "a list of strings"),
    }[method]
    found = read(value)
    if found is None:
        replay.tell(file_refusals.other_metadata(shown(key), model.use.path, metadata.told(value), wanted, span))
        return UNKNOWN
    sights = (Sight(model.use.path, f"the metadata key `{shown(key)}`", metadata.told(value), span),)
    return Known(tuple(Known(n, sights) for n in found) if isinstance(found, tuple) else found, sights)


OPERATIONS: dict[str, Callable[[Replay, Operation], Fact]] = {
    "attribute": _attribute,
    "load_model": _load,
    "method": _method,
    "save_model": _save,
}
