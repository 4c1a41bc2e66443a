"""A cache of keys and values in a file: the beginning of many texts is computed once.

`save_cache` writes the tokens that a cache holds, their keys and values as they are kept, and whose they are, as
safetensors; the file appears whole or not at all. `load_cache` gives the cache again, for the same model alone: a file
of another model, or one that is damaged, is refused. A cache with a window has forgotten its beginning and is no
beginning of anything, so it is refused, too.

Raises `BoundaryError` TL5026 for these, and `ModelFileError` for what is no safetensors file or cannot be written.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import mlx.core as mx

from tensorlogic.runtime.caching import Held, KVCache
from tensorlogic.runtime.errors import BoundaryError
from tensorlogic.runtime.formats.header import shown
from tensorlogic.runtime.formats.replacing import replacing
from tensorlogic.runtime.models import Model, load_model

_FORMAT = "tensorlogic-kv-cache-1"
_SAMPLE = 4096
"""Bytes of each tensor that tell one model from another of the same shapes."""


def identity(model: Model) -> str:
    """What tells a model from others: a digest of its tensors' names, shapes and types, and of some bytes of each."""
    digest = hashlib.sha256(str(model.float_type).encode())
    for name, info in model.header.tensors.items():
        digest.update(json.dumps([name, info.storage, info.shape]).encode())
        piece = next(iter(model.bytes_in_file(name)), b"")
        digest.update(piece[:_SAMPLE])
    return digest.hexdigest()


def save_cache(cache: KVCache, ids: Sequence[int], path: str | Path, owner: str) -> None:
    """Write the first `len(ids)` tokens of a cache, whose ids they are. `owner` is the model's `identity`."""
    path = Path(path)
    arrays: dict[str, mx.array] = {}
    layers = []
    for number, held in cache.held(len(ids)).items():
        for what, parts in (("keys", held.keys), ("values", held.values)):
            for i, part in enumerate(parts):
                # Words are read as integers, which are signed.
                arrays[f"{number}.{what}.{i}"] = part.view(mx.int32) if part.dtype == mx.uint32 else part
        layers.append([number, list(held.sizes), len(held.keys)])
    if not arrays:
        _refuse(path, "an empty cache is not kept")
    described = {"owner": owner, "bits": cache.bits, "ids": list(ids), "layers": layers}
    mx.eval(list(arrays.values()))
    with replacing(path) as file:
        mx.save_safetensors(file, arrays, {"format": _FORMAT, "cache": json.dumps(described)})


def load_cache(path: str | Path, owner: str) -> tuple[KVCache, list[int]]:
    """A growing cache as it was saved, and the ids of its tokens."""
    path = Path(path)
    model = load_model(path, dtype="native")
    if model.header.metadata.get("format") != _FORMAT:
        _refuse(path, "it is no cache of keys and values")
    try:
        described: dict[str, Any] = json.loads(model.string("cache"))
        ids, bits = [int(i) for i in described["ids"]], described["bits"]
        layers = {int(number): (tuple(map(int, sizes)), int(count)) for number, sizes, count in described["layers"]}
        saved = str(described["owner"])
    except (ValueError, KeyError, TypeError) as problem:
        _refuse(path, f"what it says of itself cannot be read: {shown(str(problem))}")
    if saved != owner:
        _refuse(path, "it is of another model, or of this one in another type")
    held = {}
    for number, (sizes, count) in layers.items():
        keys, values = (
            tuple(_part(model, f"{number}.{what}.{i}", packed=bits is not None and i == 0) for i in range(count))
            for what in ("keys", "values")
        )
        held[number] = Held(keys, values, sizes)
    try:
        return KVCache.of(held, len(ids), bits), ids
    except BoundaryError as problem:
        _refuse(path, problem.message)


def _part(model: Model, name: str, *, packed: bool) -> mx.array:
    part = model.get_tensor(name)
    assert isinstance(part, mx.array)
    return part.view(mx.uint32) if packed else part


def _refuse(path: Path, why: str) -> NoReturn:
    raise BoundaryError(
        "TL5026", f"`{path}` cannot serve as a prompt's cache: {why}", helps=["another file name begins a new one"]
    )
