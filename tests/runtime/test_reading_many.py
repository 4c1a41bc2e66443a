"""Many tensors read at once: in order, each error in its turn, and never many more than there are threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from tensorlogic.runtime import workers
from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats.pieces import tell_read
from tensorlogic.runtime.models import load_model
from tensorlogic.runtime.packed import Tensor, dense
from tensorlogic.runtime.reading import Job
from tensorlogic.runtime.reading_many import read_in_order
from tests.runtime.model_files import Array, gguf_bytes, gguf_entry, random_blocks, write_gguf

THREADS = pytest.mark.parametrize("threads", [1, 2, 5])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    tensors: dict[str, Array | tuple[str, Array]] = {
        f"t{place}": (storage, random_blocks(storage, (40 + place,), 512, seed=place))
        for place, storage in enumerate(["Q4_0", "Q6_K", "IQ2_S", "Q8_0", "Q5_K", "MXFP4", "Q4_1", "TQ1_0"])
    }
    return write_gguf(tmp_path / "a.gguf", tensors | {"norm": np.arange(100_000, dtype=np.float32)})


@THREADS
def test_all_tensors_are_those_read_one_by_one(model: Path, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "count", lambda: threads)
    one_by_one = load_model(model, dtype="float32")
    names = []
    for name, tensor in load_model(model, dtype="float32").read_all():
        names.append(name)
        assert mx.array_equal(dense(tensor), dense(one_by_one.get_tensor(name)))
    assert tuple(names) == one_by_one.tensors


@THREADS
def test_what_the_program_holds_is_not_read_again(model: Path, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "count", lambda: threads)
    opened = load_model(model)
    held = opened.get_tensor("t3")
    tensors = list(opened.read_all(["t3", "t4", "t4", "t3"]))
    assert [name for name, _ in tensors] == ["t3", "t4", "t4", "t3"]
    assert tensors[0][1] is held
    assert tensors[3][1] is held
    assert tensors[1][1] is tensors[2][1]


@THREADS
def test_an_error_comes_in_its_turn(tmp_path: Path, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "count", lambda: threads)
    path = tmp_path / "a.gguf"
    entries = [gguf_entry("a", [8]), gguf_entry("b", [8], 0, 32), gguf_entry("bad", [256], 15, 64)]
    path.write_bytes(gguf_bytes(entries, data=bytes(64 + 320)))
    reading = load_model(path).read_all(["a", "b", "bad", "missing", "a"])
    assert [next(reading)[0], next(reading)[0]] == ["a", "b"]
    with pytest.raises(ModelFileError) as caught:
        next(reading)
    assert caught.value.code == "TL4004"
    reading = load_model(path).read_all(["a", "missing", "bad"])
    assert next(reading)[0] == "a"
    with pytest.raises(ModelFileError) as caught:
        next(reading)
    assert caught.value.code == "TL4005"


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_no_more_are_under_way_than_threads(threads: int) -> None:
    begun, handed, most = 0, 0, 0

    def finish(value: int) -> tuple[Tensor, int]:
        return mx.array(value), 0

    def fill_with(place: int) -> Callable[[], int]:
        return lambda: place

    def jobs() -> Iterator[Job[int]]:
        nonlocal begun, most
        for place in range(20):
            begun += 1
            most = max(most, begun - handed)
            yield Job(fill_with(place), finish)

    values = []
    for tensor, _ in read_in_order(jobs(), threads):
        handed += 1
        values.append(dense(tensor).item())
    assert values == list(range(20))
    assert most == threads


def test_an_end_before_the_last_leaves_no_thread(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "count", lambda: 3)
    reading = load_model(model).read_all()
    assert isinstance(reading, Generator)
    # The first one is read by a thread of the kernels, where there are some.
    assert [next(reading)[0], next(reading)[0]] == ["t0", "t1"]
    assert any(thread.name.startswith("tensorlogic-read") for thread in threading.enumerate())
    reading.close()
    assert not any(thread.name.startswith("tensorlogic-read") for thread in threading.enumerate())


def test_a_reading_that_nobody_waits_for_ends_with_its_piece() -> None:
    """Ctrl-C would else wait until every tensor that is under way is read, which may be seconds."""
    goes_on, ended = threading.Event(), threading.Event()

    def fill() -> int:
        try:
            while True:
                goes_on.set()
                tell_read(1)
        finally:
            ended.set()

    def jobs() -> Iterator[Job[int]]:
        yield Job(fill, lambda _: (mx.array(0), 0))
        goes_on.wait()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(read_in_order(jobs(), 2))
    assert ended.is_set()


@pytest.mark.parametrize("storage", ["Q4_0", "Q6_K"])
def test_something_else_is_done_before_the_first_is_waited_for(
    tmp_path: Path, storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "count", lambda: 2)
    done: list[str] = []
    path = write_gguf(
        tmp_path / "a.gguf", {name: (storage, random_blocks(storage, (4,), 256, seed=1)) for name in "abc"}
    )
    model = load_model(path)
    model.while_reading(lambda: done.append("task"))
    for name, _ in model.read_all():
        done.append(name)
    assert done == ["task", "a", "b", "c"]
    assert [name for name, _ in model.read_all()] == ["a", "b", "c"]
    assert done == ["task", "a", "b", "c"]


def test_what_fails_meanwhile_ends_the_reading(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "count", lambda: 2)
    opened = load_model(model, dtype="float32")

    def fail() -> None:
        raise ModelFileError("TL4405", "no vocabulary")

    opened.while_reading(fail)
    with pytest.raises(ModelFileError, match="no vocabulary"):
        list(opened.read_all())
    assert len(list(opened.read_all())) == len(opened.tensors)
