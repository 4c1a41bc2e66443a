"""In what two model files differ: names, shapes, storage types, and values with how far they are apart.

Takes two headers with their open files, gives frozen records. Values are compared as `elements` gives them, so that
files of different formats and storage types can be compared; equal bytes of the same storage type are not decoded. A
NaN equals a NaN, and -0 equals 0. Memory is bounded as `elements` says, for each of the two files.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from tensorlogic.runtime import progress
from tensorlogic.runtime.elements import elements
from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats import OpenFiles, TensorInfo
from tensorlogic.runtime.formats.summary import stored_bytes
from tensorlogic.runtime.formats.values import Array, read_pieces

Tensors = Mapping[str, TensorInfo]
Side = tuple[OpenFiles, TensorInfo]
"""One of the two tensors that are compared."""

_STEP = 1 << 17
"""Elements that fit a processor's cache with what is computed of them."""


@dataclass(frozen=True, slots=True)
class Distance:
    """How far the `differing` of `count` elements of a tensor are apart.

    `maximum` is the largest absolute difference, `rms` the root of the mean squared one, and `relative` that divided
    by the first tensor's own rms. All are infinite where one side has a NaN or an infinity that the other has not.
    """

    count: int
    differing: int
    maximum: float
    rms: float
    relative: float


@dataclass(slots=True)
class Comparison:
    """What differs between two models, by the tensors' names in the first one's order, then the second's."""

    only_first: list[str] = field(default_factory=list)
    only_second: list[str] = field(default_factory=list)
    shapes: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = field(default_factory=dict)
    storages: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Tensors of one shape that the files keep differently, whatever their values."""
    values: dict[str, Distance] = field(default_factory=dict)
    problems: dict[str, ModelFileError] = field(default_factory=dict)
    """Tensors whose values cannot be read from one of the files."""
    equal: int = 0
    """Tensors of equal shape and values."""

    @property
    def differs(self) -> bool:
        """Whether names, shapes or values do, or could not be compared. How values are stored does not count."""
        return bool(self.only_first or self.only_second or self.shapes or self.values or self.problems)


def compare(first: tuple[Tensors, OpenFiles], second: tuple[Tensors, OpenFiles]) -> Comparison:
    """Compare the tensors of two open models. A tensor that cannot be read is among the result's `problems`."""
    ours, theirs = first[0], second[0]
    found = Comparison(
        only_first=[name for name in ours if name not in theirs],
        only_second=[name for name in theirs if name not in ours],
    )
    common = [(name, info, theirs[name]) for name, info in ours.items() if name in theirs]
    with progress.work("Comparing", lambda: sum(stored_bytes(info) + stored_bytes(other) for _, info, other in common)):
        for name, info, other in common:
            with progress.part(stored_bytes(info) + stored_bytes(other)):
                if info.shape != other.shape:
                    found.shapes[name] = (info.shape, other.shape)
                    continue
                if info.storage != other.storage:
                    found.storages[name] = (info.storage, other.storage)
                _compare_values(found, name, (first[1], info), (second[1], other))
    return found


def _compare_values(found: Comparison, name: str, first: Side, second: Side) -> None:
    try:
        apart = None if _same_bytes(first, second) else distance(first, second)
    except ModelFileError as problem:
        found.problems[name] = problem
        return
    if apart is not None and apart.differing:
        found.values[name] = apart
    else:
        found.equal += 1


def _same_bytes(first: Side, second: Side) -> bool:
    """Whether two tensors of one shape are kept in the same way, and with the same bytes."""
    (files, info), (other_files, other) = first, second
    if (info.storage, info.nbytes) != (other.storage, other.nbytes):
        return False
    if type(info) is not TensorInfo or type(other) is not TensorInfo:
        return False
    for part, other_part in ((info.scales, other.scales), (info.biases, other.biases)):
        if (part is None) != (other_part is None):
            return False
        if part is not None and other_part is not None and not _same_bytes((files, part), (other_files, other_part)):
            return False
    pieces = zip(read_pieces(files[info.file], info, 1), read_pieces(other_files[other.file], other, 1), strict=True)
    return all(piece == other_piece for (_, piece), (_, other_piece) in pieces)


def distance(first: Side, second: Side) -> Distance:
    """How far two tensors of equal shape are apart. Raises `ModelFileError` for one that cannot be read."""
    count, differing, maximum, squares, own_squares = 0, 0, 0.0, 0.0, 0.0
    for a, b in _side_by_side(elements(*first), elements(*second)):
        count += a.size
        wide = a.astype(np.float64)
        # Judged in the files' own types: in float64 large integers would look equal.
        unequal = (a != b) & ~((a != a) & (b != b))
        number = int(np.count_nonzero(unequal))
        with np.errstate(over="ignore", invalid="ignore"):
            if number:
                differing += number
                apart = np.abs(wide[unequal] - b[unequal].astype(np.float64))
                apart[~np.isfinite(apart)] = math.inf
                maximum = max(maximum, float(apart.max()))
                squares += float(np.dot(apart, apart))
            wide[~np.isfinite(wide)] = 0
            own_squares += float(np.dot(wide, wide))
    if not differing:
        return Distance(count, 0, 0.0, 0.0, 0.0)
    rms = math.sqrt(squares / count)
    own = math.sqrt(own_squares / count)
    return Distance(count, differing, maximum, rms, rms / own if 0 < own < math.inf else math.inf)


def _side_by_side(first: Iterator[Array], second: Iterator[Array]) -> Iterator[tuple[Array, Array]]:
    """The elements of two tensors of one size in equal pieces, though each comes in pieces of its own."""
    a, b = next(first, None), next(second, None)
    while a is not None and b is not None:
        size = min(a.size, b.size, _STEP)
        yield a[:size], b[:size]
        a = a[size:] if a.size > size else next(first, None)
        b = b[size:] if b.size > size else next(second, None)
    assert a is b is None, "tensors of one shape have the same number of elements"
