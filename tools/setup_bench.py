"""Installs what `make bench` compares with: the packages of the extra `bench`, each for itself.

Usage, with the virtual environment's own interpreter: python tools/setup_bench.py

Promises: MLX and NumPy stay the versions that are installed. A package that cannot be installed, since it is compiled
from its source and there is no compiler, say, is left out with one line on stderr; the status is 0 all the same, and
the benchmarks do without it. What is installed already costs a second.

It needs the standard library and pip alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent / "pyproject.toml"
KEPT = ("mlx", "mlx-cpu", "numpy")
# llama.cpp for the processor that it runs on: for any other it would be no match.
NATIVE = {"CMAKE_ARGS": "-DGGML_NATIVE=ON"}


def requirements(project: Path) -> list[str]:
    """Those of the extra `bench`, in its order."""
    found = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["optional-dependencies"]["bench"]
    return [str(each) for each in found]


def constraints(names: Sequence[str]) -> list[str]:
    """What keeps the installed ones of `names` as they are."""
    kept = []
    for name in names:
        try:
            kept.append(f"{name}=={version(name)}")
        except PackageNotFoundError:
            continue
    return kept


def install(requirement: str, kept: Sequence[str]) -> str | None:
    """None, or the last error that pip told."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "constraints.txt"
        file.write_text("\n".join(kept), encoding="utf-8")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "5"]
        command += ["--constraint", str(file), requirement]
        done = subprocess.run(command, capture_output=True, text=True, env={**NATIVE, **os.environ}, check=False)
    if not done.returncode:
        return None
    said = [line for line in reversed(done.stderr.splitlines()) if line.strip()]
    return next((line for line in said if line.lower().startswith("error")), said[0] if said else "pip failed")


def is_installed(requirement: str) -> bool:
    """Whether a requirement of the form `name==version` is there."""
    name, _, wanted = requirement.partition("==")
    try:
        return version(name) == wanted
    except PackageNotFoundError:
        return False


def main() -> int:
    """Returns the exit status."""
    for requirement in requirements(PROJECT):
        if is_installed(requirement):
            continue
        print(f"Installing {requirement}; what comes as source takes some minutes to compile.", flush=True)
        why = install(requirement, constraints(KEPT))
        if why is not None:
            print(
                f"tensorlogic: {requirement} is not compared with, since it cannot be installed: {why}", file=sys.stderr
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
