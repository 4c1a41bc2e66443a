"""Writing a GGUF file, one tensor at a time.

Takes metadata as encoded values, and the names and shapes of what is to come. `gguf.GGUFWriter` is not used: it opens
the target itself, so that the file could not appear whole or not at all; it wants each tensor's type before the first
one is made, which only the values decide here; and it encodes metadata anew that a file has already. An entry of the
table has the same length whatever the type, so the table is written last, into the room that was left for it. The
format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.

What ggml's own reader refuses (`gguf_init_from_file`), or would end its process, is refused before anything is written
(TL4030): names of 64 bytes or more, more than four dims, and tensors without elements.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats.gguf.header import raw_string
from tensorlogic.runtime.formats.gguf.types import STORAGES
from tensorlogic.runtime.formats.header import MetadataValue, shown
from tensorlogic.runtime.formats.replacing import replacing

_VERSION = 3
_MAX_NAME_BYTES = 63
_MAX_RANK = 4
_NUMBERS = {storage.name: number for number, storage in STORAGES.items()}
_U32, _I64, _F32, _BOOL, _STRING, _ARRAY, _U64, _F64 = 4, 11, 6, 7, 8, 9, 10, 12
_FORMS = {_U32: "I", _I64: "q", _F32: "f", _BOOL: "?", _U64: "Q", _F64: "d"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A tensor to write: `make()` gives its storage type and, in pieces, its bytes when it is its turn."""

    name: str
    shape: tuple[int, ...]
    make: Callable[[], tuple[str, Iterable[bytes | memoryview]]]


def write_gguf(path: Path, metadata: Mapping[str, bytes], entries: Sequence[Entry], alignment: int) -> None:
    """Write the file. `metadata` has encoded values, `alignment` is what its `general.alignment` says, or 32.

    Raises `ModelFileError` where the file cannot be written (TL4012), for what has no place in it (TL4030), and
    whatever making a tensor raises.
    """
    for entry in entries:
        _check(path, entry)
    keys = b"".join(raw_string(key) + value for key, value in metadata.items())
    front = b"GGUF" + struct.pack("<IQQ", _VERSION, len(entries), len(metadata)) + keys
    table_bytes = sum(len(_row(entry, 0, 0)) for entry in entries)
    start = len(front) + table_bytes
    start += -start % alignment
    rows: list[bytes] = []
    place = 0
    with replacing(path) as file:
        file.seek(start)
        for entry in entries:
            storage, pieces = entry.make()
            rows.append(_row(entry, _NUMBERS[storage], place))
            written = 0
            for piece in pieces:
                written += file.write(piece)
            assert written == STORAGES[_NUMBERS[storage]].nbytes(entry.shape), "a tensor has the bytes of its type"
            padding = -written % alignment
            file.write(bytes(padding))
            place += written + padding
        file.seek(0)
        file.write(front + b"".join(rows))
        # Without tensors, nothing has been written behind the table.
        file.truncate(start + place)


def _check(path: Path, entry: Entry) -> None:
    name = f"`{shown(entry.name)}`"
    length = len(entry.name.encode())
    if length > _MAX_NAME_BYTES:
        _refuse(path, f"the tensor name {name} has {length} bytes; llama.cpp reads names of at most {_MAX_NAME_BYTES}")
    if len(entry.shape) > _MAX_RANK:
        _refuse(path, f"{name} has {len(entry.shape)} dims; a GGUF tensor has at most {_MAX_RANK}")
    if 0 in entry.shape:
        _refuse(path, f"{name} has the shape {list(entry.shape)}; llama.cpp reads no tensor without elements")


def _refuse(path: Path, what: str) -> NoReturn:
    raise ModelFileError("TL4030", f"cannot save `{path}`: {what}", helps=["save it as `.safetensors`"])


def _row(entry: Entry, number: int, offset: int) -> bytes:
    """An entry of the table; the file lists the fastest dim first."""
    dims = struct.pack(f"<I{len(entry.shape)}Q", len(entry.shape), *reversed(entry.shape))
    return raw_string(entry.name) + dims + struct.pack("<IQ", number, offset)


def encoded(value: MetadataValue) -> bytes:
    """A value of metadata as GGUF writes it: its type, and its bytes.

    Whole numbers are uint32 where they fit, else int64 or uint64, and other numbers float32 where that is exact, else
    float64. The items of a list become one type; a list of lists, or of more than one kind, becomes its text in JSON.
    """
    kind = _kind((value,))
    if isinstance(value, tuple):
        kind = _kind(value)
        if kind is None or kind == _ARRAY:
            return encoded(json.dumps(value, ensure_ascii=False))
        return struct.pack("<IIQ", _ARRAY, kind, len(value)) + b"".join(_payload(kind, item) for item in value)
    if kind is None:
        return encoded(str(value))
    return struct.pack("<I", kind) + _payload(kind, value)


def _payload(kind: int, value: MetadataValue) -> bytes:
    return raw_string(value) if isinstance(value, str) else struct.pack(f"<{_FORMS[kind]}", value)


def _kind(values: Sequence[MetadataValue]) -> int | None:
    """The type that holds all values exactly, None where there is none."""
    kinds = {type(value) for value in values}
    if kinds == {bool}:
        return _BOOL
    if kinds == {str}:
        return _STRING
    if kinds == {tuple}:
        return _ARRAY
    if kinds <= {int}:
        numbers = [value for value in values if isinstance(value, int)]
        ranges = ((_U32, 0, 2**32), (_I64, -(2**63), 2**63), (_U64, 0, 2**64))
        return next((kind for kind, low, high in ranges if all(low <= n < high for n in numbers)), None)
    if kinds <= {int, float}:
        floats = [float(value) for value in values if isinstance(value, (int, float))]
        return _F32 if all(_is_float32(number) for number in floats) else _F64
    return None


def _is_float32(number: float) -> bool:
    try:
        kept = struct.unpack("<f", struct.pack("<f", number))[0]
    except OverflowError:
        return False
    return bool(kept == number) or number != number
