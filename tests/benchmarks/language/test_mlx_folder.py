"""A GGUF file as mlx-lm takes it: its names, the same packed bits, float32 for the rest."""

from __future__ import annotations

import json
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from benchmarks.language.mlx_folder import write_folder
from tensorlogic.runtime.models import load_model
from tensorlogic.runtime.packed import Packed, dense
from tests.runtime.model_files import Array, random_blocks, write_gguf

SIZES = {
    "block_count": 1,
    "embedding_length": 64,
    "feed_forward_length": 96,
    "context_length": 256,
    "attention.head_count": 2,
    "attention.head_count_kv": 1,
}


def model_file(path: Path, kind: str, more: dict[str, int]) -> Path:
    metadata: dict[str, str | int | float | list[object]] = {"general.architecture": kind}
    metadata |= {f"{kind}.{name}": value for name, value in (SIZES | more).items()}
    metadata |= {f"{kind}.attention.layer_norm_rms_epsilon": 1e-5, f"{kind}.rope.freq_base": 1e4}
    norm = np.full(64, 1.5, np.float32)
    tensors: dict[str, Array | tuple[str, Array]] = {
        "token_embd.weight": ("Q8_0", random_blocks("Q8_0", (5,), 64, seed=0)),
        "output_norm.weight": norm,
        "blk.0.attn_q.weight": ("Q4_1", random_blocks("Q4_1", (64,), 64, seed=1)),
        "blk.0.ffn_down.weight": ("Q4_0", random_blocks("Q4_0", (64,), 96, seed=2)),
        "blk.0.attn_v.weight": ("Q6_K", random_blocks("Q6_K", (64,), 256, seed=3)),
        "blk.0.attn_output.weight": np.ones((64, 64), np.float32),
        "blk.0.ffn_norm.weight": norm,
    }
    return write_gguf(path, tensors, metadata)


@pytest.mark.parametrize(
    ("kind", "more", "ffn_norm", "value"),
    [
        ("llama", {}, "post_attention_layernorm", 1.5),
        ("gemma3", {"attention.key_length": 32}, "pre_feedforward_layernorm", 0.5),
    ],
)
def test_the_folder(tmp_path: Path, kind: str, more: dict[str, int], ffn_norm: str, value: float) -> None:
    path = model_file(tmp_path / "model.gguf", kind, more)
    write_folder(path, tmp_path)
    weights = mx.load(str(tmp_path / "model.safetensors"))
    assert isinstance(weights, dict)
    model = load_model(path)
    for name, target, bits in [
        ("token_embd", "model.embed_tokens", 8),
        ("blk.0.attn_q", "model.layers.0.self_attn.q_proj", 4),
        ("blk.0.ffn_down", "model.layers.0.mlp.down_proj", 4),
    ]:
        packed = model.get_tensor(f"{name}.weight")
        assert isinstance(packed, Packed)
        assert packed.layout.bits == bits
        assert packed.biases is not None
        assert mx.array_equal(weights[f"{target}.weight"], packed.weight)
        assert mx.array_equal(weights[f"{target}.scales"], packed.scales.astype(mx.float32))
        assert mx.array_equal(weights[f"{target}.biases"], packed.biases.astype(mx.float32))
    # MLX has no product by groups of 16.
    values = model.get_tensor("blk.0.attn_v.weight")
    assert isinstance(values, Packed)
    assert mx.array_equal(weights["model.layers.0.self_attn.v_proj.weight"], dense(values, mx.float32))
    assert weights["model.layers.0.self_attn.o_proj.weight"].dtype == mx.float32
    # mlx-lm adds 1 to the norms of Gemma, which the file has already.
    assert weights["model.norm.weight"].tolist() == [value] * 64
    assert weights[f"model.layers.0.{ffn_norm}.weight"].tolist() == [value] * 64
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["head_dim"] == 32
    assert config["vocab_size"] == 5
    assert config["quantization"]["model.embed_tokens"] == {"group_size": 32, "bits": 8}
    assert not {f"model.layers.0.self_attn.{name}" for name in ("o_proj", "v_proj")} & set(config["quantization"])
