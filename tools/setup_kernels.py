"""Builds the CPU kernels against the MLX of a virtual environment, and installs them into it.

Usage, with the environment's own interpreter: python tools/setup_kernels.py [--required]

Takes: the environment variable CXX (optional), the C++ compiler to use instead of the first one found.

Promises: the environment has the kernels of this checkout, or none. They are built when a file of theirs, MLX, Python
or the compiler is another than last time; otherwise nothing is run but the compiler's `--version`. What is kept for
the next time lies in the environment's folder: the files of the build, what the compiler said (`kernels.log`), and
whether it failed, so that it is not tried again in vain. On macOS, where MLX computes on the GPU, there is nothing to
do.

Refuses: a machine without a compiler or Python's headers, and sources that do not compile. That is one line on stderr
and status 1. With --required, what the compiler said comes before it, and a failed build is tried again.

It needs the standard library and pip alone.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

KERNELS = Path(__file__).resolve().parent.parent / "kernels"
COMPILERS = ("c++", "g++", "clang++")
ATTEMPTS = 3
MOST_COMPILERS = 8
"""At the same time; each takes some hundred megabytes."""
LOG_LINES = 60


class SetupError(Exception):
    """The kernels cannot be had. The text is the reason; `lasting` says that it stays until something changes."""

    def __init__(self, reason: str, *, lasting: bool) -> None:
        super().__init__(reason)
        self.lasting = lasting


@dataclass(frozen=True)
class State:
    """How the last build ended: from what, and why it failed where it did."""

    sources: str = ""
    tools: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Environment:
    """A virtual environment, and what this tool keeps in it."""

    folder: Path

    @property
    def state(self) -> Path:
        return self.folder / "kernels.json"

    @property
    def log(self) -> Path:
        return self.folder / "kernels.log"

    @property
    def build(self) -> Path:
        return self.folder / "kernels-build"


def find_compiler() -> list[str]:
    """The command of the C++ compiler that CMake will take, empty where there is none."""
    given = shlex.split(os.environ.get("CXX", ""))
    for command in [given] if given else [[name] for name in COMPILERS]:
        path = shutil.which(command[0])
        if path is not None:
            return [path, *command[1:]]
    return []


def sources_fingerprint(kernels: Path) -> str:
    """Changes when a file from which the kernels are built does."""
    digest = hashlib.sha256()
    for path in sorted(_sources(kernels)):
        digest.update(f"{path.relative_to(kernels)} ".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _sources(kernels: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(kernels):
        folders[:] = [name for name in folders if name not in ("build", "dist", "__pycache__")]
        yield from (Path(folder, name) for name in files if not name.endswith((".so", ".pyc")))


def tools_fingerprint(compiler: Sequence[str]) -> str:
    """Changes with what the kernels are built with and against."""
    told = ""
    if compiler:
        try:
            ran = subprocess.run(
                [*compiler, "--version"], capture_output=True, text=True, errors="replace", check=False
            )
        except OSError as problem:
            raise SetupError(f"`{compiler[0]}` cannot be run: {problem.strerror}", lasting=False) from problem
        told = f"{ran.returncode} {ran.stdout}"
    flags = [os.environ.get(name, "") for name in ("CXXFLAGS", "LDFLAGS", "CMAKE_ARGS")]
    facts = [*compiler, told, *flags, sys.prefix, sys.version, platform.machine(), _mlx(), str(_has_headers())]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()


def _mlx() -> str:
    try:
        return version("mlx")
    except PackageNotFoundError:
        return ""


def _has_headers() -> bool:
    return Path(sysconfig.get_path("include"), "Python.h").exists()


def setup(kernels: Path, environment: Environment, *, required: bool) -> None:
    """Make the environment have these kernels. Raises SetupError."""
    compiler = find_compiler()
    sources, tools = sources_fingerprint(kernels), tools_fingerprint(compiler)
    last = _last(environment)
    is_known = (last.sources, last.tools) == (sources, tools)
    if is_known and not last.problem and _is_installed():
        return
    if is_known and last.problem and not required:
        raise SetupError(last.problem, lasting=True)
    if last.tools != tools:
        shutil.rmtree(environment.build, ignore_errors=True)
    environment.state.unlink(missing_ok=True)
    environment.log.unlink(missing_ok=True)
    try:
        _require(compiler)
        _install_build_requirements(kernels, environment)
        print("Building the CPU kernels; this takes a minute or two.", flush=True)
        _build(kernels, environment)
    except SetupError as problem:
        _uninstall()
        if problem.lasting:
            _remember(environment, State(sources, tools, str(problem)))
        raise
    _remember(environment, State(sources, tools))


def _last(environment: Environment) -> State:
    try:
        return State(**json.loads(environment.state.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return State()


def _remember(environment: Environment, state: State) -> None:
    environment.state.write_text(json.dumps(asdict(state)), encoding="utf-8")


def _is_installed() -> bool:
    try:
        version("tensorlogic-cpu")
    except PackageNotFoundError:
        return False
    return True


def _uninstall() -> None:
    """Kernels of older sources may lack what the runtime calls."""
    if _is_installed():
        command = [sys.executable, "-m", "pip", "uninstall", "--quiet", "--yes", "tensorlogic-cpu"]
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def _require(compiler: Sequence[str]) -> None:
    if not compiler:
        named = os.environ.get("CXX")
        what = f"compiler `{named}`, which CXX names" if named else "C++ compiler; on Debian and Ubuntu: g++"
        raise SetupError(f"there is no {what}", lasting=True)
    if not _has_headers():
        raise SetupError("Python's headers are missing; on Debian and Ubuntu: python3-dev", lasting=True)


def _install_build_requirements(kernels: Path, environment: Environment) -> None:
    """What the build needs goes into the environment: in a place of its own, MLX would be downloaded again."""
    project = tomllib.loads((kernels / "pyproject.toml").read_text(encoding="utf-8"))
    _install(project["build-system"]["requires"], environment)
    # With CMake and Ninja, where the machine has none that will do.
    asked = [sys.executable, "-m", "scikit_build_core.build", "requires", "--mode", "wheel"]
    ran = subprocess.run(asked, cwd=kernels, capture_output=True, text=True, check=False)
    if ran.returncode:
        environment.log.write_text(ran.stderr, encoding="utf-8")
        raise SetupError(f"their build cannot be asked; {environment.log} has what it said", lasting=False)
    _install(json.loads(ran.stdout), environment)


def _install(requirements: Sequence[str], environment: Environment) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        if _pip(["install", "--quiet", "--retries", "5", "--timeout", "60", *requirements], environment):
            return
        if attempt < ATTEMPTS:
            time.sleep(attempt * 5)
    reason = f"what building them needs cannot be installed; {environment.log} has what pip said"
    raise SetupError(reason, lasting=False)


def _build(kernels: Path, environment: Environment) -> None:
    was_there = environment.build.exists()
    if not _build_once(kernels, environment):
        # Files of an earlier build may be of a machine that is no more.
        shutil.rmtree(environment.build, ignore_errors=True)
        if not was_there or not _build_once(kernels, environment):
            raise SetupError(f"the compiler failed; {environment.log} has what it said", lasting=True)
    proved = [sys.executable, "-I", "-c", "import tensorlogic_cpu"]
    ran = subprocess.run(proved, capture_output=True, text=True, cwd=environment.folder, check=False)
    if ran.returncode:
        last = ran.stderr.strip().splitlines()[-1:] or [f"the process ended with status {ran.returncode}"]
        raise SetupError(f"they were built and cannot be used: {last[0]}", lasting=True)


def _build_once(kernels: Path, environment: Environment) -> bool:
    options = ["--no-build-isolation", "--no-deps", "--force-reinstall"]
    parallel = {"CMAKE_BUILD_PARALLEL_LEVEL": str(min(os.cpu_count() or 1, MOST_COMPILERS))}
    where = f"--config-settings=build-dir={environment.build}"
    return _pip(["install", *options, where, str(kernels)], environment, parallel)


def _pip(arguments: Sequence[str], environment: Environment, variables: Mapping[str, str] | None = None) -> bool:
    """Run pip; whether it worked. What it says goes to the log, in place of what was there."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    with environment.log.open("w", encoding="utf-8") as log:
        ran = subprocess.run(
            command, stdout=log, stderr=subprocess.STDOUT, env={**os.environ, **(variables or {})}, check=False
        )
    return ran.returncode == 0


def main(arguments: Sequence[str]) -> int:
    """The command line; its exit status."""
    parser = argparse.ArgumentParser(description="Build the CPU kernels and install them into this environment.")
    parser.add_argument("--required", action="store_true", help="show what the compiler said; try again what failed")
    required = parser.parse_args(arguments).required
    if sys.platform != "linux":
        return 0
    environment = Environment(Path(sys.prefix))
    try:
        setup(KERNELS, environment, required=required)
    except (SetupError, OSError) as problem:
        if required and environment.log.exists():
            lines = environment.log.read_text(encoding="utf-8", errors="replace").splitlines()
            print("\n".join(lines[-LOG_LINES:]), file=sys.stderr)
        slow = "" if required else ", so programs run many times slower on this CPU"
        print(f"tensorlogic: the CPU kernels are not installed ({problem}){slow}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
