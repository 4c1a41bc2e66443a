"""Weights of eight bits with scales beside them: `x.weight` in FP8 or int8, and `x.weight_scale_inv` or the like.

Takes the tensors of a folder and its quantization settings; gives the tensors with each such pair made one, whose
elements are `weight * scale`. A scale stands for the whole weight, for a row, or for a block of rows and columns whose
size `weight_block_size` in the settings says; blocks at the edges may be cut off. In all the names below, the ones that
end in `_inv` among them, the scale is multiplied:

    weight_scale_inv   DeepSeek-V3 and what Transformers writes as `fp8`, by blocks
                       https://huggingface.co/deepseek-ai/DeepSeek-V3/blob/main/inference/kernel.py, `weight_dequant`
    weight_scale       `fbgemm_fp8` by rows; compressed-tensors (`float-quantized`, `int-quantized`) by weights or rows
    scale              the same as the first, of powers of two (F8_E8M0)

An FP8 weight without a scale in such a folder is refused (TL4003): what it holds are not the weight's values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tensorlogic.runtime.formats.header import TensorInfo, damaged, shown
from tensorlogic.runtime.formats.safetensors.triples import beside

FP8 = ("F8_E4M3", "F8_E5M2")
_SCALES = ("F32", "BF16", "F16", "F8_E8M0")


@dataclass(frozen=True, slots=True)
class ScaledInfo(TensorInfo):
    """A weight whose every element is to be multiplied by the scale of its block.

    `elements` is the storage type of the bytes, `block` how many elements along each dim share a scale.
    """

    elements: str = "F8_E4M3"
    block: tuple[int, ...] = ()


def scale_of(tensors: Mapping[str, TensorInfo], name: str) -> TensorInfo | None:
    """The scales that belong to the weight `name`, if there are any."""
    stem = beside(name)
    candidates = (f"{name}_scale_inv", f"{name}_scale", f"{stem}scale", f"{stem}scale_weight")
    return next((tensors[candidate] for candidate in candidates if candidate in tensors), None)


def fold_scaled(
    path: Path, tensors: Mapping[str, TensorInfo], quantization: Mapping[str, object]
) -> dict[str, TensorInfo]:
    """The tensors with each weight and its scales made one. `path` is the file that holds the `quantization`."""
    folded = dict(tensors)
    sizes = quantization.get("weight_block_size")
    for name, info in tensors.items():
        scales = scale_of(tensors, name)
        if info.storage not in (*FP8, "I8") or (info.storage == "I8" and scales is None):
            continue
        if scales is None:
            damaged(path, f"it says that weights are scaled, but the folder holds no scale of `{shown(name)}`")
        if f"{name}_zero_point" in tensors:
            damaged(path, f"the folder holds zero points of `{shown(name)}`, and such weights have none")
        folded.pop(scales.name, None)
        folded[name] = ScaledInfo(
            name=name,
            storage=f"{info.storage}_SCALED",
            shape=info.shape,
            dtype="float16",
            offset=info.offset,
            nbytes=info.nbytes,
            file=info.file,
            scales=scales,
            elements=info.storage,
            block=_block(path, info, scales, sizes),
        )
    return folded


def _block(path: Path, info: TensorInfo, scales: TensorInfo, sizes: object) -> tuple[int, ...]:
    """How many elements along each dim share a scale, or a refusal where the shapes do not fit."""
    shape = scales_shape(info.shape, scales.shape)
    given = sizes if isinstance(sizes, list) and all(type(size) is int and size > 0 for size in sizes) else []
    expected = [0] * (len(info.shape) - len(given)) + given
    block = tuple(map(_share, info.shape, shape, expected)) if len(shape) == len(info.shape) == len(expected) else (0,)
    if 0 in block or scales.storage not in _SCALES:
        damaged(
            path,
            f"the scales of `{shown(info.name)}` are {scales.storage} of shape {list(scales.shape)}, which do not fit "
            f"its shape {list(info.shape)}",
        )
    return block


def scales_shape(shape: tuple[int, ...], scales: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of scales with a dim for each of the weight's: one for all, or one for each row, may have fewer."""
    if scales in ((), (1,)):
        return (1,) * len(shape)
    return (*scales, 1) if scales == shape[:-1] else scales


def _share(size: int, scales: int, expected: int) -> int:
    """How many of `size` elements share one of `scales` scales; 0 where that cannot be."""
    if scales == 1:
        return max(size, 1)
    if scales == size:
        return 1
    return expected if expected and -(-size // expected) == scales else 0
