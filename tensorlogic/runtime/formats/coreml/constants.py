"""The constants of a Core ML program as its messages hold them: a type, and a value beside it or in a weight file.

Takes a `Value` message of MIL.proto, gives a run of bytes with its element type and shape. Floats and raw bytes lie in
the program as they are, whole numbers as those of a protocol buffer. Sizes are checked here; a value whose bytes do not
make its shape is a `Misfit`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tensorlogic.runtime.formats.coreml.blobs import Blobs
from tensorlogic.runtime.formats.coreml.protobuf import Message, Place
from tensorlogic.runtime.formats.coreml.recipes import Misfit, Node, Source
from tensorlogic.runtime.formats.header import MAX_RANK, check_shape, damaged, shown, unsupported

TYPES = {
    1: "BOOL",
    10: "F16",
    11: "F32",
    12: "F64",
    13: "BF16",
    21: "I8",
    22: "I16",
    23: "I32",
    24: "I64",
    25: "I4",
    31: "U8",
    32: "U16",
    33: "U32",
    34: "U64",
    35: "U4",
    36: "U2",
    37: "U1",
    38: "U6",
    39: "U3",
    40: "F8_E4M3",
    41: "F8_E5M2",
}
_STRING = 2
_FLOATS, _INTS, _BOOLS, _LONG_INTS, _DOUBLES, _RAW = 1, 2, 3, 5, 6, 7
_FIXED = {_FLOATS: ("F32",), _DOUBLES: ("F64",)}
_VARINT = {_INTS: ("I8", "I16", "I32", "U8", "U16", "U32"), _LONG_INTS: ("I64", "U64"), _BOOLS: ("BOOL",)}


@dataclass(frozen=True, slots=True)
class Value:
    """A constant: what makes it, of bytes in which file."""

    node: Node
    file: Path


def dtype_of(kind: str) -> str:
    """The element type that a program sees by default."""
    return "bool" if kind == "BOOL" else "float16" if kind.startswith(("F", "BF")) else "int32"


def tensor_type(type: Message | None, name: str) -> tuple[str, tuple[int, ...]] | None:
    """The element type and shape of a value type; None for what is no tensor of numbers."""
    tensor = None if type is None else type.message(1)
    if tensor is None:
        return None
    path = tensor.buffer.path
    number = tensor.integer(1)
    if number == _STRING:
        return None
    if number not in TYPES:
        unsupported(path, f"tensor `{shown(name)}` has the data type {number}, which this version does not know")
    shape: list[int] = []
    for dimension in tensor.messages(3):
        constant = dimension.message(1)
        if constant is None:
            damaged(path, f"the constant `{shown(name)}` has a dim without a size")
        if len(shape) == MAX_RANK:
            damaged(path, f"tensor `{shown(name)}` has more than {MAX_RANK} dims")
        shape.append(constant.integer(1))
    check_shape(path, name, tuple(shape))
    return TYPES[number], tuple(shape)


def value_of(value: Message, name: str, blobs: Blobs) -> Value:
    """A value in the program itself, or in a weight file. Raises `Misfit` where its bytes do not make its shape."""
    type = tensor_type(value.message(2), name)
    if type is None:
        raise Misfit("a part of it is no tensor")
    kind, shape = type
    blob, immediate = value.message(5), value.message(3)
    if blob is not None:
        path, start, nbytes = blobs.find(blob.text(1), blob.integer(2), kind, shown(name))
        return Value(Source(kind, shape, start, nbytes), path)
    tensor = None if immediate is None else immediate.message(1)
    if tensor is None:
        raise Misfit("a part of it has no value")
    return Value(_immediate(tensor, kind, shape), value.buffer.path)


def _immediate(tensor: Message, kind: str, shape: tuple[int, ...]) -> Source:
    held = tensor.find(_FLOATS, _INTS, _BOOLS, _LONG_INTS, _DOUBLES, _RAW)
    if held is None:
        raise Misfit("a part of it has no value")
    field, values = held
    place = values.place(1) or Place(values.end, values.end)
    if field == _RAW or kind in _FIXED.get(field, ()):
        return Source(kind, shape, place.start, place.nbytes)
    if kind not in _VARINT.get(field, ()):
        raise Misfit(f"its {kind} elements are in field {field}")
    count, size = values.varint_count(place), 1
    for dim in shape:
        size *= dim
    if count != size:
        raise Misfit(f"{kind} of shape {list(shape)} takes {size} numbers, not {count}")
    if kind == "BOOL" and place.nbytes == size:
        return Source(kind, shape, place.start, place.nbytes)
    return Source(kind, shape, place.start, place.nbytes, varint=True)
