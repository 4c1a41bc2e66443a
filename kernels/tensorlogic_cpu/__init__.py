"""CPU kernels for TensorLogic: primitives of MLX graphs for x86-64 and arm64, in the module `kernels`.

Importing this proves that the extension fits the installed MLX: the versions are the same, and an array crosses the
border and comes back right. Raises ImportError, with the reason in one line, where it does not.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import mlx.core as mx

_BLAS_THREADS = "OPENBLAS_NUM_THREADS"


@contextmanager
def _without_threads_of_the_blas() -> Iterator[None]:
    """OpenBLAS starts a thread for each processor when it is loaded, unless it is told. The kernels have their own."""
    if _BLAS_THREADS in os.environ:
        yield
        return
    os.environ[_BLAS_THREADS] = "1"
    try:
        yield
    finally:
        del os.environ[_BLAS_THREADS]


with _without_threads_of_the_blas():
    from tensorlogic_cpu import _kernels as kernels

__all__ = ["__version__", "kernels"]

__version__ = "0.1.0"


def _prove() -> None:
    """Another version of nanobind or MLX imports without complaint and fails at the first array."""
    installed: str = mx.__version__  # type: ignore[attr-defined]
    if installed.partition("+")[0] != kernels.MLX_VERSION:
        raise ImportError(f"tensorlogic-cpu was built for MLX {kernels.MLX_VERSION}, and MLX {installed} is installed")
    try:
        weight, scales = mx.full((1, 4), 0x11111111, mx.uint32), mx.ones((1, 1))
        matrix = kernels.Matrix(weight, scales, mx.zeros((1, 1)), 4, 32, "affine")
        product = kernels.Chain([kernels.Stage([matrix])], [1])(mx.ones((1, 32)))[0]
        right = product.item() == 32
    except TypeError as error:
        raise ImportError("tensorlogic-cpu does not know the arrays of the installed MLX: build it again") from error
    if not right:
        raise ImportError("tensorlogic-cpu computes wrong sums with the installed MLX: build it again")


_prove()
