"""From a source to its tree: the one door to the lexer, the layout, the grammar and PLY."""

from __future__ import annotations

from dataclasses import replace

from tensorlogic.compiler.diagnostics.model import MAXIMUM_ERRORS, Diagnostic
from tensorlogic.compiler.source import Source
from tensorlogic.compiler.syntax import nodes
from tensorlogic.compiler.syntax.engine import Engine
from tensorlogic.compiler.syntax.grammar import Grammar
from tensorlogic.compiler.syntax.layout import lay_out
from tensorlogic.compiler.syntax.lexer import scan
from tensorlogic.compiler.syntax.tables import tables
from tensorlogic.compiler.syntax.tokens import Token


def parse(
    source: Source, *, prelude: bool = False, part: tuple[int, int] | None = None
) -> tuple[nodes.Module, list[Diagnostic]]:
    """The tree of a source, and what is wrong with its text, in order of place, at most `MAXIMUM_ERRORS`.

    There is always a tree; error nodes stand in it where the text could not be read. In the prelude a function may lack
    a body, and `builtin` marks one. `part` is the range of the text that is read, where it is not the whole.
    """
    scanned = scan(source, part)
    layout = lay_out(source, scanned.tokens, prelude=prelude)
    grammar = Grammar(source, scanned.documentation, layout.told, prelude=prelude)
    engine = Engine(tables(), grammar, layout)
    module = engine.run()
    module = replace(module, documentation=scanned.module_documentation)
    unread = [told for told in scanned.diagnostics if not _lies_inside(told, engine.skipped)]
    return module, _in_order(unread + layout.diagnostics + grammar.diagnostics)


def tokenize(source: Source, *, prelude: bool = False) -> tuple[list[Token], list[Diagnostic]]:
    """The tokens that the parser takes, NEWLINE and END included, and what is wrong with them."""
    scanned = scan(source)
    layout = lay_out(source, scanned.tokens, prelude=prelude)
    return layout.tokens, _in_order(scanned.diagnostics + layout.diagnostics)


def _lies_inside(told: Diagnostic, skipped: list[tuple[int, int]]) -> bool:
    """Whether something unreadable stands in text that was skipped after another error: it may well be its echo."""
    start = told.labels[0].span.start
    return any(first < start < end for first, end in skipped)


def _in_order(diagnostics: list[Diagnostic]) -> list[Diagnostic]:
    """By place; each has one."""
    return sorted(diagnostics, key=lambda told: told.labels[0].span.start)[:MAXIMUM_ERRORS]
