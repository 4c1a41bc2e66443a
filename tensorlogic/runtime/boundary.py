"""What an entry checks, and how it says no.

Emitted modules call these functions on what comes from outside. Each takes the value, the name of the argument and the
`.tl` place, and gives the value as the body takes it, or raises `BoundaryError`: TL5001 for a shape, TL5002 for a kind
or element type, TL5004 for a value that would become `inf`. An `mx.array` must have exactly the declared element type;
NumPy arrays, PyTorch tensors and nested lists come from outside and are converted to a declared float type.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import mlx.core as mx

from tensorlogic.runtime.device import carried
from tensorlogic.runtime.errors import BoundaryError, TensorLogicError

FLOATS = (mx.float16, mx.bfloat16, mx.float32)
INTEGERS = (mx.int8, mx.int16, mx.int32, mx.int64, mx.uint8, mx.uint16, mx.uint32, mx.uint64)


def refuse(where: str, code: str, message: str, *values: object) -> NoReturn:
    """Raise what a check found: `message` with `{}` for each value."""
    raise BoundaryError(code, message.format(*values), where=where)


def array(
    value: Any,
    name: str,
    dtype: mx.Dtype,
    rank: int,
    declared: str,
    where: str,
    *,
    packed: bool = False,
    carry: bool = True,
) -> Any:
    """A tensor argument in the precision in which its element type is carried, or as it is without `carry`.

    `rank` is the exact number of dims, or `-(k + 1)` for at least k. With `packed`, a packed weight stays as it is.
    Raises BoundaryError TL5001 for another rank, TL5002 for another element type, TL5004 for values that become `inf`.
    """
    if type(value) is not mx.array:
        if hasattr(value, "scales") and hasattr(value, "group_size"):
            value = value if packed else _expanded(value)
            if value.dtype != dtype:
                refuse(where, "TL5002", "`{}` is {}, not {}", name, _short(value.dtype), declared)
            return _ranked_argument(value, name, rank, declared, where)
        value = _converted(value, name, dtype, declared, where)
    elif value.dtype != dtype:
        refuse(where, "TL5002", "`{}` is {}, not {}", name, _shown(value), declared)
    value = _ranked_argument(value, name, rank, declared, where)
    kept = carried(dtype) if carry else dtype
    return value if kept == value.dtype else value.astype(kept)


def _expanded(value: Any) -> mx.array:
    from tensorlogic.runtime.packed import dense

    return dense(value)


def _ranked_argument(value: Any, name: str, rank: int, declared: str, where: str) -> Any:
    count = len(value.shape)
    if count != rank if rank >= 0 else count < -rank - 1:
        refuse(where, "TL5001", "`{}` is {}, not {}: it has {} dims", name, _shown(value), declared, count)
    return value


def _shown(value: Any) -> str:
    return f"{_short(value.dtype)}[{', '.join(map(str, value.shape))}]"


def _short(dtype: mx.Dtype) -> str:
    return str(dtype).rpartition(".")[2]


def _converted(value: Any, name: str, dtype: mx.Dtype, declared: str, where: str) -> mx.array:
    """What is no `mx.array` as one of the declared type, unless that would lose its kind or a finite value."""
    if value is None or isinstance(value, str | bytes | dict):
        refuse(where, "TL5002", "`{}` is a Python {}, not {}", name, type(value).__name__, declared)
    try:
        if hasattr(value, "detach"):
            value = value.detach().cpu()
            value = value.float() if "bfloat16" in str(value.dtype) else value
            value = value.numpy()
        if hasattr(value, "dtype") and str(value.dtype) == "float64":
            value = value.clip(-3.5e38, 3.5e38) if _finite_only(value) else value
        made = mx.array(value)
    except (TypeError, ValueError, RuntimeError, AttributeError) as problem:
        reason = str(problem).splitlines()[0][:120]
        refuse(where, "TL5002", "`{}` cannot be made {}: {}", name, declared, reason)
    float_wanted, float_found = dtype in FLOATS, made.dtype in FLOATS
    fits = (
        (float_wanted and (float_found or made.dtype in INTEGERS))
        or (dtype in INTEGERS and made.dtype in INTEGERS)
        or (dtype == mx.bool_ and made.dtype == mx.bool_)
        or made.size == 0
    )
    if not fits:
        refuse(where, "TL5002", "`{}` holds {}, not {}", name, _short(made.dtype), declared)
    result = made.astype(dtype)
    if float_wanted:
        _refuse_overflow(made, result, name, dtype, where)
    elif made.size and not mx.all(result.astype(mx.int64) == made.astype(mx.int64)).item():
        refuse(where, "TL5004", "`{}` holds integers that do not fit {}", name, _short(dtype))
    return result


def _finite_only(value: Any) -> bool:
    return bool((abs(value) < float("inf")).all())


def _refuse_overflow(made: mx.array, result: mx.array, name: str, dtype: mx.Dtype, where: str) -> None:
    if dtype == mx.float32 and made.dtype == mx.float32:
        lost = mx.abs(made) > 3.4028234663852886e38
        lost = mx.logical_and(lost, mx.logical_not(mx.isinf(made)))
    else:
        lost = mx.logical_and(mx.isinf(result), mx.logical_not(mx.isinf(made.astype(mx.float32))))
    if made.size and mx.any(lost).item():
        count = int(str(mx.sum(lost).item()))
        refuse(where, "TL5004", "{} of `{}` would become inf in {}", _values(count), name, _short(dtype))


def _values(count: int) -> str:
    return "1 value" if count == 1 else f"{count} values"


def element(value: Any, name: str, bound: str, where: str) -> mx.Dtype:
    """The element type that an argument decides for a type parameter: its own; float16 for what has none."""
    dtype = getattr(value, "dtype", None)
    if not isinstance(dtype, mx.Dtype):
        return mx.float16
    if dtype in FLOATS or (bound == "any" and dtype in (mx.int32, mx.uint32, mx.bool_)):
        return dtype
    refuse(where, "TL5002", "`{}` is {}, not a tensor of floats", name, _short(dtype))


def integer(value: Any, name: str, where: str) -> int:
    """An `int` argument."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or isinstance(value, mx.array):
        refuse(where, "TL5002", "`{}` is a Python {}, not an int", name, type(value).__name__)
    return int(value.__index__())


def number(value: Any, name: str, where: str) -> float:
    """A `float` argument."""
    if isinstance(value, bool | str | mx.array) or not hasattr(value, "__float__"):
        refuse(where, "TL5002", "`{}` is a Python {}, not a float", name, type(value).__name__)
    return float(value)


def boolean(value: Any, name: str, where: str) -> bool:
    """A `bool` argument."""
    if not isinstance(value, bool):
        refuse(where, "TL5002", "`{}` is a Python {}, not a bool", name, type(value).__name__)
    return value


def string(value: Any, name: str, where: str) -> str:
    """A `string` argument."""
    if not isinstance(value, str):
        refuse(where, "TL5002", "`{}` is a Python {}, not a string", name, type(value).__name__)
    return value


def items(value: Any, name: str, where: str) -> Sequence[Any]:
    """A list argument: a list or a tuple."""
    if not isinstance(value, list | tuple):
        refuse(where, "TL5002", "`{}` is a Python {}, not a list", name, type(value).__name__)
    return value


def instance(value: Any, kind: type, name: str, where: str) -> Any:
    """An argument of a struct's class or an opaque type."""
    if not isinstance(value, kind):
        refuse(where, "TL5002", "`{}` is a {}, not a {}", name, type(value).__name__, kind.__name__)
    return value


def ranked(value: Any, rank: int, exactly: bool, what: str, declared: str, where: str) -> Any:
    """A tensor whose rank only run time knows, where a shape is declared."""
    count = len(value.shape)
    if count != rank if exactly else count < rank:
        refuse(where, "TL5001", "{} is {}, not {}: it has {} dims", what, _shown(value), declared, count)
    return value


_INTEGER_BOUNDS = {mx.int32: (-(2**31), 2**31 - 1), mx.uint32: (0, 2**32 - 1)}
_FLOAT_BOUNDS = {
    mx.float16: (2.0**-25, 65520.0),
    mx.bfloat16: (2.0**-134, 3.3961775292304957e38),
    mx.float32: (2.0**-150, 3.4028235677973366e38),
}
"""What becomes 0 and what becomes inf: the magnitudes from which rounding goes there."""


def fits(value: float, dtype: mx.Dtype, written: str, where: str) -> float:
    """A host number that meets a tensor, as `written`: refused where the element type would make it another one.

    That is `inf` or 0 for floats, and what lies out of range for integers.
    """
    size = abs(value)
    if dtype in _INTEGER_BOUNDS:
        least, largest = _INTEGER_BOUNDS[dtype]
        change = "" if least <= value <= largest else f"does not fit {_short(dtype)}"
    else:
        zero, infinite = _FLOAT_BOUNDS[dtype]
        lost = "inf" if infinite <= size < float("inf") else "0" if 0 < size <= zero else ""
        change = lost and f"would become {lost} in {_short(dtype)}"
    if change:
        named = "" if written in ("", str(value)) else f"`{written}` = "
        refuse(where, "TL5004", "{}{} {}", named, value, change)
    return value


def external(module: Any, name: str, where: str, *arguments: Any) -> Any:
    """What a Python function returns. Raises BoundaryError TL5007 where it raises, or the module has none."""
    try:
        return getattr(module, name)(*arguments)
    except TensorLogicError:
        raise
    except Exception as problem:
        message = f"`{name}` of the Python module `{module.__name__}` raised {type(problem).__name__}: {problem}"
        raise BoundaryError("TL5007", message, where=where) from problem


def made(cls: type, **values: Any) -> Any:
    """A struct whose fields the compiler has proved: nothing is checked again."""
    instance: Any = object.__new__(cls)
    for name, value in values.items():
        object.__setattr__(instance, name, value)
    return instance


def set_fields(instance: object, **values: Any) -> None:
    """Set fields of a frozen dataclass that is being made."""
    for name, value in values.items():
        object.__setattr__(instance, name, value)
