"""How the weights of a safetensors model were quantized: which of its tensors belong together, and make one weight.

Takes the tensors of a file or folder and the quantization settings of the folder's `config.json`; gives the tensors as
a program sees them. Folded are the triples of MLX, the groups of GPTQ, AWQ and compressed-tensors, eight-bit weights
with scales, and blocks of MXFP4. What belongs to a scheme that this version does not read stays listed by its own name,
marked as not readable: the model opens, and using that tensor is an error that names the scheme and says what can be
done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats.header import PackedLayout, TensorInfo, shown
from tensorlogic.runtime.formats.safetensors.compressed import fold_compressed
from tensorlogic.runtime.formats.safetensors.grouped import fold_grouped
from tensorlogic.runtime.formats.safetensors.scaled import FP8, fold_scaled, scale_of
from tensorlogic.runtime.formats.safetensors.triples import (
    configured_layouts,
    fold_blocks,
    fold_triples,
    has_global_scale,
    is_triple,
)

_SCALED_METHODS = ("fp8", "fbgemm_fp8")
_SCALED_FORMATS = ("float-quantized", "int-quantized", "naive-quantized")
_BYTES = ("U8", "I8", "U16", "I16", "U32", "I32", *FP8)

_OTHER_VERSION = "load the original model, or a version of it for MLX, GPTQ, AWQ or GGUF"
_LOAD_FOLDER = "load its folder, whose `config.json` says it"


@dataclass(frozen=True, slots=True)
class _Scheme:
    """What is said of a tensor that cannot be read, after its name, and what can be done instead."""

    what: str
    help: str


_SCHEMES = {
    "MLX": _Scheme(
        "was packed by MLX, and nothing says with how many bits and in which groups",
        "load its folder, whose `config.json` says it under `quantization`",
    ),
    "MLX_GLOBAL_SCALE": _Scheme("was packed by MLX with a global scale, which is not supported", _OTHER_VERSION),
    "GPTQ_OR_AWQ": _Scheme("was packed by GPTQ or AWQ, and nothing says by which and in which groups", _LOAD_FOLDER),
    "SCALED": _Scheme("has scales beside it, and nothing says how they are applied", _LOAD_FOLDER),
    "BITSANDBYTES": _Scheme("was quantized by bitsandbytes, which is not supported", _OTHER_VERSION),
    "COMPRESSED_TENSORS": _Scheme("was packed by compressed-tensors in a way that is not supported", _OTHER_VERSION),
    "MXFP4_BLOCKS": _Scheme("is in blocks of MXFP4, and nothing says how they are to be read", _LOAD_FOLDER),
}


def fold_weights(
    path: Path,
    tensors: Mapping[str, TensorInfo],
    noted: Mapping[str, PackedLayout],
    config: Path,
    quantization: Mapping[str, object],
) -> dict[str, TensorInfo]:
    """The tensors of the file or folder `path`, each weight made one.

    `noted` are the layouts that the files themselves note, `quantization` what the file `config` says, empty where
    there is none. Raises `ModelFileError` for settings that contradict the tensors (TL4003).
    """
    method = quantization.get("quant_method")
    layouts = dict(noted)
    if quantization and method is None:
        layouts = configured_layouts(config, tensors, quantization) | layouts
    folded = fold_triples(path, tensors, layouts)
    kind = method.lower() if isinstance(method, str) else ""
    unknown = ""
    if kind in ("gptq", "awq"):
        folded = fold_grouped(config, folded, quantization)
    elif kind in _SCALED_METHODS or (kind == "compressed-tensors" and quantization.get("format") in _SCALED_FORMATS):
        folded = fold_scaled(config, folded, quantization)
    elif kind == "compressed-tensors" and quantization.get("format") == "pack-quantized":
        folded = fold_compressed(config, folded, quantization)
    elif kind == "mxfp4":
        folded = fold_blocks(config, folded)
    elif method is not None:
        unknown = shown(str(method))
    return {name: _marked(folded, info, unknown) for name, info in folded.items()}


def unreadable(info: TensorInfo) -> ModelFileError:
    """The error (TL4004) for using a tensor that this version cannot read."""
    scheme = _SCHEMES.get(info.storage)
    if scheme is not None:
        what, helps = scheme.what, [scheme.help]
    elif info.storage.isupper():
        what, helps = f"is stored as {info.storage}, which neither MLX nor GGUF's library decodes", []
    else:
        what, helps = f"is stored as {info.storage}, which is not supported", [_OTHER_VERSION]
    return ModelFileError("TL4004", f"`{info.file}`: tensor `{shown(info.name)}` {what}", helps=helps)


def _marked(tensors: Mapping[str, TensorInfo], info: TensorInfo, unknown: str) -> TensorInfo:
    """The tensor, marked as not readable where it belongs to a scheme that was not folded."""
    if info.scales is not None or info.storage not in _BYTES:
        return info
    scheme = _scheme_of(tensors, info)
    if scheme is not None:
        return replace(info, storage=scheme, readable=False, is_quantized=True)
    if not unknown:
        return info
    return replace(info, storage=f"{info.storage} of {unknown}", readable=False, is_quantized=True)


def _scheme_of(tensors: Mapping[str, TensorInfo], info: TensorInfo) -> str | None:
    name = info.name
    stem, _, part = name.rpartition(".")
    prefix = f"{stem}." if stem else ""
    if is_triple(tensors, name):
        return "MLX_GLOBAL_SCALE" if has_global_scale(tensors, name) else "MLX"
    if part == "qweight":
        return "GPTQ_OR_AWQ"
    if f"{name}.absmax" in tensors or f"{prefix}SCB" in tensors:
        return "BITSANDBYTES"
    if part == "weight_packed":
        return "COMPRESSED_TENSORS"
    if name.endswith("_blocks") and f"{name.removesuffix('_blocks')}_scales" in tensors:
        return "MXFP4_BLOCKS"
    if info.storage in (*FP8, "I8") and scale_of(tensors, name) is not None:
        return "SCALED"
    return None
