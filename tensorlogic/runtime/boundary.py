"""What an entry checks, and how it says no.

Emitted modules call these functions on what comes from outside. Each takes the value, the name of the argument and the
`.tl` place, and gives the value as the body takes it, or raises `BoundaryError`: TL5001 for a shape, TL5002 for a kind
or element type, TL5004 for a value that would become `inf`. An `mx.array` must have exactly the declared element type;
NumPy arrays, PyTorch tensors and nested lists come from outside and are converted to a declared float type.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, overload

import mlx.core as mx

from tensorlogic.runtime.device import carried
from tensorlogic.runtime.errors import BoundaryError, TensorLogicError
from tensorlogic.runtime.functions_kernels import cast, kept
from tensorlogic.runtime.outside import converted, refuse, short

if TYPE_CHECKING:
    from tensorlogic.runtime.packed import Packed

Instance = TypeVar("Instance")
Ranked = TypeVar("Ranked", bound="mx.array | Packed")


@overload
def array(
    value: Any, name: str, dtype: mx.Dtype, rank: int, declared: str, where: str, *, carry: bool = True
) -> mx.array: ...


@overload
def array(
    value: Any, name: str, dtype: mx.Dtype, rank: int, declared: str, where: str, *, packed: bool, carry: bool = True
) -> mx.array | Packed: ...


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
) -> mx.array | Packed:
    """A tensor argument in the precision in which its element type is carried, or as it is without `carry`.

    `rank` is the exact number of dims, or `-(k + 1)` for at least k. With `packed`, a packed weight stays as it is, and
    a matrix in the type in which products take it.
    Raises BoundaryError TL5001 for another rank, TL5002 for another element type, TL5004 for values that become `inf`.
    """
    if type(value) is not mx.array:
        if hasattr(value, "scales") and hasattr(value, "layout"):
            value = value if packed else _expanded(value)
            if value.dtype != dtype:
                refuse(where, "TL5002", "`{}` is {}, not {}", name, short(value.dtype), declared)
            weight: Packed = _ranked_argument(value, name, rank, declared, where)
            return weight
        value = converted(value, name, dtype, declared, where)
    elif value.dtype != dtype:
        refuse(where, "TL5002", "`{}` is {}, not {}", name, _shown(value), declared)
    found: mx.array = _ranked_argument(value, name, rank, declared, where)
    if not carry:
        return found
    return cast(found, kept(dtype) if packed and rank == 2 else carried(dtype))


def _expanded(value: Any) -> mx.array:
    from tensorlogic.runtime.packed import dense

    return dense(value)


def _ranked_argument(value: Any, name: str, rank: int, declared: str, where: str) -> Any:
    count = len(value.shape)
    if count != rank if rank >= 0 else count < -rank - 1:
        refuse(where, "TL5001", "`{}` is {}, not {}: it has {}", name, _shown(value), declared, _dims(count))
    return value


def _dims(count: int) -> str:
    return "1 dim" if count == 1 else f"{count} dims"


def _shown(value: Any) -> str:
    return f"{short(value.dtype)}[{', '.join(map(str, value.shape))}]"


def integer(value: Any, name: str, where: str) -> int:
    """An `int` argument: Python's, or a scalar of another library."""
    if not _is_bool(value) and not isinstance(value, mx.array) and hasattr(value, "__index__"):
        with suppress(TypeError, ValueError):
            return int(value.__index__())
    _refuse_kind(value, name, "an int", where)


def number(value: Any, name: str, where: str) -> float:
    """A `float` argument: a number of Python, or a scalar of another library."""
    if not _is_bool(value) and not isinstance(value, str | mx.array) and hasattr(value, "__float__"):
        with suppress(TypeError, ValueError):
            return float(value)
    _refuse_kind(value, name, "a float", where)


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool) or str(getattr(value, "dtype", "")) in ("bool", "torch.bool")


def boolean(value: Any, name: str, where: str) -> bool:
    """A `bool` argument: Python's, or a scalar of another library."""
    if isinstance(value, bool):
        return value
    if _is_bool(value) and value.shape == () and not isinstance(value, mx.array):
        return bool(value)
    _refuse_kind(value, name, "a bool", where)


def _refuse_kind(value: Any, name: str, wanted: str, where: str) -> NoReturn:
    kind = type(value)
    library = kind.__module__.partition(".")[0]
    of = {"builtins": "a Python", "mlx": "an MLX"}.get(library, f"{library}'s")
    refuse(where, "TL5002", "`{}` is {} {}, not {}", name, of, kind.__name__, wanted)


def string(value: Any, name: str, where: str) -> str:
    """A `string` argument."""
    if not isinstance(value, str):
        _refuse_kind(value, name, "a string", where)
    return value


def items(value: Any, name: str, where: str) -> Sequence[Any]:
    """A list argument: a list or a tuple."""
    if not isinstance(value, list | tuple):
        _refuse_kind(value, name, "a list", where)
    return value


def parts(value: Any, count: int, name: str, where: str) -> Sequence[Any]:
    """A tuple argument of so many items."""
    if not isinstance(value, list | tuple):
        _refuse_kind(value, name, f"a tuple of {count} items", where)
    if len(value) != count:
        refuse(where, "TL5002", "`{}` is a tuple of {} items, not of {}", name, len(value), count)
    return value


def instance(value: Any, kind: type[Instance], name: str, where: str) -> Instance:
    """An argument of a struct's class or an opaque type."""
    if not isinstance(value, kind):
        found, wanted = type(value).__name__, kind.__name__
        if found == wanted:
            found, wanted = f"{found} of `{type(value).__module__}`", f"{wanted} of `{kind.__module__}`"
        refuse(where, "TL5002", "`{}` is a {}, not a {}", name, found, wanted)
    return value


def floats_of(value: Any, name: str, where: str) -> mx.Dtype:
    """The element type of a model's floats, where a type parameter stands for it.

    Raises BoundaryError TL5002 for what is no model, and for one whose floats have no one type.
    """
    from tensorlogic.runtime.models import Model

    return instance(value, Model, name, where).float_type


def ranked(value: Ranked, rank: int, exactly: bool, what: str, declared: str, where: str) -> Ranked:
    """A tensor whose rank only run time knows, where a shape is declared."""
    count = len(value.shape)
    if count != rank if exactly else count < rank:
        shape = list(value.shape)
        refuse(where, "TL5001", "{} has the shape {}, not {}: it has {}", what, shape, declared, _dims(count))
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
        change = "" if least <= value <= largest else f"does not fit {short(dtype)}"
    else:
        zero, infinite = _FLOAT_BOUNDS[dtype]
        lost = "inf" if infinite <= size < float("inf") else "0" if 0 < size <= zero else ""
        change = lost and f"would become {lost} in {short(dtype)}"
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


def made(cls: type[Instance], /, **values: Any) -> Instance:
    """A struct whose fields the compiler has proved: nothing is checked again."""
    instance = object.__new__(cls)
    for name, value in values.items():
        object.__setattr__(instance, name, value)
    return instance


def set_fields(instance: object, /, **values: Any) -> None:
    """Set fields of a frozen dataclass that is being made."""
    for name, value in values.items():
        object.__setattr__(instance, name, value)
