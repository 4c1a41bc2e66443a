"""CPU kernels for TensorLogic: primitives of MLX graphs for x86-64 and arm64, in the module `kernels`.

Importing this proves that the extension fits the installed MLX: the versions are the same, and an array crosses the
border and comes back right. Raises ImportError, with the reason in one line, where it does not.
"""

from __future__ import annotations

import mlx.core as mx

from tensorlogic_cpu import _kernels as kernels

__all__ = ["kernels"]


def _prove() -> None:
    """Another version of nanobind or MLX imports without complaint and fails at the first array."""
    installed = mx.__version__
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
