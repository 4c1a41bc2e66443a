"""How many threads read tensors at once, and the reading of many of them in order.

NumPy lets go of Python's lock while it works, so that threads share the cores. There are as many as the process may use
cores, by its affinity and by the quota of its control group, and at most eight: more only wait for the memory.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path
from threading import Event
from typing import Any

from tensorlogic.runtime.formats.pieces import told
from tensorlogic.runtime.packed import Tensor
from tensorlogic.runtime.reading import Job

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


def read_in_order(jobs: Iterable[Job[Any]], threads: int) -> Iterator[tuple[Tensor, int]]:
    """What each job gives, in order. At most one job for each thread has begun and is not handed over yet."""
    if threads == 1:
        yield from (job.finish(job.fill()) for job in jobs)
        return
    given_up = Event()
    with ThreadPoolExecutor(threads, "tensorlogic-read") as pool:
        waiting: deque[tuple[Job[Any], Future[Any]]] = deque()
        try:
            for job in jobs:
                waiting.append((job, pool.submit(_fill, job, given_up)))
                # `jobs` begins the next one only after this.
                if len(waiting) == threads:
                    first, filled = waiting.popleft()
                    yield first.finish(filled.result())
            while waiting:
                first, filled = waiting.popleft()
                yield first.finish(filled.result())
        finally:
            # Else Ctrl-C would wait until a large tensor is read.
            given_up.set()
            for _, filled in waiting:
                filled.cancel()


def _fill(job: Job[Any], given_up: Event) -> Any:
    """Read a tensor, up to the piece at which nobody wants it any more."""

    def go_on(_: int) -> None:
        if given_up.is_set():
            raise CancelledError

    with told(go_on):
        return job.fill()
