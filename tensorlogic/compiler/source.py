"""Source files and places in them.

A `Source` is one file's text under the name that diagnostics print. A `Span` is a half-open range of
characters in one source. Lines and columns are counted from 1, columns in characters.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import field
from functools import cached_property

from tensorlogic.compiler.records import dataclass


@dataclass(frozen=True, eq=False)
class Source:
    """One file's text. Two sources are the same only when they are the same object.

    `name` is what diagnostics print; `place` what emitted code says, which does not depend on where the project lies.
    """

    name: str
    text: str = field(repr=False)
    place: str = ""

    @cached_property
    def line_starts(self) -> list[int]:
        """The offset at which each line begins; line `k` (from 1) begins at `line_starts[k - 1]`."""
        starts = [0]
        starts.extend(i + 1 for i, character in enumerate(self.text) if character == "\n")
        return starts

    def line_of(self, offset: int) -> int:
        """The line, from 1, that holds the character at `offset`."""
        return bisect_right(self.line_starts, offset)

    def column_of(self, offset: int) -> int:
        """The column, from 1, of the character at `offset`."""
        return offset - self.line_starts[self.line_of(offset) - 1] + 1

    def line_text(self, line: int) -> str:
        """The text of a line (from 1) without its newline."""
        start = self.line_starts[line - 1]
        end = self.line_starts[line] - 1 if line < len(self.line_starts) else len(self.text)
        return self.text[start:end].rstrip("\r")


@dataclass(frozen=True, slots=True)
class Span:
    """The characters `start` to `end` (exclusive) of a source."""

    source: Source
    start: int
    end: int

    @property
    def line(self) -> int:
        return self.source.line_of(self.start)

    @property
    def column(self) -> int:
        return self.source.column_of(self.start)

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    def to(self, other: Span) -> Span:
        """The smallest span that holds both, which must be of one source."""
        return Span(self.source, min(self.start, other.start), max(self.end, other.end))

    def __str__(self) -> str:
        return f"{self.source.name}:{self.line}:{self.column}"
