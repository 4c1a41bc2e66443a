"""Qwen 2 (Qwen Team 2024, "Qwen2 Technical Report") and the dense Qwen 3 (2025), in the names of a GGUF file.

Defined by `modeling_qwen2.py` and `modeling_qwen3.py` of Hugging Face's transformers. Like Llama, but: Qwen 2 adds a
bias to queries, keys and values. Qwen 3 has none, takes the norm of each head's queries and keys before they are
turned, and its heads may be of another size than a token's by their number. Rows of q and k are in GGUF what they are
for Hugging Face: items are turned in halves. Where a `config.json` says `use_sliding_window`, the layers from
`max_window_layers` on see the last `sliding_window` tokens alone; with `layer_types`, those that are
"sliding_attention" there.
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.reference.files import Array, File
from tests.reference.parts import attend, join_heads, rms_norm, rotate, silu, split_heads, visible


def logits(file: File, ids: Sequence[int]) -> Array:
    """[L, V] of the tokens `ids` [L]."""
    architecture = file.settings["general.architecture"]
    settings = {name.removeprefix(f"{architecture}."): value for name, value in file.settings.items()}
    heads, kv_heads = settings["attention.head_count"], settings["attention.head_count_kv"]
    eps, base = settings["attention.layer_norm_rms_epsilon"], settings["rope.freq_base"]

    # What only configurations of Hugging Face's say, or GGUF has another name for, and means nothing without the first.
    window, full = settings.get("attention.sliding_window"), settings.get("max_window_layers", 0)
    if not settings.get("use_sliding_window"):
        window = None
    usual = ["sliding_attention" if layer >= full else "full_attention" for layer in range(settings["block_count"])]
    kinds = settings.get("layer_types") or usual

    def projected(h: Array, name: str, count: int) -> Array:
        x = h @ file.weight(name).T
        if architecture == "qwen2":
            x = x + file.tensors[f"{name}.bias"]
        return split_heads(x, count)

    def turned(x: Array, name: str) -> Array:
        normed = rms_norm(x, file.weight(f"{name}_norm"), eps) if architecture == "qwen3" else x
        return rotate(normed, base, interleaved=False)

    x = file.weight("token_embd")[list(ids)]
    for layer in range(settings["block_count"]):
        name = f"blk.{layer}"
        h = rms_norm(x, file.weight(f"{name}.attn_norm"), eps)
        q = turned(projected(h, f"{name}.attn_q", heads), f"{name}.attn_q")
        k = turned(projected(h, f"{name}.attn_k", kv_heads), f"{name}.attn_k")
        v = projected(h, f"{name}.attn_v", kv_heads)
        seen = visible(len(ids), window if kinds[layer] == "sliding_attention" else None)
        x = x + join_heads(attend(q, k, v, seen)) @ file.weight(f"{name}.attn_output").T
        h = rms_norm(x, file.weight(f"{name}.ffn_norm"), eps)
        inner = silu(h @ file.weight(f"{name}.ffn_gate").T) * (h @ file.weight(f"{name}.ffn_up").T)
        x = x + inner @ file.weight(f"{name}.ffn_down").T
    # Without a projection of its own the embedding is it.
    head = "output" if "output.weight" in file.tensors else "token_embd"
    return rms_norm(x, file.weight("output_norm"), eps) @ file.weight(head).T
