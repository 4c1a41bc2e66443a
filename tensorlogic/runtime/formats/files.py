"""Opening a model file: a regular file that can be read, or a clear refusal."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

from tensorlogic.runtime.errors import ModelFileError

OpenFiles = dict[Path, io.FileIO]
"""The files that a model lies in, by `TensorInfo.file`."""


def open_file(path: Path) -> io.FileIO:
    """Open for reading. A missing file, a folder, a pipe and a file without permission are refused by name."""
    try:
        # Asked before opening: opening a pipe waits for its other end.
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "no regular file"
            raise ModelFileError("TL4001", f"cannot open the model file `{path}`: it is {kind}")
        return open(path, "rb", buffering=0)
    except (OSError, ValueError) as error:
        if isinstance(error, ModelFileError):
            raise
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ModelFileError("TL4001", f"cannot open the model file `{path}`: {reason}") from None
