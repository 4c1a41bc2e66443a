"""What stands for `packed.py` and `functions_kernels.py` in a standalone module, which needs MLX alone.

It has no packed weights, and none of our kernels.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from tensorlogic.runtime.device import carried
from tensorlogic.runtime.outside import refuse
from tensorlogic.runtime.sizes import affordable


class Packed:
    """Nothing is one: packed weights need TensorLogic's runtime."""


def dense(w: Any, dtype: mx.Dtype | None = None) -> mx.array:
    """An array, in `dtype` where that is given. Raises BoundaryError TL5002 for a packed weight."""
    if not isinstance(w, mx.array):
        refuse("", "TL5002", "a standalone module takes no packed weights: a `{}` was given", type(w).__name__)
    return w if dtype is None else w.astype(dtype)


def cast(x: mx.array, dtype: mx.Dtype) -> mx.array:
    """Floats as another float type."""
    return x.astype(dtype)


def kept(dtype: mx.Dtype) -> mx.Dtype:
    """The type in which matrices of `dtype` are kept."""
    return carried(dtype)


def linear(x: mx.array, w: mx.array, bias: mx.array | None = None) -> mx.array:
    """`x @ w.T + bias` for `w` of shape [O, I] and `bias` [O]."""
    return affordable(x @ w.T if bias is None else mx.addmm(bias, x, w.T))


def quantize(w: mx.array, bits: int, group: int, dtype: mx.Dtype) -> mx.array:
    """`w`, rounded to what packing would keep of it, in the type in which it is carried."""
    if w.size == 0:
        return w
    words, scales, biases = mx.quantize(w.astype(dtype), group_size=group, bits=bits)
    scales, biases = scales.astype(mx.float32), biases.astype(mx.float32)
    wide = mx.dequantize(words, scales, biases, group_size=group, bits=bits, dtype=mx.float32)
    return wide.astype(dtype).astype(w.dtype)
