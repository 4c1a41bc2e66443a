"""Sentence encoders that are a BERT (Devlin et al. 2018; Reimers and Gurevych 2019), in Hugging Face's names.

Defined by `modeling_bert.py` of transformers: norms behind each sum, exact GELU, learned positions, every token sees
every token. The sentence's vector is the mean over its tokens, scaled to length 1 (`1_Pooling` and `modules.json` of
all-MiniLM-L6-v2).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tests.reference.files import Array, File
from tests.reference.folders import inverse, renamed
from tests.reference.parts import attend, gelu, join_heads, layer_norm, split_heads

OUTSIDE = {
    "embeddings.word_embeddings": "token_embd",
    "embeddings.position_embeddings": "position_embd",
    "embeddings.token_type_embeddings": "token_types",
    "embeddings.LayerNorm": "token_embd_norm",
}
LAYER = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}
SETTINGS = {
    "num_attention_heads": "bert.attention.head_count",
    "num_hidden_layers": "bert.block_count",
    "layer_norm_eps": "bert.attention.layer_norm_epsilon",
}
"""What GGUF files call it (the GGUF specification, and llama.cpp's `constants.py`)."""


def gguf_name(name: str) -> str:
    return renamed(name, r"encoder\.layer", "blk", LAYER, OUTSIDE)


def of_gguf(file: File) -> File:
    """A GGUF file in Hugging Face's names."""
    layer, outside = inverse(LAYER), inverse(OUTSIDE)
    tensors = {renamed(name, "blk", "encoder.layer", layer, outside): w for name, w in file.tensors.items()}
    return File(tensors, {name: file.settings[key] for name, key in SETTINGS.items()})


def hidden(file: File, ids: Sequence[int]) -> Array:
    """The last layer's vectors [L, D] of the tokens `ids` [L], all of the first segment."""
    settings, tensors = file.settings, file.tensors
    heads = settings["num_attention_heads"]

    def dense(x: Array, name: str) -> Array:
        return x @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]

    def norm(x: Array, name: str) -> Array:
        return layer_norm(x, tensors[f"{name}.weight"], tensors[f"{name}.bias"], settings["layer_norm_eps"])

    x = (
        tensors["embeddings.word_embeddings.weight"][list(ids)]
        + tensors["embeddings.position_embeddings.weight"][: len(ids)]
        + tensors["embeddings.token_type_embeddings.weight"][0]
    )
    x = norm(x, "embeddings.LayerNorm")
    for layer in range(settings["num_hidden_layers"]):
        name = f"encoder.layer.{layer}"
        q, k, v = (split_heads(dense(x, f"{name}.attention.self.{part}"), heads) for part in ("query", "key", "value"))
        mixed = dense(join_heads(attend(q, k, v)), f"{name}.attention.output.dense")
        x = norm(x + mixed, f"{name}.attention.output.LayerNorm")
        fed = dense(gelu(dense(x, f"{name}.intermediate.dense")), f"{name}.output.dense")
        x = norm(x + fed, f"{name}.output.LayerNorm")
    return x


def vector(file: File, ids: Sequence[int]) -> Array:
    """The sentence's vector [D], of length 1."""
    pooled: Array = hidden(file, ids).mean(axis=0)
    return pooled / np.float32(np.linalg.norm(pooled))
