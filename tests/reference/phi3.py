"""Phi-3 and Phi-4 mini (Abdin et al. 2024; Microsoft 2025), in the names of a GGUF file.

Defined by `modeling_phi3.py` and `modeling_rope_utils.py` (`longrope`) of Hugging Face's transformers and llama.cpp's
`phi3` graph. Like Llama, but: rows of queries, keys and values are one matrix, and so are those of gate and up; of each
head the first features alone are turned, in halves. LongRoPE divides each pair's speed by a factor of its own, from one
of two lists: the short one in texts of up to the original length, else the long one. It multiplies cosines and sines by
a number, and what is not turned stays as it is. A sliding window is Hugging Face's; llama.cpp leaves it out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.reference.files import Array, File
from tests.reference.parts import attend, join_heads, rms_norm, silu, split_heads, turn, visible


def logits(file: File, ids: Sequence[int], *, one_by_one: bool = False) -> Array:
    """[L, V] of the tokens `ids` [L], all at once or each in a step: then those of the original length keep the short
    factors, as keys in a cache do."""
    settings = {name.removeprefix("phi3."): value for name, value in file.settings.items()}
    heads, kv_heads = settings["attention.head_count"], settings["attention.head_count_kv"]
    eps, window = settings["attention.layer_norm_rms_epsilon"], settings.get("attention.sliding_window") or None
    size = file.weight("blk.0.attn_output").shape[1] // heads
    speeds, growth = _turning(file, settings, size, len(ids), one_by_one)
    turned = 2 * speeds.shape[-1]

    def rotate(x: Array) -> Array:
        return np.concatenate([turn(x[..., :turned], speeds, interleaved=False) * growth, x[..., turned:]], axis=-1)

    x = file.weight("token_embd")[list(ids)]
    for layer in range(settings["block_count"]):
        name = f"blk.{layer}"
        rows = rms_norm(x, file.weight(f"{name}.attn_norm"), eps) @ file.weight(f"{name}.attn_qkv").T
        q, k, v = np.split(rows, [heads * size, (heads + kv_heads) * size], axis=-1)
        queries, keys = rotate(split_heads(q, heads)), rotate(split_heads(k, kv_heads))
        mixed = attend(queries, keys, split_heads(v, kv_heads), visible(len(ids), window))
        x = x + join_heads(mixed) @ file.weight(f"{name}.attn_output").T
        both = rms_norm(x, file.weight(f"{name}.ffn_norm"), eps) @ file.weight(f"{name}.ffn_up").T
        gate, up = np.split(both, 2, axis=-1)
        x = x + (silu(gate) * up) @ file.weight(f"{name}.ffn_down").T
    head = "output" if "output.weight" in file.tensors else "token_embd"
    return rms_norm(x, file.weight("output_norm"), eps) @ file.weight(head).T


def _turning(
    file: File, settings: Mapping[str, Any], size: int, length: int, one_by_one: bool
) -> tuple[npt.NDArray[np.float64], np.float32]:
    """Speeds [L, P] of each token's pairs, and what cosines and sines are multiplied by."""
    share = settings.get("partial_rotary_factor", 1.0)
    pairs = settings.get("rope.dimension_count", int(size * share)) // 2
    speeds = np.tile(settings["rope.freq_base"] ** (-np.arange(pairs) / pairs), (length, 1))
    scaling = settings.get("rope_scaling") or {}
    if "rope_factors_long.weight" in file.tensors:
        short, long = file.weight("rope_factors_short"), file.weight("rope_factors_long")
        original, growth = settings["rope.scaling.original_context_length"], settings["rope.scaling.attn_factor"]
    elif scaling:
        assert (scaling.get("rope_type") or scaling["type"]) in ("longrope", "su")
        short, long = np.array(scaling["short_factor"]), np.array(scaling["long_factor"])
        original, longest = settings["original_max_position_embeddings"], settings["context_length"]
        growth = math.sqrt(1 + math.log(longest / original) / math.log(original)) if longest > original else 1.0
    else:
        return speeds, np.float32(1)
    # The last token of a token's step: itself, or that of the text.
    last = np.arange(length) if one_by_one else np.full(length, length - 1)
    return speeds / np.where(last[:, None] < original, short, long), np.float32(growth)
