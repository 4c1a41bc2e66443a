"""NumPy references of the layers of neural networks, written out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx
import numpy as np

from tests.ops.harness import Array

Sizes = int | Sequence[int]


def softmax(x: Array, axis: int = -1) -> Any:
    powers = np.exp(x - np.max(x, axis, keepdims=True, initial=-np.inf))
    return powers / np.sum(powers, axis, keepdims=True)


def log_softmax(x: Array, axis: int = -1) -> Any:
    shifted = x - np.max(x, axis, keepdims=True, initial=-np.inf)
    return shifted - np.log(np.sum(np.exp(shifted), axis, keepdims=True))


def layer_norm(x: Array, weight: Array | None = None, bias: Array | None = None, eps: float = 1e-5) -> Any:
    y = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps)
    return y * (1 if weight is None else weight) + (0 if bias is None else bias)


def rms_norm(x: Array, weight: Array | None = None, eps: float = 1e-5) -> Any:
    y = x / np.sqrt(np.mean(x * x, -1, keepdims=True) + eps)
    return y if weight is None else y * weight


def quantize(w: Array, bits: int = 4, group: int = 64) -> Any:
    """MLX's mode `affine`: the end of a group that is larger in magnitude, and 0, are among what the bits can say."""
    groups = w.reshape(*w.shape[:-1], w.shape[-1] // group, group)
    low, high = groups.min(-1, keepdims=True), groups.max(-1, keepdims=True)
    is_low = np.abs(low) > np.abs(high)
    steps = 2**bits - 1
    scale = np.maximum((high - low) / steps, 1e-7) * np.where(is_low, 1, -1)
    end = np.where(is_low, low, high)
    from_zero = np.round(end / scale)
    scale = np.where(from_zero == 0, scale, end / np.where(from_zero == 0, 1, from_zero))
    bias = np.where(from_zero == 0, 0, end)
    codes = np.clip(np.round((groups - bias) / scale), 0, steps)
    return (codes * scale + bias).reshape(w.shape)


def batch_norm(
    x: Array,
    mean: Array,
    variance: Array,
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
) -> Any:
    y = (x - mean) / np.sqrt(variance + eps)
    return y * (1 if weight is None else weight) + (0 if bias is None else bias)


def linear(x: Array, weight: Array, bias: Array | None = None) -> Any:
    return x @ weight.T + (0 if bias is None else bias)


def embedding(ids: Array, weight: Array) -> Any:
    return weight[np.clip(ids, 0, len(weight) - 1)]


def _pair(sizes: Sizes) -> tuple[int, int]:
    first, second = (sizes, sizes) if isinstance(sizes, int) else sizes
    return first, second


def conv1d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Any:
    flat = conv2d(x[:, None], weight[:, :, None], bias, (1, stride), (0, padding), (1, dilation), groups)
    return flat[:, 0]


def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Sizes = 1,
    padding: Sizes = 0,
    dilation: Sizes = 1,
    groups: int = 1,
) -> Any:
    """Item by item of the kernel: each adds a product over the channels of a group."""
    (s, t), (p, q), (d, e) = _pair(stride), _pair(padding), _pair(dilation)
    x = np.pad(x, [(0, 0), (p, p), (q, q), (0, 0)])
    outputs, own, *kernel = weight.shape
    rows = (x.shape[1] - d * (kernel[0] - 1) - 1) // s + 1
    columns = (x.shape[2] - e * (kernel[1] - 1) - 1) // t + 1
    result = np.zeros((x.shape[0], rows, columns, outputs))
    each = outputs // groups
    for i, j, g in itertools.product(range(kernel[0]), range(kernel[1]), range(groups)):
        seen = x[:, i * d : i * d + (rows - 1) * s + 1 : s, j * e : j * e + (columns - 1) * t + 1 : t]
        result[..., g * each : (g + 1) * each] += (
            seen[..., g * own : (g + 1) * own] @ weight[g * each : (g + 1) * each, :, i, j].T
        )
    return result + (0 if bias is None else bias)


def _windows(x: Array, kernel: Sizes, stride: Sizes | None, padding: Sizes, value: float) -> Array:
    """The windows, stacked in front."""
    (k, m), (p, q) = _pair(kernel), _pair(padding)
    s, t = _pair(kernel if stride is None else stride)
    x = np.pad(x, [(0, 0), (p, p), (q, q), (0, 0)], constant_values=value)
    rows, columns = (x.shape[1] - k) // s + 1, (x.shape[2] - m) // t + 1
    return np.stack(
        [
            x[:, i : i + (rows - 1) * s + 1 : s, j : j + (columns - 1) * t + 1 : t]
            for i, j in itertools.product(range(k), range(m))
        ]
    )


def max_pool2d(x: Array, kernel: Sizes, stride: Sizes | None = None, padding: Sizes = 0) -> Any:
    return _windows(x, kernel, stride, padding, -np.inf).max(0)


def avg_pool2d(x: Array, kernel: Sizes, stride: Sizes | None = None, padding: Sizes = 0) -> Any:
    return _windows(x, kernel, stride, padding, 0).mean(0)


def dropout(x: Array, rate: float, key: int) -> Any:
    """The items that are kept are MLX's to draw."""
    if rate >= 1:
        return np.zeros_like(x)
    keep = np.array(mx.random.bernoulli(1 - max(rate, 0.0), x.shape, key=mx.random.key(key % 2**64)))
    return np.where(keep, x / (1 - max(rate, 0)), 0)


def sample(
    logits: Array, key: int, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0
) -> Any:
    """Of what the filters leave, MLX draws; the cases leave one, or nothing out."""
    if temperature <= 0 or top_k == 1 or top_p <= 0 or min_p >= 1:
        return logits.argmax(axis=-1).astype(np.int32)
    assert (top_k, top_p, min_p) == (0, 1, 0)
    if logits.size == 0:
        return np.zeros(logits.shape[:-1], np.int32)
    scaled = mx.array(logits.astype(np.float32)) / temperature
    return np.array(mx.random.categorical(scaled, key=mx.random.key(key % 2**64))).astype(np.int32)


def attention(
    q: Array,
    k: Array,
    v: Array,
    scale: float | None = None,
    mask: Array | None = None,
    causal: bool = False,
    window: int | None = None,
    soft_cap: float | None = None,
) -> Any:
    times = q.shape[1] // k.shape[1]
    k, v = np.repeat(k, times, 1), np.repeat(v, times, 1)
    scores = q @ k.swapaxes(-1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)
    if soft_cap is not None:
        scores = soft_cap * np.tanh(scores / soft_cap)
    if mask is not None:
        scores = np.where(mask, scores, -np.inf) if mask.dtype == bool else scores + mask
    if causal:
        rows, columns = scores.shape[-2:]
        scores = np.where(np.tri(rows, columns, columns - rows, dtype=bool), scores, -np.inf)
        if window is not None:
            before = np.tri(rows, columns, columns - rows - window, dtype=bool)
            scores = np.where(before, -np.inf, scores)
    return softmax(scores) @ v


def rope(
    x: Array,
    offset: int = 0,
    base: float = 10000.0,
    traditional: bool = False,
    scale: float = 1.0,
    dims: int | None = None,
    periods: Array | None = None,
) -> Any:
    width = x.shape[-1] if dims is None else dims
    half = width // 2
    places = (np.arange(x.shape[-2]) + offset) * scale
    angles = places[:, None] * (base ** (-np.arange(half) / half) if periods is None else 1 / periods)
    first = np.arange(0, width, 2) if traditional else np.arange(half)
    second = first + (1 if traditional else half)
    result = x.copy()
    a, b, c, s = x[..., first], x[..., second], np.cos(angles), np.sin(angles)
    result[..., first], result[..., second] = a * c - b * s, a * s + b * c
    return result


REFERENCES: dict[str, Callable[..., Any]] = {
    "softmax": softmax,
    "log_softmax": log_softmax,
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
    "batch_norm": batch_norm,
    "linear": linear,
    "quantize": quantize,
    "embedding": embedding,
    "conv1d": conv1d,
    "conv2d": conv2d,
    "max_pool2d": max_pool2d,
    "avg_pool2d": avg_pool2d,
    "dropout": dropout,
    "sample": sample,
    "attention": attention,
    "rope": rope,
}
