"""The weights of a Core ML program (`mlProgram`): its constants, by the name of the value that each gives.

Takes the program's message and the weight files beside it, gives a table of tensors. Of each function and of the blocks
nested in it, `const` operations give tensors as they are stored, and `constexpr_` operations give tensors to compute
(`recipes.py`); parts that serve only those are no tensors of their own, and texts and lists are none at all. An
operation that this version does not know, or whose parts do not fit, gives a tensor that can be seen and not read.
The messages: https://github.com/apple/coremltools/blob/main/mlmodel/format/MIL.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from tensorlogic.runtime.formats.coreml_blobs import Blobs
from tensorlogic.runtime.formats.header import (
    MAX_RANK,
    MAX_TENSORS,
    TensorInfo,
    check_shape,
    damaged,
    shown,
    unsupported,
)
from tensorlogic.runtime.formats.protobuf import Message, Place
from tensorlogic.runtime.formats.recipes import (
    BITS,
    Misfit,
    Node,
    Source,
    blocks,
    computed_info,
    gather,
    lookup,
    repeat,
    reshaped,
    scatter,
)

MAX_LITERAL_BYTES = 65_536
"""Of a value inside of the program that a computed weight needs; programs have scalars there."""

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
_CAST = "constexpr_cast"
_FLOATS, _INTS, _BOOLS, _LONG_INTS, _DOUBLES, _RAW = 1, 2, 3, 5, 6, 7
_FIXED = {_FLOATS: ("F32",), _DOUBLES: ("F64",)}
_VARINT = {_INTS: ("I8", "I16", "I32", "U8", "U16", "U32"), _LONG_INTS: ("I64", "U64"), _BOOLS: ("BOOL",)}
_NEVER = ("F8_E4M3", "F8_E5M2")


def dtype_of(kind: str) -> str:
    """The element type that a program sees by default."""
    return "bool" if kind == "BOOL" else "float16" if kind.startswith(("F", "BF")) else "int32"


@dataclass(frozen=True, slots=True)
class _Value:
    """A constant: what makes it, of bytes in which file."""

    node: Node
    file: Path


@dataclass(slots=True)
class _Function:
    """The constants of one function so far: `values` by name, and the names of those that only others use."""

    prefix: str
    values: dict[str, _Value] = field(default_factory=dict)
    unreadable: dict[str, TensorInfo] = field(default_factory=dict)
    parts: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)


def read_program(program: Message, blobs: Blobs, main: str, prefix: str = "") -> dict[str, TensorInfo]:
    """The tensors of all functions; those of functions other than `main` are called `function/name`."""
    tensors: dict[str, TensorInfo] = {}
    entries = [(entry.text(1), entry.message(2)) for entry in program.messages(2)]
    for name, function in entries:
        if function is None:
            continue
        alone = name == main or len(entries) == 1
        found = _Function(prefix if alone else f"{prefix}{name}/")
        for block in _blocks(function):
            _read_block(block, blobs, found)
        for info in _tensors(found):
            if info.name in tensors:
                damaged(program.buffer.path, f"two constants are called `{shown(info.name)}`")
            tensors[info.name] = info
        if len(tensors) > MAX_TENSORS:
            unsupported(program.buffer.path, f"it has more than {MAX_TENSORS} tensors")
    return tensors


def _blocks(function: Message) -> Iterator[Message]:
    """The block of a function: the specialization for its own operation set."""
    opset = function.text(2)
    for entry in function.messages(3):
        block = entry.message(2)
        if block is not None and entry.text(1) == opset:
            yield block


def _read_block(block: Message, blobs: Blobs, found: _Function) -> None:
    for operation in block.messages(3):
        type = operation.text(1)
        if type == "const" or type.startswith("constexpr_"):
            _read_constant(operation, type, blobs, found)
        else:
            for nested in operation.messages(4):
                _read_block(nested, blobs, found)
            found.used.update(_names(operation))


def _names(operation: Message) -> Iterator[str]:
    """The values that an operation takes by name."""
    for entry in operation.messages(2):
        argument = entry.message(2)
        if argument is not None:
            yield from (name for binding in argument.messages(1) for name in binding.texts(1))


def _read_constant(operation: Message, type: str, blobs: Blobs, found: _Function) -> None:
    path = operation.buffer.path
    outputs = [(output.text(1), _tensor_type(output.message(2), output.text(1))) for output in operation.messages(3)]
    if not outputs or outputs[0][1] is None:
        # Texts, lists and dictionaries.
        return
    for name, _ in outputs:
        if name in found.values or name in found.unreadable:
            damaged(path, f"two constants are called `{shown(name)}`")
    name, (kind, shape) = outputs[0][0], outputs[0][1]
    try:
        if type == "const":
            made = [_constant(operation, name, blobs)]
        else:
            made = _computed(operation, type, name, blobs, found)
    except Misfit as misfit:
        if type == "const":
            damaged(path, f"tensor `{shown(name)}`: {misfit}")
        storage = type.removeprefix("constexpr_").upper()
        found.unreadable[name] = TensorInfo(name, storage, shape, dtype_of(kind), operation.start, 0, path, None, False)
        return
    for (output, declared), value in zip(outputs, made, strict=False):
        node = value.node
        if declared is None or declared[1] != node.shape or (type != _CAST and declared[0] != node.kind):
            damaged(path, f"tensor `{shown(output)}` is not declared as the {node.kind}{list(node.shape)} that it is")
        found.values[output] = value


def _tensors(found: _Function) -> Iterator[TensorInfo]:
    for name, info in found.unreadable.items():
        yield replace(info, name=found.prefix + name)
    for name, value in found.values.items():
        if name not in found.parts or name in found.used:
            yield _info(found.prefix + name, value)


def _info(name: str, value: _Value) -> TensorInfo:
    node = value.node
    dtype = dtype_of(node.kind)
    if isinstance(node, Source) and not node.varint and BITS[node.kind] >= 8 and node.literal is None:
        readable = node.kind not in _NEVER
        return TensorInfo(name, node.kind, node.shape, dtype, node.offset, node.nbytes, value.file, readable=readable)
    return computed_info(name, node, dtype, value.file)


def _tensor_type(type: Message | None, name: str) -> tuple[str, tuple[int, ...]] | None:
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
    shape = []
    for dimension in tensor.messages(3):
        constant = dimension.message(1)
        if constant is None:
            damaged(path, f"the constant `{shown(name)}` has a dim without a size")
        if len(shape) == MAX_RANK:
            damaged(path, f"tensor `{shown(name)}` has more than {MAX_RANK} dims")
        shape.append(constant.integer(1))
    check_shape(path, name, tuple(shape))
    return TYPES[number], tuple(shape)


def _constant(operation: Message, name: str, blobs: Blobs) -> _Value:
    for entry in operation.messages(5):
        if entry.text(1) == "val":
            value = entry.message(2)
            if value is not None:
                return _value(value, name, blobs)
    damaged(operation.buffer.path, f"the constant `{shown(name)}` has no value")


def _value(value: Message, name: str, blobs: Blobs) -> _Value:
    """A value in the program itself, or in a weight file. Raises `Misfit` where its bytes do not make its shape."""
    type = _tensor_type(value.message(2), name)
    if type is None:
        raise Misfit("a part of it is no tensor")
    kind, shape = type
    blob, immediate = value.message(5), value.message(3)
    if blob is not None:
        path, start, nbytes = blobs.find(blob.text(1), blob.integer(2), kind, shown(name))
        return _Value(Source(kind, shape, start, nbytes), path)
    tensor = None if immediate is None else immediate.message(1)
    if tensor is None:
        raise Misfit("a part of it has no value")
    return _Value(_immediate(tensor, kind, shape), value.buffer.path)


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


class _Parts:
    """The parts of one `constexpr_` operation by name, all in one file; what is in the program itself is taken along."""

    def __init__(self, operation: Message, name: str, blobs: Blobs, found: _Function) -> None:
        self.operation = operation
        self.name = name
        self.blobs = blobs
        self.found = found
        self.file = operation.buffer.path
        self._messages: dict[str, Message] = {}
        for entry in operation.messages(5):
            value = entry.message(2)
            if value is not None:
                self._messages[entry.text(1)] = value
        self._names: dict[str, str] = {}
        for entry in operation.messages(2):
            argument = entry.message(2)
            for binding in argument.messages(1) if argument is not None else ():
                value = binding.message(2)
                if value is not None:
                    self._messages[entry.text(1)] = value
                else:
                    self._names[entry.text(1)] = binding.text(1)

    def node(self, key: str) -> Node:
        part = self.optional(key)
        if part is None:
            raise Misfit(f"it has no `{key}`")
        return part

    def optional(self, key: str) -> Node | None:
        part = self._part(key)
        if part is None:
            return None
        if part.file == self.operation.buffer.path:
            return self._taken_along(part.node)
        if self.file not in (self.operation.buffer.path, part.file):
            raise Misfit("its parts are in several files")
        self.file = part.file
        return part.node

    def numbers(self, key: str) -> tuple[int, ...] | None:
        """A small list of whole numbers, or one: an axis or a shape."""
        part = self._part(key)
        if part is None:
            return None
        source = part.node
        if not isinstance(source, Source) or part.file != self.operation.buffer.path:
            raise Misfit(f"its `{key}` is not in the program itself")
        if len(source.shape) > 1 or source.shape > (MAX_RANK,):
            raise Misfit(f"its `{key}` has the shape {list(source.shape)}")
        data = self.operation.bytes_at(Place(source.offset, source.offset + source.nbytes))
        if source.varint:
            # A scalar or a few, each a number of a field 1 of its own.
            return tuple(_varints(data))
        width = {"I32": 4, "U32": 4, "I64": 8, "U8": 1, "I8": 1}.get(source.kind)
        if width is None:
            raise Misfit(f"its `{key}` is {source.kind}")
        return tuple(
            int.from_bytes(data[i : i + width], "little", signed=source.kind[0] == "I")
            for i in range(0, len(data), width)
        )

    def axis(self, key: str) -> int | None:
        numbers = self.numbers(key)
        return numbers[0] if numbers else None

    def _part(self, key: str) -> _Value | None:
        value = self._messages.get(key)
        if value is not None:
            return _value(value, self.name, self.blobs)
        name = self._names.get(key)
        if name is None:
            return None
        if name not in self.found.values:
            raise Misfit(f"its part `{shown(name)}` is no constant that can be read")
        self.found.parts.add(name)
        return self.found.values[name]

    def _taken_along(self, node: Node) -> Source:
        if not isinstance(node, Source):
            raise Misfit("a part of it is computed inside of the program")
        if node.nbytes > MAX_LITERAL_BYTES:
            raise Misfit(f"a part of it has {node.nbytes} bytes inside of the program")
        data = node.literal
        if data is None:
            data = self.operation.bytes_at(Place(node.offset, node.offset + node.nbytes))
        return replace(node, literal=data)


def _computed(operation: Message, type: str, name: str, blobs: Blobs, found: _Function) -> list[_Value]:
    """The values that a `constexpr_` operation gives. Raises `Misfit` where it is unknown or its parts do not fit."""
    parts = _Parts(operation, name, blobs, found)
    return [_Value(node, parts.file) for node in _nodes(parts, type)]


def _nodes(parts: _Parts, type: str) -> list[Node]:
    match type:
        case "constexpr_affine_dequantize":
            data = parts.node("quantized_data")
            axis = parts.axis("axis") or 0
            rank = len(data.shape)
            scale = _along(parts.node("scale"), axis, rank)
            return [blocks(data, scale, _along(parts.node("zero_point"), axis, rank))]
        case "constexpr_blockwise_shift_scale":
            return [blocks(parts.node("data"), parts.node("scale"), parts.optional("offset"))]
        case "constexpr_lut_to_dense":
            return [_dense_lookup(parts)]
        case "constexpr_sparse_to_dense":
            mask, shape = parts.node("mask"), parts.numbers("shape")
            if shape is not None:
                mask = reshaped(_source(mask), shape, "U1")
            return [scatter(parts.node("nonzero_data"), mask)]
        case "constexpr_lut_to_sparse":
            mask, values, table = parts.node("indices_mask"), parts.node("indices_nonzero_data"), parts.node("lut")
            dense = lookup(scatter(values, mask), table, parts.axis("vector_axis"))
            width = table.shape[-1]
            wide = repeat(mask, dense.axis, width)
            return [wide, gather(dense, wide, values.shape[0] * width)]
        case "constexpr_sparse_blockwise_shift_scale":
            mask, values = parts.node("data_mask"), parts.node("nonzero_data")
            dense = blocks(scatter(values, mask), parts.node("scale"), parts.optional("offset"))
            return [mask, gather(dense, mask, values.shape[0])]
        case "constexpr_cast":
            # From float16 to float32, which loses nothing and is only read where a program asks for float32.
            return [parts.node("source_val")]
    raise Misfit("its operation is not known")


def _dense_lookup(parts: _Parts) -> Node:
    indices, table, shape = parts.node("indices"), parts.node("lut"), parts.numbers("shape")
    if shape is None:
        return lookup(indices, table, parts.axis("vector_axis"))
    # Before iOS 18: bytes of packed indices, and a table of numbers.
    bits = next((bits for bits in (1, 2, 4, 6, 8) if table.shape == (2**bits,)), None)
    if bits is None:
        raise Misfit(f"its table has the shape {list(table.shape)}")
    check_shape(parts.operation.buffer.path, parts.name, shape)
    packed = reshaped(_source(indices), shape, f"U{bits}")
    return lookup(packed, reshaped(_source(table), (*[1] * len(shape), 2**bits, 1)), None)


def _source(node: Node) -> Source:
    if not isinstance(node, Source):
        raise Misfit("a part of it is computed where bytes are needed")
    return node


def _along(node: Node, axis: int, rank: int) -> Node:
    """A scalar, or one number for each place along an axis, in the rank of the elements."""
    if not -rank <= axis < rank:
        raise Misfit(f"it has no axis {axis}")
    count = node.shape[0] if node.shape else 1
    return reshaped(_source(node), tuple(count if dim == axis % rank else 1 for dim in range(rank)))


def _varints(data: bytes) -> Iterator[int]:
    number = shift = 0
    for byte in data:
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            yield struct.unpack("<q", struct.pack("<Q", number & 0xFFFF_FFFF_FFFF_FFFF))[0]
            number = shift = 0
