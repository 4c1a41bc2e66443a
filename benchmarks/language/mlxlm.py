"""mlx-lm as a worker, in float32, which is 35 times as fast on a CPU as the float16 in which it comes.

`--kernels` runs its model code over our CPU kernels.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import mlx.core as mx
import numpy as np
from mlx.nn.layers.base import Module
from mlx_lm.models.cache import make_prompt_cache
from mlx_lm.utils import load_model

from benchmarks.language.ahead import decode
from benchmarks.language.mlx_folder import write_folder
from benchmarks.language.protocol import Floats, actions, serve


class MlxLm:
    """One model and its cache."""

    def __init__(self, *, kernels: bool) -> None:
        self._kernels = kernels

    def open(self, path: Path, capacity: int) -> None:
        self._model = _over_kernels(path) if self._kernels else _converted(path)
        self.reset()

    def reset(self) -> None:
        self._cache = make_prompt_cache(self._model)

    def prefill(self, ids: Sequence[int]) -> Floats:
        # As mlx-lm's own loop does it: logits of the last token alone.
        if len(ids) > 1:
            self._model(mx.array([ids[:-1]]), cache=self._cache)
            mx.eval([layer.state for layer in self._cache])
        return self.step(ids[-1])

    def step(self, token: int) -> Floats:
        logits = self._after(mx.array([token]))[0]
        mx.eval(logits)
        return np.asarray(logits)

    def decode(self, token: int, count: int) -> int:
        return decode(self._after, lambda logits: mx.argmax(logits, axis=-1), token, count)

    def bytes_read(self, context: int) -> int | None:
        return None

    def _after(self, token: mx.array) -> mx.array:
        logits: mx.array = self._model(token[None], cache=self._cache)[:, -1]
        return logits


def _converted(path: Path) -> Module:
    with tempfile.TemporaryDirectory() as folder:
        write_folder(path, Path(folder))
        model: Module = load_model(Path(folder))[0]
        return model


def _over_kernels(path: Path) -> Module:
    # Imported here, since it changes mlx-lm.
    from benchmarks.language import mlxlm_kernels

    return mlxlm_kernels.load(path)


if __name__ == "__main__":
    mx.set_default_device(mx.Device(mx.cpu))
    serve(actions(MlxLm(kernels="--kernels" in sys.argv)))
