"""NumPy references of the element-wise functions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tests.ops.harness import Array

_erf = np.vectorize(math.erf, otypes=[np.float64])


def neg(x: Array) -> Any:
    return -x


def sign(x: Array) -> Any:
    """0 for NaN."""
    return np.where(np.isnan(x), 0, np.sign(x)) if x.dtype.kind == "f" else np.sign(x)


def rsqrt(x: Array) -> Any:
    return 1 / np.sqrt(x)


def sigmoid(x: Array) -> Any:
    return 1 / (1 + np.exp(-x))


def relu(x: Array) -> Any:
    return np.maximum(x, 0)


def gelu(x: Array, approximate: bool = False) -> Any:
    if approximate:
        return x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2
    return x * (1 + _erf(x / math.sqrt(2))) / 2


def silu(x: Array) -> Any:
    return x / (1 + np.exp(-x))


def softplus(x: Array) -> Any:
    return np.logaddexp(x, 0)


def pow(x: Any, exponent: Any) -> Any:
    return np.power(x, exponent)


def clip(x: Array, low: Any, high: Any) -> Any:
    return np.minimum(np.maximum(x, low), high)


def minimum(a: Any, b: Any) -> Any:
    return np.minimum(a, b)


def maximum(a: Any, b: Any) -> Any:
    return np.maximum(a, b)


def floor_div(a: Any, b: Any) -> Any:
    return np.floor_divide(a, b)


def where(mask: Array, a: Any, b: Any) -> Any:
    chosen = np.where(mask, a, b)
    # Two ints without a tensor are int32.
    return chosen.astype(np.int32) if chosen.dtype == np.int64 else chosen


def _named(name: str) -> Any:
    """NumPy's function of this name, with the parameter `x`."""

    def function(x: Array) -> Any:
        return getattr(np, name)(x)

    return function


REFERENCES = {
    **{name: _named(name) for name in ("abs", "square", "exp", "log", "sqrt", "sin", "cos", "tanh")},
    **{name: _named(name) for name in ("floor", "ceil", "round", "isnan", "isfinite")},
    "erf": lambda x: _erf(x),
    "neg": neg,
    "sign": sign,
    "rsqrt": rsqrt,
    "sigmoid": sigmoid,
    "relu": relu,
    "gelu": gelu,
    "silu": silu,
    "softplus": softplus,
    "pow": pow,
    "clip": clip,
    "minimum": minimum,
    "maximum": maximum,
    "floor_div": floor_div,
    "where": where,
}
