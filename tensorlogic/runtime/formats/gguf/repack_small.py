"""GGUF's types of few values: four bits that choose from a table, three values, and small floats. All are exact.

    IQ4_NL   d, 16 bytes               d * table[q]              16 signed bytes: MLX's 8 bits, 128 higher
    IQ4_XS   d, 8 factors, 128 bytes   d * (f - 32) * table[q]   six bits for each factor of 32 elements
    TQ2_0    64 bytes, d               d * (q - 1)               two bits, in groups of 128 with equal scales
    MXFP4    e, 16 bytes               2 ** (e - 127) * e2m1     MLX's mode `mxfp4`, the file's own bytes as scales
    NVFP4    4 bytes, 32 bytes         e4m3 * e2m1               MLX's mode `nvfp4`, groups of 16

IQ4_XS has float32 scales, for its products of a float16 and six bits; IQ4_NL and TQ2_0 have float16 ones. MXFP4's scale
of 255 is NaN (OCP Microscaling Formats 1.0, https://www.opencompute.org/specifications). NVFP4's scales have no sign in
ggml, and 127 stands for 0 there; MLX would read both as E4M3 does, so the sign is taken off, and 255 is refused as NaN.
"""

from __future__ import annotations

import numpy as np

from tensorlogic.runtime.formats.bits import columns, join_halves, join_lanes, quarters
from tensorlogic.runtime.formats.gguf.repack import Groups, Repacking
from tensorlogic.runtime.formats.values import Array

_TABLE = np.array([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.int16)
_BYTES = (_TABLE + 128).astype(np.uint16)
_PAIR = np.arange(1 << 16, dtype=np.uint32)
_LOW = _BYTES[_PAIR & 15] | (_BYTES[(_PAIR >> 8) & 15] << 8)
_HIGH = _BYTES[(_PAIR >> 4) & 15] | (_BYTES[_PAIR >> 12] << 8)
"""For two bytes the table's items of their two low halves, and of their two high ones."""


def _iq4_nl(blocks: Array, words: Array) -> Groups:
    _choose(blocks["bits"], words)
    scales = blocks["d"][:, None]
    return Groups(scales, scales.astype(np.float32) * np.float32(-128))


def _iq4_xs(blocks: Array, words: Array) -> Groups:
    _choose(blocks["bits"].reshape(-1, 2), words.reshape(-1, 8))
    low = blocks["low"][:, :, None] >> np.array([0, 4], np.uint8)
    high = blocks["high"][:, None] >> np.arange(0, 16, 2, dtype=np.uint16)
    factors = (low.reshape(-1, 8) & 15) | ((high & 3) << 4).astype(np.uint8)
    scales = blocks["d"].astype(np.float32)[:, None] * (factors.astype(np.int8) - np.int8(32))
    return Groups(scales, scales * np.float32(-128))


def _choose(halves: Array, words: Array) -> None:
    """The table's items for 32 elements in two 64-bit numbers, into eight words."""
    pairs, chosen = words.view(np.uint64), columns(halves).view(np.uint16)
    pairs[:, 0], pairs[:, 1] = _LOW[chosen].view(np.uint64)
    pairs[:, 2], pairs[:, 3] = _HIGH[chosen].view(np.uint64)


def _tq2(blocks: Array, words: Array) -> Groups:
    join_lanes(quarters(columns(blocks["bits"])), 2, words)
    scales = np.repeat(blocks["d"][:, None], 2, axis=1)
    return Groups(scales, -scales)


def _mxfp4(blocks: Array, words: Array) -> Groups:
    low, high = join_halves(columns(blocks["bits"]))
    words[:, 0], words[:, 1] = low
    words[:, 2], words[:, 3] = high
    return Groups(blocks["e"][:, None], None)


def _nvfp4(blocks: Array, words: Array) -> Groups:
    for place, halves in enumerate(zip(*join_halves(columns(blocks["bits"])), strict=True)):
        words[:, 2 * place], words[:, 2 * place + 1] = halves
    scales = np.where(blocks["e"] == 0x7F, 0, blocks["e"] & 0x7F).astype(np.uint8)
    return Groups(scales, None)


REPACKINGS = {
    "IQ4_NL": Repacking(np.dtype([("d", "<f2"), ("bits", "<u8", 2)]), np.float16, _iq4_nl, -128),
    "IQ4_XS": Repacking(
        np.dtype([("d", "<f2"), ("high", "<u2"), ("low", "u1", 4), ("bits", "<u8", 16)]), np.float32, _iq4_xs, -128
    ),
    "TQ2_0": Repacking(np.dtype([("bits", "<u8", 8), ("d", "<f2")]), np.float16, _tq2, -1),
    "MXFP4": Repacking(np.dtype([("e", "u1"), ("bits", "<u8", 2)]), np.uint8, _mxfp4),
    "NVFP4": Repacking(np.dtype([("e", "u1", 4), ("bits", "<u8", 4)]), np.uint8, _nvfp4),
}
