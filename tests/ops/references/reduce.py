"""NumPy references of the reductions."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.ops.harness import Array

Axes = int | tuple[int, ...] | list[int] | None


def _axes(axis: Axes) -> Any:
    return tuple(axis) if isinstance(axis, list) else axis


def _counted(total: Any, x: Array) -> Any:
    """Sums of integers in their own type, of bools in int32."""
    if x.dtype.kind == "f":
        return total
    return np.asarray(total).astype(np.int32 if x.dtype == bool else x.dtype)


def sum(x: Array, axis: Axes = None, keepdims: bool = False) -> Any:
    return _counted(np.sum(x, axis=_axes(axis), keepdims=keepdims), x)


def prod(x: Array, axis: Axes = None, keepdims: bool = False) -> Any:
    return _counted(np.prod(x, axis=_axes(axis), keepdims=keepdims), x)


def cumsum(x: Array, axis: int = -1) -> Any:
    return _counted(np.cumsum(x, axis=axis), x)


def mean(x: Array, axis: Axes = None, keepdims: bool = False) -> Any:
    return np.mean(x, axis=_axes(axis), keepdims=keepdims)


def max(x: Array, axis: Axes = None, keepdims: bool = False) -> Any:
    return np.max(x, axis=_axes(axis), keepdims=keepdims)


def min(x: Array, axis: Axes = None, keepdims: bool = False) -> Any:
    return np.min(x, axis=_axes(axis), keepdims=keepdims)


def var(x: Array, axis: Axes = None, keepdims: bool = False, ddof: int = 0) -> Any:
    return np.var(x, axis=_axes(axis), keepdims=keepdims, ddof=ddof)


def std(x: Array, axis: Axes = None, keepdims: bool = False, ddof: int = 0) -> Any:
    return np.std(x, axis=_axes(axis), keepdims=keepdims, ddof=ddof)


def argmax(x: Array, axis: int | None = None, keepdims: bool = False) -> Any:
    return np.asarray(np.argmax(x, axis=axis, keepdims=keepdims)).astype(np.int32)


def argmin(x: Array, axis: int | None = None, keepdims: bool = False) -> Any:
    return np.asarray(np.argmin(x, axis=axis, keepdims=keepdims)).astype(np.int32)


def all(x: Array, axis: Axes = None, keepdims: bool = False) -> Any:
    return np.all(x, axis=_axes(axis), keepdims=keepdims)


def any(x: Array, axis: Axes = None, keepdims: bool = False) -> Any:
    return np.any(x, axis=_axes(axis), keepdims=keepdims)


def logsumexp(x: Array, axis: Axes = None, keepdims: bool = False) -> Any:
    reduce: Any = np.logaddexp.reduce
    return reduce(x, axis=_axes(axis), keepdims=keepdims)


REFERENCES = {
    "sum": sum,
    "mean": mean,
    "prod": prod,
    "max": max,
    "min": min,
    "var": var,
    "std": std,
    "argmax": argmax,
    "argmin": argmin,
    "all": all,
    "any": any,
    "logsumexp": logsumexp,
    "cumsum": cumsum,
}
