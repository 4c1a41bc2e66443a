"""Writing a safetensors file, one tensor at a time.

Takes the names and shapes of what is to come, and makes each tensor when it is its turn, so that memory holds one of
them. What a tensor turns out to be (packed in which types, or expanded) is known only then, while the header stands
before all data: room for the longest header that is possible is left for it, and what remains of the room is filled
with spaces, which the format allows. The file appears whole or not at all. Equal arguments make equal bytes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from tensorlogic.runtime.formats.replacing import replacing

_ALIGNMENT = 8
_WIDEST = 16
"""Bytes of an element and its share of scales and biases: more than any tensor has."""
_LONGEST_STORAGE = "F8_E4M3"


@dataclass(frozen=True, slots=True)
class Part:
    """One tensor of the file: its bytes are in row-major order."""

    name: str
    storage: str
    shape: tuple[int, ...]
    content: memoryview


@dataclass(frozen=True, slots=True)
class Piece:
    """What is written together: `make()` gives its parts, whose names are among `names`, when it is its turn.

    No part has more dims, or a longer one, than `shape`. All parts together have a multiple of `unit` bytes, the size
    of the first part's elements.
    """

    names: tuple[str, ...]
    shape: tuple[int, ...]
    unit: int
    make: Callable[[], Iterable[Part]]


def write_safetensors(
    path: Path, pieces: Sequence[Piece], longest_metadata: Mapping[str, str], metadata: Callable[[], Mapping[str, str]]
) -> None:
    """Write all pieces. `metadata()` is asked for after the last one, and is not longer than `longest_metadata`.

    Raises `ModelFileError` (TL4012) where the file cannot be written, and whatever making a tensor raises.
    """
    # Wide elements first, as the format's reference writer does: every tensor then lies at a multiple of its element.
    ordered = sorted(pieces, key=lambda piece: (-piece.unit, piece.names[0]))
    room = _longest_header(ordered, longest_metadata)
    entries: dict[str, object] = {}
    with replacing(path) as file:
        file.seek(8 + room)
        place = 0
        for piece in ordered:
            for part in piece.make():
                end = place + part.content.nbytes
                entries[part.name] = _entry(part.storage, part.shape, place, end)
                file.write(part.content)
                place = end
        header = _header(entries, metadata())
        assert len(header) <= room, "the longest header is the longest one"
        file.seek(0)
        file.write(room.to_bytes(8, "little"))
        file.write(header.ljust(room))
        # Without data, nothing has been written behind the header.
        file.truncate(8 + room + place)


def _longest_header(pieces: Sequence[Piece], metadata: Mapping[str, str]) -> int:
    """The bytes of the longest header that the pieces may need, so that the data begin at a multiple of 8."""
    end = sum(prod(piece.shape) for piece in pieces) * _WIDEST
    entries = {
        name: _entry(_LONGEST_STORAGE, piece.shape, end, end) for piece in reversed(pieces) for name in piece.names
    }
    length = len(_header(entries, metadata))
    return length + -length % _ALIGNMENT


def _entry(storage: str, shape: tuple[int, ...], begin: int, end: int) -> dict[str, object]:
    return {"dtype": storage, "shape": list(shape), "data_offsets": [begin, end]}


def _header(entries: Mapping[str, object], metadata: Mapping[str, str]) -> bytes:
    members = {"__metadata__": dict(sorted(metadata.items())), **entries}
    return json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode()
