"""Layers by our CPU kernels where they are used (`kernels.py`), and by MLX's own operations elsewhere.

Takes MLX arrays of float16, bfloat16 or float32 whose shapes were checked while compiling; gives lazy ones of the type
of the first, and evaluates nothing. Either way sums and norms are computed in float32 and rounded once, so that results
differ by no more than float32's rounding. Products of matrices are in `packed.py`.
"""

from __future__ import annotations

from typing import Literal

import mlx.core as mx

from tensorlogic.runtime import functions, functions_neural, kernels
from tensorlogic.runtime.device import carried


def rms_norm(x: mx.array, weight: mx.array | None = None, eps: float = 1e-5) -> mx.array:
    """The last dim divided by the root of its mean square, then times `weight`."""
    if kernels.active():
        return kernels.cpu.rms_norm(x, weight, eps)
    if x.size == 0:
        # On CUDA MLX fails here (0.32.4).
        return x
    return mx.fast.rms_norm(x, weight, eps)


def layer_norm(
    x: mx.array, weight: mx.array | None = None, bias: mx.array | None = None, eps: float = 1e-5
) -> mx.array:
    """The last dim shifted to mean 0 and scaled to variance 1, then times `weight` plus `bias`."""
    if kernels.active():
        return kernels.cpu.layer_norm(x, weight, bias, eps)
    if x.size == 0:
        return x
    return mx.fast.layer_norm(x, weight, bias, eps)


def softmax(x: mx.array) -> mx.array:
    """`exp(x) / sum(exp(x))` along the last dim."""
    if kernels.active():
        return kernels.cpu.softmax(x)
    return mx.softmax(x, -1, precise=True)


def silu(x: mx.array) -> mx.array:
    """`x * sigmoid(x)`."""
    return kernels.cpu.silu(x) if kernels.active() else functions.silu(x)


def gelu(x: mx.array) -> mx.array:
    """`x` times the normal distribution's share below `x`."""
    return kernels.cpu.gelu(x, False) if kernels.active() else functions.gelu(x)


def gelu_tanh(x: mx.array) -> mx.array:
    """The approximation of `gelu` by a hyperbolic tangent."""
    return kernels.cpu.gelu(x, True) if kernels.active() else functions.gelu_tanh(x)


def gated(gate: mx.array, up: mx.array, kind: Literal["silu", "gelu_tanh"]) -> mx.array:
    """`silu(gate) * up`, or `gelu_tanh(gate) * up`, of arrays of one shape."""
    if kernels.active():
        return kernels.cpu.gated(gate, up, kind)
    return (functions.silu(gate) if kind == "silu" else functions.gelu_tanh(gate)) * up


def cast(x: mx.array, dtype: mx.Dtype) -> mx.array:
    """Floats as another float type; beyond float16's largest number is infinity."""
    if x.dtype == dtype:
        return x
    return kernels.cpu.cast(x, dtype) if kernels.active() else x.astype(dtype)


def kept(dtype: mx.Dtype) -> mx.Dtype:
    """The type in which matrices of `dtype` are kept for products: their own where our kernels widen what they read."""
    return dtype if kernels.active() else carried(dtype)


def greedy(x: mx.array) -> mx.array:
    """The place of the largest item along the last dim, as int32; -1 where one of them is NaN."""
    if kernels.active() and x.size:
        return kernels.cpu.argmax(x)
    wide = x.astype(mx.float32)
    # A sum has the NaN that a largest may pass over.
    return mx.where(mx.isnan(mx.sum(wide, axis=-1)), -1, mx.argmax(wide, axis=-1).astype(mx.int32))


def rope(
    x: mx.array,
    offset: int = 0,
    base: float = 10000.0,
    traditional: bool = False,
    scale: float = 1.0,
    dims: int | None = None,
    periods: mx.array | None = None,
) -> mx.array:
    """Rotary positions along the second last dim of the first `dims` of the last, all of them without `dims`."""
    if kernels.active():
        width = x.shape[-1] if dims is None else dims
        by = base if periods is None else None
        return kernels.cpu.rope(x, width, traditional=traditional, base=by, scale=scale, offset=offset, freqs=periods)
    return functions_neural.rope(x, offset, base, traditional, scale, dims, periods)


def attention(
    q: mx.array,
    k: mx.array,
    v: mx.array,
    scale: float | None = None,
    mask: mx.array | None = None,
    causal: bool = False,
    window: int | None = None,
    soft_cap: float | None = None,
) -> mx.array:
    """Scaled dot-product attention of `q: [B, H, L, D]` over `k: [B, K, S, D]` and `v: [B, K, S, E]`.

    With `causal` a query sees no key after its own place, counted from the end, and with a `window` the last `window`
    of those. A mask says by bools what is seen, or is added to the scores. With a `soft_cap`, which the kernels do not
    have, scores become `soft_cap * tanh(score / soft_cap)` before.
    """
    if kernels.active() and soft_cap is None:
        factor = q.shape[-1] ** -0.5 if scale is None else scale
        seen = window if causal and window is not None and window < k.shape[-2] else None
        return kernels.cpu.attention(q, k, v, scale=factor, causal=causal, window=seen, mask=mask)
    return functions_neural.attention(q, k, v, scale, mask, causal, window, soft_cap)
