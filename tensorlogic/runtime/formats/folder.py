"""The JSON files of a model's folder: the index of its shards, and its configuration.

Takes a path, gives plain data. Both files are small and written by many tools, so unknown members are left alone;
what is used is checked, a shard lies in the index's own folder, and nesting too deep for the parser is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tensorlogic.runtime.formats.files import open_file
from tensorlogic.runtime.formats.header import MetadataValue, damaged, shown, unsupported

MAX_JSON_BYTES = 20_000_000
"""An index of 200,000 tensors."""


def read_index(path: Path) -> dict[str, Path]:
    """Which file holds each tensor, from a `model.safetensors.index.json`."""
    places = read_object(path).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(file, str) for file in places.values()):
        damaged(path, "it has no `weight_map` from tensor names to file names")
    for file in set(places.values()):
        if Path(file).name != file or not file.endswith(".safetensors"):
            damaged(path, f"it names `{shown(file)}`, which is no safetensors file in its own folder")
    return {name: path.parent / file for name, file in places.items()}


def read_config(path: Path) -> tuple[dict[str, MetadataValue], Mapping[str, object]]:
    """The settings of a `config.json`, with nested keys joined by dots, and its `quantization` object (may be empty).

    Settings that are null, or lists of anything but numbers, text and truth values, are left out.
    """
    config = read_object(path)
    settings: dict[str, MetadataValue] = {}
    _flatten(config, "", settings)
    quantization = config.get("quantization", {})
    return settings, quantization if isinstance(quantization, dict) else {}


def _flatten(members: Mapping[str, object], prefix: str, settings: dict[str, MetadataValue]) -> None:
    for key, value in members.items():
        if isinstance(value, dict):
            _flatten(value, f"{prefix}{key}.", settings)
        elif isinstance(value, list) and all(isinstance(item, (str, int, float)) for item in value):
            settings[prefix + key] = tuple(value)
        elif isinstance(value, (str, int, float)):
            settings[prefix + key] = value


def read_object(path: Path) -> dict[str, object]:
    """The members of a JSON object in a file of its own. Raises `ModelFileError` for anything else (TL4001, TL4003)."""
    value = _read_json(path)
    if not isinstance(value, dict):
        damaged(path, "it is no JSON object")
    return value


def read_items(path: Path) -> list[object]:
    """The items of a JSON list in a file of its own, with the same errors."""
    value = _read_json(path)
    if not isinstance(value, list):
        damaged(path, "it is no JSON list")
    return value


def _read_json(path: Path) -> object:
    with open_file(path) as file:
        text = file.read(MAX_JSON_BYTES + 1)
    if len(text) > MAX_JSON_BYTES:
        unsupported(path, f"it has more than {MAX_JSON_BYTES} bytes")
    try:
        value = json.loads(text.decode(), object_pairs_hook=_members)
        # A lone surrogate, which JSON can write, is no text: it cannot be printed.
        json.dumps(value, ensure_ascii=False).encode()
    except RecursionError:
        damaged(path, "its JSON is nested too deeply")
    except ValueError as error:
        damaged(path, f"it is no valid JSON: {shown(str(error))}")
    return value


def _members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key occurs twice in one object")
    return members
