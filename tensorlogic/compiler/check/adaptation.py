"""Host numbers that meet tensors: a number takes the tensor's element type where it can be represented in it.

Promises that a known number which would become infinite, 0 or another int is refused, and that one which only run time
knows is checked while the graph is built (language.md, section 4.4).
"""

from __future__ import annotations

from tensorlogic.compiler.check.context import Context
from tensorlogic.compiler.check.host_numbers import as_float_range
from tensorlogic.compiler.check.refusals import fail
from tensorlogic.compiler.dims import Polynomial
from tensorlogic.compiler.ir.core import Value
from tensorlogic.compiler.ops.representable import loss
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.types import (
    FLOAT16,
    FLOAT32,
    Element,
    ElementType,
    ElementVariable,
    FloatType,
    IntType,
)


def adapt(cx: Context, value: Value, element: Element, span: Span, wider: str) -> Value:
    """A host number where a tensor's element type is expected: as it is, once it is sure to be representable.

    `wider` is the help for one that is not, `{}` in it the type that holds it.
    """
    if element.kind == "any" and isinstance(value.type, FloatType | IntType):
        helps = [f"declare `{element}: float`"]
        fail("TL2002", f"a number meets `{element}`, which may be any element type", span, str(value.type), helps=helps)
    match value.type:
        case FloatType() as number:
            if element.kind in ("integer", "bool"):
                fail(
                    "TL2002",
                    f"a float meets {element}",
                    span,
                    str(number),
                    helps=["`.to(float32)` makes the integers floats"],
                )
            return _fitting_float(cx, value, number, element, span, wider)
        case IntType(polynomial):
            if element.kind == "bool":
                fail("TL2002", "an int meets bool", span)
            constant = None if polynomial is None else polynomial.constant
            if constant is not None:
                check_constant(constant, element, span, wider)
                return value
            if element.kind == "integer":
                fits = polynomial is not None and _surely_int32(cx, polynomial)
                return value if fits else cx.add("fits", (value,), value.type, span, element=element)
            return _fitting_float(cx, value, as_float_range(cx, value.type), element, span, wider)
    return value


def _surely_int32(cx: Context, number: Polynomial) -> bool:
    """Whether an int is a tensor's size, or known to lie between 0 and the largest int32, which is a uint32 as well."""
    if number.variable is not None and number.variable.lower is not None:
        return True
    return cx.facts.nonnegative(number) and cx.facts.nonnegative(Polynomial.of(2**31 - 1) - number)


def _fitting_float(cx: Context, value: Value, number: FloatType, element: Element, span: Span, wider: str) -> Value:
    if number.constant is not None:
        check_constant(number.constant, element, span, wider)
        return value
    largest = element.largest if isinstance(element, ElementType) else 65504.0
    smallest = element.smallest if isinstance(element, ElementType) else 2.0**-24
    away_from_zero = number.low >= smallest or number.high <= -smallest
    if -largest <= number.low and number.high <= largest and away_from_zero:
        return value
    return cx.add("fits", (value,), value.type, span, element=element)


def check_constant(value: float | int, element: Element, span: Span, wider: str) -> None:
    """Refuse a number that an element type cannot hold. `wider` is the help, `{}` in it the type that does."""
    if isinstance(element, ElementVariable):
        # A body is right for every type that its `T` may be, and float16 is the narrowest.
        change = loss(value, FLOAT16)
        if change:
            fail("TL2007", f"{value} {change}, which `{element}` may be", span)
        return
    change = loss(value, element)
    if change:
        held = element.kind == "float" and element != FLOAT32 and loss(value, FLOAT32) is None
        fail("TL2007", f"{value} {change}", span, helps=[wider.format(FLOAT32)] if held else [])
