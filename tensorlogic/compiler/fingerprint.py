"""What the compiler is, as a short text: its version and its own files.

Caches keep it beside what they hold, so that nothing made by another compiler is taken for this one's.
"""

from __future__ import annotations

import hashlib
import os
import sys
from functools import cache
from pathlib import Path

from tensorlogic._version import __version__

_PACKAGE = Path(__file__).resolve().parent.parent


@cache
def fingerprint() -> str:
    """The version, with a hash of the names, sizes and times of the compiler's and the library's files."""
    state = hashlib.sha256(f"{__version__} {sys.version}".encode())
    for folder in (_PACKAGE / "compiler", _PACKAGE / "stdlib"):
        for path in sorted(_files(folder)):
            status = os.stat(path)
            state.update(f"{path} {status.st_size} {status.st_mtime_ns}".encode())
    return f"{__version__}-{state.hexdigest()[:16]}"


def _files(folder: Path) -> list[str]:
    found: list[str] = []
    for base, folders, names in os.walk(folder):
        folders[:] = [f for f in folders if f != "__pycache__"]
        found += [os.path.join(base, n) for n in names if n.endswith((".py", ".tl"))]
    return found
