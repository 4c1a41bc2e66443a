"""A worker and the one who asks it, with a toy for a model."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.language.protocol import Worker, WorkerError, peak_memory


@pytest.fixture(scope="module")
def shared() -> Iterator[Worker]:
    with start() as worker:
        yield worker


@pytest.fixture
def toy(shared: Worker) -> Worker:
    shared.ask("open", path=__file__, capacity=16)
    return shared


def start() -> Worker:
    return Worker("toy", [sys.executable, "-m", "tests.benchmarks.language.toy"])


def test_opening_gives_seconds_and_what_libraries_print_is_no_answer(toy: Worker) -> None:
    assert toy.number("open", "seconds", path=__file__, capacity=16) > 0


def test_a_prompt_gives_the_next_token_and_decoding_goes_on_from_it(toy: Worker) -> None:
    assert toy.ask("prefill", ids=[3, 1, 4])["token"] == 5
    answer = toy.ask("decode", tokens=2)
    assert answer["token"] == 7
    assert isinstance(answer["seconds"], float)


def test_a_prompt_begins_anew_and_decoding_does_not(toy: Worker) -> None:
    toy.ask("prefill", ids=[1, 2])
    toy.ask("prefill", ids=[1, 2, 3])
    toy.ask("decode", tokens=4)
    assert toy.ask("bytes_read", context=0) == {"bytes": 7}


def test_logits_of_the_first_tokens_together_and_of_each_other_one(toy: Worker, tmp_path: Path) -> None:
    file = tmp_path / "logits.npy"
    toy.ask("logits", ids=[3, 1, 4, 1, 5], first=3, file=str(file))
    found = np.load(file)
    assert found.dtype == np.float32
    assert found.argmax(axis=1).tolist() == [5, 2, 6]


def test_the_peak_of_the_memory_is_the_workers(toy: Worker) -> None:
    assert 2**20 < toy.number("peak_memory", "bytes") < 2**34
    ballast = np.ones(64 * 2**20, np.uint8)
    assert peak_memory() > ballast.nbytes


def test_an_error_is_told_and_the_worker_lives(toy: Worker) -> None:
    with pytest.raises(WorkerError, match=r"^toy cannot open: FileNotFoundError: there is no /nowhere$"):
        toy.ask("open", path="/nowhere", capacity=1)
    with pytest.raises(WorkerError, match="toy cannot dance: KeyError"):
        toy.ask("dance")
    assert toy.ask("prefill", ids=[1])["token"] == 2


def test_the_last_words_of_one_that_dies() -> None:
    with start() as worker:
        with pytest.raises(WorkerError, match=r"toy ended with status 7; it said:\n.*the last words"):
            worker.ask("die")
        with pytest.raises(WorkerError, match="toy ended with status 7"):
            worker.ask("prefill", ids=[1])


def test_a_worker_ends_with_its_block() -> None:
    with start() as worker:
        pid = worker.pid
        os.kill(pid, 0)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_one_that_cannot_start_is_told() -> None:
    with (
        Worker("none", [sys.executable, "-m", "benchmarks.there_is_none"]) as worker,
        pytest.raises(WorkerError, match="none ended with status 1; it said:"),
    ):
        worker.ask("open", path=__file__, capacity=1)
