"""What names stand for while a body is checked, and the types that exist only then.

A lambda and a declared function's name have no type of the language before something says what they take. `widen`
forgets what is known of a value, `constant_type` says all of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tensorlogic.compiler.check.assumptions import (
    Path,
)
from tensorlogic.compiler.check.refusals import Failure
from tensorlogic.compiler.dims import Polynomial
from tensorlogic.compiler.ir.core import Value
from tensorlogic.compiler.records import dataclass
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.types import (
    BoolType,
    ErrorType,
    FloatType,
    IntType,
    ListType,
    NoneType,
    OptionalType,
    StringType,
    TupleType,
    Type,
)

if TYPE_CHECKING:
    from tensorlogic.compiler.names import FunctionSymbol
    from tensorlogic.compiler.syntax import nodes


@dataclass(frozen=True, slots=True)
class Binding:
    """What a name stands for now. `declared` is the type written at its `let`, which may hold `?`."""

    value: Value
    span: Span
    role: str = "let"
    declared: Type | None = None


@dataclass(frozen=True, eq=False, slots=True)
class LambdaType(Type):
    """The type of `|x| e` before anything says what it takes: its text and the names it sees."""

    node: nodes.Lambda
    frame: dict[str, Binding]
    narrowed: dict[Path, Value]

    def __str__(self) -> str:
        return f"fn({', '.join(p.name for p in self.node.parameters)})"


@dataclass(frozen=True, slots=True)
class FunctionSymbolType(Type):
    """The type of a declared function's name as a value."""

    symbol: FunctionSymbol

    def __str__(self) -> str:
        return f"fn {self.symbol.name}"


@dataclass(slots=True)
class Loop:
    """The innermost loop's carried names with the types they keep, for `break` and `continue`."""

    carried: tuple[str, ...]
    types: tuple[Type, ...]


def constant_type(value: int | float | bool | str | None) -> Type:
    """The type of a host constant, which carries the constant."""
    match value:
        case bool():
            return BoolType(value)
        case int():
            return IntType(Polynomial.of(value))
        case float():
            return FloatType(value, value, known=True)
        case str():
            return StringType(value)
        case None:
            return NoneType()


def widen(t: Type) -> Type:
    """The type without what is known of the value: ints, constants and lengths are forgotten, shapes are kept."""
    match t:
        case IntType():
            return IntType()
        case FloatType():
            return FloatType()
        case BoolType():
            return BoolType()
        case StringType():
            return StringType()
        case ListType(item, items):
            return ListType(widen(item), None)
        case TupleType(items):
            return TupleType(tuple(widen(i) for i in items))
        case OptionalType(item):
            return OptionalType(widen(item))
    return t


def check_operands(*values: Value) -> None:
    """End the statement silently where an operand is wrong already."""
    if any(isinstance(value.type, ErrorType) for value in values):
        raise Failure
