"""Who is told of long work, and of what."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from tensorlogic.runtime import progress
from tensorlogic.runtime.formats.pieces import tell_read
from tensorlogic.runtime.formats.values import PIECE_BYTES, Array
from tensorlogic.runtime.models import load_model
from tests.runtime.model_files import random_blocks, write_gguf


class Recorder:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[str | tuple[str, int]] = []

    def begin(self, what: str, total: int) -> None:
        self.told.append((what, total))

    def advance(self, nbytes: int) -> None:
        self.told.append(("advance", nbytes))

    def end(self) -> None:
        self.told.append("end")


def no_size() -> int:
    raise AssertionError("nobody listens, so nobody needs the size")


def test_nobody_is_told_by_default() -> None:
    with progress.work("Reading", no_size):
        progress.advanced(3)


def test_work_tells_its_beginning_its_bytes_and_its_end() -> None:
    recorder = Recorder()
    with progress.listening(recorder), progress.work("Reading", lambda: 10):
        progress.advanced(4)
    progress.advanced(4)
    assert recorder.told == [("Reading", 10), ("advance", 4), "end"]


def test_work_inside_work_only_advances_it() -> None:
    recorder = Recorder()
    with progress.listening(recorder), progress.work("Binding", lambda: 10):
        with progress.work("Reading", no_size):
            progress.advanced(4)
        progress.advanced(6)
    assert recorder.told == [("Binding", 10), ("advance", 4), ("advance", 6), "end"]


def test_bytes_outside_of_work_are_nobody_s() -> None:
    recorder = Recorder()
    with progress.listening(recorder):
        progress.advanced(4)
    assert recorder.told == []


def test_work_that_fails_ends() -> None:
    recorder = Recorder()
    with pytest.raises(KeyboardInterrupt), progress.listening(recorder), progress.work("Reading", lambda: 1):
        raise KeyboardInterrupt
    assert recorder.told[-1] == "end"
    with progress.work("Reading", no_size):
        progress.advanced(1)


def test_threads_advance_the_same_work() -> None:
    recorder = Recorder()

    def read() -> None:
        for _ in range(100):
            with progress.work("Reading", no_size):
                progress.advanced(1)

    with progress.listening(recorder), progress.work("Binding", lambda: 400):
        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert recorder.told == [("Binding", 400), *[("advance", 1)] * 400, "end"]


def test_a_model_tells_what_it_reads(tmp_path: Path) -> None:
    tensors: dict[str, Array | tuple[str, Array]] = {
        "v": np.ones(8, np.float32),
        "w": ("Q4_0", random_blocks("Q4_0", (2,), 32, seed=1)),
    }
    model = load_model(write_gguf(tmp_path / "a.gguf", tensors))
    recorder = Recorder()
    with progress.listening(recorder):
        kept = [model.get_tensor("w"), model.get_tensor("v"), model.get_tensor("v")]
    assert len(kept) == 3
    begin = ("Reading a.gguf", 32 + 36)
    assert recorder.told == [begin, ("advance", 36), "end", begin, ("advance", 32), "end"]


def test_a_large_tensor_is_told_in_pieces(tmp_path: Path) -> None:
    """Else a bar would stand still, or not be there, while the one large tensor of a model is read."""
    path = tmp_path / "a.safetensors"
    save_file({"w": np.ones((3, PIECE_BYTES // 4), np.float32)}, path)
    for read in (lambda model: model.get_tensor("w"), lambda model: list(model.read_all())):
        recorder = Recorder()
        with progress.listening(recorder):
            read(load_model(path))
        assert recorder.told == [("Reading a.safetensors", 3 * PIECE_BYTES), *[("advance", PIECE_BYTES)] * 3, "end"]


def test_a_part_advances_by_what_it_is_whatever_it_reads() -> None:
    recorder = Recorder()
    with progress.listening(recorder), progress.work("Comparing", lambda: 30):
        with progress.part(10):
            tell_read(4)
        with progress.part(10):
            tell_read(9)
            tell_read(9)
        tell_read(4)
        with pytest.raises(ValueError, match="cut off"), progress.part(10):
            raise ValueError("cut off")
    assert recorder.told == [("Comparing", 30), *[("advance", n) for n in (4, 6, 9, 1, 10)], "end"]
