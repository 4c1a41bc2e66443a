"""The elements of dense tensors, read from a file and converted to the element type that was asked for.

Takes an open file and a checked `TensorInfo`, gives a NumPy array. The bytes are read in pieces of a few megabytes and
converted in parts that stay in the processor's cache, where looking at what came out costs little. They are read, not
mapped: a file that somebody shortens meanwhile gives an error, where a mapping would end the process. A finite value
that would become infinite and an integer that `int32` cannot hold are refused; values that become 0 are counted.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats.floats8 import FLOATS8, HALVES_HOLD, convert_float8, widen_float8
from tensorlogic.runtime.formats.header import TensorInfo, shown
from tensorlogic.runtime.formats.pieces import tell_read

Array = npt.NDArray[Any]

PIECE_BYTES = 1 << 22
_STRAIGHT_BYTES = 1 << 26

STORED = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "|u1",
    "BOOL": "|u1",
    "F8_E4M3": "|u1",
    "F8_E5M2": "|u1",
    "F8_E8M0": "|u1",
}
"""How NumPy reads each storage type; BF16 and floats of eight bits as their bits."""

KEPT = {"float16": np.float16, "bfloat16": np.uint16, "float32": np.float32, "int32": np.int32, "bool": np.bool_}
"""How NumPy holds each element type; bfloat16 as its bits."""

OWN_FLOATS = {"F16": "float16", "BF16": "bfloat16", "F32": "float32"}
"""The storage types that are the element types of the language."""

ROUNDS_TO_INFINITY = {
    "float16": np.float64((2 - 2.0**-11) * 2.0**15),
    "bfloat16": np.float64((2 - 2.0**-8) * 2.0**127),
    "float32": np.float64((2 - 2.0**-24) * 2.0**127),
}
"""From this magnitude on, a finite number becomes infinite in the type: half a step above the largest finite one.

As float64, and so every comparison with it: a Python number would take the other side's type, and become infinite.
"""

_MAGNITUDES = {
    "float16": (0x7FFF, 0x7C00),
    "bfloat16": (0x7FFF, 0x7F80),
    "float32": (0x7FFF_FFFF, 0x7F80_0000),
}
"""The bits that are not the sign, whose order is that of the magnitudes, and those of infinity: only NaN is above."""

_PART = 1 << 18
"""So many elements are converted at a time."""


def read_pieces(file: io.FileIO, info: TensorInfo, unit: int, most: int = PIECE_BYTES) -> Iterator[tuple[int, bytes]]:
    """The bytes of a tensor in order, in pieces of whole units of `unit` bytes, each with its place in the tensor."""
    step = max(most // unit, 1) * unit
    for place in range(0, info.nbytes, step):
        wanted = min(step, info.nbytes - place)
        with _reading(info):
            piece = os.pread(file.fileno(), wanted, info.offset + place)
        if len(piece) != wanted:
            _refuse_shorter(info)
        tell_read(len(piece))
        yield place, piece


@contextmanager
def _reading(info: TensorInfo) -> Iterator[None]:
    """A disk or a network that fails is told with the name of what was read."""
    try:
        yield
    except OSError as error:
        what = f"cannot read tensor `{shown(info.name)}` of `{info.file}`: {error.strerror or error}"
        raise ModelFileError("TL4001", what) from None


def _refuse_shorter(info: TensorInfo) -> NoReturn:
    raise ModelFileError(
        "TL4008", f"`{info.file}` became shorter after it was opened: tensor `{shown(info.name)}` is cut off"
    )


def read_bytes(file: io.FileIO, info: TensorInfo, offset: int, nbytes: int) -> bytes:
    """One run of bytes of a tensor that is computed from several."""
    with _reading(info):
        run = os.pread(file.fileno(), nbytes, offset)
        while len(run) < nbytes:
            # A system gives at most 2 GB at once.
            more = os.pread(file.fileno(), nbytes - len(run), offset + len(run))
            if not more:
                _refuse_shorter(info)
            run += more
        return run


def fill(info: TensorInfo, dtype: str, wide: Array, values: Array) -> int:
    """Fill `values` with elements in memory as `dtype`, as `fill_dense` does with those of a file."""
    source, target = wide.reshape(-1), values.reshape(-1)
    if dtype == "bool":
        np.not_equal(source, 0, out=target)
    elif dtype == "int32":
        _convert_integers(info, source, target)
    else:
        return narrow(info, dtype, source, target, lambda: [source])
    return 0


def fill_dense(file: io.FileIO, info: TensorInfo, dtype: str, values: Array) -> int:
    """Fill `values`, of the tensor's shape and `KEPT[dtype]`, with its elements; gives how many nonzero ones became 0.

    Raises `ModelFileError` for finite values that become infinite (TL4006), for integers outside int32 (TL4007) and for
    a file that became shorter (TL4008).
    """
    flat = values.reshape(-1)
    if OWN_FLOATS.get(info.storage) == dtype:
        _read_straight(file, info, flat)
        return 0
    stored = np.dtype(STORED[info.storage])
    underflows = 0
    for place, piece in read_pieces(file, info, stored.itemsize):
        source = np.frombuffer(piece, stored)
        target = flat[place // stored.itemsize :][: source.size]
        if dtype == "int32":
            _convert_integers(info, source, target)
        elif dtype == "bool":
            np.not_equal(source, 0, out=target)
        elif info.storage in HALVES_HOLD:
            convert_float8(info.storage, source, dtype, target)
        else:
            underflows += _convert_floats(file, info, dtype, source, target)
    return underflows


def _read_straight(file: io.FileIO, info: TensorInfo, flat: Array) -> None:
    """The file's bytes as they are, without a copy in between; in pieces, so that a long reading is told of."""
    target = flat.view(np.uint8).data
    for place in range(0, info.nbytes, _STRAIGHT_BYTES):
        piece = target[place : place + _STRAIGHT_BYTES]
        with _reading(info):
            count = os.preadv(file.fileno(), [piece], info.offset + place)
        if count != len(piece):
            _refuse_shorter(info)
        tell_read(len(piece))


def _convert_integers(info: TensorInfo, source: Array, target: Array) -> None:
    low, high = int(source.min()), int(source.max())
    if low < -(2**31) or high >= 2**31:
        raise ModelFileError(
            "TL4007",
            f"tensor `{shown(info.name)}` of `{info.file}` holds {high if high >= 2**31 else low}, "
            f"which `int32` cannot hold",
        )
    target[:] = source


def _convert_floats(file: io.FileIO, info: TensorInfo, dtype: str, source: Array, target: Array) -> int:
    """Convert one piece; gives how many values became 0."""
    return narrow(info, dtype, widen(info.storage, source), target, lambda: _all_pieces(file, info))


def _all_pieces(file: io.FileIO, info: TensorInfo) -> Iterator[Array]:
    stored = np.dtype(STORED[info.storage])
    return (widen(info.storage, np.frombuffer(piece, stored)) for _, piece in read_pieces(file, info, stored.itemsize))


def widen(storage: str, source: Array) -> Array:
    """Elements as numbers that NumPy knows, exactly: those of bfloat16 and of eight bits become float32."""
    if storage == "BF16":
        return widen_bfloat16(source)
    return widen_float8(storage, source) if storage in FLOATS8 else source


def narrow(info: TensorInfo, dtype: str, wide: Array, target: Array, everything: Callable[[], Iterable[Array]]) -> int:
    """Convert one piece of a tensor, numbers that NumPy knows, into `target`, which is of `dtype`.

    Gives how many values became 0. Where one would become infinite the tensor is refused (TL4006), and `everything`
    gives all of its pieces once more, so that the message counts over the whole tensor.
    """
    underflows = convert(dtype, wide, target)
    if underflows is None:
        counts = [overflows(piece, ROUNDS_TO_INFINITY[dtype]) for piece in everything()]
        refuse_overflow(info, dtype, sum(count for count, _ in counts), max(largest for _, largest in counts))
    return underflows


def convert(dtype: str, wide: Array, target: Array) -> int | None:
    """Convert floats to `dtype`; gives how many became 0, or None where a finite one became infinite.

    Whatever was lost shows in what came out, unless it was 0 or infinite before: only then the source is looked at.
    """
    if wide.dtype == np.float16 or wide.dtype == target.dtype:
        # Nothing is out of the range of a type that is as wide or wider.
        convert_unchecked(dtype, wide, target)
        return 0
    unsigned = np.dtype(f"u{target.itemsize}")
    without_sign, infinity = (unsigned.type(bits) for bits in _MAGNITUDES[dtype])
    kept, flags = np.empty(min(_PART, target.size), unsigned), np.empty(min(_PART, target.size), np.bool_)
    zeros = 0
    for part, into in _parts(wide, target):
        _narrow(dtype, part, into)
        magnitudes = np.bitwise_and(into.view(unsigned), without_sign, out=kept[: into.size])
        is_wide, is_zero = np.maximum.reduce(magnitudes) >= infinity, not np.minimum.reduce(magnitudes)
        if (is_wide or is_zero) and dtype == "bfloat16" and _restore_nan(part, into):
            np.bitwise_and(into.view(unsigned), without_sign, out=magnitudes)
        if is_wide and overflows(part, ROUNDS_TO_INFINITY[dtype])[0]:
            return None
        if is_zero:
            was_zero = np.equal(part, part.dtype.type(0), out=flags[: into.size])
            zeros += into.size - int(np.count_nonzero(was_zero)) - int(np.count_nonzero(magnitudes))
    return zeros


def convert_unchecked(dtype: str, wide: Array, target: Array) -> None:
    """Convert floats to `dtype` without a look at what is lost."""
    for part, into in _parts(wide, target):
        _narrow(dtype, part, into)
        if dtype == "bfloat16":
            _restore_nan(part, into)


def _parts(wide: Array, target: Array) -> Iterator[tuple[Array, Array]]:
    return ((wide[i : i + _PART], target[i : i + _PART]) for i in range(0, wide.size, _PART))


def _narrow(dtype: str, part: Array, into: Array) -> None:
    """Convert one part. In bfloat16 a NaN may come out as something else, infinite or 0 (`_restore_nan`)."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        if dtype == "bfloat16":
            single = _narrow_to_odd(part) if part.itemsize == 8 else part.astype(np.float32, copy=False)
            into[:] = _rounded_to_bfloat16(single)
        else:
            into[:] = part


def overflows(wide: Array, limit: float) -> tuple[int, float]:
    """How many finite values become infinite, and the largest magnitude among them."""
    magnitudes = np.abs(wide[np.isfinite(wide)])
    beyond = magnitudes[magnitudes >= limit]
    return beyond.size, float(beyond.max(initial=0.0))


def refuse_overflow(info: TensorInfo, dtype: str, count: int, largest: float) -> NoReturn:
    """Raise the error for `count` finite values of a tensor that become infinite in `dtype`."""
    values = "value" if count == 1 else "values"
    wider = "bfloat16" if dtype == "float16" and largest < ROUNDS_TO_INFINITY["bfloat16"] else "float32"
    helps = [f"load the model with `dtype: {wider}`"] if largest < ROUNDS_TO_INFINITY[wider] else []
    raise ModelFileError(
        "TL4006",
        f"tensor `{shown(info.name)}` of `{info.file}` has {count} finite {values} that would become `inf` "
        f"in {dtype}; the largest magnitude is {largest:.6g}",
        helps=helps,
    )


def _narrow_to_odd(values: Array) -> Array:
    """float32 values from which a second rounding gives what one rounding of the float64 values would have given.

    An inexact value takes the one of its two float32 neighbours whose last bit is set, so that it is never a tie.
    """
    near = values.astype(np.float32)
    bits = near.view(np.uint32)
    too_large = np.abs(near) > np.abs(values)
    return np.where(near == values, bits, (bits - too_large) | 1).astype(np.uint32).view(np.float32)


def widen_bfloat16(bits: Array) -> Array:
    """float32 values of bfloat16 bits: exact."""
    return (bits.astype(np.uint32) << 16).view(np.float32)


def _rounded_to_bfloat16(values: Array) -> Array:
    """bfloat16 bits nearest to float32 values, ties to even. Those of a NaN may be rounded up to infinity, or to -0."""
    bits = values.view(np.uint32)
    rounded = bits >> 16
    rounded &= 1
    rounded += 0x7FFF
    rounded += bits
    rounded >>= 16
    return rounded.astype(np.uint16)


def _restore_nan(values: Array, into: Array) -> bool:
    """Put a NaN where one was; whether there was one."""
    if not np.isnan(values.max(initial=0)):
        return False
    nan = np.isnan(values)
    # Quiet, as a processor makes it, with what else its bits say.
    into[nan] = (values[nan].astype(np.float32).view(np.uint32) >> 16) | 0x40
    return True
