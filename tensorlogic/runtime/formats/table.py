"""What a struct wants of a model file and what the file holds, as a table that fits a terminal of 80 columns.

Takes rows of texts. Promises lines of at most `WIDTH` columns, unless a single name is longer: names are left whole,
so that they can be searched and copied. Columns are set side by side; where they are too wide together, cells are
broken where a part of them begins, and then keys get lines of their own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

WIDTH = 69
"""The columns that a note of an error has in a terminal of 80."""
MOST_ROWS = 20
_GAP = "  "
_BREAK = re.compile(r" (?=or |= )|(?<=:) ")


@dataclass(frozen=True, slots=True)
class Row:
    """A key of a model file, the type that the program wants there, and what the file holds."""

    key: str
    wanted: str
    found: str


def table(rows: Sequence[Row]) -> str:
    """The rows below their head, the first `MOST_ROWS` of them, and how many more there are."""
    shown = [("key", "wanted", "found"), *((row.key, row.wanted, row.found) for row in rows[:MOST_ROWS])]
    whole = [[[cell] for cell in cells] for cells in shown]
    broken = [[_BREAK.split(cell) for cell in cells] for cells in shown]
    lines: list[str] = []
    for cells in (whole, broken):
        lines = _side_by_side(cells, "")
        if max(map(len, lines)) <= WIDTH:
            break
    else:
        for cells in (whole, broken):
            lines = list(_below_keys(cells))
            if max(map(len, lines)) <= WIDTH:
                break
    return "\n".join([*lines, *([f"and {len(rows) - MOST_ROWS} more"] if len(rows) > MOST_ROWS else [])])


def at_most(notes: Iterable[str]) -> Iterator[str]:
    """The first of many notes, and how many there are."""
    every = list(notes)
    yield from every[:MOST_ROWS]
    if len(every) > MOST_ROWS:
        yield f"and {len(every) - MOST_ROWS} more"


def _side_by_side(rows: Sequence[Sequence[Sequence[str]]], margin: str) -> list[str]:
    """Rows of cells of lines, in columns."""
    widths = [max(len(line) for row in rows for line in row[column]) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        for index in range(max(map(len, row))):
            parts = [cell[index] if index < len(cell) else "" for cell in row]
            padded = [part.ljust(width) for part, width in zip(parts, widths, strict=True)]
            lines.append((margin + _GAP.join(padded)).rstrip())
    return lines


def _below_keys(rows: Sequence[Sequence[Sequence[str]]]) -> Iterator[str]:
    """Each row's key on lines of its own, and the other cells below it."""
    others = iter(_side_by_side([row[1:] for row in rows], _GAP))
    for row in rows:
        yield from row[0]
        for _ in range(max(map(len, row[1:]))):
            yield next(others)
