"""Making a struct, as the signature of a function of its fields, and of dims that are ints by name.

Promises that the parameters tell every dim: those that no field tells are parameters, one after the other, until what
is given tells the others. A dim that is given though a field tells it is compared with the field.
"""

from __future__ import annotations

from dataclasses import replace

from tensorlogic.compiler.check.plan import Parameter, make_plan, untold_dims
from tensorlogic.compiler.check.signatures import Signature
from tensorlogic.compiler.dims import Polynomial, Variable
from tensorlogic.compiler.facts import Facts
from tensorlogic.compiler.ir.core import Value
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.syntax import nodes
from tensorlogic.compiler.types import IntType, NoneType, OptionalType, StructDefinition, StructType


def constructor_signature(definition: StructDefinition, given: frozenset[str], present: frozenset[str]) -> Signature:
    """What the struct is made from, with the dims that are given by name and the optional fields that are there."""
    node = definition.node
    parameters = [
        Parameter(name, t, _none_default(t, f.span), f.span)
        for (name, t), f in zip(definition.fields.items(), node.fields, strict=True)
    ]
    spans = {d.name: d.span for d in node.dims}

    def by_name(variable: Variable) -> Parameter:
        return Parameter(variable.name, IntType(Polynomial.of(variable)), None, spans[variable.name])

    parameters += [by_name(v) for v in definition.dims if v.name in given]
    there = [
        replace(p, type=p.type.item) if p.name in present and isinstance(p.type, OptionalType) else p
        for p in parameters
    ]
    needed = [by_name(v) for v in untold_dims(there, definition.dims, node.span)]
    plan, _ = make_plan([*there, *needed], definition.dims)
    parameters += needed
    declaration = nodes.FunctionDeclaration(
        span=node.span,
        name=node.name,
        type_parameters=node.type_parameters,
        parameters=(),
        result=None,
        where=(),
        body=None,
        documentation=None,
        external=None,
        builtin=False,
    )
    return Signature(
        name=definition.name,
        symbol=definition.symbol,
        module=definition.module,
        node=declaration,
        parameters=tuple(parameters),
        result=StructType(definition, definition.elements, tuple(Polynomial.of(v) for v in definition.dims)),
        names={v.name: Polynomial.of(v) for v in definition.dims},
        elements={e.name: e for e in definition.elements},
        packs={},
        variables=definition.dims,
        where=(),
        facts=Facts(),
        plan=plan,
    )


def fields_present(definition: StructDefinition, values: dict[str, Value]) -> frozenset[str]:
    """The optional fields whose values are known not to be `none`: they tell dims as others do."""
    return frozenset(
        name
        for name, t in definition.fields.items()
        if isinstance(t, OptionalType) and name in values
        if not isinstance(values[name].type, OptionalType | NoneType)
    )


def _none_default(t: object, span: Span) -> nodes.Expression | None:
    return nodes.NoneLiteral(span) if isinstance(t, OptionalType) else None
