"""A tensor of an open model file as MLX holds it: the bytes are read, checked and converted.

Takes what the header says of a tensor and the element type that a program wants; gives an array, or a `Packed` for a
tensor that the file quantized in a way that MLX has a layout for, and the device a kernel. Any other quantized tensor
is expanded, each element rounded once. Raises `ModelFileError` for a storage type that cannot be read (TL4004), values
that the element type cannot hold (TL4006, TL4007), a file that became shorter (TL4008) and scales that are no numbers
(TL4009).
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import mlx.core as mx
import numpy as np

from tensorlogic.runtime import device, kernels
from tensorlogic.runtime.buffers import Buffers
from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats import TensorInfo
from tensorlogic.runtime.formats.blocks import Parts, largest_magnitude
from tensorlogic.runtime.formats.coreml.recipe_values import compute
from tensorlogic.runtime.formats.coreml.recipes import ComputedInfo
from tensorlogic.runtime.formats.gguf.expanding import fill_expanded
from tensorlogic.runtime.formats.gguf.repacked import REARRANGED, REPACKINGS, begin_reading, fill_room, make_room
from tensorlogic.runtime.formats.header import shown, unsupported
from tensorlogic.runtime.formats.safetensors.assembled import fill_assembled, read_parts, settled
from tensorlogic.runtime.formats.safetensors.schemes import unreadable
from tensorlogic.runtime.formats.values import (
    KEPT,
    OWN_FLOATS,
    ROUNDS_TO_INFINITY,
    Array,
    fill,
    fill_dense,
    refuse_overflow,
    widen_bfloat16,
)
from tensorlogic.runtime.packed import Packed, Tensor, dense
from tensorlogic.runtime.probing import accepts

if TYPE_CHECKING:
    from tensorlogic_cpu._kernels import Reader, Room

Filled = TypeVar("Filled")
FloatType = Literal["float16", "bfloat16", "float32", "native"]

_FLOATS = {"float16": mx.float16, "bfloat16": mx.bfloat16, "float32": mx.float32}
_ELEMENTS = _FLOATS | {"int32": mx.int32, "bool": mx.bool_}


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a program wants floats: as `dtype`, and with `dequantize` every quantized tensor expanded."""

    dtype: FloatType = "float16"
    dequantize: bool = False


def element(info: TensorInfo, wanted: Wanted) -> mx.Dtype:
    """The element type that a tensor has when it is read, from the header."""
    return _ELEMENTS[_element_type(info, wanted)]


@dataclass(frozen=True, slots=True)
class Job(Generic[Filled]):
    """The reading of one tensor, in steps: `begin` makes room for it, `fill` reads, `finish` hands it over.

    The first and the last belong to the thread that uses MLX. `fill` uses NumPy alone, and may run in any thread.
    `nbytes` is what it reads; what does not say it is read by itself. `ahead`, where our CPU kernels can read the
    tensor, has a reader of theirs begin and gives what waits for it; that gives None where `fill` is to say what is
    wrong.
    """

    fill: Callable[[], Filled]
    finish: Callable[[Filled], tuple[Tensor, int]]
    nbytes: int = sys.maxsize
    ahead: Callable[[Reader], Callable[[], Filled | None]] | None = None


def read(files: Mapping[Path, io.FileIO], info: TensorInfo, wanted: Wanted) -> tuple[Tensor, int]:
    """The tensor, and how many of its nonzero values became 0."""
    job = begin(files, info, wanted)
    return job.finish(job.fill())


def failing(error: ModelFileError) -> Job[None]:
    """A job that raises the error when it is its turn."""

    def finish(_: None) -> tuple[Tensor, int]:
        raise error

    return Job(lambda: None, finish)


def begin(files: Mapping[Path, io.FileIO], info: TensorInfo, wanted: Wanted, room: Room | None = None) -> Job[Any]:
    """Make room for a tensor, in that of its model. Its parts may lie in several of the model's files."""
    if not info.readable:
        raise unreadable(info)
    dtype, file = _element_type(info, wanted), files[info.file]
    if 0 in info.shape:
        return Job(lambda: 0, lambda underflows: (mx.zeros(info.shape, _ELEMENTS[dtype]), underflows))
    buffers = Buffers(room)
    if info.storage in REPACKINGS and _stays_packed(info, dtype):
        return _begin_blocks(file, info, dtype, wanted, buffers)
    if isinstance(info, ComputedInfo):
        return _begin_dense(info, dtype, buffers, lambda values: fill(info, dtype, compute(file, info), values))
    if info.is_quantized:
        return _begin_dense(info, dtype, buffers, lambda values: fill_expanded(file, info, dtype, values))
    if info.scales is not None:
        return _begin_assembled(files, settled(files, info), dtype, wanted, buffers)
    return _begin_dense(info, dtype, buffers, lambda values: fill_dense(file, info, dtype, values))


def _stays_packed(info: TensorInfo, dtype: str) -> bool:
    """Whether the device multiplies by the layout that the tensor's blocks become, in the type of such a product."""
    assert info.layout is not None, "blocks that are repacked have a layout"
    carried, kept = device.carried(_FLOATS[dtype]), REPACKINGS[info.storage].kept
    is_alike = kept is np.uint8 or (kept is np.float16 and carried == mx.float16)
    return accepts(info.layout, carried if is_alike else mx.float32)


def _begin_dense(info: TensorInfo, dtype: str, buffers: Buffers, fill: Callable[[Array], int]) -> Job[int]:
    values = buffers.empty(info.shape, KEPT[dtype])

    def finish(underflows: int) -> tuple[Tensor, int]:
        array = buffers.array(values)
        return array.view(mx.bfloat16) if dtype == "bfloat16" else array, underflows

    return Job(lambda: fill(values), finish)


def _begin_blocks(
    file: io.FileIO, info: TensorInfo, dtype: str, wanted: Wanted, buffers: Buffers
) -> Job[tuple[Parts, float]]:
    # MLX packs matrices; a vector becomes one of a single row, and is expanded, for nothing multiplies by it.
    matrix = info if len(info.shape) > 1 else replace(info, shape=(1, *info.shape))
    room = make_room(matrix, buffers.empty)

    def finish(filled: tuple[Parts, float]) -> tuple[Tensor, int]:
        parts, bound = filled
        return _packed(matrix, parts, bound, dtype, buffers, wanted, info.shape), 0

    if info.storage not in REARRANGED:
        return Job(lambda: fill_room(file, matrix, room), finish)

    def ahead(reader: Reader) -> Callable[[], tuple[Parts, float] | None]:
        return begin_reading(reader, file, matrix, room)

    def fill() -> tuple[Parts, float]:
        module = kernels.status().module
        if module is not None:
            read = ahead(module.Reader(0))()
            if read is not None:
                return read
        return fill_room(file, matrix, room)

    return Job(fill, finish, ahead=ahead)


def _begin_assembled(
    files: Mapping[Path, io.FileIO], info: TensorInfo, dtype: str, wanted: Wanted, buffers: Buffers
) -> Job[Any]:
    """A weight that its model keeps as several tensors."""
    if info.layout is None:
        return _begin_dense(info, dtype, buffers, lambda values: fill_assembled(files, info, dtype, values))

    def finish(parts: Parts) -> tuple[Tensor, int]:
        return _packed(info, parts, _bound(info, parts), dtype, buffers, wanted, info.shape), 0

    return Job(lambda: read_parts(files, info), finish)


def _packed(
    info: TensorInfo,
    parts: Parts,
    bound: float,
    dtype: str,
    buffers: Buffers,
    wanted: Wanted,
    shape: tuple[int, ...],
) -> Tensor:
    assert info.layout is not None, "a packed tensor has a layout"
    numbers = [None if part is None else buffers.array(part) for part in (parts.scales, parts.biases)]
    if parts.is_bfloat16:
        numbers = [None if part is None else part.view(mx.bfloat16) for part in numbers]
    scales, biases = numbers
    assert scales is not None, "every mode has scales"
    packed = Packed(buffers.array(parts.words), scales, biases, info.layout, info.shape, _FLOATS[dtype])
    if bound >= ROUNDS_TO_INFINITY[dtype]:
        _check_elements(info, packed, dtype)
    return dense(packed).reshape(shape) if wanted.dequantize or len(shape) == 1 else packed


def _bound(info: TensorInfo, parts: Parts) -> float:
    """A magnitude that no element is above: that of the largest bits, the largest scale and the largest bias."""
    assert info.layout is not None, "a packed tensor has a layout"
    if parts.biases is None:
        return largest_magnitude(info.layout, parts.scales, None)
    highest: float = 2.0**info.layout.bits - 1
    return _largest(parts.scales, parts.is_bfloat16) * highest + _largest(parts.biases, parts.is_bfloat16)


def _largest(values: Array, is_bfloat16: bool) -> float:
    """The largest magnitude among floats, found by their bits, whose order without the sign is that of magnitudes."""
    unsigned = np.dtype(f"u{values.itemsize}")
    top = np.max(values.view(unsigned) & unsigned.type(2 ** (8 * values.itemsize - 1) - 1), keepdims=True)
    return float((widen_bfloat16(top) if is_bfloat16 else top.view(values.dtype)).max())


def _check_elements(info: TensorInfo, packed: Packed, dtype: str) -> None:
    """Refuse a packed tensor with elements that become infinite in its element type.

    The bound decides for nearly every tensor; the rare one whose bound is beyond is expanded and counted.
    """
    magnitudes = np.abs(np.asarray(dense(packed, mx.float32)))
    beyond = magnitudes[magnitudes >= ROUNDS_TO_INFINITY[dtype]]
    if beyond.size:
        refuse_overflow(info, dtype, beyond.size, float(beyond.max()))


def _element_type(info: TensorInfo, wanted: Wanted) -> str:
    if wanted.dtype != "native":
        return info.element(wanted.dtype)
    if info.dtype != "float16":
        return info.dtype
    storage = info.storage
    # The elements of a quantized tensor are of the type of its scales; where those are bytes, of MLX's own choice.
    if isinstance(info, ComputedInfo):
        storage = info.recipe.kind if info.recipe is not None else storage
    elif info.scales is not None:
        storage = "BF16" if info.scales.storage == "U8" else info.scales.storage
    elif info.is_quantized:
        storage = "F16"
    if storage not in OWN_FLOATS:
        unsupported(
            info.file,
            f"tensor `{shown(info.name)}` is stored as {storage}, and the language has no such element type",
            "load the model with `dtype: float32`",
        )
    return OWN_FLOATS[storage]
