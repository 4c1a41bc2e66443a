"""What the header of a model file says: names, shapes, storage types and places, checked before anything uses them.

Every parser ends here: it gives a table of tensors in which no name occurs twice, every shape is one that MLX can have
and every size fits the file. Where a format keeps tensors side by side, no two share a byte. Nothing in this module
imports NumPy or MLX, so that the compiler can read headers while it checks a program.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats.features import Feature

MAX_RANK = 8
"""More dims than any model has; MLX's own readers abort above it."""
MAX_DIM = 2**31 - 1
"""MLX keeps a size in 32 bits."""
MAX_TENSORS = 100_000
"""Bounds the memory of a header, about 1 kB for each tensor."""
MAX_NAME_BYTES = 65_535

MetadataValue = str | int | float | bool | tuple["MetadataValue", ...]


@dataclass(frozen=True, slots=True)
class PackedLayout:
    """One of MLX's packed layouts: `bits` for each element, and what each `group_size` elements of a row share.

    `mode` is MLX's name for it: in `affine` they share a scale and a bias, floats both; in `mxfp4` and `mxfp8` a
    power of two as a byte (E8M0), in `nvfp4` a byte of E4M3, and elements are small floats themselves.
    """

    bits: int
    group_size: int
    mode: str = "affine"

    @property
    def is_mlx(self) -> bool:
        """Whether `mx.quantize` makes it: its groups under `affine` are of 32, 64 or 128, and ours of 16, too."""
        return self.mode != "affine" or self.group_size in (32, 64, 128)


@dataclass(frozen=True, slots=True)
class Storage:
    """How a file keeps elements: blocks of `block_size` elements in `block_bytes` bytes.

    `dtype` is the element type that a program sees by default. `layout` is the packed form in memory of a quantized
    type, and `readable` is false for a type whose elements this version cannot read: files that hold some still open.
    """

    name: str
    dtype: str
    block_size: int
    block_bytes: int
    layout: PackedLayout | None = None
    readable: bool = True

    def nbytes(self, shape: tuple[int, ...]) -> int | None:
        """The bytes of a tensor of this shape, or None where its rows are not whole blocks."""
        count = math.prod(shape)
        row = shape[-1] if shape else 1
        if row % self.block_size:
            return None
        return count // self.block_size * self.block_bytes


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One tensor of a file: `nbytes` bytes from `offset` (counted from the file's start) in `file`.

    `shape` is row-major in PyTorch's order, `storage` names the file's type (`F16`, `Q4_1`), and `dtype` is the
    element type that a program sees by default. `layout` is the packed form in memory where the device multiplies by
    it, None for what is always dense.
    `scales` and `biases` are set for a weight that MLX quantized, which a file keeps as three tensors. `is_quantized`
    is set where one tensor holds blocks of elements with their scales, as in GGUF, packed in memory or not.
    """

    name: str
    storage: str
    shape: tuple[int, ...]
    dtype: str
    offset: int
    nbytes: int
    file: Path
    layout: PackedLayout | None = None
    readable: bool = True
    scales: TensorInfo | None = None
    biases: TensorInfo | None = None
    is_quantized: bool = False

    def element(self, floats: str) -> str:
        """The element type that a program sees which reads floats as `floats`."""
        return floats if self.dtype == "float16" else self.dtype

    @property
    def parts(self) -> tuple[TensorInfo, ...]:
        """The other tensors of the file that belong to this one: with its own bytes, theirs are all that it takes."""
        return tuple(part for part in (self.scales, self.biases) if part is not None)


@dataclass(frozen=True, slots=True)
class FileHeader:
    """The header of one model: `format` is `safetensors`, `gguf` or `coreml`, `path` is what was opened.

    `inputs` and `outputs` are those of a model that can be run as it is.
    """

    format: str
    path: Path
    tensors: Mapping[str, TensorInfo]
    metadata: Mapping[str, MetadataValue]
    inputs: tuple[Feature, ...] = ()
    outputs: tuple[Feature, ...] = ()


def shown(text: str) -> str:
    """Text from a file as a message may show it: on one line, printable and short."""
    start = text[:100]
    if not start.isprintable():
        start = "".join(char if char.isprintable() else repr(char)[1:-1] for char in start)
    return start if len(text) <= 100 else f"{start}..."


def damaged(path: Path, what: str) -> NoReturn:
    """Refuse a file whose header contradicts itself or its size."""
    raise ModelFileError("TL4003", f"`{path}` is damaged: {what}")


def unsupported(path: Path, what: str, *helps: str) -> NoReturn:
    """Refuse a file, or a part of one, that may well be sound, by the name of what cannot be read."""
    raise ModelFileError("TL4004", f"`{path}`: {what}", helps=helps)


def check_shape(path: Path, name: str, shape: tuple[int, ...]) -> None:
    """Refuse (TL4003) a shape of more dims, or of longer ones, than MLX has."""
    if len(shape) > MAX_RANK:
        damaged(path, f"tensor `{shown(name)}` has {len(shape)} dims; at most {MAX_RANK} are possible")
    for size in shape:
        if not 0 <= size <= MAX_DIM:
            damaged(path, f"tensor `{shown(name)}` has a dim of {size}; at most {MAX_DIM} is possible")


def check_regions(path: Path, tensors: Iterable[TensorInfo], start: int, end: int) -> list[TensorInfo]:
    """Hold every tensor between `start` and `end`, and apart from the others. Returns them in the file's order."""
    ordered = sorted(tensors, key=lambda info: (info.offset, info.nbytes))
    place, previous = start, ""
    for info in ordered:
        if info.offset < start or info.offset + info.nbytes > end:
            damaged(
                path,
                f"tensor `{shown(info.name)}` lies at bytes {info.offset} to {info.offset + info.nbytes}, "
                f"but the data ends at byte {end}",
            )
        if info.offset < place:
            damaged(path, f"tensors `{shown(previous)}` and `{shown(info.name)}` overlap")
        place, previous = info.offset + info.nbytes, info.name
    return ordered
