"""How values print: `print`, f-strings and error messages all use this.

Takes: any value of the language, as emitted code holds it: Python ints, floats, bools, strings, lists, tuples, `None`,
struct instances (dataclasses), MLX arrays and packed weights; and, where the Python value cannot tell, its `Form`.

Promises: one line. `true`, `false`, `none`; floats in the shortest digits that give them back (`1.0`, `1e-05`);
strings bare by themselves and quoted inside anything else; `[4, 2]`, `(1, 2)`, `Linear(weight: [...], bias: none)`.
A tensor is nested brackets in the shortest digits that give back each number in its ELEMENT type, a scalar tensor a
bare number, an empty one `[]`. Above 1,000 elements each axis longer than six shows its first and last three, as
NumPy does: `[0.0, 1.0, 2.0, ..., 997.0, 998.0, 999.0]`; only what is shown is copied to the host.

`print_values` writes with one call. A reader that went away (BrokenPipeError) and an output encoding that lacks a
character (UnicodeEncodeError) are left to the command line, which owns standard output.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import mlx.core as mx

from tensorlogic.runtime.digits import FORMATS, shortest
from tensorlogic.runtime.packed import Packed, dense

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Form: TypeAlias = "str | list[Form] | tuple[Form, ...] | Mapping[str, Form] | None"
"""What the Python value does not say, in the shape of the value.

`"float16"` is the element type of every float tensor in the value, to which one carried in float32 is rounded;
`[form]` a list, also where a Python tuple holds it; `(form, form)` a tuple; `{"field": form}` a struct; `None` nothing
more than the Python value says.
"""

LONGEST_IN_FULL = 1000
EDGE_ITEMS = 3

_FLOATS = {mx.float16: "float16", mx.bfloat16: "bfloat16", mx.float32: "float32"}
_ARRAY_TYPES = {name: dtype for dtype, name in _FLOATS.items()}
_ESCAPES = {"\n": "\\n", "\t": "\\t", '"': '\\"', "\\": "\\\\"}


def print_values(*values: object, end: str = "\n") -> None:
    """Writes the values with a space between and `end` behind. A line that stays open appears at once."""
    if sys.stdout is None:
        return  # a program without a console, as Python's own `print` does
    sys.stdout.write(" ".join(show(value) for value in values) + end)
    if not end.endswith("\n"):
        sys.stdout.flush()


def show(value: object, form: Form = None) -> str:
    """One line for `value`; a string is itself, without quotes."""
    return value if isinstance(value, str) else _show(value, form)


def show_tensor(array: mx.array, dtype: str | None = None) -> str:
    """One line for a tensor of the element type `dtype`, which may be carried in float32; else of the array's own."""
    kind = _FLOATS.get(array.dtype)
    if kind is not None and dtype is not None:
        assert dtype in FORMATS, f"a float tensor cannot have the element type {dtype}"
        kind = dtype
    if array.size == 0:
        return "[]"
    shortened = array.size > LONGEST_IN_FULL
    cut = tuple(shortened and size > 2 * EDGE_ITEMS for size in array.shape)
    shown = _edges(array, cut)
    if kind is not None:
        # Rounded to the element type, then widened, which is exact: the digits are those of the rounded number.
        shown = shown.astype(_ARRAY_TYPES[kind]).astype(mx.float32)
    return _brackets(shown.tolist(), kind, cut)


def _show(value: object, form: Form) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, mx.array | Packed):
        assert form is None or isinstance(form, str), f"a tensor has no form {form!r}"
        return show_tensor(dense(value), form)
    if isinstance(value, list | tuple):
        return _show_sequence(value, form)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _show_struct(value, form)
    if callable(value):
        return f"<fn {getattr(value, '__name__', type(value).__name__)}>"
    return str(value)


def _show_sequence(items: Sequence[object], form: Form) -> str:
    if isinstance(form, list):
        (item_form,) = form
        return _bracketed("[]", [_show(item, item_form) for item in items])
    if isinstance(form, tuple):
        return _bracketed("()", [_show(item, each) for item, each in zip(items, form, strict=True)])
    return _bracketed("[]" if isinstance(items, list) else "()", [_show(item, form) for item in items])


def _show_struct(value: DataclassInstance, form: Form) -> str:
    shown = []
    for field in dataclasses.fields(value):
        if not field.repr:
            continue  # a dim, which the fields tell
        inner = form.get(field.name) if isinstance(form, Mapping) else form
        name = field.metadata.get("name", field.name)
        shown.append(f"{name}: {_show(getattr(value, field.name), inner)}")
    return getattr(type(value), "_name", type(value).__name__) + _bracketed("()", shown)


def _bracketed(brackets: str, items: list[str]) -> str:
    return brackets[0] + ", ".join(items) + brackets[1]


def _quoted(text: str) -> str:
    """As a literal of the language; what cannot be seen is written by its number."""
    return '"' + "".join(_ESCAPES.get(c, c if c.isprintable() else f"\\u{{{ord(c):X}}}") for c in text) + '"'


def _edges(array: mx.array, cut: tuple[bool, ...]) -> mx.array:
    """The first and last items along each axis that is cut."""
    for axis, (size, is_cut) in enumerate(zip(array.shape, cut, strict=True)):
        if is_cut:
            kept = [*range(EDGE_ITEMS), *range(size - EDGE_ITEMS, size)]
            array = mx.take(array, mx.array(kept), axis=axis)
    return array


def _brackets(value: object, kind: str | None, cut: tuple[bool, ...]) -> str:
    """Nested lists of numbers of the float type `kind`, or of ints and bools; `cut` tells the axes with a gap."""
    if not isinstance(value, list):
        return shortest(value, kind) if kind is not None and isinstance(value, float) else _show(value, None)
    items = [_brackets(item, kind, cut[1:]) for item in value]
    if cut[0]:
        items.insert(EDGE_ITEMS, "...")
    return _bracketed("[]", items)
