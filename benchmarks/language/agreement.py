"""Whether our logits are llama.cpp's: a decoder that is fast and wrong is not fast.

Both read a text as llama.cpp cuts it into tokens, half of them at once and the others one by one, and the logits at
each of the latter are compared. llama.cpp rounds activations to int8, so its logits are off by 0.2 to
0.5 in the root of the mean square, up to 3 in single ones, and another token is the most likely in up to an eighth of
the positions, where two are nearly as likely. What passes that by far is an error of ours.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.language.protocol import Floats, Worker

FIRST = 65
POSITIONS = 64
TEXT = """\
The tide comes in twice a day because the moon draws the water of the oceans toward it, and because the earth turns \
beneath the two bulges that this makes. A fisherman on the coast knows the hours without a table: each day the water \
is about fifty minutes later than the day before, since the moon has moved on along its path. When the sun stands in \
one line with the moon, at full moon and at new moon, both pull together, and the water rises higher than in the weeks \
between. In narrow bays the wave is squeezed, and in a few of them the difference between high and low water is more \
than ten metres. Mills were once driven by it; today turbines are, in a handful of places where the coast allows it.
"""
LARGEST_NOISE = 0.8
"""In the root of the mean square."""
LEAST_SAME = 0.8


@dataclass(frozen=True)
class Agreement:
    """Of a contender's logits with the baseline's: how they differ, and at how many positions the best is the same."""

    model: str
    contender: str
    largest: float
    root_mean_square: float
    same: int
    positions: int

    @property
    def holds(self) -> bool:
        return self.root_mean_square <= LARGEST_NOISE and self.same >= LEAST_SAME * self.positions


def measure(model: str, workers: Sequence[Worker], baseline: Worker) -> list[Agreement]:
    """Every worker beside `baseline`, which cuts the text; all have opened the model."""
    ids = baseline.ask("tokens", text=TEXT)["ids"]
    assert isinstance(ids, list)
    ids = ids[: FIRST + POSITIONS - 1]
    expected = _logits(baseline, ids)
    return [agreement(model, worker.name, _logits(worker, ids), expected) for worker in workers]


def agreement(model: str, contender: str, found: Floats, expected: Floats) -> Agreement:
    """`found` and `expected` are [positions, V]."""
    assert found.shape == expected.shape, f"logits {found.shape} are not {expected.shape}"
    difference = found - expected
    return Agreement(
        model,
        contender,
        largest=float(np.abs(difference).max()),
        root_mean_square=float(np.sqrt(np.mean(np.square(difference), dtype=np.float64))),
        same=int(np.sum(found.argmax(axis=1) == expected.argmax(axis=1))),
        positions=len(found),
    )


def _logits(worker: Worker, ids: list[int]) -> Floats:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "logits.npy"
        worker.ask("logits", ids=ids, first=FIRST, file=str(file))
        found: Floats = np.load(file)
        return found
