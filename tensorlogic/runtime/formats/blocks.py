"""Packed tensors in NumPy, of either format: the words, scales and biases of MLX's layouts, and what bounds them.

GGUF's blocks are repacked by `gguf/repacked.py`; what a safetensors model keeps as several tensors is read by
`safetensors/assembled.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats.header import PackedLayout, TensorInfo, shown
from tensorlogic.runtime.formats.values import Array, widen

BLOCK = 32
"""The elements of a block in GGUF's legacy types."""
_SMALL_FLOATS = {"mxfp4": (6.0, "F8_E8M0"), "mxfp8": (448.0, "F8_E8M0"), "nvfp4": (6.0, "F8_E4M3")}
"""The largest element of each of MLX's modes other than affine, and what kind of float its scales are."""


@dataclass(frozen=True, slots=True)
class Parts:
    """A packed tensor in NumPy: uint32 words, scales and biases, each with the tensor's leading dims.

    Scales and biases are float16 or float32, or bfloat16 as its bits where `is_bfloat16`; only the mode `affine` has
    biases, and the scales of the other modes are bytes.
    """

    words: Array
    scales: Array
    biases: Array | None
    is_bfloat16: bool = False


def check_finite(info: TensorInfo, *parts: Array) -> None:
    """An infinite scale would turn `scale * bits + bias` into NaN where the file's own rule gives infinity."""
    for part in parts:
        bad = part.size - int(np.count_nonzero(np.isfinite(part)))
        if bad:
            refuse_scales(info, bad)


def refuse_scales(info: TensorInfo, count: int) -> NoReturn:
    """Raise the error for a tensor of which so many scales are no finite numbers."""
    raise ModelFileError(
        "TL4009", f"tensor `{shown(info.name)}` of `{info.file}` has {count} block scales that are inf or NaN"
    )


def numbers(layout: PackedLayout, scales: Array) -> Array:
    """Scales of a layout as numbers: those of the modes other than affine are stored as bytes."""
    return scales if layout.mode == "affine" else widen(_SMALL_FLOATS[layout.mode][1], scales)


def largest_magnitude(layout: PackedLayout, scales: Array, biases: Array | None) -> float:
    """A magnitude that no element is above: those of the lowest and the highest bits are the groups' ends.

    `scales` and `biases` are floats that NumPy knows, or bytes without biases. NaN where a scale is one.
    """
    if biases is None:
        return _SMALL_FLOATS[layout.mode][0] * float(numbers(layout, scales).max())
    scales, biases = (part.astype(np.float32, copy=False) for part in (scales, biases))
    with np.errstate(over="ignore", invalid="ignore"):
        ends = scales * np.float32(2**layout.bits - 1) + biases
    return float(max(np.abs(ends).max(), np.abs(biases).max()))
