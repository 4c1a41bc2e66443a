"""The folder that mlx-lm takes, made of a GGUF file, whose format it does not read.

Weights are packed as our loader packs them, without a change, under the names that mlx-lm wants; scales, and what has
no packed layout, are float32. Architectures: llama and gemma3.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import mlx.core as mx

from tensorlogic.runtime import models
from tensorlogic.runtime.packed import Packed, dense

_NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "attn_output": "self_attn.o_proj",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_NORMS = {
    "llama": {"ffn_norm": "post_attention_layernorm"},
    "gemma3": {
        "post_attention_norm": "post_attention_layernorm",
        "ffn_norm": "pre_feedforward_layernorm",
        "post_ffw_norm": "post_feedforward_layernorm",
    },
}
_TYPES = {"llama": "llama", "gemma3": "gemma3_text"}


def write_folder(path: Path, folder: Path) -> None:
    """The model of a GGUF file as mlx-lm takes it."""
    model = models.load_model(path, dtype="float32")
    weights: dict[str, mx.array] = {}
    quantization: dict[str, object] = {"group_size": 32, "bits": 4}
    for name in model.tensors:
        place = target(model, name)
        tensor = model.get_tensor(name)
        if isinstance(tensor, Packed) and tensor.layout.is_mlx:
            quantization[place] = {"group_size": tensor.layout.group_size, "bits": tensor.layout.bits}
            weights[f"{place}.weight"] = tensor.weight
            weights[f"{place}.scales"] = tensor.scales.astype(mx.float32)
            assert tensor.biases is not None
            weights[f"{place}.biases"] = tensor.biases.astype(mx.float32)
            continue
        weights[f"{place}.weight"] = dense(tensor, mx.float32) - shift(model, place)
    mx.save_safetensors(str(folder / "model.safetensors"), weights)
    written = {**config(model), "quantization": quantization}
    (folder / "config.json").write_text(json.dumps(written), encoding="utf-8")


def target(model: models.Model, name: str) -> str:
    """mlx-lm's name for a tensor of the file, without `weight`."""
    names = _NAMES | _NORMS[_kind(model)]
    found = re.fullmatch(r"(?:blk\.(\d+)\.)?(\w+)\.weight", name)
    assert found, f"nobody knows the tensor {name}"
    layer, part = found.groups()
    return names[part] if layer is None else f"model.layers.{layer}.{names[part]}"


def shift(model: models.Model, place: str) -> int:
    """What is taken off a tensor: the file has Gemma's norms with the 1 that mlx-lm adds to them."""
    return 1 if _kind(model) == "gemma3" and place.endswith("norm") else 0


def config(model: models.Model) -> dict[str, object]:
    """The sizes of the file as mlx-lm's configurations have them."""
    kind = _kind(model)
    heads, width = model.int(f"{kind}.attention.head_count"), model.int(f"{kind}.embedding_length")
    return {
        "model_type": _TYPES[kind],
        "hidden_size": width,
        "num_hidden_layers": model.int(f"{kind}.block_count"),
        "intermediate_size": model.int(f"{kind}.feed_forward_length"),
        "num_attention_heads": heads,
        "num_key_value_heads": model.int(f"{kind}.attention.head_count_kv"),
        "head_dim": model.int(f"{kind}.attention.key_length") if kind == "gemma3" else width // heads,
        "rms_norm_eps": model.float(f"{kind}.attention.layer_norm_rms_epsilon"),
        "vocab_size": model.header.tensors["token_embd.weight"].shape[0],
        "rope_theta": model.float(f"{kind}.rope.freq_base"),
        # The files of llama.cpp have the rows of queries and keys permuted for it.
        "rope_traditional": kind == "llama",
        "max_position_embeddings": model.int(f"{kind}.context_length"),
        "tie_word_embeddings": True,
    }


def _kind(model: models.Model) -> str:
    return model.string("general.architecture")
