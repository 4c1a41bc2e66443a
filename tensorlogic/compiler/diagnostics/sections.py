"""The part of a rendered diagnostic that shows one file: its name and place, source lines, underlines.

A span over several lines is bracketed at the left, each such span in a lane of its own:

      --> model.tl:3:13
       |
     3 |       let y = concat(
       |  _____________^
     4 | |         [a, b],
     5 | |     )
       | |_____^ float16[2*N]
"""

from __future__ import annotations

from collections.abc import Sequence

from tensorlogic.compiler.diagnostics.glyphs import display_width, visible
from tensorlogic.compiler.diagnostics.model import Label
from tensorlogic.compiler.diagnostics.source_line import show_line
from tensorlogic.compiler.diagnostics.underlines import (
    Mark,
    Piece,
    Row,
    Style,
    label_below,
    label_beside,
    underline_rows,
)
from tensorlogic.compiler.records import dataclass
from tensorlogic.compiler.source import Source, Span

Text = tuple[tuple[str, str], ...]
"""One line of output: pieces of text, each with the name of its style."""

_LANE_WIDTH = 2
_WHOLE_SPAN_LINES = 5


def number_width(labels: Sequence[Label]) -> int:
    """How many digits the largest line number has that the labels make visible."""
    return max((len(str(_last_line(label.span))) for label in labels), default=1)


def section_lines(labels: Sequence[Label], margin: int, width: int, arrow: str) -> list[Text]:
    """The lines for labels of one file, with line numbers `margin` wide, in a terminal of `width` columns."""
    return _Section(labels, margin, width).lines(arrow)


@dataclass(frozen=True, slots=True)
class _Bracket:
    """A label over several lines, and the lane that its bracket is drawn in."""

    label: Label
    first: int
    last: int
    lane: int


class _Section:
    """Draws one file's lines from top to bottom; `open` are the brackets begun and not yet ended."""

    def __init__(self, labels: Sequence[Label], margin: int, width: int) -> None:
        self.labels = labels
        self.source: Source = labels[0].span.source
        self.margin = margin
        self.brackets = _brackets(labels)
        self.lanes = _LANE_WIDTH * (1 + max((bracket.lane for bracket in self.brackets), default=-1))
        self.room = width - (margin + 4) - self.lanes
        self.open: list[_Bracket] = []
        self.out: list[Text] = []

    def lines(self, arrow: str) -> list[Text]:
        span = self.labels[0].span
        place = f"{visible(self.source.name)}:{span.line}:{span.column}"
        self.out.append(((" " * (self.margin + 1) + f"{arrow} ", "gutter"), (place, "plain")))
        self.out.append(((" " * (self.margin + 2) + "|", "gutter"),))
        previous = None
        for line in self._shown_lines():
            if previous is not None and line > previous + 1:
                self.out.append((("...".ljust(self.margin + 4), "gutter"), *_merge(self._lane_pieces(), 0)))
            self._line(line)
            previous = line
        return self.out

    def _shown_lines(self) -> list[int]:
        """The lines with an end of a label, those inside a short span, and a single line that would be left out."""
        shown: set[int] = set()
        for label in self.labels:
            first, last = label.span.line, _last_line(label.span)
            shown.update(range(first, last + 1) if last - first < _WHOLE_SPAN_LINES else (first, last))
        shown.update(line + 1 for line in list(shown) if line + 2 in shown)
        return sorted(shown)

    def _line(self, line: int) -> None:
        starting = [bracket for bracket in self.brackets if bracket.first == line]
        ending = [bracket for bracket in reversed(self.brackets) if bracket.last == line]
        within = [label for label in self.labels if label.span.line == _last_line(label.span) == line]
        begin = self.source.line_starts[line - 1]
        ranges = [(label.span.start - begin, label.span.end - begin) for label in within]
        ranges += [(bracket.label.span.start - begin, bracket.label.span.start - begin) for bracket in starting]
        ranges += [(bracket.label.span.end - 1 - begin, bracket.label.span.end - 1 - begin) for bracket in ending]
        shown = show_line(self.source.line_text(line), ranges, self.room)
        columns = list(shown.columns)
        self._row(str(line), self._lane_pieces(), (Piece(0, shown.text, "plain"),))
        marks = [
            Mark(start, end, visible(label.text), label.primary)
            for label, (start, end) in zip(within, columns, strict=False)
        ]
        for row in underline_rows(marks, self.room):
            self._row("", self._lane_pieces(), row)
        del columns[: len(within)]
        for bracket in starting:
            self._head(bracket, columns.pop(0)[0])
        for bracket in ending:
            self._tail(bracket, columns.pop(0)[0])

    def _head(self, bracket: _Bracket, column: int) -> None:
        mark = Mark(column, column + 1, "", bracket.label.primary)
        self._row("", [*self._lane_pieces(), self._reach(bracket, column)], (mark.underline,))
        self.open.append(bracket)

    def _tail(self, bracket: _Bracket, column: int) -> None:
        mark = Mark(column, column + 1, visible(bracket.label.text), bracket.label.primary)
        beside = label_beside(mark, self.room)
        row: Row = (mark.underline, beside) if beside else (mark.underline,)
        self._row("", [*self._lane_pieces(), self._reach(bracket, column)], row)
        self.open.remove(bracket)
        if mark.text and beside is None:
            for text in label_below(mark, self.room):
                self._row("", self._lane_pieces(), (text,))

    def _lane_pieces(self) -> list[Piece]:
        return [Piece(_LANE_WIDTH * bracket.lane, "|", _style(bracket)) for bracket in self.open]

    def _reach(self, bracket: _Bracket, column: int) -> Piece:
        """The line from a bracket's lane to the mark at `column` of the source text."""
        start = _LANE_WIDTH * bracket.lane + 1
        return Piece(start, "_" * (self.lanes + column - start), _style(bracket))

    def _row(self, number: str, lanes: list[Piece], row: Row) -> None:
        moved = [Piece(piece.column + self.lanes, piece.text, piece.style) for piece in row]
        head = f" {number:>{self.margin}} |"
        self.out.append(((head, "gutter"), *_merge([*lanes, *moved], -1)))


def _merge(pieces: list[Piece], column: int) -> list[tuple[str, str]]:
    """Pieces in the order of their columns with blanks between, from `column` on; a later piece gives way."""
    merged: list[tuple[str, str]] = []
    for piece in sorted(pieces, key=lambda piece: piece.column):
        if piece.column < column:
            continue
        merged.append((" " * (piece.column - column), "plain"))
        merged.append((piece.text, piece.style))
        column = piece.column + display_width(piece.text)
    return merged


def _brackets(labels: Sequence[Label]) -> list[_Bracket]:
    """The labels over several lines, outer ones first, each in the leftmost lane that is free over its lines."""
    spread = [(label.span.line, _last_line(label.span), label) for label in labels]
    spread = [entry for entry in spread if entry[0] < entry[1]]
    brackets: list[_Bracket] = []
    for first, last, label in sorted(spread, key=lambda entry: (entry[0], -entry[1])):
        taken = {bracket.lane for bracket in brackets if bracket.last >= first}
        lane = next(lane for lane in range(len(brackets) + 1) if lane not in taken)
        brackets.append(_Bracket(label, first, last, lane))
    return brackets


def _style(bracket: _Bracket) -> Style:
    return "primary" if bracket.label.primary else "secondary"


def _last_line(span: Span) -> int:
    """The line of the span's last character."""
    return span.source.line_of(max(span.start, span.end - 1))
