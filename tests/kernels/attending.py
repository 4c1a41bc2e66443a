"""Attention in float64 by its definition, and how far from it the kernels may be."""

from __future__ import annotations

from dataclasses import dataclass

import mlx.core as mx
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

ROUNDING = {mx.float32: 2.0**-24, mx.float16: 2.0**-11, mx.bfloat16: 2.0**-8}


def wide(x: mx.array) -> Floats:
    return np.array(x.astype(mx.float32), np.float64)


def normal(rng: np.random.Generator, *shape: int, dtype: mx.Dtype = mx.float32) -> mx.array:
    return mx.array(rng.normal(size=shape).astype(np.float32)).astype(dtype)


def address(x: mx.array) -> int:
    """Where the first item is; evaluates."""
    return int(np.array(x, copy=False).__array_interface__["data"][0])


@dataclass(frozen=True)
class Hidden:
    """What queries do not see, as the kernels' keywords say it."""

    causal: bool = False
    window: int | None = None
    mask: mx.array | None = None


@dataclass(frozen=True)
class Expected:
    values: Floats
    bound: Floats
    """2e-6 * (1 + reach) * the largest |v|, where `reach` is the largest scale * sum of |q_i * k_i|; and a rounding."""


def attention(q: Floats, k: Floats, v: Floats, scale: float, hidden: Hidden, dtype: mx.Dtype) -> Expected:
    queries, keys, group = q.shape[2], k.shape[2], q.shape[1] // k.shape[1]
    k, v = np.repeat(k, group, axis=1), np.repeat(v, group, axis=1)
    scores = q @ k.swapaxes(-1, -2) * scale
    reach = float((np.abs(q) @ np.abs(k).swapaxes(-1, -2)).max(initial=0)) * abs(scale)
    places, at = np.arange(keys - queries, keys)[:, None], np.arange(keys)
    seen = np.ones((queries, keys), bool)
    if hidden.causal:
        seen &= at <= places
    if hidden.window is not None:
        seen &= at > places - hidden.window
    if hidden.mask is not None and hidden.mask.dtype == mx.bool_:
        seen = seen & np.array(hidden.mask)
    elif hidden.mask is not None:
        scores = scores + wide(hidden.mask)
        reach += float(np.abs(wide(hidden.mask)).max(initial=0, where=np.isfinite(wide(hidden.mask))))
    scores = np.where(seen, scores, -np.inf)
    top = np.maximum(scores.max(axis=-1, keepdims=True, initial=-np.inf), -1e300)
    weights = np.exp(scores - top)
    total = weights.sum(axis=-1, keepdims=True)
    values = np.where(total == 0, 0, weights / np.where(total == 0, 1, total)) @ v
    largest = float(np.abs(v).max(initial=0))
    return Expected(values, 2e-6 * (1 + reach) * largest + ROUNDING[dtype] * np.abs(values))


def assert_close(found: mx.array, expected: Expected) -> None:
    assert found.shape == expected.values.shape
    error = np.abs(wide(found) - expected.values)
    assert np.all(error <= expected.bound), (error.max(), expected.bound.min())
