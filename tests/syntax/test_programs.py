"""The programs of `tests/programs` and the standard library: read without errors, but for those whose text is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

import tensorlogic
from tensorlogic.compiler.source import Source
from tensorlogic.compiler.syntax import dump, format_module, nodes, parse
from tests.syntax.helpers import summary

PROGRAMS = Path(__file__).parents[1] / "programs"
WRONG_TEXT = {"several.tl"}
LIBRARY = Path(tensorlogic.__file__).parent / "stdlib"
PATHS = [path for folder in (PROGRAMS, LIBRARY) for path in sorted(folder.rglob("*.tl")) if path.name not in WRONG_TEXT]


@pytest.mark.parametrize("path", PATHS, ids=[path.stem for path in PATHS])
def test_a_program_is_read_and_printed_back(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    prelude = path.name == "prelude.tl"
    module, diagnostics = parse(Source(path.name, text), prelude=prelude)
    if diagnostics:
        # A program that shows an error of syntax has its golden error beside it.
        assert path.with_suffix(".err").exists() or path.with_suffix(".says").exists()
        return
    printed = format_module(module)
    again, diagnostics = parse(Source("printed.tl", printed), prelude=prelude)
    assert diagnostics == []
    assert dump(again) == dump(module)
    assert format_module(again) == printed


def test_an_error_in_one_function_leaves_the_others_as_written() -> None:
    text = (PROGRAMS / "reject" / "several.tl").read_text(encoding="utf-8")
    module, diagnostics = parse(Source("several.tl", text))
    assert [summary(diagnostic) for diagnostic in diagnostics] == [
        "2:16 TL0101 expected an expression after `+`, found end of line"
    ]
    f, g, h = module.declarations
    assert isinstance(f, nodes.FunctionDeclaration)
    assert f.body is not None
    assert [type(statement) for statement in f.body.statements] == [nodes.Let, nodes.Return]
    for declaration in (g, h):
        clean, none = parse(Source("one.tl", declaration.span.text))
        assert none == []
        assert dump(clean.declarations[0]) == dump(declaration)
