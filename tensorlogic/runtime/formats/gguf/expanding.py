"""A quantized tensor of GGUF as floats, by GGUF's own library: for types that MLX has no layout for.

Takes an open file, a checked `TensorInfo` and room for the result; fills the room. Blocks are expanded to float32 some
hundred at a time, which is exact, and rounded once to the element type. Raises `ModelFileError` for finite elements
that become infinite (TL4006), a file that became shorter (TL4008) and scales that are no finite numbers (TL4009).
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import cache

import numpy as np

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats.gguf.types import STORAGES
from tensorlogic.runtime.formats.header import Storage, TensorInfo, shown
from tensorlogic.runtime.formats.values import Array, narrow, read_pieces

_PIECE_BYTES = 1 << 16
"""Of blocks; as float32 about a megabyte, and GGUF's library takes a few times that while it works."""


def fill_expanded(file: io.FileIO, info: TensorInfo, dtype: str, values: Array) -> int:
    """Fill `values`, bfloat16 as its bits, with the tensor's elements as `dtype`; gives how many became 0."""
    flat = values.reshape(-1)
    bad = underflows = place = 0
    for wide in _pieces(file, info):
        target = flat[place : place + wide.size]
        place += wide.size
        # A scale that is no number makes at least one element of its block none.
        bad += int(np.count_nonzero(~np.isfinite(wide).reshape(-1, _storage(info.storage).block_size).all(axis=1)))
        if not bad:
            underflows += narrow(info, dtype, wide, target, lambda: _pieces(file, info))
    if bad:
        raise ModelFileError(
            "TL4009", f"tensor `{shown(info.name)}` of `{info.file}` has {bad} blocks whose scales are inf or NaN"
        )
    return underflows


def _pieces(file: io.FileIO, info: TensorInfo) -> Iterator[Array]:
    # Imported here: it takes a third of a second, and files without such tensors do not need it.
    from gguf import GGMLQuantizationType
    from gguf.quants import dequantize

    kind = GGMLQuantizationType[info.storage]
    for _, piece in read_pieces(file, info, _storage(info.storage).block_bytes, _PIECE_BYTES):
        # As one row, since the library takes few rows at a time, however short they are.
        with np.errstate(all="ignore"):
            yield dequantize(np.frombuffer(piece, np.uint8)[None], kind).reshape(-1)


@cache
def _storage(name: str) -> Storage:
    return next(storage for storage in STORAGES.values() if storage.name == name)
