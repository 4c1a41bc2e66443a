"""The parts of the hand-written decoder in MLX's own operations."""

from __future__ import annotations

import mlx.core as mx

from benchmarks.decoder import Layer, Matrices, Net, Sizes
from tensorlogic.runtime import packed


class Plain:
    """`Operations` without the CPU kernels."""

    def project(self, x: mx.array, layer: Layer, sizes: Sizes) -> mx.array:
        return _products(mx.fast.rms_norm(x, layer.attention_norm, sizes.eps), layer.projection)

    def attend(
        self, qkv: mx.array, cache: tuple[mx.array, mx.array], offset: int, index: int, layer: Layer, sizes: Sizes
    ) -> tuple[mx.array, tuple[mx.array, mx.array]]:
        length, end = qkv.shape[1], offset + qkv.shape[1]
        heads = qkv.reshape(1, length, -1, sizes.head)
        q, k, v = mx.split(heads, [sizes.heads, sizes.heads + sizes.kv_heads], axis=2)
        if layer.q_norm is not None:
            q = mx.fast.rms_norm(q, layer.q_norm, sizes.eps)
            k = mx.fast.rms_norm(k, layer.k_norm, sizes.eps)
        base = 1e4 if sizes.is_local(index) else sizes.base
        q, k = (
            mx.fast.rope(
                part.swapaxes(1, 2), sizes.head, traditional=sizes.traditional, base=base, scale=1.0, offset=offset
            )
            for part in (q, k)
        )
        keys, values = cache
        keys[:, :, offset:end] = k.astype(keys.dtype)
        values[:, :, offset:end] = v.swapaxes(1, 2).astype(values.dtype)
        mask: mx.array | str | None = "causal" if length > 1 else None
        if sizes.window is not None and sizes.is_local(index) and end > sizes.window:
            query, key = mx.arange(offset, end)[:, None], mx.arange(end)
            mask = (key <= query) & (key > query - sizes.window)
        mixed = mx.fast.scaled_dot_product_attention(
            q,
            keys[:, :, :end].astype(mx.float32),
            values[:, :, :end].astype(mx.float32),
            scale=sizes.scale,
            mask=mask,
        )
        return mixed.swapaxes(1, 2).reshape(1, length, -1), (keys, values)

    def feed(self, mixed: mx.array, x: mx.array, layer: Layer, sizes: Sizes) -> mx.array:
        x = x + _normed(_products(mixed, layer.output), layer.output_norm, sizes.eps)
        both = _products(mx.fast.rms_norm(x, layer.feed_norm, sizes.eps), layer.gate_up)
        gate, up = mx.split(both, 2, axis=-1)
        active = _gelu_tanh(gate) if sizes.gemma else gate * mx.sigmoid(gate)
        return x + _normed(_products(active * up, layer.down), layer.down_norm, sizes.eps)

    def logits(self, x: mx.array, net: Net) -> mx.array:
        return packed.matmul(mx.fast.rms_norm(x, net.norm, net.sizes.eps), net.embedding, transpose=True)


def _products(x: mx.array, matrices: Matrices) -> mx.array:
    products = [packed.matmul(x, w, transpose=True) for w in matrices]
    return products[0] if len(products) == 1 else mx.concatenate(products, axis=-1)


def _normed(x: mx.array, weight: mx.array | None, eps: float) -> mx.array:
    return x if weight is None else mx.fast.rms_norm(x, weight, eps)


def _gelu_tanh(x: mx.array) -> mx.array:
    return 0.5 * x * (1 + mx.tanh(0.7978845608 * (x + 0.044715 * x**3)))
