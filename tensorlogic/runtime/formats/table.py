"""What a struct wants of a model file and what the file holds, as a table that fits a terminal of 80 columns.

Takes rows of texts. Promises lines of at most `WIDTH` columns, unless a single name is longer: names are left whole,
so that they can be searched and copied. Columns that are too wide together give way: cells are broken where a part of
them begins, and keys get lines of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

WIDTH = 66
"""The columns that a note of an error has in a terminal of 80, beside line numbers of up to four digits."""
MOST_ROWS = 20
_GAP = "  "
_BREAK = re.compile(r" (?=or |and |= )|(?<=:) ")

_Cells = Sequence[Sequence[Sequence[str]]]
"""Rows of cells of lines."""


@dataclass(frozen=True, slots=True)
class Row:
    """A key of a model file, the type that the program wants there, and what the file holds; or `count` alike keys."""

    key: str
    wanted: str
    found: str
    count: int = 1


def table(rows: Sequence[Row]) -> str:
    """The rows below their head, the first `MOST_ROWS` of them, and how many more there are."""
    shown = [("key", "wanted", "found"), *((row.key, row.wanted, row.found) for row in rows[:MOST_ROWS])]
    whole, told, broken = (
        [[_BREAK.split(cell) if column in broken else [cell] for column, cell in enumerate(cells)] for cells in shown]
        for broken in ((), (2,), (0, 1, 2))
    )
    layouts = (
        (_side_by_side, whole),
        (_side_by_side, told),
        (_below_keys, whole),
        (_below_keys, told),
        (_side_by_side, broken),
        (_below_keys, broken),
    )
    tried = [layout(cells) for layout, cells in layouts]
    # The first that fits, or else the narrowest.
    lines = min(tried, key=lambda lines: max(WIDTH, *map(len, lines)))
    more = sum(row.count for row in rows[MOST_ROWS:])
    return "\n".join([*lines, *([f"and {more} more"] if more else [])])


def at_most(notes: Iterable[str]) -> Iterator[str]:
    """The first of many notes, and how many there are."""
    every = list(notes)
    yield from every[:MOST_ROWS]
    if len(every) > MOST_ROWS:
        yield f"and {len(every) - MOST_ROWS} more"


def _side_by_side(rows: _Cells, margin: str = "") -> list[str]:
    """Rows in columns."""
    widths = [max(len(line) for row in rows for line in row[column]) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        for index in range(max(map(len, row))):
            parts = [cell[index] if index < len(cell) else "" for cell in row]
            padded = [part.ljust(width) for part, width in zip(parts, widths, strict=True)]
            lines.append((margin + _GAP.join(padded)).rstrip())
    return lines


def _below_keys(rows: _Cells) -> list[str]:
    """Each row's key on lines of its own, and the other cells below it, in columns."""
    others = iter(_side_by_side([row[1:] for row in rows], _GAP))
    lines: list[str] = []
    for row in rows:
        lines += row[0]
        lines += [next(others) for _ in range(max(map(len, row[1:])))]
    return lines
