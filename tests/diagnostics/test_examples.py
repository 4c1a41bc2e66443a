"""The example on a code's page gives that code, and no other."""

from __future__ import annotations

from pathlib import Path

import pytest

from tensorlogic.compiler import driver
from tensorlogic.compiler.diagnostics import Diagnostic
from tensorlogic.compiler.diagnostics.model import CompileError
from tensorlogic.compiler.diagnostics.pages import Page, all_pages

ELSEWHERE = {"TL0201"}
"""Codes of programs that are right, told of what the user runs."""

STANDALONE = driver.Options(standalone=True)
PROGRAMS = {code: page for code, page in all_pages().items() if code[:3] in {"TL0", "TL1", "TL2", "TL3"}}


def told(path: Path) -> list[Diagnostic]:
    """What is said of a program: when it is checked, else when it is made to stand alone."""
    found = driver.check_file(path)
    if found:
        return found
    try:
        driver.compile_file(path, STANDALONE)
    except CompileError as wrong:
        return list(wrong.diagnostics)
    return []


@pytest.mark.parametrize(("code", "page"), [(c, p) for c, p in PROGRAMS.items() if c not in ELSEWHERE])
def test_the_example_gives_its_code(code: str, page: Page, tmp_path: Path) -> None:
    path = tmp_path / "example.tl"
    path.write_text(page.example + "\n", encoding="utf-8")
    assert [d.code for d in told(path)] == [code]
