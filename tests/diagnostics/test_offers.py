"""Helps offer code that would check: each is put into the program that was refused, which is then checked again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tensorlogic.compiler import driver
from tensorlogic.compiler.check.refusals import as_operand
from tensorlogic.compiler.diagnostics import Diagnostic
from tensorlogic.compiler.diagnostics.model import Label
from tensorlogic.compiler.source import Span

REJECTED = Path(__file__).parents[1] / "programs" / "reject"
CLAUSE = re.compile(r"`where ([^`]+)`(?: to `(\w+)`)?")
NEAREST = re.compile(r"did you mean `([^`]+)`\?")
CONVERSION = re.compile(r"`([^`]+\.to\(\w+\))`")
EXPRESSION = re.compile(r"^`([^`]+)` (?:is|has the shape|computes) ")
ROUNDS = 6
"""How many clauses one function may need, each offered once the one before is there."""


@dataclass(frozen=True)
class Edit:
    """A piece of text that takes the place of another."""

    start: int
    end: int
    text: str

    def of(self, text: str) -> str:
        return text[: self.start] + self.text + text[self.end :]


def errors(path: Path) -> list[Diagnostic]:
    return [d for d in driver.check_file(path) if d.severity == "error"]


def place(found: Diagnostic) -> tuple[str, int]:
    """The code and the line, which no edit here moves."""
    assert found.span is not None
    return found.code, found.span.source.text.count("\n", 0, found.span.start)


def with_clause(text: str, clause: str, function: str | None, before: int) -> Edit:
    """The clause at a function's signature: that of the name, or the last one that begins before a place."""
    heads = list(re.finditer(rf"\bfn {function or '[^(]*'}\b", text))
    head = next(h for h in reversed(heads) if function is not None or h.start() <= before)
    brace = text.index("{", head.start())
    joined = " and" if " where " in text[head.start() : brace] else " where"
    return Edit(brace, brace, f"{joined.lstrip()} {clause} ")


def edits(found: Diagnostic, text: str) -> Iterator[Edit]:
    """Each thing that the helps of an error offer, as an edit."""
    assert found.span is not None
    spans = [label.span for label in found.labels]
    for told in found.helps:
        for clause, function in CLAUSE.findall(told):
            yield with_clause(text, clause, function or None, found.span.start)
        for name in NEAREST.findall(told):
            yield Edit(found.span.start, found.span.end, name)
        for conversion in CONVERSION.findall(told):
            yield from converted(conversion, found.labels)
        if written := EXPRESSION.search(told):
            yield Edit(min(s.start for s in spans), max(s.end for s in spans), written[1])


def converted(conversion: str, labels: tuple[Label, ...]) -> Iterator[Edit]:
    operand, _, _ = conversion.rpartition(".to(")
    for span in dict.fromkeys(label.span for label in labels):
        if as_operand(span) == operand:
            yield Edit(span.start, span.end, conversion)


def cases() -> list[tuple[Path, int, int]]:
    """A program, one of its errors, and one of the edits that it offers."""
    found: list[tuple[Path, int, int]] = []
    for path in sorted(REJECTED.glob("*.tl")):
        text = path.read_text(encoding="utf-8")
        for i, error in enumerate(errors(path)):
            if error.span is not None and error.span.source.name == str(path):
                found += [(path, i, j) for j, _ in enumerate(edits(error, text))]
    return found


CASES = cases()


@pytest.mark.parametrize(("path", "error", "edit"), CASES, ids=[f"{p.stem}-{i}-{j}" for p, i, j in CASES])
def test_what_is_offered_checks(path: Path, error: int, edit: int, tmp_path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = errors(path)[error]
    mended = tmp_path / path.name
    offered = [list(edits(found, text))[edit]]
    for _ in range(ROUNDS):
        assert offered, f"{found.message}\n{text}"
        text = offered[0].of(text)
        mended.write_text(text, encoding="utf-8")
        again = [e for e in errors(mended) if place(e) == place(found) and e.message == found.message]
        if not again:
            return
        # One error may need several clauses, but offers none that is there.
        offered = [e for e in edits(again[0], text) if e.text not in text]
    pytest.fail(f"{found.message}\n{text}")


def test_offers_of_each_kind_are_tried() -> None:
    helps = [h for path in REJECTED.glob("*.tl") for e in errors(path) for h in e.helps]
    for kind in (CLAUSE, NEAREST, CONVERSION, EXPRESSION):
        assert any(kind.search(told) for told in helps)
    assert len(CASES) > 80


def test_a_label_is_not_an_edit_of_another_file() -> None:
    wrong = errors(REJECTED / "import_error_inside.tl")[0]
    assert isinstance(wrong.span, Span)
    assert wrong.span.source.name.endswith("wrong.tl")
