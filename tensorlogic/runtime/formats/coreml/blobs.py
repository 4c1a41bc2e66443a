"""The file of weights beside a Core ML program: `weights/weight.bin` of an `.mlpackage`.

A header of 64 bytes (a count, the version 2), then runs of bytes, each behind a record of 64 bytes: the sentinel
0xDEADBEEF, a data type, the run's size and its place in the file. The program names a weight by the place of its
record. The format: https://github.com/apple/coremltools/blob/main/mlmodel/src/MILBlob/Blob/StorageFormat.hpp.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

from tensorlogic.runtime.formats.coreml.recipes import BITS
from tensorlogic.runtime.formats.files import OpenFiles, open_file
from tensorlogic.runtime.formats.folder import check_inside
from tensorlogic.runtime.formats.header import damaged, shown, unsupported

_HEADER = struct.Struct("<II")
_RECORD = struct.Struct("<IIQQQ")
_RECORD_BYTES = 64
_SENTINEL = 0xDEADBEEF
_TYPES = {
    1: "F16",
    2: "F32",
    3: "U8",
    4: "I8",
    5: "BF16",
    6: "I16",
    7: "U16",
    8: "I4",
    9: "U1",
    10: "U2",
    11: "U4",
    12: "U3",
    13: "U6",
    14: "I32",
    15: "U32",
    16: "F8_E4M3",
    17: "F8_E5M2",
}
_MODEL_PATH = "@model_path/"


class Blobs:
    """The weight files that the program in `folder` names. They lie in that folder, of which `root` is the package."""

    def __init__(self, folder: Path, root: Path, files: OpenFiles) -> None:
        self.folder = folder
        self.root = root
        self.files = files
        self._paths: dict[str, Path] = {}
        self._sizes: dict[Path, int] = {}

    def find(self, name: str, offset: int, kind: str, what: str) -> tuple[Path, int, int]:
        """The file, the place and the size of the run whose record is at `offset`, for the tensor `what`.

        Raises `ModelFileError` (TL4001, TL4003, TL4004) where the file or the record is not what it must be.
        """
        path = self._path(name)
        size = self._opened(path)
        if offset < _RECORD_BYTES or offset % _RECORD_BYTES or offset > size - _RECORD_BYTES:
            damaged(path, f"the record of tensor `{what}` would be at byte {offset}, and the file has {size} bytes")
        record = os.pread(self.files[path].fileno(), _RECORD.size, offset)
        if len(record) < _RECORD.size:
            damaged(path, f"the record of tensor `{what}` is cut off")
        sentinel, type, nbytes, start, padding = _RECORD.unpack(record)
        if sentinel != _SENTINEL:
            damaged(path, f"there is no record at byte {offset}, where tensor `{what}` should have one")
        found = _TYPES.get(type, f"type {type}")
        if found != kind:
            damaged(path, f"the record of tensor `{what}` says {found}, and the program says {kind}")
        if start > size or nbytes > size - start:
            damaged(path, f"tensor `{what}` lies at bytes {start} to {start + nbytes}, but the file has {size} bytes")
        if BITS[kind] >= 8 and padding:
            damaged(path, f"the record of tensor `{what}` has {padding} bits of padding in elements of whole bytes")
        return path, start, nbytes

    def _path(self, name: str) -> Path:
        """The path of a weight file; it may not lead out of the package, neither by its name nor by a link."""
        if name in self._paths:
            return self._paths[name]
        inner = name.removeprefix(_MODEL_PATH)
        if not name.startswith(_MODEL_PATH) or not is_inner(inner):
            damaged(self.folder, f"it names the weight file `{shown(name)}`, which is no file of its own")
        path = self.folder / inner
        check_inside(self.root, path)
        self._paths[name] = path
        return path

    def _opened(self, path: Path) -> int:
        """The size of the file, which is open and has the header of the format from then on."""
        size = self._sizes.get(path)
        if size is not None:
            return size
        if path not in self.files:
            self.files[path] = open_file(path)
        file = self.files[path]
        head = os.pread(file.fileno(), _HEADER.size, 0)
        size = os.fstat(file.fileno()).st_size
        if len(head) < _HEADER.size or size < _RECORD_BYTES:
            damaged(path, "it is too short for a file of weights")
        _, version = _HEADER.unpack(head)
        if version != 2:
            unsupported(path, f"it is a file of weights of version {version}, and only version 2 is read")
        self._sizes[path] = size
        return size


def is_inner(name: str) -> bool:
    """Whether a name from a file is a path below the folder that it counts from, which a message may show."""
    parts = name.split("/")
    return name.isprintable() and len(name) < 256 and "\\" not in name and not {"", ".", ".."} & set(parts)
