"""A contender without a model: the logits after a token name the next number as the best. Run as a worker."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.language.protocol import Floats, Message, actions, serve

SIZE = 8


class Toy:
    def open(self, path: Path, capacity: int) -> None:
        if not path.exists():
            raise FileNotFoundError(f"there is no {path}")
        print("a library that prints")
        os.write(1, b"and one that is not written in Python\n")
        self.seen = 0

    def reset(self) -> None:
        self.seen = 0

    def prefill(self, ids: Sequence[int]) -> Floats:
        self.seen += len(ids)
        return self._after(ids[-1])

    def step(self, token: int) -> Floats:
        self.seen += 1
        return self._after(token)

    def decode(self, token: int, count: int) -> int:
        for _ in range(count):
            token = int(np.argmax(self.step(token)))
        return token

    def bytes_read(self, context: int) -> int | None:
        return self.seen

    def _after(self, token: int) -> Floats:
        logits = np.zeros(SIZE, np.float32)
        logits[(token + 1) % SIZE] = 1
        return logits


def die() -> Message:
    print("the last words", file=sys.stderr, flush=True)
    os._exit(7)


if __name__ == "__main__":
    serve(actions(Toy()) | {"die": die})
