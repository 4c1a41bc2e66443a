"""Small random models in both formats, for `tests/reference` to be compared with the language's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import mlx.core as mx
import numpy as np
from safetensors.numpy import save_file

from tensorlogic.runtime import KVCache, load_model
from tensorlogic.runtime.architectures import module_of
from tests.reference.files import Array
from tests.reference.folders import folder_settings, in_folder_names
from tests.runtime.language_models import by_token, numbers


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


def weights(sizes: Sizes, random: np.random.Generator, norms: Mapping[str, int]) -> dict[str, Array]:
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
    found: dict[str, Array] = {"token_embd.weight": matrix(s.V, s.D), "output_norm.weight": norm(s.D)}
    if not s.tied:
        found["output.weight"] = matrix(s.V, s.D)
    for layer in range(s.layers):
        found |= {f"blk.{layer}.{name}.weight": matrix(*shape) for name, shape in matrices.items()}
        found |= {f"blk.{layer}.{name}.weight": norm(size) for name, size in norms.items()}
    return found


def settings(kind: str, sizes: Sizes, **others: Any) -> dict[str, Any]:
    common: dict[str, Any] = {
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


def quantized(tensors: Mapping[str, Array], storage: str) -> dict[str, Any]:
    """With blocks of a storage type for matrices."""
    kind = gguf.GGMLQuantizationType[storage]
    return {name: (storage, gguf.quants.quantize(w, kind)) if w.ndim == 2 else w for name, w in tensors.items()}


def ids_of(sizes: Sizes, length: int = 24) -> list[int]:
    return [int(i) for i in np.random.default_rng(2).integers(0, sizes.V, length)]


def write_folder(path: Path, tensors: Mapping[str, Array], settings: Mapping[str, Any], kind: str) -> Path:
    """A folder of Hugging Face's, of the `model_type` `kind`, with what has the names of GGUF files here."""
    path.mkdir()
    save_file(in_folder_names(kind, tensors), path / "model.safetensors")
    (path / "config.json").write_text(json.dumps(folder_settings(kind, settings)), encoding="utf-8")
    return path


def stepped(path: Path, ids: list[int]) -> tuple[Array, Array]:
    """By the language's model of a file's architecture: [L, V], each token in a step, and [1, V], all in one."""
    model = load_model(path, dtype="float32")
    module = module_of(model)
    net = module.load(model)
    last, _ = module.step(net, mx.array([ids], mx.int32), KVCache())
    return by_token(module, net, ids, len(ids)), numbers(last)


def found(path: Path, ids: list[int]) -> Array:
    """Logits [L, V] by the language's model, which are the same in one step and in many."""
    rows, last = stepped(path, ids)
    hold(last, rows[-1:])
    return rows


def hold(logits: Array, expected: Array) -> None:
    assert logits.shape == expected.shape
    assert expected.shape[-1] == 1 or np.abs(expected).max() > 1
    np.testing.assert_allclose(logits, expected, rtol=0, atol=2e-5 * np.abs(expected).max())
