"""Host constants and types as Python source."""

from __future__ import annotations

import json
import math
from typing import Any

from tensorlogic.compiler.ops.lowering import ATOM, UNARY, Text
from tensorlogic.compiler.passes.packing import may_be_packed
from tensorlogic.compiler.types import (
    BoolType,
    Element,
    ElementType,
    FloatType,
    FunctionType,
    IntType,
    ListType,
    NoneType,
    OpaqueType,
    OptionalType,
    StringType,
    StructType,
    TensorType,
    TupleType,
    Type,
)


def literal(value: Any) -> Text:
    """A host constant: a number, string, bool or none, or nested tuples of them as nested lists."""
    match value:
        case None | bool():
            return Text(repr(value))
        case int():
            return Text(str(value), UNARY if value < 0 else ATOM)
        case float():
            if math.isinf(value):
                return Text("math.inf" if value > 0 else "-math.inf", ATOM if value > 0 else UNARY)
            if math.isnan(value):
                return Text("math.nan")
            return Text(repr(value), UNARY if value < 0 or str(value).startswith("-") else ATOM)
        case str():
            return Text(string(value))
        case tuple() | list():
            return Text(f"[{', '.join(literal(v).code for v in value)}]")
        case ElementType():
            return Text(dtype_name(value))
    raise AssertionError(f"no literal for {value!r}")


def dtype_name(element: Element) -> str:
    """An element type as MLX calls it."""
    return "mx.bool_" if element.name == "bool" else f"mx.{element.name}"


def string(value: str) -> str:
    """A string literal in double quotes, in printable ASCII and letters only."""
    quoted = json.dumps(value, ensure_ascii=False)
    # JSON leaves lone surrogates and some line separators as they are; Python source may not hold them.
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in quoted)


def tuple_of(items: list[str]) -> str:
    """A tuple of these expressions."""
    return f"({', '.join(items)}{',' if len(items) == 1 else ''})"


def hint(t: Type | None, structs: dict[Any, str], *, packed: bool = False) -> str:
    """A type as a Python type hint. With `packed`, a weight that may be packed is told to be."""
    match t:
        case TensorType():
            return "mx.array | tl.Packed" if packed and may_be_packed(t) else "mx.array"
        case IntType():
            return "int"
        case FloatType():
            return "float"
        case BoolType():
            return "bool"
        case StringType():
            return "str"
        case None | NoneType():
            return "None"
        case TupleType(items):
            return f"tuple[{', '.join(hint(i, structs, packed=packed) for i in items)}]"
        case ListType(item, _):
            return f"tuple[{hint(item, structs, packed=packed)}, ...]"
        case OptionalType(item):
            return f"{hint(item, structs, packed=packed)} | None"
        case FunctionType(parameters, result):
            return f"Callable[[{', '.join(hint(p, structs) for p in parameters)}], {hint(result, structs)}]"
        case StructType(definition, _, _):
            return structs[definition]
        case OpaqueType(name):
            return f"tl.{name}"
    return "object"
