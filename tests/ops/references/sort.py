"""NumPy references of sorting."""

from __future__ import annotations

import numpy as np

from tests.ops.harness import Array


def sort(x: Array, axis: int = -1) -> Array:
    return np.sort(x, axis=axis)


def argsort(x: Array, axis: int = -1) -> Array:
    return np.argsort(x, axis=axis, kind="stable").astype(np.int32)


def topk(x: Array, k: int, axis: int = -1) -> tuple[Array, Array]:
    order = np.flip(np.argsort(x, axis=axis, kind="stable"), axis)
    indices = np.take(order, range(k), axis=axis)
    return np.take_along_axis(x, indices, axis), indices.astype(np.int32)


REFERENCES = {"sort": sort, "argsort": argsort, "topk": topk}
