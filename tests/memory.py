"""What the system counts of a process's memory, for tests of what is held."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

_COUNTED = Path("/proc/self/statm")
IS_COUNTED = sys.platform == "linux"
WHY_NOT = "the system tells the memory of a process by a file of Linux's"


def resident() -> int:
    """The bytes of this process in memory; only where `IS_COUNTED`."""
    return int(_COUNTED.read_text(encoding="ascii").split()[1]) * resource.getpagesize()
