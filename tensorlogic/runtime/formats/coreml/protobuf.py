"""Protocol buffers as a Core ML file has them: a message is a range of bytes, and a field is found by scanning it.

Takes the bytes of a file, gives numbers, texts, submessages and places. The encoding:
https://protobuf.dev/programming-guides/encoding/. Nothing is decoded that nobody asks for and nothing is kept, so that
weights inside of a file are stepped over and memory stays small; every length is checked against the message that it
stands in. One file may have `MAX_FIELDS` fields looked at and its messages nest `MAX_DEPTH` deep: real files stay far
below, and a hostile one ends there.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from tensorlogic.runtime.formats.header import damaged, unsupported

MAX_FIELDS = 2_000_000
"""A program of 60,000 operations, and a few seconds."""
MAX_DEPTH = 100
"""As deep as the parsers of Google and Apple go."""
MAX_TEXT_BYTES = 1_000_000
"""Of one name or note."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_CONTINUED = bytes(range(128, 256))


@dataclass(frozen=True, slots=True)
class Place:
    """The bytes `start` to `end` of a file."""

    start: int
    end: int

    @property
    def nbytes(self) -> int:
        return self.end - self.start


class Buffer:
    """The bytes of one file, and how many fields of it may still be looked at."""

    def __init__(self, data: bytes | mmap.mmap, path: Path) -> None:
        self.data = data
        self.path = path
        self.fields_left = MAX_FIELDS

    def message(self) -> Message:
        """The whole file as one message."""
        return Message(self, 0, len(self.data), 0)


@dataclass(frozen=True, slots=True)
class Message:
    """One message. A field that is not there reads as the format's default: 0, no text, None."""

    buffer: Buffer
    start: int
    end: int
    depth: int

    def fields(self) -> Iterator[tuple[int, int | Place]]:
        """Every field by its number: a number (floats as their bits), or the place of text, bytes or a submessage."""
        buffer, data, place, end = self.buffer, self.buffer.data, self.start, self.end
        while place < end:
            buffer.fields_left -= 1
            if buffer.fields_left < 0:
                unsupported(buffer.path, f"its description has more than {MAX_FIELDS} fields")
            key = data[place]
            place += 1
            if key >= 128:
                key, place = self._varint(place - 1)
            number, wire = key >> 3, key & 7
            if number == 0:
                self._refuse(place, "a field has the number 0")
            if wire == _VARINT:
                value, place = self._varint(place)
                yield number, value
            elif wire == _BYTES:
                size, place = self._varint(place)
                if size > end - place:
                    self._refuse(place, f"a field claims {size} bytes where {end - place} are left")
                yield number, Place(place, place + size)
                place += size
            elif wire in (_FIXED32, _FIXED64):
                size = 4 if wire == _FIXED32 else 8
                if size > end - place:
                    self._refuse(place, "a number is cut off")
                yield number, int.from_bytes(data[place : place + size], "little")
                place += size
            else:
                self._refuse(place, f"a field has the wire type {wire}, which the format does not use")

    def find(self, *numbers: int) -> tuple[int, Message] | None:
        """The submessage that is in one of these fields, and in which: the last one where several are set."""
        found = None
        for number, value in self.fields():
            if number in numbers:
                found = number, self._at(value)
        return found

    def message(self, number: int) -> Message | None:
        """The submessage of a field that occurs at most once."""
        found = None
        for each in self.messages(number):
            if found is not None:
                # The format would merge the two; no program writes them so.
                self._refuse(each.start, f"field {number} occurs twice")
            found = each
        return found

    def messages(self, number: int) -> Iterator[Message]:
        """The submessages of a repeated field."""
        return (self._at(value) for found, value in self.fields() if found == number)

    def integer(self, number: int) -> int:
        """A number of 64 bits without a sign; 0 where there is none."""
        found = 0
        for field, value in self.fields():
            if field == number:
                found = self._number(value)
        return found

    def signed(self, number: int) -> int:
        return signed(self.integer(number))

    def signed_items(self, number: int, most: int) -> tuple[int, ...]:
        """The numbers of a repeated field, packed into one run of bytes or each by itself."""
        items: list[int] = []
        for field, value in self.fields():
            if field != number:
                continue
            if isinstance(value, int):
                items.append(signed(value))
            else:
                place = value.start
                while place < value.end and len(items) <= most:
                    item, place = self._varint(place)
                    items.append(signed(item))
            if len(items) > most:
                self._refuse(self.start, f"field {number} has more than {most} numbers")
        return tuple(items)

    def place(self, number: int) -> Place | None:
        """Where the bytes of a field lie, which are one run: bytes, or a list of numbers that is packed."""
        found = None
        for field, value in self.fields():
            if field == number:
                if not isinstance(value, Place) or found is not None:
                    unsupported(self.buffer.path, f"a list of numbers at byte {self.start} is not in one run")
                found = value
        return found

    def text(self, number: int) -> str:
        found = ""
        for each in self.texts(number):
            found = each
        return found

    def texts(self, number: int) -> Iterator[str]:
        for field, value in self.fields():
            if field == number:
                place = value if isinstance(value, Place) else self._refuse(self.start, f"field {number} is no text")
                yield self.decoded(place)

    def decoded(self, place: Place) -> str:
        """The text at a place."""
        if place.nbytes > MAX_TEXT_BYTES:
            unsupported(self.buffer.path, f"a text at byte {place.start} has more than {MAX_TEXT_BYTES} bytes")
        try:
            return self.bytes_at(place).decode()
        except UnicodeDecodeError:
            self._refuse(place.start, "a text is no valid UTF-8")

    def bytes_at(self, place: Place) -> bytes:
        return self.buffer.data[place.start : place.end]

    def varint_count(self, place: Place) -> int:
        """How many whole numbers are packed at a place: as many as there are bytes that end one."""
        data = self.bytes_at(place)
        if data and data[-1] >= 128:
            self._refuse(place.end, "a number is cut off")
        return len(data.translate(None, _CONTINUED))

    def _at(self, value: int | Place) -> Message:
        if isinstance(value, int):
            self._refuse(self.start, "a number stands where a message must")
        if self.depth >= MAX_DEPTH:
            self._refuse(value.start, f"its messages nest more than {MAX_DEPTH} deep")
        return Message(self.buffer, value.start, value.end, self.depth + 1)

    def _number(self, value: int | Place) -> int:
        return value if isinstance(value, int) else self._refuse(value.start, "bytes stand where a number must")

    def _varint(self, place: int) -> tuple[int, int]:
        """The number at `place`, seven bits in a byte with the lowest first, and the place after it."""
        data, number = self.buffer.data, 0
        if place < self.end and data[place] < 128:
            return data[place], place + 1
        for shift in range(0, 70, 7):
            if place >= self.end:
                self._refuse(place, "a number is cut off")
            byte = data[place]
            place += 1
            number |= (byte & 127) << shift
            if byte < 128:
                return number & 0xFFFF_FFFF_FFFF_FFFF, place
        self._refuse(place, "a number has more than ten bytes")

    def _refuse(self, place: int, what: str) -> NoReturn:
        damaged(self.buffer.path, f"{what}, at byte {place}")


def signed(number: int) -> int:
    """The number of 64 bits as one with a sign."""
    return number - 2**64 if number >= 2**63 else number
