"""The model of the standard library, written in the language, as a worker. `--fast` is that of `generate`.

It opens as `generate` does, with the tokenizer, as llama.cpp does, too; the others have none.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import mlx.core as mx
import numpy as np

from benchmarks.language.ahead import decode
from benchmarks.language.protocol import Floats, actions, serve
from tensorlogic.runtime import KVCache, kernels, load_model
from tensorlogic.runtime.architectures import MODULES
from tensorlogic.runtime.functions_kernels import cast
from tensorlogic.runtime.generating import bound
from tensorlogic.runtime.generation import chunks, prefill
from tensorlogic.runtime.sampling import Sampler


class Written:
    """A net with its cache, driven as `generate` drives it."""

    def __init__(self, *, fast: bool) -> None:
        self._fast = fast

    def open(self, path: Path, capacity: int) -> None:
        model = load_model(path)
        # All of it is held, the tokenizer too, as by somebody who goes on with it.
        self._model = bound(model, fast=self._fast)
        self._net, self._step, self._capacity = self._model.net, self._model.step, capacity
        self.reset()

    def reset(self) -> None:
        self._cache = KVCache(capacity=self._capacity)

    def prefill(self, ids: Sequence[int]) -> Floats:
        *_, (logits, self._cache) = prefill(self._step, self._net, chunks([ids]), self._cache)
        return _values(logits)

    def step(self, token: int) -> Floats:
        return _values(self._after(mx.array([token], mx.int32)))

    def decode(self, token: int, count: int) -> int:
        return decode(self._after, Sampler(), token, count)

    def bytes_read(self, context: int) -> int | None:
        """What the file's weights take, since these stay as they are there."""
        return None

    def _after(self, token: mx.array) -> mx.array:
        logits: mx.array
        logits, self._cache = self._step(self._net, token[:, None], self._cache)
        return logits


def _values(logits: mx.array) -> Floats:
    return np.asarray(cast(logits[0], mx.float32))


if __name__ == "__main__":
    mx.set_default_device(mx.Device(mx.cpu))
    # What is imported when it is first needed shall count neither as opening nor as the first token.
    kernels.status()
    for name in (
        "attending",
        "binding",
        "chains",
        *(f"text.{name}" for name in ("bpe", "coder", "hugging_face", "spm", "vocabulary")),
    ):
        import_module(f"tensorlogic.runtime.{name}")
    for name in MODULES.values():
        import_module(f"tensorlogic.runtime.architectures.{name}")
    serve(actions(Written(fast="--fast" in sys.argv)))
