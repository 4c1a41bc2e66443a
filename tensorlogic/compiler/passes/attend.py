"""Attention over a cache, from a layer's joined projection to its mixed heads, as one operation.

Looks for what every decoder writes between two products:

    q, k, v = the three products of one chain, each of them as heads: x.reshape([B, L, N, K]).transpose([0, 2, 1, 3])
    q and k through the same `rms_norm` over a head, or none, and then the same `rope`, or none
    let (ks, vs, next) = cache.update(layer, k, v)
    attention(q, ks, vs, causal: true).transpose([0, 2, 1, 3]).reshape([B, L, H*K])

and makes a `cached_attention` of it, whose left side is the chain's products side by side. On a CPU, with our kernels
and a cache of plain arrays, that is one node of the graph (`runtime/attending.py`): decoding one token otherwise spends
more on these fifteen nodes than they compute.

Right because elsewhere it runs as the operations that it replaces, and as one node it computes all of them in float32,
as `fuse` does: left out under `--strict`, like it. It stands where the last of them stood; nothing between uses the
next cache, and all that it replaces has no other use.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tensorlogic.compiler.ir.core import Function, Operation, Value, walk
from tensorlogic.compiler.passes.neighbours import Neighbours, each_region
from tensorlogic.compiler.records import dataclass
from tensorlogic.compiler.types import BoolType, IntType, NoneType, Shape, TensorType, TupleType, Type

_HEADS_FIRST = (0, 2, 1, 3)
_PROJECTIONS = 3


@dataclass(frozen=True, slots=True)
class _Rows:
    """One of q, k and v on its way: the item of the chain that it is, and what was done to it."""

    item: Operation
    heads: Value
    replaced: tuple[Operation, ...]
    norm: tuple[Value, Value] | None = None
    """The weight and the epsilon."""
    turned: tuple[Value, ...] | None = None
    """What `rope` is given beside the rows."""


@dataclass(frozen=True, slots=True)
class _Found:
    chain: Operation
    update: Operation
    attention: Operation
    rows: tuple[_Rows, _Rows, _Rows]
    replaced: frozenset[Operation]
    mixed: Operation
    """The last of what is replaced, whose result it is."""
    following: tuple[Operation, ...]
    """What takes the next cache."""


def run(function: Function) -> Function:
    """The function with attention over its caches in one piece."""
    if not any(operation.name == "update_cache" for operation in walk(function.body)):
        return function
    return each_region(function, lambda near: _Finder(near).rewritten())


@dataclass(frozen=True)
class _Finder:
    """Rewrites one region."""

    near: Neighbours

    def rewritten(self) -> Iterator[Operation]:
        found = [f for o in self.near.operations if o.name == "attention" and (f := self._found(o)) is not None]
        gone = {operation for f in found for operation in f.replaced}
        chains = {f.chain: Value(_side_by_side(f.chain.result.type)) for f in found}
        at = {f.mixed: f for f in found}
        for operation in self.near.operations:
            if operation in at:
                yield from _made(at[operation], chains[at[operation].chain])
            elif operation in chains:
                yield replace(
                    operation, results=(chains[operation],), attributes={**operation.attributes, "apart": False}
                )
            elif operation not in gone:
                yield operation

    def _found(self, attention: Operation) -> _Found | None:
        q, ks, vs, _, mask, causal, *_ = attention.operands
        keys, values = self._once(ks, "item"), self._once(vs, "item")
        if not isinstance(mask.type, NoneType) or causal.type != BoolType(True) or keys is None or values is None:
            return None
        update = self.near.made.get(keys.operands[0])
        if update is None or update.name != "update_cache" or values.operands[0] is not update.result:
            return None
        if (keys.attributes["index"], values.attributes["index"]) != (0, 1) or update not in self.near.positions:
            return None
        rows = tuple(self._rows(value) for value in (q, *update.operands[2:4]))
        mixed = self._mixed(attention)
        if mixed is None or None in rows:
            return None
        q_rows, k_rows, v_rows = (r for r in rows if r is not None)
        chain = self._chain(q_rows, k_rows, v_rows)
        if chain is None or not _alike(q_rows, k_rows, v_rows):
            return None
        following = tuple(o for o in self.near.users[update.result] if o.name == "item" and o.attributes["index"] == 2)
        if len(following) + 2 != self.near.counts[update.result] or not self._is_free(following, mixed):
            return None
        parts = [operation for r in (q_rows, k_rows, v_rows) for operation in r.replaced]
        inner = self.near.made[mixed.operands[0]]
        replaced = frozenset({*parts, update, keys, values, attention, inner, mixed, *following})
        if any(operation not in self.near.positions for operation in replaced | {chain}):
            return None
        return _Found(chain, update, attention, (q_rows, k_rows, v_rows), replaced, mixed, following)

    def _once(self, value: Value, name: str) -> Operation | None:
        """The operation of that name that makes a value with one use."""
        operation = self.near.made.get(value)
        return (
            operation if operation is not None and operation.name == name and self.near.counts.get(value) == 1 else None
        )

    def _rows(self, value: Value) -> _Rows | None:
        replaced: list[Operation] = []

        def take(name: str) -> Operation | None:
            nonlocal value
            operation = self._once(value, name)
            if operation is not None:
                replaced.append(operation)
                value = operation.operands[0]
            return operation

        rope, norm = take("rope"), take("rms_norm")
        turn = take("transpose")
        shape = take("reshape") if turn is not None and self._turns_heads(turn) else None
        item = self._once(value, "item")
        if shape is None or item is None:
            return None
        sizes = self.near.made.get(shape.operands[1])
        if sizes is None or sizes.name != "list" or len(sizes.operands) != len(_HEADS_FIRST):
            return None
        return _Rows(
            item,
            sizes.operands[2],
            (*replaced, item),
            None if norm is None else (norm.operands[1], norm.operands[2]),
            None if rope is None else rope.operands[1:],
        )

    def _turns_heads(self, transpose: Operation) -> bool:
        axes = self.near.made.get(transpose.operands[1])
        if axes is None or axes.name != "list":
            return False
        return tuple(v.type.constant for v in axes.operands if isinstance(v.type, IntType)) == _HEADS_FIRST

    def _mixed(self, attention: Operation) -> Operation | None:
        """The reshape that lays the heads side by side again."""
        turn = self._only_user(attention.result, "transpose")
        if turn is None or not self._turns_heads(turn):
            return None
        shaped = self._only_user(turn.result, "reshape")
        result = attention.result.type
        if shaped is None or not isinstance(shaped.result.type, TensorType) or not isinstance(result, TensorType):
            return None
        batch, _, length, _ = result.shape.dims
        # What is left for the third dim is all heads of a token.
        dims = shaped.result.type.shape.dims
        return shaped if len(dims) == 3 and dims[:2] == (batch, length) else None

    def _only_user(self, value: Value, name: str) -> Operation | None:
        user = self.near.only_user(value)
        return user if user is not None and user.name == name else None

    def _chain(self, *rows: _Rows) -> Operation | None:
        """The chain of whose products q, k and v are the first, the second and the third."""
        chain = self.near.made.get(rows[0].item.operands[0])
        if chain is None or chain.name != "chain" or not chain.attributes["apart"]:
            return None
        if (
            len(chain.attributes["stages"][-1].weights) != _PROJECTIONS
            or self.near.counts[chain.result] != _PROJECTIONS
        ):
            return None
        in_order = all(
            r.item.operands[0] is chain.result and r.item.attributes["index"] == i for i, r in enumerate(rows)
        )
        return chain if in_order else None

    def _is_free(self, following: tuple[Operation, ...], mixed: Operation) -> bool:
        """Whether nothing uses the next cache before the place of the whole."""
        place = self.near.positions[mixed]
        users = (user for item in following for user in self.near.users.get(item.result, []))
        return all(self.near.positions[user] > place for user in users)


def _alike(q: _Rows, k: _Rows, v: _Rows) -> bool:
    """Whether queries and keys are turned and normed alike, and values not at all."""
    if v.norm is not None or v.turned is not None or k.heads is not v.heads:
        return False
    if (q.norm is None) != (k.norm is None):
        return False
    if q.norm is not None and k.norm is not None and q.norm[1] is not k.norm[1]:
        return False
    if q.turned is None or k.turned is None:
        return q.turned is k.turned
    return all(a is b for a, b in zip(q.turned, k.turned, strict=True))


def _side_by_side(apart: Type) -> Type:
    assert isinstance(apart, TupleType)
    parts = [t for t in apart.items if isinstance(t, TensorType)]
    total = parts[0].shape.dims[-1] + parts[1].shape.dims[-1] + parts[2].shape.dims[-1]
    return TensorType(parts[0].element, Shape(parts[0].shape.pack, (*parts[0].shape.dims[:-1], total)))


def _made(found: _Found, joined: Value) -> Iterator[Operation]:
    """The operation, and what takes its result apart."""
    q, k, _ = found.rows
    cache, layer, _, _, _ = found.update.operands
    _, _, _, scale, _, _, window, soft_cap = found.attention.operands
    named: dict[str, Value] = {"scale": scale, "window": window, "soft_cap": soft_cap}
    if q.turned is not None:
        named.update(zip(("offset", "base", "traditional", "rope_scale", "dims", "periods"), q.turned, strict=True))
    if q.norm is not None and k.norm is not None:
        named.update(q_norm=q.norm[0], k_norm=k.norm[0], eps=q.norm[1])
    mixed = found.mixed.result
    result = Value(TupleType((mixed.type, cache.type)))
    operands = (cache, layer, joined, q.heads, k.heads, *named.values())
    span = found.attention.span
    yield Operation("cached_attention", operands, (result,), {"names": tuple(named)}, (), span)
    yield Operation("item", (result,), (mixed,), {"index": 0}, (), span)
    for item in found.following:
        yield Operation("item", (result,), item.results, {"index": 1}, (), item.span)
