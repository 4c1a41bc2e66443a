"""What an unexpected token's error says, in human words.

Takes the place, and the kinds of token that could have stood there by the parser's tables. Promises one diagnostic:
what was expected after what, what was found, the bracket it stands in, and advice where the mistake is a known one.
"""

from __future__ import annotations

from typing import NamedTuple

from tensorlogic.compiler.diagnostics.model import Diagnostic, error
from tensorlogic.compiler.source import Source, Span
from tensorlogic.compiler.syntax.literals import shorten
from tensorlogic.compiler.syntax.tokens import (
    DECLARATION_STARTERS,
    INNER_TUPLE,
    KEYWORDS,
    LINE_CONTINUERS,
    NEWLINE_FREE,
    SPELLING,
    STATEMENT_STARTERS,
    Token,
    words,
)


class Situation(NamedTuple):
    """`tokens[position]` fits nowhere; one of the kinds `expected` would. `bracket` is the innermost open one."""

    source: Source
    tokens: list[Token]
    position: int
    expected: set[str]
    bracket: Token | None

    def token(self, distance: int = 0) -> Token:
        """The token some places after the unexpected one, or before it; an END where there is none."""
        index = self.position + distance
        return self.tokens[index] if 0 <= index < len(self.tokens) else Token("END", "", 0, 0)


_ARTICLES = {"NAME": "a name", "STRING": "a string", "INTEGER": "an integer", "NEWLINE": "end of line"}
_SUFFIXES = words("LESS LBRACKET QUESTION DOT")
"""How a type or a module's name may go on."""
_OPERATORS = _SUFFIXES | (LINE_CONTINUERS - {"ELSE", "WHERE", "ARROW", "LBRACE"}) | {"LPAREN", "AUGMENTED", "EQUALS"}
"""How an operation may go on, as an operand or a target."""
_EXPRESSIONS = words(
    "NAME INTEGER FLOAT STRING FORMAT_START TRUE FALSE NONE MINUS TILDE NOT LPAREN LBRACKET TENSOR BIND WHERE INVALID "
    "IF PIPE"
)
_STATEMENTS = frozenset(("IF", *STATEMENT_STARTERS))
_DECLARATIONS = frozenset(("FN", "MAIN", "BUILTIN", *DECLARATION_STARTERS))

_OTHER_LANGUAGES = {
    "def": "a function is declared with `fn`",
    "func": "a function is declared with `fn`",
    "function": "a function is declared with `fn`",
    "var": "a variable is declared with `let`",
    "val": "a variable is declared with `let`",
    "mut": "every variable can be assigned again; leave out `mut`",
    "class": "a type with fields is declared with `struct`",
    "type": "a type with fields is declared with `struct`",
    "elif": "write `else if`",
    "elsif": "write `else if`",
    "elseif": "write `else if`",
}


def unexpected(situation: Situation) -> Diagnostic:
    """The diagnostic for the unexpected token of a situation."""
    token, previous = situation.token(), situation.token(-1)
    source = situation.source
    wanted = _wanted(situation.expected)
    after = "" if _begins_statement(previous) or not situation.position else f" after {_shown(source, previous)}"
    message = f"expected {wanted}{after}, found {_found(situation)}"
    others: list[tuple[Span, str]] = []
    bracket = situation.bracket
    if bracket is not None and bracket.kind in NEWLINE_FREE and _line(source, bracket) != _line(source, token):
        others = [(Span(source, bracket.start, bracket.end), "inside this bracket")]
    advice = _advice(situation)
    return error(
        "TL0101",
        message,
        Span(source, token.start, token.end),
        others=others,
        helps=[advice] if advice else [],
    )


def _line(source: Source, token: Token) -> int:
    return source.line_of(token.start)


def _begins_statement(previous: Token) -> bool:
    return previous.kind == "NEWLINE" or previous.kind == "LBRACE"


def _wanted(expected: set[str]) -> str:
    """The expected kinds in words: groups by their names, operators left out where something else is expected."""
    kinds = set(expected)
    phrases: list[str] = []
    if "LET" in kinds:
        phrases.append("a declaration or a statement" if "STRUCT" in kinds else "a statement")
        kinds -= _EXPRESSIONS | _STATEMENTS | _DECLARATIONS
    if {"STRING", "INTEGER", "TENSOR"} <= kinds:
        phrases.append("an expression")
        kinds -= _EXPRESSIONS
    elif {"INTEGER", "QUESTION"} <= kinds:
        phrases.append("a dim")
        kinds -= {"INTEGER", "QUESTION", "NAME", "LPAREN", "ELLIPSIS", "INVALID"}
    elif {"INTEGER", "NAME"} <= kinds:
        phrases.append("a dim")
        kinds -= {"INTEGER", "NAME", "LPAREN", "INVALID"}
    elif {"FN", "NAME", "LPAREN"} <= kinds:
        phrases.append("a type")
        kinds -= {"FN", "NAME", "LPAREN", "LBRACKET"}
    kinds -= {"INVALID", "END", "WHERE", "LPAREN"} if "NAME" in kinds else {"INVALID", "END"}
    # What is complete can go on in many ways; what ends it says more.
    going_on = _OPERATORS if "PLUS" in kinds else _SUFFIXES
    if phrases or kinds - going_on:
        kinds -= going_on
    phrases += sorted(_ARTICLES.get(kind, f"`{SPELLING.get(kind, kind)}`") for kind in kinds)
    return phrases[0] if len(phrases) == 1 else ", ".join(phrases[:-1]) + " or " + phrases[-1]


def _found(situation: Situation) -> str:
    token = situation.token()
    if token.kind == "NEWLINE":
        if token.value == "\n":
            return "end of line"
        return "`;`" if token.value == ";" else _shown(situation.source, situation.token(1))
    if token.kind == "END":
        return "end of file"
    if token.kind in KEYWORDS.values():
        return f"the keyword `{token.value}`"
    return _shown(situation.source, token)


def _shown(source: Source, token: Token) -> str:
    """A token as the message shows it: as it is written, long ones cut."""
    if token.kind == "NEWLINE":
        return "end of line"
    if token.kind == "END":
        return "end of file"
    if token.kind in ("FORMAT_START", "FORMAT_END", "FORMAT_TEXT"):
        return "the format string"
    return f"`{shorten(source.text[token.start : token.end])}`"


def _advice(situation: Situation) -> str:
    """What to write instead, for mistakes that other languages teach; empty for all others."""
    token, previous = situation.token(), situation.token(-1)
    kind, pair = token.kind, (previous.kind, token.kind)
    wants_expression = {"STRING", "INTEGER", "TENSOR"} <= situation.expected
    before = situation.token(-2)
    begins = _begins_statement(before) or situation.position == 1 or before.kind == "LET"
    for word in (token, previous) if begins else (token,):
        if word.kind == "NAME" and word.value in _OTHER_LANGUAGES and previous.kind != "DOT":
            return _OTHER_LANGUAGES[str(word.value)]
    if pair == ("AMPERSAND", "AMPERSAND"):
        return "both conditions: `and`"
    if pair == ("PIPE", "PIPE"):
        return "either condition: `or`"
    if pair == ("SLASH", "SLASH"):
        return "`//` begins a comment; `floor_div(a, b)` divides and rounds down"
    if kind == "PLUS" and wants_expression:
        return "`x += 1` adds to a variable" if previous.kind == "PLUS" else "there is no unary `+`"
    if (kind == "DOT" and wants_expression and situation.token(1).kind == "INTEGER") or (
        previous.kind == "DOT" and before.kind == "INTEGER"
    ):
        return "a number has digits on both sides of the point: `0.5`"
    if pair == ("DOT", "INTEGER"):
        return f"an item is taken with `[{token.value}]`"
    if pair == ("NAME", "DOT") and situation.token(1).kind == "NAME" and situation.expected & words("QUESTION STAR"):
        return _taken_by_name(situation)
    if kind == "LPAREN" and "NAME" in situation.expected and _before_bracket(situation) in ("LET", "FOR"):
        return INNER_TUPLE
    if kind == "QUESTION" and "PLUS" in situation.expected:
        return "a choice is written `if c { a } else { b }`"
    if pair == ("NAME", "EQUALS") and before.kind in ("LPAREN", "COMMA") and "COLON" in situation.expected:
        return f"an argument is named with a colon: `{previous.value}: ...`"
    if kind == "EQUALS" and "COMPARISON" in situation.expected:
        return "`==` compares"
    if kind == "COLON" and "ARROW" in situation.expected:
        return "a result's type stands after `->`"
    if kind == "COLON" and {"EQUALS", "PLUS"} <= situation.expected and previous.kind == "NAME":
        return "a variable with a type is declared with `let`"
    if kind in ("IF", "PIPE") and wants_expression and "LET" not in situation.expected:
        return f"as an operand, `{token.value}` and what belongs to it stand in parentheses"
    if kind == "LBRACE" and wants_expression and previous.kind not in ("IF", "WHILE", "IN"):
        return "a struct is made with a call: `Linear(weight: w, bias: none)`"
    if kind in _DECLARATIONS and "LET" in situation.expected:
        return "declarations stand at the top level of a file"
    if situation.expected == {"COLON"} and previous.kind == "NAME" and kind in ("COMMA", "GREATER", "RPAREN"):
        return "a type parameter has a bound: `T: float`" if kind == "GREATER" else "a parameter has a type: `x: int`"
    if previous.kind == "STRING" and situation.expected == {"AS"}:
        return 'an imported file is given a name: `import "layers.tl" as layers`'
    return ""


def _taken_by_name(situation: Situation) -> str:
    """`layers.Block` as a type or a dim, where names stand alone: the import that gives the name."""
    module, name = situation.token(-1), situation.token(1).value
    imported = f"from ... import {name}"
    tokens = situation.tokens
    for i, token in enumerate(tokens):
        if token.kind != "IMPORT":
            continue
        what, *rest = tokens[i + 1 : i + 4]
        if what.value == module.value:
            imported = f"from {what.value} import {name}"
        elif what.kind == "STRING" and [t.value for t in rest] == ["as", module.value]:
            imported = f'from "{what.value}" import {name}'
    return f"a type names what is imported by name: `{imported}`"


def _before_bracket(situation: Situation) -> str:
    """The kind of the token before the innermost open bracket."""
    if situation.bracket is None:
        return ""
    place = situation.tokens.index(situation.bracket)
    return situation.tokens[place - 1].kind if place else ""
