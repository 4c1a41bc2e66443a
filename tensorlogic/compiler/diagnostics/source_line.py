"""One source line as it is shown: in visible glyphs, and cut to the room there is.

A line that is too long keeps what is near the ends of its marked ranges, and `...` stands for the rest, so that every
mark stays in sight however far apart the marks are.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from tensorlogic.compiler.diagnostics.glyphs import Cell, cells_of
from tensorlogic.compiler.records import dataclass

ELLIPSIS = "..."


@dataclass(frozen=True, slots=True)
class ShownLine:
    """The text to print, and for each marked range the columns (from 0, end exclusive) where it stands in the text."""

    text: str
    columns: tuple[tuple[int, int], ...]


def show_line(line: str, ranges: Sequence[tuple[int, int]], room: int) -> ShownLine:
    """`line` in at most `room` columns. `ranges` are character ranges; an empty one marks the place before a character.

    Ranges may reach past the line's end, as those of a newline or of the end of the file do. Every range gets at least
    one column. With less room than the ends of the ranges need, the text is cut at `room` and so are the columns.
    """
    line, ranges = _without_far_text(line, ranges, room)
    cells, cell_of_character = cells_of(line)
    end_is_marked = any(max(end - 1, start) >= len(line) for start, end in ranges)
    cells.append(Cell("", 1 if end_is_marked else 0))
    cell_of_character.append(len(cells) - 1)
    last = len(line)
    in_cells = []
    for start, end in ranges:
        first = cell_of_character[min(start, last)]
        in_cells.append((first, cell_of_character[min(max(end - 1, start), last)]))
    text, column_of = _join(cells, _kept(cells, in_cells, room))
    columns = []
    for first, final in in_cells:
        start = min(column_of[first], room - 1)
        columns.append((start, max(start + 1, min(column_of[final] + cells[final].width, room))))
    return ShownLine(_cut(text, column_of, room).rstrip(), tuple(columns))


def _without_far_text(line: str, ranges: Sequence[tuple[int, int]], room: int) -> tuple[str, Sequence[tuple[int, int]]]:
    """The line without what is too far from every range's ends to be shown, so that an enormous line costs little."""
    reach = 2 * room + 1
    if len(line) <= 2 * reach:
        return line, ranges
    ends = {position for start, end in ranges for position in (start, max(end - 1, start)) if position < len(line)}
    borders = sorted(ends or {0})
    gaps = [(0, borders[0] - reach), *((a + reach, b - reach) for a, b in pairwise(borders))]
    gaps.append((borders[-1] + reach, len(line) - reach))
    gaps = [(first, last) for first, last in gaps if first < last]
    pieces = [line[last:first] for (_, last), (first, _) in zip([(0, 0), *gaps], [*gaps, (len(line), 0)], strict=True)]

    def moved(position: int) -> int:
        return position - sum(last - first for first, last in gaps if last <= position)

    return "".join(pieces), [(moved(start), moved(end - 1) + 1) for start, end in ranges]


def _kept(cells: list[Cell], marked: list[tuple[int, int]], room: int) -> list[bool]:
    """Which cells stay: all where they fit, else those within the largest distance of a mark's end that fits."""
    if sum(cell.width for cell in cells) <= room:
        return [True] * len(cells)
    distances = _distances(len(cells), marked)
    low, high = 0, room
    while low < high:
        middle = (low + high + 1) // 2
        if _joined_width(cells, [distance <= middle for distance in distances]) <= room:
            low = middle
        else:
            high = middle - 1
    return [distance <= low for distance in distances]


def _distances(count: int, marked: list[tuple[int, int]]) -> list[int]:
    """For each cell, how many cells away the nearest end of a mark is, or the line's start where none is."""
    distances = [count] * count
    for first, final in marked or [(0, 0)]:
        distances[first] = distances[final] = 0
    for i in range(1, count):
        distances[i] = min(distances[i], distances[i - 1] + 1)
    for i in range(count - 2, -1, -1):
        distances[i] = min(distances[i], distances[i + 1] + 1)
    return distances


def _joined_width(cells: list[Cell], kept: list[bool]) -> int:
    total = gap = 0
    for cell, keep in zip(cells, kept, strict=True):
        if keep:
            total += min(gap, len(ELLIPSIS)) + cell.width
            gap = 0
        else:
            gap += cell.width
    return total + min(gap, len(ELLIPSIS))


def _join(cells: list[Cell], kept: list[bool]) -> tuple[list[str], list[int]]:
    """The pieces of the text, one for each cell, and the column at which each cell's piece begins."""
    pieces: list[str] = []
    columns: list[int] = []
    column = 0
    i = 0
    while i < len(cells):
        if kept[i]:
            pieces.append(cells[i].glyph)
            columns.append(column)
            column += cells[i].width
            i += 1
            continue
        end = i
        while end < len(cells) and not kept[end]:
            end += 1
        gap = cells[i:end]
        if sum(cell.width for cell in gap) > len(ELLIPSIS):
            gap = [Cell(ELLIPSIS, len(ELLIPSIS)), *[Cell("", 0)] * (len(gap) - 1)]
        for cell in gap:
            pieces.append(cell.glyph)
            columns.append(column)
            column += cell.width
        i = end
    return pieces, columns


def _cut(pieces: list[str], column_of: list[int], room: int) -> str:
    """The pieces that end within `room` columns. The last piece stands for the line's end and is empty."""
    if column_of[-1] <= room:
        return "".join(pieces)
    return "".join(piece for piece, end in zip(pieces, column_of[1:], strict=False) if end <= room)
