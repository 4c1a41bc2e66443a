"""Weights that compressed-tensors packed: `x.weight_packed`, `x.weight_scale`, `x.weight_shape` and perhaps more.

Takes the tensors of a folder and its quantization settings; gives the tensors with each such group made one, `x.weight`
of the shape [out, in], as `grouped` does for GPTQ and AWQ. The format `pack-quantized` is of integers of 2, 4 or 8
bits, stored as they are plus half of their range, so that they are unsigned:

    weight_packed      [out, in * bits / 32] int32, along the input, the first element in the lowest bits: MLX's words
    weight_scale       [out, groups] floats; one group to a row for the strategy `channel`
    weight_zero_point  [out * bits / 32, groups] int32, packed along the output; where quantization is not symmetric
    weight_g_idx       [in], the group of each input, where inputs were reordered

https://github.com/vllm-project/compressed-tensors, `compressors/pack_quantized`. Settings with more than one kind of
weights, and other formats, are left alone: those tensors are then refused by name when they are used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tensorlogic.runtime.formats.header import TensorInfo, damaged, shown
from tensorlogic.runtime.formats.safetensors.grouped import ORDERS, SCALES, WORDS, GroupedInfo, weight_of

_BITS = (2, 4, 8)
"""Of these, all versions of the format lay words out alike."""
_PARTS = ("weight_scale", "weight_shape", "weight_zero_point", "weight_g_idx")


def fold_compressed(
    path: Path, tensors: Mapping[str, TensorInfo], quantization: Mapping[str, object]
) -> dict[str, TensorInfo]:
    """The tensors with the parts of each packed matrix made one. `path` is the file that holds the `quantization`."""
    kinds = quantization.get("config_groups")
    found = [kind.get("weights") if isinstance(kind, dict) else None for kind in _values(kinds)]
    settings = found[0] if found and all(weights == found[0] for weights in found) else None
    if not isinstance(settings, dict) or not _is_supported(settings):
        return dict(tensors)
    folded: dict[str, TensorInfo] = {}
    for name, info in tensors.items():
        prefix, dot, part = name.rpartition(".")
        words = tensors.get(f"{prefix}{dot}weight_packed")
        if words is None or len(words.shape) != 2 or part not in ("weight_packed", *_PARTS):
            folded[name] = info
        elif part == "weight_packed":
            whole = _fold(path, prefix + dot, tensors, settings)
            if whole.name in tensors:
                damaged(path, f"the folder holds both `{shown(name)}` and `{shown(whole.name)}`")
            folded[whole.name] = whole
    return folded


def _values(members: object) -> list[object]:
    return list(members.values()) if isinstance(members, dict) else []


def _is_supported(settings: Mapping[str, object]) -> bool:
    bits, group_size = settings.get("num_bits"), settings.get("group_size")
    by_groups = settings.get("strategy") == "group" and type(group_size) is int and group_size > 0
    return type(bits) is int and bits in _BITS and (by_groups or settings.get("strategy") == "channel")


def _fold(path: Path, prefix: str, tensors: Mapping[str, TensorInfo], settings: Mapping[str, object]) -> GroupedInfo:
    name = f"{prefix}weight"
    bits, group_size = settings["num_bits"], settings.get("group_size")
    assert isinstance(bits, int), "the settings were looked at"
    words, scales = tensors[f"{prefix}weight_packed"], tensors.get(f"{prefix}weight_scale")
    zeros, order = tensors.get(f"{prefix}weight_zero_point"), tensors.get(f"{prefix}weight_g_idx")
    if scales is None or (zeros is None and settings.get("symmetric") is False):
        missing = "weight_scale" if scales is None else "weight_zero_point"
        damaged(path, f"the folder holds `{shown(words.name)}`, but no `{shown(prefix + missing)}`")
    outputs, inputs = words.shape[0], words.shape[1] * 32 // bits
    size = group_size if settings.get("strategy") == "group" and isinstance(group_size, int) else max(inputs, 1)
    groups = -(-inputs // size)
    fits = (
        0 not in words.shape
        and words.storage in WORDS
        and scales.storage in SCALES
        and scales.shape == (outputs, groups)
        and inputs == groups * size
    )
    if zeros is not None:
        fits = fits and zeros.storage in WORDS and zeros.shape == (-(-outputs * bits // 32), groups)
    if order is not None:
        fits = fits and order.storage in ORDERS and order.shape == (inputs,)
    if not fits:
        damaged(words.file, f"the words, scales and zeros of `{shown(name)}` do not fit {bits} bits in such groups")
    whole = weight_of(name, words, scales, (outputs, inputs), "compressed-tensors", bits, size)
    return replace(whole, zeros=zeros, order=order)
