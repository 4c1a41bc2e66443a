"""The grammar, as PLY reads it: LALR(1) without a conflict (a test holds that).

The rules stand by topic in the modules of this package. Operators are disambiguated by the precedence here, loosest
first. `error` stands where recovery may go on: in place of an expression, a type, a dim, a condition, a statement, a
field, and what is wrong after a parameter's name or a function's parameters (see `engine.py`).
"""

from __future__ import annotations

from tensorlogic.compiler.syntax.grammar.declarations import DeclarationRules
from tensorlogic.compiler.syntax.grammar.expressions import ExpressionRules
from tensorlogic.compiler.syntax.grammar.statements import StatementRules
from tensorlogic.compiler.syntax.grammar.types import TypeRules
from tensorlogic.compiler.syntax.tokens import GRAMMAR_TOKENS


class Grammar(DeclarationRules, StatementRules, ExpressionRules, TypeRules):
    """All rules, with what PLY needs beside them. One object is the state of one parse."""

    start = "module"
    tokens = GRAMMAR_TOKENS
    precedence = (
        ("left", "OR"),
        ("left", "AND"),
        ("right", "NOT"),
        ("left", "COMPARISON", "LESS", "GREATER", "IN", "NOT_IN"),
        ("left", "RANGE"),
        ("left", "PIPE"),
        ("left", "AMPERSAND"),
        ("left", "PLUS", "MINUS"),
        ("left", "STAR", "SLASH", "PERCENT", "AT"),
        ("right", "UNARY"),
        ("right", "POWER"),
        ("left", "DOT", "LPAREN", "LBRACKET"),
    )
