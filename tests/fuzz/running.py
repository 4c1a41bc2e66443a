"""Runs one of the scripts here that open mutations, in a process of its own: a crash ends that one, as a signal."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def hold(script: str, *arguments: object) -> None:
    """Hold that every mutation loads or is refused, and that some do either: all alike would test nothing."""
    command = [sys.executable, "-m", f"tests.fuzz.{script}", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ended with {done.returncode}: {done.stderr}"
    counts = re.fullmatch(r"(\d+) loaded, (\d+) refused\n", done.stdout)
    assert counts is not None
    loaded, refused = map(int, counts.groups())
    assert min(loaded, refused) > (loaded + refused) / 100
