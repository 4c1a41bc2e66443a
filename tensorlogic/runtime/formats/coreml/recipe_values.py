"""The elements of tensors that are computed from a recipe (`recipes.py`), in NumPy.

Takes an open file and a checked tree, gives float32, int32 or uint8 elements that no conversion has touched yet: of
`scale * (data - offset)` the products in float32, so that one rounding follows, to the type that the program wants.
That equals the definition's float16 arithmetic wherever offsets are whole numbers. Raises `ModelFileError` for a mask
that does not fit its values (TL4003), scales that are no numbers (TL4009) and a file that became shorter (TL4008).
"""

from __future__ import annotations

import io
import math

import numpy as np

from tensorlogic.runtime.formats.bits import unpacked
from tensorlogic.runtime.formats.blocks import check_finite
from tensorlogic.runtime.formats.coreml.recipes import (
    BITS,
    Blocks,
    ComputedInfo,
    Gather,
    Lookup,
    Node,
    Repeat,
    Scatter,
    Source,
)
from tensorlogic.runtime.formats.header import damaged, shown
from tensorlogic.runtime.formats.values import STORED, Array, read_bytes, widen_bfloat16


def compute(file: io.FileIO, info: ComputedInfo) -> Array:
    """The elements of a computed tensor, in the type that holds them all exactly."""
    assert info.recipe is not None, "a computed tensor has its recipe"
    return _Cook(file, info).value(info.recipe)


class _Cook:
    """Computes one tensor; a part that two steps use is computed once."""

    def __init__(self, file: io.FileIO, info: ComputedInfo) -> None:
        self.file = file
        self.info = info
        self.made: dict[int, Array] = {}

    def value(self, node: Node) -> Array:
        made = self.made.get(id(node))
        if made is None:
            made = self.made[id(node)] = self._compute(node)
        return made

    def _compute(self, node: Node) -> Array:
        match node:
            case Source():
                return self._read(node)
            case Blocks():
                return self._scaled(node)
            case Lookup():
                return _looked_up(self.value(node.indices), self.value(node.table), node.axis)
            case Repeat():
                return np.repeat(self.value(node.data), node.count, node.axis)
            case Gather():
                mask = self._mask(node.mask, node.shape[0])
                return self.value(node.data)[mask]
            case Scatter():
                values = self.value(node.values)
                mask = self._mask(node.mask, values.size)
                dense = np.zeros(node.shape, values.dtype)
                dense[mask] = values
                return dense

    def _read(self, source: Source) -> Array:
        if source.literal is not None:
            data = source.literal
        else:
            data = read_bytes(self.file, self.info, source.offset, source.nbytes)
        if source.varint:
            return _integers(data, source)
        bits = BITS[source.kind]
        if bits < 8:
            return _unpacked(data, source, bits)
        values = np.frombuffer(data, STORED[source.kind]).reshape(source.shape)
        return widen_bfloat16(values) if source.kind == "BF16" else values

    def _scaled(self, node: Blocks) -> Array:
        data = self.value(node.data).astype(np.float32)
        if node.offset is not None:
            _each_block(data, self._factors(node.offset), np.subtract)
        _each_block(data, self._factors(node.scale), np.multiply)
        if node.bias is not None:
            _each_block(data, self._factors(node.bias), np.add)
        return data

    def _factors(self, node: Node) -> Array:
        factors: Array = self.value(node).astype(np.float32)
        check_finite(self.info, factors)
        return factors

    def _mask(self, node: Node, count: int) -> Array:
        mask: Array = self.value(node).astype(np.bool_)
        ones = int(np.count_nonzero(mask))
        if ones != count:
            name = shown(self.info.name)
            damaged(self.info.file, f"the mask of tensor `{name}` has {ones} places for {count} values")
        return mask


def _each_block(data: Array, factors: Array, operation: np.ufunc) -> None:
    """Combine `data` with the factors of its blocks, in place."""
    split = [part for b, s in zip(factors.shape, data.shape, strict=True) for part in (b, s // b)]
    ends = [part for b in factors.shape for part in (b, 1)]
    view = data.reshape(split)
    with np.errstate(over="ignore", invalid="ignore"):
        operation(view, factors.reshape(ends), out=view)


def _looked_up(indices: Array, table: Array, axis: int) -> Array:
    """`table` [groups..., items, width] at `indices`, a group for each block of them; vectors lie along `axis`."""
    *groups, items, width = table.shape
    if table.size == items:
        only: Array = np.take(table.reshape(-1), indices)
        return only
    # The number of each index's group, in the table as a list of groups.
    numbers = np.zeros((1,) * indices.ndim, np.int64)
    for dim, (count, size) in enumerate(zip(groups, indices.shape, strict=True)):
        own = np.repeat(np.arange(count), size // count) if size else np.zeros(0, np.int64)
        numbers = numbers * count + own.reshape([-1 if d == dim else 1 for d in range(indices.ndim)])
    flat = table.reshape(-1, width)
    if width == 1:
        found: Array = flat[:, 0][numbers * items + indices]
        return found
    vectors = np.moveaxis(flat[numbers * items + indices], -1, axis + 1)
    shape = [size * width if dim == axis else size for dim, size in enumerate(indices.shape)]
    filled: Array = vectors.reshape(shape)
    return filled


def _unpacked(data: bytes, source: Source, bits: int) -> Array:
    """Elements of fewer than 8 bits, each as a byte; signed ones with their sign."""
    values = unpacked(
        np.frombuffer(data, np.uint8), bits, math.prod(source.shape), "big" if source.high_first else "little"
    )
    if source.kind == "I4":
        values = (values ^ 8).view(np.int8) - 8
    return values.reshape(source.shape)


def _integers(data: bytes, source: Source) -> Array:
    """The numbers of a packed field: seven bits in a byte with the lowest first, the last byte of each below 128."""
    raw = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(raw < 128)
    starts = np.concatenate([np.zeros(1, np.int64), ends + 1])[: ends.size]
    values = np.zeros(ends.size, np.uint64)
    for place in range(min(int((ends - starts).max(initial=0)) + 1, 10)):
        at = np.minimum(starts + place, ends)
        part = (raw[at] & 127).astype(np.uint64) << np.uint64(7 * place)
        values |= np.where(starts + place <= ends, part, np.uint64(0))
    return values.view(np.int64).reshape(source.shape)
