"""What the machine can do at most, and who else is at work on it. As a worker: its read bandwidth and float32 peak.

Both are measured with NumPy on two threads: sums over more memory than caches hold, and OpenBLAS's product of two
matrices.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.language.protocol import Message, serve

THREADS = 2
BYTES = 1 << 28
"""Eight times the last cache of the machines that this was written on."""
PASSES = 3
WIDTH = 2048


class Machine:
    """The memory and the matrices to measure with."""

    def __init__(self) -> None:
        memory = np.ones(BYTES // 8, np.uint64)
        self._halves = np.split(memory, THREADS)
        self._threads = ThreadPoolExecutor(THREADS)
        self._left = np.ones((WIDTH, WIDTH), np.float32)
        self._right = np.ones((WIDTH, WIDTH), np.float32)

    def bandwidth(self) -> Message:
        """Bytes a second that two threads read, the best of a few passes."""
        return {"bytes": BYTES / min(self._pass() for _ in range(PASSES))}

    def peak(self) -> Message:
        """Operations a second of a float32 product, the best of a few."""
        return {"operations": 2 * WIDTH**3 / min(self._product() for _ in range(PASSES))}

    def _pass(self) -> float:
        start = time.perf_counter()
        list(self._threads.map(np.sum, self._halves))
        return time.perf_counter() - start

    def _product(self) -> float:
        start = time.perf_counter()
        np.matmul(self._left, self._right)
        return time.perf_counter() - start


@dataclass(frozen=True)
class Load:
    """Processor time, in seconds since some past: of everything on the machine, and of some processes."""

    at: float
    all: float
    ours: float

    def others_since(self, before: Load) -> float:
        """The share of the processors that was somebody else's, another guest of the host included."""
        whole = (self.at - before.at) * (os.cpu_count() or 1)
        return max(0.0, (self.all - before.all) - (self.ours - before.ours)) / whole if whole else 0.0


def load(processes: Iterable[int]) -> Load | None:
    """As it is now; None where the system does not tell."""
    tick = os.sysconf("SC_CLK_TCK")
    try:
        user, nice, system, _idle, _wait, interrupt, soft, steal = map(
            int, Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]
        )
        ours = sum(_ticks(process) for process in processes)
    except (OSError, ValueError):
        return None
    return Load(time.monotonic(), (user + nice + system + interrupt + soft + steal) / tick, ours / tick)


def _ticks(process: int) -> int:
    # The name, in parentheses, may hold spaces.
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


if __name__ == "__main__":
    machine = Machine()
    serve({"bandwidth": machine.bandwidth, "peak": machine.peak})
