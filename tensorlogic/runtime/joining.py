"""Weights that share their left operand, joined into one: `x @ q.T`, `x @ k.T` and `x @ v.T` become one product.

Takes weights whose last dim is the one that is contracted, [..., O, I], dense or packed, or biases [O]. Promises a
weight [..., O1 + O2 + ..., I] with the parts' rows in their order, in which every element is what it was: products of
it are those of the parts side by side, of packed ones bit by bit on a CPU (a library that multiplies dense matrices may
add in another order for another number of rows). It is evaluated, so that the parts may be freed. Refuses what differs
in more than the number of rows: `why_apart` says in which respect, before anything is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlx.core as mx

from tensorlogic.runtime.keeping import Kept
from tensorlogic.runtime.outside import short
from tensorlogic.runtime.packed import Packed, Tensor


def why_apart(parts: Sequence[Tensor]) -> str | None:
    """Why weights cannot be joined, such as "`0` is dense, `1` is packed ..."; None where they can be.

    The parts are named by their places in `parts`, in backticks.
    """
    if not parts:
        return "there is nothing to join"
    first = _traits(parts[0])
    for place, part in enumerate(parts[1:], 1):
        for mine, other in zip(first, _traits(part), strict=True):
            if mine != other:
                return f"`0` is {mine}, `{place}` is {other}"
    return "`0` is a scalar" if parts[0].ndim == 0 else None


def joined(parts: Sequence[Tensor]) -> Tensor:
    """The weights as one, evaluated: dense ones of one type, or packed ones of one layout.

    Scales of different float types are widened to one that holds both exactly. Raises ValueError where `why_apart`
    has a reason.
    """
    reason = why_apart(parts)
    if reason is not None:
        raise ValueError(f"weights cannot be joined: {reason}")
    if len(parts) == 1:
        return parts[0]
    packed = [part for part in parts if isinstance(part, Packed)]
    whole = _joined_packed(packed) if packed else _rows([part for part in parts if isinstance(part, mx.array)])
    mx.eval([whole.weight, whole.scales, whole.biases] if isinstance(whole, Packed) else whole)
    return whole


_wholes: Kept[Tensor] = Kept()


def join_fields(net: Any) -> None:
    """Join what its class says of a struct's fields, where they are there and go together."""
    for names in getattr(type(net), "_joined", ()):
        parts = [getattr(net, name) for name in names]
        if all(part is not None for part in parts) and why_apart(parts) is None:
            join_in_place(parts)


def join_in_place(parts: Sequence[Tensor]) -> Tensor:
    """Weights that go together as one, evaluated, of which each part becomes a view: all take their memory once."""
    if len(parts) == 1:
        return parts[0]
    known = joined_already(parts)
    return _wholes.keep(_key(parts), _joined_in_place(parts), parts) if known is None else known


def joined_already(parts: Sequence[Tensor]) -> Tensor | None:
    """What `join_in_place` gave for these very weights; None where they were not joined."""
    return _wholes.get(_key(parts))


def _key(parts: Sequence[Tensor]) -> tuple[int, ...]:
    return tuple(map(id, parts))


def _joined_in_place(parts: Sequence[Tensor]) -> Tensor:
    whole = joined(parts)
    begin = 0
    for part in parts:
        end = begin + part.shape[0]
        if isinstance(part, Packed):
            assert isinstance(whole, Packed), "packed weights are joined to one"
            views = {name: getattr(whole, name) for name in ("weight", "scales", "biases")}
            views = {name: None if array is None else array[begin:end] for name, array in views.items()}
            mx.eval(list(views.values()))
            for name, view in views.items():
                object.__setattr__(part, name, view)
        else:
            assert isinstance(whole, mx.array), "dense weights are joined to one"
            # MLX makes the array one with the view, and copies nothing.
            part[:] = whole[begin:end]
            mx.eval(part)
        begin = end
    return whole


def _traits(part: Tensor) -> tuple[str, ...]:
    """What parts must have in common, in words that follow `is`."""
    rows, columns = part.shape[:-2], part.shape[-1:] if part.ndim > 1 else ()
    shape = f"of shape [{', '.join([*map(str, rows), 'O', *map(str, columns)])}]"
    if not isinstance(part, Packed):
        return "dense", short(part.dtype), shape
    layout = part.layout
    stored = f"packed in {layout.bits} bits, groups of {layout.group_size} and the mode {layout.mode}"
    return stored, short(part.dtype), shape


def _joined_packed(parts: Sequence[Packed]) -> Packed:
    first = parts[0]
    shape = (*first.shape[:-2], sum(part.shape[-2] for part in parts), first.shape[-1])
    biases = [part.biases for part in parts if part.biases is not None]
    return Packed(
        _rows([part.weight for part in parts]),
        _rows(_alike([part.scales for part in parts])),
        _rows(_alike(biases)) if biases else None,
        first.layout,
        shape,
        first.dtype,
    )


def _alike(scales: Sequence[mx.array]) -> list[mx.array]:
    """Scales of one type, as they are; of several, in float32, which holds every half-precision number."""
    dtypes = {array.dtype for array in scales}
    return list(scales) if len(dtypes) == 1 else [array.astype(mx.float32) for array in scales]


def _rows(parts: Sequence[mx.array]) -> mx.array:
    """The parts below each other; vectors, which have no rows, one after the other."""
    return mx.concatenate(list(parts), axis=max(parts[0].ndim - 2, 0))
