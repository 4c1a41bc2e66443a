"""Small random models of Phi-3's and Phi-4's kind, against the plain reference: in float32, in both formats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.reference import phi3
from tests.reference.files import Array, read_folder, read_gguf
from tests.reference.folders import in_gguf_names
from tests.runtime.model_files import write_gguf
from tests.runtime.small_models import Sizes, found, hold, ids_of, quantized, settings, stepped, weights, write_folder

SIZES = [
    Sizes("tied"),
    Sizes("untied", tied=False),
    Sizes("odd everything", V=77, D=42, H=7, G=7, K=6, F=37, layers=3, tied=False),
]
HALF = Sizes("half of a head", K=16, D=64)
LONGEST, ORIGINAL = 4096, 10
"""Tokens, of texts and of those before the periods were stretched."""
GROWTH = 1.9003
"""sqrt(1 + ln(4096 / 10) / ln(10))."""
PAIRS = 4
SHORT, LONG = [1.0, 1.25, 1.5, 1.0], [1.5, 3.0, 8.0, 20.0]


def tensors_of(sizes: Sizes) -> dict[str, Array]:
    """With rows of several matrices in one, as these models have them."""
    tensors = weights(sizes, np.random.default_rng(1), {"attn_norm": sizes.D, "ffn_norm": sizes.D})
    for layer in range(sizes.layers):
        parts = [tensors.pop(f"blk.{layer}.attn_{part}.weight") for part in "qkv"]
        tensors[f"blk.{layer}.attn_qkv.weight"] = np.concatenate(parts)
        both = [tensors.pop(f"blk.{layer}.ffn_{part}.weight") for part in ("gate", "up")]
        tensors[f"blk.{layer}.ffn_up.weight"] = np.concatenate(both)
    return tensors


def long_gguf(path: Path, sizes: Sizes, pairs: int) -> Path:
    factors = {"short": SHORT, "long": LONG}
    rope = {f"rope_factors_{name}.weight": np.array(values[:pairs], np.float32) for name, values in factors.items()}
    others = {"dimension_count": 2 * pairs, "scaling.attn_factor": GROWTH, "scaling.original_context_length": ORIGINAL}
    said = settings("phi3", sizes, **{f"rope.{name}": value for name, value in others.items()})
    return write_gguf(path, tensors_of(sizes) | rope, said)


def long_folder(path: Path, sizes: Sizes, pairs: int, scaling: dict[str, Any]) -> Path:
    said = settings("phi3", sizes, partial_rotary_factor=2 * pairs / sizes.K, original_max_position_embeddings=ORIGINAL)
    said["phi3.rope_scaling"] = {"short_factor": SHORT[:pairs], "long_factor": LONG[:pairs], **scaling}
    return write_folder(path, tensors_of(sizes), said, "phi3")


@pytest.mark.parametrize("sizes", SIZES, ids=lambda sizes: sizes.name)
@pytest.mark.parametrize("window", [0, 3, 100])
def test_both_formats(tmp_path: Path, sizes: Sizes, window: int) -> None:
    tensors, ids = tensors_of(sizes), ids_of(sizes)
    said = settings("phi3", sizes, **{"attention.sliding_window": window})
    path, folder = write_gguf(tmp_path / "m.gguf", tensors, said), tmp_path / "m"
    # As configurations do that have none.
    nulls = {"phi3.rope_scaling": None} | ({} if window else {"phi3.attention.sliding_window": None})
    write_folder(folder, tensors, said | nulls, "phi3")
    logits = found(path, ids)
    hold(logits, phi3.logits(read_gguf(path), ids))
    np.testing.assert_array_equal(found(folder, ids), logits)
    hold(logits, phi3.logits(in_gguf_names(read_folder(folder)), ids))


@pytest.mark.parametrize("storage", ["Q4_0", "Q8_0"])
def test_packed_rows(tmp_path: Path, storage: str) -> None:
    sizes = Sizes("packed", V=131, D=96, H=3, G=1, K=32, F=160)
    path, ids = tmp_path / "m.gguf", ids_of(sizes)
    write_gguf(path, quantized(tensors_of(sizes), storage), settings("phi3", sizes))
    hold(found(path, ids), phi3.logits(read_gguf(path), ids))


@pytest.mark.parametrize("length", [ORIGINAL - 3, ORIGINAL, ORIGINAL + 1, 24])
@pytest.mark.parametrize(("sizes", "pairs"), [(HALF, PAIRS), (Sizes("all of a head", K=8), PAIRS)])
def test_long_texts(tmp_path: Path, sizes: Sizes, pairs: int, length: int) -> None:
    """In one step all turn alike; in many steps what has turned by the short factors stays."""
    ids = ids_of(sizes, length)
    path = long_gguf(tmp_path / "m.gguf", sizes, pairs)
    rows, last = stepped(path, ids)
    file = read_gguf(path)
    hold(last, phi3.logits(file, ids)[-1:])
    hold(rows, phi3.logits(file, ids, one_by_one=True))
    for name, scaling in (("m", {"type": "longrope"}), ("n", {"type": "su"}), ("o", {"rope_type": "longrope"})):
        folder = long_folder(tmp_path / name, sizes, pairs, scaling)
        rows, last = stepped(folder, ids)
        file = in_gguf_names(read_folder(folder))
        hold(last, phi3.logits(file, ids)[-1:])
        hold(rows, phi3.logits(file, ids, one_by_one=True))


def test_factors_tell_texts_apart(tmp_path: Path) -> None:
    """So that the comparisons above can fail."""
    ids = ids_of(HALF)
    file = read_gguf(long_gguf(tmp_path / "m.gguf", HALF, PAIRS))
    at_once, stepwise = phi3.logits(file, ids), phi3.logits(file, ids, one_by_one=True)
    assert np.abs(at_once - stepwise)[-1].max() > np.abs(at_once).max() / 100
