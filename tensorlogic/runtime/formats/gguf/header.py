"""The header of a GGUF file: its metadata, and where each tensor lies.

Takes an open file, gives its header. The format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md. Every
count and length is checked against the bytes that are left before it is used, so that no header makes this loop or
allocate for longer than the file is large. It is read, not mapped: a file that somebody shortens meanwhile gives an
error, where a mapping would end the process. Versions 2 and 3, little-endian, are read; others are refused by name.
Vocabularies are kept as bytes and decoded when they are asked for.
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from tensorlogic.runtime.formats.gguf import quick
from tensorlogic.runtime.formats.gguf.types import STORAGES
from tensorlogic.runtime.formats.header import (
    MAX_NAME_BYTES,
    MAX_RANK,
    MAX_TENSORS,
    FileHeader,
    MetadataValue,
    TensorInfo,
    check_regions,
    check_shape,
    damaged,
    shown,
    unsupported,
)

MAX_KEYS = 65_536
MAX_STRINGS = 4_000_000
"""In all arrays of a file. The largest vocabularies with their merges have under a million."""

MAX_HEADER_BYTES = 1 << 30
_FIRST_BYTES = 1 << 20
"""So much is read at first, which is the whole header of most models; then as much again, and so on."""

_SCALARS = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    7: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
_UINT32, _STRING, _ARRAY = 4, 8, 9
_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")


def read_gguf(file: io.FileIO, path: Path) -> FileHeader:
    """Read and check the whole header. Raises `ModelFileError` for anything the format does not allow."""
    cursor = _Cursor.of_file(file, path)
    _check_version(cursor)
    tensor_count = cursor.count(24, MAX_TENSORS, "tensors")
    key_count = cursor.count(13, MAX_KEYS, "metadata keys")
    metadata = _read_metadata(cursor, key_count)
    alignment = _alignment(path, metadata)
    tensors = _read_tensors(cursor, tensor_count, alignment)
    check_regions(path, tensors.values(), cursor.place + -cursor.place % alignment, cursor.size)
    return FileHeader("gguf", path, tensors, metadata)


def read_raw_metadata(file: io.FileIO, path: Path) -> dict[str, bytes]:
    """The metadata of a file whose header was read already: by its key, each value's type and bytes as they lie there.

    So it can be written again with its own types, which Python's numbers do not tell.
    """
    cursor = _Cursor.of_file(file, path)
    if cursor.size == 0:
        damaged(path, "it became empty after it was opened")
    _check_version(cursor)
    cursor.count(24, MAX_TENSORS, "tensors")
    return dict(_raw_value(cursor) for _ in range(cursor.count(13, MAX_KEYS, "metadata keys")))


def parse_raw_metadata(data: bytes, path: Path) -> dict[str, bytes]:
    """The same from metadata alone, one key and value after the other, of which nothing was checked yet."""
    cursor = _Cursor(data, len(data), path)
    raw: dict[str, bytes] = {}
    while cursor.place < len(data):
        key, value = _raw_value(cursor)
        if key in raw or len(raw) == MAX_KEYS:
            damaged(path, f"the metadata key `{shown(key)}` occurs twice, or is one too many")
        raw[key] = value
    return raw


def decoded(raw: Mapping[str, bytes], path: Path) -> Metadata:
    """The values of metadata whose types and bytes were read already, and checked by that."""
    return Metadata(path, {key: _Cursor(data, len(data), path).value(key) for key, data in raw.items()})


def raw_string(text: str) -> bytes:
    """A string as the format has it: its length, and its bytes."""
    data = text.encode()
    return _U64.pack(len(data)) + data


def _raw_value(cursor: _Cursor) -> tuple[str, bytes]:
    key = cursor.name("a metadata key")
    begin = cursor.place
    cursor.value(key)
    return key, cursor.data[begin : cursor.place]


def _check_version(cursor: _Cursor) -> None:
    cursor.take(4, "its magic number")
    version = cursor.number(_U32, "its version")
    if version in (2, 3):
        return
    if version & 0xFFFF == 0:
        unsupported(cursor.path, "it is a big-endian GGUF file, and only little-endian ones are read")
    unsupported(cursor.path, f"it is a GGUF file of version {version}, and only versions 2 and 3 are read")


def _read_metadata(cursor: _Cursor, count: int) -> Metadata:
    values: dict[str, MetadataValue | _Raw] = {}
    for _ in range(count):
        key = cursor.name("a metadata key")
        if key in values:
            damaged(cursor.path, f"the metadata key `{shown(key)}` occurs twice")
        values[key] = cursor.value(key)
    return Metadata(cursor.path, values)


def _alignment(path: Path, metadata: Mapping[str, MetadataValue]) -> int:
    alignment = metadata.get("general.alignment", 32)
    # `type`, since True is an int.
    if type(alignment) is not int or not 0 < alignment < 2**32 or alignment & (alignment - 1):
        damaged(path, f"its `general.alignment` is {shown(str(alignment))}, which is no power of two below 2**32")
    return alignment


def _read_tensors(cursor: _Cursor, count: int, alignment: int) -> dict[str, TensorInfo]:
    path = cursor.path
    # What an entry says of its offset is counted from the end of all entries, which is known only after the last.
    entries = [_read_entry(cursor) for _ in range(count)]
    start = cursor.place + -cursor.place % alignment
    tensors: dict[str, TensorInfo] = {}
    for name, shape, number, offset in entries:
        label = f"tensor `{shown(name)}`"
        if name in tensors:
            damaged(path, f"{label} occurs twice")
        storage = STORAGES.get(number)
        if storage is None:
            unsupported(path, f"{label} has the type {number}, which this version does not know")
        check_shape(path, name, shape)
        nbytes = storage.nbytes(shape)
        if nbytes is None:
            damaged(path, f"{label} of shape {list(shape)} has rows that are no whole blocks of {storage.name}")
        if offset % alignment:
            damaged(path, f"{label} begins at offset {offset}, which is not aligned to {alignment}")
        tensors[name] = TensorInfo(
            name,
            storage.name,
            shape,
            storage.dtype,
            start + offset,
            nbytes,
            path,
            storage.layout,
            storage.readable,
            is_quantized=storage.block_size > 1,
        )
    return tensors


def _read_entry(cursor: _Cursor) -> tuple[str, tuple[int, ...], int, int]:
    name = cursor.name("a tensor's name")
    rank = cursor.number(_U32, f"the rank of `{shown(name)}`")
    if rank > MAX_RANK:
        damaged(cursor.path, f"tensor `{shown(name)}` has {rank} dims; at most {MAX_RANK} are possible")
    # The file lists the fastest dim first.
    shape = tuple(cursor.number(_U64, f"the shape of `{shown(name)}`") for _ in range(rank))[::-1]
    number = cursor.number(_U32, f"the type of `{shown(name)}`")
    return name, shape, number, cursor.number(_U64, f"the offset of `{shown(name)}`")


@dataclass(frozen=True, slots=True)
class _Raw:
    """A string or an array as the file has it: `count` elements of type `kind`; a string is an array of one."""

    kind: int
    count: int
    data: bytes
    is_array: bool


class Metadata(Mapping[str, MetadataValue]):
    """The metadata of one file. Strings and arrays are decoded when they are first asked for."""

    def __init__(self, path: Path, values: dict[str, MetadataValue | _Raw]) -> None:
        self._path = path
        self._values = values

    def __getitem__(self, key: str) -> MetadataValue:
        value = self._values[key]
        if isinstance(value, _Raw):
            value = self._values[key] = self._decode(key, value)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: object) -> bool:
        # What is inherited would decode the value.
        return key in self._values

    def raw_strings(self, key: str) -> tuple[bytes, int] | None:
        """A list of strings as the file has it, and how many they are, as long as nobody asked for them decoded."""
        value = self._values.get(key)
        if isinstance(value, _Raw) and value.kind == _STRING and value.is_array:
            return value.data, value.count
        return None

    def without(self, *keys: str) -> Metadata:
        """The same metadata less these keys."""
        return Metadata(self._path, {key: value for key, value in self._values.items() if key not in keys})

    def _decode(self, key: str, packed: _Raw) -> MetadataValue:
        if packed.kind != _STRING:
            code = _SCALARS[packed.kind].format[-1:]
            return cast("tuple[MetadataValue, ...]", struct.unpack(f"<{packed.count}{code}", packed.data))
        strings: list[str] = []
        if quick.kernels is not None and packed.is_array:
            with contextlib.suppress(UnicodeDecodeError):
                return tuple(quick.kernels.strings(packed.data, packed.count))
        end, data, length = 0, packed.data, _U64.unpack_from
        try:
            for _ in range(packed.count):
                begin = end + 8
                end = begin + length(data, end)[0]
                strings.append(str(data[begin:end], "utf-8"))
        except UnicodeDecodeError:
            damaged(self._path, f"string {len(strings)} of the metadata key `{shown(key)}` is no valid UTF-8")
        return tuple(strings) if packed.is_array else strings[0]


class _Cursor:
    """Reads a header from left to right, and never past its end. `data` is what of it was read so far."""

    def __init__(self, data: bytes, size: int, path: Path, file: io.FileIO | None = None) -> None:
        self.data = data
        self.size = size
        self.path = path
        self.file = file
        self.place = 0
        self.strings = 0

    @classmethod
    def of_file(cls, file: io.FileIO, path: Path) -> _Cursor:
        """A cursor over an open file."""
        return cls(b"", os.fstat(file.fileno()).st_size, path, file)

    def read_on(self, end: int) -> bytes:
        """What was read, up to `end` at least, which the file has."""
        assert self.file is not None, "all of what is no file is there"
        if end > MAX_HEADER_BYTES:
            unsupported(self.path, f"its header has more than {MAX_HEADER_BYTES} bytes")
        have = len(self.data)
        wanted = min(max(end, 2 * have, _FIRST_BYTES), self.size) - have
        more = os.pread(self.file.fileno(), wanted, have)
        if len(more) < end - have:
            damaged(self.path, "it became shorter while it was read")
        self.data += more
        return self.data

    def take(self, count: int, what: str) -> int:
        """Step over `count` bytes; gives where they begin."""
        begin = self.place
        if count > self.size - begin:
            damaged(self.path, f"it ends at byte {self.size}, before the end of {what}")
        self.place = begin + count
        if self.place > len(self.data):
            self.read_on(self.place)
        return begin

    def number(self, form: struct.Struct, what: str) -> int:
        begin = self.take(form.size, what)
        value = form.unpack_from(self.data, begin)[0]
        assert isinstance(value, int)
        return value

    def count(self, least_bytes: int, most: int, what: str) -> int:
        """A number of things that have at least `least_bytes` bytes each."""
        count = self.number(_U64, f"the number of {what}")
        if count * least_bytes > self.size - self.place:
            damaged(self.path, f"it is said to hold {count} {what}, but only {self.size - self.place} bytes follow")
        if count > most:
            unsupported(self.path, f"it holds {count} {what}; at most {most} are read")
        return count

    def name(self, what: str) -> str:
        length = self.number(_U64, what)
        if length > MAX_NAME_BYTES:
            damaged(self.path, f"{what} at byte {self.place} has {length} bytes; at most {MAX_NAME_BYTES} are possible")
        begin = self.take(length, what)
        try:
            return self.data[begin : self.place].decode()
        except UnicodeDecodeError:
            damaged(self.path, f"{what} at byte {begin} is no valid UTF-8")

    def value(self, key: str) -> MetadataValue | _Raw:
        what = f"the value of `{shown(key)}`"
        kind = self.number(_U32, what)
        if kind == _STRING:
            return self._strings(1, what, is_array=False)
        if kind == _ARRAY:
            return self._array(what)
        form = self._scalar(kind, what)
        begin = self.take(form.size, what)
        return cast("int | float | bool", form.unpack_from(self.data, begin)[0])

    def _array(self, what: str) -> _Raw:
        kind = self.number(_U32, what)
        count = self.number(_U64, what)
        if kind == _ARRAY:
            unsupported(self.path, f"{what} is an array of arrays, which is not read")
        if kind == _STRING:
            return self._strings(count, what, is_array=True)
        begin = self.take(count * self._scalar(kind, what).size, what)
        return _Raw(kind, count, self.data[begin : self.place], True)

    def _scalar(self, kind: int, what: str) -> struct.Struct:
        form = _SCALARS.get(kind)
        if form is None:
            damaged(self.path, f"{what} has the type {kind}, which the format does not know")
        return form

    def _strings(self, count: int, what: str, *, is_array: bool) -> _Raw:
        self.strings += count
        if count * 8 > self.size - self.place:
            damaged(
                self.path, f"{what} is said to hold {count} strings, but only {self.size - self.place} bytes follow"
            )
        if self.strings > MAX_STRINGS:
            unsupported(self.path, f"its metadata holds more than {MAX_STRINGS} strings")
        begin = place = self.place
        # What decides how fast a model opens: a vocabulary and its merges are 100,000 strings.
        skip = _skip_strings if quick.kernels is None else quick.kernels.skip_strings
        left = count
        while left:
            if place > self.size - 8:
                damaged(self.path, f"it ends at byte {self.size}, before the end of {what}")
            data = self.data if place <= len(self.data) - 8 else self.read_on(place + 8)
            place, left = skip(data, place, left)
        self.take(place - begin, what)
        return _Raw(_STRING, count, self.data[begin : self.place], is_array)


def _skip_strings(data: bytes, place: int, count: int) -> tuple[int, int]:
    """As our kernels do it: where `count` strings end, and how many of them begin behind the data."""
    length_at, last = _U64.unpack_from, len(data) - 8
    while count and place <= last:
        place += 8 + length_at(data, place)[0]
        count -= 1
    return place, count
