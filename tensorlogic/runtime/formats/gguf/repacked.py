"""A quantized tensor of GGUF, repacked into MLX's layout without changing a value, piece by piece.

Takes an open file, a checked `TensorInfo` and room for the result; fills the room. What is read at once fits the
processor's cache, and nothing else is held. Raises `ModelFileError` for scales that are no finite numbers (TL4009) and
for a file that became shorter (TL4008).

Our CPU kernels do the same for the oldest types, in threads that do not need Python's lock (`begin_reading`). What they
cannot do they say, and it is done here.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import numpy as np

from tensorlogic.runtime.formats.blocks import Parts, largest_magnitude, refuse_scales
from tensorlogic.runtime.formats.gguf import repack_grid, repack_k, repack_legacy, repack_small
from tensorlogic.runtime.formats.gguf.repack import Groups
from tensorlogic.runtime.formats.header import TensorInfo
from tensorlogic.runtime.formats.pieces import tell_read
from tensorlogic.runtime.formats.values import ROUNDS_TO_INFINITY, Array, read_pieces

REPACKINGS = repack_legacy.REPACKINGS | repack_k.REPACKINGS | repack_small.REPACKINGS | repack_grid.REPACKINGS

_PIECE_BYTES = 1 << 17
"""A piece and its columns stay in a core's second cache."""

REARRANGED = frozenset(repack_legacy.REPACKINGS)
"""The types that our CPU kernels read."""
_AT_ONCE_BYTES = 1 << 26
"""So much of a tensor they read without a word of it."""

_Dtype = type[np.uint32] | type[np.uint8] | type[np.float16] | type[np.float32]
Empty = Callable[[tuple[int, ...], _Dtype], Array]
"""Makes an array that is to be filled, as `numpy.empty` does."""
Filled = tuple[Parts, float]
"""The parts of a tensor, and a magnitude that no element is above."""


class Reading(Protocol):
    """What a `Reader` was asked for. `wait` gives a magnitude that no element is above; NaN where it cannot be done."""

    def wait(self) -> float: ...


class Reader(Protocol):
    """`tensorlogic_cpu.kernels.Reader`: reads blocks from `place` on of an open file, scales as the bits of float16."""

    def read(self, file: int, name: str, place: int, words: Array, scales: Array, biases: Array, /) -> Reading: ...


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


def fill_room(file: io.FileIO, info: TensorInfo, room: Parts) -> Filled:
    """Repack the whole tensor into `room`; gives the parts, and a magnitude that no element is above.

    Scales and biases are new float32 arrays where float16 may be too small for a bias.
    """
    assert info.layout is not None, "only a type with a layout is repacked"
    repacking = REPACKINGS[info.storage]
    words, scales, biases = _by_block(info, room)
    bound, bad = 0.0, 0
    for place, piece in read_pieces(file, info, repacking.block.itemsize, _PIECE_BYTES):
        blocks = np.frombuffer(piece, repacking.block)
        begin = place // repacking.block.itemsize
        span = slice(begin, begin + len(blocks))
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
    return _with_wide_biases(info, room, bound), bound


def begin_reading(reader: Reader, file: io.FileIO, info: TensorInfo, room: Parts) -> Callable[[], Filled | None]:
    """Begin what `fill_room` does, for a type of `REARRANGED`; gives what waits for it.

    That gives None where `fill_room` is to say what is wrong, and tells of the pieces that were read.
    """
    block = REPACKINGS[info.storage].block.itemsize
    words, scales, biases = _by_block(info, room)
    assert biases is not None, "these types are affine"
    step = _AT_ONCE_BYTES // block
    readings: list[tuple[int, Reading]] = []
    for begin in range(0, len(words), step):
        span = slice(begin, begin + step)
        halves = (part[span].reshape(-1).view(np.uint16) for part in (scales, biases))
        place = info.offset + begin * block
        reading = reader.read(file.fileno(), info.storage, place, words[span].reshape(-1), *halves)
        readings.append((len(words[span]) * block, reading))

    def wait() -> Filled | None:
        bound = 0.0
        for nbytes, reading in readings:
            largest = reading.wait()
            if not math.isfinite(largest):
                return None
            tell_read(nbytes)
            bound = max(bound, largest)
        return _with_wide_biases(info, room, bound), bound

    return wait


def _by_block(info: TensorInfo, room: Parts) -> tuple[Array, Array, Array | None]:
    """Words, scales and biases with a row for each block."""
    count = info.nbytes // REPACKINGS[info.storage].block.itemsize
    biases = None if room.biases is None else room.biases.reshape(count, -1)
    return room.words.reshape(count, -1), room.scales.reshape(count, -1), biases


def _with_wide_biases(info: TensorInfo, room: Parts, bound: float) -> Parts:
    """The same where float16 holds every bias; else scales and biases in float32."""
    repacking = REPACKINGS[info.storage]
    if repacking.factor is None or repacking.kept is not np.float16 or bound < ROUNDS_TO_INFINITY["float16"]:
        return room
    wide = room.scales.astype(np.float32)
    return replace(room, scales=wide, biases=wide * np.float32(repacking.factor))


def _count_bad(groups: Groups, factor: int | None) -> int:
    if groups.biases is None:
        return int(np.count_nonzero(groups.scales == groups.scales.max()))
    # A bias that is made of its scale is no number of its own.
    numbers = (groups.scales,) if factor is not None else (groups.scales, groups.biases)
    return sum(part.size - int(np.count_nonzero(np.isfinite(part))) for part in numbers)
