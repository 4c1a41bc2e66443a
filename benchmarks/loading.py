"""Opening model files and using every tensor of them: time and memory, beside the other readers of GGUF.

Each figure is of a process of its own, the readers taking turns, so that none profits from another's memory; the file
is in the system's cache. `open` is the time from the file's name to its first tensor, evaluated, after the imports.
`used` is the memory that the process has once every tensor was read and multiplied with, above what the interpreter
and the imports take: what a program pays for the weights.

A reader that refuses a file has no figures for it. llama.cpp is measured where `llama-cpp-python` is installed; its
time is that of the whole model with its caches, since it gives no single tensor. MLX keeps the memory of temporaries
for the next ones, which is no weight's: it is given back before `used` is read.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import cast

from tools.fetch_models import cache_folder

RUNS = 5
MODELS = ("SmolLM2-135M-Instruct.Q4_1.gguf", "gemma-3-270m.Q4_K_M.gguf")
_MEGABYTE = 2**20

_START = """\
import gc, json, sys, time
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096
began = time.perf_counter()
"""
_END = """\
gc.collect()
print(json.dumps([imported - began, opened - imported, resident() - before]))
"""
_USE = """\
def use(w):
    if len(w.shape) < 2:
        return mx.eval(dense(w) + 0)
    x = mx.ones((1, w.shape[-1]), mx.float32)
    mx.eval(matmul(x, w))
"""
_READERS = {
    "TensorLogic": """\
import mlx.core as mx
from tensorlogic.runtime.models import load_model
from tensorlogic.runtime import packed
from tensorlogic.runtime.packed import dense
matmul = lambda x, w: packed.matmul(x, w, transpose=True)
imported, before = time.perf_counter(), resident()
model = load_model(sys.argv[1])
kept = [model.get_tensor(model.tensors[0])]
mx.eval(getattr(kept[0], "weight", kept[0]))
opened = time.perf_counter()
for name in model.tensors:
    kept.append(model.get_tensor(name))
    use(kept[-1])
mx.clear_cache()
""",
    "mx.load": """\
import mlx.core as mx
dense = lambda w: w
matmul = lambda x, w: x @ w.T if w.dtype != mx.uint32 else w.sum()
imported, before = time.perf_counter(), resident()
kept = mx.load(sys.argv[1])
mx.eval(next(iter(kept.values())))
opened = time.perf_counter()
for w in kept.values():
    mx.eval(w)
    use(w)
mx.clear_cache()
""",
    "GGUFReader": """\
import gguf
import numpy as np
imported, before = time.perf_counter(), resident()
reader = gguf.GGUFReader(sys.argv[1])
first = reader.tensors[0]
kept = [gguf.quants.dequantize(first.data, first.tensor_type)]
opened = time.perf_counter()
for tensor in reader.tensors[1:]:
    kept.append(gguf.quants.dequantize(tensor.data, tensor.tensor_type))
""",
    "llama.cpp": """\
import llama_cpp
imported, before = time.perf_counter(), resident()
kept = llama_cpp.Llama(sys.argv[1], n_ctx=64, verbose=False)
opened = time.perf_counter()
kept("The", max_tokens=1)
""",
}
_NEEDS = {"llama.cpp": "llama_cpp"}


@dataclass(frozen=True)
class Loading:
    """How one reader took one file: medians over `RUNS` processes."""

    model: str
    reader: str
    file_megabytes: float
    figures: tuple[float, float, float] | None
    """Seconds of the imports, seconds to the first tensor and MB once all were used; None where it is refused."""


def measure() -> Iterator[Loading]:
    """Every reader that is here, on every model."""
    readers = [r for r in _READERS if r not in _NEEDS or importlib.util.find_spec(_NEEDS[r]) is not None]
    for name in MODELS:
        path = cache_folder() / name
        path.read_bytes()  # into the system's cache
        runs: dict[str, list[tuple[float, float, float] | None]] = {reader: [] for reader in readers}
        for _ in range(RUNS):
            for reader in readers:
                runs[reader].append(_run(reader, path))
        for reader in readers:
            found = [run for run in runs[reader] if run is not None]
            size = path.stat().st_size / _MEGABYTE
            if len(found) < RUNS:
                yield Loading(name, reader, size, None)
                continue
            imported, opened, used = (median(column) for column in zip(*found, strict=True))
            yield Loading(name, reader, size, (imported, opened, used / _MEGABYTE))


def _run(reader: str, path: Path) -> tuple[float, float, float] | None:
    """Seconds of the imports, seconds to the first tensor, and bytes once all were used; None where it is refused."""
    use = "" if reader in ("GGUFReader", "llama.cpp") else _USE
    program = _START + use + _READERS[reader] + _END
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False)
    if done.returncode and reader == "TensorLogic":
        raise RuntimeError(f"{reader} failed on {path.name}: {done.stderr}")
    if done.returncode:
        return None
    return cast("tuple[float, float, float]", tuple(json.loads(done.stdout.splitlines()[-1])))


def lines(loadings: list[Loading]) -> list[tuple[str, ...]]:
    """The rows of a table, its head first."""
    rows: list[tuple[str, ...]] = [("", "reader", "import s", "open s", "file MB", "used MB", "used / file")]
    for each in loadings:
        cells = ["refused", "", f"{each.file_megabytes:.0f}", "", ""]
        if each.figures is not None:
            imported, opened, used = each.figures
            ratio = used / each.file_megabytes
            cells = [f"{imported:.2f}", f"{opened:.3f}", f"{each.file_megabytes:.0f}", f"{used:.0f}", f"{ratio:.2f}"]
        rows.append((each.model.partition(".")[0], each.reader, *cells))
    return rows


def main() -> None:
    """This table alone."""
    from benchmarks.harness import aligned

    print(aligned(lines(list(measure()))))


if __name__ == "__main__":
    main()
