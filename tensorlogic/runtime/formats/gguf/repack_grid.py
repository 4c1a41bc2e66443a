"""GGUF's types whose bits choose eight or four elements at once from a table, and TQ1_0, in MLX's affine layout: exact.

A block has 256 elements and one float16 `d`; groups of 32 share a small factor, so that scales are float32:

    IQ1_S     eight of -1, 0 and 1 from a table of 2,048, plus or minus an eighth   d * (2 f + 1)         2 bits
    IQ2_XXS   eight of 8, 25 and 43 from a table of 256, with signs                 d * (f + 1/2) / 4     8 bits
    IQ3_XXS   four of 4, 12 ... 52 and 62 from a table of 256, with signs           d * (f + 1/2) / 2     6 bits
    IQ3_S     four odd numbers up to 15 from a table of 512, with signs             d * (2 f + 1)         5 bits
    TQ1_0     five elements -1, 0 or 1 in a byte, in base 3                         d                     2 bits

In all of IQ3_XXS elements are even: half of one, from -31 to 31, has six bits. IQ1_M, IQ2_XS and IQ2_S have factors for
groups of 16 or 8, and no layout that a CPU multiplies by. The tables are those of GGUF's own library.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from tensorlogic.runtime.formats.bits import LANES_OF_BITS, every_byte, join_lanes
from tensorlogic.runtime.formats.gguf.repack import Groups, Repacking
from tensorlogic.runtime.formats.values import Array

_TRITS = np.array([[(byte * 3**place % 256) * 3 >> 8 for byte in range(256)] for place in range(5)], np.uint8)
"""For each byte of TQ1_0 its five elements, 1 higher."""
_SEVENS = np.arange(0, 28, 7, dtype=np.uint32)


@cache
def _table(name: str, divisor: int = 1, added: int = 0) -> Array:
    """The rows of a type's table, `entry / divisor + added` in bytes, as one number each."""
    # Imported here: it takes a third of a second, and files without such tensors do not need it.
    from gguf import quants

    kind = getattr(quants, name)
    kind.init_grid()
    rows = (kind.grid.reshape(kind.grid_shape) / divisor + added).astype(np.uint8)
    return np.ascontiguousarray(rows).view(np.uint64 if rows.shape[1] == 8 else np.uint32)[:, 0]


@cache
def _signs_of_seven() -> Array:
    """For seven bits the signs of eight elements, whose product is 1, in lanes that are all ones where it is minus."""
    from gguf.quants import IQ2_XXS

    signs: Array = LANES_OF_BITS[np.frombuffer(IQ2_XXS.ksigns, np.uint8)]
    return signs


def _iq1_s(blocks: Array, words: Array) -> Groups:
    tops = blocks["tops"]
    high = (tops[:, :, None] >> np.arange(0, 12, 3, dtype=np.uint16) & 7).reshape(len(blocks), -1)
    _join(_table("IQ1_S", added=1)[blocks["bits"] | high << 8], 2, words)
    scales = blocks["d"].astype(np.float32)[:, None] * (2 * (tops >> 12 & 7) + 1)
    return Groups(scales, scales * np.where(tops & 0x8000, np.float32(-1.125), np.float32(-0.875)))


def _iq2_xxs(blocks: Array, words: Array) -> Groups:
    pairs = blocks["pairs"]
    chosen = np.ascontiguousarray(pairs[:, :, 0]).view(np.uint8)
    signs, factors = _seven_bit_signs(pairs[:, :, 1])
    words.view(np.uint64)[:] = _signed(_table("IQ2_XXS")[chosen], signs, 128)
    scales = blocks["d"].astype(np.float32)[:, None] * factors * np.float32(0.25)
    return Groups(scales, scales * np.float32(-128))


def _iq3_xxs(blocks: Array, words: Array) -> Groups:
    signs, factors = _seven_bit_signs(blocks["signs"])
    _join(_signed(_table("IQ3_XXS", divisor=2)[blocks["bits"]].view(np.uint64), signs, 32), 6, words)
    scales = blocks["d"].astype(np.float32)[:, None] * factors
    return Groups(scales, scales * np.float32(-32))


def _iq3_s(blocks: Array, words: Array) -> Groups:
    high = np.unpackbits(blocks["tops"], axis=1, bitorder="little").astype(np.uint16)
    numbers = _table("IQ3_S")[blocks["bits"] | high << 8].view(np.uint64)
    _join(_signed(numbers, LANES_OF_BITS[blocks["signs"]], 16), 5, words)
    factors = (blocks["factors"][:, :, None] >> np.array([0, 4], np.uint8) & 15).reshape(len(blocks), -1)
    scales = blocks["d"].astype(np.float32)[:, None] * (2 * factors + 1)
    return Groups(scales, scales * np.float32(-16))


def _tq1(blocks: Array, words: Array) -> Groups:
    codes = np.empty((len(blocks), 256), np.uint8)
    begin = 0
    # Of a run of bytes first all first elements, then all second ones.
    for run, places in ((slice(0, 32), 5), (slice(32, 48), 5), (slice(48, 52), 4)):
        bits = blocks["bits"][:, run]
        for place in range(places):
            codes[:, begin : begin + bits.shape[1]] = _TRITS[place][bits]
            begin += bits.shape[1]
    _join(codes.view(np.uint64), 2, words)
    scales = np.repeat(blocks["d"][:, None], 2, axis=1)
    return Groups(scales, -scales)


def _seven_bit_signs(numbers: Array) -> tuple[Array, Array]:
    """Of 32-bit numbers, one for each group: the signs of its elements in four lanes, and its factor and a half."""
    places = (numbers[:, :, None] >> _SEVENS & 0x7F).reshape(len(numbers), -1)
    return _signs_of_seven()[places], (numbers >> 28).astype(np.float32) + np.float32(0.5)


def _signed(lanes: Array, signs: Array, middle: int) -> Array:
    """`middle` plus each element, or less it where its sign is set. Nothing is carried from lane to lane."""
    added, taken = every_byte(middle) + lanes, every_byte(middle) - lanes
    added ^= (added ^ taken) & signs
    return added


def _join(lanes: Array, bits: int, words: Array) -> None:
    """Lanes of shape (blocks, 32): see `join_lanes`."""
    join_lanes(np.ascontiguousarray(lanes.T).reshape(8, 4, -1), bits, words)


_D = ("d", "<f2")

REPACKINGS = {
    "IQ1_S": Repacking(np.dtype([_D, ("bits", "u1", 32), ("tops", "<u2", 8)]), np.float32, _iq1_s),
    "IQ2_XXS": Repacking(np.dtype([_D, ("pairs", "<u4", (8, 2))]), np.float32, _iq2_xxs, -128),
    "IQ3_XXS": Repacking(np.dtype([_D, ("bits", "u1", 64), ("signs", "<u4", 8)]), np.float32, _iq3_xxs, -32),
    "IQ3_S": Repacking(
        np.dtype([_D, ("bits", "u1", 64), ("tops", "u1", 8), ("signs", "u1", 32), ("factors", "u1", 4)]),
        np.float32,
        _iq3_s,
        -16,
    ),
    "TQ1_0": Repacking(np.dtype([("bits", "u1", 52), _D]), np.float16, _tq1, -1),
}
