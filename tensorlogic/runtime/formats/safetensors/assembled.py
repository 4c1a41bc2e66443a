"""Weights that a safetensors model keeps as several tensors, read and made one.

Takes the open files of a model (the parts of one weight may lie in different ones) and the header's word on the weight;
gives `Parts` in MLX's packed layout, or elements in NumPy where there is no such layout. A triple of MLX is read as it
is, and so are the words of compressed-tensors. Those of GPTQ are MLX's, lying the other way; those of AWQ are taken
apart and packed along the input. Nothing is rounded twice: an element of a dense result is what the format says,
computed exactly or in float64, and rounded once.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from tensorlogic.runtime.formats.bits import unpacked
from tensorlogic.runtime.formats.blocks import Parts, check_finite, numbers
from tensorlogic.runtime.formats.header import TensorInfo, damaged, shown
from tensorlogic.runtime.formats.safetensors.grouped import GroupedInfo
from tensorlogic.runtime.formats.safetensors.scaled import ScaledInfo, scales_shape
from tensorlogic.runtime.formats.values import STORED, Array, narrow, read_pieces, widen

AWQ_ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
"""Which of eight elements in a row lies in each half byte of a word, the lowest first."""
_PIECE_ELEMENTS = 1 << 17
"""Few enough for a piece and what is computed from it to stay in the processor's cache."""

Files = Mapping[Path, io.FileIO]


def settled(files: Files, info: TensorInfo) -> TensorInfo:
    """What the header says, less the packed layout where the order of a GPTQ weight's inputs leaves it none."""
    if not isinstance(info, GroupedInfo) or info.layout is None or info.order is None:
        return info
    groups = _groups_of_inputs(files, info)
    together = groups.reshape(-1, info.layout.group_size)
    return info if (together == together[:, :1]).all() else replace(info, layout=None)


def read_parts(files: Files, info: TensorInfo) -> Parts:
    """A weight of several tensors that has a packed layout. Raises `ModelFileError` TL4008, TL4009."""
    assert info.layout is not None, "what has no layout is expanded"
    assert info.scales is not None, "the weight is kept as several tensors"
    if isinstance(info, GroupedInfo):
        return _read_grouped(files, info)
    words = _raw(files, replace(info, storage="U32", shape=_words_shape(info)))
    scales = _raw(files, info.scales)
    biases = None if info.biases is None else _raw(files, info.biases)
    stored = (scales,) if biases is None else (scales, biases)
    check_finite(info, *(numbers(info.layout, widen(info.scales.storage, part)) for part in stored))
    return Parts(words, scales, biases, info.scales.storage == "BF16")


def fill_assembled(files: Files, info: TensorInfo, dtype: str, values: Array) -> int:
    """Put the elements of a weight without a packed layout into `values`, of its shape and `KEPT[dtype]`.

    Gives how many became 0. Raises `ModelFileError` for finite elements that become infinite (TL4006), for a file that
    became shorter (TL4008) and for scales that are no numbers (TL4009).
    """
    rows = _grouped_rows(files, info) if isinstance(info, GroupedInfo) else _scaled_rows(files, info)
    flat = values.reshape(-1)
    place = underflows = 0
    for piece in rows():
        target = flat[place : place + piece.size]
        underflows += narrow(info, dtype, piece.reshape(-1), target, rows)
        place += piece.size
    return underflows


def _raw(files: Files, info: TensorInfo) -> Array:
    """The elements as they are stored, bfloat16 and floats of eight bits as their bits."""
    stored = np.dtype(STORED[info.storage])
    values: Array = np.empty(info.shape, stored)
    flat = values.reshape(-1)
    for place, piece in read_pieces(files[info.file], info, stored.itemsize):
        flat[place // stored.itemsize :][: len(piece) // stored.itemsize] = np.frombuffer(piece, stored)
    return values


def _words_shape(info: TensorInfo) -> tuple[int, ...]:
    assert info.layout is not None, "packed words have a layout"
    return (*info.shape[:-1], info.shape[-1] * info.layout.bits // 32)


def _read_grouped(files: Files, info: GroupedInfo) -> Parts:
    assert info.layout is not None, "what has no layout is expanded"
    assert info.scales is not None, "a weight of groups has scales"
    stored, zeros = _scales_and_zeros(files, info)
    # MLX's groups are parts of the file's, so that each takes the scale of the group that its first element is in.
    groups = _groups_of_inputs(files, info)[:: info.layout.group_size]
    stored, zeros = stored[:, groups], zeros[:, groups]
    exact = -widen(info.scales.storage, stored).astype(np.float64) * zeros
    words = _words(files, info)
    if info.scales.storage == "F16":
        with np.errstate(over="ignore"):
            biases = exact.astype(np.float16)
        if np.array_equal(biases, exact):
            return Parts(words, stored, biases)
    biases = exact.astype(np.float32)
    if info.scales.storage == "BF16" and not (biases.view(np.uint32) & 0xFFFF).any():
        return Parts(words, stored, (biases.view(np.uint32) >> 16).astype(np.uint16), True)
    return Parts(words, widen(info.scales.storage, stored).astype(np.float32), biases)


def _grouped_rows(files: Files, info: GroupedInfo) -> Callable[[], Iterator[Array]]:
    """The rows of a weight of groups, a few at a time."""
    assert info.scales is not None, "a weight of groups has scales"
    words = _words(files, info)
    stored, zeros = _scales_and_zeros(files, info)
    # A half-precision scale times a number of nine bits is exact in float32.
    wide = np.float64 if info.scales.storage == "F32" else np.float32
    scales, zeros = widen(info.scales.storage, stored).astype(wide), zeros.astype(wide)
    groups = _groups_of_inputs(files, info)
    step = max(_PIECE_ELEMENTS // info.shape[1], 1)

    def rows() -> Iterator[Array]:
        for start in range(0, info.shape[0], step):
            part = slice(start, start + step)
            values: Array = _unpacked(words[part], info.bits).astype(wide)
            values -= np.take(zeros[part], groups, axis=1)
            values *= np.take(scales[part], groups, axis=1)
            yield values

    return rows


def _groups_of_inputs(files: Files, info: GroupedInfo) -> Array:
    """Which group each input is of."""
    if info.order is None:
        return np.arange(info.shape[1]) // info.group_size
    assert info.scales is not None, "a weight of groups has scales"
    groups = _raw(files, info.order)
    count = info.scales.shape[0]
    if groups.min() < 0 or groups.max() >= count:
        damaged(info.order.file, f"`{shown(info.order.name)}` names a group outside of the {count} that there are")
    return groups


def _scales_and_zeros(files: Files, info: GroupedInfo) -> tuple[Array, Array]:
    """Both of shape [out, groups]: the scales as they are stored, and the zeros as int64."""
    assert info.scales is not None, "a weight of groups has scales"
    scales = _raw(files, info.scales)
    check_finite(info, widen(info.scales.storage, scales))
    if info.method != "compressed-tensors":
        scales = np.ascontiguousarray(scales.T)
    if info.zeros is None:
        return scales, np.full(scales.shape, 1 << (info.bits - 1))
    words = _raw(files, replace(info.zeros, storage="U32"))
    if info.method == "compressed-tensors":
        words = np.ascontiguousarray(words.T)
    if info.zero_step and 32 % info.bits == 0:
        # Written by subtracting from whole words, so that a zero of 0 has borrowed from its neighbour.
        words = words + np.uint32(sum(info.zero_step << place for place in range(0, 32, info.bits)))
    zeros = _unpacked(words, info.bits).astype(np.int64)
    if info.zero_step and 32 % info.bits:
        zeros = (zeros + info.zero_step) & (2**info.bits - 1)
    if info.method == "awq":
        zeros = zeros.reshape(len(zeros), -1, 8)[..., np.argsort(AWQ_ORDER)].reshape(len(zeros), -1)
    return scales, np.ascontiguousarray(zeros[:, : info.shape[0]].T)


def _unpacked(words: Array, bits: int) -> Array:
    """The elements of `bits` bits in rows of words, each as a byte, the first in the lowest bits of the first word."""
    run = np.ascontiguousarray(words).view(np.uint8).reshape(-1)
    return unpacked(run, bits, run.size * 8 // bits).reshape(len(words), -1)


def _words(files: Files, info: GroupedInfo) -> Array:
    """The words of a weight of groups as MLX has them: of shape [out, in * bits / 32], packed along the input."""
    outputs, inputs = info.shape
    if info.method == "compressed-tensors":
        return _raw(files, replace(info, storage="U32", shape=(outputs, inputs * info.bits // 32)))
    words: Array = np.empty((outputs, inputs * info.bits // 32), np.uint32)
    # Whole words of MLX, each of which takes eight of AWQ's rows and one of GPTQ's.
    rows_each = 8 if info.method == "awq" else 1
    row_bytes = info.nbytes // (inputs if info.method == "awq" else words.shape[1])
    for place, piece in read_pieces(files[info.file], info, row_bytes * rows_each):
        source = np.frombuffer(piece, "<u4").reshape(-1, row_bytes // 4)
        span = slice(place // row_bytes // rows_each, (place + len(piece)) // row_bytes // rows_each)
        words[:, span] = _repacked_awq(source).T if info.method == "awq" else source.T
    return words


def _repacked_awq(source: Array) -> Array:
    """AWQ's words [in, out / 8], packed along the output, as words [in / 8, out], packed along the input."""
    rows = source.reshape(len(source) // 8, 8, -1)
    packed: Array = np.zeros((len(rows), rows.shape[2], 8), np.uint32)
    for place, output in enumerate(AWQ_ORDER):
        for row in range(8):
            packed[:, :, output] |= (rows[:, row] >> np.uint32(4 * place) & np.uint32(15)) << np.uint32(4 * row)
    return packed.reshape(len(rows), -1)


def _scaled_rows(files: Files, info: TensorInfo) -> Callable[[], Iterator[Array]]:
    """The rows of a weight of eight bits, times their scales, as float64, a few at a time."""
    assert isinstance(info, ScaledInfo), "any other weight of several tensors has a layout"
    assert info.scales is not None, "a scaled weight has scales"
    missing = (1,) * (2 - len(info.shape))
    shape, block = missing + info.shape, missing + info.block
    scales = widen(info.scales.storage, _raw(files, info.scales)).astype(np.float64)
    check_finite(info, scales)
    scales = scales.reshape(missing + scales_shape(info.shape, info.scales.shape))
    stored = np.dtype(STORED[info.elements])

    def rows() -> Iterator[Array]:
        for place, piece in read_pieces(files[info.file], info, shape[-1], _PIECE_ELEMENTS):
            elements = widen(info.elements, np.frombuffer(piece, stored)).reshape(-1, shape[-1])
            first = place // shape[-1]
            indices = np.unravel_index(np.arange(first, first + len(elements)), shape[:-1])
            of_rows = scales[tuple(index // share for index, share in zip(indices, block, strict=False))]
            yield elements * np.repeat(of_rows, block[-1], axis=-1)[:, : shape[-1]]

    return rows
