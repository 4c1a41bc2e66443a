"""The description of a Core ML model: its inputs and outputs, and what its author noted.

Takes the messages of a `ModelDescription`, gives features and metadata. The fields are those of `FeatureTypes.proto`
and `Model.proto` at https://github.com/apple/coremltools/tree/main/mlmodel/format.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tensorlogic.runtime.formats.coreml.protobuf import Message
from tensorlogic.runtime.formats.features import Feature, Sizes
from tensorlogic.runtime.formats.header import MAX_RANK, MetadataValue, damaged, shown

MAX_FEATURES = 10_000
MAX_CHOICES = 1_000
"""Core ML itself allows 128 shapes of one input."""

_ARRAY_TYPES = {65568: "float32", 65600: "float64", 131104: "int32", 131080: "int8", 65552: "float16"}
_COLORS = {10: "grayscale", 20: "rgb", 30: "bgr", 40: "grayscale float16"}
_NOTES = {1: "description", 2: "version", 3: "author", 4: "license"}
_USER_DEFINED = 100


def read_features(description: Message, number: int) -> tuple[Feature, ...]:
    """The features that a description lists under a field: inputs, outputs or states."""
    features: dict[str, Feature] = {}
    for message in description.messages(number):
        feature = _feature(message)
        path = description.buffer.path
        if feature.name in features:
            damaged(path, f"it describes `{shown(feature.name)}` twice")
        if len(features) == MAX_FEATURES:
            damaged(path, f"it describes more than {MAX_FEATURES} inputs or outputs")
        features[feature.name] = feature
    return tuple(features.values())


def read_notes(description: Message) -> dict[str, MetadataValue]:
    """The author's notes under `coreml.`, and the keys that users defined as they are."""
    notes: dict[str, MetadataValue] = {}
    metadata = description.message(100)
    if metadata is None:
        return notes
    for number, name in _NOTES.items():
        text = metadata.text(number)
        if text:
            notes[f"coreml.{name}"] = text
    for entry in metadata.messages(_USER_DEFINED):
        notes[entry.text(1)] = entry.text(2)
    return notes


def _feature(message: Message) -> Feature:
    feature = Feature(message.text(1), "unknown", description=message.text(2))
    type = message.message(3)
    if type is None:
        return feature
    feature = replace(feature, optional=type.integer(1000) != 0)
    found = type.find(*_KINDS)
    if found is None:
        return feature
    number, detail = found
    kind, fill = _KINDS[number]
    return fill(replace(feature, kind=kind), detail)


def _plain(feature: Feature, detail: Message) -> Feature:
    return feature


def _array(feature: Feature, detail: Message) -> Feature:
    shape: tuple[int | Sizes, ...] = detail.signed_items(1, MAX_RANK)
    ranges, listed = detail.message(31), detail.message(21)
    if ranges is not None:
        shape = tuple(_sizes(each) for each in ranges.messages(1))
    choices = () if listed is None else tuple(each.signed_items(1, MAX_RANK) for each in listed.messages(1))
    if len(shape) > MAX_RANK or len(choices) > MAX_CHOICES:
        damaged(detail.buffer.path, f"`{shown(feature.name)}` has too many dims or shapes")
    dtype = _ARRAY_TYPES.get(detail.integer(2), "unknown")
    return replace(feature, dtype=dtype, shape=shape, choices=choices)


def _state(feature: Feature, detail: Message) -> Feature:
    array = detail.message(1)
    return feature if array is None else _array(feature, array)


def _image(feature: Feature, detail: Message) -> Feature:
    shape: tuple[int | Sizes, ...] = (detail.signed(2), detail.signed(1))
    ranges, listed = detail.message(31), detail.message(21)
    if ranges is not None:
        shape = tuple(_sizes(each) for each in (ranges.message(2), ranges.message(1)) if each is not None)
    choices = () if listed is None else tuple((e.integer(2), e.integer(1)) for e in listed.messages(1))
    return replace(feature, dtype=_COLORS.get(detail.integer(3), "unknown"), shape=shape, choices=choices)


def _sizes(message: Message) -> int | Sizes:
    low, high = message.integer(1), message.signed(2)
    return low if low == high else Sizes(low, None if high < 0 else high)


_KINDS: dict[int, tuple[str, Callable[[Feature, Message], Feature]]] = {
    1: ("int", _plain),
    2: ("float", _plain),
    3: ("string", _plain),
    4: ("image", _image),
    5: ("array", _array),
    6: ("dictionary", _plain),
    7: ("sequence", _plain),
    8: ("state", _state),
}
