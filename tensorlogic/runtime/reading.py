"""A tensor of an open model file as MLX holds it: the bytes are read, checked and converted.

Takes what the header says of a tensor and the element type that a program wants; gives an array, or a `Packed` for a
tensor that the file quantized. Raises `ModelFileError` for a storage type that cannot be read (TL4004), values that the
element type cannot hold (TL4006, TL4007), a file that became shorter (TL4008) and scales that are no numbers (TL4009).
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Literal

import mlx.core as mx
import numpy as np

from tensorlogic.runtime.formats import TensorInfo
from tensorlogic.runtime.formats.blocks import Parts, read_packed
from tensorlogic.runtime.formats.header import shown, unsupported
from tensorlogic.runtime.formats.recipe_values import compute
from tensorlogic.runtime.formats.recipes import ComputedInfo
from tensorlogic.runtime.formats.values import (
    ROUNDS_TO_INFINITY,
    Array,
    convert,
    read_dense,
    refuse_overflow,
    widen_bfloat16,
)
from tensorlogic.runtime.packed import Packed, Tensor, dense

FloatType = Literal["float16", "bfloat16", "float32", "native"]

_FLOATS = {"float16": mx.float16, "bfloat16": mx.bfloat16, "float32": mx.float32}
_ELEMENTS = _FLOATS | {"int32": mx.int32, "bool": mx.bool_}
_OWN_FLOAT = {"F16": "float16", "BF16": "bfloat16", "F32": "float32"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """How a program wants floats: as `dtype`, and with `dequantize` every quantized tensor expanded."""

    dtype: FloatType = "float16"
    dequantize: bool = False


def element(info: TensorInfo, wanted: Wanted) -> mx.Dtype:
    """The element type that a tensor has when it is read, from the header."""
    return _ELEMENTS[_element_type(info, wanted)]


def read(file: io.FileIO, info: TensorInfo, wanted: Wanted) -> tuple[Tensor, int]:
    """The tensor, and how many of its nonzero values became 0."""
    if not info.readable:
        unsupported(info.file, f"tensor `{shown(info.name)}` is stored as {info.storage}, which is not supported yet")
    dtype = _element_type(info, wanted)
    if info.layout is not None:
        return _read_packed(file, info, dtype, wanted.dequantize), 0
    if isinstance(info, ComputedInfo):
        values, underflows = convert(info, compute(file, info), dtype)
    else:
        values, underflows = read_dense(file, info, dtype)
    return _to_mlx(values, is_bfloat16=dtype == "bfloat16"), underflows


def _element_type(info: TensorInfo, wanted: Wanted) -> str:
    if info.dtype != "float16":
        return info.dtype
    if wanted.dtype != "native":
        return wanted.dtype
    storage = info.storage
    if info.layout is not None:
        # The elements of a quantized tensor are of the type of its scales.
        storage = "F16" if info.scales is None else info.scales.storage
    elif isinstance(info, ComputedInfo) and info.recipe is not None:
        storage = info.recipe.kind
    if storage not in _OWN_FLOAT:
        unsupported(
            info.file,
            f"tensor `{shown(info.name)}` is stored as {storage}, and the language has no such element type",
            "load the model with `dtype: float32`",
        )
    return _OWN_FLOAT[storage]


def _read_packed(file: io.FileIO, info: TensorInfo, dtype: str, dequantize: bool) -> Tensor:
    assert info.layout is not None, "only quantized tensors have a layout"
    if 0 in info.shape:
        return mx.zeros(info.shape, _FLOATS[dtype])
    parts = read_packed(file, info)
    # MLX packs matrices; a vector becomes one of a single row, and is expanded, for nothing multiplies by it.
    rows = info.shape[:-1] or (1,)
    words, scales = _to_mlx(parts.words.reshape(*rows, -1)), _of_groups(parts, parts.scales, rows)
    biases = None if parts.biases is None else _of_groups(parts, parts.biases, rows)
    packed = Packed(words, scales, biases, info.layout, (*rows, info.shape[-1]), _FLOATS[dtype])
    _check_range(info, parts, packed, dtype)
    if dequantize or len(info.shape) == 1:
        return dense(packed).reshape(info.shape)
    return packed


def _of_groups(parts: Parts, values: Array, rows: tuple[int, ...]) -> mx.array:
    return _to_mlx(values.reshape(*rows, -1), is_bfloat16=parts.is_bfloat16)


def _to_mlx(values: Array, *, is_bfloat16: bool = False) -> mx.array:
    array = mx.array(values)
    return array.view(mx.bfloat16) if is_bfloat16 else array


def _check_range(info: TensorInfo, parts: Parts, packed: Packed, dtype: str) -> None:
    """Refuse a packed tensor with elements that become infinite in its element type.

    Elements lie between those of the lowest and the highest bits, so that the groups' two ends decide for nearly every
    tensor; the rare one whose ends are beyond is expanded and counted.
    """
    limit = ROUNDS_TO_INFINITY[dtype]
    assert parts.biases is not None, "a packed tensor is affine"
    scales, biases = (
        widen_bfloat16(part) if parts.is_bfloat16 else part.astype(np.float32) for part in (parts.scales, parts.biases)
    )
    with np.errstate(over="ignore"):
        ends = scales * (2**packed.layout.bits - 1) + biases
    if max(np.abs(ends).max(), np.abs(biases).max()) < limit:
        return
    magnitudes = np.abs(np.asarray(dense(packed, mx.float32)))
    beyond = magnitudes[magnitudes >= limit]
    if beyond.size:
        refuse_overflow(info, dtype, beyond.size, float(beyond.max()))
