"""What is to be saved: names, shapes and types first, each tensor when it is its turn.

Takes a model, or tensors by their names. Gives what both formats write from, so that memory holds one tensor of a model
at a time. Refuses by name what is no model and no tensor (TL4012).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import mlx.core as mx
import numpy as np

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats import MetadataValue, PackedLayout
from tensorlogic.runtime.formats.header import shown
from tensorlogic.runtime.formats.values import STORED, Array
from tensorlogic.runtime.packed import Packed, Tensor, dense

if TYPE_CHECKING:
    from tensorlogic.runtime.models import Model


STORAGES = {
    mx.float64: "F64",
    mx.float32: "F32",
    mx.float16: "F16",
    mx.bfloat16: "BF16",
    mx.int64: "I64",
    mx.int32: "I32",
    mx.int16: "I16",
    mx.int8: "I8",
    mx.uint64: "U64",
    mx.uint32: "U32",
    mx.uint16: "U16",
    mx.uint8: "U8",
    mx.bool_: "BOOL",
}
"""The storage type in which a file keeps each element type as it is. GGUF has no unsigned ones, and no bools."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A tensor as a file has it, or is to have it: `read()` gives the bytes of this storage type in pieces."""

    storage: str
    read: Callable[[], Iterator[bytes]]
    is_original: bool = True

    @property
    def is_dense(self) -> bool:
        """Whether its elements are stored one by one, and not as blocks."""
        return self.storage in STORED


@dataclass(frozen=True, slots=True)
class Unsaved:
    """A tensor to save. `dtype()` gives its element type, and `make()` the tensor.

    `layout` is the one in which it is packed, if it is: what `make` gives may be expanded nevertheless. `stored` is set
    where a GGUF file has the tensor, which may be copied from there, and where it is to be of a type of that format.
    `kept` is set where the bytes of a safetensors file go into another one as they are.
    """

    name: str
    shape: tuple[int, ...]
    dtype: Callable[[], mx.Dtype]
    layout: PackedLayout | None
    make: Callable[[], Tensor]
    stored: Stored | None = None
    kept: Stored | None = None

    def expanded(self) -> Unsaved:
        """The same without packing."""
        stored = self.stored if self.stored is not None and self.stored.is_dense else None
        return replace(self, layout=None, make=lambda: dense(self.make()), stored=stored)


@dataclass(frozen=True, slots=True)
class Content:
    """All that a file is to hold. `gguf_metadata` has the typed values of a GGUF file, as its own bytes."""

    tensors: tuple[Unsaved, ...]
    metadata: Mapping[str, MetadataValue] = field(default_factory=dict)
    name: str | None = None
    gguf_metadata: Mapping[str, bytes] = field(default_factory=dict)


def content_of(target: Path, model: Model | Mapping[str, Tensor]) -> Content:
    """What `model` holds, for the file `target`."""
    if isinstance(model, Mapping):
        return Content(tuple(_of_tensor(target, name, tensor) for name, tensor in model.items()))
    if not hasattr(model, "get_tensor"):
        refuse(target, f"a `{type(model).__name__}` is neither a model nor tensors by their names")
    header = model.header
    return Content(
        tuple(_of_model(model, name) for name in model.tensors),
        header.metadata,
        header.path.stem if header.path.suffix else header.path.name,
        model.gguf_metadata(),
    )


def numpy_of(array: mx.array) -> Array:
    """A NumPy array of the same elements; it has no bfloat16, so that goes as its bits."""
    return np.asarray(array.view(mx.uint16) if array.dtype == mx.bfloat16 else array)


def bytes_of(array: mx.array) -> memoryview:
    """The elements' bytes in row-major order."""
    return np.ascontiguousarray(numpy_of(array)).reshape(-1).view(np.uint8).data


def refuse(target: Path, what: str) -> NoReturn:
    """Raise the error (TL4012) for what cannot be saved as `target`."""
    raise ModelFileError("TL4012", f"cannot save `{target}`: {what}")


def _of_model(model: Model, name: str) -> Unsaved:
    info = model.header.tensors[name]
    stored = Stored(info.storage, lambda: model.bytes_in_file(name)) if model.header.format == "gguf" else None
    tensor = Unsaved(name, info.shape, lambda: model.dtype(name), info.layout, lambda: model.get_tensor(name), stored)
    return tensor.expanded() if model.expands else tensor


def _of_tensor(target: Path, name: object, tensor: object) -> Unsaved:
    if not isinstance(name, str):
        refuse(target, f"the tensor name {name!r} is no text")
    try:
        name.encode()
    except UnicodeEncodeError:
        refuse(target, f"the tensor name {shown(ascii(name))} is no valid Unicode")
    if isinstance(tensor, Packed):
        return Unsaved(name, tensor.shape, lambda: tensor.dtype, tensor.layout, lambda: tensor)
    if not isinstance(tensor, mx.array) or tensor.dtype == mx.complex64:
        kind = str(tensor.dtype) if isinstance(tensor, mx.array) else f"a `{type(tensor).__name__}`"
        refuse(target, f"`{shown(name)}` is {kind}, which the format does not keep")
    return Unsaved(name, tensor.shape, lambda: tensor.dtype, None, lambda: tensor)
