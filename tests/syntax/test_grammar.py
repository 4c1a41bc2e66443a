"""The grammar itself: LALR(1) without conflicts, and nothing in it that is of no use."""

from __future__ import annotations

from ply import yacc

from tensorlogic.compiler.source import Source
from tensorlogic.compiler.syntax.grammar import Grammar
from tensorlogic.compiler.syntax.tables import build
from tensorlogic.compiler.syntax.tokens import CLOSER_OF, CONTEXTUAL, GRAMMAR_TOKENS, KEYWORDS, OPENER_OF, PUNCTUATION


class Log:
    """Collects what PLY says."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, message: str, *values: object) -> None:
        pass

    debug = info

    def warning(self, message: str, *values: object) -> None:
        self.lines.append(message % values)

    error = critical = warning


def test_ply_finds_no_conflict_no_unused_token_and_no_unused_rule() -> None:
    rules = Grammar(Source("", ""), {}, frozenset(), prelude=False)
    log = Log()
    yacc.yacc(module=rules, debug=True, debuglog=log, errorlog=log, write_tables=False)
    # Our own loop handles errors, so PLY needs no function for them.
    assert log.lines == ["no p_error() function is defined"]


def test_a_conflict_would_be_seen() -> None:
    class Ambiguous(Grammar):
        def p_ambiguous(self, p: list[object]) -> None:
            """expression : NAME"""

    log = Log()
    yacc.yacc(
        module=Ambiguous(Source("", ""), {}, frozenset(), prelude=False),
        debug=True,
        debuglog=log,
        errorlog=log,
        write_tables=False,
    )
    assert any("conflict" in line for line in log.lines)


def test_every_token_can_come_from_the_lexer_and_has_a_rule() -> None:
    literal = {"NAME", "INTEGER", "FLOAT", "STRING", "NOT_IN", "NEWLINE", "INVALID", "END"}
    formats = {"FORMAT_START", "FORMAT_TEXT", "FORMAT_OPEN", "FORMAT_CLOSE", "FORMAT_END"}
    words = {*KEYWORDS.values(), *CONTEXTUAL.values(), *PUNCTUATION.values()}
    assert set(GRAMMAR_TOKENS) == (literal | formats | words) - {"SEMICOLON"}
    assert {**OPENER_OF, **CLOSER_OF}.keys() <= set(GRAMMAR_TOKENS)


def test_rules_that_pass_their_symbol_on_have_one_symbol() -> None:
    tables = build()
    assert all(length == 1 for _, length, rule in tables.productions[1:] if not rule)
    assert sum(1 for _, _, rule in tables.productions[1:] if not rule) > 5


def test_the_tables_are_the_same_each_time() -> None:
    assert build() == build()
