"""`make bench`: prints the tables and writes `benchmarks/results.json`, in less than 20 minutes.

The status is 1 where the logits of our decoder are wrong: its speed would mean nothing.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
import time
from dataclasses import asdict
from pathlib import Path
from statistics import median

import mlx.core as mx

from benchmarks import compile_time, compute, loading, overflow, repacking
from benchmarks.harness import aligned, table, write_json
from benchmarks.language import comparison
from benchmarks.language.__main__ import show
from benchmarks.language.contenders import entrants
from benchmarks.language.models import MODELS
from tensorlogic.runtime import kernels
from tensorlogic.runtime.device import carried

RESULTS = Path(__file__).parent / "results.json"


def facts() -> dict[str, object]:
    """Where the numbers were measured."""
    module = kernels.status().module
    return {
        "python": platform.python_version(),
        **{name: _version(name) for name in ("mlx", "llama-cpp-python", "mlx-lm")},
        "machine": platform.machine(),
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "device": str(mx.default_device()),
        "carried": str(carried(mx.float16)),
        "kernels": module.instruction_set() if module else kernels.status().reason,
    }


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "none"


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        return platform.processor()
    return platform.processor()


def main() -> int:
    """Returns the exit status."""
    began = time.monotonic()
    where = facts()
    print(", ".join(f"{name} {value}" for name, value in where.items()), "\n", file=sys.stderr)
    rows = list(compute.measure())
    summaries = [row.comparison.summary for row in rows]
    print("A function's body beside the same written by hand in MLX: medians of 30 pairs, alternating.\n")
    print(table(summaries), "\n")
    print("What an entry adds to building the graph (checks and casts), and the largest difference of the results.\n")
    entries = [("", "entry µs", "body µs", "checks µs", "difference")]
    entries += [
        (
            row.comparison.name,
            f"{median(row.entry.ours) * 1e6:.1f}",
            f"{median(row.entry.baseline) * 1e6:.1f}",
            f"{row.entry.added * 1e6:.1f}",
            f"{row.difference:.1e}",
        )
        for row in rows
    ]
    print(aligned(entries), "\n")
    print("The compiler: user time and peak memory of one process, medians of 5.\n")
    costs = list(compile_time.measure())
    lines = [("", "lines", "seconds", "ms a line", "MB")]
    lines += [
        (
            f"tlc {cost.command}",
            f"{cost.lines:,}",
            f"{cost.seconds:.2f}",
            f"{cost.seconds / cost.lines * 1e3:.2f}",
            f"{cost.megabytes:.0f}",
        )
        for cost in costs
    ]
    print(aligned(lines), "\n")
    print(
        "Model files, beside other readers: medians of 5 processes; open is to the first tensor, used is all of them.\n"
    )
    loadings = list(loading.measure())
    print(aligned(loading.lines(loadings)), "\n")
    print("Blocks of GGUF to what MLX multiplies by, on one processor.\n")
    speeds = list(repacking.measure())
    print(aligned(repacking.lines(speeds)), "\n")
    print("Converting floats with the check that none is lost, beside converting alone: medians of 15 pairs.\n")
    conversions = overflow.comparisons()
    print(overflow.table(conversions))
    print("\nLanguage models on two threads, beside llama.cpp: medians and quartiles of turns next to each other.\n")
    who = comparison.present(entrants())
    languages = [comparison.compare(model, who, comparison.FULL) for model in MODELS]
    for each in languages:
        show(each)
    reached = kernel_limits()
    write_json(
        RESULTS,
        summaries,
        where,
        entries=[{**asdict(r.entry), "added": r.entry.added, "difference": r.difference} for r in rows],
        compiler=[asdict(cost) for cost in costs],
        loading=[asdict(each) for each in loadings],
        repacking=[asdict(each) for each in speeds],
        overflow=[asdict(each.summary) for each in conversions],
        language=[asdict(each) for each in languages],
        limits=reached,
    )
    print(f"\nwritten to {RESULTS.relative_to(Path.cwd()) if RESULTS.is_relative_to(Path.cwd()) else RESULTS}")
    print(f"after {(time.monotonic() - began) / 60:.1f} minutes")
    return int(not all(agreement.holds for each in languages for agreement in each.agreements))


def kernel_limits() -> list[dict[str, object]]:
    """The table of the CPU kernels, where there are some, and its rows."""
    if kernels.status().module is None:
        print(f"the table of the CPU kernels is left out: {kernels.status().reason}", file=sys.stderr)
        return []
    from benchmarks import limits

    print("Each CPU kernel against the limit that binds it, on two threads: medians of 7 turns.\n")
    reached = list(limits.measure())
    print(aligned(limits.lines(reached)), "\n")
    return [asdict(each) for each in reached]


if __name__ == "__main__":
    sys.exit(main())
