"""NumPy references of the functions on shapes."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tensorlogic.compiler.types import ElementType
from tests.ops.harness import Array, numpy_dtype

Axes = int | Sequence[int] | None


def _axes(axis: Axes) -> Any:
    return axis if axis is None or isinstance(axis, int) else tuple(axis)


def reshape(x: Array, shape: Sequence[int]) -> Any:
    return np.reshape(x, shape)


def transpose(x: Array, axes: Axes = None) -> Any:
    return np.transpose(x, _axes(axes))


def permute(x: Array, axes: Axes) -> Any:
    return np.transpose(x, _axes(axes))


def transpose_last(x: Array) -> Any:
    return np.swapaxes(x, -1, -2)


def squeeze(x: Array, axis: Axes) -> Any:
    return np.squeeze(x, _axes(axis))


def unsqueeze(x: Array, axis: int) -> Any:
    return np.expand_dims(x, axis)


def concat(tensors: Sequence[Array], axis: int = 0) -> Any:
    return np.concatenate(tensors, axis)


def stack(tensors: Sequence[Array], axis: int = 0) -> Any:
    return np.stack(tensors, axis)


def split(x: Array, sizes: int | Sequence[int], axis: int = 0) -> Any:
    ends = sizes if isinstance(sizes, int) else np.cumsum(sizes)[:-1]
    return tuple(np.split(x, ends, axis))


def broadcast_to(x: Array, shape: Sequence[int]) -> Any:
    return np.broadcast_to(x, tuple(shape))


def flip(x: Array, axis: Axes = None) -> Any:
    return np.flip(x, _axes(axis))


def roll(x: Array, shift: int, axis: int) -> Any:
    return np.roll(x, shift, axis)


def repeat(x: Array, n: int, axis: int) -> Any:
    return np.repeat(x, n, axis)


def tile(x: Array, reps: Sequence[int]) -> Any:
    return np.tile(x, reps)


def pad(x: Array, widths: Sequence[tuple[int, int]], value: float | None = None) -> Any:
    return np.pad(x, widths, constant_values=0 if value is None else value)


def _clamped(ids: Array, size: int) -> Array:
    return np.clip(ids, 0, size - 1)


def take(x: Array, ids: Array, axis: int = 0) -> Any:
    return np.take(x, _clamped(ids, x.shape[axis]), axis)


def gather(x: Array, ids: Array, axis: int) -> Any:
    return np.take_along_axis(x, _clamped(ids, x.shape[axis]).astype(np.int64), axis)


def scatter(x: Array, ids: Array, values: Array, axis: int) -> Any:
    result = x.copy()
    np.put_along_axis(result, _clamped(ids, x.shape[axis]).astype(np.int64), values, axis)
    return result


def slice_update(x: Array, update: Array, starts: Sequence[int]) -> Any:
    result = x.copy()
    result[tuple(slice(s, s + n) for s, n in zip(starts, np.shape(update), strict=True))] = update
    return result


def _rearrange(operand: Array, pattern: str, **sizes: int) -> Any:
    """By indices: each item of the result is looked up by the names of its place."""
    before, after = (_groups(side, operand.ndim) for side in pattern.split("->"))
    rest = operand.ndim - sum(g != ["..."] for g in before)
    before, after = (_without_rest(side, rest) for side in (before, after))
    for group, size in zip(before, operand.shape, strict=True):
        known = int(np.prod([sizes[n] for n in group if n in sizes], dtype=int))
        sizes.update({n: size // known for n in group if n not in sizes})
    names = [n for group in before for n in group]
    taken_apart = operand.reshape([sizes[n] for n in names])
    ordered = taken_apart.transpose([names.index(n) for group in after for n in group])
    return ordered.reshape([int(np.prod([sizes[n] for n in group], dtype=int)) for group in after])


def _groups(side: str, rank: int) -> list[list[str]]:
    groups = re.findall(r"\([^)]*\)|\.\.\.|\w+", side)
    return [[n for n in re.findall(r"\.\.\.|\w+", group) if n != "1"] for group in groups]


def _without_rest(groups: list[list[str]], count: int) -> list[list[str]]:
    made = [[f"rest{i}"] for i in range(count)]
    return [g for group in groups for g in (made if group == ["..."] else [group])]


def _einsum(pattern: str, *tensors: Array) -> Any:
    names = list(dict.fromkeys(re.findall(r"\w+", pattern)))
    letters = {name: chr(ord("a") + i) for i, name in enumerate(names)}
    return np.einsum(re.sub(r"\w+", lambda m: letters[m.group()], pattern).replace(" ", ""), *tensors)


def astype(x: Array, dtype: ElementType) -> Any:
    if dtype.name == "float16":
        return x.astype(np.float16)
    return x.astype(numpy_dtype(dtype))


REFERENCES: dict[str, Callable[..., Any]] = {
    "reshape": reshape,
    "transpose": transpose,
    "permute": permute,
    "transpose_last": transpose_last,
    "squeeze": squeeze,
    "unsqueeze": unsqueeze,
    "concat": concat,
    "stack": stack,
    "split": split,
    "broadcast_to": broadcast_to,
    "flip": flip,
    "roll": roll,
    "repeat": repeat,
    "tile": tile,
    "pad": pad,
    "take": take,
    "gather": gather,
    "scatter": scatter,
    "slice_update": slice_update,
    # These two take more than their declaration says, so they are no plain functions.
    "rearrange": functools.partial(_rearrange),
    "einsum": functools.partial(_einsum),
    "astype": astype,
}
