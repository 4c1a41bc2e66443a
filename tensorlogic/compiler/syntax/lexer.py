"""From text to tokens, one regular expression for all of them.

Takes a source. Promises tokens in the order of the text, with literals decoded, comments left out, and doc comments
filed under the token that they stand before. Refuses nothing: what cannot be read becomes a diagnostic and an INVALID
token, so that the parser goes on. Newlines and brackets are the next stage's (`layout.py`).
"""

from __future__ import annotations

import re
from dataclasses import field

from tensorlogic.compiler.diagnostics.model import Diagnostic, error
from tensorlogic.compiler.records import dataclass
from tensorlogic.compiler.source import Source, Span
from tensorlogic.compiler.syntax import literals
from tensorlogic.compiler.syntax.tokens import KEYWORDS, PUNCTUATION, Token, TokenValue

# Word characters are given by the ASCII characters that they are not: `re` compiles such sets fast, and any other
# character may be one. What Python takes for an identifier is one here, so that emitted names can stay as they are.
_FIRST = r"[^\x00-@\[-^`{-\x7f]"
_WORD = r"[^\x00-/:-@\[-^`{-\x7f]"
_DIGITS = "[0-9]+(?:_[0-9]+)*"
_LAST_POINT = r"\.(?=[ \t\r]*(?:\n|//|\Z))"

_PATTERN = re.compile(
    rf"""[ \t\r\n\f]*(?:
      (?P<FORMAT>f"[^"\\\n]*(?:\\.[^"\\\n]*)*")
    | (?P<NAME>{_FIRST}{_WORD}*)
    | (?P<OPERATOR>[(),:\[\]{{}}?;~]|\*\*=?|\.\.\.?|\.|->|[=!<>+\-*@%&|]=|/(?![/*])=?|[=+\-*@%&|<>])
    | (?P<FLOAT>{_DIGITS}(?:\.{_DIGITS}(?:[eE][+-]?[0-9]+)?|[eE][+-]?[0-9]+)(?!{_WORD}))
    | (?P<INTEGER>{_DIGITS}(?!{_WORD}|\.[0-9]|{_LAST_POINT}))
    | (?P<STRING>"[^"\\\n]*(?:\\.[^"\\\n]*)*")
    | (?P<DOC>///(?!/)[^\n]*)
    | (?P<LINE_COMMENT>//[^\n]*)
    | (?P<BLOCK_COMMENT>/\*)
    | (?P<BAD_NUMBER>[0-9]{_WORD}*(?:\.[0-9]{_WORD}*|{_LAST_POINT})?)
    | (?P<BAD_STRING>"[^\n]*)
    | (?P<NOTHING>\Z)
    | (?P<OTHER>.)
    )""",
    re.VERBOSE,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_BYTE_ORDER_MARK = "\ufeff"

_ADVICE = {
    "!": "`not` negates a condition, `!=` compares",
    "#": "a comment begins with `//`",
    "'": 'a string is written with `"`',
    "^": "a power is written `**`",
    "`": 'a string is written with `"`',
}


@dataclass(slots=True)
class Scan:
    """What the lexer found. `documentation` gives the text of the doc comment before the token at an offset."""

    source: Source
    tokens: list[Token] = field(default_factory=list)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    documentation: dict[int, str] = field(default_factory=dict)
    module_documentation: str | None = None

    def tell(self, code: str, message: str, start: int, end: int, advice: str = "") -> None:
        helps = [advice] if advice else []
        self.diagnostics.append(error(code, message, Span(self.source, start, end), helps=helps))


def scan(source: Source, part: tuple[int, int] | None = None) -> Scan:
    """All tokens of a source, or of a part of it, with an END token last."""
    result = Scan(source)
    start = len(_BYTE_ORDER_MARK) if source.text.startswith(_BYTE_ORDER_MARK) else 0
    start, end = part or (start, len(source.text))
    comments = _scan_range(result, start, end)
    result.tokens.append(Token("END", "", end, end))
    _attach_documentation(result, comments)
    return result


def _scan_range(result: Scan, position: int, end: int) -> list[Token]:
    """Appends the tokens of a range of the text to `result`; the doc comments among them are returned."""
    text = result.source.text
    match_at = _PATTERN.match
    tokens = result.tokens
    append = tokens.append
    comments: list[Token] = []
    while True:
        match = match_at(text, position, end)
        assert match is not None
        assert match.lastgroup is not None
        assert match.lastindex is not None
        group = match.lastgroup
        start, position = match.span(match.lastindex)
        value: TokenValue = match[match.lastindex]
        assert isinstance(value, str)
        if group == "NAME":
            if not value.isascii() and not value.isidentifier():
                _scan_broken_name(result, start, value)
                continue
            value = _one_name(value)
            if value in KEYWORDS:
                if value == "in" and tokens and tokens[-1].kind == "NOT":
                    append(Token("NOT_IN", "not in", tokens.pop().start, position))
                else:
                    append(Token(KEYWORDS[value], value, start, position))
            elif value == "inf":
                append(Token("FLOAT", float("inf"), start, position))
            else:
                append(Token("NAME", value, start, position))
        elif group == "OPERATOR":
            append(Token(PUNCTUATION[value], value, start, position))
        elif group in ("INTEGER", "FLOAT"):
            append(literals.number(result.tell, group, value, start))
        elif group == "STRING":
            decoded = literals.unescape(result.tell, value[1:-1], start + 1)
            append(Token("STRING" if decoded is not None else "INVALID", decoded, start, position))
        elif group == "DOC":
            comments.append(Token("DOC", value, start, position))
        elif group == "NOTHING":
            return comments
        elif group == "FORMAT":
            _scan_format_string(result, start, position)
        elif group == "BLOCK_COMMENT":
            position = _skip_block_comment(result, start, end)
        elif group != "LINE_COMMENT":
            position = _scan_unreadable(result, group, start, position, end)


def _one_name(text: str) -> str:
    """A name in the one way that stands for all ways of writing it, NFKC, as in Python (its reference, section 2.3)."""
    if text.isascii():
        return text
    import unicodedata

    return unicodedata.normalize("NFKC", text)


def _scan_broken_name(result: Scan, start: int, text: str) -> None:
    """A run of characters that may be word characters but make no identifier: names, and errors between them."""
    position = 0
    while position < len(text):
        end = position + 1
        if text[position].isidentifier():
            while end < len(text) and f"_{text[end]}".isidentifier():
                end += 1
            result.tokens.append(Token("NAME", _one_name(text[position:end]), start + position, start + end))
        else:
            while end < len(text) and not text[end].isidentifier():
                end += 1
            _tell_character(result, start + position, start + end)
        position = end


def _scan_unreadable(result: Scan, group: str, start: int, end: int, limit: int) -> int:
    """Tells of something that is no token, and puts an INVALID token in its place. Returns where to go on."""
    text = result.source.text
    if group == "BAD_NUMBER":
        advice = literals.number_advice(text[start:end])
        result.tell("TL0004", f"`{literals.shorten(text[start:end])}` is not a number", start, end, advice)
    elif group == "BAD_STRING":
        previous = result.tokens[-1] if result.tokens else None
        if previous is not None and previous.value == "f" and previous.end == start:
            start = result.tokens.pop().start
        result.tell("TL0002", "this string is not closed on its line", start, end, 'close it with `"`')
    else:
        end = _unreadable_end(text, start, limit)
        _tell_character(result, start, end)
        return end
    result.tokens.append(Token("INVALID", None, start, end))
    return end


def _unreadable_end(text: str, start: int, limit: int) -> int:
    """Where to go on after a character that begins no token: after all of its kind, or what looks like a string."""
    end = start + 1
    if text[start] == "'":
        line_end = text.find("\n", end, limit)
        closing = text.find("'", end, line_end if line_end >= 0 else limit)
        return closing + 1 if closing >= 0 else end
    while end < limit and text[end] == text[start]:
        end += 1
    return end


def _tell_character(result: Scan, start: int, end: int) -> None:
    character = result.source.text[start]
    advice = _ADVICE.get(character, "")
    result.tell("TL0001", f"{_character_name(character)} is not part of the language", start, end, advice)
    result.tokens.append(Token("INVALID", None, start, end))


def _character_name(character: str) -> str:
    if " " < character <= "~":
        return f"the character `{character}`"
    import unicodedata  # here, since only this error needs it

    name = unicodedata.name(character, "")
    shown = f"`{character}` " if character.isprintable() and not character.isspace() else ""
    return f"the character {shown}U+{ord(character):04X}" + (f" ({name})" if name else "")


def _skip_block_comment(result: Scan, start: int, end: int) -> int:
    """The offset after the comment that begins at `start`; comments nest."""
    depth = 0
    for edge in _COMMENT_EDGE.finditer(result.source.text, start, end):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    result.tell("TL0002", "this comment is never closed", start, start + 2, "close it with `*/`; comments nest")
    return end


def _scan_format_string(result: Scan, start: int, end: int) -> None:
    """The tokens of `f"..."`: the text between braces decoded, the expressions in braces scanned where they stand."""
    text = result.source.text
    tokens = result.tokens
    tokens.append(Token("FORMAT_START", 'f"', start, start + 2))
    position = start + 2
    while position < end - 1:
        piece_end = literals.format_text_end(text, position, end - 1)
        if piece_end > position:
            decoded = literals.format_text(result.tell, text[position:piece_end], position)
            if decoded is None:
                tokens.append(Token("INVALID", None, position, piece_end))
            else:
                tokens.append(Token("FORMAT_TEXT", decoded, position, piece_end))
            position = piece_end
            continue
        closing = text.find("}", position, end - 1)
        if closing < 0:
            result.tell(
                "TL0005", "this `{` of a format string is never closed", position, position + 1, "`{{` is a brace"
            )
            tokens.append(Token("INVALID", None, position, end - 1))
            break
        inner = text.find("{", position + 1, closing)
        if inner >= 0:
            advice = "name the value with `let`, and write the name here"
            result.tell("TL0005", "an expression in a format string has no braces", inner, inner + 1, advice)
            closed = _matching_brace(text, position, end - 1)
            tokens.append(Token("INVALID", None, position, closed))
            position = closed
            continue
        tokens.append(Token("FORMAT_OPEN", "{", position, position + 1))
        _scan_range(result, position + 1, closing)
        tokens.append(Token("FORMAT_CLOSE", "}", closing, closing + 1))
        position = closing + 1
    tokens.append(Token("FORMAT_END", '"', end - 1, end))


def _matching_brace(text: str, start: int, end: int) -> int:
    """The offset after the `}` that closes the `{` at `start`; the end where none does."""
    depth = 0
    for i in range(start, end):
        depth += (text[i] == "{") - (text[i] == "}")
        if depth == 0:
            return i + 1
    return end


def _attach_documentation(result: Scan, comments: list[Token]) -> None:
    """Files each run of `///` lines under the token after it.

    A run is broken by a blank line, a comment or a token; of several runs before a token the last counts. A run before
    the first token documents the module when a blank line or something that takes no documentation follows.
    """
    text = result.source.text
    tokens = result.tokens
    index = 0
    position = 0
    while position < len(comments):
        run = [comments[position]]
        while position + len(run) < len(comments):
            following = comments[position + len(run)]
            between = text[run[-1].end : following.start]
            if between.strip() or between.count("\n") != 1:
                break
            run.append(following)
        position += len(run)
        while tokens[index].start < run[0].start:
            index += 1
        lines = [str(line.value)[3:].removeprefix(" ").rstrip() for line in run]
        documentation = "\n".join(lines).strip("\n")
        if not documentation:
            continue
        follower = tokens[index]
        detached = text[run[-1].end : follower.start].count("\n") > 1
        takes_documentation = follower.kind in ("FN", "STRUCT", "CONST", "EXTERN") or follower.value == "builtin"
        first = index == 0 and result.module_documentation is None and not result.documentation
        if first and (detached or not takes_documentation):
            result.module_documentation = documentation
        else:
            result.documentation[follower.start] = documentation
