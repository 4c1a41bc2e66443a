"""Refusing: the exception that carries a diagnostic, and what several rooms say in the same words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NoReturn

from tensorlogic.compiler.diagnostics.model import Diagnostic, error
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.types import OptionalType


class Failure(Exception):
    """Ends the checking of a statement. Without a diagnostic the cause was told before."""

    def __init__(self, diagnostic: Diagnostic | None = None) -> None:
        self.diagnostic = diagnostic
        super().__init__(diagnostic.message if diagnostic else "told before")


def fail(
    code: str,
    message: str,
    span: Span,
    label: str = "",
    *,
    others: Iterable[tuple[Span, str]] = (),
    notes: Iterable[str] = (),
    helps: Iterable[str] = (),
) -> NoReturn:
    """Refuse: the labelled spans are told as one error."""
    raise Failure(error(code, message, span, label, others=others, notes=notes, helps=helps))


def refuse_optional(
    message: str, optional: OptionalType, span: Span, *, others: Iterable[tuple[Span, str]] = ()
) -> NoReturn:
    """Refuse a value that may be none where one that is there is asked for."""
    fail("TL2009", message, span, str(optional), others=others, helps=[test_for_none(span)])


def test_for_none(span: Span) -> str:
    """The help for an optional that is used without a test."""
    text = span.text
    if not text.replace(".", "").isidentifier():
        return "it may be none: give it a name with `let`, and test that with `if name != none { ... }` first"
    return f"`{text}` may be none: test `if {text} != none {{ ... }}` first"


def as_operand(span: Span) -> str:
    """The text of an expression as what a method is called on: in parentheses where it needs them."""
    text = " ".join(span.text.split())
    return text if _is_primary(text) else f"({text})"


def _is_primary(text: str) -> bool:
    """Whether a text is a name or a literal, with calls, indices and attributes after it and nothing else."""
    begin = re.match(r"[\w.]*(<\w+>)?", text)
    depth = 0
    for character in text[begin.end() if begin is not None else 0 :]:
        if depth == 0 and not re.match(r"[\w.(\[]", character):
            return False
        depth += (character in "([") - (character in ")]")
    return depth == 0
