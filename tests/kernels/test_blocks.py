"""GGUF's oldest blocks in MLX's layout: what the kernels make of them, bit by bit, is what NumPy makes."""

from __future__ import annotations

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


def filled(path: Path, rearrange: repacked.Rearrange | None) -> tuple[Parts, float]:
    header, files = open_model(path)
    info = header.tensors["w"]
    room = repacked.make_room(info, np.empty)
    try:
        return repacked.fill_room(files[info.file], info, room, rearrange)
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
    (ours, bound), (plain, other) = filled(path, kernels.rearrange), filled(path, None)
    assert bound == other
    for name in ("words", "scales", "biases"):
        a, b = getattr(ours, name), getattr(plain, name)
        assert a.dtype == b.dtype
        assert np.array_equal(a.view(np.uint8), b.view(np.uint8)), name


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_scales_that_are_no_numbers_are_counted(tmp_path: Path, name: str, bad: float) -> None:
    path = file_of(tmp_path, name, with_scales(name, 5, np.array([1, bad, 2], np.float16)))
    told = []
    for rearrange in (kernels.rearrange, None):
        with pytest.raises(ModelFileError, match="TL4009") as caught:
            filled(path, rearrange)
        told.append(caught.value.message)
    assert told[0] == told[1]


def test_what_does_not_fit_is_refused() -> None:
    words, halves = np.zeros(8, np.uint32), np.zeros(2, np.uint16)
    kernels.rearrange("Q4_0", bytes(36), words, halves, halves)
    for wrong in (
        ("Q4_K", bytes(36), words, halves, halves),
        ("Q4_0", bytes(35), words, halves, halves),
        ("Q4_0", bytes(54), words, halves, halves),
        ("Q4_0", bytes(36), words[:7], halves, halves),
        ("Q4_0", bytes(36), words, halves[:1], halves),
        ("Q4_0", bytes(36), words, halves, halves[:1]),
    ):
        with pytest.raises(ValueError, match="rearrange"):
            kernels.rearrange(*wrong)
    unsuited: list[Any] = [words.view(np.int32), np.zeros(16, np.uint32)[::2], words.astype(np.float32)]
    for room in unsuited:
        with pytest.raises(TypeError):
            kernels.rearrange("Q4_0", bytes(36), room, halves, halves)
    fixed = np.zeros(8, np.uint32)
    fixed.flags.writeable = False
    with pytest.raises(TypeError):
        kernels.rearrange("Q4_0", bytes(36), fixed, halves, halves)
