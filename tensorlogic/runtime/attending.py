"""Attention over a cache in one piece, as the pass `attend` finds it in programs.

Takes the rows of queries, keys and values of a step side by side: q, k and v of each token, [B, L, (H + 2 G) * K].
With our CPU kernels (`kernels.py`) and a cache of plain arrays it is one node of the graph, computed in float32, that
changes the cache's arrays in place; elsewhere it is the operations that the program wrote. Both give the type of what
went in, and evaluate nothing.
"""

from __future__ import annotations

import mlx.core as mx

from tensorlogic.runtime import kernels
from tensorlogic.runtime.caching import KVCache
from tensorlogic.runtime.functions_kernels import attention, rms_norm, rope
from tensorlogic.runtime.sizes import affordable


def cached_attention(
    cache: KVCache,
    layer: int,
    x: mx.array,
    heads: int,
    kv_heads: int,
    *,
    scale: float | None = None,
    window: int | None = None,
    soft_cap: float | None = None,
    offset: int = 0,
    base: float | None = None,
    traditional: bool = False,
    rope_scale: float = 1.0,
    dims: int | None = None,
    periods: mx.array | None = None,
    q_norm: mx.array | None = None,
    k_norm: mx.array | None = None,
    eps: float | None = None,
    dtype: mx.Dtype | None = None,
) -> tuple[mx.array, KVCache]:
    """The mixed heads [B, L, H * K], and the next cache, which keeps `dtype`.

    There are rotary positions where there is a `base`, and norms of queries and keys where there is an `eps`.
    """
    batch, length, joined = x.shape
    width = joined // (heads + 2 * kv_heads)
    node = kernels.active() and soft_cap is None and (q_norm is None) == (eps is None) == (k_norm is None)
    arrays = cache.arrays(layer, (batch, kv_heads, width), length, dtype or x.dtype) if node else None
    if arrays is not None and (base is None or arrays[2] == offset):
        keys, values, at = arrays
        mixed, keys, values = kernels.cpu.cached_attention(
            x,
            keys,
            values,
            heads=heads,
            kv_heads=kv_heads,
            offset=at,
            scale=width**-0.5 if scale is None else scale,
            window=window,
            rope_dims=0 if base is None else width if dims is None else dims,
            rope_base=base if periods is None else None,
            freqs=periods,
            rope_scale=rope_scale,
            traditional=traditional,
            q_norm=q_norm,
            k_norm=k_norm,
            eps=0.0 if eps is None else eps,
        )
        return affordable(mixed), cache.put_arrays(layer, keys, values, length)

    rows = mx.split(x, [heads * width, (heads + kv_heads) * width], axis=-1)
    q, k, v = (_by_head(part, width) for part in rows)
    if eps is not None:
        q, k = rms_norm(q, q_norm, eps), rms_norm(k, k_norm, eps)
    if base is not None:
        q, k = (rope(each, offset, base, traditional, rope_scale, dims, periods) for each in (q, k))
    ks, vs, following = cache.update(layer, k, v, window, dtype=dtype)
    mixed = attention(q, ks, vs, scale, following.mask(layer, q, ks), True, window, soft_cap)
    # Of one token no rows change places, and each operation counts where a step is short.
    mixed = mixed if length == 1 else mixed.transpose(0, 2, 1, 3)
    return mixed.reshape(batch, length, heads * width), following


def _by_head(x: mx.array, width: int) -> mx.array:
    """Rows [B, L, H * K] as [B, H, L, K]."""
    batch, length, joined = x.shape
    if length == 1:
        return x.reshape(batch, joined // width, 1, width)
    return x.reshape(batch, length, -1, width).transpose(0, 2, 1, 3)
