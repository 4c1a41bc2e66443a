"""The quantizations that a model can be converted to, by name, and what becomes of a tensor in each.

`q4_0`, `q4_1`, `q5_0`, `q5_1` and `q8_0` are GGUF's blocks of 32, as its own library makes them. `mlx4` is MLX's affine
layout of 4 bits in groups of 64, `mlx4-g32` the same in groups of 32, and `mxfp4`, `mxfp8` and `nvfp4` are its small
floats; all of these are for safetensors. Takes what is to be saved and gives it with another making: a matrix, or a
stack of them, whose rows are whole groups is quantized when it is its turn. What is quantized already stays as it is,
and so do vectors: norms and biases are small, and lose most by it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import mlx.core as mx
import numpy as np

from tensorlogic.runtime.formats.blocks import BLOCK
from tensorlogic.runtime.formats.header import PackedLayout
from tensorlogic.runtime.formats.safetensors.triples import AFFINE_BITS, AFFINE_GROUPS, MODED_LAYOUTS
from tensorlogic.runtime.outside import FLOATS
from tensorlogic.runtime.packed import Packed, Tensor, dense
from tensorlogic.runtime.unsaved import Stored, Unsaved

_PIECE = 1 << 21
"""Elements that are quantized at once."""
_DEFAULT_GROUP = 64


@dataclass(frozen=True, slots=True)
class Quantization:
    """`layout` is MLX's, or None for GGUF's type `storage`; `ending` is that of the files which hold it."""

    name: str
    ending: str
    layout: PackedLayout | None = None
    storage: str | None = None

    @property
    def group_size(self) -> int:
        """How many elements of a row share a scale."""
        return BLOCK if self.layout is None else self.layout.group_size


def _affine(bits: int, group: int) -> Quantization:
    suffix = "" if group == _DEFAULT_GROUP else f"-g{group}"
    return Quantization(f"mlx{bits}{suffix}", ".safetensors", PackedLayout(bits, group))


_ALL = (
    *(Quantization(name.lower(), ".gguf", storage=name) for name in ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0")),
    *(_affine(bits, group) for group in (_DEFAULT_GROUP, *AFFINE_GROUPS) for bits in AFFINE_BITS),
    *(Quantization(layout.mode, ".safetensors", layout) for layout in MODED_LAYOUTS),
)
QUANTIZATIONS = {quantization.name: quantization for quantization in _ALL}


def quantized(tensor: Unsaved, quantization: Quantization) -> Unsaved:
    """The tensor as it is to be saved: quantized, if it is of the kind that is."""
    if not _is_weight(tensor, quantization):
        return tensor
    if quantization.layout is not None:
        layout = quantization.layout
        return replace(tensor, layout=layout, make=lambda: _packed(dense(tensor.make()), layout), stored=None)
    assert quantization.storage is not None, "a quantization without a layout is one of GGUF's"
    storage = quantization.storage
    return replace(tensor, stored=Stored(storage, lambda: _blocks(dense(tensor.make()), storage), is_original=False))


def _is_weight(tensor: Unsaved, quantization: Quantization) -> bool:
    if tensor.layout is not None or len(tensor.shape) not in (2, 3) or 0 in tensor.shape:
        return False
    if tensor.shape[-1] % quantization.group_size or tensor.dtype() not in FLOATS:
        return False
    # A GGUF file's quantized type that is copied stays; one that safetensors cannot keep would be expanded anyway.
    return quantization.layout is not None or tensor.stored is None or tensor.stored.is_dense


def _packed(array: mx.array, layout: PackedLayout) -> Tensor:
    words, scales, *biases = mx.quantize(array, group_size=layout.group_size, bits=layout.bits, mode=layout.mode)
    return Packed(words, scales, biases[0] if biases else None, layout, array.shape, array.dtype)


def _blocks(array: mx.array, storage: str) -> Iterator[bytes]:
    import gguf  # here, since it takes a third of a second to import

    kind = gguf.GGMLQuantizationType[storage]
    rows = array.reshape(-1, array.shape[-1])
    step = max(_PIECE // rows.shape[-1], 1)
    for begin in range(0, rows.shape[0], step):
        piece = np.asarray(rows[begin : begin + step].astype(mx.float32))
        yield gguf.quants.quantize(piece, kind).tobytes()
