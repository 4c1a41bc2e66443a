"""Entries: what is checked when a function is called from Python.

An entry is a function of the IR like any other: it accepts each argument (its kind, element type and rank; the cast to
the carried precision), finds the dimension variables by the signature's plan, demands that they are at least 1, that
every other dim agrees and that the `where` holds, calls the body, and gives the result back in its declared type. The
messages name the argument, the dim, what it was bound to, and by which argument.
"""

from __future__ import annotations

from tensorlogic.compiler.check.arguments import check_arguments
from tensorlogic.compiler.check.context import Context
from tensorlogic.compiler.check.places import witness_plan
from tensorlogic.compiler.check.signatures import Signature
from tensorlogic.compiler.check.world import World
from tensorlogic.compiler.dims import Polynomial
from tensorlogic.compiler.ir.builder import Builder
from tensorlogic.compiler.ir.core import Entry, Function, Value
from tensorlogic.compiler.types import StructDefinition, TupleType


def make_entry(world: World, signature: Signature) -> Entry | None:
    """The entry of a function; None for a name with `_` in front and for functions that take functions."""
    if signature.name.startswith("_") or signature.takes_functions:
        return None
    span = signature.node.name.span
    cx = Context(world=world, module=signature.module, builder=Builder(), function_name=signature.name)
    cx.builder.open()
    raw = tuple(Value(p.type) for p in signature.parameters)
    accepted: list[Value] = []
    for parameter, value in zip(signature.parameters, raw, strict=True):
        cx.builder.name(value, parameter.name)
        taken = cx.add(
            "accept", (value,), parameter.type, parameter.span, argument=parameter.name, function=signature.name
        )
        cx.builder.name(taken, parameter.name)
        accepted.append(taken)
    values = tuple(accepted)
    witness_plan(cx, signature, values)
    check_arguments(cx, signature, values)
    result = cx.add("call", values, signature.result, span, callee=signature.symbol)
    cx.builder.name(result, "result")
    given = cx.add("give", (result,), signature.result, span)
    cx.builder.add_statement("return", (given,), span)
    names = tuple(p.name for p in signature.parameters)
    function = Function(
        symbol=signature.name,
        parameters=tuple(zip(names, raw, strict=True)),
        result=signature.result,
        body=cx.builder.close(raw),
        names=cx.builder.names,
        span=span,
        documentation=signature.node.documentation,
    )
    defaults = tuple(
        () if p.default is None else (world.evaluate(p.default, signature.module),) for p in signature.parameters
    )
    return Entry(signature.name, function, signature, defaults)


def make_constructor(world: World, definition: StructDefinition) -> Function:
    """The checks of a struct's fields: gives the accepted fields, then the dims, as a tuple."""
    signature = world.constructor(definition)
    span = definition.node.name.span
    cx = Context(world=world, module=signature.module, builder=Builder(), function_name=signature.name)
    cx.builder.open()
    raw = tuple(Value(p.type) for p in signature.parameters)
    values = tuple(
        cx.add("accept", (v,), p.type, p.span, argument=f"{signature.name}.{p.name}", function=signature.name)
        for p, v in zip(signature.parameters, raw, strict=True)
    )
    for parameter, value in zip(signature.parameters, values, strict=True):
        cx.builder.name(value, parameter.name)
    witness_plan(cx, signature, values)
    check_arguments(cx, signature, values)
    fields = values[: len(definition.fields)]
    sizes = tuple(cx.number(Polynomial.of(v), span) for v in definition.dims)
    result = cx.add("tuple", (*fields, *sizes), TupleType(tuple(v.type for v in (*fields, *sizes))), span)
    cx.builder.add_statement("return", (result,), span)
    names = tuple(p.name for p in signature.parameters)
    return Function(
        symbol=definition.symbol,
        parameters=tuple(zip(names, raw, strict=True)),
        result=None,
        body=cx.builder.close(raw),
        names=cx.builder.names,
        span=span,
    )
