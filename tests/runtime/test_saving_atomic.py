"""Both formats appear whole or not at all: a killed process, a full disk and readers meanwhile."""

from __future__ import annotations

import fcntl
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import mlx.core as mx
import pytest

from tensorlogic.runtime.formats.replacing import replacing
from tensorlogic.runtime.models import load_model, save_model

ENDINGS = ("safetensors", "gguf")
SIZE = 300_000

SAVES_FOREVER = f"""
import sys
import mlx.core as mx
from tensorlogic.runtime.models import save_model

number = 0
while True:
    save_model({{"a": mx.full({SIZE}, number), "b": mx.full(5, number)}}, sys.argv[1])
    number = (number + 1) % 1000
    print(flush=True)
"""

FILLS_THE_DISK = f"""
import resource, sys
import mlx.core as mx
from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.models import save_model

resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    save_model({{"a": mx.ones({SIZE})}}, sys.argv[1])
except ModelFileError as problem:
    print(problem)
"""


def number_of(path: Path) -> float:
    """What all items of a saved file are; fails where it is not whole."""
    model = load_model(path, dtype="float32")
    a, b = model.get_tensor("a"), model.get_tensor("b")
    assert isinstance(a, mx.array)
    assert isinstance(b, mx.array)
    number = b[0].item()
    assert isinstance(number, int | float)
    assert a.shape == (SIZE,)
    assert bool(mx.all(a == number))
    assert bool(mx.all(b == number))
    return number


@pytest.mark.parametrize("ending", ENDINGS)
def test_killed_at_any_moment(tmp_path: Path, ending: str) -> None:
    """And what a reader sees before that is whole, and what the killed leave behind goes with the next save."""
    path = tmp_path / f"a.{ending}"
    moments = random.Random(ending)
    for _ in range(10):
        with subprocess.Popen([sys.executable, "-c", SAVES_FOREVER, path], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(moments.uniform(0, 0.03))
            assert number_of(path) >= 0
            process.send_signal(signal.SIGKILL)
        assert number_of(path) >= 0
        assert len(os.listdir(tmp_path)) <= 2
    save_model({"a": mx.full(SIZE, -1.0), "b": mx.full(5, -1.0)}, path)
    assert number_of(path) == -1
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_full_disk(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    save_model({"a": mx.full(SIZE, 3.0), "b": mx.full(5, 3.0)}, path)
    done = subprocess.run([sys.executable, "-c", FILLS_THE_DISK, path], capture_output=True, text=True, check=True)
    assert done.stdout == f"cannot save `{path}`: File too large [TL4012]\n"
    assert done.stderr == ""
    assert number_of(path) == 3
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_open_model_goes_on_reading_its_own_file(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"a.{ending}"
    save_model({"a": mx.full(SIZE, 3.0), "b": mx.full(5, 3.0)}, path)
    model = load_model(path)
    save_model({"a": mx.full(SIZE, 4.0), "b": mx.full(5, 4.0)}, path)
    old = model.get_tensor("a")
    assert isinstance(old, mx.array)
    assert bool(mx.all(old == 3))
    assert number_of(path) == 4


def test_only_unfinished_files_of_the_dead_are_removed(tmp_path: Path) -> None:
    dead, alive = (tmp_path / f".tensorlogic-{digit * 16}.tmp" for digit in "0a")
    other = tmp_path / ".tensorlogic-notes.tmp"
    for path in (dead, alive, other):
        path.write_bytes(b"")
    with open(alive, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        save_model({"a": mx.ones(1)}, tmp_path / "a.safetensors")
    assert sorted(os.listdir(tmp_path)) == sorted(["a.safetensors", alive.name, other.name])


def test_two_that_write_at_once(tmp_path: Path) -> None:
    """Neither takes the other's file for a left-over."""
    path = tmp_path / "a.txt"
    with replacing(path) as one:
        one.write(b"one")
        with replacing(path) as two:
            two.write(b"two")
        assert path.read_bytes() == b"two"
    assert path.read_bytes() == b"one"
    assert os.listdir(tmp_path) == ["a.txt"]
