"""Joining, parting and picking for emitted code, where MLX needs a size, or looks after no index or number.

Takes MLX arrays whose shapes were checked while compiling; gives lazy ones. MLX reads foreign memory for an index that
is out of bounds: the plain functions clamp indices to 0...N-1, the `_checked` ones evaluate them and raise
BoundaryError TL5003 with the `.tl` place. MLX lets ints that are too large wrap around, where these functions clamp
them, or raise TL5004. Each function depends on MLX, on `refuse`, `fits`, `sized` and `affordable`, and on functions of
this file only, so that its text can stand in a module of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

import mlx.core as mx

from tensorlogic.runtime.boundary import fits
from tensorlogic.runtime.outside import refuse
from tensorlogic.runtime.sizes import affordable, sized


def arange(start: int, stop: int, step: int, dtype: mx.Dtype, where: str) -> mx.array:
    """The ints from `start` to `stop`, each of which `dtype` holds: as such ints, for a float type as int64."""
    integers = dtype if mx.issubdtype(dtype, mx.integer) else mx.int64
    (count,) = sized((max(0, -((start - stop) // step)),), integers, where)
    if count == 0:
        return mx.zeros((0,), integers)
    last = start + (count - 1) * step
    for number in (start, last):
        fits(number, dtype, "", where)
        if abs(number) >= 2**53:
            refuse(where, "TL5004", "`arange` counts to less than 2 to the 53, not to {}", number)
    return mx.arange(start, last + step, step, dtype=integers)


def tril(x: mx.array, k: int) -> mx.array:
    """MLX's own for any int `k`: all diagonals beyond the corners are alike."""
    rows, columns = x.shape[-2:]
    return mx.tril(x, max(-rows, min(k, columns)))


def triu(x: mx.array, k: int) -> mx.array:
    """As `tril`."""
    rows, columns = x.shape[-2:]
    return mx.triu(x, max(-rows, min(k, columns)))


def clamped(ids: mx.array, size: int) -> mx.array:
    """Indices within 0...size-1; negative ones become 0."""
    return mx.clip(ids, 0, size - 1)


def require_ids(ids: mx.array, size: int, where: str) -> mx.array:
    """The indices, which are evaluated and must all be within 0...size-1."""
    if ids.size:
        for extreme in (mx.min(ids), mx.max(ids)):
            found = extreme.item()
            assert isinstance(found, int)
            if found < 0 or found >= size:
                refuse(where, "TL5003", "the index {} is out of bounds for a dim of {}", found, size)
    return ids


def take(x: mx.array, ids: mx.array, axis: int) -> mx.array:
    """What the indices name along an axis; their dims stand in its place."""
    return affordable(mx.take(x, clamped(ids, x.shape[axis]), axis))


def take_checked(x: mx.array, ids: mx.array, axis: int, where: str) -> mx.array:
    """As `take`, with every index in bounds."""
    return affordable(mx.take(x, require_ids(ids, x.shape[axis], where), axis))


def take_along(x: mx.array, ids: mx.array, axis: int) -> mx.array:
    """What the indices name along an axis, each at its own place in the other dims."""
    return mx.take_along_axis(x, clamped(ids, x.shape[axis]), axis)


def take_along_checked(x: mx.array, ids: mx.array, axis: int, where: str) -> mx.array:
    """As `take_along`, with every index in bounds."""
    return mx.take_along_axis(x, require_ids(ids, x.shape[axis], where), axis)


def put_along(x: mx.array, ids: mx.array, values: mx.array, axis: int) -> mx.array:
    """A copy of `x` with values where the indices name a place along an axis."""
    return mx.put_along_axis(x, clamped(ids, x.shape[axis]), values, axis)


def put_along_checked(x: mx.array, ids: mx.array, values: mx.array, axis: int, where: str) -> mx.array:
    """As `put_along`, with every index in bounds."""
    return mx.put_along_axis(x, require_ids(ids, x.shape[axis], where), values, axis)


def some(x: mx.array, function: str, where: str) -> mx.array:
    """A tensor with an item at least, which a function asks for."""
    if x.size == 0:
        refuse(where, "TL5003", "`{}` of no items has no value: a dim is 0, of the shape {}", function, list(x.shape))
    return x


def roll(x: mx.array, shift: int, axis: int) -> mx.array:
    """Moved along an axis by any int."""
    size = x.shape[axis]
    return mx.roll(x, shift % size, axis) if size else x


@overload
def split(x: mx.array, sizes: tuple[int, int], axis: int) -> tuple[mx.array, mx.array]: ...


@overload
def split(x: mx.array, sizes: tuple[int, int, int], axis: int) -> tuple[mx.array, mx.array, mx.array]: ...


@overload
def split(x: mx.array, sizes: Sequence[int], axis: int) -> tuple[mx.array, ...]: ...


def split(x: mx.array, sizes: Sequence[int], axis: int) -> tuple[mx.array, ...]:
    """Parts of these sizes, which make the axis."""
    ends: list[int] = []
    for size in sizes[:-1]:
        ends.append((ends[-1] if ends else 0) + size)
    return tuple(mx.split(x, ends, axis))


def pad_last(x: mx.array, widths: Sequence[tuple[int, int]], value: mx.array | float) -> mx.array:
    """The last dims longer by these pairs of numbers."""
    return mx.pad(x, [(0, 0)] * (x.ndim - len(widths)) + list(widths), constant_values=value)


def einsum(pattern: str, *operands: mx.array) -> mx.array:
    """MLX's own, but 0 over nothing: on a CPU, MLX may never end a sum over a dim of 0 of a transposed array."""
    result = mx.einsum(pattern, *operands)
    return result if all(operand.size for operand in operands) else mx.zeros(result.shape, result.dtype)
