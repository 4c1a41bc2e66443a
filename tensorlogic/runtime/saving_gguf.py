"""Saving as GGUF: which storage type each tensor gets, and which metadata.

- A tensor of a GGUF file is copied as it lies there, byte for byte, whatever its type and the `dtype` that the program
  loaded the model with, unless it is to be expanded. So nothing is lost, and types that MLX has no layout for stay.
- A packed weight becomes blocks with the very same values where GGUF has such blocks (`to_blocks`); else it is expanded
  to F16, or to F32 where F16 would make a value infinite, and a warning says so.
- Dense floats keep their type, but vectors and scalars become F32, which is exact: ggml wants norms and biases so.
- Integers keep theirs; unsigned ones take the next wider signed type, and bools become I8.

The metadata of a GGUF file are copied with their types, also where a safetensors file carried them. Those of other
models are encoded; `general.architecture` is their `model_type`, where they have one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import mlx.core as mx
import numpy as np

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats.blocks import Parts
from tensorlogic.runtime.formats.gguf.text import GGUF_KEY
from tensorlogic.runtime.formats.gguf.to_blocks import to_blocks
from tensorlogic.runtime.formats.gguf.write import Entry, encoded, write_gguf
from tensorlogic.runtime.formats.header import MetadataValue, shown
from tensorlogic.runtime.formats.safetensors.triples import LAYOUTS_KEY
from tensorlogic.runtime.formats.values import ROUNDS_TO_INFINITY, overflows
from tensorlogic.runtime.losses import LOGGER
from tensorlogic.runtime.packed import Packed, dense
from tensorlogic.runtime.unsaved import STORAGES, Content, Unsaved, bytes_of, numpy_of

_WIDER = {mx.bool_: mx.int8, mx.uint8: mx.int16, mx.uint16: mx.int32, mx.uint32: mx.int64}
_HALVES = (mx.float16, mx.bfloat16)
_OWN_KEYS = frozenset({LAYOUTS_KEY, GGUF_KEY, "format", "general.alignment", "general.quantization_version"})
"""Keys that say how the old file is laid out, and nothing of the model."""
_ALIGNMENT = 32
_QUANTIZATION_VERSION = 2
"""That of all types which this version writes."""
_MOST_TOLD = 3

Made = tuple[str, Iterable[bytes | memoryview]]


def save_gguf(target: Path, content: Content, tensors: tuple[Unsaved, ...]) -> None:
    """Write a `.gguf` file. Raises `ModelFileError` as `save_model` does."""
    expanded: dict[str, str] = {}
    entries = [_entry(target, tensor, expanded) for tensor in tensors]
    as_it_was = all(tensor.stored is not None and tensor.stored.is_original for tensor in tensors)
    write_gguf(target, _metadata(content, as_it_was=as_it_was), entries, _alignment(content))
    if expanded:
        LOGGER.warning("%s", _told(target, expanded))


def _entry(target: Path, tensor: Unsaved, expanded: dict[str, str]) -> Entry:
    def make() -> Made:
        if tensor.stored is not None:
            return tensor.stored.storage, tensor.stored.read()
        whole = tensor.make()
        if not isinstance(whole, Packed):
            return _dense(target, tensor.name, whole)
        blocks = to_blocks(_parts(whole), whole.layout)
        if blocks is not None:
            return blocks
        expanded[tensor.name], content = _expanded(whole)
        return expanded[tensor.name], [content]

    return Entry(tensor.name, tensor.shape, make)


def _dense(target: Path, name: str, array: mx.array) -> Made:
    if array.dtype == mx.uint64:
        what = f"cannot save `{target}`: `{shown(name)}` is uint64, which GGUF does not keep"
        raise ModelFileError("TL4030", what, helps=["save it as `.safetensors`"])
    kept = _WIDER.get(array.dtype, array.dtype)
    if array.ndim < 2 and kept in _HALVES:
        kept = mx.float32
    return STORAGES[kept], [bytes_of(array.astype(kept))]


def _parts(packed: Packed) -> Parts:
    is_bfloat16 = packed.scales.dtype == mx.bfloat16
    biases = None if packed.biases is None else numpy_of(packed.biases)
    return Parts(numpy_of(packed.weight), numpy_of(packed.scales), biases, is_bfloat16)


def _expanded(packed: Packed) -> tuple[str, memoryview]:
    """The storage type and the elements of a packed tensor in float16, or in float32 where they leave float16."""
    wide = np.asarray(dense(packed, mx.float32))
    fits = not overflows(wide, ROUNDS_TO_INFINITY["float16"])[0]
    kept = wide.astype("<f2") if fits else wide
    return "F16" if fits else "F32", kept.reshape(-1).view(np.uint8).data


def _told(target: Path, expanded: Mapping[str, str]) -> str:
    names = [f"`{shown(name)}`" for name in expanded]
    more = len(names) - _MOST_TOLD
    listed = ", ".join(names[:_MOST_TOLD]) + (f" and {more} more" if more > 0 else "")
    types = " and ".join(sorted(set(expanded.values())))
    what = "1 packed tensor was" if len(names) == 1 else f"{len(names)} packed tensors were"
    return f"{target}: {what} expanded to {types}, since no GGUF blocks hold the same values: {listed}"


def _metadata(content: Content, *, as_it_was: bool) -> dict[str, bytes]:
    version = encoded(_QUANTIZATION_VERSION)
    if content.gguf_metadata:
        # The parts of a split model are one file now.
        kept = {key: value for key, value in content.gguf_metadata.items() if not key.startswith("split.")}
        if not as_it_was:
            # What most tensors are stored as, which readers find out where it is not said.
            kept.pop("general.file_type", None)
            kept["general.quantization_version"] = version
        return kept
    values: dict[str, MetadataValue] = {}
    architecture = content.metadata.get("model_type")
    if isinstance(architecture, str):
        values["general.architecture"] = architecture
    if content.name is not None:
        values["general.name"] = content.name
    values |= {key: value for key, value in content.metadata.items() if key not in _OWN_KEYS}
    return {key: encoded(value) for key, value in values.items()} | {"general.quantization_version": version}


def _alignment(content: Content) -> int:
    """What the metadata that are copied say; the header was checked when it was read."""
    kept = "general.alignment" in content.gguf_metadata
    alignment = content.metadata["general.alignment"] if kept else _ALIGNMENT
    assert isinstance(alignment, int), "the header of a GGUF file was checked"
    return alignment
