"""A compiled Core ML model, the folder `.mlmodelc` that macOS makes: its inputs, outputs and metadata.

They are read from its `metadata.json`. The weights lie behind a program in a format that Apple does not describe, so
that a compiled model has no tensors here; the `.mlpackage` that it was made from has them. Only macOS can run one, and
elsewhere there is nothing to do with it: there it is refused (TL4053).
"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Mapping
from pathlib import Path

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats.features import Feature, Sizes
from tensorlogic.runtime.formats.folder import read_items
from tensorlogic.runtime.formats.header import MAX_RANK, FileHeader, MetadataValue, damaged

_NOTES = {"shortDescription": "description", "version": "version", "author": "author", "license": "license"}
_KINDS = {
    "MultiArray": "array",
    "Image": "image",
    "State": "state",
    "Int64": "int",
    "Double": "float",
    "String": "string",
    "Dictionary": "dictionary",
    "Sequence": "sequence",
}
_SHAPE = re.compile(r"\[\d{1,10}(, ?\d{1,10})*\]")


def read_compiled(path: Path) -> FileHeader:
    """The header of a compiled model. Raises `ModelFileError` (TL4001, TL4003, TL4053)."""
    if platform.system() != "Darwin":
        raise ModelFileError(
            "TL4053",
            f"`{path}` is compiled for macOS, and its weights cannot be read",
            helps=["load the `.mlpackage` or `.mlmodel` that it was made from"],
        )
    manifest = path / "metadata.json"
    items = read_items(manifest)
    about = items[0] if items else None
    if not isinstance(about, dict):
        damaged(manifest, "it describes no model")
    metadata: dict[str, MetadataValue] = {"coreml.type": "mlmodelc"}
    for key, name in _NOTES.items():
        if isinstance(about.get(key), str) and about[key]:
            metadata[f"coreml.{name}"] = about[key]
    version, own = about.get("specificationVersion"), about.get("userDefinedMetadata")
    if isinstance(version, int):
        metadata["coreml.specificationVersion"] = version
    if isinstance(own, dict):
        metadata |= {key: value for key, value in own.items() if isinstance(value, str)}
    inputs = _features(about, "inputSchema") + _features(about, "stateSchema")
    return FileHeader("coreml", path, {}, metadata, inputs, _features(about, "outputSchema"))


def _features(about: Mapping[str, object], key: str) -> tuple[Feature, ...]:
    listed = about.get(key)
    return tuple(_feature(item) for item in listed if isinstance(item, dict)) if isinstance(listed, list) else ()


def _feature(item: Mapping[str, object]) -> Feature:
    """One feature; every member of the file is text."""
    text = {key: value for key, value in item.items() if isinstance(value, str)}
    kind = _KINDS.get(text.get("type", ""), "unknown")
    dtype = text.get("dataType", "unknown").lower() if kind in ("array", "state") else None
    shape: tuple[int | Sizes, ...] = ()
    given = text.get("shape", "")
    if _SHAPE.fullmatch(given) and given.count(",") < MAX_RANK:
        shape = tuple(json.loads(given))
    return Feature(
        text.get("name", ""),
        kind,
        {"double": "float64"}.get(dtype, dtype) if dtype is not None else None,
        shape,
        optional=text.get("isOptional") == "1",
        description=text.get("shortDescription", ""),
    )
