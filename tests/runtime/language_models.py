"""Runs the language's own models for tests that want more than the last token's logits."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any, Literal

import mlx.core as mx
import numpy as np

import tensorlogic
from tensorlogic.compiler.names import PRELUDE
from tensorlogic.runtime import KVCache, load_model
from tensorlogic.runtime.device import on_gpu
from tests.reference.files import Array
from tests.reference.measures import margins

MODELS = PRELUDE.parent / "models"
CHUNK = 256

CHAPTER = Path(__file__).parents[1] / "data/alice.txt"
"""Lewis Carroll, "Alice's Adventures in Wonderland" (1865), chapter 1: in the public domain, and 2,700 tokens long."""


@dataclass(frozen=True)
class Bounds:
    """How far a way to compute may be off: divergence in nats, on the average and at one token, and perplexity."""

    name: str
    dtype: Literal["float16", "bfloat16", "float32"]
    mean: float
    largest: float
    perplexity: float
    options: dict[str, bool] = field(default_factory=dict)

    def require(self, divergence: Array, share: float) -> None:
        """`share` is the perplexity over the reference's."""
        print(f"{self.name}: {divergence.mean():.2e}, {divergence.max():.2e}, {share - 1:.3%}")
        assert divergence.mean() < self.mean
        assert divergence.max() < self.largest
        assert abs(share - 1) < self.perplexity


def require_alike(found: Array, wanted: Array) -> None:
    """Logits in float32, and the same best token wherever the reference is sure of it."""
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= float32_bound()
    is_sure = margins(wanted) > 0.05
    assert is_sure.sum() > len(wanted) // 2
    assert (found.argmax(axis=-1) == wanted.argmax(axis=-1))[is_sure].all()


def float32_bound() -> float:
    """How far logits in float32 may be off: 0.05. A CPU is held to a tenth, which would notice the other GELU."""
    return 0.05 if on_gpu() else 0.005


def text_ids(path: Path, count: int) -> list[int]:
    """The first tokens of the chapter, by the tokenizer of a model."""
    ids = load_model(path).tokenizer.encode(CHAPTER.read_text(encoding="utf-8"))
    assert len(ids) >= count
    return list(ids[:count])


def every_token(file: str, *, strict: bool = False, fast: bool = False) -> ModuleType:
    """A model of the standard library, compiled so that its `step` gives the logits [B, L, V] of all L tokens."""
    text = (MODELS / file).read_text(encoding="utf-8")
    for last, every in (("x[:, L-1]", "x"), ("(T[B, V], KVCache)", "(T[B, L, V], KVCache)")):
        assert text.count(last) == 1, f"{file} says another way that it keeps the last token"
        text = text.replace(last, every)
    with TemporaryDirectory() as folder:
        # Beside the files that it imports.
        copy = Path(shutil.copytree(MODELS, folder, dirs_exist_ok=True), file)
        copy.write_text(text, encoding="utf-8")
        return tensorlogic.load(copy, strict=strict, fast=fast)


def in_chunks(module: ModuleType, net: Any, ids: Sequence[int], last: int | None = None) -> Array:
    """Logits [L, V] by `every_token`'s module, or those of the `last` so many."""
    first = len(ids) - (last or len(ids))
    rows: Array = np.concatenate(list(_stepped(module, net, ids, first, CHUNK)), axis=1)[0]
    return rows


def chunk_by_chunk(module: ModuleType, net: Any, ids: Sequence[int]) -> Iterator[Array]:
    """The same of all tokens in pieces [256, V], of which one is held: for vocabularies that are large."""
    return (logits[0] for logits in _stepped(module, net, ids, 0, CHUNK))


def by_token(module: ModuleType, net: Any, ids: Sequence[int], last: int) -> Array:
    """Logits [last, V] of the last so many tokens, by a module whose `step` gives the last one's, each in its step."""
    rows: Array = np.concatenate(list(_stepped(module, net, ids, len(ids) - last, 1)))
    return rows


def _stepped(module: ModuleType, net: Any, ids: Sequence[int], first: int, size: int) -> Iterator[Array]:
    """Logits of the steps from the token number `first` on, each of so many tokens; what is before is a prompt."""
    cache = KVCache()
    begins = [*range(0, first, CHUNK), *range(first, len(ids), size)]
    for begin, end in pairwise([*begins, len(ids)]):
        logits, cache = module.step(net, mx.array([list(ids[begin:end])], mx.int32), cache)
        if begin >= first:
            yield numbers(logits)
        else:
            # The logits, which nobody looks at, are not computed.
            cache.evaluate()


def numbers(x: mx.array) -> Array:
    """As float32."""
    return np.array(x.astype(mx.float32))
