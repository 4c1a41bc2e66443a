"""Writing a safetensors file, which appears whole or not at all.

Takes named arrays and the file's metadata. The bytes go to a new file beside the target, reach the disk, and then take
the target's name in one step, so that a full disk, an interrupt or a crash leaves an older file as it was. Equal
arguments make equal bytes.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tensorlogic.runtime.errors import ModelFileError

_ALIGNMENT = 8


@dataclass(frozen=True, slots=True)
class Part:
    """One tensor to write: `content()` gives its `nbytes` bytes, in row-major order, when it is its turn."""

    name: str
    storage: str
    shape: tuple[int, ...]
    item_bytes: int
    nbytes: int
    content: Callable[[], memoryview]


def write_safetensors(path: Path, parts: Sequence[Part], metadata: Mapping[str, str]) -> None:
    """Write all parts. Raises `ModelFileError` (TL4012) where the file cannot be written."""
    # Wide elements first, as the format's reference writer does: every tensor then lies at a multiple of its element.
    ordered = sorted(parts, key=lambda part: (-part.item_bytes, part.name))
    members: dict[str, object] = {"__metadata__": dict(sorted(metadata.items()))}
    place = 0
    for part in ordered:
        offsets = [place, place + part.nbytes]
        members[part.name] = {"dtype": part.storage, "shape": list(part.shape), "data_offsets": offsets}
        place += part.nbytes
    header = json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode()
    header += b" " * (-len(header) % _ALIGNMENT)
    with _replacing(path) as file:
        file.write(len(header).to_bytes(8, "little"))
        file.write(header)
        for part in ordered:
            content = part.content()
            assert content.nbytes == part.nbytes, "the header says how many bytes follow"
            file.write(content)


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file that takes `path`'s place when the block ends well, and is removed when it does not."""
    try:
        target = Path(os.path.realpath(path))
        temporary = target.parent / f".tensorlogic-{secrets.token_hex(8)}.tmp"
        mode = _mode_of(path, target)
        try:
            with open(temporary, "xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            if mode is not None:
                os.chmod(temporary, mode)
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
