"""What emitted code calls to draw a token from logits."""

from __future__ import annotations

import mlx.core as mx


def sample(
    logits: mx.array, key: int, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0
) -> mx.array:
    """An index of the last dim for each row of logits [..., V]: int32 [...]; the same key draws the same."""
    return draw(logits, mx.random.key(key % 2**64), temperature, top_k, top_p, min_p).astype(mx.int32)


def draw(logits: mx.array, key: mx.array, temperature: float, top_k: int, top_p: float, min_p: float) -> mx.array:
    """The same with a key of MLX's. Filters go first, then the temperature, of which 0 or less takes the largest."""
    if logits.size == 0:
        return mx.zeros(logits.shape[:-1], mx.int32)
    if temperature <= 0:
        return mx.argmax(logits, axis=-1)
    chosen, ids = logits.astype(mx.float32), None
    if 0 < top_k < logits.shape[-1]:
        # What follows needs no more than these, in any order.
        ids = mx.argpartition(-chosen, top_k - 1, axis=-1)[..., :top_k]
        chosen = mx.take_along_axis(chosen, ids, axis=-1)
    if top_p < 1:
        order = mx.argsort(-chosen, axis=-1)
        chosen = mx.take_along_axis(chosen, order, axis=-1)
        ids = order if ids is None else mx.take_along_axis(ids, order, axis=-1)
        shares = mx.softmax(chosen, axis=-1, precise=True)
        before = mx.cumsum(shares, axis=-1) - shares
        # The first one always stays.
        chosen = mx.where((before < top_p) | (mx.arange(chosen.shape[-1]) == 0), chosen, -mx.inf)
    if min_p > 0:
        least = mx.max(chosen, axis=-1, keepdims=True) + mx.log(mx.array(min(min_p, 1.0)))
        chosen = mx.where(chosen >= least, chosen, -mx.inf)
    drawn = mx.random.categorical(chosen / temperature, axis=-1, key=key)
    return drawn if ids is None else mx.take_along_axis(ids, drawn[..., None], axis=-1)[..., 0]
