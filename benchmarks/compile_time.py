"""Time and memory of `tlc check` and `tlc compile` against the number of lines, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import cast

LINES = (100, 200, 1_000, 2_000, 5_000, 10_000)
RUNS = 5
_FUNCTION = """\
/// Layer {i}.
fn layer{i}(x: float16[N, D], w: float16[D, M], b: float16[M]) -> float16[N, M] where D % 2 == 0 {{
    let h = x @ w
    let y = h + b
    let z = concat([x[:, D/2:D], x[:, 0:D/2]], axis: 1) @ w
    if N > 3 {{
        return relu(z) - y
    }}
    let s = sum(z, axis: -1, keepdims: true)
    return z / (s + 1e-3) + y
}}

"""


def program(lines: int) -> str:
    """A program of about so many lines: functions of twelve lines each."""
    return "".join(_FUNCTION.format(i=i) for i in range(max(1, lines // 12)))


@dataclass(frozen=True)
class Cost:
    """What a command took for a program of so many lines: medians of user seconds and of peak memory in MB."""

    command: str
    lines: int
    seconds: float
    megabytes: float


def measure() -> Iterator[Cost]:
    """Every command for every size."""
    with tempfile.TemporaryDirectory() as folder:
        for lines in LINES:
            path = Path(folder) / f"program{lines}.tl"
            path.write_text(program(lines), encoding="utf-8")
            count = path.read_text(encoding="utf-8").count("\n")
            for command in ("check", "compile"):
                extra = ["-o", str(path.with_suffix(".py"))] if command == "compile" else []
                _run([command, str(path), *extra])  # The compiler's own modules are compiled once.
                runs = [_run([command, str(path), *extra]) for _ in range(RUNS)]
                seconds, memory = (median(column) for column in zip(*runs, strict=True))
                yield Cost(command, count, seconds, memory)


_MEASURE = """\
import json, resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
usage = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([done.returncode, done.stderr, usage.ru_utime, usage.ru_maxrss]))
"""
"""Runs a command from a small process: a child's peak counts the memory of the process that it was forked from."""


def _run(arguments: list[str]) -> tuple[float, float]:
    """User seconds and peak megabytes of one `tlc`."""
    command = [sys.executable, "-c", _MEASURE, sys.executable, "-m", "tensorlogic", *arguments]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    status, said, seconds, peak = cast("tuple[int, str, float, float]", json.loads(done.stdout))
    if status:
        raise RuntimeError(f"tlc {' '.join(arguments)} failed: {said}")
    return seconds, peak / (2**20 if sys.platform == "darwin" else 2**10)
