"""llama.cpp as a worker, through the C interface of `llama-cpp-python`, which is less work for it than the Python one.

Everything is as llama.cpp's own programs have it: batches of 512, flash attention where it helps, a float16 cache, a
sliding window's cache no longer than the window. Threads of OpenMP that wait spin for some milliseconds and sleep
then, which is libgomp's way; told to sleep at once (`OMP_WAIT_POLICY=passive`), llama.cpp decodes at less than half
its speed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from ctypes import c_void_p
from pathlib import Path

import llama_cpp
import numpy as np

from benchmarks.language.protocol import Floats, actions, serve

THREADS = 2
_WORTH_SAYING = (2, 3)
"""Warnings and errors."""


class Llama:
    """One context of one model."""

    def open(self, path: Path, capacity: int) -> None:
        model = llama_cpp.llama_model_load_from_file(str(path).encode(), llama_cpp.llama_model_default_params())
        if model is None:
            raise OSError(f"llama.cpp cannot open {path}")
        parameters = llama_cpp.llama_context_default_params()
        parameters.n_ctx = capacity
        parameters.n_threads = parameters.n_threads_batch = THREADS
        parameters.swa_full = False
        self._context = llama_cpp.llama_init_from_model(model, parameters)
        if self._context is None:
            raise OSError(f"llama.cpp cannot make a context of {capacity} tokens for {path}")
        self._vocabulary = llama_cpp.llama_model_get_vocab(model)
        self._size = llama_cpp.llama_vocab_n_tokens(self._vocabulary)
        self._batch = parameters.n_batch

    def reset(self) -> None:
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._context), False)

    def prefill(self, ids: Sequence[int]) -> Floats:
        for start in range(0, len(ids), self._batch):
            self._decode(ids[start : start + self._batch])
        return self._logits()

    def step(self, token: int) -> Floats:
        self._decode([token])
        return self._logits()

    def decode(self, token: int, count: int) -> int:
        for _ in range(count):
            token = int(np.argmax(self.step(token)))
        return token

    def bytes_read(self, context: int) -> int | None:
        return None

    def tokens(self, text: str) -> list[int]:
        """The ids of a text, with the token that the model wants at its begin."""
        raw = text.encode()
        ids = (llama_cpp.llama_token * (len(raw) + 8))()
        count = llama_cpp.llama_tokenize(self._vocabulary, raw, len(raw), ids, len(ids), True, False)
        return list(ids[:count])

    def _decode(self, ids: Sequence[int]) -> None:
        tokens = (llama_cpp.llama_token * len(ids))(*ids)  # the batch holds no more than its address
        status = llama_cpp.llama_decode(self._context, llama_cpp.llama_batch_get_one(tokens, len(ids)))
        if status:
            raise RuntimeError(f"llama_decode gave {status}")

    def _logits(self) -> Floats:
        return np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(self._context, -1), (self._size,))


def _warnings_only(level: int, text: bytes, _: object) -> None:
    if level in _WORTH_SAYING:
        sys.stderr.write(text.decode(errors="replace"))


if __name__ == "__main__":
    callback = llama_cpp.llama_log_callback(_warnings_only)
    llama_cpp.llama_log_set(callback, c_void_p(0))
    llama_cpp.llama_backend_init()
    llama = Llama()
    serve(actions(llama) | {"tokens": lambda text: {"ids": llama.tokens(text)}})
