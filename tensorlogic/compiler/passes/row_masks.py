"""Attention over a cache whose rows began at different places sees of each row what is its own.

A batch of prompts of different lengths has shorter ones begin later: a cache holds something for the places before, and
no program says that it is nothing. Looks for `attention` without a mask whose keys are the first of what `update_cache`
gave, in the region of that update, and gives it the mask of the next cache, which is `none` for all caches but those of
such a batch. So no value changes where rows begin together, and elsewhere each is what its row has alone, up to the
rounding of positions that lie further on by a constant (rotary scores depend on differences alone).

The pass `attend`, which runs before, leaves the same to the runtime.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tensorlogic.compiler.ir.core import Function, Operation, Value, walk
from tensorlogic.compiler.passes.neighbours import Neighbours, each_region
from tensorlogic.compiler.types import BOOL, NoneType, OptionalType, PackVariable, Shape, TensorType

_MASK = OptionalType(TensorType(BOOL, Shape(PackVariable(unknown=True), ())))


def run(function: Function) -> Function:
    """The function with the masks of its caches."""
    if not any(operation.name == "update_cache" for operation in walk(function.body)):
        return function
    return each_region(function, _rewritten)


def _rewritten(near: Neighbours) -> Iterator[Operation]:
    for operation in near.operations:
        following = _next_cache(near, operation) if operation.name == "attention" else None
        if following is None:
            yield operation
            continue
        cache, layer = following
        q, ks, vs, scale, _, *rest = operation.operands
        mask = Value(_MASK)
        yield Operation("method", (cache, layer, q, ks), (mask,), {"method": "mask"}, (), operation.span)
        yield replace(operation, operands=(q, ks, vs, scale, mask, *rest))


def _next_cache(near: Neighbours, attention: Operation) -> tuple[Value, Value] | None:
    """The cache after the update that gave the keys, and the layer."""
    _, ks, _, _, mask, *_ = attention.operands
    keys = near.made.get(ks)
    if not isinstance(mask.type, NoneType) or keys is None or keys.name != "item" or keys.attributes["index"] != 0:
        return None
    update = near.made.get(keys.operands[0])
    if update is None or update.name != "update_cache" or update not in near.positions:
        return None
    place = near.positions[attention]
    for user in near.users[update.result]:
        if user.name == "item" and user.attributes["index"] == 2 and near.positions[user] < place:
            return user.result, update.operands[1]
    return None
