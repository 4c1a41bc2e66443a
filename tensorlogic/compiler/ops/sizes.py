"""Numbers that become sizes of tensors: what the rules demand of them, and which no tensor can have.

MLX counts a dim in 32 bits. A size that is larger whatever its variables are is refused while compiling (TL3018), in
the result of every op of the table; one that only run time knows is refused then.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

from tensorlogic.compiler.dims import Kind, Number, Polynomial, Variable
from tensorlogic.compiler.ops.broadcast import SYMBOLS, name_of
from tensorlogic.compiler.ops.rule import Application, Argument, Rule
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.types import IntType, TensorType, TupleType, Type

LARGEST_DIM = 2**31 - 1
UNBOUNDED = 2**128
"""More than any element type holds: stands for a number of which nothing is known."""
_LIMIT = f"the largest that a dim may have is {LARGEST_DIM}"


def bounds(number: Polynomial) -> tuple[Number, Number]:
    """The least and the largest that a number can be, as its variables tell by themselves."""
    low: Number = 0
    high: Number = 0
    for monomial, coefficient in number.terms.items():
        least = most = 1
        for variable, power in monomial:
            if variable.lower is None:
                return -UNBOUNDED, UNBOUNDED
            least *= variable.lower**power
            most *= (LARGEST_DIM if _is_of_tensor(variable) else UNBOUNDED) ** power
        ends = (coefficient * least, coefficient * most)
        low, high = low + min(ends), high + max(ends)
    return low, high


def _is_of_tensor(variable: Variable) -> bool:
    """Whether a variable is a dim of some tensor, which is there."""
    return variable.definition is None and variable.kind in (Kind.RIGID, Kind.UNKNOWN)


def surely_positive(size: Polynomial) -> bool:
    """Whether a number is at least 1, as its variables tell by themselves."""
    return bounds(size)[0] >= 1


# --- demands on arguments


def int_of(argument: Argument) -> Polynomial:
    """The number that an `int` argument is."""
    assert isinstance(argument.type, IntType)
    assert argument.type.value is not None
    return argument.type.value


def require_at_least(app: Application, name: str, least: int) -> Polynomial:
    """An `int` argument that must be at least `least`, and a number that MLX takes."""
    argument = app[name]
    number = int_of(argument)
    require_number(app, number, least, argument, f"`{name}` of `{app.op}`")
    return number


def require_number(app: Application, number: Polynomial, least: int, argument: Argument, what: str) -> None:
    """The same of a number in an argument, called `what`."""
    _require(app, number, least, argument, what, f"{what} is {{0}}: it must be at least {{1}}")
    _refuse_large(app, number, argument.span, what, f"it must be at most {LARGEST_DIM}")


def require_size(app: Application, size: Polynomial, argument: Argument) -> None:
    """Demand that a number can be a size."""
    what = f"a size of `{app.op}`"
    _require(app, size, 0, argument, what, f"a size in {name_of(argument)} is {{0}}: it must be at least {{1}}")
    _refuse_large(app, size, argument.span, what, _LIMIT)


def _require(app: Application, number: Polynomial, least: int, argument: Argument, what: str, message: str) -> None:
    def refuse() -> NoReturn:
        problem = f": it must be at least {least}"
        if not app.demands.provably_different(number, Polynomial.of(least)):
            problem = ", which may be " + (f"less than {least}" if least else "negative")
        app.demands.fail("TL3018", f"{what} is {number}{problem}", argument.span)

    app.demands.require_nonnegative(number, Polynomial.of(least), argument.span, message, refuse)


# --- the largest size


def within_limits(rule: Rule) -> Rule:
    """The rule, refusing a result with a size that no tensor can have."""

    def limited(app: Application) -> Type:
        type = rule(app)
        what = f"a size of the result of `{SYMBOLS.get(app.op, app.op)}`"
        for size in _sizes(type):
            _refuse_large(app, size, app.span, what, _LIMIT)
        return type

    return limited


def _refuse_large(app: Application, number: Polynomial, span: Span, what: str, limit: str) -> None:
    if bounds(number)[0] > LARGEST_DIM:
        app.demands.fail("TL3018", f"{what} is {number}: {limit}", span)


def _sizes(type: Type) -> Iterator[Polynomial]:
    match type:
        case TensorType(_, shape):
            yield from shape.dims
        case TupleType(items):
            for item in items:
                yield from _sizes(item)
