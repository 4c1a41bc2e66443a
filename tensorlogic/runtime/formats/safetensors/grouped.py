"""Weights of GPTQ and AWQ, which a folder keeps as `x.qweight`, `x.qzeros`, `x.scales` and perhaps `x.g_idx`.

Takes the tensors of a folder and its quantization settings; gives the tensors with each such group made one, `x.weight`
of the shape [out, in]. An element is `scale * (bits - zero)`, the scale and the zero shared by `group_size` elements
of a row. Both formats lie transposed, and their words are int32, of 32/bits elements for 2, 4 and 8 bits:

    GPTQ   qweight [in * bits / 32, out]   along the input, the first element in the lowest bits; 3 bits run on from
           word to word. qzeros [groups, out * bits / 32] alike along the output. The first version of the format
           (`checkpoint_format` "gptq") stores zeros less 1, the second ("gptq_v2") as they are. `g_idx` [in] names the
           group of each input where the order of quantizing was another than the inputs' (`desc_act`).
           https://github.com/AutoGPTQ/AutoGPTQ, `auto_gptq/nn_modules/qlinear/qlinear_cuda.py`;
           https://github.com/ModelCloud/GPTQModel, `gptqmodel/utils/model.py`, `convert_gptq_v1_to_v2_format_module`
    AWQ    qweight [in, out / 8], qzeros [groups, out / 8] along the output, the eight elements of a word in the order
           0 2 4 6 1 3 5 7; always 4 bits.
           https://github.com/casper-hansen/AutoAWQ, `awq/modules/linear/gemm.py`, and `awq/utils/packing_utils.py`

scales are [groups, out] floats in both. The shapes tell how many bits and inputs there are, and settings that say
otherwise are refused (TL4003); variants that lay words out in another way are refused by name (TL4004).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from tensorlogic.runtime.formats.header import PackedLayout, TensorInfo, check_shape, damaged, shown, unsupported
from tensorlogic.runtime.formats.safetensors.triples import AFFINE_GROUPS

_BITS = {"gptq": (2, 3, 4, 8), "awq": (4,)}
_VERSIONS = {"gptq": ("gptq", "gptq_v2"), "awq": ("gemm",)}
_VERSION_KEYS = {"gptq": ("checkpoint_format", "format"), "awq": ("version", "checkpoint_format", "format")}
_BITS_KEYS = ("bits", "w_bit")
_GROUP_KEYS = ("group_size", "q_group_size")
_CALLED = {"gptq": "GPTQ", "awq": "AWQ", "compressed-tensors": "COMPRESSED"}
WORDS = ("I32", "U32")
SCALES = ("F16", "BF16", "F32")
ORDERS = ("I32", "I64")
"""The storage types of words, of scales and of the list of each input's group."""


@dataclass(frozen=True, slots=True)
class GroupedInfo(TensorInfo):
    """A weight of groups: what `TensorInfo` says is of its words, such as `qweight`, but for its name and shape.

    `group_size` is the file's own. `layout` is what the words can be repacked to without expanding them, whose groups
    may be parts of the file's; None where there is none. `zero_step` is what is to be added to each stored zero;
    without `zeros`, each is half of the range of the bits.
    """

    method: str = "gptq"
    bits: int = 4
    group_size: int = 128
    zero_step: int = 0
    zeros: TensorInfo | None = None
    order: TensorInfo | None = None

    @property
    def parts(self) -> tuple[TensorInfo, ...]:
        return tuple(part for part in (self.scales, self.zeros, self.order) if part is not None)


@dataclass(frozen=True, slots=True)
class _Settings:
    method: str
    bits: int
    group_size: int
    version: str
    mixed: bool
    """Whether single weights may have other bits and groups than those above."""
    reordered: bool


def fold_grouped(
    path: Path, tensors: Mapping[str, TensorInfo], quantization: Mapping[str, object]
) -> dict[str, TensorInfo]:
    """The tensors with the parts of each weight made one. `path` is the file that holds the `quantization`."""
    if not any(name.rpartition(".")[2] == "qweight" for name in tensors):
        return dict(tensors)
    settings = _read_settings(path, quantization)
    folded: dict[str, TensorInfo] = {}
    for name, info in tensors.items():
        stem, _, part = name.rpartition(".")
        prefix = f"{stem}." if stem else ""
        if part == "qweight":
            whole = _fold(path, prefix, tensors, settings)
            if whole.name in tensors:
                damaged(path, f"the folder holds both `{shown(name)}` and `{shown(whole.name)}`")
            folded[whole.name] = whole
        elif part not in ("qzeros", "scales", "g_idx") or f"{prefix}qweight" not in tensors:
            folded[name] = info
    return folded


def _read_settings(path: Path, quantization: Mapping[str, object]) -> _Settings:
    method = str(quantization["quant_method"]).lower()
    bits = _number(path, quantization, _BITS_KEYS)
    group_size = _number(path, quantization, _GROUP_KEYS)
    if bits not in _BITS[method]:
        unsupported(path, f"its {method.upper()} weights have {shown(str(bits))} bits, which is not supported")
    if group_size != -1 and group_size < 1:
        damaged(path, f"it gives groups of {shown(str(group_size))} elements")
    given = next((quantization[key] for key in _VERSION_KEYS[method] if key in quantization), None)
    version = _VERSIONS[method][0] if given is None else str(given).lower()
    if version not in _VERSIONS[method]:
        unsupported(
            path,
            f"its {method.upper()} weights are laid out for `{shown(version)}`, which is not supported",
            f"load a version of the model in the format `{_VERSIONS[method][0]}`, or as MLX or GGUF",
        )
    mixed = bool(quantization.get("dynamic")) or bool(quantization.get("modules_in_block_to_quantize"))
    return _Settings(method, bits, group_size, version, mixed, quantization.get("desc_act") is True)


def _number(path: Path, quantization: Mapping[str, object], keys: tuple[str, ...]) -> int:
    value = next((quantization[key] for key in keys if key in quantization), None)
    # JSON's true is Python's 1, and its 4.0 equals 4.
    if type(value) is not int:
        damaged(path, f"its quantization gives no whole number as `{keys[0]}`")
    return value


def _fold(path: Path, prefix: str, tensors: Mapping[str, TensorInfo], settings: _Settings) -> GroupedInfo:
    words, zeros, scales = (_part(path, prefix, part, tensors) for part in ("qweight", "qzeros", "scales"))
    order = tensors.get(f"{prefix}g_idx") if settings.method == "gptq" else None
    name = f"{prefix}weight"
    label = f"the words, zeros and scales of `{shown(name)}`"
    ranks = {len(part.shape) for part in (words, zeros, scales)}
    types = words.storage in WORDS and zeros.storage in WORDS and scales.storage in SCALES
    if ranks != {2} or not types:
        damaged(words.file, f"{label} are no matrices of 32-bit words and of floats")
    groups, outputs = scales.shape
    if 0 in (*words.shape, *zeros.shape, *scales.shape):
        damaged(words.file, f"{label} hold nothing")
    bits = _bits_of(zeros.shape[1], outputs)
    inputs = words.shape[0] if settings.method == "awq" else words.shape[0] * 32 // max(bits, 1)
    fits = (
        bits in _BITS[settings.method]
        and zeros.shape[0] == groups
        and words.shape[1] == (zeros.shape[1] if settings.method == "awq" else outputs)
        and (settings.method == "awq" or inputs * bits == words.shape[0] * 32)
        and (bits == settings.bits or settings.mixed)
    )
    if not fits:
        damaged(words.file, f"{label} do not fit {settings.method.upper()} with {settings.bits} bits")
    group_size = inputs if settings.group_size == -1 else settings.group_size
    if -(-inputs // group_size) != groups:
        if not settings.mixed or inputs % groups:
            damaged(
                words.file,
                f"{label} make {groups} groups of {inputs} inputs, and not groups of {shown(str(group_size))}",
            )
        group_size = inputs // groups
    if order is not None and (order.storage not in ORDERS or order.shape != (inputs,)):
        damaged(words.file, f"`{shown(order.name)}` is no list of the groups of {inputs} inputs")
    if order is None and settings.reordered and settings.method == "gptq":
        damaged(path, f"it says that inputs are reordered (`desc_act`), but the folder holds no `{prefix}g_idx`")
    whole = weight_of(name, words, scales, (outputs, inputs), settings.method, bits, group_size)
    return replace(whole, zero_step=1 if settings.version == "gptq" else 0, zeros=zeros, order=order)


def weight_of(
    name: str,
    words: TensorInfo,
    scales: TensorInfo,
    shape: tuple[int, int],
    method: str,
    bits: int,
    group_size: int,
) -> GroupedInfo:
    """The weight [out, in] that these words and scales make, without zeros and in the inputs' own order."""
    check_shape(words.file, name, shape)
    called = "ROW" if group_size >= shape[1] else f"G{group_size}"
    return GroupedInfo(
        name=name,
        storage=f"{_CALLED[method]}_{bits}BIT_{called}",
        shape=shape,
        dtype="float16",
        offset=words.offset,
        nbytes=words.nbytes,
        file=words.file,
        layout=_packed_layout(bits, shape[1], group_size),
        scales=scales,
        method=method,
        bits=bits,
        group_size=group_size,
    )


def _part(path: Path, prefix: str, part: str, tensors: Mapping[str, TensorInfo]) -> TensorInfo:
    info = tensors.get(prefix + part)
    if info is None:
        damaged(path, f"the folder holds `{shown(prefix)}qweight`, but no `{shown(prefix + part)}`")
    return info


def _bits_of(words: int, outputs: int) -> int:
    """The bits of an element, of which `outputs` fill so many words; 0 where they do not fill them."""
    bits, rest = divmod(words * 32, outputs)
    return 0 if rest else bits


def _packed_layout(bits: int, inputs: int, group_size: int) -> PackedLayout | None:
    """MLX's layout that holds the weight: its groups are the file's, or equal parts of each."""
    for size in sorted(AFFINE_GROUPS, reverse=True):
        whole_groups = group_size % size == 0 or group_size >= inputs
        if inputs % size == 0 and whole_groups:
            return PackedLayout(bits, size)
    return None
