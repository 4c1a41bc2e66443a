"""Text as a terminal shows it: what is invisible or dangerous is escaped, and every glyph has its width in columns.

Control characters, invisible format characters (which can reorder a line on the screen) and lone surrogates are shown
as `\\u{1B}`, the escape that the language's own strings use. What comes out can be written to any terminal.
"""

from __future__ import annotations

import unicodedata

from tensorlogic.compiler.records import dataclass

TAB_STOP = 4
_ESCAPED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_ATTACHED_CATEGORIES = frozenset({"Mn", "Me"})
_SHORT_ESCAPES = {"\n": "\\n", "\t": "\\t", "\r": "\\r"}


def visible(text: str) -> str:
    """`text` on one line, with everything that a terminal would obey or hide written as an escape."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_SHORT_ESCAPES.get(character) or _escaped(character) for character in text)


def display_width(text: str) -> int:
    """How many columns `text`, which must be visible, takes: 2 for a wide character, 0 for a combining one."""
    if text.isascii():
        return len(text)
    return sum(_width(character) for character in text)


@dataclass(frozen=True, slots=True)
class Cell:
    """One character of a source line with the combining characters that follow it, as shown, and its width."""

    glyph: str
    width: int


def cells_of(line: str) -> tuple[list[Cell], list[int]]:
    """The cells of a source line, and for each character the index of its cell. Tabs reach the next tab stop."""
    cells: list[Cell] = []
    cell_of_character: list[int] = []
    column = 0
    for character in line:
        if character == "\t":
            width = TAB_STOP - column % TAB_STOP
            cells.append(Cell(" " * width, width))
        elif cells and _is_attached(character):
            cells[-1] = Cell(cells[-1].glyph + character, cells[-1].width)
            width = 0
        else:
            glyph = _escaped(character)
            width = display_width(glyph)
            cells.append(Cell(glyph, width))
        column += width
        cell_of_character.append(len(cells) - 1)
    return cells, cell_of_character


def _escaped(character: str) -> str:
    if unicodedata.category(character) in _ESCAPED_CATEGORIES:
        return f"\\u{{{ord(character):X}}}"
    return character


def _is_attached(character: str) -> bool:
    """Whether the character is drawn into the one before it: combining marks, medial and final Hangul letters."""
    return unicodedata.category(character) in _ATTACHED_CATEGORIES or "\u1160" <= character <= "\u11ff"


def _width(character: str) -> int:
    if _is_attached(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1
