"""Arrays of MLX that NumPy fills: what is written through the view is what the array holds."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import numpy.typing as npt
import pytest

from tensorlogic.runtime.buffers import Buffers


@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.uint32, np.uint16, np.uint8, np.int32, np.bool_])
@pytest.mark.parametrize("shape", [(), (1,), (3, 5), (0, 4), (2_000_000, 3)])
def test_what_is_written_arrives(dtype: npt.DTypeLike, shape: tuple[int, ...]) -> None:
    buffers = Buffers()
    others, values = buffers.empty(shape, dtype), buffers.empty(shape, dtype)
    assert (values.shape, values.dtype) == (shape, np.dtype(dtype))
    expected = (np.arange(values.size) % 2).astype(dtype).reshape(shape)
    values[...] = expected
    others[...] = 1
    array = buffers.array(values)
    assert array.shape == shape
    np.testing.assert_array_equal(np.asarray(array), expected)
    assert bool(mx.all(buffers.array(others) == 1))
    assert not np.asarray(Buffers().empty(shape, dtype)).any()


def test_an_array_made_elsewhere_is_copied() -> None:
    made = np.arange(4, dtype=np.float32)
    array = Buffers().array(made)
    made[:] = 0
    assert array.tolist() == [0, 1, 2, 3]
