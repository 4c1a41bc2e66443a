"""How far two models' logits are from one another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.reference.files import Array

Doubles = npt.NDArray[np.float64]

PART = 16
"""So many rows at a time stay in a cache, which is several times as fast as all at once."""


def _parts(count: int) -> Iterator[slice]:
    return (slice(begin, begin + PART) for begin in range(0, count, PART))


def divergences(expected: Array, found: Array) -> Doubles:
    """Kullback and Leibler's, in nats: [L] of logits [L, V], what `found` loses where `expected` is the truth."""
    result = np.empty(len(expected))
    for part in _parts(len(result)):
        # Terms of both signs nearly cancel.
        p, q = (_log_probabilities(logits[part].astype(np.float64)) for logits in (expected, found))
        result[part] = (np.exp(p) * (p - q)).sum(axis=-1)
    return result


def _log_probabilities(logits: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """[L, V] of logits [L, V], in their precision."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    logarithms: npt.NDArray[Any] = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return logarithms


def surprises(logits: Array, following: Sequence[int]) -> Doubles:
    """[L], the negative log-probability of each token in `following` [L] by the logits [L, V] before it."""
    result, ids = np.empty(len(following)), np.array(following)
    for part in _parts(len(result)):
        logarithms = _log_probabilities(logits[part])
        result[part] = -logarithms[np.arange(len(logarithms)), ids[part]]
    return result


def perplexity(surprise: Doubles) -> float:
    """How many tokens of equal chance would surprise as much, on the average."""
    return float(np.exp(surprise.mean()))


def margins(logits: Array) -> Array:
    """[L], by how much the largest of logits [L, V] leads the second."""
    second, first = np.moveaxis(np.partition(logits, -2, axis=-1)[..., -2:], -1, 0)
    lead: Array = first - second
    return lead
