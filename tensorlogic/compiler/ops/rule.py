"""What a shape rule is given, and what it may demand.

A rule takes an `Application` (the op's arguments, already matched with the parameters that the prelude declares for
it) and returns the result's type. It asks for what must hold through `Demands`: the checker proves each demand, places
a run-time check where an unknown size or a host `int` takes part, or refuses the program. A rule never decides that
itself, and never looks at values: what is known of a host argument while compiling is in its type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NoReturn, Protocol

from tensorlogic.compiler.dims import Polynomial
from tensorlogic.compiler.ir.core import Value
from tensorlogic.compiler.records import dataclass
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.types import (
    BoolType,
    Element,
    ElementTypeType,
    IntType,
    ListType,
    NoneType,
    Shape,
    StringType,
    TensorType,
    TupleType,
    Type,
)


class Knowledge(Protocol):
    """What is known of dims and ints where an op is applied."""

    def positive(self, p: Polynomial) -> bool: ...

    def divided(self, p: Polynomial, q: Polynomial) -> Polynomial | None: ...


class Demands(Protocol):
    """What the checker does for a rule."""

    @property
    def facts(self) -> Knowledge: ...

    def require_equal(
        self, p: Polynomial, q: Polynomial, span: Span, message: str, refuse: Callable[[], NoReturn]
    ) -> None: ...

    def require_nonnegative(
        self, p: Polynomial, q: Polynomial, span: Span, message: str, refuse: Callable[[], NoReturn]
    ) -> None: ...

    def require_divisible(
        self, p: Polynomial, q: Polynomial, span: Span, message: str, refuse: Callable[[], NoReturn]
    ) -> Polynomial: ...

    def provably_equal(self, p: Polynomial, q: Polynomial) -> bool: ...

    def provably_different(self, p: Polynomial, q: Polynomial) -> bool:
        """Where `p == q` or `p >= q` is refused: whether it is false, rather than not proved."""
        ...

    def fail(
        self,
        code: str,
        message: str,
        span: Span,
        label: str = "",
        *,
        others: Iterable[tuple[Span, str]] = (),
        notes: Iterable[str] = (),
        helps: Iterable[str] = (),
    ) -> NoReturn: ...


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument: where it is written (the call's own span for what is not) and its value.

    Defaults are not `written`, nor is what a function that is an argument itself is called with.
    """

    name: str
    value: Value
    span: Span
    written: bool = True

    @property
    def type(self) -> Type:
        return self.value.type


@dataclass(frozen=True)
class Application:
    """An op applied to arguments. `element` is what the op's `T` was bound to, None where no argument bound it."""

    op: str
    arguments: dict[str, Argument]
    span: Span
    element: Element | None
    demands: Demands

    # --- reading arguments

    def __getitem__(self, name: str) -> Argument:
        return self.arguments[name]

    def given(self, name: str) -> bool:
        """Whether the argument is something else than `none`."""
        return not isinstance(self.arguments[name].type, NoneType)

    def tensor(self, name: str) -> TensorType:
        """The type of an argument that is a tensor; its rank must be known or begin with a named pack."""
        argument = self.arguments[name]
        if not isinstance(argument.type, TensorType):
            message = f"`{self.op}` takes a tensor here, not `{argument.type}`"
            self.demands.fail("TL2001", message, argument.span, str(argument.type))
        self.known_rank(argument)
        return argument.type

    def known_rank(self, argument: Argument) -> None:
        """Refuse a tensor whose rank only run time knows."""
        type = argument.type
        if isinstance(type, TensorType) and type.shape.pack is not None and type.shape.pack.unknown:
            self.demands.fail(
                "TL3017",
                f"`{self.op}` needs to know how many dims `{argument.span.text}` has",
                argument.span,
                str(type),
                helps=["say the shape: `let w: float16[?, ?] = ...`"],
            )

    def constant_int(self, name: str) -> int:
        """An `int` that is known while compiling."""
        argument = self.arguments[name]
        value = argument.type.constant if isinstance(argument.type, IntType) else None
        if value is None:
            self.must_be_constant(argument)
        return value

    def constant_bool(self, name: str) -> bool:
        argument = self.arguments[name]
        value = argument.type.constant if isinstance(argument.type, BoolType) else None
        if value is None:
            self.must_be_constant(argument)
        return value

    def constant_string(self, name: str) -> str:
        argument = self.arguments[name]
        value = argument.type.constant if isinstance(argument.type, StringType) else None
        if value is None:
            self.must_be_constant(argument)
        return value

    def dtype(self, name: str) -> Element:
        """The element type of a `dtype` argument."""
        argument = self.arguments[name]
        value = argument.type.element if isinstance(argument.type, ElementTypeType) else None
        if value is None:
            self.must_be_constant(argument)
        return value

    def must_be_constant(self, argument: Argument) -> NoReturn:
        self.demands.fail(
            "TL2008",
            f"`{argument.name}` of `{self.op}` must be known while compiling",
            argument.span,
            notes=["the shape of the result depends on it"],
        )

    def items(self, name: str) -> tuple[Type, ...] | None:
        """The types of the items of a list or tuple; None where its length is not known while compiling."""
        type = self.arguments[name].type
        if isinstance(type, TupleType):
            return type.items
        return type.items if isinstance(type, ListType) else None

    def sizes(self, name: str) -> tuple[Polynomial, ...]:
        """The numbers of a list or tuple of ints of known length: a shape."""
        argument = self.arguments[name]
        items = self.items(name)
        if items is None:
            self.must_be_constant(argument)
        numbers = tuple(item.value for item in items if isinstance(item, IntType) and item.value is not None)
        if len(numbers) != len(items):
            self.demands.fail("TL2001", f"`{argument.name}` of `{self.op}` is a list of ints", argument.span)
        return numbers

    # --- axes

    def axis(self, name: str, shape: Shape) -> int:
        """A constant axis, counted from the right: -1 is the last dim."""
        argument = self.arguments[name]
        return self.axis_of(self.constant_int(name), shape, argument)

    def axis_of(self, number: int, shape: Shape, argument: Argument, *, extra: int = 0) -> int:
        """`number` counted from the right in `shape`, to which `extra` new dims will be added."""
        count = len(shape.dims) + extra
        if shape.pack is None:
            if -count <= number < count:
                return number - count if number >= 0 else number
            self.demands.fail(
                "TL3008",
                f"axis {number} does not exist: the tensor has {count} dim{'' if count == 1 else 's'}",
                argument.span,
                notes=[f"its shape is {shape}"],
            )
        if -count <= number < 0:
            return number
        helps = ["count from the right: -1 is the last dim"] if number >= 0 else []
        self.demands.fail(
            "TL3008",
            f"axis {number} cannot be told in a shape that begins with a pack",
            argument.span,
            notes=[f"its shape is {shape}: the dims after the pack are -1 to -{count}"],
            helps=helps,
        )

    def axes(self, name: str, shape: Shape) -> tuple[int, ...]:
        """A constant axis or tuple of axes, counted from the right, without duplicates."""
        argument = self.arguments[name]
        items = self.items(name)
        if items is None:
            return (self.axis(name, shape),)
        numbers: list[int] = []
        given: list[int] = []
        for item in items:
            number = item.constant if isinstance(item, IntType) else None
            if number is None:
                self.must_be_constant(argument)
            axis = self.axis_of(number, shape, argument)
            if axis in numbers:
                first = given[numbers.index(axis)]
                twice = f"axis {number} is given twice"
                told = twice if first == number else f"axis {number} is axis {first}, which is given already"
                self.demands.fail("TL3008", told, argument.span)
            numbers.append(axis)
            given.append(number)
        return tuple(numbers)


def provably(app: Application, p: Polynomial, q: Polynomial) -> str:
    """The word for a refusal of `p == q` or `p >= q`: nothing where it is false, rather than not proved."""
    return "" if app.demands.provably_different(p, q) else "provably "


def divisibly(p: Polynomial, q: Polynomial) -> str:
    """The word for a refusal of `p % q == 0`, in the same way."""
    return "" if p.constant is not None and q.constant is not None else "provably "


Rule = Callable[[Application], Type]
