"""Folders of Hugging Face's in the names of GGUF files, in which the architectures here are written.

Names are those of transformers' `modeling_*.py` and `configuration_*.py`, and of the GGUF specification and llama.cpp's
`constants.py`. Values stay what they are: rows are not permuted, and norms not shifted, as llama.cpp's converter does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tests.reference.files import Array, File

OUTSIDE = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
LAYER = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
OTHER_LAYERS = {
    "gemma3_text": {
        "post_attention_layernorm": "post_attention_norm",
        "pre_feedforward_layernorm": "ffn_norm",
        "post_feedforward_layernorm": "post_ffw_norm",
    },
    "phi3": {"self_attn.qkv_proj": "attn_qkv", "mlp.gate_up_proj": "ffn_up"},
}
"""What is called otherwise, by `model_type`."""
SETTINGS = {
    "num_hidden_layers": "block_count",
    "hidden_size": "embedding_length",
    "intermediate_size": "feed_forward_length",
    "max_position_embeddings": "context_length",
    "num_attention_heads": "attention.head_count",
    "num_key_value_heads": "attention.head_count_kv",
    "rms_norm_eps": "attention.layer_norm_rms_epsilon",
    "rope_theta": "rope.freq_base",
    "head_dim": "attention.key_length",
    "sliding_window": "attention.sliding_window",
}
"""A setting that GGUF has no name for keeps its own."""
ARCHITECTURES = {"gemma3_text": "gemma3", "mistral": "llama"}
"""Those that GGUF calls otherwise."""


def in_gguf_names(file: File) -> File:
    kind = file.settings["model_type"]
    architecture = ARCHITECTURES.get(kind, kind)
    settings = {f"{architecture}.{SETTINGS.get(name, name)}": value for name, value in file.settings.items()}
    layer = _layer(kind)
    tensors = {renamed(name, r"model\.layers", "blk", layer, OUTSIDE): w for name, w in file.tensors.items()}
    return File(tensors, {"general.architecture": architecture, **settings})


def in_folder_names(kind: str, tensors: Mapping[str, Array]) -> dict[str, Array]:
    """The other way, to write such a folder."""
    layer = inverse(_layer(kind))
    return {renamed(name, "blk", "model.layers", layer, inverse(OUTSIDE)): w for name, w in tensors.items()}


def folder_settings(kind: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """`config.json` of the settings of a GGUF file, which may have some of Hugging Face's own behind its prefix."""
    known = inverse(SETTINGS)
    keys = {key: key.partition(".")[2] for key in settings if not key.startswith("general.")}
    return {"model_type": kind, **{known.get(name, name): settings[key] for key, name in keys.items()}}


def _layer(kind: str) -> dict[str, str]:
    others = OTHER_LAYERS.get(kind, {})
    return {name: other for name, other in LAYER.items() if other not in others.values()} | others


def inverse(names: Mapping[str, str]) -> dict[str, str]:
    """A table of names the other way."""
    assert len(set(names.values())) == len(names), "two names would be one"
    return {value: key for key, value in names.items()}


def renamed(name: str, layers: str, list_name: str, layer: Mapping[str, str], outside: Mapping[str, str]) -> str:
    """A tensor's name with other words for its list of layers, for what lies in a layer, and for what does not."""
    part, _, kind = name.rpartition(".")
    inside = re.fullmatch(rf"{layers}\.(\d+)\.(.+)", part)
    return f"{list_name}.{inside[1]}.{layer[inside[2]]}.{kind}" if inside else f"{outside[part]}.{kind}"
