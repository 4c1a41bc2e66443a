"""Compressed constants of a Core ML program: its `constexpr_` operations, as recipes.

Takes an operation and the constants before it, gives what each of its outputs is computed from. Up to iOS 17 the parts
of an operation are its attributes, from iOS 18 on its inputs, given in place or by the name of another constant. A part
that does not fit, or an operation that is not known, is a `Misfit`. The definitions:
https://apple.github.io/coremltools/source/coremltools.converters.mil.mil.ops.defs.html.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from tensorlogic.runtime.formats.coreml.blobs import Blobs
from tensorlogic.runtime.formats.coreml.constants import Value, value_of
from tensorlogic.runtime.formats.coreml.protobuf import Message, Place, signed
from tensorlogic.runtime.formats.coreml.recipes import (
    Misfit,
    Node,
    Source,
    blocks,
    gather,
    lookup,
    repeat,
    reshaped,
    scatter,
)
from tensorlogic.runtime.formats.header import MAX_RANK, check_shape, shown

MAX_LITERAL_BYTES = 65_536
"""Of a part inside of the program itself; programs have scalars there."""
CAST = "constexpr_cast"


def computed(
    operation: Message, type: str, name: str, blobs: Blobs, before: Mapping[str, Value]
) -> tuple[list[Value], list[str]]:
    """The values of the outputs of a `constexpr_` operation, and the names of the constants that it takes.

    Raises `Misfit` where the operation is unknown or its parts do not fit.
    """
    parts = _Parts(operation, name, blobs, before)
    nodes = _nodes(parts, type)
    return [Value(node, parts.file) for node in nodes], list(parts.names.values())


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
            found = lookup(scatter(values, mask), table, parts.axis("vector_axis"))
            width = table.shape[-1]
            wide = repeat(mask, found.axis, width)
            return [wide, gather(found, wide, values.shape[0] * width)]
        case "constexpr_sparse_blockwise_shift_scale":
            mask, values = parts.node("data_mask"), parts.node("nonzero_data")
            dense = blocks(scatter(values, mask), parts.node("scale"), parts.optional("offset"))
            return [mask, gather(dense, mask, values.shape[0])]
        case _ if type == CAST:
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
            yield signed(number & 0xFFFF_FFFF_FFFF_FFFF)
            number = shift = 0


class _Parts:
    """The parts of one operation by name, all in one file; what is in the program itself is taken along."""

    def __init__(self, operation: Message, name: str, blobs: Blobs, before: Mapping[str, Value]) -> None:
        self.operation = operation
        self.name = name
        self.blobs = blobs
        self.before = before
        self.file = operation.buffer.path
        self._messages: dict[str, Message] = {}
        for entry in operation.messages(5):
            value = entry.message(2)
            if value is not None:
                self._messages[entry.text(1)] = value
        self.names: dict[str, str] = {}
        for entry in operation.messages(2):
            argument = entry.message(2)
            for binding in argument.messages(1) if argument is not None else ():
                value = binding.message(2)
                if value is not None:
                    self._messages[entry.text(1)] = value
                else:
                    self.names[entry.text(1)] = binding.text(1)

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

    def _part(self, key: str) -> Value | None:
        value = self._messages.get(key)
        if value is not None:
            return value_of(value, self.name, self.blobs)
        name = self.names.get(key)
        if name is None:
            return None
        if name not in self.before:
            raise Misfit(f"its part `{shown(name)}` is no constant that can be read")
        return self.before[name]

    def _taken_along(self, node: Node) -> Source:
        if not isinstance(node, Source):
            raise Misfit("a part of it is computed inside of the program")
        if node.nbytes > MAX_LITERAL_BYTES:
            raise Misfit(f"a part of it has {node.nbytes} bytes inside of the program")
        data = node.literal
        if data is None:
            data = self.operation.bytes_at(Place(node.offset, node.offset + node.nbytes))
        return replace(node, literal=data)
