"""References of the functions on host values and of scalar tensors that come to the host.

They are NumPy's float64, which follows IEEE where Python raises.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.ops.harness import Array


def _float(function: Callable[..., Any]) -> Callable[..., float]:
    def computed(*arguments: Any, **named: Any) -> float:
        with np.errstate(all="ignore"):
            return float(function(*map(np.float64, arguments), **named))

    return computed


def _same_kind(function: Callable[..., Any]) -> Callable[..., Any]:
    """Of ints an int, of floats a float."""

    def computed(*arguments: Any) -> Any:
        result = function(*arguments)
        return int(result) if all(isinstance(a, int) for a in arguments) else float(result)

    return computed


def _integer(function: Callable[..., Any]) -> Callable[..., Any]:
    """Operators on two ints give an int, else a float."""

    def computed(a: Any, b: Any) -> Any:
        if isinstance(a, int) and isinstance(b, int):
            return int(function(a, b))
        return _float(function)(a, b)

    return computed


def _truth(function: Callable[..., Any]) -> Callable[..., bool]:
    return lambda a, b: bool(function(a, b))


def item_to_int(x: Array) -> int:
    return int(x.item())


def item_to_float(x: Array) -> float:
    return float(x.item())


def item_to_bool(x: Array) -> bool:
    return bool(x.item())


def string(x: Any) -> str:
    if isinstance(x, bool):
        return str(x).lower()
    return str(x.tolist()) if isinstance(x, np.ndarray) else str(x)


REFERENCES: dict[str, Callable[..., Any]] = {
    "host.add": _integer(np.add),
    "host.subtract": _integer(np.subtract),
    "host.multiply": _integer(np.multiply),
    "host.divide": _float(np.divide),
    "host.floor_divide": _integer(np.floor_divide),
    "host.remainder": _integer(np.remainder),
    "host.power": _integer(np.power),
    "host.concat": lambda a, b: a + b,
    "host.equal": _truth(lambda a, b: a == b),
    "host.not_equal": _truth(lambda a, b: a != b),
    "host.less": _truth(lambda a, b: a < b),
    "host.less_equal": _truth(lambda a, b: a <= b),
    "host.greater": _truth(lambda a, b: a > b),
    "host.greater_equal": _truth(lambda a, b: a >= b),
    "host.and": _truth(lambda a, b: a and b),
    "host.or": _truth(lambda a, b: a or b),
    "host.negative": lambda x: -x,
    "host.not": lambda x: not x,
    "host.len": len,
    "host.int": lambda x: int(x),
    "host.float": lambda x: float(x),
    "host.string": string,
    "host.floor_div": lambda a, b: a // b,
    "host.min": _same_kind(min),
    "host.max": _same_kind(max),
    "host.abs": _same_kind(abs),
    "host.sqrt": _float(np.sqrt),
    "host.exp": _float(np.exp),
    "host.log": _float(np.log),
    "host.pow": _float(np.power),
    "host.floor": _float(np.floor),
    "host.ceil": _float(np.ceil),
    "host.round": _float(np.round),
    "int": item_to_int,
    "float": item_to_float,
    "bool": item_to_bool,
    "string": string,
}
