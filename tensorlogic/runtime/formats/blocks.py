"""GGUF's quantized blocks, repacked into MLX's affine layout without changing a value.

A block of 32 elements is a float16 scale `d`, for Q4_1 a float16 minimum `m`, and the elements' bits. MLX keeps the
bits of a row as one run of 32-bit words, element 0 in the lowest bits, and scales and biases beside them: an element
is `scale * bits + bias`. So `d * (q - 8)` has the bias `-8 d`: a power of two times a float16, which is a float16
again unless it is too large. Where it is, scales and biases are float32.

    Q4_0   d, 16 bytes   d * (q - 8)       byte j holds element j in its low half and element j + 16 in its high one
    Q4_1   d, m, 16 bytes   d * q + m      the same
    Q8_0   d, 32 bytes   d * q             q signed; MLX's is unsigned, so 128 is added and the bias is -128 d
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats.header import TensorInfo, shown
from tensorlogic.runtime.formats.values import Array, read_pieces

BLOCK = 32
_BLOCKS = {
    "Q4_0": np.dtype([("d", "<f2"), ("bits", "<u8", 2)]),
    "Q4_1": np.dtype([("d", "<f2"), ("m", "<f2"), ("bits", "<u8", 2)]),
    "Q8_0": np.dtype([("d", "<f2"), ("bits", "<u8", 4)]),
}
_BIAS_OF_SCALE = {"Q4_0": -8, "Q8_0": -128}


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


def read_packed(file: io.FileIO, info: TensorInfo) -> Parts:
    """A tensor of blocks, packed. Raises `ModelFileError` for scales that are no finite numbers (TL4009)."""
    assert info.layout is not None, "only quantized storage types have blocks"
    form = _BLOCKS[info.storage]
    rows, groups = info.shape[:-1], info.shape[-1] // BLOCK
    count = info.nbytes // form.itemsize
    words_each = info.layout.bits
    words = np.empty((count, words_each), np.uint32)
    scales = np.empty(count, np.float16)
    minima = np.empty(count if info.storage == "Q4_1" else 0, np.float16)
    for place, piece in read_pieces(file, info, form.itemsize):
        blocks = np.frombuffer(piece, form)
        span = slice(place // form.itemsize, place // form.itemsize + len(blocks))
        scales[span] = blocks["d"]
        if minima.size:
            minima[span] = blocks["m"]
        bits = np.ascontiguousarray(blocks["bits"])
        words[span] = _words_of_bytes(bits) if words_each == 8 else _words_of_halves(bits)
    _check_finite(info, scales, minima)
    scales, biases = (scales, minima) if minima.size else _with_biases(scales, _BIAS_OF_SCALE[info.storage])
    shape = (*rows, groups)
    return Parts(words.reshape(*rows, groups * words_each), scales.reshape(shape), biases.reshape(shape))


def _words_of_bytes(bits: Array) -> Array:
    """Signed bytes become unsigned ones 128 higher, four in a word."""
    return (bits ^ np.uint64(0x8080808080808080)).view(np.uint32)


def _words_of_halves(bits: Array) -> Array:
    """Eight bytes hold elements i to i + 7 in their low halves, and those 16 further on in their high ones."""
    mask = np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.concatenate([_join_halves(bits & mask), _join_halves((bits >> np.uint64(4)) & mask)], axis=1)


def _join_halves(spread: Array) -> Array:
    """The eight half bytes of a 64-bit number, one in each byte, side by side in 32 bits."""
    spread = (spread | spread >> np.uint64(4)) & np.uint64(0x00FF00FF00FF00FF)
    spread = (spread | spread >> np.uint64(8)) & np.uint64(0x0000FFFF0000FFFF)
    words: Array = (spread | spread >> np.uint64(16)).astype(np.uint32)
    return words


def _with_biases(scales: Array, factor: int) -> tuple[Array, Array]:
    biases = scales.astype(np.float32) * factor
    if np.abs(biases).max(initial=0) > np.finfo(np.float16).max:
        return scales.astype(np.float32), biases
    return scales, biases.astype(np.float16)


def _check_finite(info: TensorInfo, *parts: Array) -> None:
    """An infinite scale would turn `scale * bits + bias` into NaN where the file's own rule gives infinity."""
    for part in parts:
        bad = part.size - int(np.count_nonzero(np.isfinite(part)))
        if bad:
            raise ModelFileError(
                "TL4009", f"tensor `{shown(info.name)}` of `{info.file}` has {bad} block scales that are inf or NaN"
            )
