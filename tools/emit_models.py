"""Writes the emitted modules of `stdlib/models` into `runtime/architectures`, where `generate` finds them.

`python -m tools.emit_models` is to be run after a change of those programs or of what the compiler emits; a test
compares. Only programs with a `step` are modules; the others are parts that they import.
"""

from __future__ import annotations

from pathlib import Path

from tensorlogic.compiler.driver import compile_file
from tensorlogic.compiler.names import STANDARD_LIBRARY

PROGRAMS = STANDARD_LIBRARY / "models"
MODULES = STANDARD_LIBRARY.parent / "runtime" / "architectures"


def emitted() -> dict[Path, str]:
    """Each module's file and text."""
    found = {}
    for program in sorted(PROGRAMS.glob("*.tl")):
        python = compile_file(program).python
        if "\ndef step(" in python:
            found[MODULES / f"{program.stem}.py"] = python
    return found


if __name__ == "__main__":
    for file, text in emitted().items():
        file.write_text(text, encoding="utf-8")
        print(file.name)
