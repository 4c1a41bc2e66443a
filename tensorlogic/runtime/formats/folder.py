"""A model's folder: the index of its shards, its configuration, and that all of its files lie in it.

Takes a path, gives plain data. Both JSON files are small and written by many tools, so unknown members are left alone;
what is used is checked, a shard lies in the index's own folder, and nesting too deep for the parser is refused. A
symbolic link may not lead out of the folder (TL4065), except into the store of a Hugging Face cache that the folder
belongs to.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats.files import open_file
from tensorlogic.runtime.formats.header import MetadataValue, damaged, shown, unsupported

MAX_JSON_BYTES = 20_000_000
"""An index of 200,000 tensors."""
INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
CONFIG = "config.json"
_LONGEST_NAME = 255
_OLD_CONFIGS = {"quantize_config.json": "gptq", "quant_config.json": "awq"}
"""Where AutoGPTQ and AutoAWQ noted their settings before `config.json` had a place for them."""


def find_shards(folder: Path, index: Path | None) -> dict[Path, list[str] | None]:
    """The safetensors files of a folder, each with the names of the tensors that it is to give; None for all of them.

    `index` is the folder's index where it was named; without it, the folder's usual one is looked for.
    """
    usual, single = folder / INDEX, folder / SINGLE
    if index is None and os.path.lexists(usual):
        index = usual
    if index is None and not os.path.lexists(single):
        raise ModelFileError("TL4002", f"the folder `{folder}` holds neither `{SINGLE}` nor `{INDEX}`")
    if index is None:
        check_inside(folder, single)
        return {single: None}
    check_inside(folder, index)
    places = read_index(index)
    names: dict[Path, list[str]] = {file: [] for file in sorted(set(places.values()))}
    for name, place in places.items():
        names[place].append(name)
    for file in names:
        check_inside(folder, file)
    return dict(names)


def check_inside(folder: Path, file: Path) -> None:
    """Refuse (TL4065) a file of the folder, or of one in it, that is a link to one elsewhere.

    Hugging Face's cache keeps every file of `models--ORG--NAME/snapshots/REVISION` as a link into
    `models--ORG--NAME/blobs`: that is the same model's, and fine.
    """
    if "\0" in str(folder):
        # No folder has such a name, as opening its files says.
        return
    real, home = Path(os.path.realpath(file)), Path(os.path.realpath(folder))
    stores = [parent.parent.parent / "blobs" for parent in (home, *home.parents) if parent.parent.name == "snapshots"]
    if home not in real.parents and not any(real.parent == store for store in stores):
        raise ModelFileError(
            "TL4065",
            f"`{file}` is a symbolic link to `{shown(str(real))}`, which lies outside of the model's folder",
            helps=["open that file by its own path, or copy it into the folder"],
        )


def read_index(path: Path) -> dict[str, Path]:
    """Which file holds each tensor, from a `model.safetensors.index.json`."""
    places = read_object(path).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(file, str) for file in places.values()):
        damaged(path, "it has no `weight_map` from tensor names to file names")
    for file in set(places.values()):
        plain = Path(file).name == file and file.isprintable() and len(file) <= _LONGEST_NAME
        if not plain or not file.endswith(".safetensors"):
            damaged(path, f"it names `{shown(file)}`, which is no safetensors file in its own folder")
    return {name: path.parent / file for name, file in places.items()}


def read_configuration(folder: Path) -> tuple[dict[str, MetadataValue], Path, Mapping[str, object]]:
    """The settings of a folder's `config.json`, and how its weights were quantized, with the file that says so.

    Nested keys are joined with dots. Settings that are null, or lists of anything but numbers, text and truth values,
    are left out. What MLX writes as `quantization` goes before others' `quantization_config`, which may stand in a
    `text_config`, and before the files of their own that GPTQ and AWQ once had. Its method is in `quant_method`, and
    MLX's has none.
    """
    path = folder / CONFIG
    settings: dict[str, MetadataValue] = {}
    if os.path.lexists(path):
        check_inside(folder, path)
        config = read_object(path)
        settings = _flatten(path, config)
        inner = config.get("text_config")
        for object_ in (config, inner if isinstance(inner, dict) else {}):
            for key in ("quantization", "quantization_config"):
                found = object_.get(key)
                if isinstance(found, dict) and found:
                    return settings, path, found
    for name, method in _OLD_CONFIGS.items():
        old = folder / name
        if os.path.lexists(old):
            check_inside(folder, old)
            return settings, old, {"quant_method": method} | read_object(old)
    return settings, path, {}


def _flatten(path: Path, config: Mapping[str, object]) -> dict[str, MetadataValue]:
    settings: dict[str, MetadataValue] = {}
    waiting: list[tuple[str, Mapping[str, object]]] = [("", config)]
    room = MAX_JSON_BYTES
    while waiting:
        prefix, members = waiting.pop()
        for key, value in members.items():
            name = prefix + key
            # Long keys, nested, would take the square of the file's size.
            room -= len(name)
            if room < 0:
                unsupported(path, "the names of its nested settings are too long")
            if isinstance(value, dict):
                waiting.append((f"{name}.", value))
            elif isinstance(value, list) and all(isinstance(item, (str, int, float)) for item in value):
                settings[name] = tuple(value)
            elif isinstance(value, (str, int, float)):
                settings[name] = value
    return settings


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
