"""Llama (Touvron et al. 2023) and what is built like it, of a GGUF file: SmolLM2, TinyLlama, Mistral.

Defined by `modeling_llama.py` of Hugging Face's transformers; names and settings are llama.cpp's. Its converter
permutes the rows of q and k (`LlamaModel.permute`), so that neighbours are turned together, as in the RoFormer paper.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tests.reference.files import Array, File
from tests.reference.parts import attend, join_heads, rms_norm, rotate, silu, split_heads, visible


def logits(file: File, ids: Sequence[int], last: int | None = None, *, interleaved: bool = True) -> Array:
    """[L, V] of the tokens `ids` [L], or of the `last` so many. `interleaved: False` reads q and k the other way."""
    settings = file.settings
    heads, kv_heads = settings["llama.attention.head_count"], settings["llama.attention.head_count_kv"]
    eps, base = settings["llama.attention.layer_norm_rms_epsilon"], settings["llama.rope.freq_base"]
    x = file.weight("token_embd")[list(ids)]
    # Of Mistral's folders, and null in most of them (`modeling_mistral.py`); Ministral's say which layers have it.
    window, kinds = settings.get("llama.attention.sliding_window"), settings.get("llama.layer_types")
    for layer in range(settings["llama.block_count"]):
        name = f"blk.{layer}"
        h = rms_norm(x, file.weight(f"{name}.attn_norm"), eps)
        q = rotate(split_heads(h @ file.weight(f"{name}.attn_q").T, heads), base, interleaved=interleaved)
        k = rotate(split_heads(h @ file.weight(f"{name}.attn_k").T, kv_heads), base, interleaved=interleaved)
        v = split_heads(h @ file.weight(f"{name}.attn_v").T, kv_heads)
        is_wide = kinds is not None and kinds[layer] == "full_attention"
        seen = visible(len(ids), None if is_wide else window)
        x = x + join_heads(attend(q, k, v, seen)) @ file.weight(f"{name}.attn_output").T
        h = rms_norm(x, file.weight(f"{name}.ffn_norm"), eps)
        inner = silu(h @ file.weight(f"{name}.ffn_gate").T) * (h @ file.weight(f"{name}.ffn_up").T)
        x = x + inner @ file.weight(f"{name}.ffn_down").T
    x = rms_norm(x[-(last or len(ids)) :], file.weight("output_norm"), eps)
    # Without a projection of its own the embedding is it.
    head = "output" if "output.weight" in file.tensors else "token_embd"
    return x @ file.weight(head).T


def in_halves(file: File) -> File:
    """The same model with q and k as Hugging Face has them: of each head first the rows 0, 2, 4..., then 1, 3, 5..."""
    counts = {"attn_q": "llama.attention.head_count", "attn_k": "llama.attention.head_count_kv"}
    tensors = dict(file.tensors)
    for name, tensor in file.tensors.items():
        for part, count in counts.items():
            if f".{part}." in name:
                pairs = tensor.reshape(file.settings[count], -1, 2, tensor.shape[-1])
                tensors[name] = np.ascontiguousarray(pairs.swapaxes(1, 2)).reshape(tensor.shape)
    return File(tensors, file.settings)
