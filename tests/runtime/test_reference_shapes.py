"""Small random models of odd sizes, against the plain reference: in float32, to a few units of its rounding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

import tensorlogic
from tensorlogic.runtime import load_model
from tests.reference import gemma3, llama
from tests.reference.files import Array, read_gguf
from tests.runtime.language_models import MODELS, by_token
from tests.runtime.model_files import write_gguf


@dataclass(frozen=True)
class Sizes:
    """V tokens, D features, H heads of K items, G of keys and values, F features inside a feed-forward block."""

    name: str
    V: int = 65
    D: int = 48
    H: int = 4
    G: int = 2
    K: int = 12
    F: int = 96
    layers: int = 2
    tied: bool = True


LLAMAS = [
    Sizes("tied"),
    Sizes("untied", tied=False),
    Sizes("odd vocabulary", V=131),
    Sizes("one token", V=1),
    Sizes("odd heads", D=60, H=5, G=5),
    Sizes("three share one", D=36, H=3, G=1),
    Sizes("nine share three", D=72, H=9, G=3, K=8),
    Sizes("odd everything", V=77, D=42, H=7, G=1, K=6, F=37, layers=3, tied=False),
    Sizes("smallest planes", D=10, H=5, G=1, K=2),
]
GEMMAS = [
    Sizes("two periods", layers=13),
    Sizes("wide heads", D=20, H=3, G=1, K=32, layers=6),
    Sizes("odd everything", V=77, D=21, H=7, G=7, K=10, F=37, layers=7),
]


def weights(sizes: Sizes, random: np.random.Generator, norms: Mapping[str, int]) -> dict[str, Any]:
    """Tensors by their names in GGUF files; `norms` are those of a layer, with their sizes."""

    def matrix(rows: int, columns: int) -> Array:
        # So large that attention is far from even.
        values: Array = random.normal(scale=2 / columns**0.5, size=(rows, columns)).astype(np.float32)
        return values

    def norm(size: int) -> Array:
        return random.uniform(0.5, 1.5, size).astype(np.float32)

    s = sizes
    matrices = {
        "attn_q": (s.H * s.K, s.D),
        "attn_k": (s.G * s.K, s.D),
        "attn_v": (s.G * s.K, s.D),
        "attn_output": (s.D, s.H * s.K),
        "ffn_gate": (s.F, s.D),
        "ffn_up": (s.F, s.D),
        "ffn_down": (s.D, s.F),
    }
    found: dict[str, Any] = {"token_embd.weight": matrix(s.V, s.D), "output_norm.weight": norm(s.D)}
    if not s.tied:
        found["output.weight"] = matrix(s.V, s.D)
    for layer in range(s.layers):
        found |= {f"blk.{layer}.{name}.weight": matrix(*shape) for name, shape in matrices.items()}
        found |= {f"blk.{layer}.{name}.weight": norm(size) for name, size in norms.items()}
    return found


def settings(kind: str, sizes: Sizes, **others: int | float) -> dict[str, Any]:
    common: dict[str, int | float] = {
        "block_count": sizes.layers,
        "context_length": 4096,
        "embedding_length": sizes.D,
        "feed_forward_length": sizes.F,
        "attention.head_count": sizes.H,
        "attention.head_count_kv": sizes.G,
        "attention.layer_norm_rms_epsilon": 1e-3,
        "rope.freq_base": 500.0,
    }
    return {"general.architecture": kind, **{f"{kind}.{key}": value for key, value in (common | others).items()}}


def llama_tensors(sizes: Sizes) -> dict[str, Any]:
    return weights(sizes, np.random.default_rng(1), {"attn_norm": sizes.D, "ffn_norm": sizes.D})


def quantized(tensors: Mapping[str, Array], storage: str) -> dict[str, Any]:
    """With blocks of a storage type for matrices."""
    kind = gguf.GGMLQuantizationType[storage]
    return {name: (storage, gguf.quants.quantize(w, kind)) if w.ndim == 2 else w for name, w in tensors.items()}


def ids_of(sizes: Sizes, length: int = 24) -> list[int]:
    return [int(i) for i in np.random.default_rng(2).integers(0, sizes.V, length)]


def found(name: str, path: Path, ids: list[int]) -> Array:
    """By the model in the language: the first token in a step of its own, too."""
    module = tensorlogic.load(MODELS / f"{name}.tl")
    return by_token(module, module.load(load_model(path, dtype="float32")), ids, len(ids))


def hold(logits: Array, expected: Array) -> None:
    assert logits.shape == expected.shape
    assert expected.shape[-1] == 1 or np.abs(expected).max() > 1
    np.testing.assert_allclose(logits, expected, rtol=0, atol=2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("sizes", LLAMAS, ids=lambda sizes: sizes.name)
def test_llamas(tmp_path: Path, sizes: Sizes) -> None:
    path, ids = write_gguf(tmp_path / "m.gguf", llama_tensors(sizes), settings("llama", sizes)), ids_of(sizes)
    hold(found("llama", path, ids), llama.logits(read_gguf(path), ids))


@pytest.mark.parametrize("storage", ["Q4_0", "Q4_1", "Q5_0", "Q8_0"])
@pytest.mark.parametrize("tied", [True, False])
def test_packed_llamas(tmp_path: Path, storage: str, tied: bool) -> None:
    sizes = Sizes("packed", V=131, D=96, H=3, G=1, K=32, F=160, tied=tied)
    tensors = quantized(llama_tensors(sizes), storage)
    path, ids = write_gguf(tmp_path / "m.gguf", tensors, settings("llama", sizes)), ids_of(sizes)
    hold(found("llama", path, ids), llama.logits(read_gguf(path), ids))


def test_a_projection_that_is_the_embedding_is_left_out(tmp_path: Path) -> None:
    sizes = Sizes("tied", V=131)
    tensors, ids = llama_tensors(sizes), ids_of(sizes)
    names = {"tied": {}, "same": {"output.weight": tensors["token_embd.weight"]}}
    names["other"] = {"output.weight": tensors["token_embd.weight"][::-1].copy()}
    tied, same, other = (
        found("llama", write_gguf(tmp_path / f"{name}.gguf", tensors | more, settings("llama", sizes)), ids)
        for name, more in names.items()
    )
    np.testing.assert_array_equal(tied, same)
    np.testing.assert_allclose(other, tied[:, ::-1], rtol=0, atol=1e-4)


def test_rows_of_q_and_k_are_permuted(tmp_path: Path) -> None:
    """A file whose writer left them as Hugging Face has them says another model, by far."""
    sizes = Sizes("permuted")
    path = write_gguf(tmp_path / "right.gguf", llama_tensors(sizes), settings("llama", sizes))
    file, ids = read_gguf(path), ids_of(sizes)
    expected = llama.logits(file, ids)
    halves = llama.in_halves(file)
    hold(llama.logits(halves, ids, interleaved=False), expected)
    wrong = write_gguf(tmp_path / "wrong.gguf", dict(halves.tensors), settings("llama", sizes))
    differences = np.abs(found("llama", wrong, ids) - expected).max(axis=-1)
    assert differences[4:].min() > np.abs(expected).max() / 20


@pytest.mark.parametrize("sizes", GEMMAS, ids=lambda sizes: sizes.name)
@pytest.mark.parametrize("window", [1, 4, 24, 100])
def test_gemmas(tmp_path: Path, sizes: Sizes, window: int) -> None:
    path, ids = tmp_path / "m.gguf", ids_of(sizes)
    wide = dict.fromkeys(("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"), sizes.D)
    tensors = weights(sizes, np.random.default_rng(1), wide | {"attn_q_norm": sizes.K, "attn_k_norm": sizes.K})
    widths = {"attention.key_length": sizes.K, "attention.sliding_window": window}
    write_gguf(path, tensors, settings("gemma3", sizes, **widths))
    hold(found("gemma3", path, ids), gemma3.logits(read_gguf(path), ids))
