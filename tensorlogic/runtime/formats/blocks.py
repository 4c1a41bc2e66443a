"""Packed tensors in NumPy, of either format: the words, scales and biases of MLX's layouts.

GGUF's blocks are repacked by `repacked`; the three tensors that MLX keeps of a weight are read as they are.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats.header import TensorInfo, shown
from tensorlogic.runtime.formats.values import Array, read_dense, read_pieces

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


def read_triple(file: io.FileIO, info: TensorInfo) -> Parts:
    """A weight that MLX quantized. Raises `ModelFileError` for scales that are no finite numbers (TL4009)."""
    assert info.layout is not None, "a triple has the layout that its file notes"
    assert info.scales is not None, "a packed tensor is of blocks or of three tensors"
    assert info.biases is not None, "a packed tensor is of blocks or of three tensors"
    words = np.empty((*info.shape[:-1], info.shape[-1] * info.layout.bits // 32), np.uint32)
    flat = words.reshape(-1)
    for place, piece in read_pieces(file, info, 4):
        flat[place // 4 :][: len(piece) // 4] = np.frombuffer(piece, "<u4")
    own = {"F16": "float16", "BF16": "bfloat16", "F32": "float32"}[info.scales.storage]
    scales, _ = read_dense(file, info.scales, own)
    biases, _ = read_dense(file, info.biases, own)
    _check_finite(info, scales, biases)
    return Parts(words, scales, biases, own == "bfloat16")


def _check_finite(info: TensorInfo, *parts: Array) -> None:
    """An infinite scale would turn `scale * bits + bias` into NaN where the file's own rule gives infinity."""
    for part in parts:
        bad = part.size - int(np.count_nonzero(np.isfinite(part)))
        if bad:
            raise ModelFileError(
                "TL4009", f"tensor `{shown(info.name)}` of `{info.file}` has {bad} block scales that are inf or NaN"
            )
