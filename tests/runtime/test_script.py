"""A compiled script as a program of its own: what becomes of its output when nobody can take it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tensorlogic
from tensorlogic.compiler import driver

TEXT = 'print("\\u{E9}", arange(3))\nfor i in 0..3000 { print(i, "a line that fills the pipe") }\n'
ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(tensorlogic.__file__).parents[1])}


@pytest.fixture(params=["with the runtime", "standalone"])
def module(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "script.py"
    options = driver.Options(standalone=request.param == "standalone")
    path.write_text(driver.compile_text(TEXT, options=options).python, encoding="utf-8")
    return path


def test_a_reader_that_leaves_early(module: Path) -> None:
    command = [sys.executable, str(module)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT, encoding="utf-8"
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(60) == 141


def test_a_character_that_the_output_lacks(module: Path) -> None:
    environment = ENVIRONMENT | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, str(module)], capture_output=True, text=True, env=environment, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "\\xe9 [0, 1, 2]"


def test_a_file_that_takes_no_more(module: Path) -> None:
    command = f'ulimit -f 1; exec "{sys.executable}" "{module}" > "{module}.txt"'
    done = subprocess.run(command, shell=True, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT, timeout=60)
    assert (done.returncode, done.stderr) == (1, "File too large\n")


def test_no_output_at_all(module: Path) -> None:
    command = f'"{sys.executable}" "{module}" >&-'
    done = subprocess.run(command, shell=True, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
