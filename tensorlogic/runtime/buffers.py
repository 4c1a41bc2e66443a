"""MLX arrays that NumPy fills: the bytes of a file reach MLX's memory without a copy beside it.

`mx.array` of a NumPy array copies it, and so does `mx.from_dlpack` on a CPU: 0.6 ms for each megabyte, and twice the
memory. An array of MLX shows NumPy its own memory, which can be written as long as nothing has used it. Only on CUDA
is it filled apart and copied, since there a view would move the array's memory to the host.

With our CPU kernels the arrays of a model lie in memory of huge pages (`room`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import mlx.core as mx
import numpy as np
import numpy.typing as npt

from tensorlogic.runtime import device, kernels
from tensorlogic.runtime.formats.values import Array

if TYPE_CHECKING:
    from tensorlogic_cpu._kernels import Room

_MLX = {
    np.dtype(np.float32): mx.float32,
    np.dtype(np.float16): mx.float16,
    np.dtype(np.uint32): mx.uint32,
    np.dtype(np.uint16): mx.uint16,
    np.dtype(np.uint8): mx.uint8,
    np.dtype(np.int32): mx.int32,
    np.dtype(np.bool_): mx.bool_,
}


_ZEROS = np.zeros(1 << 22, np.uint8)


def _allocated(shape: tuple[int, ...], dtype: np.dtype[Any]) -> mx.array:
    """An array in memory. A small one is copied, since an evaluation waits for another thread, for 40 µs and more."""
    nbytes = math.prod(shape) * dtype.itemsize
    if nbytes <= _ZEROS.size:
        return mx.array(_ZEROS[:nbytes].view(dtype).reshape(shape))
    array = mx.zeros(shape, _MLX[dtype])
    mx.eval(array)
    return array


def room() -> Room | None:
    """Where the arrays of a model lie side by side; None where each has memory of its own."""
    found = None if device.on_gpu() else kernels.status().module
    return None if found is None else cast("Room", found.Room())


class Buffers:
    """The arrays of one tensor, from their making to their being handed over.

    They are made and handed over in the thread that uses MLX, and filled in any.
    """

    def __init__(self, room: Room | None = None) -> None:
        self._room = room
        self._made: list[tuple[Array, mx.array]] = []

    def empty(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
        """Room for an array of a type that NumPy has, filled with anything."""
        if 0 in shape or device.on_cuda():
            return np.empty(shape, dtype)
        kind = np.dtype(dtype)
        array = _allocated(shape, kind) if self._room is None else self._room.empty(shape, _MLX[kind])
        view = np.asarray(array)
        self._made.append((view, array))
        return view

    def array(self, values: Array) -> mx.array:
        """The array of MLX whose room this is, or a copy of an array that was made elsewhere, in row-major order."""
        found = next((array for view, array in self._made if view is values), None)
        return mx.array(np.asarray(values, order="C")) if found is None else found
