"""GGUF's types of 32 elements with float16 scales, in MLX's affine layout: exact, with float16 scales and biases.

An element of MLX's is `scale * bits + bias`. So `d * (q - 8)` has the bias `-8 d`: a power of two times a float16,
which is a float16 again unless it is too large; then scales and biases are float32.

    Q4_0   d, 16 bytes               d * (q - 8)    byte j: element j in its low half, element j + 16 in its high one
    Q4_1   d, m, 16 bytes            d * q + m      the same
    Q5_0   d, 32 bits, 16 bytes      d * (q - 16)   the same, and bit i of the 32 is the fifth of element i
    Q5_1   d, m, 32 bits, 16 bytes   d * q + m      the same
    Q8_0   d, 32 bytes               d * q          q signed; MLX's is unsigned: 128 is added, and the bias is -128 d
"""

from __future__ import annotations

import numpy as np

from tensorlogic.runtime.formats.bits import LANES_OF_BITS, columns, every_byte, join_halves, join_lanes, take_lanes
from tensorlogic.runtime.formats.gguf.repack import Groups, Repacking
from tensorlogic.runtime.formats.values import Array

_FIFTH_BITS = LANES_OF_BITS & every_byte(0x10)
"""For each byte its eight bits in lanes, each the fifth bit of its lane."""


def _fours(blocks: Array, words: Array) -> Groups:
    low, high = join_halves(columns(blocks["bits"]))
    words[:, 0], words[:, 1] = low
    words[:, 2], words[:, 3] = high
    return _groups(blocks, -8)


def _fives(blocks: Array, words: Array) -> Groups:
    halves = columns(blocks["bits"])
    lanes = np.concatenate([take_lanes(halves, 0, 4), take_lanes(halves, 4, 4)])
    lanes |= _FIFTH_BITS[columns(blocks["fifths"])]
    join_lanes(lanes[None], 5, words)
    return _groups(blocks, -16)


def _eights(blocks: Array, words: Array) -> Groups:
    pairs = words.view(np.uint64)
    for place in range(4):
        np.bitwise_xor(blocks["bits"][:, place], every_byte(0x80), out=pairs[:, place])
    return _groups(blocks, -128)


def _groups(blocks: Array, factor: int) -> Groups:
    scales = blocks["d"][:, None]
    if "m" in (blocks.dtype.names or ()):
        return Groups(scales, blocks["m"][:, None])
    return Groups(scales, scales.astype(np.float32) * np.float32(factor))


_D, _M, _HALVES, _FIFTHS = ("d", "<f2"), ("m", "<f2"), ("bits", "<u8", 2), ("fifths", "u1", 4)

REPACKINGS = {
    "Q4_0": Repacking(np.dtype([_D, _HALVES]), np.float16, _fours, -8),
    "Q4_1": Repacking(np.dtype([_D, _M, _HALVES]), np.float16, _fours),
    "Q5_0": Repacking(np.dtype([_D, _FIFTHS, _HALVES]), np.float16, _fives, -16),
    "Q5_1": Repacking(np.dtype([_D, _M, _FIFTHS, _HALVES]), np.float16, _fives),
    "Q8_0": Repacking(np.dtype([_D, ("bits", "<u8", 4)]), np.float16, _eights, -128),
}
