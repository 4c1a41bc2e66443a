"""Sentence encoders that are a BERT (Devlin et al. 2018; Reimers and Gurevych 2019), of a folder of Hugging Face's.

Defined by `modeling_bert.py` of transformers: norms behind each sum, exact GELU, learned positions, every token sees
every token. The sentence's vector is the mean over its tokens, scaled to length 1 (`1_Pooling` and `modules.json` of
all-MiniLM-L6-v2).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tests.reference.files import Array, File
from tests.reference.parts import attend, gelu, join_heads, layer_norm, split_heads


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
