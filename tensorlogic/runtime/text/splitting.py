"""Finds special tokens in a text.

Takes tokens' texts with their ids, gives what lies between them and the ids in order: of tokens that begin at one place
the longest, and the first place goes before later ones. Its time does not depend on how many tokens there are.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping


class Splitter:
    """Splits texts at given tokens. Holds the tokens in order, each with the longest one that it begins with."""

    def __init__(self, ids: Mapping[str, int]) -> None:
        self._tokens = sorted(ids)
        self._ids = [ids[token] for token in self._tokens]
        self._shorter = _prefixes(self._tokens)
        self._longest = max(map(len, self._tokens), default=0)
        first = "".join(sorted({re.escape(token[0]) for token in self._tokens}))
        self._first = re.compile(f"[{first}]") if first else None

    def split(self, text: str) -> Iterator[str | int]:
        """Texts that are not empty, and ids."""
        begin = 0
        for start, end, token in self.places(text):
            if start > begin:
                yield text[begin:start]
            yield token
            begin = end
        if begin < len(text):
            yield text[begin:]

    def places(self, text: str) -> Iterator[tuple[int, int, int]]:
        """Where tokens begin and end, with their ids."""
        place = 0
        while self._first is not None and (found := self._first.search(text, place)) is not None:
            place = found.start()
            index = self._at(text, place)
            if index < 0:
                place += 1
                continue
            end = place + len(self._tokens[index])
            yield place, end, self._ids[index]
            place = end

    def beginnings(self, text: str) -> Iterator[int]:
        """All places where a token begins, also inside of others."""
        if self._first is not None:
            yield from (found.start() for found in self._first.finditer(text) if self._at(text, found.start()) >= 0)

    def _at(self, text: str, place: int) -> int:
        """The index of the longest token at a place, or -1."""
        # The last token that is not above the text there, or one that it begins with.
        index = bisect_right(self._tokens, text[place : place + self._longest]) - 1
        while index >= 0 and not text.startswith(self._tokens[index], place):
            index = self._shorter[index]
        return index


def _prefixes(tokens: list[str]) -> list[int]:
    """For each of sorted tokens the index of the longest other one that it begins with, or -1."""
    found: list[int] = []
    open_: list[int] = []
    for index, token in enumerate(tokens):
        while open_ and not token.startswith(tokens[open_[-1]]):
            open_.pop()
        found.append(open_[-1] if open_ else -1)
        open_.append(index)
    return found
