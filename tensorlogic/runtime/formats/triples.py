"""Weights that MLX quantized, which a safetensors file keeps as three tensors: packed words, scales and biases.

A program sees one tensor of the weight's own shape. The file must say how many bits and which group size were used:
the shapes alone do not tell 4 bits in groups of 64 from 8 bits in groups of 32. `save_model` notes both in the file's
metadata, as a JSON object from the weight's name to `[bits, group_size]`; mlx-lm notes them in the `quantization` of
the folder's `config.json`, with exceptions by the weight's path.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tensorlogic.runtime.formats.header import PackedLayout, TensorInfo, damaged, shown

LAYOUTS_KEY = "tensorlogic.quantization"
AFFINE_BITS = (2, 3, 4, 5, 6, 8)
AFFINE_GROUPS = (32, 64, 128)
MODED_LAYOUTS = (PackedLayout(4, 32, "mxfp4"), PackedLayout(8, 32, "mxfp8"), PackedLayout(4, 16, "nvfp4"))
"""The layouts of small floats, whose scales are bytes, and which have no biases."""


def companions(name: str) -> tuple[str, str]:
    """The names of a packed weight's scales and biases: MLX's own where the weight is called `weight`."""
    stem = name.removesuffix("weight") if name == "weight" or name.endswith(".weight") else f"{name}."
    return f"{stem}scales", f"{stem}biases"


def is_triple(tensors: Mapping[str, TensorInfo], name: str) -> bool:
    """Whether `name` is the packed words of a weight whose scales and biases are there, too."""
    return tensors[name].storage == "U32" and all(part in tensors for part in companions(name))


def configured_layouts(
    path: Path, tensors: Mapping[str, TensorInfo], quantization: Mapping[str, object]
) -> dict[str, PackedLayout]:
    """The layouts that mlx-lm's `config.json` at `path` gives to the triples among `tensors`."""
    layouts = {}
    for name in tensors:
        if not is_triple(tensors, name):
            continue
        own = quantization.get(name.removesuffix(".weight"))
        chosen = own if isinstance(own, dict) else quantization
        bits, group_size = chosen.get("bits"), chosen.get("group_size")
        # JSON has 4.0, which equals 4, and lists, which equal nothing.
        if type(bits) is not int or type(group_size) is not int:
            damaged(path, f"it gives `{shown(name)}` no whole numbers of bits and of elements in a group")
        if bits not in AFFINE_BITS or group_size not in AFFINE_GROUPS:
            damaged(path, f"it gives `{shown(name)}` {bits} bits in groups of {group_size}, which MLX does not pack")
        layouts[name] = PackedLayout(bits, group_size)
    return layouts


def fold_triples(
    path: Path, tensors: Mapping[str, TensorInfo], layouts: Mapping[str, PackedLayout]
) -> dict[str, TensorInfo]:
    """The tensors with each noted triple made one. A triple that is not whole, or does not fit, is refused."""
    folded = dict(tensors)
    for name, layout in layouts.items():
        names = (name, *companions(name))
        missing = next((part for part in names if part not in folded), None)
        if missing is not None:
            damaged(path, f"its metadata calls `{shown(name)}` quantized, but it holds no `{shown(missing)}`")
        weight, scales, biases = (folded.pop(part) for part in names)
        folded[name] = _fold(path, weight, scales, biases, layout)
    return folded


def _fold(path: Path, weight: TensorInfo, scales: TensorInfo, biases: TensorInfo, layout: PackedLayout) -> TensorInfo:
    rows, width = weight.shape[:-1], (scales.shape[-1] if scales.shape else 0) * layout.group_size
    fits = (
        len(weight.shape) >= 2
        and weight.storage == "U32"
        and scales.storage in ("F16", "BF16", "F32")
        and (biases.storage, biases.shape) == (scales.storage, scales.shape)
        and scales.shape[:-1] == rows
        and weight.shape[-1] * 32 == width * layout.bits
    )
    if not fits:
        damaged(
            path,
            f"the words, scales and biases of `{shown(weight.name)}` do not fit "
            f"{layout.bits} bits in groups of {layout.group_size}",
        )
    storage = f"MLX_{layout.bits}BIT_G{layout.group_size}"
    return replace(
        weight, storage=storage, shape=(*rows, width), dtype="float16", layout=layout, scales=scales, biases=biases
    )
