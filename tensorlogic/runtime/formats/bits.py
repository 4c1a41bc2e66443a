"""Bits of many elements moved at once: out of runs of bits, and from GGUF's blocks into such runs, the words of MLX.

MLX keeps a row as one run of bits, element 0 in the lowest ones, cut into 32-bit words. GGUF's blocks spread the bits
of neighbours over bytes that are far apart. What comes from there works on columns: for each 64-bit number of a block a
row of an array, with an item for each block, so that NumPy's inner loops are long, contiguous and vectorized.

A 64-bit number is in *lanes* when each of its eight bytes holds one element.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from tensorlogic.runtime.formats.values import Array

LANES_OF_BITS = np.array(
    [sum((byte >> lane & 1) * 0xFF << 8 * lane for lane in range(8)) for byte in range(256)], np.uint64
)
"""For each byte its eight bits in lanes, each filling its lane."""

_PIECE = 1 << 20
"""Elements that are taken out of a run at once, a multiple of 8: each takes a byte for each of its bits meanwhile."""


def unpacked(run: Array, bits: int, count: int, order: Literal["little", "big"] = "little") -> Array:
    """The first `count` elements of `bits` bits (1 to 8) in a run of bytes (uint8), each as a byte.

    The first element is in the lowest bits of the first byte, or in its highest ones in the order `big`.
    """
    if bits == 8:
        return run[:count]
    values = np.empty(count, np.uint8)
    if bits == 4:
        # Two to a byte, the common case: three times as fast as bit by bit.
        halves = (run & 15, run >> 4) if order == "little" else (run >> 4, run & 15)
        for place, half in enumerate(halves):
            values[place::2] = half[: (count + 1 - place) // 2]
        return values
    weights = 1 << np.arange(bits, dtype=np.uint8)
    for start in range(0, count, _PIECE):
        piece = values[start : start + _PIECE]
        part = run[start * bits // 8 : -(-(start + piece.size) * bits // 8)]
        single = np.unpackbits(part, bitorder=order, count=piece.size * bits).reshape(-1, bits)
        piece[:] = single @ (weights if order == "little" else weights[::-1])
    return values


def columns(field: Array) -> Array:
    """A field of blocks, shape (blocks, numbers), as a contiguous array of shape (numbers, blocks)."""
    turned = np.empty(field.shape[::-1], field.dtype)
    for place, column in enumerate(turned):
        column[:] = field[:, place]
    return turned


def join_halves(numbers: Array) -> tuple[Array, Array]:
    """The low halves of the bytes of 64-bit numbers side by side in 32 bits, and the high ones."""
    pairs = numbers.view(np.uint16)
    low = pairs & np.uint16(0x0F0F)
    high = (pairs >> 4) & np.uint16(0x0F0F)
    for half in (low, high):
        half |= half >> 4
    return low.astype(np.uint8).view(np.uint32), high.astype(np.uint8).view(np.uint32)


def every_byte(value: int) -> np.uint64:
    """A 64-bit number of eight equal bytes."""
    return np.uint64(value * 0x0101010101010101)


def take_lanes(numbers: Array, shift: int, bits: int) -> Array:
    """The `bits` bits of each byte that begin at `shift`, in lanes."""
    lanes = numbers >> np.uint64(shift)
    lanes &= every_byte(2**bits - 1)
    return lanes


def quarters(bits: Array) -> Array:
    """The bits of 256 elements, two for each, in lanes of shape (8, 4, blocks).

    Byte j of each half of the block, of 32 bytes, holds elements j, j + 32, j + 64 and j + 96 of that half.
    """
    halves = bits.reshape(2, 4, -1)
    lanes = np.empty((8, 4, bits.shape[1]), np.uint64)
    for quarter in range(4):
        lanes[quarter::4] = take_lanes(halves, 2 * quarter, 2)
    return lanes


def join_lanes(lanes: Array, bits: int, words: Array) -> None:
    """Elements of `bits` bits from lanes of shape (runs, 4, blocks) into words of shape (blocks, runs * bits).

    A run is of 32 elements: four numbers, and as many words as an element has bits.
    """
    closed = _close_up(lanes, bits)
    for word in range(bits):
        # The numbers, of `8 * bits` bits each, that have some of this word's 32 bits.
        begin, width = 32 * word, 8 * bits
        joined = np.zeros((len(lanes), lanes.shape[2]), np.uint32)
        for number in range(begin // width, (begin + 31) // width + 1):
            shift = number * width - begin
            part = closed[:, number]
            joined |= (part << np.uint64(shift) if shift >= 0 else part >> np.uint64(-shift)).astype(np.uint32)
        for run, row in enumerate(joined):
            words[:, run * bits + word] = row


def _close_up(lanes: Array, bits: int) -> Array:
    """The elements in eight bytes side by side in the lowest `8 * bits` bits, in three steps of pairs."""
    closed = lanes
    for step in range(3):
        width, distance = bits << step, 8 << step
        first = sum((2**width - 1) << start for start in range(0, 64, 2 * distance))
        moved = closed >> np.uint64(distance - width)
        moved &= np.uint64(first << width)
        closed = closed & np.uint64(first)
        closed |= moved
    return closed
