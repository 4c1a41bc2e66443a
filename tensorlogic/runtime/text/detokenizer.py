"""Token ids to text, at once or one by one as a model makes them.

A `Piece` is what an id stands for, in bytes, since a character may be spread over several tokens. `Stream` hands out
whole characters only: it holds back the bytes of one that is not complete, and gives U+FFFD for bytes that cannot
become one. What a stream gave, joined, is what decoding all ids at once gives; a step's time does not depend on how
many went before.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable

Piece = Callable[[int, bool], bytes | None]
"""The bytes of an id, None for one that is no text. Told whether a text begins with it: there some kinds have a space
that stands for nothing."""


class Stream:
    """Turns ids into text one by one. Made by `Tokenizer.stream`."""

    def __init__(self, piece: Piece, check: Callable[[int], None], continuing: bool = False) -> None:
        self._piece = piece
        self._check = check
        self._continuing = continuing
        self._begins = not continuing
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, id: int) -> str:
        """The text that is certain with one more id; often empty. Raises `BoundaryError` for what is no id (TL5401)."""
        self._check(id)
        data = self._piece(id, self._begins)
        if data is None:
            return ""
        self._begins = False
        return self._decoder.decode(data)

    def end(self) -> str:
        """The rest: U+FFFD where a character is incomplete. The stream then begins anew."""
        rest = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        self._begins = not self._continuing
        return rest


class HeldStream(Stream):
    """A stream of a tokenizer whose tokens change with what follows them: it gives all at its end."""

    def __init__(self, decode: Callable[[Iterable[int]], str], check: Callable[[int], None]) -> None:
        super().__init__(lambda id, begins: None, check)
        self._decode = decode
        self._ids: list[int] = []

    def push(self, id: int) -> str:
        self._check(id)
        self._ids.append(id)
        return ""

    def end(self) -> str:
        ids, self._ids = self._ids, []
        return self._decode(ids)


def join(piece: Piece, ids: Iterable[int]) -> str:
    """The text of ids."""
    pieces: list[bytes] = []
    for id in ids:
        data = piece(id, not pieces)
        if data is not None:
            pieces.append(data)
    return b"".join(pieces).decode("utf-8", "replace")
