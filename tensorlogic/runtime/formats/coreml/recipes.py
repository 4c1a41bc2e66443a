"""Tensors that a file does not hold as they are, but as something to compute them from: indices into a table, blocks
with scales, the nonzero elements alone, bits packed into bytes.

A recipe is a small tree whose leaves are runs of bytes. Its nodes are what Core ML calls `constexpr` operations and the
quantized weights of its neural networks. Nothing is read here: shapes and sizes are checked where a tree is built, so
that computing it cannot fail or ask for more memory than its own shape says. `recipe_values` computes it.

    Blocks     scale * (data - offset), a scale for each block of elements; the biases of neural networks are added
    Lookup     a table's item for each index; the item is a vector along `axis` where the table holds vectors
    Scatter    the values in their order where the mask has a 1, and 0 elsewhere
    Gather     the elements of a tensor where the mask has a 1, as a vector
    Repeat     each element several times along an axis
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from tensorlogic.runtime.formats.header import TensorInfo

MAX_DEPTH = 6
"""A pruned, palettized and quantized weight takes four."""
MAX_GROWTH = 64
"""Elements for each byte in the file: one bit chooses a vector of eight."""
BITS = {
    "F64": 64,
    "F32": 32,
    "F16": 16,
    "BF16": 16,
    "I64": 64,
    "I32": 32,
    "I16": 16,
    "I8": 8,
    "I4": 4,
    "U64": 64,
    "U32": 32,
    "U16": 16,
    "U8": 8,
    "U7": 7,
    "U6": 6,
    "U5": 5,
    "U4": 4,
    "U3": 3,
    "U2": 2,
    "U1": 1,
    "BOOL": 8,
    "F8_E4M3": 8,
    "F8_E5M2": 8,
}
"""The bits of an element of each type that is stored."""
PACKED = ("U1", "U2", "U3", "U4", "U5", "U6", "U7", "U8")
"""What may be an index into a table."""


class Misfit(Exception):
    """The parts of a recipe do not fit one another. Its text says which; the caller knows the tensor."""


@dataclass(frozen=True, slots=True)
class Source:
    """A run of bytes: `nbytes` from `offset` of the tensor's file, or `literal` itself where that is set.

    Elements of fewer than 8 bits follow one another without a gap, from the lowest bit of a byte, or from its highest
    one with `high_first`. With `varint` they are the whole numbers of a protocol buffer.
    """

    kind: str
    shape: tuple[int, ...]
    offset: int
    nbytes: int
    literal: bytes | None = None
    high_first: bool = False
    varint: bool = False
    depth: int = 0

    def __post_init__(self) -> None:
        needed = (math.prod(self.shape) * BITS[self.kind] + 7) // 8
        if not self.varint and self.nbytes != needed:
            raise Misfit(f"{self.kind} of shape {list(self.shape)} takes {needed} bytes, not {self.nbytes}")


@dataclass(frozen=True, slots=True)
class Step:
    """What is computed: elements of `kind` in `shape`, from `sources`, in `depth` steps after one another."""

    kind: str
    shape: tuple[int, ...]
    sources: frozenset[Source]
    depth: int


@dataclass(frozen=True, slots=True)
class Blocks(Step):
    """`scale * (data - offset) + bias`; each dim of the three is a divisor of that of `data`."""

    data: Node
    scale: Node
    offset: Node | None
    bias: Node | None


@dataclass(frozen=True, slots=True)
class Lookup(Step):
    """`table` has the rank of `indices` and two dims more: the items, and the elements of one item."""

    indices: Node
    table: Node
    axis: int


@dataclass(frozen=True, slots=True)
class Scatter(Step):
    values: Node
    mask: Node


@dataclass(frozen=True, slots=True)
class Gather(Step):
    data: Node
    mask: Node


@dataclass(frozen=True, slots=True)
class Repeat(Step):
    data: Node
    axis: int
    count: int


Node = Source | Blocks | Lookup | Scatter | Gather | Repeat


@dataclass(frozen=True, slots=True)
class ComputedInfo(TensorInfo):
    """A tensor that is computed from `recipe`. `storage` names the way, `nbytes` is what its parts take in the file."""

    recipe: Node | None = None


def blocks(data: Node, scale: Node, offset: Node | None = None, bias: Node | None = None) -> Blocks:
    """Raises `Misfit` for parts whose dims are no divisors, or a scale that is no float."""
    if scale.kind not in ("F16", "F32"):
        raise Misfit(f"its scales are {scale.kind}")
    for part, what in ((scale, "scales"), (offset, "offsets"), (bias, "biases")):
        if part is None:
            continue
        fits = len(part.shape) == len(data.shape) and all(
            b > 0 and a % b == 0 for a, b in zip(data.shape, part.shape, strict=True)
        )
        if not fits:
            raise Misfit(f"its {what} have the shape {list(part.shape)}, and its elements {list(data.shape)}")
    parts = [part for part in (data, scale, offset, bias) if part is not None]
    return Blocks(scale.kind, data.shape, *_parts(data.shape, *parts), data, scale, offset, bias)


def lookup(indices: Node, table: Node, axis: int | None) -> Lookup:
    """Raises `Misfit` for a table that does not have an item for each index, or whose axis is none."""
    *groups, items, width = table.shape if len(table.shape) >= 2 else (0, 0)
    rank = len(indices.shape)
    bits = BITS[indices.kind]
    if indices.kind not in PACKED or items != 2**bits:
        raise Misfit(f"its indices are {indices.kind}, and its table has {items} items")
    if len(groups) != rank or not all(b > 0 and a % b == 0 for a, b in zip(indices.shape, groups, strict=True)):
        raise Misfit(f"its table has the shape {list(table.shape)}, and its indices {list(indices.shape)}")
    if width != 1 and (axis is None or not -rank <= axis < rank or width == 0):
        raise Misfit(f"its table holds vectors of {width}, and no axis says where they lie")
    place = 0 if axis is None or width == 1 else axis % rank
    shape = tuple(size * width if dim == place else size for dim, size in enumerate(indices.shape))
    return Lookup(table.kind, shape, *_parts(shape, indices, table), indices, table, place)


def scatter(values: Node, mask: Node) -> Scatter:
    """Whether the mask has a 1 for each value is seen when it is computed. Raises `Misfit` where that cannot be."""
    if mask.kind != "U1" or len(values.shape) != 1 or values.shape[0] > math.prod(mask.shape):
        raise Misfit(f"{list(values.shape)} values do not fit a mask of {mask.kind}{list(mask.shape)}")
    return Scatter(values.kind, mask.shape, *_parts(mask.shape, values, mask), values, mask)


def gather(data: Node, mask: Node, count: int) -> Gather:
    """Whether the mask has `count` times a 1 is seen when it is computed. Raises `Misfit` for one of another shape."""
    if mask.kind != "U1" or data.shape != mask.shape:
        raise Misfit(f"a tensor of shape {list(data.shape)} has a mask of {mask.kind}{list(mask.shape)}")
    return Gather(data.kind, (count,), *_parts((count,), data, mask), data, mask)


def repeat(data: Node, axis: int, count: int) -> Node:
    """Each element `count` times along an axis."""
    if count == 1:
        return data
    shape = tuple(size * count if dim == axis else size for dim, size in enumerate(data.shape))
    return Repeat(data.kind, shape, *_parts(shape, data), data, axis, count)


def reshaped(source: Source, shape: tuple[int, ...], kind: str | None = None, *, high_first: bool = False) -> Source:
    """The same bytes as another shape, or as elements of another type. Raises `Misfit` where they do not make it."""
    return Source(kind or source.kind, shape, source.offset, source.nbytes, source.literal, high_first)


def sources_of(node: Node) -> frozenset[Source]:
    """The runs of bytes that a recipe needs."""
    return frozenset({node}) if isinstance(node, Source) else node.sources


def _parts(shape: tuple[int, ...], *parts: Node) -> tuple[frozenset[Source], int]:
    """The sources and the depth of a step that makes `shape` of these parts."""
    depth = 1 + max(part.depth for part in parts)
    if depth > MAX_DEPTH:
        raise Misfit(f"it is computed in more than {MAX_DEPTH} steps")
    sources = frozenset[Source]().union(*(sources_of(part) for part in parts))
    if any(source.kind in ("F8_E4M3", "F8_E5M2") for source in sources):
        raise Misfit("a part of it has elements of 8-bit floats")
    if math.prod(shape) > MAX_GROWTH * sum(source.nbytes for source in sources):
        raise Misfit(f"it has more than {MAX_GROWTH} elements for each byte in the file")
    return sources, depth


def storage_of(node: Node) -> str:
    """What a recipe is called as a storage type, from the outside in: `AFFINE_I4`, `LUT_U3`, `SPARSE_AFFINE_I8`."""
    match node:
        case Source():
            return node.kind
        case Blocks():
            return f"AFFINE_{storage_of(node.data)}"
        case Lookup():
            return f"LUT_{storage_of(node.indices)}"
        case Scatter():
            return f"SPARSE_{storage_of(node.values)}"
        case Gather():
            # The elements of what was scattered only to be computed in its place.
            return storage_of(node.data).replace("SPARSE_", "")
        case Repeat():
            return storage_of(node.data)


def computed_info(name: str, node: Node, dtype: str, file: Path) -> ComputedInfo:
    """A tensor that is computed from parts in one file."""
    sources = sources_of(node)
    offset = min((source.offset for source in sources if source.literal is None), default=0)
    nbytes = sum(source.nbytes for source in sources)
    quantized = not isinstance(node, Source)
    return ComputedInfo(
        name, storage_of(node), node.shape, dtype, offset, nbytes, file, is_quantized=quantized, recipe=node
    )
