"""Layers of neural networks for emitted code, where MLX has no one operation for them.

Takes MLX arrays whose shapes were checked while compiling; gives lazy ones and evaluates nothing. Sums and norms are
computed in float32 and rounded once. Activations have their channels last, as MLX has them. Each function depends on
MLX, `math` and functions of this file only, so that its text can stand in a module of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import mlx.core as mx


def log_softmax(x: mx.array, axis: int) -> mx.array:
    """`x - logsumexp(x)` along an axis, from the largest item down; MLX refuses arrays without items."""
    if x.size == 0:
        return x
    y = x.astype(mx.float32)
    y = y - mx.max(y, axis=axis, keepdims=True)
    return (y - mx.logsumexp(y, axis=axis, keepdims=True)).astype(x.dtype)


def batch_norm(
    x: mx.array, mean: mx.array, variance: mx.array, weight: mx.array | None, bias: mx.array | None, eps: float
) -> mx.array:
    """The last dim shifted and scaled by statistics that are given: one product and one sum for each item."""
    scale = mx.rsqrt(variance.astype(mx.float32) + eps)
    if weight is not None:
        scale = scale * weight.astype(mx.float32)
    shift = -mean.astype(mx.float32) * scale
    if bias is not None:
        shift = shift + bias.astype(mx.float32)
    return (x.astype(mx.float32) * scale + shift).astype(x.dtype)


def biased(x: mx.array, bias: mx.array | None) -> mx.array:
    """`x + bias`, where there is one."""
    return x if bias is None else x + bias


def windows(x: mx.array, kernel: Sequence[int], stride: Sequence[int]) -> mx.array:
    """Every window of `x: [N, H, W, C]` as a view: `[N, H', W', kernel height, kernel width, C]`."""
    x = mx.contiguous(x)
    n, height, width, channels = x.shape
    rows, columns = ((size - k) // s + 1 for size, k, s in zip((height, width), kernel, stride, strict=True))
    row, column = width * channels, channels
    shape = (n, rows, columns, *kernel, channels)
    strides = (height * row, stride[0] * row, stride[1] * column, row, column, 1)
    return mx.as_strided(x, shape, strides)


def max_pool(x: mx.array, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]) -> mx.array:
    """The largest item of each window; what is padded is never the largest."""
    if any(padding):
        x = mx.pad(x, [(0, 0), *((p, p) for p in padding), (0, 0)], constant_values=-math.inf)
    return mx.max(windows(x, kernel, stride), axis=(3, 4))


def avg_pool(x: mx.array, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]) -> mx.array:
    """The mean of each window; what is padded counts as 0."""
    if any(padding):
        x = mx.pad(x, [(0, 0), *((p, p) for p in padding), (0, 0)])
    return mx.mean(windows(x, kernel, stride).astype(mx.float32), axis=(3, 4)).astype(x.dtype)


def dropout(x: mx.array, rate: float, key: int) -> mx.array:
    """Each item 0 with the probability `rate`, else divided by `1 - rate`; the same key drops the same items."""
    if rate <= 0:
        return x
    if rate >= 1:
        return mx.zeros_like(x)
    keep = mx.random.bernoulli(1 - rate, x.shape, key=mx.random.key(key % 2**64))
    return mx.where(keep, x / (1 - rate), 0)


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
    """Scaled dot-product attention. With `causal` a query sees no key after its own place, counted from the end.

    With a `window` besides, it sees the last `window` keys of those. A `soft_cap` bounds the scores before they are
    masked. Raises ValueError for one that is not above 0.
    """
    if soft_cap is not None:
        seen = with_causal(mask, q.shape[-2], k.shape[-2], window) if causal else mask
        return _capped_attention(q, k, v, q.shape[-1] ** -0.5 if scale is None else scale, seen, soft_cap)
    kind: mx.array | str | None = mask
    if causal and mask is None and (window is None or k.shape[-2] <= window):
        # The last one sees all keys.
        kind = None if q.shape[-2] == 1 else "causal"
    elif causal:
        kind = with_causal(mask, q.shape[-2], k.shape[-2], window)
    factor = q.shape[-1] ** -0.5 if scale is None else scale
    return mx.fast.scaled_dot_product_attention(q, k, v, scale=factor, mask=kind)


def _capped_attention(
    q: mx.array, k: mx.array, v: mx.array, scale: float, mask: mx.array | None, soft_cap: float
) -> mx.array:
    """Attention of capped scores in float32; a query that sees no key gives zeros."""
    if not soft_cap > 0:
        raise ValueError(f"the `soft_cap` of `attention` is above 0, not {soft_cap}")
    batch, heads, queries, width = q.shape
    groups, keys = k.shape[1:3]
    q32, k32, v32 = (x.astype(mx.float32) for x in (q, k, v))
    # A group of queries beside the head of keys that it shares.
    scores = q32.reshape(batch, groups, -1, queries, width) @ (scale * k32)[:, :, None].swapaxes(-1, -2)
    scores = (soft_cap * mx.tanh(scores / soft_cap)).reshape(batch, heads, queries, keys)
    if mask is not None:
        scores = mx.where(mask, scores, -math.inf) if mask.dtype == mx.bool_ else scores + mask
    sees = mx.max(scores, axis=-1, keepdims=True) > -math.inf
    weights = mx.where(sees, mx.softmax(scores, axis=-1), 0.0).reshape(batch, groups, -1, queries, keys)
    return (weights @ v32[:, :, None]).reshape(batch, heads, queries, -1).astype(q.dtype)


def with_causal(mask: mx.array | None, queries: int, keys: int, window: int | None = None) -> mx.array:
    """A mask, of bools or to be added, that hides later keys, too, and those that lie before the window."""
    places, own = mx.arange(keys), mx.arange(queries)[:, None] + (keys - queries)
    seen = places <= own
    if window is not None and window < keys:
        seen = seen & (places > own - window)
    if mask is None:
        return seen
    return mask & seen if mask.dtype == mx.bool_ else mx.where(seen, mask, -math.inf)


def rope(
    x: mx.array,
    offset: int = 0,
    base: float = 10000.0,
    traditional: bool = False,
    scale: float = 1.0,
    dims: int | None = None,
    periods: mx.array | None = None,
) -> mx.array:
    """Rotary positions along the second last dim; MLX's own wants at least three dims."""
    lifted = x if x.ndim > 2 else x[None]
    rotated = mx.fast.rope(
        lifted,
        x.shape[-1] if dims is None else dims,
        traditional=traditional,
        base=base if periods is None else None,
        scale=scale,
        offset=offset,
        freqs=periods,
    )
    return rotated if x.ndim > 2 else rotated[0]
