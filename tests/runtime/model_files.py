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

HALVES = {
    "Q4_0": (0,),
    "Q4_1": (0, 2),
    "Q5_0": (0,),
    "Q5_1": (0, 2),
    "Q8_0": (0,),
    "Q2_K": (80, 82),
    "Q3_K": (108,),
    "Q4_K": (0, 2),
    "Q5_K": (0, 2),
    "Q6_K": (208,),
    "IQ1_S": (0,),
    "IQ2_XXS": (0,),
    "IQ2_XS": (0,),
    "IQ2_S": (0,),
    "IQ3_XXS": (0,),
    "IQ3_S": (0,),
    "IQ4_NL": (0,),
    "IQ4_XS": (0,),
    "TQ1_0": (52,),
    "TQ2_0": (64,),
}
"""Where in a block its float16 numbers stand: the scale, and what is subtracted or added."""
OTHER_SCALES = ("IQ1_M", "MXFP4", "NVFP4")
"""Types whose scale lies in four parts, or is a byte."""
BLOCK_TYPES = sorted([*HALVES, *OTHER_SCALES])
"""Every quantized type that GGUF's library decodes."""


def block_size(storage: str) -> tuple[int, int]:
    """Elements and bytes of a block."""
    size, nbytes = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[storage]]
    return size, nbytes


def random_blocks(storage: str, rows: tuple[int, ...], width: int, seed: int, largest: float = 1.0) -> Array:
    """Random blocks for a tensor of shape (*rows, width): any bits, and scales of either sign up to `largest`."""
    random = np.random.default_rng(seed)
    size, nbytes = block_size(storage)
    count = width // size
    blocks = random.integers(0, 256, (*rows, count, nbytes), dtype=np.uint8)
    places = HALVES.get(storage, (0,))
    halves = random.uniform(-largest, largest, (*rows, count, len(places))).astype("<f2")
    # Scales of many magnitudes, subnormal ones among them.
    halves *= np.float16(2) ** -random.integers(0, 20, halves.shape).astype(np.float16)
    for place, numbers in zip(places, np.moveaxis(halves, -1, 0), strict=True):
        set_scales(storage, blocks, numbers, place)
    return blocks.reshape(*rows, count * nbytes)


def set_scales(storage: str, blocks: Array, numbers: Array, place: int | None = None) -> None:
    """Write float16 numbers, shape (*rows, blocks), as the scales of blocks, shape (*rows, blocks, bytes)."""
    if storage == "MXFP4":
        # The nearest power of two at most; there is no sign.
        blocks[..., 0] = np.clip(np.frexp(np.abs(numbers.astype(np.float32)))[1] + 126, 0, 254)
    elif storage == "NVFP4":
        blocks[..., :4] = np.clip((np.frexp(np.abs(numbers.astype(np.float32)))[1] + 7) * 8, 0, 0x7E)[..., None]
    elif storage == "IQ1_M":
        bits = np.ascontiguousarray(numbers).astype("<f2").view("<u2")
        for part in range(4):
            blocks[..., 49 + 2 * part] = (blocks[..., 49 + 2 * part] & 0x0F) | ((bits >> (4 * part) & 15) << 4)
    else:
        begin = HALVES[storage][0] if place is None else place
        blocks[..., begin : begin + 2] = np.ascontiguousarray(numbers).astype("<f2")[..., None].view(np.uint8)


def expanded(storage: str, blocks: Array) -> Array:
    """The float32 elements of blocks, by GGUF's own library."""
    with np.errstate(all="ignore"):
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
