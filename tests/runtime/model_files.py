"""Builds model files for tests: sound ones with the formats' own libraries, and any other byte by byte."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

BLOCK_BYTES = {"Q4_0": 18, "Q4_1": 20, "Q8_0": 34}
"""Bytes of a block of 32 elements."""
HALVES = {"Q4_0": 1, "Q4_1": 2, "Q8_0": 1}
"""How many float16 numbers stand at the front of a block: its scale, and Q4_1's minimum."""


def random_blocks(storage: str, rows: tuple[int, ...], width: int, seed: int, largest: float = 1.0) -> Array:
    """Random blocks for a tensor of shape (*rows, width): any bits, and scales of either sign up to `largest`."""
    random = np.random.default_rng(seed)
    count = width // 32
    blocks = random.integers(0, 256, (*rows, count, BLOCK_BYTES[storage]), dtype=np.uint8)
    halves = random.uniform(-largest, largest, (*rows, count, HALVES[storage])).astype("<f2")
    # Scales of many magnitudes, subnormal ones among them.
    halves *= np.float16(2) ** -random.integers(0, 20, halves.shape).astype(np.float16)
    blocks[..., : 2 * HALVES[storage]] = halves.view(np.uint8)
    return blocks.reshape(*rows, count * BLOCK_BYTES[storage])


def expanded(storage: str, blocks: Array) -> Array:
    """The float32 elements of blocks, by GGUF's own library."""
    values: Array = gguf.quants.dequantize(blocks, gguf.GGMLQuantizationType[storage])
    return values


def write_gguf(
    path: Path,
    tensors: Mapping[str, Array | tuple[str, Array]],
    metadata: Mapping[str, str | int | float | list[Any]] | None = None,
) -> Path:
    """A GGUF file by GGUF's own writer; a tensor is an array, or a storage type and its raw bytes."""
    writer = gguf.GGUFWriter(path, "test")
    for key, value in (metadata or {}).items():
        if isinstance(value, str):
            writer.add_string(key, value)
        elif isinstance(value, int):
            writer.add_uint32(key, value)
        elif isinstance(value, float):
            writer.add_float32(key, value)
        else:
            writer.add_array(key, value)
    for name, tensor in tensors.items():
        if isinstance(tensor, tuple):
            writer.add_tensor(name, tensor[1], raw_dtype=gguf.GGMLQuantizationType[tensor[0]])
        else:
            writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def gguf_string(text: str | bytes) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(data)) + data


def gguf_key(key: str | bytes, kind: int, payload: bytes) -> bytes:
    return gguf_string(key) + struct.pack("<I", kind) + payload


def gguf_entry(
    name: str | bytes, dims: Sequence[int], kind: int = 0, offset: int = 0, rank: int | None = None
) -> bytes:
    """One entry of the tensor table; `dims` as in the file, the fastest first."""
    count = len(dims) if rank is None else rank
    return gguf_string(name) + struct.pack(f"<I{len(dims)}QIQ", count, *dims, kind, offset)


def gguf_bytes(
    entries: Sequence[bytes] = (),
    keys: Sequence[bytes] = (),
    data: bytes = b"",
    *,
    magic: bytes = b"GGUF",
    version: int = 3,
    tensor_count: int | None = None,
    key_count: int | None = None,
    alignment: int = 32,
) -> bytes:
    """A GGUF file of these parts. The counts are right unless they are given."""
    tensor_count = len(entries) if tensor_count is None else tensor_count
    key_count = len(keys) if key_count is None else key_count
    header = magic + struct.pack("<IQQ", version, tensor_count, key_count) + b"".join(keys) + b"".join(entries)
    return header + bytes(-len(header) % alignment) + data


def safetensors_bytes(header: Mapping[str, Any] | str | bytes, data: bytes = b"", length: int | None = None) -> bytes:
    """A safetensors file of this header. Its length is right unless it is given."""
    text = json.dumps(header) if isinstance(header, Mapping) else header
    raw = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(raw) if length is None else length) + raw + data
