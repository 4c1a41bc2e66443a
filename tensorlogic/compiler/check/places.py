"""Numbers found in arguments at run time: how a plan's steps become operations.

A body finds its dimension variables in its parameters the same way as an entry finds them in what came from outside.
"""

from __future__ import annotations

from collections.abc import Callable

from tensorlogic.compiler.check.context import Context
from tensorlogic.compiler.check.plan import Place, Step
from tensorlogic.compiler.check.signatures import Signature
from tensorlogic.compiler.dims import ONE, Polynomial, Variable
from tensorlogic.compiler.ir.core import Value
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.types import IntType, ListType, TupleType


def witness_plan(cx: Context, signature: Signature, values: tuple[Value, ...]) -> None:
    """Say where each variable of a signature is found, given the arguments."""
    for parameter, value in zip(signature.parameters, values, strict=True):
        if isinstance(parameter.type, IntType) and parameter.type.value is not None:
            variable = parameter.type.value.variable
            assert variable is not None
            cx.witnesses[variable] = _always(value)
    for step in signature.plan:
        if not step.variable.is_parameter:
            witness_step(cx, step, values)


def witness_step(cx: Context, step: Step, values: tuple[Value, ...]) -> None:
    variable = step.variable
    place = step.place
    if step.numerator == Polynomial.of(step.stand_in) and step.denominator == ONE:
        cx.witnesses[variable] = lambda span: at_place(cx, place, values, span, variable)
        return
    cx.witnesses[step.stand_in] = lambda span: at_place(cx, place, values, span, step.stand_in)

    def solved(span: Span) -> Value:
        value = cx.number(step.numerator, span)
        type = IntType(Polynomial.of(variable))
        if step.denominator == ONE:
            return cx.add("retype", (value,), type, span)
        return cx.add("host.floor_divide", (value, cx.number(step.denominator, span)), type, span)

    cx.witnesses[variable] = solved


def at_place(cx: Context, place: Place, values: tuple[Value, ...], span: Span, name: Variable) -> Value:
    """The number at a place, as a value whose type says that it is the variable."""
    value = values[place.parameter]
    type = IntType(Polynomial.of(name))
    if not place.steps:
        return cx.add("retype", (value,), type, span)
    for kind, index in place.steps[:-1]:
        assert kind == "item"
        assert isinstance(index, int)
        value = item_of(cx, value, index, span)
    kind, index = place.steps[-1]
    match kind:
        case "dim":
            return cx.add("dim", (value,), type, span, axis=index)
        case "parameter":
            return cx.add("field", (value,), type, span, field=index)
    assert isinstance(index, int)
    return cx.add("retype", (item_of(cx, value, index, span),), type, span)


def item_of(cx: Context, value: Value, index: int, span: Span) -> Value:
    """An item of a tuple or list."""
    match value.type:
        case TupleType(items):
            return cx.add("item", (value,), items[index], span, index=index)
        case ListType(item, items):
            return cx.add("item", (value,), item if items is None else items[index], span, index=index)
    raise AssertionError(f"no items in {value.type}")


def _always(value: Value) -> Callable[[Span], Value]:
    return lambda span: value
