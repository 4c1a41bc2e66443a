"""A diagnostic as data: code, message, labelled spans, notes, helps.

Text is made of it in one place only (`render.py`); the same object feeds `--json` and editors.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from tensorlogic.compiler.records import dataclass
from tensorlogic.compiler.source import Span

MAXIMUM_ERRORS = 20


@dataclass(frozen=True, slots=True)
class Label:
    """A span that takes part, with what it is (`float16[N, D_in]`). The primary label is where the error points."""

    span: Span
    text: str = ""
    primary: bool = False


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing to tell the user. `labels[0]` is the primary one; a diagnostic about no place has no labels."""

    code: str
    message: str
    labels: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    helps: tuple[str, ...] = ()
    severity: Literal["error", "note"] = "error"

    @property
    def span(self) -> Span | None:
        return self.labels[0].span if self.labels else None


def error(
    code: str,
    message: str,
    span: Span | None = None,
    label: str = "",
    *,
    others: Iterable[tuple[Span, str]] = (),
    notes: Iterable[str] = (),
    helps: Iterable[str] = (),
) -> Diagnostic:
    """An error whose primary label is `span`, with `others` as further labelled spans."""
    labels = [Label(span, label, primary=True)] if span is not None else []
    labels.extend(Label(place, text) for place, text in others)
    return Diagnostic(code, message, tuple(labels), tuple(notes), tuple(helps))


class CompileError(Exception):
    """Carries the diagnostics of a program that is wrong out of the compiler."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__(*self.diagnostics)

    def __str__(self) -> str:
        """What `tlc check` prints of them."""
        from tensorlogic.compiler.diagnostics.render import render_all

        return "\n" + render_all(self.diagnostics)
