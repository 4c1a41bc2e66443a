"""Who is compared, and how each is started.

A contender that is not installed, or whose module fails to import, is left out: `missing` says why in one line.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

from benchmarks.language.protocol import ROOT, Worker

THREADS = "2"
ENVIRONMENT = {
    "TENSORLOGIC_THREADS": THREADS,
    "OPENBLAS_NUM_THREADS": THREADS,
    # Where Python may not keep what it compiled, opening a model would compile the modules that it imports.
    "PYTHONDONTWRITEBYTECODE": "",
}
"""Both libraries count the processors otherwise. llama.cpp is told in its own words, mlx-lm has one thread anyway."""
BASELINE = "llama.cpp"
WRITTEN = "TensorLogic"
WRITTEN_FAST = "TensorLogic --fast"
BY_HAND = "by hand"
BY_HAND_FAST = "by hand --fast"
PLAIN = "by hand, MLX alone"
MLX_LM = "mlx-lm"
MLX_LM_KERNELS = "mlx-lm, our kernels"
COMPARED = (BASELINE, MLX_LM_KERNELS)
"""With whom the others are compared: the first is in the middle of a turn."""
SLOW = frozenset({PLAIN, MLX_LM})
"""Many times slower than the others: they take part once, in one task."""


@dataclass(frozen=True)
class Entrant:
    """`needs` are the modules without which it cannot take part."""

    name: str
    module: str
    needs: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    python: str = sys.executable

    def start(self) -> Worker:
        command = [self.python, "-m", f"benchmarks.language.{self.module}", *self.arguments]
        return Worker(self.name, command, ENVIRONMENT)

    def missing(self) -> str | None:
        """Why it cannot take part."""
        command = [self.python, "-c", f"import {', '.join(self.needs)}"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if not done.returncode:
            return None
        said = done.stderr.strip().splitlines()
        return f"{self.name} is left out: {said[-1] if said else f'status {done.returncode}'}"


def entrants(llama_python: str = sys.executable, mlx_python: str = sys.executable) -> tuple[Entrant, ...]:
    """All of them."""
    return (
        Entrant(WRITTEN, "written", ("tensorlogic_cpu",)),
        Entrant(BY_HAND, "ours", ("tensorlogic_cpu", "benchmarks.decoder")),
        Entrant(BASELINE, "llama", ("llama_cpp",), python=llama_python),
        Entrant(MLX_LM_KERNELS, "mlxlm", ("mlx_lm", "tensorlogic_cpu"), ("--kernels",), python=mlx_python),
        Entrant(WRITTEN_FAST, "written", ("tensorlogic_cpu",), ("--fast",)),
        Entrant(BY_HAND_FAST, "ours", ("tensorlogic_cpu", "benchmarks.decoder"), ("--fast",)),
        Entrant(PLAIN, "ours", ("benchmarks.decoder",), ("--plain",)),
        Entrant(MLX_LM, "mlxlm", ("mlx_lm",), python=mlx_python),
    )


def machine() -> Worker:
    """The worker that measures the limits."""
    return Worker("machine", [sys.executable, "-m", "benchmarks.language.machine"], ENVIRONMENT)
