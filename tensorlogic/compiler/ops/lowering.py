"""How an op becomes Python: expressions with their precedence, and templates of them.

A lowering is a template (`"mx.softmax({x}, axis={axis})"`, its fields the op's parameters), an `Infix`, or a function
of a `Call`. The text it makes calls MLX as `mx`, and the runtime as `tl` where MLX has no such operation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from tensorlogic.compiler.records import dataclass
from tensorlogic.compiler.types import Element, IntType, ListType, TensorType, TupleType, Type

# Python's precedence, as far as emitted code needs it; higher binds tighter.
LOWEST, CONDITIONAL, OR, AND, NOT, COMPARISON, BIT_OR, BIT_AND, SUM, PRODUCT, UNARY, POWER, ATOM = range(13)


@dataclass(frozen=True, slots=True)
class Text:
    """A Python expression.

    In a format string `{x}` is it as an argument, `{x:atom}` with parentheses if needed, `{x:list}` a list where it is
    a tuple.
    """

    code: str
    precedence: int = ATOM

    def within(self, precedence: int) -> str:
        """The expression where something that binds at least as tightly as `precedence` is expected."""
        return self.code if self.precedence >= precedence else f"({self.code})"

    def __format__(self, spec: str) -> str:
        match spec:
            case "atom":
                return self.within(ATOM)
            case "list" if self.precedence == ATOM and self.code.startswith("("):
                return f"[{self.code[1:-1].rstrip(',')}]"
            case "list":
                return f"list({self.code})"
        return self.code


class Names(Protocol):
    """What the emitter tells about the module it writes."""

    def dtype(self, element: Element, like: Text | None = None) -> str:
        """The MLX dtype in which an element type is carried: `F16`, `mx.int32`; `like.dtype` for a type parameter."""
        ...

    def visible_dtype(self, element: Element) -> str:
        """The MLX dtype of an element type where it can be seen: `mx.float16`."""
        ...

    def runtime(self, function: str) -> str:
        """The name under which a function of the runtime is called: `tl.matmul`."""
        ...


@dataclass(frozen=True)
class Call:
    """An op to lower: its operands' texts and types by parameter, its result's type, and the `.tl` place.

    `packed` are the operands that may be packed weights when the code runs; `checked` asks for indices to be reported
    instead of clamped. In a `standalone` module MLX computes everything; elsewhere the runtime chooses between MLX's
    kernels and ours, which under `fast` may round what meets a packed weight to bytes. Under `strict` a value has
    the type that the program gives it.
    """

    operands: Mapping[str, Text]
    types: Mapping[str, Type]
    result: Type
    where: str
    names: Names
    packed: frozenset[str] = frozenset()
    checked: bool = False
    fast: bool = False
    standalone: bool = False
    strict: bool = False

    def __getitem__(self, name: str) -> Text:
        return self.operands[name]

    def tensor(self, name: str) -> TensorType:
        type = self.types[name]
        assert isinstance(type, TensorType)
        return type

    def constant_int(self, name: str) -> int | None:
        """The constant of an `int` operand; None for `none`."""
        type = self.types[name]
        return type.constant if isinstance(type, IntType) else None

    def constants(self, name: str) -> tuple[int, ...] | None:
        """The constants of an operand that is an `int` or a list or tuple of them; None for `none`."""
        type = self.types[name]
        items: tuple[Type, ...] | None = (type,)
        if isinstance(type, TupleType | ListType):
            items = type.items
        numbers = tuple(i.constant for i in items or () if isinstance(i, IntType) and i.constant is not None)
        return numbers or None

    @property
    def result_dtype(self) -> str:
        """The carried dtype of the result, which is a tensor, following the first tensor among the operands."""
        assert isinstance(self.result, TensorType)
        like = next((self.operands[n] for n, t in self.types.items() if isinstance(t, TensorType)), None)
        return self.names.dtype(self.result.element, like)


@dataclass(frozen=True, slots=True)
class Infix:
    """A binary operator of Python. With `right`, it groups from the right."""

    symbol: str
    precedence: int
    right: bool = False

    def lower(self, left: Text, right: Text) -> Text:
        looser, tighter = self.precedence, self.precedence + 1
        if self.precedence == COMPARISON:
            looser = tighter
        if self.right:
            looser, tighter = tighter, looser
        return Text(f"{left.within(looser)} {self.symbol} {right.within(tighter)}", self.precedence)


@dataclass(frozen=True, slots=True)
class Prefix:
    """A unary operator of Python."""

    symbol: str
    precedence: int = UNARY

    def lower(self, operand: Text) -> Text:
        return Text(f"{self.symbol}{operand.within(self.precedence)}", self.precedence)


Lowering = str | Infix | Prefix | Callable[[Call], Text]


def lower(lowering: Lowering, call: Call) -> Text:
    """The Python expression for a call of an op."""
    match lowering:
        case str():
            return Text(lowering.format(**call.operands))
        case Infix() | Prefix():
            return lowering.lower(*call.operands.values())
    return lowering(call)
