"""With what programs compute on this machine, and how fast it is: what `tlc doctor` tells.

`examined()` looks, and measures for about a second where our CPU kernels are in use; they bring the measurements. It
prints nothing. A machine that withholds something, such as the size of its caches, gets what holds for most.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import mlx.core as mx

from tensorlogic.runtime import device, kernels

_LEAST_MEGABYTES, _MOST_MEGABYTES = 128, 1024
_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
_MEMORY = Path("/proc/meminfo")


@dataclass(frozen=True)
class Threads:
    """How many threads the kernels have, and what decided it.

    `processors` may run this process, and are on so many `cores`; a cgroup grants the time of `granted` processors, or
    None for no limit; TENSORLOGIC_THREADS asks for `asked`, or None.
    """

    count: int
    processors: int
    cores: int
    granted: float | None = None
    asked: int | None = None


@dataclass(frozen=True)
class Kernels:
    """The CPU kernels that are in use: their distribution's version, and what they run on."""

    version: str
    instruction_set: str
    instruction_sets: tuple[str, ...]
    blas: str
    threads: Threads


@dataclass(frozen=True)
class Speed:
    """What the kernels' threads reach together: memory read in GB/s, from `megabytes`, and products of float32 matrices
    in GFLOP/s (both of 10^9)."""

    read: float
    megabytes: int
    multiply: float


@dataclass(frozen=True)
class Machine:
    """The backend of MLX and its device's name; the kernels, or the reason why they are not used, which may be that
    this was asked for."""

    backend: Literal["CPU", "CUDA", "Metal"]
    device: str
    mlx: str
    kernels: Kernels | None
    reason: str = ""
    asked: bool = False
    speed: Speed | None = None


def examined() -> Machine:
    """This machine, as a program would find it now."""
    backend: Literal["CPU", "CUDA", "Metal"] = "CPU"
    found = kernels.status()
    if device.on_gpu():
        backend = "Metal" if mx.metal.is_available() else "CUDA"
        found = kernels.Status(None, "they are for the CPU, and programs run on the GPU", asked=True)
    return Machine(
        backend=backend,
        device=str(mx.device_info().get("device_name", "")),
        mlx=mx.__version__,  # type: ignore[attr-defined]
        kernels=_kernels() if found.module is not None else None,
        reason=found.reason,
        asked=found.asked,
        speed=_measured() if found.module is not None else None,
    )


def _kernels() -> Kernels:
    limits = kernels.cpu.thread_limits()
    threads = Threads(
        count=kernels.cpu.threads(),
        processors=limits["processors"],
        cores=limits["cores"],
        granted=limits["granted"] or None,
        asked=limits["asked"] or None,
    )
    return Kernels(
        version=kernels.VERSION,
        instruction_set=kernels.cpu.instruction_set(),
        instruction_sets=tuple(kernels.cpu.instruction_sets()),
        blas=kernels.cpu.blas(),
        threads=threads,
    )


def _measured() -> Speed:
    megabytes = buffer_megabytes(_CACHES, _MEMORY)
    return Speed(kernels.cpu.read_bandwidth(megabytes), megabytes, kernels.cpu.peak_gflops())


def buffer_megabytes(caches: Path, memory: Path) -> int:
    """Four times the last cache, between bounds, and no more than a quarter of the memory that is free.

    `caches` is the folder that Linux keeps for a processor's caches, and `memory` its table of the memory.
    """
    sizes = [_number(path, r"(\d+)K") * 1024 for path in caches.glob("index*/size")]
    wanted = max(_LEAST_MEGABYTES, min(4 * max(sizes, default=0) // 10**6, _MOST_MEGABYTES))
    free = _number(memory, r"MemAvailable:\s+(\d+) kB") * 1024 // 10**6
    return max(1, min(wanted, free // 4)) if free else wanted


def _number(path: Path, pattern: str) -> int:
    try:
        match = re.search(pattern, path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0
    return int(match.group(1)) if match else 0
