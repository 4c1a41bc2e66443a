"""Keeps what a text says apart from what controls a model.

A chat template writes messages and special tokens into one text, in which the special tokens are then found. `marked`
takes a message and puts a mark into everything that would be found as one, so that it is not: behind the first letter
of each, and at the message's ends, where it could become one together with what the template writes beside it. Who
encodes the text takes the marks out again. A mark is a character that occurs nowhere else.

A special token of one letter cannot be kept apart in this way. No vocabulary that is in use has one.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tensorlogic.runtime.text.splitting import Splitter

_FIRST_MARK, _LAST_MARK = 0xF0000, 0xFFFFD
"""A plane for private use, which no script needs."""


class LookAlikes:
    """Finds what looks like special tokens. Holds their texts, forwards and backwards."""

    def __init__(self, tokens: Iterable[str]) -> None:
        kept = sorted({token for token in tokens if len(token) > 1})
        self._splitter = Splitter(dict.fromkeys(kept, 0))
        self._forwards = _Beginnings(kept)
        self._backwards = _Beginnings(sorted(token[::-1] for token in kept))

    def marked(self, text: str, mark: str) -> str:
        """The text with marks in what could be taken for special tokens, whatever stands beside it."""
        places = list(self._splitter.beginnings(text))
        for place in reversed(places):
            text = f"{text[: place + 1]}{mark}{text[place + 1 :]}"
        head = mark if self._backwards.end(text[::-1]) else ""
        tail = mark if self._forwards.end(text) else ""
        return f"{head}{text}{tail}"


class _Beginnings:
    """Tokens in order, to see whether a text ends with the beginning of one."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._longest = max(map(len, tokens), default=0)
        first = "".join(sorted({re.escape(token[0]) for token in tokens}))
        self._first = re.compile(f"[{first}]") if first else None

    def end(self, text: str) -> bool:
        """Whether the text ends with the beginning of a token."""
        if self._first is None:
            return False
        tail = text[-self._longest :]
        for found in self._first.finditer(tail):
            part = tail[found.start() :]
            index = bisect_left(self._tokens, part)
            if index < len(self._tokens) and self._tokens[index].startswith(part):
                return True
        return False


def choose_mark(texts: Iterable[str]) -> str:
    """A character that none of the texts has."""
    used = {letter for text in texts for letter in text if ord(letter) >= _FIRST_MARK}
    return next(chr(code) for code in range(_FIRST_MARK, _LAST_MARK) if chr(code) not in used)


def texts_of(value: Any) -> Iterator[str]:
    """All texts of a value of JSON's kinds, the names of members left out."""
    match value:
        case str():
            yield value
        case dict():
            for member in value.values():
                yield from texts_of(member)
        case list() | tuple():
            for item in value:
                yield from texts_of(item)


def each_text(value: Any, change: Callable[[str], str]) -> Any:
    """A value of JSON's kinds with all its texts changed, the names of members left alone."""
    match value:
        case str():
            return change(value)
        case dict():
            return {name: each_text(member, change) for name, member in value.items()}
        case list() | tuple():
            return [each_text(item, change) for item in value]
    return value
