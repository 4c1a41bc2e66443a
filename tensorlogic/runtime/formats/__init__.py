"""Model files: their headers, checked in full before anything uses them, and the bytes of their tensors.

`read_header(path)` is all that the compiler uses of the runtime. Neither it nor anything that it imports loads NumPy
or MLX; `values` and `blocks`, which read the tensors themselves, need NumPy.
"""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats.files import open_file
from tensorlogic.runtime.formats.folder import read_config, read_index
from tensorlogic.runtime.formats.gguf import read_gguf
from tensorlogic.runtime.formats.header import (
    FileHeader,
    MetadataValue,
    PackedLayout,
    TensorInfo,
    damaged,
    shown,
    unsupported,
)
from tensorlogic.runtime.formats.safetensors import noted_layouts, read_safetensors
from tensorlogic.runtime.formats.triples import configured_layouts, fold_triples

__all__ = [
    "FileHeader",
    "MetadataValue",
    "ModelFileError",
    "OpenFiles",
    "PackedLayout",
    "TensorInfo",
    "open_model",
    "read_header",
]

OpenFiles = dict[Path, io.FileIO]

_INDEX = "model.safetensors.index.json"
_CORE_ML = (".mlpackage", ".mlmodel", ".mlmodelc")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")


def read_header(path: str | os.PathLike[str]) -> FileHeader:
    """The checked header of a model file or folder. Raises `ModelFileError` (TL4001 to TL4004) for any other."""
    header, files = open_model(path)
    for file in files.values():
        file.close()
    return header


def open_model(path: str | os.PathLike[str]) -> tuple[FileHeader, OpenFiles]:
    """The checked header and the open files that it describes, by `TensorInfo.file`. The caller closes them."""
    files: OpenFiles = {}
    try:
        return _read_any(Path(path), files), files
    except BaseException:
        for file in files.values():
            file.close()
        raise


def _read_any(path: Path, files: OpenFiles) -> FileHeader:
    if path.suffix in _CORE_ML:
        unsupported(path, "Core ML models are not supported yet")
    if os.path.isdir(path):
        index = path / _INDEX
        return _read_folder(path, index if index.exists() else None, files)
    if path.name.endswith(".index.json"):
        return _read_folder(path.parent, path, files)
    header = _read_file(path, files)
    if header.format != "safetensors":
        return header
    return replace(header, tensors=fold_triples(path, header.tensors, noted_layouts(path, header.metadata)))


def _read_folder(folder: Path, index: Path | None, files: OpenFiles) -> FileHeader:
    """A folder as Hugging Face lays it out: one file or an index of shards, and perhaps a `config.json`."""
    single = folder / "model.safetensors"
    if index is None and not single.exists():
        raise ModelFileError("TL4002", f"the folder `{folder}` holds neither `model.safetensors` nor `{_INDEX}`")
    places = None if index is None else read_index(index)
    tensors: dict[str, TensorInfo] = {}
    metadata: dict[str, MetadataValue] = {}
    layouts: dict[str, PackedLayout] = {}
    for file in [single] if places is None else sorted(set(places.values())):
        header = _read_file(file, files)
        wanted = header.tensors if places is None else [name for name, place in places.items() if place == file]
        for name in wanted:
            if name not in header.tensors:
                damaged(file, f"`{index}` says that it holds `{shown(name)}`, but it does not")
            tensors[name] = header.tensors[name]
        metadata |= header.metadata
        layouts |= noted_layouts(file, header.metadata)
    config = folder / "config.json"
    if config.exists():
        settings, quantization = read_config(config)
        metadata |= settings
        layouts = configured_layouts(config, tensors, quantization) | layouts if quantization else layouts
    return FileHeader("safetensors", folder, fold_triples(folder, tensors, layouts), metadata)


def _read_file(path: Path, files: OpenFiles) -> FileHeader:
    """A single file, whose format its first bytes tell; its name's ending helps where they do not."""
    file = files[path] = open_file(path)
    head = os.pread(file.fileno(), 32, 0)
    if not head:
        damaged(path, "it is empty")
    if head.startswith(b"version https://git-lfs"):
        unsupported(path, "it is a Git LFS pointer, not the model itself", "fetch the model with `git lfs pull`")
    if head.startswith(b"GGUF"):
        return read_gguf(file, path)
    if path.suffix == ".gguf":
        damaged(path, "a GGUF file begins with the four letters GGUF, and it does not")
    if path.suffix == ".safetensors" or head[8:9] == b"{":
        return read_safetensors(file, path)
    helps = ["save the tensors with `safetensors.torch.save_file`"] if path.suffix in _PICKLES else []
    raise ModelFileError("TL4002", f"`{path}` is neither a safetensors nor a GGUF file", helps=helps)
