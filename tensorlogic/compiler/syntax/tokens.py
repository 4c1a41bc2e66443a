"""The tokens of the language: their kinds, and what each kind is called in an error.

A kind is the name by which the grammar knows a token. A keyword's kind is the keyword in capital letters.
"""

from __future__ import annotations

from typing import NamedTuple

MAXIMUM_NESTING = 200
"""How deep brackets and trees may nest."""

MAXIMUM_BLOCKS = 90
"""How deep branches, loops and functions without a name may nest: Python takes 100 levels of indentation."""

MAXIMUM_LOOPS = 16
"""How deep loops may nest: Python takes 20."""

TokenValue = str | int | float | None


class Token(NamedTuple):
    """One token: the characters `start` to `end` (exclusive) of the source.

    `value` is the text as written for names, keywords and punctuation; the decoded value for literals; `"\\n"`, `";"`
    or `""` (before `}`) for NEWLINE. It is None where the error has been told before the parser sees the token: in
    literals and characters that cannot be read, and in closing brackets put in for ones that are missing.
    """

    kind: str
    value: TokenValue
    start: int
    end: int


INNER_TUPLE = "the items of an inner tuple are given names in a statement of their own"
"""The advice for `(a, (b, c)) = ...`."""


def words(text: str) -> frozenset[str]:
    """The words of a text, for tables of names that read better without quotes."""
    return frozenset(text.split())


KEYWORDS = {
    word: word.upper()
    for word in words(
        "fn let const struct import from as return if else for in while break continue and or not tensor bind extern "
        "assert true false none where"
    )
}
CONTEXTUAL = {"main": "MAIN", "builtin": "BUILTIN"}
"""Names that are keywords in one place only."""

PUNCTUATION = {
    "(": "LPAREN",
    ")": "RPAREN",
    "[": "LBRACKET",
    "]": "RBRACKET",
    "{": "LBRACE",
    "}": "RBRACE",
    ",": "COMMA",
    ":": "COLON",
    ";": "SEMICOLON",
    ".": "DOT",
    "..": "RANGE",
    "...": "ELLIPSIS",
    "->": "ARROW",
    "?": "QUESTION",
    "=": "EQUALS",
    "**": "POWER",
    "@": "AT",
    "*": "STAR",
    "/": "SLASH",
    "%": "PERCENT",
    "+": "PLUS",
    "-": "MINUS",
    "&": "AMPERSAND",
    "|": "PIPE",
    "~": "TILDE",
    "<": "LESS",
    ">": "GREATER",
    "==": "COMPARISON",
    "!=": "COMPARISON",
    "<=": "COMPARISON",
    ">=": "COMPARISON",
    **{operator + "=": "AUGMENTED" for operator in ("**", "@", "*", "/", "%", "+", "-", "&", "|")},
}

OTHER_KINDS = (
    "NAME",
    "INTEGER",
    "FLOAT",
    "STRING",
    "FORMAT_START",
    "FORMAT_TEXT",
    "FORMAT_OPEN",
    "FORMAT_CLOSE",
    "FORMAT_END",
    "NOT_IN",
    "NEWLINE",
    "INVALID",
    "END",
)

GRAMMAR_TOKENS = tuple(
    sorted({*OTHER_KINDS, *KEYWORDS.values(), *CONTEXTUAL.values(), *PUNCTUATION.values()} - {"SEMICOLON"})
)
"""Every kind that the grammar uses. A semicolon becomes a NEWLINE, or an error inside `(...)` and `[...]`."""

CLOSER_OF = {"LPAREN": "RPAREN", "LBRACKET": "RBRACKET", "LBRACE": "RBRACE", "FORMAT_OPEN": "FORMAT_CLOSE"}
OPENER_OF = {closer: opener for opener, closer in CLOSER_OF.items()}
NEWLINE_FREE = frozenset({"LPAREN", "LBRACKET", "FORMAT_OPEN"})
"""The brackets inside which a newline means nothing."""

STATEMENT_ENDERS = words(
    "NAME INTEGER FLOAT STRING FORMAT_END TRUE FALSE NONE RPAREN RBRACKET RBRACE QUESTION RETURN BREAK CONTINUE INVALID"
)
"""The tokens after which a newline ends the statement."""

LINE_CONTINUERS = words(
    "POWER AT STAR SLASH PERCENT PLUS MINUS AMPERSAND PIPE RANGE COMPARISON LESS GREATER IN NOT_IN AND OR DOT ELSE "
    "WHERE ARROW LBRACE"
)
"""The tokens that, first on a line, continue the statement of the line before."""

DECLARATION_STARTERS = words("STRUCT CONST IMPORT FROM EXTERN")
"""Keywords that begin a declaration wherever they stand first on a line; so does `fn` before a name."""

STATEMENT_STARTERS = words("LET RETURN FOR WHILE BREAK CONTINUE ASSERT")
"""Keywords that begin a statement wherever they stand first on a line."""

SPELLING = {
    **{kind: text for text, kind in PUNCTUATION.items() if kind not in ("COMPARISON", "AUGMENTED")},
    **{kind: text for text, kind in KEYWORDS.items()},
    "MAIN": "main",
    "BUILTIN": "builtin",
    "NOT_IN": "not in",
    "FORMAT_OPEN": "{",
    "FORMAT_CLOSE": "}",
}
"""How a kind that is always written in one way is written."""
