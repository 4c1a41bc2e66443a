"""Keys and values of the tokens so far: what a model that generates hands from one step to the next.

A `KVCache` is a value that is used once. `update` gives all keys and values of a layer, the new ones last, and the next
cache; in place underneath, so that the old one is gone. `copy` keeps it. Layers are numbered from 0; each begins empty
and takes its sizes and its element type from what is put into it first.

Kinds: growing as it is needed; with a `capacity`, preallocated, which refuses more; with a `window`, rotating: the last
tokens alone, so that memory is bounded and attention sees no further back; with `bits`, quantized in groups along a
key's items, as `mx.quantize` does; with `begins`, a batch whose rows begin at different places. Positions are those of
the tokens in either kind: keys are kept as they were turned.

Refuses, with a `BoundaryError`: a cache that was used already (TL5020), more tokens than a capacity (TL5021), keys and
values that do not fit those before, and numbers that make no sense (TL5022).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import mlx.core as mx

from tensorlogic.runtime import kernels
from tensorlogic.runtime.errors import BoundaryError

STEP = 256
"""A growing cache has room for whole multiples of so many tokens."""


@dataclass(slots=True)
class _Rows:
    """Rows [B, G, C, K] of one layer's keys or values, in memory as they are kept: one array, or three where packed."""

    parts: tuple[mx.array, ...]
    bits: int | None
    dtype: mx.Dtype

    @classmethod
    def empty(cls, x: mx.array, capacity: int, bits: int | None, dtype: mx.Dtype) -> Self:
        parts = _kept(x[:, :, :0], bits, dtype)
        return cls(tuple(_room(part, capacity) for part in parts), bits, dtype)

    @property
    def capacity(self) -> int:
        return self.parts[0].shape[2]

    def move(self, begin: int, end: int, capacity: int) -> None:
        """Rows `begin` to `end` become the first of so many."""
        self.parts = tuple(_resized(part, begin, end, capacity) for part in self.parts)

    def put(self, x: mx.array, at: int) -> None:
        end = at + x.shape[2]
        new = _kept(x, self.bits, self.dtype)
        # In place where nothing else holds the array.
        for old, part in zip(self.parts, new, strict=True):
            old[:, :, at:end] = part

    def get(self, begin: int, end: int, dtype: mx.Dtype) -> mx.array:
        parts = [part[:, :, begin:end] for part in self.parts]
        if self.bits is None:
            return parts[0] if parts[0].dtype == dtype else parts[0].astype(dtype)
        words, scales, biases = parts
        return mx.dequantize(words, scales, biases, group_size=_group(scales, words, self.bits), bits=self.bits).astype(
            dtype
        )


@dataclass(slots=True)
class _Layer:
    keys: _Rows
    values: _Rows
    sizes: tuple[int, ...]
    """B, G, K and E of the keys [B, G, L, K] and values [B, G, L, E]."""
    begin: int = 0
    """Where the first row that is still kept lies."""
    end: int = 0
    length: int = 0
    """How many tokens there were, those that are kept no more included."""


@dataclass(frozen=True, slots=True)
class Held:
    """What a layer keeps: keys and values [B, G, L, K] as arrays, or each as words, scales and biases."""

    keys: tuple[mx.array, ...]
    values: tuple[mx.array, ...]
    sizes: tuple[int, ...]
    """B, G, and the items of a key and of a value."""


@dataclass(slots=True)
class _Store:
    capacity: int | None
    window: int | None
    bits: int | None
    begins: mx.array | None
    """Where each row's own tokens begin: int32 [B]; None where all begin at 0."""
    layers: dict[int, _Layer] = field(default_factory=dict)
    updates: int = 0


class KVCache:
    """Keys and values of each layer; used once, as the module says."""

    __slots__ = ("_store", "_updates")

    def __init__(
        self,
        *,
        capacity: int | None = None,
        window: int | None = None,
        bits: int | None = None,
        begins: Sequence[int] | None = None,
    ) -> None:
        for name, number in (("capacity", capacity), ("window", window)):
            if number is not None and number < 1:
                raise BoundaryError("TL5022", f"the {name} of a cache is at least 1, not {number}")
        if bits not in (None, 4, 8):
            raise BoundaryError("TL5022", f"a cache is quantized to 4 or 8 bits, not {bits}")
        if capacity is not None and window is not None:
            raise BoundaryError("TL5022", "a cache has a capacity or a window")
        self._store = _Store(capacity, window, bits, None if begins is None else mx.array(list(begins), mx.int32))
        self._updates = 0

    def __repr__(self) -> str:
        return f"KVCache({len(self._store.layers)} layers, {self._current().updates} updates)"

    def length(self, layer: int | None = None) -> int:
        """How many tokens a layer has seen, the first one if none is named: the position of the next token."""
        found = self._current().layers.get(layer or 0)
        return 0 if found is None else found.length

    def evaluate(self) -> None:
        """Computes what is put into it."""
        layers = self._current().layers.values()
        mx.eval([rows.parts for layer in layers for rows in (layer.keys, layer.values)])

    def first_of_nan(self) -> int | None:
        """The first layer whose keys have NaN; computes them all."""
        for number, layer in sorted(self._current().layers.items()):
            if mx.any(mx.isnan(layer.keys.get(layer.begin, layer.end, mx.float32))):
                return number
        return None

    def rewind(self, length: int) -> None:
        """Forgets the tokens from position `length` on, in all layers; what a window has dropped cannot come back."""
        for layer in self._current().layers.values():
            dropped = layer.length - length
            if dropped > layer.end - layer.begin or length < 0:
                raise BoundaryError("TL5022", f"a cache cannot go back to {length} tokens: it keeps the last alone")
            if dropped > 0:
                layer.end -= dropped
                layer.length = length

    @property
    def bits(self) -> int | None:
        """How many bits an item is kept in; None where as it is."""
        return self._current().bits

    @property
    def nbytes(self) -> int:
        """The bytes that it takes in memory."""
        layers = self._current().layers.values()
        return sum(part.nbytes for layer in layers for rows in (layer.keys, layer.values) for part in rows.parts)

    def copy(self) -> KVCache:
        """Another cache of the same tokens; memory is shared until one of the two changes."""
        store = self._current()
        other = KVCache(capacity=store.capacity, window=store.window, bits=store.bits)
        other._store.begins = store.begins
        for number, layer in store.layers.items():
            # An array that is assigned to is the same object afterwards.
            keys, values = (
                replace(rows, parts=tuple(map(mx.array, rows.parts))) for rows in (layer.keys, layer.values)
            )
            other._store.layers[number] = replace(layer, keys=keys, values=values)
        return other

    def held(self, count: int) -> dict[int, Held]:
        """The first `count` tokens as they are kept, by layer."""
        store = self._current()
        if (
            store.window is not None
            or store.begins is not None
            or any(layer.begin or layer.end < count for layer in store.layers.values())
        ):
            raise BoundaryError("TL5022", f"the cache does not hold its first {count} tokens")
        found = {}
        for number, each in store.layers.items():
            keys, values = (tuple(part[:, :, :count] for part in rows.parts) for rows in (each.keys, each.values))
            found[number] = Held(keys, values, each.sizes)
        return found

    @classmethod
    def of(cls, held: Mapping[int, Held], count: int, bits: int | None) -> Self:
        """A growing cache of `count` tokens that hold what `held` gave."""
        cache = cls(bits=bits)
        for number, each in held.items():
            dtype = _require_parts(each, count, bits)
            keys, values = (_Rows(parts, bits, dtype) for parts in (each.keys, each.values))
            layer = _Layer(keys, values, each.sizes, 0, count, count)
            cache._store.layers[number] = layer
        return cache

    def update(
        self, layer: int, k: mx.array, v: mx.array, window: int | None = None, *, dtype: mx.Dtype | None = None
    ) -> tuple[mx.array, mx.array, KVCache]:
        """All keys and values of a layer, those of `k` [B, G, L, K] and `v` [B, G, L, E] last, and the next cache.

        With a `window` the last `L + window - 1` of them are enough. They are kept as `dtype`, or as they are.
        """
        store, sizes = self._current(), _sizes(k, v)
        kept = store.layers.get(layer)
        if kept is None:
            keys, values = (_Rows.empty(x, store.capacity or 0, store.bits, dtype or x.dtype) for x in (k, v))
            kept = store.layers[layer] = _Layer(keys, values, sizes)
        elif kept.sizes != sizes:
            message = f"keys of shape {list(k.shape)} and values of shape {list(v.shape)} do not follow those before"
            raise BoundaryError("TL5022", message)
        self._make_room(kept, k.shape[2], window)
        for rows, x in ((kept.keys, k), (kept.values, v)):
            rows.put(x, kept.end)
        kept.end += k.shape[2]
        kept.length += k.shape[2]
        begin = kept.begin
        if window is not None:
            begin = max(begin, kept.end - k.shape[2] - window + 1)
        return kept.keys.get(begin, kept.end, k.dtype), kept.values.get(begin, kept.end, v.dtype), self._next()

    def arrays(
        self, layer: int, sizes: tuple[int, int, int], count: int, dtype: mx.Dtype
    ) -> tuple[mx.array, mx.array, int] | None:
        """A layer's arrays of keys and values [B, G, C, K], and behind how many rows they have room for `count` more.

        For who puts them there himself, and calls `put_arrays`. None where they are kept otherwise. `sizes` are B, G
        and K; a layer that is empty keeps `dtype`.
        """
        store = self._current()
        if store.bits is not None or store.window is not None or store.begins is not None:
            return None
        kept = store.layers.get(layer)
        if kept is None:
            batch, heads, width = sizes
            none = mx.zeros((batch, heads, 0, width), dtype)
            keys, values = (_Rows.empty(none, store.capacity or 0, None, dtype) for _ in range(2))
            kept = store.layers[layer] = _Layer(keys, values, (*sizes, sizes[2]))
        if kept.sizes != (*sizes, sizes[2]) or kept.begin:
            return None
        self._make_room(kept, count, None)
        return kept.keys.parts[0], kept.values.parts[0], kept.end

    def mask(self, layer: int, q: mx.array, ks: mx.array) -> mx.array | None:
        """What the queries [B, H, L, K] may see of the keys [B, G, S, K] that `update` gave: bool [B, 1, L, S].

        None where each row has all of them. The places before a row's own tokens see themselves, so that what is
        computed for them stays a number.
        """
        store = self._current()
        if store.begins is None:
            return None
        end = store.layers[layer].length
        rows = mx.arange(end - q.shape[2], end)[:, None]
        columns = mx.arange(end - ks.shape[2], end)[None, :]
        return (columns >= store.begins[:, None, None, None]) | (columns == rows)

    def put_arrays(self, layer: int, keys: mx.array, values: mx.array, count: int) -> KVCache:
        """The next cache, after `count` rows were put into the arrays of a layer: these are in their place."""
        kept = self._current().layers[layer]
        kept.keys.parts, kept.values.parts = (keys,), (values,)
        kept.end += count
        kept.length += count
        return self._next()

    def _make_room(self, layer: _Layer, count: int, window: int | None) -> None:
        store = self._store
        if store.capacity is not None and layer.length + count > store.capacity:
            message = f"{count} more tokens do not fit a cache of {store.capacity}, which has {layer.length}"
            raise BoundaryError("TL5021", message, helps=["`KVCache(window=...)` keeps the last tokens alone"])
        if store.window is not None:
            layer.begin = max(layer.begin, layer.end - store.window + 1)
        if layer.end + count <= layer.keys.capacity:
            return
        left = layer.end - layer.begin
        room = -(-(left + count) // STEP) * STEP
        if store.window is not None:
            # Rows are moved once in as many tokens as the window has, or in a step.
            room = max(room, store.window + max(store.window, STEP))
        for rows in (layer.keys, layer.values):
            rows.move(layer.begin, layer.end, room)
        layer.begin, layer.end = 0, left

    def _current(self) -> _Store:
        if self._updates != self._store.updates:
            helps = ["`update` gives the next cache", "`copy` keeps one"]
            raise BoundaryError("TL5020", "this cache was used already: it has become another", helps=helps)
        return self._store

    def _next(self) -> KVCache:
        following = object.__new__(KVCache)
        self._store.updates += 1
        following._store, following._updates = self._store, self._store.updates
        return following


def new_cache(
    net: object,
    *,
    capacity: int | None = None,
    window: int | None = None,
    bits: int | None = None,
    begins: Sequence[int] | None = None,
) -> KVCache:
    """An empty cache for the steps of a net: of the kinds of `KVCache`, growing where nothing is said.

    The layers of `net` give their sizes at their first `update`. A program's own `new_cache` may look at it. Raises
    BoundaryError TL5022 for numbers that make no sense.
    """
    return KVCache(capacity=capacity, window=window, bits=bits, begins=begins)


def _require_parts(held: Held, count: int, bits: int | None) -> mx.Dtype:
    """The element type of arrays from outside, which must be what `count` tokens of these sizes are kept as."""
    parts = (*held.keys, *held.values)
    alike = len(held.sizes) == 4 and len(parts) == (2 if bits is None else 6)
    if alike and all(part.shape[:3] == (*held.sizes[:2], count) for part in parts):
        dtype = parts[-1].dtype
        if dtype in (mx.float16, mx.bfloat16, mx.float32) and max(held.sizes) < 2**24:
            wanted = [
                part
                for width in held.sizes[2:]
                for part in _kept(mx.zeros((*held.sizes[:2], count, width), dtype), bits, dtype)
            ]
            if [(part.shape, part.dtype) for part in parts] == [(part.shape, part.dtype) for part in wanted]:
                return dtype
    shapes = ", ".join(f"{part.dtype} {list(part.shape)}".removeprefix("mlx.core.") for part in parts)
    raise BoundaryError("TL5022", f"keys and values of {count} tokens have the shapes {shapes}")


def _sizes(k: mx.array, v: mx.array) -> tuple[int, ...]:
    if k.ndim != 4 or v.ndim != 4 or k.shape[:3] != v.shape[:3]:
        message = (
            f"keys of shape {list(k.shape)} and values of shape {list(v.shape)} are no pairs [B, G, L, K], [B, G, L, E]"
        )
        raise BoundaryError("TL5022", message)
    return (*k.shape[:2], k.shape[3], v.shape[3])


def _kept(x: mx.array, bits: int | None, dtype: mx.Dtype) -> tuple[mx.array, ...]:
    x = x if x.dtype == dtype else x.astype(dtype)
    if bits is None:
        return (x,)
    width = x.shape[-1]
    group = next((size for size in (64, 32) if width % size == 0), None)
    if group is None:
        raise BoundaryError("TL5022", f"keys and values of {width} items are not whole groups of 32 to be quantized in")
    return tuple(mx.quantize(x, group_size=group, bits=bits))


def _group(scales: mx.array, words: mx.array, bits: int) -> int:
    return words.shape[-1] * 32 // bits // scales.shape[-1]


def _resized(x: mx.array, begin: int, end: int, capacity: int) -> mx.array:
    room = _room(x, capacity)
    if end > begin:
        room[:, :, : end - begin] = x[:, :, begin:end]
    return room


def _room(like: mx.array, capacity: int) -> mx.array:
    """Rows that nobody reads before they are written: with our CPU kernels they take no memory until then."""
    shape = (*like.shape[:2], capacity, like.shape[3])
    return kernels.cpu.empty(shape, like.dtype) if kernels.active() else mx.zeros(shape, like.dtype)
