"""Converting a model: from one format to another, to another float type, and to a quantized one.

Takes the path of a model and that of the file, or folder, to write. Holds one tensor at a time. A folder gets
`model.safetensors`, and where the source is a folder with a `config.json`, that too, with the `quantization` by which
MLX's own loaders find packed weights, and the other small files (tokenizers and their settings).
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats import FileHeader, PackedLayout, TensorInfo, read_header
from tensorlogic.runtime.formats.folder import CONFIG, SINGLE
from tensorlogic.runtime.formats.replacing import replacing
from tensorlogic.runtime.models import Model, load_model
from tensorlogic.runtime.quantizations import Quantization, quantized
from tensorlogic.runtime.reading import FloatType
from tensorlogic.runtime.saving import save_content
from tensorlogic.runtime.unsaved import Content, Stored, Unsaved, content_of

_SMALL_FILES = (".json", ".txt", ".jinja", ".model", ".md")
_MOST_BYTES = 100_000_000
"""More than any vocabulary has."""


@dataclass(frozen=True, slots=True)
class Wish:
    """How the model is to be: `dtype` for its floats, None to keep them, and how it is to be quantized, if at all."""

    dtype: FloatType | None = None
    quantization: Quantization | None = None
    dequantize: bool = False


def convert(source: Path, target: Path, wish: Wish, *, to_folder: bool = False) -> tuple[FileHeader, FileHeader]:
    """Write the model at `source` to the file or, with `to_folder`, the folder `target`; the headers of both.

    Raises `ModelFileError` for a model that cannot be read, and for a file that cannot be written (TL4001 to TL4012,
    TL4030).
    """
    model = load_model(source, dtype=wish.dtype or "native", dequantize=wish.dequantize)
    content = content_of(target, model)
    keeps = model.header.format == "safetensors" and (to_folder or target.suffix == ".safetensors")
    tensors = tuple(_wished(tensor, wish, model if keeps else None) for tensor in content.tensors)
    content = replace(content, tensors=tensors)
    if to_folder:
        _save_folder(model, content, target)
    else:
        save_content(content, target)
    return model.header, read_header(target)


def _wished(tensor: Unsaved, wish: Wish, source: Model | None) -> Unsaved:
    """The tensor as it is wished for; what is not touched keeps the bytes of `source`, which is of the same format."""
    if wish.dtype is not None and tensor.stored is not None and tensor.stored.is_dense:
        tensor = replace(tensor, stored=None)
    made = tensor if wish.quantization is None else quantized(tensor, wish.quantization)
    if source is None or made is not tensor:
        return made
    info = source.header.tensors[tensor.name]
    # What is made of several tensors of the file, or computed, has a class or parts of its own.
    is_plain = type(info) is TensorInfo and not info.parts and info.layout is None and not info.is_quantized
    is_converted = wish.dtype not in (None, "native") and info.dtype == "float16"
    if not is_plain or is_converted:
        return tensor
    return replace(tensor, kept=Stored(info.storage, lambda: source.bytes_in_file(tensor.name)))


def _save_folder(model: Model, content: Content, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelFileError("TL4012", f"cannot save `{folder}`: {error.strerror or error}") from None
    save_content(content, folder / SINGLE)
    source = model.header.path
    if not source.is_dir() or not (source / CONFIG).exists():
        return
    # It was read and checked when the model was opened.
    config = json.loads((source / CONFIG).read_bytes())
    layouts = {name: info.layout for name, info in read_header(folder / SINGLE).tensors.items() if info.layout}
    for key in ("quantization", "quantization_config"):
        config.pop(key, None)
        if layouts:
            config[key] = _noted(layouts)
    with replacing(folder / CONFIG) as file:
        file.write((json.dumps(config, indent=2, ensure_ascii=False) + "\n").encode())
    if not os.path.samefile(source, folder):
        _copy_small_files(source, folder)


def _noted(layouts: Mapping[str, PackedLayout]) -> dict[str, object]:
    """mlx-lm's `quantization`: the layout of most weights, and the exceptions by the weight's path."""
    counted = list(layouts.values())
    usual = max(dict.fromkeys(counted), key=counted.count)
    exceptions = {name.removesuffix(".weight"): _settings(one) for name, one in layouts.items() if one != usual}
    return _settings(usual) | exceptions


def _settings(layout: PackedLayout) -> dict[str, object]:
    mode: dict[str, object] = {} if layout.mode == "affine" else {"mode": layout.mode}
    return {"group_size": layout.group_size, "bits": layout.bits, **mode}


def _copy_small_files(source: Path, folder: Path) -> None:
    for path in sorted(source.iterdir()):
        is_small = path.is_file() and path.suffix in _SMALL_FILES and path.stat().st_size <= _MOST_BYTES
        if is_small and path.name != CONFIG and not path.name.endswith(".index.json"):
            with open(path, "rb") as old, replacing(folder / path.name) as new:
                shutil.copyfileobj(old, new)
