"""For tests of programs against the model files that are there: small files, and what is said of a program."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from tensorlogic.compiler import driver
from tensorlogic.compiler.diagnostics import CompileError, Diagnostic
from tensorlogic.runtime.errors import TensorLogicError
from tensorlogic.runtime.script import run

Shapes = Mapping[str, tuple[int, ...]]
BLIND = driver.Options(files=False)


def write_model(
    path: Path, shapes: Shapes, *, integers: Shapes | None = None, metadata: dict[str, str] | None = None
) -> None:
    """A safetensors file of ones: float32, and int64."""
    tensors = {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
    tensors |= {name: np.ones(shape, np.int64) for name, shape in (integers or {}).items()}
    save_file(tensors, path, metadata=metadata)


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """The working directory, for a test that has several."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def errors(text: str, options: driver.Options = driver.DEFAULT_OPTIONS) -> list[Diagnostic]:
    """The errors of a program."""
    try:
        driver.compile_text(text, options=options)
    except CompileError as wrong:
        return list(wrong.diagnostics)
    return []


def codes(text: str) -> list[str]:
    return [diagnostic.code for diagnostic in errors(text)]


def ends_with(text: str) -> TensorLogicError | None:
    """The error that a program ends with when it runs and was not checked against files."""
    try:
        run(driver.compile_text(text, options=BLIND).python, "program.tl", [])
    except TensorLogicError as wrong:
        return wrong
    return None
