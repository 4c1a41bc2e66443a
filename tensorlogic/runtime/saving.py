"""`save_model`: a model, or named tensors, as a safetensors file.

Names, shapes and element types are what PyTorch, Hugging Face and MLX read back. A packed weight `x.weight` becomes
MLX's own three tensors `x.weight`, `x.scales` and `x.biases`, unless it is to be expanded. The file appears whole or
not at all. Of a model's metadata everything is kept that is text, a number, a truth value or a short list of whole
numbers; vocabularies are not, since safetensors keeps nothing but text.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import mlx.core as mx
import numpy as np

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats import MetadataValue
from tensorlogic.runtime.formats.header import shown, unsupported
from tensorlogic.runtime.formats.triples import LAYOUTS_KEY, companions
from tensorlogic.runtime.formats.write import Part, write_safetensors
from tensorlogic.runtime.packed import Packed, Tensor, dense

if TYPE_CHECKING:
    from tensorlogic.runtime.models import Model

_STORAGES = {
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
_LONGEST_LIST = 64


def save_model(model: Model | Mapping[str, Tensor], path: str | os.PathLike[str], *, dequantize: bool = False) -> None:
    """Write a `.safetensors` file. Raises `ModelFileError` for another ending (TL4004, TL4012), for what has no place
    in such a file and where the file cannot be written (TL4012)."""
    target = Path(path)
    _check_ending(target)
    if isinstance(model, Mapping):
        tensors, metadata = dict(model), {}
    elif not hasattr(model, "get_tensor"):
        _refuse(target, f"a `{type(model).__name__}` is neither a model nor tensors by their names")
    else:
        tensors = {name: model.get_tensor(name) for name in model.tensors}
        metadata = _kept_metadata(model.header.metadata)
    layouts: dict[str, list[int]] = {}
    arrays: dict[str, mx.array] = {}
    for name, tensor in tensors.items():
        _check_savable(target, name, tensor)
        whole = dense(tensor) if dequantize else tensor
        if isinstance(whole, Packed):
            scales, biases = companions(name)
            assert whole.biases is not None, "a packed tensor is affine"
            parts = {name: whole.weight, scales: whole.scales, biases: whole.biases}
            layouts[name] = [whole.layout.bits, whole.layout.group_size]
        else:
            parts = {name: whole}
        for part, array in parts.items():
            if part in arrays or (part != name and part in tensors):
                _refuse(target, f"two tensors would be called `{shown(part)}`")
            arrays[part] = array
    metadata["format"] = "mlx" if layouts else "pt"
    if layouts:
        metadata[LAYOUTS_KEY] = json.dumps(layouts, ensure_ascii=False)
    write_safetensors(target, [_part(name, array) for name, array in arrays.items()], metadata)


def _check_ending(target: Path) -> None:
    if target.suffix == ".gguf":
        unsupported(target, "writing GGUF files is not supported yet", "save it as `.safetensors`")
    if target.suffix != ".safetensors":
        _refuse(target, "the name must end in `.safetensors`, which decides the format")


def _check_savable(target: Path, name: object, tensor: object) -> None:
    if not isinstance(name, str):
        _refuse(target, f"the tensor name {name!r} is no text")
    if name == "__metadata__":
        _refuse(target, "no tensor may be called `__metadata__`, which the format keeps for itself")
    try:
        name.encode()
    except UnicodeEncodeError:
        _refuse(target, f"the tensor name {shown(ascii(name))} is no valid Unicode")
    if isinstance(tensor, Packed):
        return
    if not isinstance(tensor, mx.array) or tensor.dtype not in _STORAGES:
        kind = str(tensor.dtype) if isinstance(tensor, mx.array) else f"a `{type(tensor).__name__}`"
        _refuse(target, f"`{shown(name)}` is {kind}, which the format does not keep")


def _refuse(target: Path, what: str) -> NoReturn:
    raise ModelFileError("TL4012", f"cannot save `{target}`: {what}")


def _part(name: str, array: mx.array) -> Part:
    return Part(name, _STORAGES[array.dtype], array.shape, array.itemsize, array.nbytes, lambda: _content(array))


def _content(array: mx.array) -> memoryview:
    """The elements' bytes in row-major order; NumPy has no bfloat16, so that goes as its bits."""
    bits = array.view(mx.uint16) if array.dtype == mx.bfloat16 else array
    return np.ascontiguousarray(np.asarray(bits)).reshape(-1).view(np.uint8).data


def _kept_metadata(metadata: Mapping[str, MetadataValue]) -> dict[str, str]:
    kept = {}
    for key, value in metadata.items():
        if key == LAYOUTS_KEY:
            continue
        if isinstance(value, str):
            kept[key] = value
        elif isinstance(value, tuple):
            if len(value) <= _LONGEST_LIST and all(type(item) is int for item in value):
                kept[key] = json.dumps(list(value))
        else:
            kept[key] = json.dumps(value)
    return kept
