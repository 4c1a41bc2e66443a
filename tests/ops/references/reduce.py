"""NumPy references of the reductions."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.ops.harness import Array

Axes = int | tuple[int, ...] | list[int] | None


def _reduced(function: Any, x: Array, axis: Axes, keepdims: bool, **more: int) -> Any:
    """A function of NumPy over axes: its signatures know no `keepdims` that is not written out."""
    return function(x, axis=tuple(axis) if isinstance(axis, list) else axis, keepdims=keepdims, **more)


def _counted(total: Any, x: Array) -> Any:
    """Sums of integers in their own type, of bools in int32."""
    if x.dtype.kind == "f":
        return total
    return np.asarray(total).astype(np.int32 if x.dtype == bool else x.dtype)


def sum(x: Array, axis: Axes = None, keepdims: bool = False) -> Any:
    return _counted(_reduced(np.sum, x, axis, keepdims), x)


def prod(x: Array, axis: Axes = None, keepdims: bool = False) -> Any:
    return _counted(_reduced(np.prod, x, axis, keepdims), x)


def cumsum(x: Array, axis: int = -1) -> Any:
    return _counted(np.cumsum(x, axis=axis), x)


def mean(x: Array, axis: Axes = None, keepdims: bool = False) -> Any:
    return _reduced(np.mean, x, axis, keepdims)


def max(x: Array, axis: Axes = None, keepdims: bool = False) -> Any:
    return _reduced(np.max, x, axis, keepdims)


def min(x: Array, axis: Axes = None, keepdims: bool = False) -> Any:
    return _reduced(np.min, x, axis, keepdims)


def var(x: Array, axis: Axes = None, keepdims: bool = False, ddof: int = 0) -> Any:
    return _reduced(np.var, x, axis, keepdims, ddof=ddof)


def std(x: Array, axis: Axes = None, keepdims: bool = False, ddof: int = 0) -> Any:
    return _reduced(np.std, x, axis, keepdims, ddof=ddof)


def argmax(x: Array, axis: int | None = None, keepdims: bool = False) -> Any:
    return np.asarray(_reduced(np.argmax, x, axis, keepdims)).astype(np.int32)


def argmin(x: Array, axis: int | None = None, keepdims: bool = False) -> Any:
    return np.asarray(_reduced(np.argmin, x, axis, keepdims)).astype(np.int32)


def all(x: Array, axis: Axes = None, keepdims: bool = False) -> Any:
    return _reduced(np.all, x, axis, keepdims)


def any(x: Array, axis: Axes = None, keepdims: bool = False) -> Any:
    return _reduced(np.any, x, axis, keepdims)


def logsumexp(x: Array, axis: Axes = None, keepdims: bool = False) -> Any:
    return _reduced(np.logaddexp.reduce, x, axis, keepdims)


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
