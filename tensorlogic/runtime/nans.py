"""NaN where it is made: what emitted code calls around each operation under `tlc run --debug-nan`.

Takes a float tensor that is not evaluated yet; gives it back, evaluated. Raises BoundaryError TL5027 with the `.tl`
place where an item is NaN. Within a transformation of MLX, where there are no values, nothing is looked at.
"""

from __future__ import annotations

import mlx.core as mx

from tensorlogic.runtime.outside import refuse
from tensorlogic.runtime.packed import Packed, Tensor


def no_nan(x: Tensor, where: str, what: str) -> Tensor:
    """`x`, which the source computes by `what`, where none of its items is NaN."""
    if isinstance(x, Packed) or x.size == 0:
        return x
    try:
        count = mx.sum(mx.isnan(x)).item()
    except ValueError:
        # MLX's word for values that a transformation only traces.
        return x
    if count:
        refuse(where, "TL5027", "`{}` gives NaN: {} of its {} items", what, count, x.size)
    return x
