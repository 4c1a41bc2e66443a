"""Model files: their headers, checked in full before anything uses them, and the bytes of their tensors.

The compiler uses this package and nothing else of the runtime: `read_header(path)`, and what decides from a header
alone (`matching`, `metadata`, `nearest`). None of it loads NumPy or MLX. The modules that read or write the tensors
themselves need NumPy; they are imported by who needs them, and not here.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats.coreml.header import ENDINGS, read_core_ml
from tensorlogic.runtime.formats.files import OpenFiles, open_file
from tensorlogic.runtime.formats.folder import find_shards, read_configuration
from tensorlogic.runtime.formats.gguf.header import read_gguf
from tensorlogic.runtime.formats.gguf.split import join_parts
from tensorlogic.runtime.formats.header import (
    FileHeader,
    MetadataValue,
    PackedLayout,
    TensorInfo,
    damaged,
    shown,
    unsupported,
)
from tensorlogic.runtime.formats.safetensors.header import noted_layouts, read_safetensors
from tensorlogic.runtime.formats.safetensors.schemes import fold_weights

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

_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_SAVE_AGAIN = "save the tensors with `safetensors.torch.save_file`"


def read_header(path: str | os.PathLike[str]) -> FileHeader:
    """The checked header of a model file or folder. Raises `ModelFileError` (TL4001 to 4, TL4065) for any other."""
    header, files = open_model(path)
    for file in files.values():
        file.close()
    return header


def open_model(path: str | os.PathLike[str]) -> tuple[FileHeader, OpenFiles]:
    """The checked header and the open files that it describes, by `TensorInfo.file`. The caller closes them."""
    files: OpenFiles = {}
    try:
        return _read_any(Path(path), files), files
    except BaseException as error:
        for file in files.values():
            file.close()
        if isinstance(error, OSError):  # a disk or a network that fails
            raise ModelFileError("TL4001", f"cannot read the model `{path}`: {error.strerror or error}") from None
        raise


def _read_any(path: Path, files: OpenFiles) -> FileHeader:
    if path.suffix in ENDINGS:
        return read_core_ml(path, files)
    if os.path.isdir(path):
        return _read_folder(path, None, files)
    if path.name.endswith(".index.json"):
        return _read_folder(path.parent, path, files)
    header = _read_file(path, files)
    if header.format != "safetensors":
        return header
    noted = noted_layouts(path, header.metadata)
    return replace(header, tensors=fold_weights(path, header.tensors, noted, path, {}))


def _read_folder(folder: Path, index: Path | None, files: OpenFiles) -> FileHeader:
    """A folder as Hugging Face lays it out: one file or an index of shards, and perhaps a `config.json`."""
    tensors: dict[str, TensorInfo] = {}
    metadata: dict[str, MetadataValue] = {}
    noted: dict[str, PackedLayout] = {}
    for file, names in find_shards(folder, index).items():
        header = _read_file(file, files)
        if header.format != "safetensors":
            damaged(file, f"a shard of a model is a safetensors file, and this is {header.format}")
        for name in header.tensors if names is None else names:
            if name not in header.tensors:
                damaged(file, f"the index of its folder says that it holds `{shown(name)}`, but it does not")
            tensors[name] = header.tensors[name]
        metadata |= header.metadata
        noted |= noted_layouts(file, header.metadata)
    settings, config, quantization = read_configuration(folder)
    metadata |= settings
    return FileHeader("safetensors", folder, fold_weights(folder, tensors, noted, config, quantization), metadata)


def _read_file(path: Path, files: OpenFiles) -> FileHeader:
    """A single file, whose format its first bytes tell; its name's ending helps where they do not."""
    file = files[path] = open_file(path)
    head = os.pread(file.fileno(), 32, 0)
    if not head:
        damaged(path, "it is empty")
    if head.startswith(b"version https://git-lfs"):
        unsupported(path, "it is a Git LFS pointer, not the model itself", "fetch the model with `git lfs pull`")
    if head.startswith(b"GGUF"):
        return join_parts(read_gguf(file, path), lambda part: _read_part(part, files))
    _refuse_known(path, head)
    if path.suffix == ".gguf":
        damaged(path, "a GGUF file begins with the four letters GGUF, and it does not")
    if path.suffix == ".safetensors" or head[8:9] == b"{":
        return read_safetensors(file, path)
    helps = [_SAVE_AGAIN] if path.suffix in _PICKLES else []
    raise ModelFileError("TL4002", f"`{path}` is neither a safetensors nor a GGUF file", helps=helps)


def _refuse_known(path: Path, head: bytes) -> None:
    """Say what a file is that is often taken for a model, whatever its name says."""
    if head.startswith(b"PK\3\4"):
        raise ModelFileError("TL4002", f"`{path}` is a ZIP archive, as PyTorch's own files are", helps=[_SAVE_AGAIN])
    if head.lstrip()[:5].lower() in (b"<!doc", b"<html"):
        raise ModelFileError(
            "TL4002",
            f"`{path}` is a web page, which a download that failed leaves behind",
            helps=["download the model itself"],
        )


def _read_part(path: Path, files: OpenFiles) -> FileHeader:
    """Another part of a split GGUF model."""
    file = files[path] = open_file(path)
    if os.pread(file.fileno(), 4, 0) != b"GGUF":
        damaged(path, "a GGUF file begins with the four letters GGUF, and it does not")
    return read_gguf(file, path)
