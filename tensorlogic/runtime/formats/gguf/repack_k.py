"""GGUF's K-quants, 256 elements in a block, in MLX's affine layout: exact, with float32 scales and biases.

A block has one or two float16 numbers, and for each of its groups a small integer by which they are multiplied. The
product of the two needs up to 18 bits: a float32 holds it, a float16 does not (up to 5e-3 of the largest element).

    Q4_K, Q5_K   8 groups of 32    d * sc * q - dmin * m    6 bits for each sc and m, in 12 bytes
    Q2_K        16 groups of 16    d * sc * q - dmin * m    4 bits for each, in one byte
    Q3_K        16 groups of 16    d * (sc - 32) * (q - 4)  6 bits, in 12 bytes
    Q6_K        16 groups of 16    d * sc * (q - 32)        8 bits, signed

**Groups of 16.** They are exact in MLX's layout, at 6, 7 and 10 bits for an element with its scales. But MLX 0.32 has
no `quantized_matmul` for groups of 16 on a CPU, only `dequantize`. Where `probing.accepts` finds one they stay packed;
elsewhere they are expanded to floats, each element rounded once. Measured on two cores of a CPU: products of one row,
and of 16, by a matrix of 65,536 rows of 640 elements, in ms; errors on normally distributed weights.

    form                                      bits   1 row      16 rows    error of elements, rms
    packed, `dequantize` and a product        6-10   510-1500   880-2200   0
    8 bits in groups of 32, quantized again   9      39         1200       4.6e-3 Q6_K, 4.3e-3 Q3_K, 3.7e-3 Q2_K
    expanded to float16                       16     150        1000       2.1e-4
    expanded to float32                       32     34         820        0

Eight bits are small and quick, and change every element: by a quarter of what Q6_K's own rounding had changed. Weights
are not to change by being loaded, so that form was not taken. Packed weights that every product expands are up to ten
times slower than float16. Float16 it is, at the price of its memory.
"""

from __future__ import annotations

import numpy as np

from tensorlogic.runtime.formats.bits import columns, join_halves, join_lanes, quarters, take_lanes
from tensorlogic.runtime.formats.gguf.repack import Groups, Repacking
from tensorlogic.runtime.formats.values import Array


def _q4(blocks: Array, words: Array) -> Groups:
    # Four numbers have the low halves of one group and the high ones of the next.
    for place, halves in enumerate(zip(*join_halves(columns(blocks["bits"])), strict=True)):
        pair, lane = divmod(place, 4)
        words[:, 8 * pair + lane], words[:, 8 * pair + lane + 4] = halves
    return _six_bit_groups(blocks)


def _q5(blocks: Array, words: Array) -> Groups:
    bits, fifths = columns(blocks["bits"]).reshape(4, 4, -1), columns(blocks["fifths"])
    lanes = np.empty((8, 4, len(blocks)), np.uint64)
    lanes[0::2], lanes[1::2] = take_lanes(bits, 0, 4), take_lanes(bits, 4, 4)
    for group, run in enumerate(lanes):
        run |= take_lanes(fifths, group, 1) << np.uint64(4)
    join_lanes(lanes, 5, words)
    return _six_bit_groups(blocks)


def _q2(blocks: Array, words: Array) -> Groups:
    join_lanes(quarters(columns(blocks["bits"])), 2, words)
    return _groups(blocks, blocks["scales"] & 15, blocks["scales"] >> 4)


def _q3(blocks: Array, words: Array) -> Groups:
    lanes, thirds = quarters(columns(blocks["bits"])), columns(blocks["thirds"])
    for run, own in enumerate(lanes):
        own |= take_lanes(thirds, run, 1) << np.uint64(2)
    join_lanes(lanes, 3, words)
    first, second, tops = columns(blocks["scales"])
    halves, upper = np.uint32(0x0F0F0F0F), np.uint32(0x30303030)
    factors = np.empty((len(blocks), 4), np.uint32)
    factors[:, 0] = (first & halves) | ((tops << 4) & upper)
    factors[:, 1] = (second & halves) | ((tops << 2) & upper)
    factors[:, 2] = ((first >> 4) & halves) | (tops & upper)
    factors[:, 3] = ((second >> 4) & halves) | ((tops >> 2) & upper)
    scales = blocks["d"].astype(np.float32)[:, None] * (factors.view(np.int8) - np.int8(32))
    return Groups(scales, scales * np.float32(-4))


def _q6(blocks: Array, words: Array) -> Groups:
    # Of each half of a block: 64 bytes whose low and then high halves are the low bits of 128 elements, 32 to a run.
    bits = columns(blocks["bits"]).reshape(2, 2, 4, -1)
    lanes = quarters(columns(blocks["tops"])) << np.uint64(4)
    for half in range(2):
        lanes[4 * half : 4 * half + 2] |= take_lanes(bits[half], 0, 4)
        lanes[4 * half + 2 : 4 * half + 4] |= take_lanes(bits[half], 4, 4)
    join_lanes(lanes, 6, words)
    scales = blocks["d"].astype(np.float32)[:, None] * blocks["scales"]
    return Groups(scales, scales * np.float32(-32))


def _six_bit_groups(blocks: Array) -> Groups:
    """The scales and minima of eight groups, six bits each, from three columns of four bytes.

    The first column has the scales of groups 0 to 3 in its low six bits, the second their minima. The third has the low
    halves of those of groups 4 to 7, whose two highest bits are at the top of the first two columns.
    """
    first, second, third = columns(blocks["scales"])
    sixes, halves, tops = np.uint32(0x3F3F3F3F), np.uint32(0x0F0F0F0F), np.uint32(0x30303030)
    factors = np.empty((2, len(blocks), 2), np.uint32)
    factors[0, :, 0] = first & sixes
    factors[0, :, 1] = (third & halves) | ((first >> 2) & tops)
    factors[1, :, 0] = second & sixes
    factors[1, :, 1] = ((third >> 4) & halves) | ((second >> 2) & tops)
    scales, minima = factors.view(np.uint8)
    return _groups(blocks, scales, minima)


def _groups(blocks: Array, scales: Array, minima: Array) -> Groups:
    """Of factors with an item for each group."""
    lowest = -blocks["dmin"].astype(np.float32)
    return Groups(blocks["d"].astype(np.float32)[:, None] * scales, lowest[:, None] * minima)


_D, _DMIN, _SIXES = ("d", "<f2"), ("dmin", "<f2"), ("scales", "<u4", 3)


def _form(*fields: tuple[str, str] | tuple[str, str, int]) -> np.dtype[np.void]:
    return np.dtype(list(fields))


REPACKINGS = {
    "Q4_K": Repacking(_form(_D, _DMIN, _SIXES, ("bits", "<u8", 16)), np.float32, _q4),
    "Q5_K": Repacking(_form(_D, _DMIN, _SIXES, ("fifths", "<u8", 4), ("bits", "<u8", 16)), np.float32, _q5),
    "Q2_K": Repacking(_form(("scales", "u1", 16), ("bits", "<u8", 8), _D, _DMIN), np.float32, _q2),
    "Q3_K": Repacking(_form(("thirds", "<u8", 4), ("bits", "<u8", 8), _SIXES, _D), np.float32, _q3, -4),
    "Q6_K": Repacking(_form(("bits", "<u8", 16), ("tops", "<u8", 8), ("scales", "i1", 16), _D), np.float32, _q6, -32),
}
