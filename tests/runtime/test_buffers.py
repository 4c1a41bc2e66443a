"""Arrays of MLX that NumPy fills: what is written through the view is what the array holds."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import numpy as np
import numpy.typing as npt
import pytest

from tensorlogic.runtime import device
from tensorlogic.runtime.buffers import Buffers
from tensorlogic.runtime.models import load_model
from tensorlogic.runtime.packed import dense
from tests.runtime.model_files import Array, expanded, random_blocks, write_gguf


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


def test_on_another_gpu_than_metals_arrays_are_filled_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for CUDA: what the device says of itself; the arrays stay on this machine's."""
    monkeypatch.setattr(device, "on_gpu", lambda: True)
    monkeypatch.setattr(mx.metal, "is_available", lambda: False)
    blocks = random_blocks("Q4_K", (4,), 256, seed=1)
    tensors: dict[str, Array | tuple[str, Array]] = {"q": ("Q4_K", blocks), "f": np.arange(6, dtype=np.float32)}
    assert Buffers().array(np.array(7, np.int32)).shape == ()
    model = load_model(write_gguf(tmp_path / "a.gguf", tensors), dtype="float32")
    np.testing.assert_array_equal(np.asarray(dense(model.get_tensor("q"))), expanded("Q4_K", blocks))
    assert dense(model.get_tensor("f")).tolist() == [0, 1, 2, 3, 4, 5]
    assert Buffers().empty((2, 3), np.float32).flags.owndata
