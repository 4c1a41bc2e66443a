"""`save_model`: a model, or named tensors, as a safetensors or a GGUF file, which the name's ending decides.

In safetensors, names, shapes and element types are what PyTorch, Hugging Face and MLX read back. A packed weight
`x.weight` becomes MLX's own three tensors `x.weight`, `x.scales` and `x.biases` (the latter in the mode `affine` only),
unless it is to be expanded. Of a model's metadata everything is kept that is text, a number, a truth value or a short
list of whole numbers or of texts; safetensors keeps nothing but text. That of a GGUF file is kept in full, vocabularies
and types included, for a GGUF file that may be made of this one (`formats/gguf/text.py`). What becomes of a model in
GGUF is in `saving_gguf`. The file appears whole or not at all, and memory holds one tensor of a model at a time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tensorlogic.runtime.formats import MetadataValue, PackedLayout
from tensorlogic.runtime.formats.gguf.text import GGUF_KEY, to_text
from tensorlogic.runtime.formats.header import shown
from tensorlogic.runtime.formats.safetensors.header import STORAGES as STORED_AS
from tensorlogic.runtime.formats.safetensors.triples import LAYOUTS_KEY, companions
from tensorlogic.runtime.formats.safetensors.write import Part, Piece, write_safetensors
from tensorlogic.runtime.packed import Packed, Tensor
from tensorlogic.runtime.unsaved import STORAGES, Content, Unsaved, bytes_of, content_of, refuse

if TYPE_CHECKING:
    from tensorlogic.runtime.models import Model

_LONGEST_LIST = 256
"""More than models have layers, and less than vocabularies have words."""
_WORD = 4

_Parts = Callable[..., Iterator[Part]]


def save_model(model: Model | Mapping[str, Tensor], path: str | os.PathLike[str], *, dequantize: bool = False) -> None:
    """Write a `.safetensors` or a `.gguf` file; with `dequantize`, packed weights are expanded.

    Raises `ModelFileError` for another ending, for what has no place in such a file and where the file cannot be
    written (TL4012; TL4030 for what GGUF alone cannot hold).
    """
    target = Path(path)
    check_ending(target)
    save_content(content_of(target, model), target, dequantize=dequantize)


def save_content(content: Content, target: Path, *, dequantize: bool = False) -> None:
    """Write what was gathered, as `save_model` does."""
    tensors = tuple(tensor.expanded() for tensor in content.tensors) if dequantize else content.tensors
    if target.suffix == ".gguf":
        from tensorlogic.runtime.saving_gguf import save_gguf  # here, since few programs write the format

        save_gguf(target, content, tensors)
    else:
        _save_safetensors(target, content, tensors)


def check_ending(target: Path) -> None:
    """Refuse a name whose ending is of no format that can be written."""
    if target.suffix not in (".safetensors", ".gguf"):
        refuse(target, "the name must end in `.safetensors` or `.gguf`, which decides the format")


def _save_safetensors(target: Path, content: Content, tensors: tuple[Unsaved, ...]) -> None:
    tensors = tuple(map(_in_mlx_layouts, tensors))
    names = {tensor.name for tensor in tensors}
    if "__metadata__" in names:
        refuse(target, "no tensor may be called `__metadata__`, which the format keeps for itself")
    layouts: dict[str, PackedLayout] = {}
    taken: set[str] = set()

    def parts(tensor: Unsaved, only: int | None = None) -> Iterator[Part]:
        if tensor.kept is not None:
            taken.add(tensor.name)
            yield Part(tensor.name, tensor.kept.storage, tensor.shape, memoryview(b"".join(tensor.kept.read())))
            return
        whole = tensor.make()
        if isinstance(whole, Packed):
            layouts[tensor.name] = whole.layout
            arrays = [whole.weight, whole.scales, *([] if whole.biases is None else [whole.biases])]
        else:
            arrays = [whole]
        for number, (name, array) in enumerate(zip(_names(tensor), arrays, strict=False)):
            if only is not None and number != only:
                continue
            if name in taken or (number and name in names):
                refuse(target, f"two tensors would be called `{shown(name)}`")
            taken.add(name)
            yield Part(name, STORAGES[array.dtype], array.shape, bytes_of(array))

    pieces = [piece for tensor in tensors for piece in _pieces(tensor, parts)]
    kept = kept_metadata(content.metadata) | _gguf_text(content)
    possible = {tensor.name: tensor.layout for tensor in tensors if tensor.layout is not None}
    write_safetensors(target, pieces, kept | _notes(possible), lambda: kept | _notes(layouts))


def _in_mlx_layouts(tensor: Unsaved) -> Unsaved:
    """Expanded where MLX has no product by its layout: such triples would be of no use to anybody else."""
    is_foreign = tensor.layout is not None and not tensor.layout.is_mlx
    return tensor.expanded() if is_foreign and tensor.kept is None else tensor


def _pieces(tensor: Unsaved, parts: _Parts) -> Iterator[Piece]:
    names = _names(tensor)
    if tensor.kept is not None:
        # Elements of four and six bits are stored together, and lie at any place.
        storage = STORED_AS[tensor.kept.storage]
        yield Piece(names, tensor.shape, storage.block_bytes if storage.block_size == 1 else 1, lambda: parts(tensor))
    elif tensor.layout is None:
        yield Piece(names, tensor.shape, tensor.dtype().size, lambda: parts(tensor))
    elif tensor.layout.mode == "affine" or tensor.shape[-1] // tensor.layout.group_size % _WORD == 0:
        # A scale and a bias together have a multiple of four bytes, and so do four scales of one.
        yield Piece(names, tensor.shape, _WORD, lambda: parts(tensor))
    else:
        # Scales of one byte would put the words that follow at odd places: they go to the end, and are made there
        # once more.
        yield Piece(names[:1], tensor.shape, _WORD, lambda: parts(tensor, 0))
        yield Piece(names[1:], tensor.shape, 1, lambda: parts(tensor, 1))


def _names(tensor: Unsaved) -> tuple[str, ...]:
    if tensor.layout is None:
        return (tensor.name,)
    scales, biases = companions(tensor.name)
    return (tensor.name, scales, biases) if tensor.layout.mode == "affine" else (tensor.name, scales)


def _gguf_text(content: Content) -> dict[str, str]:
    text = to_text(content.gguf_metadata)
    return {} if text is None else {GGUF_KEY: text}


def _notes(layouts: Mapping[str, PackedLayout]) -> dict[str, str]:
    if not layouts:
        return {"format": "pt"}
    noted = {name: note_of(layout) for name, layout in sorted(layouts.items())}
    return {"format": "mlx", LAYOUTS_KEY: json.dumps(noted, ensure_ascii=False)}


def note_of(layout: PackedLayout) -> list[int | str]:
    """What a file notes of a layout: its bits, its group size and, where it is not `affine`, its mode."""
    mode = [] if layout.mode == "affine" else [layout.mode]
    return [layout.bits, layout.group_size, *mode]


def kept_metadata(metadata: Mapping[str, MetadataValue]) -> dict[str, str]:
    """The part of a model's metadata that is kept as text."""
    kept = {}
    for key, value in metadata.items():
        if key in (LAYOUTS_KEY, GGUF_KEY):
            continue
        if isinstance(value, str):
            kept[key] = value
        elif isinstance(value, tuple):
            if len(value) <= _LONGEST_LIST and {type(item) for item in value} in (set(), {int}, {str}):
                kept[key] = json.dumps(list(value))
        else:
            kept[key] = json.dumps(value)
    return kept
