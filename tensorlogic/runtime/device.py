"""Where a program computes, and in which precision its values are carried there.

A value of the language's `float16` or `bfloat16` is carried as float32 on the CPU, where MLX computes half precision
many times slower and accumulates it badly, and as itself on a GPU. Under `strict` it is itself everywhere.
"""

from __future__ import annotations

import functools
import sys
from typing import Literal

import mlx.core as mx

_HALVES = (mx.float16, mx.bfloat16)
_GPU = mx.Device(mx.gpu)


def on_gpu() -> bool:
    """Whether MLX's default device is a GPU."""
    return bool(mx.default_device() == _GPU)


def on_cuda() -> bool:
    """Whether it is one of CUDA's: the only other ones are Metal's."""
    return on_gpu() and not mx.metal.is_available()


def carried(dtype: mx.Dtype, *, strict: bool = False) -> mx.Dtype:
    """The type in which the default device carries values of `dtype`."""
    if strict or dtype not in _HALVES or on_gpu():
        return dtype
    return mx.float32


def select(device: Literal["gpu", "cpu"] | None) -> mx.Device:
    """The MLX device that a program's `device:` names; the default device for None.

    Asking for `gpu` on a machine without one gives the CPU, and says so once on stderr.
    """
    if device is None:
        return mx.default_device()
    if device == "gpu":
        if mx.is_available(mx.Device(mx.gpu)):
            return mx.Device(mx.gpu)
        _say_no_gpu()
    return mx.Device(mx.cpu)


@functools.cache
def _say_no_gpu() -> None:
    print("tensorlogic: this machine has no GPU that MLX can use; running on the CPU", file=sys.stderr)
