"""Opens mutations of one file of a Core ML package, or of an `.mlmodel`, as `mutate_model_files` does other formats.

    python -m tests.fuzz.mutate_core_ml MODEL PART FIRST_SEED (--count COUNT | --seconds SECONDS)

MODEL is changed in place, and left as it was: PART is the path of the file in it that is mutated, `.` for MODEL itself.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from tests.fuzz.mutate_model_files import MEMORY_BYTES, arguments, attempt_all, mutation, opened


def main(given: argparse.Namespace) -> None:
    target: Path = given.model / given.part
    content = target.read_bytes()
    assert opened(given.model), "the model itself is sound"

    def attempt(seed: int) -> bool:
        target.write_bytes(mutation(content, len(content), seed))
        return opened(given.model)

    attempt_all(given, attempt, MEMORY_BYTES + len(content))
    target.write_bytes(content)


if __name__ == "__main__":
    main(arguments("model", "part"))
