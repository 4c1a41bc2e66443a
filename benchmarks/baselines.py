"""The computations that compiled TensorLogic is compared with, as an MLX user would write them by hand.

Takes: arrays of one float type, in which all is computed: float32 on a CPU, where MLX is fastest and TensorLogic
carries float16 values so; float16 on a GPU. `mx.eval` is the caller's.

Promises: MLX's fast operations wherever there is one (`addmm`, `fast.scaled_dot_product_attention`,
`fast.layer_norm`), weights in PyTorch's [out, in] order as model files hold them, and the same numbers in every run:
the inputs come from fixed keys, the sizes stand in this file.

Refuses: nothing; its inputs are its own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import mlx.core as mx
from mlx.nn.layers.activations import gelu

ROWS = 64
LINEAR_IN, LINEAR_OUT = 512, 512
MLP_WIDTH, MLP_INNER = 256, 1024
BATCH, LENGTH, HEADS, ATTENTION_WIDTH = 2, 64, 8, 256

MINILM_LAYERS, MINILM_HEADS, MINILM_EPS = 6, 12, 1e-12
MINILM_TOKENS = 32
MINILM_VOCABULARY = 30522

Weights = Mapping[str, mx.array]


@dataclass(frozen=True)
class Dense:
    """A linear layer: weight [O, I], bias [O]."""

    weight: mx.array
    bias: mx.array


@dataclass(frozen=True)
class Attention:
    """Multi-head attention: four linear layers from D to D."""

    query: Dense
    key: Dense
    value: Dense
    output: Dense


def linear(x: mx.array, layer: Dense) -> mx.array:
    """[..., I] to [..., O]."""
    return mx.addmm(layer.bias, x, layer.weight.T)


def mlp(x: mx.array, up: Dense, down: Dense) -> mx.array:
    """[..., D] to [..., D], exact GELU between the two layers."""
    return linear(gelu(linear(x, up)), down)


def attention_block(x: mx.array, block: Attention, heads: int) -> mx.array:
    """Multi-head self-attention with its projections: [B, L, D] to [B, L, D]."""
    batch, length, width = x.shape
    split = (batch, length, heads, width // heads)
    queries = linear(x, block.query).reshape(split).transpose(0, 2, 1, 3)
    keys = linear(x, block.key).reshape(split).transpose(0, 2, 1, 3)
    values = linear(x, block.value).reshape(split).transpose(0, 2, 1, 3)
    mixed = mx.fast.scaled_dot_product_attention(queries, keys, values, scale=1 / math.sqrt(width // heads))
    return linear(mixed.transpose(0, 2, 1, 3).reshape(x.shape), block.output)


def minilm(ids: mx.array, w: Weights) -> mx.array:
    """all-MiniLM-L6-v2: int32 [B, L] to unit vectors [B, 384]. All texts of a batch have L tokens: no mask."""
    x = w["embeddings.word_embeddings.weight"][ids]
    x = x + w["embeddings.position_embeddings.weight"][: ids.shape[1]]
    x = x + w["embeddings.token_type_embeddings.weight"][0]
    x = _norm(x, "embeddings.LayerNorm", w)
    for layer in range(MINILM_LAYERS):
        x = _minilm_layer(x, f"encoder.layer.{layer}", w)
    pooled = x.mean(axis=1)
    return pooled * mx.rsqrt(mx.sum(mx.square(pooled), axis=-1, keepdims=True))


def _minilm_layer(x: mx.array, name: str, w: Weights) -> mx.array:
    block = Attention(
        query=_dense(f"{name}.attention.self.query", w),
        key=_dense(f"{name}.attention.self.key", w),
        value=_dense(f"{name}.attention.self.value", w),
        output=_dense(f"{name}.attention.output.dense", w),
    )
    x = _norm(x + attention_block(x, block, MINILM_HEADS), f"{name}.attention.output.LayerNorm", w)
    inner = mlp(x, _dense(f"{name}.intermediate.dense", w), _dense(f"{name}.output.dense", w))
    return _norm(x + inner, f"{name}.output.LayerNorm", w)


def _dense(name: str, w: Weights) -> Dense:
    return Dense(w[f"{name}.weight"], w[f"{name}.bias"])


def _norm(x: mx.array, name: str, w: Weights) -> mx.array:
    return mx.fast.layer_norm(x, w[f"{name}.weight"], w[f"{name}.bias"], MINILM_EPS)


def linear_inputs(dtype: mx.Dtype) -> tuple[mx.array, Dense]:
    """Arguments of `linear`: x [ROWS, LINEAR_IN] and its layer."""
    return _random(0, (ROWS, LINEAR_IN), dtype), _random_dense(1, LINEAR_IN, LINEAR_OUT, dtype)


def mlp_inputs(dtype: mx.Dtype) -> tuple[mx.array, Dense, Dense]:
    """Arguments of `mlp`: x [ROWS, MLP_WIDTH] and its two layers."""
    up = _random_dense(1, MLP_WIDTH, MLP_INNER, dtype)
    down = _random_dense(3, MLP_INNER, MLP_WIDTH, dtype)
    return _random(0, (ROWS, MLP_WIDTH), dtype), up, down


def attention_inputs(dtype: mx.Dtype) -> tuple[mx.array, Attention, int]:
    """Arguments of `attention_block`: x [BATCH, LENGTH, ATTENTION_WIDTH], its layers and the number of heads."""
    layers = [_random_dense(seed, ATTENTION_WIDTH, ATTENTION_WIDTH, dtype) for seed in (1, 3, 5, 7)]
    return _random(0, (BATCH, LENGTH, ATTENTION_WIDTH), dtype), Attention(*layers), HEADS


def minilm_inputs(folder: Path, dtype: mx.Dtype) -> tuple[mx.array, dict[str, mx.array]]:
    """Arguments of `minilm`: ids [1, MINILM_TOKENS] and the weights of the model in `folder`."""
    ids = mx.random.randint(0, MINILM_VOCABULARY, (1, MINILM_TOKENS), dtype=mx.int32, key=mx.random.key(0))
    weights = minilm_weights(folder, dtype)
    mx.eval(ids)
    return ids, weights


def minilm_weights(folder: Path, dtype: mx.Dtype) -> dict[str, mx.array]:
    """The float tensors of the model, in `dtype` and in memory."""
    loaded = mx.load(str(folder / "model.safetensors"))
    assert isinstance(loaded, dict)
    weights = {name: array.astype(dtype) for name, array in loaded.items() if mx.issubdtype(array.dtype, mx.floating)}
    mx.eval(weights)
    return weights


def _random_dense(seed: int, inputs: int, outputs: int, dtype: mx.Dtype) -> Dense:
    weight = _random(seed, (outputs, inputs), dtype, scale=1 / math.sqrt(inputs))
    return Dense(weight, _random(seed + 1, (outputs,), dtype))


def _random(seed: int, shape: tuple[int, ...], dtype: mx.Dtype, scale: float = 1.0) -> mx.array:
    """Normal numbers, made in float32 so that every type holds the same ones, rounded; in memory."""
    array = mx.random.normal(shape, scale=scale, key=mx.random.key(seed)).astype(dtype)
    mx.eval(array)
    return array
