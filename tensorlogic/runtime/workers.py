"""How many threads work on the tensors of a model at once.

NumPy lets go of Python's lock while it works, so that threads share the cores. There are as many as the process may use
cores, by its affinity and by the quota of its control group, and at most eight: more only wait for the memory.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

MOST = 8
_GROUP = Path("/sys/fs/cgroup")


@cache
def count() -> int:
    """The number of threads that read."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, quota(_GROUP), MOST))


def quota(group: Path) -> int:
    """The cores that a control group gives at `group`, of either version; MOST where it gives all or says nothing."""
    try:
        if (group / "cpu.max").exists():
            share, period = (group / "cpu.max").read_text(encoding="ascii").split()
        else:
            share, period = (
                (group / "cpu" / name).read_text(encoding="ascii").strip()
                for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")
            )
        return MOST if share in ("max", "-1") else max(1, int(share) // int(period))
    except (OSError, ValueError, ZeroDivisionError):
        return MOST
