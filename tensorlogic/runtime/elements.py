"""The elements of a file's tensors in pieces, as the file means them, for who looks at values rather than uses them.

Takes the open files and a checked `TensorInfo`, gives flat NumPy arrays in order: float32 for F16, BF16, F32 and for
what is quantized or smaller (dequantized), float64 for F64, and the integers' own types. Nothing is refused for its
magnitude. Memory is bounded: dense tensors are read in pieces of a few megabytes, quantized ones in runs of rows of
about a million elements, at least one row. Only a tensor of which rows cannot be told apart in the file is expanded as
a whole. Raises `ModelFileError` for a storage type that cannot be read (TL4004), a file that became shorter (TL4008)
and scales that are no numbers (TL4009).
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from tensorlogic.runtime.formats import OpenFiles, TensorInfo
from tensorlogic.runtime.formats.values import STORED, Array, read_pieces, widen

ROWS_ELEMENTS = 1 << 20
CACHED = 1 << 17
"""Elements that fit a processor's cache with what is computed of them."""


def elements(files: OpenFiles, info: TensorInfo) -> Iterator[Array]:
    """The elements in order, in flat pieces that the caller may not change; none where the tensor is empty."""
    if info.readable and is_run_of_bytes(info) and info.storage in STORED:
        return _dense(files[info.file], info)
    return _expanded(files, info)


def is_run_of_bytes(info: TensorInfo) -> bool:
    """Whether the tensor's elements are its own bytes and nothing else; a subclass may compute them."""
    return type(info) is TensorInfo and info.scales is None and info.biases is None


def _dense(file: io.FileIO, info: TensorInfo) -> Iterator[Array]:
    stored = np.dtype(STORED[info.storage])
    for _, piece in read_pieces(file, info, stored.itemsize):
        values = widen(info.storage, np.frombuffer(piece, stored))
        yield values.astype(np.float32) if info.storage == "F16" else values


def _expanded(files: OpenFiles, info: TensorInfo) -> Iterator[Array]:
    from tensorlogic.runtime import reading  # here, since it loads MLX, which dense tensors do not need

    wanted = reading.Wanted("float32", dequantize=True)
    for part in runs_of_rows(info):
        tensor, _ = reading.read(files, part, wanted)
        yield np.asarray(tensor).reshape(-1)


def runs_of_rows(info: TensorInfo) -> Iterator[TensorInfo]:
    """A tensor as matrices of consecutive rows, each described as if the file held it alone."""
    if 0 in info.shape:
        return
    rows, width = math.prod(info.shape[:-1]), info.shape[-1] if info.shape else 1
    each = max(ROWS_ELEMENTS // width, 1)
    if rows <= each or not _has_rows(info, rows):
        yield info
        return
    for first in range(0, rows, each):
        yield _run(info, rows, first, min(each, rows - first))


def _has_rows(info: TensorInfo, rows: int) -> bool:
    """Whether the file keeps the rows one after the other, in blocks or as MLX's triple."""
    if is_run_of_bytes(info):
        return info.nbytes % rows == 0
    return type(info) is TensorInfo and info.storage.startswith("MLX_")


def _run(info: TensorInfo, rows: int, first: int, count: int) -> TensorInfo:
    nbytes = info.nbytes // rows
    return replace(
        info,
        shape=(count, *info.shape[-1:]),
        offset=info.offset + first * nbytes,
        nbytes=count * nbytes,
        scales=info.scales and _run(info.scales, rows, first, count),
        biases=info.biases and _run(info.biases, rows, first, count),
    )
