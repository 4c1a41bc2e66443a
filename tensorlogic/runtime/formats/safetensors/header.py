"""The header of a safetensors file: eight bytes of length, then one flat JSON object.

Takes an open file, gives its header. The format (https://huggingface.co/docs/safetensors) allows so little JSON that
a scanner for exactly that much is shorter than the checks a general parser's result would need, cannot recurse, and
knows at which byte it stopped. As the format's reference reader does, it refuses gaps between tensors, bytes after
the last one, and tensors whose shape does not make their byte count.
"""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NoReturn

from tensorlogic.runtime.formats.header import (
    MAX_NAME_BYTES,
    MAX_RANK,
    MAX_TENSORS,
    FileHeader,
    MetadataValue,
    PackedLayout,
    Storage,
    TensorInfo,
    check_regions,
    check_shape,
    damaged,
    shown,
    unsupported,
)
from tensorlogic.runtime.formats.safetensors.triples import AFFINE_BITS, AFFINE_GROUPS, LAYOUTS_KEY, MODED_LAYOUTS

MAX_HEADER_BYTES = 50_000_000
"""Half a million tensors. Text in memory may take four times its bytes, so this bounds a hostile header too."""
MAX_KEYS = 65_536
"""Of the metadata. A header full of them took seconds to read."""

_FLOAT, _INT, _BOOL = "float16", "int32", "bool"
STORAGES = {
    storage.name: storage
    for storage in (
        Storage("F64", _FLOAT, 1, 8),
        Storage("F32", _FLOAT, 1, 4),
        Storage("F16", _FLOAT, 1, 2),
        Storage("BF16", _FLOAT, 1, 2),
        Storage("I64", _INT, 1, 8),
        Storage("I32", _INT, 1, 4),
        Storage("I16", _INT, 1, 2),
        Storage("I8", _INT, 1, 1),
        Storage("U64", _INT, 1, 8),
        Storage("U32", _INT, 1, 4),
        Storage("U16", _INT, 1, 2),
        Storage("U8", _INT, 1, 1),
        Storage("BOOL", _BOOL, 1, 1),
        Storage("F8_E5M2", _FLOAT, 1, 1),
        Storage("F8_E4M3", _FLOAT, 1, 1),
        Storage("F8_E8M0", _FLOAT, 1, 1),
        Storage("F6_E2M3", _FLOAT, 4, 3, readable=False),
        Storage("F6_E3M2", _FLOAT, 4, 3, readable=False),
        Storage("F4", _FLOAT, 2, 1, readable=False),
        Storage("C64", _FLOAT, 1, 8, readable=False),
    )
}

_NOTED_GROUPS = (16, *AFFINE_GROUPS)
"""Groups of 16 are what some blocks of GGUF become; MLX expands them, and makes none."""

_SPACE = re.compile(rb"[ \t\r\n]*+")
_STRING = re.compile(rb'[ \t\r\n]*+"([^"\\\x00-\x1f]*+(?:\\.[^"\\\x00-\x1f]*+)*+)"', re.DOTALL)
_NUMBERS = re.compile(rb"[ \t\r\n]*+\[([ \t\r\n0-9,]*+)\]")
_MODED = re.compile(rb'[ \t\r\n]*+\[([0-9]{1,3}), ([0-9]{1,3}), "([a-z0-9]{1,20})"\]')
_NUMBER = re.compile(rb"[ \t\r\n]*+(?:0|[1-9][0-9]{0,19})[ \t\r\n]*+")


def read_safetensors(file: io.FileIO, path: Path) -> FileHeader:
    """Read and check the whole header. Raises `ModelFileError` for anything the format does not allow."""
    size = os.fstat(file.fileno()).st_size
    if size < 8:
        damaged(path, f"it has {size} bytes, and a safetensors file begins with the 8 bytes of its header's length")
    length = int.from_bytes(os.pread(file.fileno(), 8, 0), "little")
    if length > size - 8:
        damaged(path, f"its header is said to have {length} bytes, but {size - 8} follow")
    if length > MAX_HEADER_BYTES:
        unsupported(path, f"its header has {length} bytes; at most {MAX_HEADER_BYTES} are read")
    text = os.pread(file.fileno(), length, 8)
    if len(text) != length:
        damaged(path, "it became shorter while it was read")
    scanner = _Scanner(text, path)
    tensors, metadata = _read_members(scanner, path, 8 + length)
    place = 8 + length
    for info in check_regions(path, tensors.values(), 8 + length, size):
        if info.offset != place:
            damaged(path, f"no tensor claims the {info.offset - place} bytes before `{shown(info.name)}`")
        place = info.offset + info.nbytes
    if place != size:
        damaged(path, f"no tensor claims its last {size - place} bytes")
    return FileHeader("safetensors", path, tensors, metadata)


def _read_members(scanner: _Scanner, path: Path, start: int) -> tuple[dict[str, TensorInfo], dict[str, MetadataValue]]:
    tensors: dict[str, TensorInfo] = {}
    metadata: dict[str, MetadataValue] = {}
    for name in scanner.members():
        if name == "__metadata__":
            # MLX writes null where there is none.
            if not scanner.accept(b"null"):
                for key in scanner.members():
                    if len(metadata) == MAX_KEYS:
                        unsupported(path, f"its metadata has more than {MAX_KEYS} keys")
                    metadata[key] = scanner.string()
            continue
        if len(tensors) == MAX_TENSORS:
            unsupported(path, f"it holds more than {MAX_TENSORS} tensors")
        tensors[name] = _read_tensor(scanner, path, name, start)
    scanner.finish()
    return tensors, metadata


def _read_tensor(scanner: _Scanner, path: Path, name: str, start: int) -> TensorInfo:
    label = f"tensor `{shown(name)}`"
    if len(name.encode()) > MAX_NAME_BYTES:
        damaged(path, f"the name of {label} has more than {MAX_NAME_BYTES} bytes")
    dtype: str | None = None
    shape: tuple[int, ...] | None = None
    offsets: tuple[int, ...] | None = None
    for key in scanner.members():
        if key == "dtype":
            dtype = scanner.string()
        elif key == "shape":
            shape = scanner.integers(f"the shape of {label}", MAX_RANK)
        elif key == "data_offsets":
            offsets = scanner.integers(f"`data_offsets` of {label}", 2)
        else:
            damaged(path, f"{label} has a member `{shown(key)}`, which the format does not know")
    if dtype is None or shape is None or offsets is None:
        damaged(path, f"{label} lacks one of `dtype`, `shape` and `data_offsets`")
    storage = STORAGES.get(dtype)
    if storage is None:
        unsupported(path, f"{label} has the type `{shown(dtype)}`, which this version does not know")
    check_shape(path, name, shape)
    if len(offsets) != 2 or offsets[0] > offsets[1]:
        damaged(path, f"{label} has the data offsets {list(offsets)}, which are no first and last byte")
    nbytes = offsets[1] - offsets[0]
    if storage.nbytes(shape) != nbytes:
        damaged(path, f"{label} has {nbytes} bytes, which is not what {dtype} of shape {list(shape)} takes")
    return TensorInfo(name, dtype, shape, storage.dtype, start + offsets[0], nbytes, path, None, storage.readable)


def noted_layouts(path: Path, metadata: Mapping[str, MetadataValue]) -> dict[str, PackedLayout]:
    """The packed layouts that `save_model` noted in the metadata of a file, by tensor name."""
    noted = metadata.get(LAYOUTS_KEY)
    if noted is None:
        return {}
    assert isinstance(noted, str), "metadata of a safetensors file is text"
    scanner = _Scanner(noted.encode(), path)
    layouts = {}
    for name in scanner.members():
        layout = scanner.moded_layout()
        if layout is not None:
            if layout not in MODED_LAYOUTS:
                told = f"{layout.bits} bits in groups of {layout.group_size} in the mode {layout.mode}"
                damaged(path, f"its metadata gives `{shown(name)}` {told}, which MLX does not pack")
            layouts[name] = layout
            continue
        numbers = scanner.integers(f"the quantization of `{shown(name)}`", 2)
        if len(numbers) != 2 or numbers[0] not in AFFINE_BITS or numbers[1] not in _NOTED_GROUPS:
            damaged(path, f"its metadata gives `{shown(name)}` {list(numbers)}, which are no bits and group size")
        layouts[name] = PackedLayout(numbers[0], numbers[1])
    scanner.finish()
    return layouts


class _Scanner:
    """Reads the JSON of a header from left to right. Every method leaves `place` after what it took."""

    def __init__(self, text: bytes, path: Path) -> None:
        self.text = text
        self.path = path
        self.place = 0

    def members(self) -> Iterator[str]:
        """The keys of an object. The caller takes each key's value before it asks for the next key."""
        self._take(b"{")
        if self.accept(b"}"):
            return
        seen = set()
        while True:
            key = self.string()
            if key in seen:
                damaged(self.path, f"`{shown(key)}` occurs twice in its header")
            seen.add(key)
            self._take(b":")
            yield key
            if self.accept(b"}"):
                return
            self._take(b",")

    def string(self) -> str:
        match = _STRING.match(self.text, self.place)
        if match is None:
            self._fail("a string")
        try:
            text = match[1].decode()
            if "\\" in text:
                text = str(json.loads(f'"{text}"'))
                # A lone surrogate, which an escape can write, is no text: it cannot be printed or saved again.
                text.encode()
        except ValueError:
            self._fail("a string of valid UTF-8")
        self.place = match.end()
        return text

    def integers(self, what: str, most: int) -> tuple[int, ...]:
        match = _NUMBERS.match(self.text, self.place)
        if match is None:
            self._fail(f"a list of whole numbers for {what}")
        inside = match[1]
        if inside.count(b",") >= most:
            damaged(self.path, f"{what} has more than {most} numbers")
        parts = inside.split(b",") if inside.strip() else []
        if not all(_NUMBER.fullmatch(part) for part in parts):
            self._fail(f"a list of whole numbers for {what}")
        self.place = match.end()
        return tuple(int(part) for part in parts)

    def moded_layout(self) -> PackedLayout | None:
        """A list of bits, group size and mode, as `save_model` writes it; None where something else is next."""
        match = _MODED.match(self.text, self.place)
        if match is None:
            return None
        self.place = match.end()
        return PackedLayout(int(match[1]), int(match[2]), match[3].decode())

    def finish(self) -> None:
        """Only the spaces that align the data may follow."""
        self._skip_space()
        if self.place != len(self.text):
            self._fail("the end")

    def _skip_space(self) -> None:
        match = _SPACE.match(self.text, self.place)
        assert match is not None, "the pattern matches nothing, too"
        self.place = match.end()

    def accept(self, word: bytes) -> bool:
        """Take `word` if it is next."""
        if not self.text.startswith(word, self.place):
            self._skip_space()
            if not self.text.startswith(word, self.place):
                return False
        self.place += len(word)
        return True

    def _take(self, char: bytes) -> None:
        if not self.accept(char):
            self._fail(f"`{char.decode()}`")

    def _fail(self, expected: str) -> NoReturn:
        self._skip_space()
        found = self.text[self.place : self.place + 12].decode(errors="replace")
        what = f"`{shown(found)}`" if found else "its end"
        damaged(self.path, f"its header has {what} at byte {8 + self.place}, where {expected} should be")
