"""Opens mutations of one file of a Core ML package, or of an `.mlmodel`, in a process of its own.

    python -m tests.fuzz.mutate_core_ml MODEL PART FIRST_SEED COUNT

MODEL is changed in place, and left as it was: PART is the path of the file in it that is mutated, `.` for MODEL itself.
What a mutation must not do, and what the last line says, is what `mutate_model_files` says of other formats.
"""

from __future__ import annotations

import resource
import signal
import sys
from pathlib import Path

from tests.fuzz.mutate_model_files import MEMORY_BYTES, SECONDS, memory, mutation, opened


def main(model: Path, part: str, first: int, count: int) -> None:
    target = model / part
    content = target.read_bytes()
    assert opened(model), "the model itself is sound"
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    before = memory()
    loaded = 0
    for seed in range(first, first + count):
        target.write_bytes(mutation(content, len(content), seed))
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        loaded += opened(model)
        signal.setitimer(signal.ITIMER_PROF, 0)
        if memory() - before > MEMORY_BYTES + len(content):
            sys.exit(f"seed {seed} took {memory() - before} bytes of memory")
    target.write_bytes(content)
    print(f"{loaded} loaded, {count - loaded} refused")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
