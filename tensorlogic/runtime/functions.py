"""What MLX lacks, for emitted code: reductions and divisions that are safe for every input, and a few activations.

Takes MLX arrays; gives lazy ones and evaluates nothing. Sums of float16 and bfloat16 are accumulated in float32 and
rounded once: MLX accumulates some of them in half precision, where a running sum of ones stops at 2048. Each function
depends on MLX and on functions of this file only, so that its text can stand in a module of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import mlx.core as mx

Axes = int | Sequence[int] | None


def wide(x: mx.array) -> mx.array:
    """`x` in the type in which its sums are accumulated."""
    return x.astype(mx.float32) if x.dtype in (mx.float16, mx.bfloat16) else x


def sum(x: mx.array, axis: Axes = None, keepdims: bool = False) -> mx.array:
    """The sum over axes; of bools the count, as int32."""
    total = mx.sum(wide(x), axis=axis, keepdims=keepdims)
    return total if x.dtype == mx.bool_ else total.astype(x.dtype)


def prod(x: mx.array, axis: Axes = None, keepdims: bool = False) -> mx.array:
    """The product over axes; of bools as int32."""
    product = mx.prod(wide(x), axis=axis, keepdims=keepdims)
    return product if x.dtype == mx.bool_ else product.astype(x.dtype)


def mean(x: mx.array, axis: Axes = None, keepdims: bool = False) -> mx.array:
    """The mean over axes."""
    return mx.mean(wide(x), axis=axis, keepdims=keepdims).astype(x.dtype)


def var(x: mx.array, axis: Axes = None, keepdims: bool = False, ddof: int = 0) -> mx.array:
    """The variance over axes: squares of differences to the mean, summed, over the count less `ddof`."""
    return mx.var(wide(x), axis=axis, keepdims=keepdims, ddof=ddof).astype(x.dtype)


def std(x: mx.array, axis: Axes = None, keepdims: bool = False, ddof: int = 0) -> mx.array:
    """The square root of the variance."""
    return mx.std(wide(x), axis=axis, keepdims=keepdims, ddof=ddof).astype(x.dtype)


def logsumexp(x: mx.array, axis: Axes = None, keepdims: bool = False) -> mx.array:
    """`log(sum(exp(x)))` over axes, without overflow; -inf over nothing."""
    if x.size == 0:
        return mx.log(mx.sum(x, axis=axis, keepdims=keepdims))
    return mx.logsumexp(wide(x), axis=axis, keepdims=keepdims).astype(x.dtype)


def cumsum(x: mx.array, axis: int) -> mx.array:
    """The running sum along an axis; of bools as int32."""
    total = mx.cumsum(wide(x), axis=axis)
    return total if x.dtype == mx.bool_ else total.astype(x.dtype)


def argmax(x: mx.array, axis: int | None = None, keepdims: bool = False) -> mx.array:
    """Where the largest item along an axis is; MLX's own refuses tensors that are empty along another axis."""
    if x.size == 0:
        return mx.zeros_like(mx.sum(x, axis=axis, keepdims=keepdims), dtype=mx.int32)
    return mx.argmax(x, axis=axis, keepdims=keepdims).astype(mx.int32)


def argmin(x: mx.array, axis: int | None = None, keepdims: bool = False) -> mx.array:
    """Where the smallest item along an axis is, as `argmax`."""
    if x.size == 0:
        return mx.zeros_like(mx.sum(x, axis=axis, keepdims=keepdims), dtype=mx.int32)
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
