"""Writing a file that appears whole or not at all.

The bytes go to a new file beside the target, reach the disk, and then take the target's name in one step, so that a
full disk, an interrupt or a crash leaves an older file as it was. Readers that have the older file open go on reading
it. What a killed process left behind is removed by the next one that writes into the same folder: the new file is
locked while it is written, so one that can be locked by others is nobody's.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tensorlogic.runtime.errors import ModelFileError

_OURS = re.compile(r"\.tensorlogic-[0-9a-f]{16}\.tmp")


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file that takes `path`'s place when the block ends well, and is removed when it does not.

    A link stays a link, and the new file has the permissions of the older one. Raises `ModelFileError` (TL4012) where
    the file cannot be written.
    """
    try:
        target = Path(os.path.realpath(path))
        mode = _mode_of(path, target)
        remove_leftovers(target.parent)
        temporary, file = _new_file(target.parent)
        try:
            with file:
                yield file
                file.flush()
                os.fsync(file.fileno())
                if mode is not None:
                    os.chmod(temporary, mode)
                # Renamed while it is locked, so that nobody can take it for a left-over.
                os.replace(temporary, target)
            _sync_folder(target.parent)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
    except (OSError, ValueError) as error:
        if isinstance(error, ModelFileError):
            raise
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ModelFileError("TL4012", f"cannot save `{path}`: {reason}") from None


def remove_leftovers(folder: Path) -> None:
    """Remove the unfinished files of processes that were killed. What cannot be removed stays, without a word."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _OURS.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with contextlib.suppress(OSError), open(entry.path, "rb") as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    os.unlink(entry.path)


def _new_file(folder: Path) -> tuple[Path, BinaryIO]:
    """A new file, locked. Where the file system has no locks, it is never taken for a left-over either."""
    while True:
        path = folder / f".tensorlogic-{secrets.token_hex(8)}.tmp"
        file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb")
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX)
        # Another process may have seen it before it was locked, and removed it.
        if path.exists():
            return path, file
        file.close()


def _mode_of(path: Path, target: Path) -> int | None:
    """The permissions of the file that is replaced, if there is one; a folder or a device is not replaced."""
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(mode):
        raise ModelFileError("TL4012", f"cannot save `{path}`: it is there already, and no regular file")
    return stat.S_IMODE(mode)


def _sync_folder(folder: Path) -> None:
    """The new name reaches the disk, too."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
