"""What stands beside a `tokenizer.json`: which tokens begin and end, and the chat template.

Takes a folder and its tokenizer's ids. Reads `tokenizer_config.json`, `generation_config.json` and
`chat_template.jinja`, each where it is there; unknown members are left alone, and what is used is checked. Refuses what
is no JSON object (TL4001, TL4003), a template that is too large (TL4407), and links out of the folder (TL4065).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats.files import open_file
from tensorlogic.runtime.formats.folder import check_inside, read_object
from tensorlogic.runtime.formats.header import damaged
from tensorlogic.runtime.text.ends import ENDS

MAX_TEMPLATE_BYTES = 1 << 17
"""Five times the longest templates that are in use. Compiling one that is made to be slow takes some seconds."""

_CONFIG, _GENERATION, _TEMPLATE = "tokenizer_config.json", "generation_config.json", "chat_template.jinja"
_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")


@dataclass(frozen=True, slots=True)
class Settings:
    """What a tokenizer is to its model. `variables` are tokens by the names that chat templates have for them."""

    bos_id: int | None = None
    eos_ids: tuple[int, ...] = ()
    chat_template: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)


def read_settings(folder: Path, id_of: Callable[[str], int | None], special: Mapping[str, int]) -> Settings:
    """The settings of a folder. `special` are the tokenizer's special tokens."""
    config = _object(folder, _CONFIG)
    variables = {name: token for name in _TOKENS if (token := _token(config.get(name))) is not None}
    begin, end = (id_of(variables[name]) if name in variables else None for name in ("bos_token", "eos_token"))
    ends = {special[token] for token in ENDS & special.keys()}
    ends.update(_ids(_object(folder, _GENERATION).get("eos_token_id")))
    ends.update([] if end is None else [end])
    return Settings(begin, tuple(sorted(ends)), _template(folder, config), variables)


def check_template(template: str, path: Path) -> str:
    """The template, which is of a size that is compiled (TL4407)."""
    if len(template) > MAX_TEMPLATE_BYTES:
        raise ModelFileError("TL4407", f"the chat template of {path} has more than {MAX_TEMPLATE_BYTES} characters")
    return template


def _template(folder: Path, config: Mapping[str, object]) -> str | None:
    """The folder's own file goes before what the settings have: one template, or several with names."""
    path = folder / _TEMPLATE
    if os.path.lexists(path):
        check_inside(folder, path)
        with open_file(path) as file:
            data = file.read(MAX_TEMPLATE_BYTES + 1)
        try:
            return check_template(data.decode(), path)
        except UnicodeDecodeError:
            damaged(path, "it is no valid UTF-8")
    found = config.get("chat_template")
    if isinstance(found, list):
        named = {item.get("name"): item.get("template") for item in found if isinstance(item, dict)}
        found = named.get("default")
    if found is not None and not isinstance(found, str):
        damaged(folder / _CONFIG, "its `chat_template` is no text")
    return None if found is None else check_template(found, folder / _CONFIG)


def _object(folder: Path, name: str) -> Mapping[str, object]:
    path = folder / name
    if not os.path.lexists(path):
        return {}
    check_inside(folder, path)
    return read_object(path)


def _token(value: object) -> str | None:
    """A token as settings write it: its text, or an object that holds it."""
    found = value.get("content") if isinstance(value, dict) else value
    return found if isinstance(found, str) and found else None


def _ids(value: object) -> Iterator[int]:
    for item in value if isinstance(value, list) else [value]:
        if type(item) is int and item >= 0:
            yield item
