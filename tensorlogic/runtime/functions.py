"""What MLX lacks, for emitted code: reductions and divisions that are safe for every input, and a few activations.

Takes MLX arrays; gives lazy ones and evaluates nothing. Sums of float16 and bfloat16 are accumulated in float32 and
rounded once: MLX accumulates some of them in half precision, where a running sum of ones stops at 2048. Each function
depends on MLX and on functions of this file only, so that its text can stand in a module of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import mlx.core as mx

Axes = int | Sequence[int] | None


def wide(x: mx.array) -> mx.array:
    """`x` in the type in which its sums are accumulated."""
    return x.astype(mx.float32) if x.dtype in (mx.float16, mx.bfloat16) else x


def of_nothing(x: mx.array, axis: Axes, keepdims: bool, value: float | bool, dtype: mx.Dtype) -> mx.array:
    """What a reduction of an empty `x` gives: `value` everywhere. MLX's own reads foreign memory, for minutes."""
    axes = range(x.ndim) if axis is None else [a % x.ndim for a in ([axis] if isinstance(axis, int) else axis)]
    shape = [1 if i in axes else size for i, size in enumerate(x.shape) if keepdims or i not in axes]
    return mx.full(shape, value, dtype)


def counted(x: mx.array) -> mx.Dtype:
    """The type of sums and products: bools are counted in int32."""
    return mx.int32 if x.dtype == mx.bool_ else x.dtype


def reduce_sum(x: mx.array, axis: Axes = None, keepdims: bool = False) -> mx.array:
    """The sum over axes; of bools the count, as int32."""
    if x.size == 0:
        return of_nothing(x, axis, keepdims, 0, counted(x))
    return mx.sum(wide(x), axis=axis, keepdims=keepdims).astype(counted(x))


def reduce_prod(x: mx.array, axis: Axes = None, keepdims: bool = False) -> mx.array:
    """The product over axes; of bools as int32."""
    if x.size == 0:
        return of_nothing(x, axis, keepdims, 1, counted(x))
    return mx.prod(wide(x), axis=axis, keepdims=keepdims).astype(counted(x))


def reduce_mean(x: mx.array, axis: Axes = None, keepdims: bool = False) -> mx.array:
    """The mean over axes; NaN of nothing."""
    if x.size == 0:
        return of_nothing(x, axis, keepdims, math.nan, x.dtype)
    return mx.mean(wide(x), axis=axis, keepdims=keepdims).astype(x.dtype)


def reduce_var(x: mx.array, axis: Axes = None, keepdims: bool = False, ddof: int = 0) -> mx.array:
    """The variance over axes: squares of differences to the mean, summed, over the count less `ddof`."""
    if x.size == 0:
        return of_nothing(x, axis, keepdims, math.nan, x.dtype)
    return mx.var(wide(x), axis=axis, keepdims=keepdims, ddof=ddof).astype(x.dtype)


def reduce_std(x: mx.array, axis: Axes = None, keepdims: bool = False, ddof: int = 0) -> mx.array:
    """The square root of the variance."""
    if x.size == 0:
        return of_nothing(x, axis, keepdims, math.nan, x.dtype)
    return mx.std(wide(x), axis=axis, keepdims=keepdims, ddof=ddof).astype(x.dtype)


def reduce_all(x: mx.array, axis: Axes = None, keepdims: bool = False) -> mx.array:
    """Whether all items over axes are true, as those of nothing are."""
    if x.size == 0:
        return of_nothing(x, axis, keepdims, True, mx.bool_)
    return mx.all(x, axis=axis, keepdims=keepdims)


def reduce_any(x: mx.array, axis: Axes = None, keepdims: bool = False) -> mx.array:
    """Whether some item over axes is true; none of nothing is."""
    if x.size == 0:
        return of_nothing(x, axis, keepdims, False, mx.bool_)
    return mx.any(x, axis=axis, keepdims=keepdims)


def reduce_logsumexp(x: mx.array, axis: Axes = None, keepdims: bool = False) -> mx.array:
    """`log(sum(exp(x)))` over axes, without overflow; -inf of nothing."""
    if x.size == 0:
        return of_nothing(x, axis, keepdims, -math.inf, x.dtype)
    return mx.logsumexp(wide(x), axis=axis, keepdims=keepdims).astype(x.dtype)


def cumsum(x: mx.array, axis: int) -> mx.array:
    """The running sum along an axis; of bools as int32."""
    return mx.cumsum(wide(x), axis=axis).astype(counted(x))


def argmax(x: mx.array, axis: int | None = None, keepdims: bool = False) -> mx.array:
    """Where the largest item along an axis is; MLX's own refuses scalars, and what is empty along another axis."""
    if x.size == 0 or x.ndim == 0:
        return of_nothing(x, axis, keepdims, 0, mx.int32)
    return mx.argmax(x, axis=axis, keepdims=keepdims).astype(mx.int32)


def argmin(x: mx.array, axis: int | None = None, keepdims: bool = False) -> mx.array:
    """Where the smallest item along an axis is, as `argmax`."""
    if x.size == 0 or x.ndim == 0:
        return of_nothing(x, axis, keepdims, 0, mx.int32)
    return mx.argmin(x, axis=axis, keepdims=keepdims).astype(mx.int32)


def topk(x: mx.array, k: int, axis: int) -> tuple[mx.array, mx.array]:
    """The `k` largest items along an axis, the largest first, and where they are. NaN counts as the largest."""
    last = x.shape[axis] - 1
    ascending = mx.argsort(x, axis=axis)
    indices = mx.take(ascending, mx.arange(last, last - k, -1), axis=axis)
    return mx.take_along_axis(x, indices, axis=axis), indices.astype(mx.int32)


def floor_div(a: mx.array | int, b: mx.array | int) -> mx.array:
    """`a // b`, also for b = -1: on a CPU, MLX divides -2147483648 by it and ends the process."""
    return mx.where(b == -1, -a, a // mx.where(b == -1, 1, b))


def remainder(a: mx.array | int, b: mx.array | int) -> mx.array:
    """`a % b`, also for b = -1, which leaves 0."""
    return a % mx.where(b == -1, 1, b)


def silu(x: mx.array) -> mx.array:
    """`x * sigmoid(x)`."""
    return x * mx.sigmoid(x)


def gelu(x: mx.array) -> mx.array:
    """`x` times the normal distribution's share below `x`."""
    y = wide(x)
    return (y * (1 + mx.erf(y * 0.7071067811865476)) / 2).astype(x.dtype)


def gelu_tanh(x: mx.array) -> mx.array:
    """The approximation of `gelu` by a hyperbolic tangent."""
    y = wide(x)
    return (y * (1 + mx.tanh(0.7978845608028654 * (y + 0.044715 * y * y * y))) / 2).astype(x.dtype)
