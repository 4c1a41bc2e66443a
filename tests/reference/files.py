"""Weights and settings of model files, by the formats' own libraries alone: `gguf` and `safetensors`."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt
from gguf.quants import dequantize
from safetensors.numpy import load_file

Array = npt.NDArray[Any]
"""Of float32."""


@dataclass(frozen=True)
class File:
    """Tensors by their names in the file, expanded to float32, shapes in PyTorch's order; and its metadata."""

    tensors: Mapping[str, Array]
    settings: Mapping[str, Any]

    def weight(self, name: str) -> Array:
        return self.tensors[f"{name}.weight"]


class _Reader(gguf.GGUFReader):
    """GGUF's own, but for lists, which are empty: it makes arrays of each item, which takes 11 s for Gemma's words."""

    def _get_field_parts(self, orig_offs: int, raw_type: int) -> Any:
        if raw_type != gguf.GGUFValueType.ARRAY:
            return super()._get_field_parts(orig_offs, raw_type)
        content = self.data.data
        kind, count = struct.unpack_from("<IQ", content, orig_offs)
        end = orig_offs + 12
        if kind == gguf.GGUFValueType.STRING:
            for _ in range(count):
                end += 8 + struct.unpack_from("<Q", content, end)[0]
        else:
            end += count * np.dtype(self.gguf_scalar_to_np[gguf.GGUFValueType(kind)]).itemsize
        return end - orig_offs, [], [], [gguf.GGUFValueType.ARRAY, gguf.GGUFValueType(kind)]


def read_gguf(path: Path) -> File:
    """All of a GGUF file but the lists in its metadata: those of the vocabulary, which nothing here asks for."""
    reader = _Reader(path)
    settings = {name: field.contents() for name, field in reader.fields.items()}
    return File({tensor.name: _expanded(tensor) for tensor in reader.tensors}, settings)


def _expanded(tensor: gguf.ReaderTensor) -> Array:
    values: Array = dequantize(tensor.data, tensor.tensor_type).astype(np.float32, copy=False)
    # The file counts dims from the fastest on.
    return values.reshape([int(size) for size in reversed(tensor.shape)])


def read_folder(folder: Path) -> File:
    """A folder of Hugging Face's: `model.safetensors` and `config.json`."""
    settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return File(load_file(folder / "model.safetensors"), settings)
