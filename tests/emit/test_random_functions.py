"""Emitted functions return what the source says, whatever it does with its variables."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from tensorlogic.compiler import driver
from tests.emit.random_functions import random_functions

ARGUMENTS = [(0, 1), (1, 5), (3, 2), (4, 4)]


def run(text: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exec(compile(text, "<module>", "exec"), namespace)
    return namespace


@pytest.mark.parametrize("seed", range(24))
def test_emitted_functions_compute_what_the_source_says(seed: int) -> None:
    program, python, names = random_functions(seed, 3)
    compiled = driver.compile_text(program, options=driver.Options(verify=True))
    emitted, expected = run(compiled.python), run(python)
    for name in names:
        for arguments in ARGUMENTS:
            found, wanted = emitted[name](*arguments), expected[name](*arguments)
            assert found == wanted, f"{name}{arguments} of\n{program}\n{compiled.python}"
