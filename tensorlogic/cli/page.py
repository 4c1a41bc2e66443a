"""Where a command's text goes: lines on standard output, of a terminal's width and with its colours, or plain ones.

A pipe takes lines of any length.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import click

from tensorlogic.cli.columns import Column, Paint, Row, painter, pairs, sentence, table
from tensorlogic.cli.reporting import wants_color, width_of

_LINES_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class Page:
    """Where lines go: a width in columns, or None for no limit, and the colours."""

    width: int | None
    paint: Paint

    def table(self, columns: Sequence[Column], rows: Sequence[Row]) -> Iterator[str]:
        return table(columns, rows, self.width, self.paint)

    def pairs(self, rows: Sequence[tuple[str, str]]) -> Iterator[str]:
        return pairs(rows, self.width, self.paint)

    def sentence(self, text: str, style: str = "") -> Iterator[str]:
        return sentence(text, self.width, self.paint, style)

    def section(self, title: str, columns: Sequence[Column], rows: Sequence[Row]) -> Iterator[str]:
        """A table below a title, and an empty line."""
        yield self.paint(title, "title")
        yield from self.table(columns, rows)
        yield ""


def output_page() -> Page:
    """Standard output: a terminal's width; a pipe takes lines of any length."""
    stream = sys.stdout
    is_terminal = stream is not None and stream.isatty()
    return Page(width_of(stream) if is_terminal else None, painter(wants_color(stream)))


def print_lines(lines: Iterable[str]) -> None:
    """Many at once, since a hundred thousand writes take longer than all else."""
    rest: Iterator[str] = iter(lines)
    color = wants_color(sys.stdout)
    while part := list(islice(rest, _LINES_AT_ONCE)):
        click.echo("\n".join(part), color=color)
