"""Weights that MLX quantized, which a safetensors file keeps as two or three tensors: packed words, scales and biases.

A program sees one tensor of the weight's own shape. The file must say how many bits and which group size were used:
the shapes alone do not tell 4 bits in groups of 64 from 8 bits in groups of 32. `save_model` notes both in the file's
metadata, as a JSON object from the weight's name to `[bits, group_size]`; mlx-lm notes them in the `quantization` of
the folder's `config.json`, with exceptions by the weight's path: other settings, or `false` for a weight that is dense
(https://github.com/ml-explore/mlx-lm, `mlx_lm/utils.py`). In the modes `mxfp4`, `mxfp8` and `nvfp4` scales are bytes,
and there are no biases.
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
_AFFINE_DEFAULTS: Mapping[str, object] = {"bits": 4, "group_size": 64}


def companions(name: str) -> tuple[str, str]:
    """The names of a packed weight's scales and biases: MLX's own where the weight is called `weight`."""
    return f"{beside(name)}scales", f"{beside(name)}biases"


def beside(name: str) -> str:
    """What the names of a weight's companions begin with: the path of its layer, or where it has none its own name."""
    return name.removesuffix("weight") if name == "weight" or name.endswith(".weight") else f"{name}."


def is_triple(tensors: Mapping[str, TensorInfo], name: str) -> bool:
    """Whether `name` is the packed words of a weight whose scales, and biases in the mode affine, are there, too."""
    scales, biases = companions(name)
    if tensors[name].storage != "U32" or scales not in tensors:
        return False
    return biases in tensors or tensors[scales].storage == "U8"


def has_global_scale(tensors: Mapping[str, TensorInfo], name: str) -> bool:
    """Whether another number multiplies the whole weight, as mlx-lm writes it for `nvfp4` in mixtures of experts."""
    return companions(name)[0].removesuffix("scales") + "global_scale" in tensors


def configured_layouts(
    path: Path, tensors: Mapping[str, TensorInfo], quantization: Mapping[str, object]
) -> dict[str, PackedLayout]:
    """The layouts that mlx-lm's `config.json` at `path` gives to the triples among `tensors`."""
    layouts = {}
    # mlx-lm's own recipes of mixed bits write null for what they leave to MLX.
    usual = _without_null(quantization)
    for name in tensors:
        if not is_triple(tensors, name) or has_global_scale(tensors, name):
            continue
        own = quantization.get(name.removesuffix(".weight"), True)
        if own is False:
            damaged(path, f"it says that `{shown(name)}` is not quantized, but it is")
        # What an exception leaves out is MLX's own default, and not what holds for the others.
        chosen = _with_defaults(_without_null(own)) if isinstance(own, dict) else usual
        layouts[name] = _layout(path, name, chosen)
    return layouts


def _without_null(settings: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in settings.items() if value is not None}


def _with_defaults(settings: Mapping[str, object]) -> Mapping[str, object]:
    return {**_AFFINE_DEFAULTS, **settings} if settings.get("mode", "affine") == "affine" else settings


def _layout(path: Path, name: str, settings: Mapping[str, object]) -> PackedLayout:
    mode = settings.get("mode", "affine")
    fixed = next((layout for layout in MODED_LAYOUTS if layout.mode == mode), None)
    if fixed is None and mode != "affine":
        damaged(path, f"it gives `{shown(name)}` the mode `{shown(str(mode))}`, which MLX does not have")
    bits = settings.get("bits", fixed and fixed.bits)
    group_size = settings.get("group_size", fixed and fixed.group_size)
    # JSON has 4.0, which equals 4, and lists, which equal nothing.
    if type(bits) is not int or type(group_size) is not int:
        damaged(path, f"it gives `{shown(name)}` no whole numbers of bits and of elements in a group")
    layout = PackedLayout(bits, group_size) if fixed is None else fixed
    known = bits in AFFINE_BITS and group_size in AFFINE_GROUPS if fixed is None else True
    if not known or (bits, group_size) != (layout.bits, layout.group_size):
        how = shown(f"{bits} bits in groups of {group_size}")
        damaged(path, f"it gives `{shown(name)}` {how}, which MLX does not pack")
    return layout


def fold_triples(
    path: Path, tensors: Mapping[str, TensorInfo], layouts: Mapping[str, PackedLayout]
) -> dict[str, TensorInfo]:
    """The tensors with each noted triple made one. A triple that is not whole, or does not fit, is refused."""
    folded = dict(tensors)
    for name, layout in layouts.items():
        scales, biases = companions(name)
        names = (name, scales, biases) if layout.mode == "affine" else (name, scales)
        missing = next((part for part in names if part not in folded), None)
        if missing is not None:
            damaged(path, f"its metadata calls `{shown(name)}` quantized, but it holds no `{shown(missing)}`")
        if layout.mode != "affine" and biases in folded:
            damaged(path, f"it holds biases of `{shown(name)}`, and {layout.mode} has none")
        weight, *parts = (folded[part] for part in names)
        folded[name] = _fold(path, weight, parts[0], parts[1] if len(parts) > 1 else None, layout)
        for part in names[1:]:
            del folded[part]
    return folded


def _fold(
    path: Path, weight: TensorInfo, scales: TensorInfo, biases: TensorInfo | None, layout: PackedLayout
) -> TensorInfo:
    rows, width = weight.shape[:-1], (scales.shape[-1] if scales.shape else 0) * layout.group_size
    kinds = ("F16", "BF16", "F32") if layout.mode == "affine" else ("U8",)
    fits = (
        len(weight.shape) >= 2
        and weight.storage == "U32"
        and scales.storage in kinds
        and (biases is None or (biases.storage, biases.shape) == (scales.storage, scales.shape))
        and scales.shape[:-1] == rows
        and weight.shape[-1] * 32 == width * layout.bits
    )
    if not fits:
        how = f"{layout.bits} bits in groups of {layout.group_size}" if layout.mode == "affine" else layout.mode
        what = "words and scales" if biases is None else "words, scales and biases"
        damaged(path, f"the {what} of `{shown(weight.name)}` do not fit {how}")
    called = f"{layout.bits}BIT_G{layout.group_size}" if layout.mode == "affine" else layout.mode.upper()
    shape = (*rows, width)
    return replace(
        weight, storage=f"MLX_{called}", shape=shape, dtype="float16", layout=layout, scales=scales, biases=biases
    )


def fold_blocks(path: Path, tensors: Mapping[str, TensorInfo]) -> dict[str, TensorInfo]:
    """The tensors with each pair `x_blocks` and `x_scales` made one, `x`: MXFP4 as gpt-oss keeps it.

    Blocks are [..., groups, 16] bytes of two elements each, the first in the low half, and scales [..., groups]: MLX's
    own layout. https://github.com/openai/gpt-oss, `gpt_oss/torch/weights.py`.
    """
    folded: dict[str, TensorInfo] = {}
    for name, info in tensors.items():
        stem = name.removesuffix("_blocks")
        if name.endswith("_scales") and f"{name.removesuffix('_scales')}_blocks" in tensors:
            continue
        if stem == name or f"{stem}_scales" not in tensors:
            folded[name] = info
            continue
        scales = tensors[f"{stem}_scales"]
        fits = info.shape == (*scales.shape, 16) and len(scales.shape) > 1
        if stem in tensors or not fits or (info.storage, scales.storage) != ("U8", "U8"):
            damaged(path, f"`{shown(name)}` and its scales are no blocks of MXFP4")
        shape = (*scales.shape[:-1], scales.shape[-1] * 32)
        layout = PackedLayout(4, 32, "mxfp4")
        folded[stem] = replace(
            info, name=stem, storage="MXFP4_BLOCKS", shape=shape, dtype="float16", layout=layout, scales=scales
        )
    return folded
