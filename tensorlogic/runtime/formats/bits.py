"""Bits of many elements moved at once: from GGUF's blocks, where they lie apart, into the words of MLX.

MLX keeps a row as one run of bits, element 0 in the lowest ones, cut into 32-bit words. GGUF's blocks spread the bits
of neighbours over bytes that are far apart. Everything here works on columns: for each 64-bit number of a block a row
of an array, with an item for each block, so that NumPy's inner loops are long, contiguous and vectorized.

A 64-bit number is in *lanes* when each of its eight bytes holds one element.
"""

from __future__ import annotations

import numpy as np

from tensorlogic.runtime.formats.values import Array


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
