"""The decoder of `benchmarks/decoder.py` as a worker. `--fast` is its int8 path, `--plain` MLX's own operations."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import mlx.core as mx
import numpy as np

from benchmarks import decoder  # type: ignore[attr-defined, unused-ignore]
from benchmarks.language.protocol import Floats, actions, serve


class Ours:
    """One decoder with its cache."""

    def __init__(self, *, fast: bool, kernels: bool) -> None:
        self._options = {"fast": fast, "kernels": kernels}

    def open(self, path: Path, capacity: int) -> None:
        self._decoder = decoder.load(path, **self._options)
        self._decoder.new_cache(capacity)

    def prefill(self, ids: Sequence[int]) -> Floats:
        self._decoder.reset()
        return _values(self._decoder.prefill(list(ids)))

    def step(self, token: int) -> Floats:
        return _values(self._decoder.step(token))

    def bytes_read(self, context: int) -> int | None:
        """A decoder may know: what it keeps is its own affair."""
        known = getattr(self._decoder, "bytes_read", None)
        return None if known is None else int(known(context))


def _values(logits: mx.array) -> Floats:
    """Without a copy where they are float32."""
    mx.eval(logits)
    return np.asarray(logits if logits.dtype == mx.float32 else logits.astype(mx.float32))


if __name__ == "__main__":
    mx.set_default_device(mx.Device(mx.cpu))
    serve(actions(Ours(fast="--fast" in sys.argv, kernels="--plain" not in sys.argv)))
