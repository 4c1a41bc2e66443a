"""Gemma 3, the text models (Gemma Team 2025, "Gemma 3 Technical Report"), in the names of a GGUF file.

Defined by `modeling_gemma3.py` of Hugging Face's transformers and llama.cpp's `gemma3` graph. Unlike Llama: embeddings
times the root of their width; norms of each query and key before it is turned, in halves; norms of what attention and
feed-forward blocks give before it is added; tanh GELU; of six layers five see the last `sliding_window` tokens alone,
and turn with base 10,000. The output projection is the embedding. Norms multiply by 1 + w, and llama.cpp's converter
has put the 1 into the file. Scores are scaled by 1/sqrt(K) in all sizes but 27B, by `query_pre_attn_scalar` where it
is said: GGUF files do not. Scores and logits are softly capped, c * tanh(x / c), where a c is said.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from tests.reference.files import Array, File
from tests.reference.measures import Doubles
from tests.reference.measures import surprises as of_logits
from tests.reference.parts import attend, gelu_tanh, join_heads, rms_norm, split_heads, turn, visible

LOCAL_BASE = 10_000.0
PERIOD = 6
LARGEST = 62
"""Layers of 27B, whose scores are scaled otherwise; llama.cpp knows it by them."""
PART = 128
"""So many tokens' logits are held at a time: of 262,144 numbers each, 2,000 would take two gigabytes."""


def logits(
    file: File, ids: Sequence[int], last: int | None = None, watch: Callable[[str, Array], object] | None = None
) -> Array:
    """[L, V] of the tokens `ids` [L], or of the `last` so many. `watch` is shown what lies between, by name."""
    return projected(file, states(file, ids, watch)[-(last or len(ids)) :])


def surprises(file: File, ids: Sequence[int]) -> Doubles:
    """[L - 1], the negative log-probability of each token of `ids` [L] but the first, by those before it."""
    x, following = states(file, ids[:-1]), ids[1:]
    parts = (slice(begin, begin + PART) for begin in range(0, len(x), PART))
    return np.concatenate([of_logits(projected(file, x[part]), following[part]) for part in parts])


def projected(file: File, states: Array) -> Array:
    """Logits [L, V] of the states [L, D] behind the last layer."""
    settings = file.settings
    x = rms_norm(states, file.weight("output_norm"), settings["gemma3.attention.layer_norm_rms_epsilon"])
    found = x @ file.weight("token_embd").T
    cap = settings.get("gemma3.final_logit_softcapping")
    return np.float32(cap) * np.tanh(found / np.float32(cap)) if cap else found


def states(file: File, ids: Sequence[int], watch: Callable[[str, Array], object] | None = None) -> Array:
    """[L, D] behind the last layer, of the tokens `ids` [L]."""
    settings = {name.removeprefix("gemma3."): value for name, value in file.settings.items()}
    heads, kv_heads = settings["attention.head_count"], settings["attention.head_count_kv"]
    eps, window = settings["attention.layer_norm_rms_epsilon"], settings["attention.sliding_window"]
    # What only configurations of Hugging Face's say: the first by one of three names, from the newest on.
    period = settings.get("_sliding_window_pattern", settings.get("sliding_window_pattern", PERIOD))
    usual = ["full_attention" if layer % period == period - 1 else "" for layer in range(settings["block_count"])]
    kinds = settings.get("layer_types") or usual
    local_base, stretch = settings.get("rope_local_base_freq", LOCAL_BASE), 1.0
    if "rope_parameters" in settings:
        # As transformers 5 writes them. Linear scaling divides all speeds, of the layers that see all.
        wide, local = (settings["rope_parameters"][f"{kind}_attention"] for kind in ("full", "sliding"))
        assert wide["rope_type"] in ("default", "linear")
        wide_base, local_base, stretch = wide["rope_theta"], local["rope_theta"], wide.get("factor", 1.0)
    else:
        wide_base = settings["rope.freq_base"]
    half = file.weight("blk.0.attn_q_norm").size // 2
    scalar = settings.get("query_pre_attn_scalar")
    if scalar is None and settings["block_count"] == LARGEST:
        scalar = settings["embedding_length"] / heads
    score_cap = settings.get("attn_logit_softcapping")
    show = watch or (lambda name, value: None)

    def norm(x: Array, name: str) -> Array:
        return rms_norm(x, file.weight(name), eps)

    def scaled(q: Array) -> Array:
        # What is multiplied later by 1/sqrt(K) shall be by 1/sqrt(scalar).
        return q * np.float32(math.sqrt(q.shape[-1] / scalar)) if scalar else q

    x = file.weight("token_embd")[list(ids)] * np.float32(math.sqrt(settings["embedding_length"]))
    show("embedding", x)
    for layer in range(settings["block_count"]):
        name = f"blk.{layer}"
        is_global = kinds[layer] == "full_attention"
        speeds = (wide_base if is_global else local_base) ** (-np.arange(half) / half) / (stretch if is_global else 1)
        h = norm(x, f"{name}.attn_norm")
        q = norm(split_heads(h @ file.weight(f"{name}.attn_q").T, heads), f"{name}.attn_q_norm")
        k = norm(split_heads(h @ file.weight(f"{name}.attn_k").T, kv_heads), f"{name}.attn_k_norm")
        v = split_heads(h @ file.weight(f"{name}.attn_v").T, kv_heads)
        seen = visible(len(ids), None if is_global else window)
        q, k = turn(scaled(q), speeds, interleaved=False), turn(k, speeds, interleaved=False)
        mixed = attend(q, k, v, seen, score_cap)
        output = join_heads(mixed) @ file.weight(f"{name}.attn_output").T
        show("attention", output)
        x = x + norm(output, f"{name}.post_attention_norm")
        show("residual", x)
        h = norm(x, f"{name}.ffn_norm")
        inner = gelu_tanh(h @ file.weight(f"{name}.ffn_gate").T) * (h @ file.weight(f"{name}.ffn_up").T)
        show("inner", inner)
        fed = inner @ file.weight(f"{name}.ffn_down").T
        show("feed-forward", fed)
        x = x + norm(fed, f"{name}.post_ffw_norm")
        show("residual", x)
    return x


def with_ones(file: File) -> File:
    """A folder's model as GGUF has it: with the 1 in the norms' weights."""
    norms = {name: w + np.float32(1) for name, w in file.tensors.items() if name.endswith("norm.weight")}
    return File({**file.tensors, **norms}, file.settings)
