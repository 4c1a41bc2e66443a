"""How many threads read tensors at once, and the reading of many of them in order.

NumPy lets go of Python's lock while it works, so that threads share the cores. There are as many as the process may use
cores, by its affinity and by the quota of its control group, and at most eight: more only wait for the memory.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Event
from typing import Any

from tensorlogic.runtime.formats.pieces import told
from tensorlogic.runtime.packed import Tensor
from tensorlogic.runtime.reading import Job

MOST = 8
_TOGETHER = 1 << 22
"""Bytes of a group of small tensors."""
_MANY = 64
"""How many a group has at most."""
_AHEAD = 4
"""So many groups for each thread, so that none waits for a large tensor that is handed over first."""
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
    """What each job gives, in order. Under way are at most one large job for each thread, and some groups of small."""
    if threads == 1:
        yield from (job.finish(job.fill()) for job in jobs)
        return
    given_up = Event()
    with ThreadPoolExecutor(threads, "tensorlogic-read") as pool:
        waiting: deque[tuple[_Group, Future[list[_Outcome]]]] = deque()
        try:
            for group in _groups(jobs):
                waiting.append((group, pool.submit(_fill, group, given_up)))
                # `jobs` begins the next one only after this.
                while sum(begun.is_large for begun, _ in waiting) >= threads or len(waiting) == _AHEAD * threads:
                    yield from _finished(*waiting.popleft())
            while waiting:
                yield from _finished(*waiting.popleft())
        finally:
            # Else Ctrl-C would wait until a large tensor is read.
            given_up.set()
            for _, filled in waiting:
                filled.cancel()


@dataclass(slots=True)
class _Group:
    """Jobs that one thread does together, and what they read."""

    jobs: list[Job[Any]]
    nbytes: int = 0

    @property
    def is_large(self) -> bool:
        return self.nbytes >= 2 * _TOGETHER


def _groups(jobs: Iterable[Job[Any]]) -> Iterator[_Group]:
    """Neighbours that are small: handing a job to a thread takes as long as reading some hundred kilobytes."""
    group = _Group([])
    for job in jobs:
        group.jobs.append(job)
        group.nbytes += job.nbytes
        if group.nbytes >= _TOGETHER or len(group.jobs) == _MANY:
            yield group
            group = _Group([])
    if group.jobs:
        yield group


def _finished(group: _Group, filled: Future[list[_Outcome]]) -> Iterator[tuple[Tensor, int]]:
    for job, outcome in zip(group.jobs, filled.result(), strict=False):
        if outcome.problem is not None:
            raise outcome.problem
        yield job.finish(outcome.value)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What filling a job gave, or raised when it was its turn."""

    value: Any = None
    problem: Exception | None = None


def _fill(group: _Group, given_up: Event) -> list[_Outcome]:
    """Read tensors up to one that cannot be, and up to the piece at which nobody wants them any more."""

    def go_on(_: int) -> None:
        if given_up.is_set():
            raise CancelledError

    outcomes: list[_Outcome] = []
    with told(go_on):
        for job in group.jobs:
            try:
                outcomes.append(_Outcome(job.fill()))
            except CancelledError:
                raise
            except Exception as problem:
                return [*outcomes, _Outcome(problem=problem)]
    return outcomes
