"""The headers of the model files that a script opens by a path known while it is checked.

Takes paths as the script gives them, relative to the working directory as at run time. Gives each file's header, read
once, or None for a file that is not there or cannot be opened, and for a folder without a model: of those run time
tells. Raises `ModelFileError` for a file that is there and damaged, or in no known format: the script cannot open it
either. Reads no tensor.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tensorlogic.compiler.check.file_values import Use

if TYPE_CHECKING:
    from tensorlogic.runtime.formats import FileHeader

_NOT_OPENED, _NO_FORMAT = "TL4001", "TL4002"


class Headers:
    """The headers of one check, and what the program asked of each file."""

    def __init__(self) -> None:
        self.uses: dict[str, Use] = {}
        self._read: dict[str, FileHeader | None] = {}
        self._written: set[str] = set()
        self._trusted = True

    def open(self, path: str) -> tuple[FileHeader, Use] | None:
        """The header at a path, and the record of its use."""
        if not self._trusted or "\0" in path or self._may_be_written(path):
            return None
        if path not in self._read:
            self._read[path] = None
            self._read[path] = _header(path)
        header = self._read[path]
        if header is None:
            return None
        return header, self.uses.setdefault(path, Use(path, header.format))

    def save(self, path: str | None) -> None:
        """The script writes a file before it goes on: what is there now will not be there when it is opened."""
        if path is None or "\0" in path:
            self.distrust()
        else:
            self._written.add(os.path.realpath(path))

    def distrust(self) -> None:
        """The script may write any file."""
        self._trusted = False

    def _may_be_written(self, path: str) -> bool:
        """Whether a file was written that is this one, or beside it, where its further parts are, or in its folder."""
        if not self._written:
            return False
        own = os.path.realpath(path)
        return any(os.path.dirname(written) in (os.path.dirname(own), own) for written in self._written)


def _header(path: str) -> FileHeader | None:
    # Here, since a script that opens no model by a literal path needs no format.
    from tensorlogic.runtime.formats import ModelFileError, read_header

    try:
        return read_header(path)
    except ModelFileError as problem:
        empty_folder = problem.code == _NO_FORMAT and os.path.isdir(path or ".")
        if problem.code == _NOT_OPENED or empty_folder:
            return None
        raise
