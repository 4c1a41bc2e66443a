"""The two models: where their files lie, and what a token reads of them.

All is told by the file's header; no weight is read here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tensorlogic.runtime.formats import FileHeader, read_header
from tools.fetch_models import cache_folder

HALF = 2
"""Bytes of a cached number in llama.cpp."""
_PERIOD = 6
"""Gemma 3: each sixth layer sees everything."""


@dataclass(frozen=True)
class LanguageModel:
    """A GGUF file of the cache folder."""

    key: str
    name: str
    file: str

    @property
    def path(self) -> Path:
        return cache_folder() / self.file


MODELS = (
    LanguageModel("smollm2", "SmolLM2 135M, Q4_1", "SmolLM2-135M-Instruct.Q4_1.gguf"),
    LanguageModel("gemma3", "Gemma 3 270M, Q4_K_M", "gemma-3-270m.Q4_K_M.gguf"),
)


def bytes_read(path: Path, context: int) -> int:
    """Of weights as the file has them, and of a float16 cache, for a token after `context` others.

    The embedding counts once, as the output projection that it is, too.
    """
    header = read_header(path)
    weights = sum(info.nbytes for info in header.tensors.values())
    return weights + HALF * cached(header, context)


def cached(header: FileHeader, context: int) -> int:
    """How many numbers of the cache a token after `context` others reads: keys and values of every layer."""
    layers, head_count, kv_heads = (
        _int(header, part) for part in ("block_count", "attention.head_count", "attention.head_count_kv")
    )
    head = _int(header, "attention.key_length", _int(header, "embedding_length") // head_count)
    window = _int(header, "attention.sliding_window", context)
    far = layers // _PERIOD
    return 2 * kv_heads * head * (far * context + (layers - far) * min(context, window))


def _int(header: FileHeader, part: str, otherwise: int | None = None) -> int:
    value = header.metadata.get(f"{header.metadata['general.architecture']}.{part}", otherwise)
    assert isinstance(value, int), f"{header.path} has no {part}"
    return value
