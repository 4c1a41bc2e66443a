"""A quantized tensor of GGUF, repacked into MLX's layout without changing a value, piece by piece.

Takes an open file, a checked `TensorInfo` and room for the result; fills the room. What is read at once fits the
processor's cache, and nothing else is held. Raises `ModelFileError` for scales that are no finite numbers (TL4009) and
for a file that became shorter (TL4008).
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tensorlogic.runtime.formats.blocks import Parts, largest_magnitude, refuse_scales
from tensorlogic.runtime.formats.gguf import repack_grid, repack_k, repack_legacy, repack_small
from tensorlogic.runtime.formats.gguf.repack import Groups
from tensorlogic.runtime.formats.header import TensorInfo
from tensorlogic.runtime.formats.values import ROUNDS_TO_INFINITY, Array, read_pieces

REPACKINGS = repack_legacy.REPACKINGS | repack_k.REPACKINGS | repack_small.REPACKINGS | repack_grid.REPACKINGS

_PIECE_BYTES = 1 << 17
"""A piece and its columns stay in a core's second cache."""

Rearrange = Callable[[str, bytes, Array, Array, Array], float]
"""Repacks blocks of a type into words, scales and biases (the bits of float16); gives a magnitude that no element is
above, or NaN for scales that are no numbers. It is `tensorlogic_cpu.kernels.rearrange`."""
REARRANGED = frozenset(repack_legacy.REPACKINGS)
"""The types that it takes."""
_LARGE_PIECE_BYTES = 1 << 19

_Dtype = type[np.uint32] | type[np.uint8] | type[np.float16] | type[np.float32]
Empty = Callable[[tuple[int, ...], _Dtype], Array]
"""Makes an array that is to be filled, as `numpy.empty` does."""


def make_room(info: TensorInfo, empty: Empty) -> Parts:
    """Arrays for the tensor's words, scales and biases."""
    assert info.layout is not None, "only a type with a layout is repacked"
    rows, width = info.shape[:-1], info.shape[-1]
    kept = REPACKINGS[info.storage].kept
    groups = (*rows, width // info.layout.group_size)
    return Parts(
        empty((*rows, width * info.layout.bits // 32), np.uint32),
        empty(groups, kept),
        empty(groups, kept) if info.layout.mode == "affine" else None,
    )


def fill_room(
    file: io.FileIO, info: TensorInfo, room: Parts, rearrange: Rearrange | None = None
) -> tuple[Parts, float]:
    """Repack the whole tensor into `room`; gives the parts, and a magnitude that no element is above.

    Scales and biases are new float32 arrays where float16 may be too small for a bias. With `rearrange`, which does
    the same, NumPy is left for the pieces with scales that are no numbers.
    """
    assert info.layout is not None, "only a type with a layout is repacked"
    repacking = REPACKINGS[info.storage]
    count = info.nbytes // repacking.block.itemsize
    words, scales = room.words.reshape(count, -1), room.scales.reshape(count, -1)
    biases = None if room.biases is None else room.biases.reshape(count, -1)
    bound, bad = 0.0, 0
    quickly = rearrange if info.storage in REARRANGED else None
    most = _PIECE_BYTES if quickly is None else _LARGE_PIECE_BYTES
    for place, piece in read_pieces(file, info, repacking.block.itemsize, most):
        blocks = np.frombuffer(piece, repacking.block)
        begin = place // repacking.block.itemsize
        span = slice(begin, begin + len(blocks))
        if quickly is not None:
            assert biases is not None, "these types are affine"
            halves = (part[span].reshape(-1).view(np.uint16) for part in (scales, biases))
            largest = quickly(info.storage, piece, words[span].reshape(-1), *halves)
            if math.isfinite(largest):
                bound = max(bound, largest)
                continue
        # Numbers that are not finite are counted below, and a bias that is too large for float16 makes room for itself.
        with np.errstate(invalid="ignore", over="ignore"):
            groups = repacking.run(blocks, words[span])
            scales[span] = groups.scales
            if biases is not None:
                biases[span] = groups.biases
            largest = largest_magnitude(info.layout, groups.scales, groups.biases)
        if math.isfinite(largest):
            bound = max(bound, largest)
        else:
            bad += _count_bad(groups, repacking.factor)
    if bad:
        refuse_scales(info, bad)
    if repacking.factor is not None and repacking.kept is np.float16 and bound >= ROUNDS_TO_INFINITY["float16"]:
        wide = room.scales.astype(np.float32)
        room = replace(room, scales=wide, biases=wide * np.float32(repacking.factor))
    return room, bound


def _count_bad(groups: Groups, factor: int | None) -> int:
    if groups.biases is None:
        return int(np.count_nonzero(groups.scales == groups.scales.max()))
    # A bias that is made of its scale is no number of its own.
    numbers = (groups.scales,) if factor is not None else (groups.scales, groups.biases)
    return sum(part.size - int(np.count_nonzero(np.isfinite(part))) for part in numbers)
