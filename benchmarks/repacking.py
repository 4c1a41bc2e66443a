"""How fast the blocks of a GGUF file become what MLX multiplies by: megabytes of file in a second of one processor.

A tensor of about `MEGABYTES` of random blocks for each type, read from the system's cache until MLX holds the result.
`python -m benchmarks.repacking` prints the table.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import mlx.core as mx

from benchmarks.harness import aligned
from tensorlogic.runtime.formats.gguf.types import STORAGES
from tensorlogic.runtime.models import load_model
from tensorlogic.runtime.packed import Packed
from tests.runtime.model_files import random_blocks, write_gguf

TYPES = ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS", "MXFP4", "NVFP4")
MEGABYTES = 48
WIDTH = 4096
RUNS = 7


@dataclass(frozen=True)
class Speed:
    """The median over `RUNS`, and whether the result stays packed."""

    storage: str
    megabytes_a_second: float
    is_packed: bool


def measure() -> Iterator[Speed]:
    """Every type."""
    by_name = {storage.name: storage for storage in STORAGES.values()}
    with tempfile.TemporaryDirectory() as folder:
        for name in TYPES:
            storage = by_name[name]
            rows = MEGABYTES * 10**6 // (WIDTH // storage.block_size * storage.block_bytes)
            path = write_gguf(Path(folder) / "model.gguf", {"w": (name, random_blocks(name, (rows,), WIDTH, seed=1))})
            runs = [_run(path) for _ in range(RUNS + 1)][1:]
            seconds = median(seconds for seconds, _ in runs)
            yield Speed(name, path.stat().st_size / seconds / 1e6, runs[0][1])


def _run(path: Path) -> tuple[float, bool]:
    model = load_model(path)
    start = time.process_time()
    weight = model.get_tensor("w")
    mx.eval(weight.weight if isinstance(weight, Packed) else weight)
    return time.process_time() - start, isinstance(weight, Packed)


def lines(speeds: list[Speed]) -> list[tuple[str, ...]]:
    """The rows of a table, its head first."""
    rows = [
        (each.storage, f"{each.megabytes_a_second:.0f}", "packed" if each.is_packed else "float16") for each in speeds
    ]
    return [("", "MB/s", "becomes"), *rows]


if __name__ == "__main__":
    print(aligned(lines(list(measure()))))
