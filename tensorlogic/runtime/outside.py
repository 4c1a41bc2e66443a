"""What comes from outside of MLX as an `mx.array`: NumPy arrays, PyTorch tensors, nested lists, numbers.

`converted` takes such a value and a declared element type. It promises an array of that type in which no finite value
became infinite, and raises `BoundaryError`: TL5002 for what is no tensor of that kind, TL5004 for values that do not
fit. Values that became 0 are told to whoever listens (`losses.py`). It needs neither NumPy nor PyTorch: what they have
in common with others is asked for by name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, NoReturn

import mlx.core as mx

from tensorlogic.runtime.errors import BoundaryError
from tensorlogic.runtime.losses import is_heard, tell_zeros

FLOATS = (mx.float16, mx.bfloat16, mx.float32)
INTEGERS = (mx.int8, mx.int16, mx.int32, mx.int64, mx.uint8, mx.uint16, mx.uint32, mx.uint64)
_INFINITE = {mx.float16: 65520.0, mx.bfloat16: 3.3961775292304957e38, mx.float32: 3.4028235677973366e38}
"""The magnitudes from which rounding gives infinity."""
_ZERO = {mx.float16: 2.0**-25, mx.bfloat16: 2.0**-134, mx.float32: 2.0**-150}
"""The magnitudes up to which rounding gives 0."""


def refuse(where: str, code: str, message: str, *values: object) -> NoReturn:
    """Raise what a check found: `message` with `{}` for each value; dims are shown as a list."""
    shown = (list(value) if isinstance(value, tuple) else value for value in values)
    raise BoundaryError(code, message.format(*shown), where=where)


def short(dtype: mx.Dtype) -> str:
    """`float16` for `mx.float16`."""
    return str(dtype).rpartition(".")[2]


def converted(value: Any, name: str, dtype: mx.Dtype, declared: str, where: str) -> mx.array:
    """The value of the argument `name` as an array of `dtype`."""
    if value is None or isinstance(value, str | bytes | dict):
        refuse(where, "TL5002", "`{}` is a Python {}, not {}", name, type(value).__name__, declared)
    given = value
    try:
        value = _plain(value)
        limit = _INFINITE.get(dtype, math.inf)
        _refuse_infinite(_count_wide(value, lambda size: (size >= limit) & (size < math.inf)), name, dtype, where)
        made = mx.array(_narrowed(value, dtype))
    except BoundaryError:
        raise
    except Exception as problem:
        # What another library's object raises is not ours to list.
        _refuse_object(given, problem, name, dtype, declared, where)
    float_wanted = dtype in FLOATS
    fits = (
        (float_wanted and (made.dtype in FLOATS or made.dtype in INTEGERS))
        or (dtype in INTEGERS and made.dtype in INTEGERS)
        or (dtype == mx.bool_ and made.dtype == mx.bool_)
        or made.size == 0
    )
    if not fits:
        refuse(where, "TL5002", "`{}` holds {}, not {}", name, _elements(given, made), declared)
    result = made.astype(dtype)
    if float_wanted:
        lost = mx.logical_and(mx.isinf(result), mx.logical_not(mx.isinf(made.astype(mx.float32))))
        _refuse_infinite(_count(lost), name, dtype, where)
        if is_heard():
            tell_zeros(_count_zeros(value, made, result), f"`{name}` ({where})", short(dtype))
    elif _count((result.astype(made.dtype) != made) | ((result < 0) != (made < 0))):
        _refuse_integers(name, dtype, where)
    return result


def _refuse_integers(name: str, dtype: mx.Dtype, where: str) -> NoReturn:
    refuse(where, "TL5004", "`{}` holds integers that do not fit {}", name, short(dtype))


def _refuse_object(value: Any, problem: Exception, name: str, dtype: mx.Dtype, declared: str, where: str) -> NoReturn:
    """Say why an object cannot become an array, as far as MLX's own words tell."""
    reason = str(problem).splitlines()[0][:120] if str(problem) else type(problem).__name__
    item = re.match(r"Invalid type (\S+) received", reason)
    if reason == "std::bad_cast":
        if isinstance(value, int | list | tuple) and dtype in INTEGERS:
            _refuse_integers(name, dtype, where)
        reason = f"MLX has no elements like its {_kind(value)}"
    elif item is not None and item.group(1) == type(value).__name__:
        refuse(where, "TL5002", "`{}` is a Python {}, not {}", name, item.group(1), declared)
    elif item is not None:
        reason = f"a Python {item.group(1)} in it is no number"
    elif "non-uniform" in reason:
        reason = "its rows have different lengths"
    refuse(where, "TL5002", "`{}` cannot be made {}: {}", name, declared, reason)


def _elements(value: Any, made: mx.array) -> str:
    """What a value holds, in its own words."""
    if hasattr(value, "dtype"):
        return str(value.dtype).rpartition(".")[2]
    return "floats" if made.dtype in FLOATS else "bools" if made.dtype == mx.bool_ else "ints"


def element(value: Any, name: str, bound: str, where: str) -> mx.Dtype:
    """The element type that an argument decides for a type parameter: its own, float16 for what has none.

    NumPy's and PyTorch's 64 bits are their default, not a choice: float64 counts as none, int64 as int32.
    """
    dtype = getattr(value, "dtype", None)
    kinds = {short(d): d for d in FLOATS}
    if bound == "any":
        kinds |= {"int32": mx.int32, "uint32": mx.uint32, "bool": mx.bool_, "bool_": mx.bool_}
    if dtype is None or (not isinstance(dtype, mx.Dtype) and str(dtype).endswith("float64")):
        return mx.float16
    kind = str(dtype).rpartition(".")[2]
    if kind == "int64" and bound == "any" and not isinstance(dtype, mx.Dtype):
        return mx.int32
    if kind not in kinds and (isinstance(dtype, mx.Dtype) or bound == "any"):
        what = "a tensor of the language" if bound == "any" else "a tensor of floats"
        refuse(where, "TL5002", "`{}` is {}, not {}", name, kind, what)
    return kinds.get(kind, mx.float16)


def _plain(value: Any) -> Any:
    """A PyTorch tensor as a NumPy array, and nested lists of anything as nested lists of numbers."""
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, mx.array) or not hasattr(value, "dtype"):
        return value
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        value = value.float() if "bfloat16" in str(value.dtype) else value
        value = value.numpy()
    if not getattr(value.dtype, "isnative", True):
        value = value.astype(value.dtype.newbyteorder("="))
    if any(step < 0 for step in getattr(value, "strides", ())):
        value = value.copy()
    return value.item() if getattr(value, "shape", None) == () and hasattr(value, "item") else value


def _count_wide(value: Any, is_lost: Callable[[Any], Any]) -> int:
    """How many 64-bit floats and Python ints have a magnitude that is lost: the conversion to MLX hides it."""
    if isinstance(value, float | int):
        return int(is_lost(abs(value)))
    if isinstance(value, list):
        return sum(_count_wide(item, is_lost) for item in value)
    if str(getattr(value, "dtype", "")) == "float64":
        return int(is_lost(abs(value)).sum())
    return 0


def _count_zeros(value: Any, made: mx.array, result: mx.array) -> int:
    """How many values became 0: of 64-bit floats before MLX had them as `made`, of others since."""
    if isinstance(value, float | list) or str(getattr(value, "dtype", "")) == "float64":
        smallest = _ZERO[result.dtype]
        listed = _narrowed(value, result.dtype) if isinstance(value, list) else value
        return _count_wide(listed, lambda size: (size > 0) & (size <= smallest))
    return _count(mx.logical_and(made != 0, result == 0))


def _narrowed(value: Any, dtype: mx.Dtype) -> Any:
    """Arrays in lists as lists; 64-bit floats of an array rounded once where there is a type to round to."""
    if isinstance(value, list):
        return [_listed(item) for item in value]
    if str(getattr(value, "dtype", "")) == "float64" and dtype in (mx.float16, mx.float32):
        return value.astype(short(dtype))
    return value


def _listed(value: Any) -> Any:
    if isinstance(value, list):
        return [_listed(item) for item in value]
    return value.tolist() if hasattr(value, "tolist") else value


def _kind(value: Any) -> str:
    return f"{value.dtype}" if hasattr(value, "dtype") else type(value).__name__


def _count(flags: mx.array) -> int:
    found = flags.astype(mx.int32).sum().item() if flags.size else 0
    assert isinstance(found, int)
    return found


def _refuse_infinite(count: int, name: str, dtype: mx.Dtype, where: str) -> None:
    if count:
        values = "1 value" if count == 1 else f"{count} values"
        refuse(where, "TL5004", "{} of `{}` would become inf in {}", values, name, short(dtype))
