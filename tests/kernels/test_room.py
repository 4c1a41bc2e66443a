"""Room for weights and caches: arrays that nothing else lies in, and memory that comes and goes with them."""

from __future__ import annotations

import gc

import mlx.core as mx
import numpy as np
import pytest
from tensorlogic_cpu import kernels

from tests.memory import IS_COUNTED, WHY_NOT, resident

MEGABYTE = 2**20
SHAPES: list[tuple[tuple[int, ...], mx.Dtype]] = [
    ((3, 5), mx.float32),
    ((), mx.float16),
    ((0, 7), mx.uint32),
    ((1001,), mx.uint8),
    ((2, 3, 4, 5), mx.bfloat16),
    ((1, 6), mx.int32),
    ((70 * MEGABYTE,), mx.uint8),
    ((4,), mx.float32),
]


def filled(array: mx.array, value: int) -> mx.array:
    np.asarray(array if array.dtype != mx.bfloat16 else array.view(mx.uint16))[...] = value
    return array


def test_arrays_of_a_room_do_not_overlap() -> None:
    room = kernels.Room()
    arrays = [filled(room.empty(shape, dtype), place) for place, (shape, dtype) in enumerate(SHAPES)]
    for place, (array, (shape, dtype)) in enumerate(zip(arrays, SHAPES, strict=True)):
        assert (array.shape, array.dtype) == (shape, dtype)
        bits = array.view(mx.uint16) if dtype == mx.bfloat16 else array
        assert mx.all(bits == place)
        assert np.asarray(bits).ctypes.data % 64 == 0


def test_arrays_outlive_their_room_and_are_as_others() -> None:
    room = kernels.Room()
    x = filled(room.empty((4, 6), mx.float32), 2)
    other = filled(room.empty((4, 6), mx.float32), 9)
    del room, other
    assert mx.array_equal(x @ x.T, mx.full((4, 4), 24.0))
    assert mx.array_equal(mx.contiguous(x.T) + x.T, mx.full((6, 4), 4.0))
    x[1:2, 2:4] = mx.array(7.0)
    assert x.sum().item() == 58


@pytest.mark.parametrize("make", [lambda s, d: kernels.Room().empty(s, d), kernels.empty], ids=["room", "empty"])
def test_sizes_are_not_negative(make: object) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match=r"empty\] sizes are not negative"):
        make((2, -1), mx.float32)


def test_an_empty_array_may_be_filled_and_changed() -> None:
    x = filled(kernels.empty((2, 3), mx.float16), 1)
    x[:, 1] = mx.array(5, mx.float16)
    assert x.tolist() == [[1, 5, 1], [1, 5, 1]]


@pytest.mark.skipif(not IS_COUNTED, reason=WHY_NOT)
def test_memory_is_taken_when_it_is_written_and_given_back() -> None:
    gc.collect()
    room, before = kernels.Room(), resident()
    arrays = [room.empty((8 * MEGABYTE,), mx.uint8) for _ in range(20)]
    large = kernels.empty((80 * MEGABYTE,), mx.uint8)
    assert resident() - before < 8 * MEGABYTE
    for array in arrays:
        filled(array, 1)
    assert resident() - before > 150 * MEGABYTE
    del array
    # Every second of them: what lies between stays.
    kept = arrays[1::2]
    del arrays
    gc.collect()
    assert 70 * MEGABYTE < resident() - before < 100 * MEGABYTE
    assert all(mx.all(each == 1) for each in kept)
    del kept, room, large
    gc.collect()
    assert resident() - before < 10 * MEGABYTE
