"""Sizes of tensors that are about to be made, where they are large or only run time knows them.

MLX counts a dim in 32 bits, and on a CPU it does not survive a tensor that the machine has no memory for: the process
ends without a word. `sized` takes a shape of ints that are at least 0, `affordable` an array that is not evaluated
yet; both promise it back, or raise `BoundaryError` TL5010 with the `.tl` place. A GPU's memory is MLX's own to ask for
and to refuse.
"""

from __future__ import annotations

import math
import os
from functools import cache

import mlx.core as mx

from tensorlogic.runtime.device import on_gpu
from tensorlogic.runtime.outside import refuse

LARGEST_DIM = 2**31 - 1


def sized(shape: tuple[int, ...], dtype: mx.Dtype, where: str) -> tuple[int, ...]:
    """The shape of a tensor of `dtype` that is to be made."""
    for size in shape:
        if size > LARGEST_DIM:
            shown = str(size) if size.bit_length() < 128 else f"about 2 to the {size.bit_length()}"
            refuse(where, "TL5010", "a size is {}: the largest that a dim may have is {}", shown, LARGEST_DIM)
    require_memory(math.prod(shape) * dtype.size, shape, where)
    return shape


def affordable(made: mx.array, where: str = "") -> mx.array:
    """A lazy array that may be far larger than what it is made of. Without a place it is that of the emitted call."""
    # Asked of every product: the shape is looked at only where it is to be told.
    if made.nbytes > memory():
        require_memory(made.nbytes, made.shape, where)
    return made


def require_memory(needed: int, shape: tuple[int, ...], where: str = "") -> None:
    """Refuse an array of `needed` bytes that is about to be made."""
    if needed > memory() and not on_gpu():
        message = "a tensor of the shape {} takes {} GB, and this machine has {} GB of memory"
        refuse(where, "TL5010", message, list(shape), needed // 10**9, memory() // 10**9)


@cache
def memory() -> int:
    """The bytes of the machine's memory."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
