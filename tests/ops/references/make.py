"""NumPy references of the functions that make tensors.

Random numbers have none: their references give zeros of the shape, and the tests look at what the numbers have in
common with their distribution.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tensorlogic.compiler.types import BOOL, FLOAT16, INT32, ElementType
from tests.ops.harness import Array, numpy_dtype

Shape = tuple[int, ...] | list[int]


def zeros(shape: Shape, dtype: ElementType = FLOAT16) -> Array:
    return np.zeros(shape, numpy_dtype(dtype))


def ones(shape: Shape, dtype: ElementType = FLOAT16) -> Array:
    return np.ones(shape, numpy_dtype(dtype))


def full(shape: Shape, value: Any, dtype: ElementType | None = None) -> Array:
    return np.full(shape, value, numpy_dtype(dtype or (BOOL if isinstance(value, bool) else FLOAT16)))


def like(value: Any, x: Array) -> Array:
    return np.full_like(x, value)


def arange(start: int, stop: int | None = None, step: int = 1, dtype: ElementType = INT32) -> Array:
    low, high = (0, start) if stop is None else (start, stop)
    return np.arange(low, high, step).astype(numpy_dtype(dtype))


def linspace(start: float, stop: float, count: int, dtype: ElementType = FLOAT16) -> Array:
    return np.linspace(start, stop, count)


def eye(n: int, dtype: ElementType = FLOAT16) -> Array:
    return np.eye(n, dtype=numpy_dtype(dtype))


def tril(x: Array, k: int = 0) -> Array:
    return np.tril(x, k)


def triu(x: Array, k: int = 0) -> Array:
    return np.triu(x, k)


def random_normal(shape: Shape, key: int, dtype: ElementType = FLOAT16) -> Array:
    return np.zeros(shape)


def random_uniform(shape: Shape, key: int, low: float = 0.0, high: float = 1.0, dtype: ElementType = FLOAT16) -> Array:
    return np.zeros(shape)


REFERENCES = {
    "zeros": zeros,
    "ones": ones,
    "host.full": full,
    "like": like,
    "arange": arange,
    "linspace": linspace,
    "eye": eye,
    "tril": tril,
    "triu": triu,
    "random_normal": random_normal,
    "random_uniform": random_uniform,
}
