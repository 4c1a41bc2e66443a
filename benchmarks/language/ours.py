"""The decoder of `benchmarks/decoder.py` as a worker. `--fast` is its int8 path, `--plain` MLX's own operations."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

import mlx.core as mx
import numpy as np

from benchmarks import decoder
from benchmarks.language.ahead import decode
from benchmarks.language.protocol import Floats, actions, serve
from tensorlogic.runtime import kernels
from tensorlogic.runtime.functions_kernels import greedy
from tensorlogic.runtime.packed import Packed

HALF = 2
"""Bytes of a cached number."""


class Ours:
    """One decoder with its cache."""

    def __init__(self, *, fast: bool, kernels: bool) -> None:
        self._options = {"fast": fast, "kernels": kernels}

    def open(self, path: Path, capacity: int) -> None:
        self._capacity = capacity
        self._decoder = decoder.load(path, **self._options)
        self.reset()

    def reset(self) -> None:
        self._decoder.new_cache(self._capacity)

    def prefill(self, ids: Sequence[int]) -> Floats:
        return _values(self._decoder.prefill(list(ids)))

    def step(self, token: int) -> Floats:
        return _values(self._decoder.step(token))

    def decode(self, token: int, count: int) -> int:
        return decode(lambda chosen: self._decoder.step(chosen)[None], greedy, token, count)

    def bytes_read(self, context: int) -> int | None:
        """All weights once (the embedding is the output projection), and the keys and values that each layer sees."""
        sizes = self._decoder.net.sizes
        seen = (
            min(context, sizes.window) if sizes.window is not None and sizes.is_local(layer) else context
            for layer in range(sizes.layers)
        )
        return _bytes(self._decoder.net) + 2 * HALF * sizes.kv_heads * sizes.head * sum(seen)


def _bytes(part: object) -> int:
    """Of the arrays in a tree of dataclasses and tuples."""
    if isinstance(part, mx.array | Packed):
        return part.nbytes
    if isinstance(part, tuple):
        return sum(map(_bytes, part))
    if dataclasses.is_dataclass(part):
        return sum(_bytes(getattr(part, field.name)) for field in dataclasses.fields(part))
    return 0


def _values(logits: mx.array) -> Floats:
    """Without a copy where they are float32."""
    mx.eval(logits)
    return np.asarray(logits if logits.dtype == mx.float32 else logits.astype(mx.float32))


if __name__ == "__main__":
    mx.set_default_device(mx.Device(mx.cpu))
    kernels.status()
    serve(actions(Ours(fast="--fast" in sys.argv, kernels="--plain" not in sys.argv)))
