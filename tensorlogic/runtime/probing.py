"""Which packed layouts the device multiplies by: asked of the device itself, once for each, with a small example.

`mx.quantized_matmul` has a kernel for some layouts on a CPU, for others on Metal and CUDA, and which ones changes from
one version of MLX to the next; our own kernels for the CPU have theirs. What `accepts` refuses is expanded: when it is
read from a file, or when it is used.
The example is computed here, too, from what MLX documents of its layouts
(https://ml-explore.github.io/mlx/build/html/python/_autosummary/mlx.core.quantize.html), so that a kernel that runs
and is wrong counts as none.
"""

from __future__ import annotations

import functools

import mlx.core as mx
import numpy as np

from tensorlogic.runtime import device, kernels
from tensorlogic.runtime.formats.header import PackedLayout
from tensorlogic.runtime.formats.values import Array

ROWS = 32
"""Of the example's matrix. Its left sides have 1 row and 8, since there are kernels of their own for few rows. On CUDA
they have 1: MLX compiles what it calls for several, for half a minute, and each program would wait for it."""
_E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6], np.float32)


def accepts(layout: PackedLayout, dtype: mx.Dtype) -> bool:
    """Whether the default device multiplies by transposed weights of this layout in `dtype`, a float, and rightly."""
    return has_kernel(layout) or mlx_accepts(layout, dtype)


def has_kernel(layout: PackedLayout) -> bool:
    """Whether our CPU kernels are used, and multiply rightly by transposed matrices of this layout, in every type."""
    return kernels.active() is not None and _kernels_accept(layout)


def mlx_accepts(layout: PackedLayout, dtype: mx.Dtype, *, transpose: bool = True) -> bool:
    """Whether MLX's own operation on the default device multiplies by this layout in `dtype`, and rightly."""
    return _mlx_accepts(layout, dtype, transpose, 1 if device.on_cuda() else 8, device.on_gpu())


@functools.cache
def _kernels_accept(layout: PackedLayout) -> bool:
    words, scales, biases, elements = _example(layout)
    parts = mx.array(words), mx.array(scales), None if biases is None else mx.array(biases)
    try:
        matrix = kernels.cpu.Matrix(*parts, layout.bits, layout.group_size, layout.mode)
        product = kernels.cpu.Chain([kernels.cpu.Stage([matrix])], [1])
        return all(_is_right(product(mx.array(left))[0], left, elements.T, 1e-5) for left in _left_sides(elements.T))
    except ValueError:
        # The kernels' word for a layout that they do not have.
        return False


@functools.cache
def _mlx_accepts(layout: PackedLayout, dtype: mx.Dtype, transpose: bool, most_rows: int, on_gpu: bool) -> bool:
    words, scales, biases, elements = _example(layout)
    weight, own_scales, own_biases = mx.array(words), mx.array(scales), None
    if biases is not None:
        own_scales, own_biases = own_scales.astype(dtype), mx.array(biases).astype(dtype)
    tolerance = 1e-5 if dtype == mx.float32 else 2e-2
    right = elements.T if transpose else elements
    for left in _left_sides(right):
        if len(left) > most_rows:
            continue
        try:
            found = mx.quantized_matmul(
                mx.array(left).astype(dtype),
                weight,
                own_scales,
                own_biases,
                transpose=transpose,
                group_size=layout.group_size,
                bits=layout.bits,
                mode=layout.mode,
            )
            if not _is_right(found, left, right, tolerance):
                return False
        except (RuntimeError, ValueError):
            # MLX's word for a layout that it has no kernel for.
            return False
    return True


def _left_sides(right: Array) -> list[Array]:
    """Of 1 row and of 8."""
    return [np.cos(np.arange(rows * len(right), dtype=np.float32)).reshape(rows, -1) for rows in (1, 8)]


def _is_right(found: mx.array, left: Array, right: Array, tolerance: float) -> bool:
    error = np.abs(np.asarray(found.astype(mx.float32)) - left @ right)
    return bool(error.max() <= tolerance * (np.abs(left) @ np.abs(right)).max())


def _example(layout: PackedLayout) -> tuple[Array, Array, Array | None, Array]:
    """Words, scales and biases of a small matrix of every bit pattern, and its elements."""
    width = max(2 * layout.group_size, 64)
    count = ROWS * width
    bits = np.arange(count, dtype=np.uint32) * 37 % 2**layout.bits
    if layout.mode == "mxfp8":
        # Eight bits of E4M3 have no infinity, but two NaNs: all ones below the sign.
        bits[bits & 0x7F == 0x7F] = 0
    stream = (bits[:, None] >> np.arange(layout.bits, dtype=np.uint32)) & 1
    words = np.packbits(stream.astype(np.uint8).reshape(ROWS, -1), axis=1, bitorder="little").view(np.uint32)
    steps = np.arange(count // layout.group_size).reshape(ROWS, -1) % 7
    repeated = np.repeat(steps, layout.group_size, axis=1)
    bits = bits.reshape(ROWS, width)
    if layout.mode == "affine":
        scales, biases = (steps - 3).astype(np.float32) / 2**layout.bits, steps.astype(np.float32) / 8
        elements = np.repeat(scales, layout.group_size, axis=1) * bits + np.repeat(biases, layout.group_size, axis=1)
        return words, scales, biases, elements
    if layout.mode == "nvfp4":
        # E4M3: with these fractions of 0 a scale is 2 ** (step - 3).
        return words, ((steps + 4) * 8).astype(np.uint8), None, _E2M1[bits] * 2.0 ** (repeated - 3)
    values = _E2M1[bits] if layout.bits == 4 else _e4m3(bits)
    return words, (steps + 124).astype(np.uint8), None, values * 2.0 ** (repeated - 3)


def _e4m3(bits: Array) -> Array:
    exponent, fraction = (bits >> 3) & 15, (bits & 7) / 8
    magnitude = np.where(exponent == 0, fraction * 2.0**-6, (1 + fraction) * 2.0 ** (exponent.astype(np.float32) - 7))
    values: Array = np.where(bits >= 128, -magnitude, magnitude).astype(np.float32)
    return values
