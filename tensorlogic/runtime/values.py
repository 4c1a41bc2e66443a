"""Host values at run time: items of lists, tensors of host numbers, masks, tensors of unknown rank, debugging."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import mlx.core as mx

from tensorlogic.runtime.boundary import fits
from tensorlogic.runtime.outside import refuse
from tensorlogic.runtime.sizes import affordable

Item = TypeVar("Item")


def item(values: Sequence[Item], index: int, written: str, where: str) -> Item:
    """An item of a list whose length only run time knows; `written` is the source's text."""
    if not -len(values) <= index < len(values):
        count = f"{len(values)} item{'' if len(values) == 1 else 's'}"
        refuse(where, "TL5003", "`{}`: there is no item {}, the list has {}", written, index, count)
    return values[index]


def numbers(values: Any, dtype: mx.Dtype, where: str) -> Any:
    """Nested host numbers that are about to become a tensor: rectangular, and none becomes `inf` or 0."""
    if not isinstance(values, list | tuple):
        return values if isinstance(values, bool) else fits(values, dtype, "", where)
    inner = [numbers(v, dtype, where) for v in values]
    lengths = {len(v) if isinstance(v, list) else -1 for v in inner}
    if len(lengths) > 1:
        refuse(where, "TL5001", "the rows of a tensor have equal lengths, not {}", sorted(lengths))
    return inner


def select(x: mx.array, mask: mx.array) -> mx.array:
    """`x[mask]`: the entries of x's first dims where the mask holds, in order. Evaluates the mask."""
    count = len(mask.shape)
    rows = x.reshape(mask.size, *x.shape[count:])
    flags: Any = mask.reshape(-1).tolist()
    chosen = [i for i, keep in enumerate(flags) if keep]
    return mx.take(rows, mx.array(chosen, dtype=mx.int32), axis=0) if chosen else rows[:0]


_DYNAMIC: dict[str, Callable[..., mx.array]] = {
    "add": mx.add,
    "subtract": mx.subtract,
    "multiply": mx.multiply,
    "divide": mx.divide,
    "remainder": mx.remainder,
    "power": mx.power,
    "equal": mx.equal,
    "not_equal": mx.not_equal,
    "less": mx.less,
    "less_equal": mx.less_equal,
    "greater": mx.greater,
    "greater_equal": mx.greater_equal,
    "logical_and": mx.logical_and,
    "logical_or": mx.logical_or,
    "negative": mx.negative,
    "logical_not": mx.logical_not,
}


def dynamic(name: str, where: str, *operands: Any) -> mx.array:
    """An operator on tensors of which one has a rank that only run time knows: its shapes are checked here."""
    arrays = [_dense(v) for v in operands]
    shapes = [tuple(getattr(v, "shape", ())) for v in arrays]
    if name == "matmul":
        return _matmul(arrays[0], arrays[1], where)
    if name == "transpose_last":
        if len(shapes[0]) < 2:
            refuse(where, "TL5001", "`.T` needs two dims: the tensor has {}", len(shapes[0]))
        return mx.swapaxes(arrays[0], -1, -2)
    if len(shapes) == 2:
        for a, b in zip(reversed(shapes[0]), reversed(shapes[1]), strict=False):
            if a != b and 1 not in (a, b):
                refuse(where, "TL5001", "the shapes {} and {} do not broadcast", list(shapes[0]), list(shapes[1]))
    return affordable(_DYNAMIC[name](*arrays))


def _matmul(a: mx.array, b: mx.array, where: str) -> mx.array:
    if not a.shape or not b.shape:
        refuse(where, "TL5001", "`@` takes no scalars: the shapes are {} and {}", list(a.shape), list(b.shape))
    inner = b.shape[0] if len(b.shape) == 1 else b.shape[-2]
    if a.shape[-1] != inner:
        refuse(where, "TL5001", "`@` needs equal inner dims: {} is not {}", a.shape[-1], inner)
    for p, q in zip(reversed(a.shape[:-2]), reversed(b.shape[:-2]), strict=False):
        if p != q and 1 not in (p, q):
            refuse(where, "TL5001", "the shapes {} and {} do not broadcast", list(a.shape), list(b.shape))
    return affordable(a @ b)


def _dense(value: Any) -> Any:
    if hasattr(value, "layout"):
        from tensorlogic.runtime.device import carried
        from tensorlogic.runtime.packed import dense

        return dense(value, carried(value.dtype))
    return value


def debug(x: mx.array, label: str, form: Any = None) -> mx.array:
    """`x`, printed to stderr now that the graph is built up to here."""
    from tensorlogic.runtime.show import show

    print(f"{label}: {show(x, form)}" if label else show(x, form), file=sys.stderr)
    return x


def read_line(prompt: str = "") -> str | None:
    """A line of standard input without its newline; None at its end."""
    try:
        return input(prompt)
    except EOFError:
        return None
