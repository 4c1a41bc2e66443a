"""The loop of a decode in MLX, as `generate` and mlx-lm have it: the graph of a token is built while the one before it
is computed."""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx
import numpy as np


def decode(step: Callable[[mx.array], mx.array], pick: Callable[[mx.array], mx.array], token: int, count: int) -> int:
    """The last of `count` tokens after `token`.

    `step` gives the lazy logits [1, V] after a token [1], which may be lazy; `pick` the lazy token [1] of logits.
    """
    chosen = _begun(pick(step(mx.array([token], mx.int32))))
    for _ in range(count - 1):
        following = _begun(pick(step(chosen)))
        mx.eval(chosen)
        chosen = following
    return int(np.asarray(chosen)[0])


def _begun(token: mx.array) -> mx.array:
    mx.async_eval(token)  # type: ignore[no-untyped-call]  # MLX declares it without types
    return token
