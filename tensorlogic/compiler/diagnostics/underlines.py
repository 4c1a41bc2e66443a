"""The rows beneath one source line: what is underlined, and the labels.

    |     let y = x @ w
    |             - ^ - float16[D_out, D_in]
    |             |
    |             float16[N, D_in]

The rightmost mark's label stands beside it where there is room. The others hang below their marks, from right to left,
and a one-column mark gets a connector, because what hangs below it could as well belong to its neighbour. Marks that
overlap are drawn in separate layers, one below the other.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Literal

from tensorlogic.compiler.diagnostics.glyphs import display_width
from tensorlogic.compiler.records import dataclass

Style = Literal["plain", "gutter", "primary", "secondary", "strong"]


@dataclass(frozen=True, slots=True)
class Piece:
    """Text of one style that begins at a column (from 0)."""

    column: int
    text: str
    style: Style


Row = tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """The columns `start` to `end` (exclusive) to underline, and the visible text that says what they are."""

    start: int
    end: int
    text: str
    primary: bool

    @property
    def style(self) -> Style:
        return "primary" if self.primary else "secondary"

    @property
    def underline(self) -> Piece:
        return Piece(self.start, ("^" if self.primary else "-") * (self.end - self.start), self.style)


def underline_rows(marks: Sequence[Mark], room: int) -> list[Row]:
    """The rows for the marks of one line, in a terminal with `room` columns beneath the source text."""
    return [row for layer in _layers(marks) for row in _layer_rows(layer, room)]


def label_beside(mark: Mark, room: int) -> Piece | None:
    """The mark's text to the right of it, or None where that does not fit."""
    column = mark.end + 1
    if not mark.text or column + display_width(mark.text) > room:
        return None
    return Piece(column, mark.text, mark.style)


def label_below(mark: Mark, room: int) -> list[Piece]:
    """The mark's text beginning at the mark's column: further left, then wrapped, where the room is too small."""
    width = display_width(mark.text)
    if width > room:
        characters = room if mark.text.isascii() else room // 2  # a wide character takes two columns
        return [Piece(0, line, mark.style) for line in textwrap.wrap(mark.text, characters, break_on_hyphens=False)]
    return [Piece(max(0, min(mark.start, room - width)), mark.text, mark.style)]


def _layers(marks: Sequence[Mark]) -> list[list[Mark]]:
    """Marks that neither overlap nor touch an equal-looking neighbour, the primary one in the first layer."""
    layers: list[list[Mark]] = []
    for mark in sorted(dict.fromkeys(marks), key=lambda mark: (not mark.primary, mark.start, mark.end)):
        for layer in layers:
            if all(_apart(mark, other) for other in layer):
                layer.append(mark)
                break
        else:
            layers.append([mark])
    return [sorted(layer, key=lambda mark: mark.start) for layer in layers]


def _apart(one: Mark, other: Mark) -> bool:
    gap = 1 if one.primary == other.primary else 0
    return one.end + gap <= other.start or other.end + gap <= one.start


def _layer_rows(layer: list[Mark], room: int) -> list[Row]:
    underlines = [mark.underline for mark in layer]
    beside = label_beside(layer[-1], room)
    rows: list[Row] = [(*underlines, beside) if beside else tuple(underlines)]
    hanging = [mark for mark in (layer[:-1] if beside else layer) if mark.text]
    if any(mark.end - mark.start == 1 for mark in hanging):
        rows.append(tuple(_connector(mark) for mark in hanging))
    while hanging:
        lowest = hanging.pop()
        for text in label_below(lowest, room):
            connectors = [_connector(mark) for mark in hanging if mark.start < text.column]
            rows.append((*connectors, text))
    return rows


def _connector(mark: Mark) -> Piece:
    return Piece(mark.start, "|", mark.style)
