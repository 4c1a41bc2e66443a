"""In what two model files differ: names, shapes, storage types, and values with how far they are apart.

Takes two headers with their open files, gives frozen records. Values are compared as `elements` gives them, so that
files of different formats and storage types can be compared; equal bytes of the same storage type are not decoded. A
NaN equals a NaN, and -0 equals 0. Memory is bounded as `elements` says, for each of the two files.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tensorlogic.runtime import progress
from tensorlogic.runtime.elements import CACHED, elements
from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats import OpenFiles, TensorInfo
from tensorlogic.runtime.formats.summary import stored_bytes
from tensorlogic.runtime.formats.values import Array, read_pieces

Tensors = Mapping[str, TensorInfo]
Side = tuple[OpenFiles, TensorInfo]
"""One of the two tensors that are compared."""


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


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs between two models, by the tensors' names in the first one's order, then the second's."""

    only_first: Sequence[str]
    only_second: Sequence[str]
    shapes: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]]
    storages: Mapping[str, tuple[str, str]]
    """Tensors of one shape that the files keep differently, whatever their values."""
    values: Mapping[str, Distance]
    problems: Mapping[str, ModelFileError]
    """Tensors whose values cannot be read from one of the files."""
    equal: int
    """Tensors of equal shape and values."""

    @property
    def differs(self) -> bool:
        """Whether names, shapes or values do, or could not be compared. How values are stored does not count."""
        return bool(self.only_first or self.only_second or self.shapes or self.values or self.problems)


def compare(first: tuple[Tensors, OpenFiles], second: tuple[Tensors, OpenFiles]) -> Comparison:
    """Compare the tensors of two open models. A tensor that cannot be read is among the result's `problems`."""
    (ours, our_files), (theirs, their_files) = first, second
    common = {name: (info, theirs[name]) for name, info in ours.items() if name in theirs}
    alike = {name: (a, b) for name, (a, b) in common.items() if a.shape == b.shape}
    results: dict[str, Distance | ModelFileError | None] = {}
    with progress.work("Comparing", lambda: sum(map(_bytes_of, common.values()))):
        for name, pair in common.items():
            with progress.part(_bytes_of(pair)):
                if name in alike:
                    results[name] = _compared((our_files, pair[0]), (their_files, pair[1]))
    return Comparison(
        only_first=[name for name in ours if name not in theirs],
        only_second=[name for name in theirs if name not in ours],
        shapes={name: (a.shape, b.shape) for name, (a, b) in common.items() if name not in alike},
        storages={name: (a.storage, b.storage) for name, (a, b) in alike.items() if a.storage != b.storage},
        values={name: apart for name, apart in results.items() if isinstance(apart, Distance)},
        problems={name: problem for name, problem in results.items() if isinstance(problem, ModelFileError)},
        equal=sum(result is None for result in results.values()),
    )


def _bytes_of(pair: tuple[TensorInfo, TensorInfo]) -> int:
    return sum(map(stored_bytes, pair))


def _compared(first: Side, second: Side) -> Distance | ModelFileError | None:
    """How far two tensors of one shape are apart, None where they are not, or why that cannot be told."""
    try:
        apart = None if _same_bytes(first, second) else distance(first, second)
    except ModelFileError as problem:
        return problem
    return apart if apart is not None and apart.differing else None


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
        size = min(a.size, b.size, CACHED)
        yield a[:size], b[:size]
        a = a[size:] if a.size > size else next(first, None)
        b = b[size:] if b.size > size else next(second, None)
    assert a is b is None, "tensors of one shape have the same number of elements"
