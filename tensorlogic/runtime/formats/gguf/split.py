"""The parts of a GGUF model that was split, joined into one header.

llama.cpp's `gguf-split` (https://github.com/ggml-org/llama.cpp/tree/master/tools/gguf-split) names part 2 of 3
`NAME-00002-of-00003.gguf`, and writes into each `split.no` (counted from 0), `split.count` and `split.tensors.count`,
the tensors of all parts together. The first part has the model's metadata. Takes the header of any part, finds the
others beside it by their names, and gives one header, which is that of the first part with the tensors of all. A part
that is not there is refused (TL4060), and so is one that does not belong to the others (TL4061).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats.gguf.header import Metadata
from tensorlogic.runtime.formats.header import FileHeader, TensorInfo, shown

NUMBER, COUNT, TENSORS = "split.no", "split.count", "split.tensors.count"
_NAME = re.compile(r"(?P<stem>.*)-(?P<number>[0-9]{5})-of-(?P<count>[0-9]{5})\.gguf", re.DOTALL)
_OWN = (NUMBER, "general.alignment")
"""What parts of one model may differ in."""


def join_parts(header: FileHeader, read: Callable[[Path], FileHeader]) -> FileHeader:
    """The header of the whole model that `header` is of, or itself where it is no part. `read` opens another part."""
    count = header.metadata.get(COUNT, 1)
    if count in (0, 1):
        return header
    path = header.path
    match = _NAME.fullmatch(path.name)
    if type(count) is not int or not 1 < count <= 99_999:
        _refuse(path, f"its `{COUNT}` is {shown(str(count))}")
    if match is None:
        helps = [f"name it and the other parts like `NAME-00001-of-{count:05}.gguf`"]
        _refuse(path, f"it is one of {count} parts, and its name does not say which", helps)
    if int(match["count"]) != count:
        _refuse(path, f"its name says that there are {int(match['count'])} parts, and its `{COUNT}` {count}")
    parts: list[FileHeader] = []
    for number in range(1, count + 1):
        place = path.with_name(f"{match['stem']}-{number:05}-of-{count:05}.gguf")
        # The parts are many only where the files are there.
        part = header if number == int(match["number"]) else _open(place, path, read)
        _check(part, number, parts)
        parts.append(part)
    tensors: dict[str, TensorInfo] = {}
    for part in parts:
        for name, info in part.tensors.items():
            if name in tensors:
                _refuse(part.path, f"tensor `{shown(name)}` is in `{tensors[name].file.name}`, too")
            tensors[name] = info
    told = parts[0].metadata.get(TENSORS, len(tensors))
    if told != len(tensors):
        _refuse(parts[0].path, f"the parts are said to hold {shown(str(told))} tensors, and hold {len(tensors)}")
    first = parts[0]
    assert isinstance(first.metadata, Metadata), "a part is a GGUF file"
    return FileHeader("gguf", first.path, tensors, first.metadata.without(NUMBER, COUNT, TENSORS))


def _open(place: Path, path: Path, read: Callable[[Path], FileHeader]) -> FileHeader:
    if not place.exists():
        raise ModelFileError(
            "TL4060",
            f"`{path}` is a part of a split model, and another part, `{place.name}`, is not beside it",
            helps=["put all parts into one folder"],
        )
    return read(place)


def _check(part: FileHeader, number: int, before: list[FileHeader]) -> None:
    """Refuse a part that says of itself that it is another, or that differs from those before it."""
    if part.format != "gguf":
        _refuse(part.path, f"it is a {part.format} file")
    own = part.metadata.get(NUMBER)
    if own != number - 1 or type(own) is not int:
        told = "no part at all" if own is None else f"part {own + 1}" if type(own) is int else shown(repr(own))
        _refuse(part.path, f"its name says that it is part {number}, and its `{NUMBER}` that it is {told}")
    for other in before[:1]:
        for key in part.metadata.keys() & other.metadata.keys() - set(_OWN):
            if part.metadata[key] != other.metadata[key]:
                _refuse(part.path, f"its `{shown(key)}` is not that of `{other.path.name}`: it is of another model")
        if COUNT not in part.metadata:
            _refuse(part.path, f"it has no `{COUNT}`")


def _refuse(path: Path, what: str, helps: list[str] | None = None) -> NoReturn:
    raise ModelFileError("TL4061", f"`{path}` does not fit the other parts of a split model: {what}", helps=helps or [])
