"""Values from files in the precision in which programs carry them."""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from tensorlogic.runtime.device import carried, select
from tensorlogic.runtime.packed import Packed


def carry(value: mx.array | Packed) -> mx.array | Packed:
    """A weight in its carried precision: an array is cast once, here; a packed weight stays packed."""
    if isinstance(value, mx.array):
        kept = carried(value.dtype)
        return value if kept == value.dtype else value.astype(kept)
    return value


def tensor(values: Any, dtype: mx.Dtype, device: str | None = None) -> mx.array:
    """A tensor of host numbers. In unified memory the device decides where work runs, not where the numbers lie."""
    select("gpu" if device == "gpu" else "cpu" if device == "cpu" else None)
    return mx.array(values, dtype=dtype)
