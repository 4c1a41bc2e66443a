"""GGUF's oldest blocks in MLX's layout: what the kernels make of them, bit by bit, is what NumPy makes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tensorlogic_cpu import kernels

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats import open_model
from tensorlogic.runtime.formats.blocks import Parts
from tensorlogic.runtime.formats.gguf import repacked
from tensorlogic.runtime.formats.values import Array
from tests.runtime.model_files import random_blocks, write_gguf

TYPES = sorted(repacked.REARRANGED)


def filled(path: Path, threads: int | None) -> tuple[Parts, float] | None:
    """By a reader of the kernels with so many threads, or by NumPy."""
    header, files = open_model(path)
    info = header.tensors["w"]
    room = repacked.make_room(info, np.empty)
    try:
        if threads is None:
            return repacked.fill_room(files[info.file], info, room)
        return repacked.begin_reading(kernels.Reader(threads), files[info.file], info, room)()
    finally:
        for file in files.values():
            file.close()


def file_of(path: Path, name: str, blocks: Array) -> Path:
    return write_gguf(path / "m.gguf", {"w": (name, blocks)})


def with_scales(name: str, count: int, scales: Array) -> Array:
    """Random blocks [1, bytes] whose scales, and minimums where there are any, are these float16."""
    dtype = repacked.REPACKINGS[name].block
    blocks = np.array(random_blocks(name, (1,), 32 * count, seed=7)).view(np.uint8).reshape(-1).view(dtype)
    blocks["d"] = np.resize(scales, count)
    if "m" in (dtype.names or ()):
        blocks["m"] = np.resize(scales[::-1], count)
    return blocks.view(np.uint8).reshape(1, -1)


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("count", [1, 3, 100_000])
def test_random_blocks(tmp_path: Path, name: str, count: int) -> None:
    path = file_of(tmp_path, name, random_blocks(name, (1,), 32 * count, seed=count))
    same(path)


@pytest.mark.parametrize("name", TYPES)
def test_every_finite_scale(tmp_path: Path, name: str) -> None:
    """Subnormal ones, and those whose bias is beyond float16, too."""
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    finite = halves[np.isfinite(halves)]
    same(file_of(tmp_path, name, with_scales(name, finite.size, finite)))
    small = finite[np.abs(finite.astype(np.float32)) < 65504 / 255]
    same(file_of(tmp_path, name, with_scales(name, small.size, small)))


def same(path: Path) -> None:
    by_kernels, by_numpy = filled(path, 0), filled(path, None)
    assert by_kernels is not None
    assert by_numpy is not None
    (ours, bound), (plain, other) = by_kernels, by_numpy
    assert bound == other
    for name in ("words", "scales", "biases"):
        a, b = getattr(ours, name), getattr(plain, name)
        assert a.dtype == b.dtype
        assert np.array_equal(a.view(np.uint8), b.view(np.uint8)), name


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_scales_that_are_no_numbers_are_left_to_numpy_which_counts_them(tmp_path: Path, name: str, bad: float) -> None:
    path = file_of(tmp_path, name, with_scales(name, 5, np.array([1, bad, 2], np.float16)))
    assert filled(path, 0) is None
    with pytest.raises(ModelFileError, match="TL4009"):
        filled(path, None)


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_a_reader_does_all_that_it_is_asked_for(tmp_path: Path, threads: int) -> None:
    blocks = np.array(random_blocks("Q4_1", (1,), 32 * 5000, seed=3)).reshape(-1)
    (tmp_path / "blocks").write_bytes(b"front" + blocks.tobytes())
    places = [(0, 5000), (20, 30_000 // 20), (99_980, 1), (20 * 17, 4983), (0, 0)]
    with (tmp_path / "blocks").open("rb", buffering=0) as file:
        reader = kernels.Reader(threads)
        room = [(np.zeros(4 * n, np.uint32), np.zeros(n, np.uint16), np.zeros(n, np.uint16)) for _, n in places]
        begun = [
            reader.read(file.fileno(), "Q4_1", 5 + place, *parts)
            for (place, _), parts in zip(places, room, strict=True)
        ]
        largest = [each.wait() for each in reversed(begun)][::-1]
    assert largest[4] == 0
    assert max(largest) == largest[0]
    for (place, count), (words, scales, biases) in zip(places, room, strict=True):
        assert np.array_equal(words, room[0][0][place // 5 :][: words.size])
        assert np.array_equal(scales, room[0][1][place // 20 :][:count])
        assert np.array_equal(biases, room[0][2][place // 20 :][:count])


def test_what_is_not_there_has_no_number(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(bytes(18 * 3 - 1))
    words, halves = np.zeros(12, np.uint32), np.zeros(3, np.uint16)
    reader = kernels.Reader(0)
    with (tmp_path / "short").open("rb", buffering=0) as file:
        number = file.fileno()
        assert reader.read(number, "Q4_0", 0, words[:8], halves[:2], halves[:2].copy()).wait() == 0
        assert math.isnan(reader.read(number, "Q4_0", 0, words, halves, halves.copy()).wait())
        assert math.isnan(reader.read(number, "Q4_0", 2**62, words, halves, halves.copy()).wait())
    assert math.isnan(reader.read(number, "Q4_0", 0, words, halves, halves.copy()).wait())


def test_a_closed_reader_reads_nothing(tmp_path: Path) -> None:
    (tmp_path / "blocks").write_bytes(bytes(18))
    words, halves = np.zeros(4, np.uint32), np.zeros(1, np.uint16)
    with (tmp_path / "blocks").open("rb", buffering=0) as file:
        reader = kernels.Reader(0)
        before = reader.read(file.fileno(), "Q4_0", 0, words, halves, halves.copy())
        reader.close()
        reader.close()
        assert math.isnan(before.wait())
        assert math.isnan(reader.read(file.fileno(), "Q4_0", 0, words, halves, halves.copy()).wait())
    with pytest.raises(ValueError, match="waited for before"):
        before.wait()


def test_the_room_lives_until_it_is_filled(tmp_path: Path) -> None:
    """Even where nobody waits, and the reader is gone before."""
    size = 200_000
    (tmp_path / "blocks").write_bytes(bytes(18 * size))
    with (tmp_path / "blocks").open("rb", buffering=0) as file:
        for threads in (0, 1):
            reader = kernels.Reader(threads)
            begun = [
                reader.read(
                    file.fileno(),
                    "Q4_0",
                    0,
                    np.ones(4 * size, np.uint32),
                    np.ones(size, np.uint16),
                    np.ones(size, np.uint16),
                )
                for _ in range(3)
            ]
            del reader
            del begun


def test_what_does_not_fit_is_refused() -> None:
    words, halves = np.zeros(8, np.uint32), np.zeros(2, np.uint16)
    reader = kernels.Reader(0)
    for wrong in (
        ("Q4_K", 0, words, halves, halves),
        ("Q4_0", -1, words, halves, halves),
        ("Q4_0", 0, words[:7], halves, halves),
        ("Q4_0", 0, words, halves[:1], halves),
        ("Q4_0", 0, words, halves, halves[:1]),
    ):
        with pytest.raises(ValueError, match=r"Reader\.read"):
            reader.read(0, *wrong)
    unsuited: list[Any] = [words.view(np.int32), np.zeros(16, np.uint32)[::2], words.astype(np.float32)]
    for room in unsuited:
        with pytest.raises(TypeError):
            reader.read(0, "Q4_0", 0, room, halves, halves)
    fixed = np.zeros(8, np.uint32)
    fixed.flags.writeable = False
    with pytest.raises(TypeError):
        reader.read(0, "Q4_0", 0, fixed, halves, halves)
    with pytest.raises(ValueError, match="negative"):
        kernels.Reader(-1)
