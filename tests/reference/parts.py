"""What the architectures share, in float32. Shapes: L tokens, H heads of K items, G heads of keys and values."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from tests.reference.files import Array


def rms_norm(x: Array, weight: Array, eps: float) -> Array:
    """x [..., D] over the root of its mean square (Zhang and Sennrich 2019)."""
    y: Array = x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + np.float32(eps)) * weight
    return y


def layer_norm(x: Array, weight: Array, bias: Array, eps: float) -> Array:
    """x [..., D] with mean 0 and variance 1 (Ba et al. 2016)."""
    centred = x - x.mean(axis=-1, keepdims=True)
    y: Array = centred / np.sqrt(np.mean(centred * centred, axis=-1, keepdims=True) + np.float32(eps)) * weight + bias
    return y


def softmax(x: Array) -> Array:
    powers: Array = np.exp(x - x.max(axis=-1, keepdims=True))
    powers /= powers.sum(axis=-1, keepdims=True)
    return powers


def silu(x: Array) -> Array:
    # By a tanh, since the exponential of a large -x would overflow.
    sigmoid: Array = np.float32(0.5) * (1 + np.tanh(np.float32(0.5) * x))
    return x * sigmoid


def gelu_tanh(x: Array) -> Array:
    """The approximation of Hendrycks and Gimpel 2016, which Gemma was trained with."""
    inner = np.float32(math.sqrt(2 / math.pi)) * (x + np.float32(0.044715) * x * x * x)
    below: Array = np.float32(0.5) * (1 + np.tanh(inner))
    return x * below


def gelu(x: Array) -> Array:
    """The exact one: x times the normal distribution's share below x."""
    erf = np.fromiter(map(math.erf, (x / math.sqrt(2)).ravel().tolist()), np.float32, x.size).reshape(x.shape)
    below: Array = np.float32(0.5) * (1 + erf)
    return x * below


def split_heads(x: Array, heads: int) -> Array:
    """[L, H*K] to [H, L, K]."""
    return x.reshape(len(x), heads, -1).swapaxes(0, 1)


def join_heads(x: Array) -> Array:
    """[H, L, K] to [L, H*K]."""
    return x.swapaxes(0, 1).reshape(x.shape[1], -1)


def rotate(x: Array, base: float, *, interleaved: bool) -> Array:
    """x [H, L, K] turned by its positions 0 to L - 1 (Su et al. 2021, "RoFormer").

    The plane number i turns by `base ** (-2 i / K)` a token. Its two items are 2 i and 2 i + 1 where `interleaved`, as
    in the paper, and i and i + K/2 otherwise, as in Hugging Face's models (`rotate_half`).
    """
    half = x.shape[-1] // 2
    return turn(x, base ** (-np.arange(half) / half), interleaved=interleaved)


def turn(x: Array, speeds: npt.NDArray[np.float64], *, interleaved: bool) -> Array:
    """x [H, L, K] turned by its positions 0 to L - 1 with speeds [K/2], or with each token's own [L, K/2]."""
    half = x.shape[-1] // 2
    # In double precision: in single one the angle of the 2,000th token would be wrong by 1e-4.
    angles = np.arange(x.shape[1])[:, None] * speeds
    cos, sin = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    a, b = (x[..., 0::2], x[..., 1::2]) if interleaved else (x[..., :half], x[..., half:])
    turned = (a * cos - b * sin, b * cos + a * sin)
    return np.stack(turned, axis=-1).reshape(x.shape) if interleaved else np.concatenate(turned, axis=-1)


def visible(length: int, window: int | None = None) -> npt.NDArray[np.bool_]:
    """[L, L], whether the row's token sees the column's: itself and those before it, of a window the last so many."""
    behind = np.arange(length)[:, None] - np.arange(length)
    return (behind >= 0) & (behind < (window or length))


def attend(q: Array, k: Array, v: Array, seen: npt.NDArray[np.bool_] | None = None, cap: float | None = None) -> Array:
    """[H, L, K] of queries [H, L, K] over keys and values [G, L, K]; head h has those of h // (H/G).

    Vaswani et al. 2017, scaled by 1/sqrt(K); Ainslie et al. 2023 for fewer heads of keys; Gemma Team 2024 for a cap of
    scores. One head at a time, since the scores of all would take gigabytes.
    """
    share = len(q) // len(k)
    scale = np.float32(1 / math.sqrt(q.shape[-1]))
    mixed = np.empty_like(q)
    for head, queries in enumerate(q):
        scores = queries * scale @ k[head // share].T
        if cap is not None:
            scores = np.float32(cap) * np.tanh(scores / np.float32(cap))
        if seen is not None:
            np.copyto(scores, -np.inf, where=~seen)
        mixed[head] = softmax(scores) @ v[head // share]
    return mixed
