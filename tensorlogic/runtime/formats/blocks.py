"""Packed tensors in NumPy, of either format: the words, scales and biases of MLX's layouts.

GGUF's blocks are repacked by `repacked`; what a safetensors model keeps as several tensors is read by `assembled`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats.header import TensorInfo, shown
from tensorlogic.runtime.formats.values import Array

BLOCK = 32


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
            raise ModelFileError(
                "TL4009", f"tensor `{shown(info.name)}` of `{info.file}` has {bad} block scales that are inf or NaN"
            )
