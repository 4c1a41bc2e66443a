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

    def split(begin: int, count: int) -> mx.array:
        part = x[..., begin * width : (begin + count) * width]
        return part.reshape(batch, length, count, width).transpose(0, 2, 1, 3)

    q, k, v = split(0, heads), split(heads, kv_heads), split(heads + kv_heads, kv_heads)
    if eps is not None:
        q, k = rms_norm(q, q_norm, eps), rms_norm(k, k_norm, eps)
    if base is not None:
        q, k = (rope(each, offset, base, traditional, rope_scale, dims, periods) for each in (q, k))
    ks, vs, following = cache.update(layer, k, v, window, dtype=dtype)
    mixed = attention(q, ks, vs, scale, following.mask(layer, q, ks), True, window, soft_cap)
    return mixed.transpose(0, 2, 1, 3).reshape(batch, length, heads * width), following
