"""Who is compared, and how each is started; the two models.

A contender that is not installed, or whose module fails to import, is left out: `missing` says why in one line.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.language.protocol import ROOT, Worker
from tools.fetch_models import cache_folder

THREADS = "2"


@dataclass(frozen=True)
class Entrant:
    """`needs` is the module that it is a face of."""

    name: str
    module: str
    needs: str
    arguments: tuple[str, ...] = ()
    python: str = sys.executable

    def start(self) -> Worker:
        command = [self.python, "-m", f"benchmarks.language.{self.module}", *self.arguments]
        return Worker(self.name, command, ENVIRONMENT)

    def missing(self) -> str | None:
        """Why it cannot take part."""
        done = subprocess.run(
            [self.python, "-c", f"import {self.needs}"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        said = done.stderr.strip().splitlines()
        return f"{self.name} is left out: {said[-1] if said else done.returncode}" if done.returncode else None


ENVIRONMENT = {"TENSORLOGIC_THREADS": THREADS, "OPENBLAS_NUM_THREADS": THREADS}
"""Both libraries count the processors otherwise. llama.cpp is told in its own words."""
BASELINE = "llama.cpp"


def entrants(llama_python: str = sys.executable) -> list[Entrant]:
    """Those who take part in every measure."""
    return [
        Entrant("float", "ours", "benchmarks.decoder"),
        Entrant(BASELINE, "llama", "llama_cpp", python=llama_python),
        Entrant("fast", "ours", "benchmarks.decoder", ("--fast",)),
    ]


def machine() -> Worker:
    """The worker that measures the limits."""
    return Worker("machine", [sys.executable, "-m", "benchmarks.language.machine"], ENVIRONMENT)


@dataclass(frozen=True)
class LanguageModel:
    """A GGUF file of the cache folder."""

    key: str
    name: str
    file: str

    @property
    def path(self) -> Path:
        return cache_folder() / self.file


MODELS = (
    LanguageModel("smollm2", "SmolLM2 135M, Q4_1", "SmolLM2-135M-Instruct.Q4_1.gguf"),
    LanguageModel("gemma3", "Gemma 3 270M, Q4_K_M", "gemma-3-270m.Q4_K_M.gguf"),
)
