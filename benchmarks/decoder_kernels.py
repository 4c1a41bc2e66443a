"""The parts of the hand-written decoder as the CPU kernels' primitives: three nodes a layer."""

from __future__ import annotations

from typing import Literal

import mlx.core as mx
from tensorlogic_cpu import kernels

from benchmarks.decoder import Layer, Net, Sizes
from tensorlogic.runtime.packed import Packed, Tensor


class Kernels:
    """`Operations` by the CPU kernels; `fast` rounds the activations of packed products to int8."""

    def __init__(self, net: Net, fast: bool) -> None:
        sizes = net.sizes
        self._chains = {id(layer): (_projection(layer, sizes, fast), _feed(layer, sizes, fast)) for layer in net.layers}
        head = kernels.Stage([_matrix(net.embedding)], norm=net.norm, eps=sizes.eps, activations=_kept(fast))
        self._head = kernels.Chain([head], [1])

    def project(self, x: mx.array, layer: Layer, sizes: Sizes) -> mx.array:
        return self._chains[id(layer)][0](x)[0]

    def attend(
        self, qkv: mx.array, cache: tuple[mx.array, mx.array], offset: int, index: int, layer: Layer, sizes: Sizes
    ) -> tuple[mx.array, tuple[mx.array, mx.array]]:
        local = sizes.is_local(index)
        mixed, keys, values = kernels.cached_attention(
            qkv,
            *cache,
            heads=sizes.heads,
            kv_heads=sizes.kv_heads,
            offset=offset,
            scale=sizes.scale,
            window=sizes.window if local else None,
            rope_dims=sizes.head,
            rope_base=1e4 if local else sizes.base,
            traditional=sizes.traditional,
            q_norm=layer.q_norm,
            k_norm=layer.k_norm,
            eps=sizes.eps,
        )
        return mixed, (keys, values)

    def feed(self, mixed: mx.array, x: mx.array, layer: Layer, sizes: Sizes) -> mx.array:
        return self._chains[id(layer)][1](mixed, [x])[0]

    def logits(self, x: mx.array, net: Net) -> mx.array:
        return self._head(x)[0]


def _projection(layer: Layer, sizes: Sizes, fast: bool) -> kernels.Chain:
    matrices = [_matrix(w) for w in layer.projection]
    stage = kernels.Stage(matrices, norm=layer.attention_norm, eps=sizes.eps, activations=_kept(fast))
    return kernels.Chain([stage], [1])


def _feed(layer: Layer, sizes: Sizes, fast: bool) -> kernels.Chain:
    """The output projection with its sum, then the feed-forward with its own: three products, one node."""
    eps = sizes.eps
    after = eps if sizes.gemma else None
    output, gate_up, down = ([_matrix(w) for w in group] for group in (layer.output, layer.gate_up, layer.down))
    kept = _kept(fast)
    gate: Literal["silu", "gelu_tanh"] = "gelu_tanh" if sizes.gemma else "silu"
    stages = [
        kernels.Stage(output, norm_after=layer.output_norm, eps_after=after, addend=0, activations=kept),
        kernels.Stage(gate_up, norm=layer.feed_norm, eps=eps, gate=gate, activations=kept),
        kernels.Stage(down, norm_after=layer.down_norm, eps_after=after, add_value=1, activations=kept),
    ]
    return kernels.Chain(stages, [3])


def _kept(fast: bool) -> Literal["float16", "int8"]:
    """Both files' weights are float16 to a program, and so is what meets them."""
    return "int8" if fast else "float16"


def _matrix(w: Tensor) -> kernels.Matrix:
    if isinstance(w, Packed):
        layout = w.layout
        return kernels.Matrix(w.weight, w.scales, w.biases, layout.bits, layout.group_size, layout.mode)
    return kernels.Matrix.dense(w)
