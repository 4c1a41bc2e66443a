"""Tables as text: cells below each other where they fit the width, and stacked below the first cell where they do not.

Takes columns, rows of text that is visible already, and a width in columns or None for no limit. Gives lines, one after
the other, so that the first of a hundred thousand are there at once. No cell is ever cut: a first cell (a name) that is
too long goes on in the next line. Widths are those of a terminal's glyphs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import click

from tensorlogic.compiler.diagnostics.glyphs import display_width

Row = tuple[str, ...]
Paint = Callable[[str, str], str]
"""Colours a text by the name of a style."""

_GAP = "  "
_NARROWEST_NAME = 24
"""Columns below which names are rather set on lines of their own."""
_WIDEST_PADDING = 100
"""Columns that the longest name may push the others to the right where there is no limit."""

_STYLES: dict[str, Callable[[str], str]] = {
    "title": partial(click.style, bold=True),
    "kind": partial(click.style, fg="cyan"),
    "faint": partial(click.style, dim=True),
    "bad": partial(click.style, fg="red"),
    "good": partial(click.style, fg="green"),
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its title, how its cells are set and coloured, and whether its title stands by a stacked cell."""

    title: str
    right: bool = False
    style: str = ""
    labelled: bool = False


def painter(color: bool) -> Paint:
    """What colours text, or leaves it as it is."""
    if not color:
        return lambda text, style: text
    return lambda text, style: _STYLES[style](text) if style and text else text


def table(columns: Sequence[Column], rows: Sequence[Row], width: int | None, paint: Paint) -> Iterator[str]:
    """The lines of a table, its titles first where it is not stacked."""
    widths = [
        max([display_width(column.title), *(display_width(row[i]) for row in rows)]) for i, column in enumerate(columns)
    ]
    others = sum(widths[1:]) + len(_GAP) * (len(columns) - 1)
    room = _WIDEST_PADDING if width is None else width - others
    if width is not None and (room < min(widths[0], _NARROWEST_NAME) or _many_are_longer(rows, room)):
        for row in rows:
            yield from _stacked(columns, row, width, paint)
        return
    widths[0] = min(widths[0], room)
    yield _line(columns, [column.title for column in columns], widths, lambda text, style: paint(text, "title"))
    for row in rows:
        *above, last = [row[0]] if width is None else fold(row[0], room)
        yield from (paint(part, columns[0].style) for part in above)
        yield _line(columns, [last, *row[1:]], widths, paint)


def _many_are_longer(rows: Sequence[Row], room: int) -> bool:
    """Whether more than one name in ten would go on in the next line."""
    return sum(display_width(row[0]) > room for row in rows) * 10 > len(rows)


def pairs(rows: Sequence[tuple[str, str]], width: int | None, paint: Paint) -> Iterator[str]:
    """Names and values side by side; a long value goes on below itself, and all below the names in a narrow space."""
    names = max((display_width(name) for name, _ in rows), default=0)
    is_stacked = width is not None and names > width // 2
    for name, value in rows:
        indent = len(_GAP) if is_stacked else names + len(_GAP)
        first, *below = [value] if width is None else fold(value, max(width - indent, 1))
        if is_stacked:
            yield paint(name, "faint")
            below.insert(0, first)
        else:
            yield f"{paint(name, 'faint')}{' ' * (indent - display_width(name))}{first}".rstrip()
        yield from (" " * indent + part for part in below)


def sentence(text: str, width: int | None, paint: Paint, style: str = "") -> Iterator[str]:
    """A sentence, broken between words where it is longer than the width."""
    import textwrap  # here, since most tables have no sentence below

    for line in [text] if width is None else textwrap.wrap(text, width):
        yield paint(line, style)


def _line(columns: Sequence[Column], cells: Sequence[str], widths: Sequence[int], paint: Paint) -> str:
    end = max((i for i, cell in enumerate(cells) if cell), default=0)
    parts = []
    for i in range(end + 1):
        column, cell = columns[i], cells[i]
        padding = " " * (widths[i] - display_width(cell))
        painted = paint(cell, column.style)
        parts.append(padding + painted if column.right else painted + (padding if i < end else ""))
    return _GAP.join(parts)


def _stacked(columns: Sequence[Column], row: Row, width: int, paint: Paint) -> Iterator[str]:
    """The first cell, and the others below it: as many in a line as fit."""
    for part in fold(row[0], width):
        yield paint(part, columns[0].style)
    line, used = "", 0
    for column, cell in zip(columns[1:], row[1:], strict=True):
        if not cell:
            continue
        label = f"{column.title} " if column.labelled else ""
        for part in fold(label + cell, max(width - len(_GAP), 1)):
            if line and used + len(_GAP) + display_width(part) > width:
                yield line
                line, used = "", 0
            line += _GAP + paint(part, column.style)
            used += len(_GAP) + display_width(part)
    if line:
        yield line


def fold(text: str, width: int) -> list[str]:
    """`text` in parts of at most `width` columns, at least one part and at least one character in each."""
    if display_width(text) <= width:
        return [text]
    parts, start, used = [], 0, 0
    for i, character in enumerate(text):
        columns = display_width(character)
        if used + columns > width and i > start:
            parts.append(text[start:i])
            start, used = i, 0
        used += columns
    parts.append(text[start:])
    return parts
