"""The moving of bits against the plainest way to say it: a whole number for each row."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from tensorlogic.runtime.formats.bits import columns, join_halves, join_lanes, take_lanes, unpacked
from tensorlogic.runtime.formats.values import Array

BLOCKS = 5


def random_bytes(*shape: int) -> Array:
    return np.random.default_rng(3).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 5, 6, 7])
@pytest.mark.parametrize("runs", [1, 8])
def test_lanes_are_joined_into_one_run_of_bits(bits: int, runs: int) -> None:
    elements = random_bytes(BLOCKS, runs, 4, 8) % 2**bits
    lanes = np.ascontiguousarray(elements.view(np.uint64)[..., 0].transpose(1, 2, 0))
    words = np.full((BLOCKS, runs * bits), 0xFFFFFFFF, np.uint32)
    join_lanes(lanes, bits, words)
    for row, block in zip(words, elements.reshape(BLOCKS, -1), strict=True):
        whole = sum(int(element) << (bits * place) for place, element in enumerate(block))
        assert int.from_bytes(row.astype("<u4").tobytes(), "little") == whole


def test_halves_are_joined_into_words_of_eight() -> None:
    content = random_bytes(BLOCKS, 8)
    low, high = join_halves(content.reshape(-1).view(np.uint64))
    for row, first, second in zip(content, low, high, strict=True):
        assert int(first) == sum((int(byte) & 15) << (4 * place) for place, byte in enumerate(row))
        assert int(second) == sum((int(byte) >> 4) << (4 * place) for place, byte in enumerate(row))


@pytest.mark.parametrize(("shift", "bits"), [(0, 4), (4, 4), (6, 2), (3, 1), (7, 1)])
def test_lanes_hold_some_bits_of_each_byte(shift: int, bits: int) -> None:
    content = random_bytes(BLOCKS * 8)
    lanes = take_lanes(content.view(np.uint64), shift, bits)
    np.testing.assert_array_equal(lanes.view(np.uint8), content >> shift & (2**bits - 1))


def test_columns_are_contiguous() -> None:
    form = np.dtype([("head", "u1"), ("numbers", "<u8", 3)])
    blocks = random_bytes(BLOCKS * form.itemsize).view(form)
    turned = columns(blocks["numbers"])
    assert turned.flags.c_contiguous
    np.testing.assert_array_equal(turned, blocks["numbers"].T)


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("count", [0, 1, 7, 40])
def test_elements_are_taken_out_of_a_run(bits: int, count: int, order: Literal["little", "big"]) -> None:
    run = random_bytes(-(-count * bits // 8))
    whole = int.from_bytes(run.tobytes(), order)
    top = 8 * len(run) - bits
    places = [bits * place if order == "little" else top - bits * place for place in range(count)]
    assert unpacked(run, bits, count, order).tolist() == [whole >> place & (2**bits - 1) for place in places]
