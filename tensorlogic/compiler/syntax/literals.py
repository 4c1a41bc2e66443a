"""The values of literals: numbers, and the escapes of strings.

Takes the characters of a literal and where they stand. Promises the value, or None after telling what is wrong with it;
`tell` receives the code, the message, the place and the advice. No number becomes another one silently: an integer that
does not fit 64 bits, and a float that would become infinite or 0, are errors.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from tensorlogic.compiler.syntax.tokens import Token

Tell = Callable[[str, str, int, int, str], None]

LARGEST_INTEGER = 2**63 - 1
LONGEST_QUOTE = 24

_ESCAPE = re.compile(r"\\(?:u\{([^}\"]*)\}|(.))")
_SIMPLE_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}
_FORMAT_TEXT = re.compile(r"(?:[^{}\\]+|\{\{|\}|\\u\{[^}\"]*\}|\\.)*")
_FORMAT_BRACE = re.compile(r"\\u\{[^}\"]*\}|\\.|\{\{|\}\}|\}")


def number(tell: Tell, kind: str, text: str, start: int) -> Token:
    """The token of an integer or float literal whose form is right; INVALID where its value does not fit."""
    end = start + len(text)
    digits = text.replace("_", "")
    if kind == "FLOAT":
        value = float(digits)
        if math.isinf(value):
            tell("TL0004", f"`{shorten(text)}` is too large for a float", start, end, "infinity is written `inf`")
            return Token("INVALID", None, start, end)
        if value == 0.0 and re.search("[1-9]", re.split("[eE]", digits)[0]):
            tell("TL0004", f"`{shorten(text)}` is too small for a float: it would become 0", start, end, "")
            return Token("INVALID", None, start, end)
        return Token("FLOAT", value, start, end)
    significant = digits.lstrip("0")
    if len(significant) > 19 or int(significant or "0") > LARGEST_INTEGER:
        advice = f"the largest integer is {LARGEST_INTEGER}; a float is written with a point or an exponent"
        tell("TL0004", f"`{shorten(text)}` is too large for an integer", start, end, advice)
        return Token("INVALID", None, start, end)
    return Token("INTEGER", int(significant or "0"), start, end)


def number_advice(text: str) -> str:
    """What to write instead of something that begins like a number and is none."""
    if re.fullmatch("0[xXbBoO].*", text):
        return "numbers are written in decimal digits"
    if text.endswith("."):
        return "a number has digits on both sides of the point: `0.5`"
    if text.endswith("_") or "__" in text:
        return "`_` stands between two digits"
    if re.fullmatch("[0-9.]+[eE]", text):
        return "an exponent has digits: `1e-5`"
    return "a name begins with a letter or `_`; `*` multiplies"


def unescape(tell: Tell, text: str, start: int) -> str | None:
    """The characters that a string's text stands for; None where an escape is wrong."""
    if "\\" not in text:
        return text
    wrong = False

    def replace(match: re.Match[str]) -> str:
        nonlocal wrong
        character = _escaped(tell, match, start)
        wrong = wrong or character is None
        return character or ""

    decoded = _ESCAPE.sub(replace, text)
    return None if wrong else decoded


def _escaped(tell: Tell, match: re.Match[str], offset: int) -> str | None:
    start, end = match.start() + offset, match.end() + offset
    digits = match[1]
    if digits is None:
        if match[2] in _SIMPLE_ESCAPES:
            return _SIMPLE_ESCAPES[match[2]]
        known = r"the escapes are \n, \t, \", \\ and \u{1F600}"
        tell("TL0003", f"`{match[0]}` is not an escape", start, end, known)
        return None
    if not re.fullmatch("[0-9A-Fa-f]{1,6}", digits):
        tell("TL0003", f"`{shorten(match[0])}` needs one to six hexadecimal digits", start, end, r"as in \u{1F600}")
        return None
    code = int(digits, 16)
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        tell("TL0003", f"`{match[0]}` is no Unicode character", start, end, "")
        return None
    return chr(code)


def format_text_end(text: str, start: int, end: int) -> int:
    """Where the text of a format string that begins at `start` ends: at a single `{`, or at `end`."""
    match = _FORMAT_TEXT.match(text, start, end)
    assert match is not None
    return match.end()


def format_text(tell: Tell, text: str, start: int) -> str | None:
    """The characters that a piece of a format string's text stands for: escapes and doubled braces replaced."""
    pieces: list[str] = []
    position = 0
    right = True
    for match in _FORMAT_BRACE.finditer(text):
        token = match[0]
        if token.startswith("\\"):
            continue
        piece = unescape(tell, text[position : match.start()], start + position)
        if token == "}":
            tell(
                "TL0005",
                "a single `}` in a format string",
                start + match.start(),
                start + match.end(),
                "`}}` is a brace",
            )
        right = right and piece is not None and token != "}"
        pieces.append((piece or "") + token[0])
        position = match.end()
    last = unescape(tell, text[position:], start + position)
    return "".join(pieces) + last if right and last is not None else None


def shorten(text: str) -> str:
    """A text fit for a message."""
    return text if len(text) <= LONGEST_QUOTE else text[: LONGEST_QUOTE - 4] + "..."
