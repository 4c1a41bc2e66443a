"""`bind<Llama>(model, prefix: "blk.3", H: 4)`: a struct filled from a model by its keys (language.md, section 9.2).

Promises a struct type whose dims are unknown, apart from those that are given by name. Refuses structs that hold what
no model does, and dims that neither a tensor nor a name tells.
"""

from __future__ import annotations

import difflib

from tensorlogic.compiler.check.assign import coerce
from tensorlogic.compiler.check.bindings import check_operands
from tensorlogic.compiler.check.context import Context
from tensorlogic.compiler.check.methods import in_model
from tensorlogic.compiler.check.refusals import Failure, fail
from tensorlogic.compiler.dims import HOLE, Polynomial
from tensorlogic.compiler.ir.core import Value
from tensorlogic.compiler.names import BrokenSymbol, StructSymbol
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.syntax import nodes
from tensorlogic.compiler.types import (
    INT,
    STRING,
    IntType,
    ListType,
    OpaqueType,
    OptionalType,
    StructDefinition,
    StructType,
    TensorType,
    Type,
    structs_in,
)


def check_bind(cx: Context, node: nodes.Call, expected: Type | None) -> Value:
    from tensorlogic.compiler.check import expressions

    definition = _struct(cx, node)
    cx.world.reach_struct(definition)
    model: Value | None = None
    prefix = cx.constant("", node.span)
    sizes: dict[str, Value] = {}
    for argument in node.arguments:
        value = expressions.check(cx, argument.value)
        check_operands(value)
        name = argument.name.name if argument.name is not None else "model"
        if name in sizes or (name == "model" and model is not None):
            fail("TL2004", f"`{name}` of `bind` is given twice", argument.span)
        if name == "model":
            model = _model(cx, value, argument.value.span)
        elif name == "prefix":
            prefix = coerce(cx, value, STRING, argument.value.span, "`prefix` of `bind`")
        elif name in {v.name for v in definition.dims}:
            sizes[name] = coerce(cx, value, INT, argument.value.span, f"`{name}` of `bind`")
        else:
            near = difflib.get_close_matches(name, [v.name for v in definition.dims], 1)
            helps = [f"did you mean `{n}`?" for n in near]
            fail("TL1012", f"`{definition.name}` has no dim `{name}`", argument.span, helps=helps)
    if model is None:
        fail("TL2004", "`bind` needs a model", node.span)
    _refuse_open_dims(definition, sizes, node)
    assert isinstance(model.type, OpaqueType)
    wanted = expected.elements if isinstance(expected, StructType) and expected.definition is definition else ()
    elements = tuple(in_model(model.type, e, node.span) for e in wanted or (None,) * len(definition.elements))
    holes = tuple(_dim(sizes.get(v.name)) for v in definition.dims)
    type = StructType(definition, elements, holes)
    operands = (model, prefix, *sizes.values())
    return cx.add("bind", operands, type, node.span, definition=definition, sizes=tuple(sizes))


def _struct(cx: Context, node: nodes.Call) -> StructDefinition:
    """The struct that is named between the angle brackets."""
    written = node.type_arguments
    named = written[0] if len(written) == 1 else None
    if not isinstance(named, nodes.NamedType):
        fail("TL2004", "`bind<S>(model)` names the struct to fill", node.span)
    symbol = cx.module.scope.get(named.name.name)
    if isinstance(symbol, BrokenSymbol):
        raise Failure
    if not isinstance(symbol, StructSymbol):
        known = [n for n, s in cx.module.scope.items() if isinstance(s, StructSymbol)]
        helps = [f"did you mean `{n}`?" for n in difflib.get_close_matches(named.name.name, known, 1)]
        fail("TL1013", f"there is no struct `{named.name.name}`", named.name.span, helps=helps)
    if named.type_arguments or named.dims is not None:
        fail("TL2004", "`bind` takes the struct's name alone", named.span)
    definition = cx.world.struct(symbol)
    for field in definition.node.fields:
        if not _in_a_model(definition.fields[field.name.name]):
            fail(
                "TL2001",
                f"`{definition.name}` cannot be filled from a model: `{field.name.name}` is not in one",
                named.span,
                others=[(field.span, str(definition.fields[field.name.name]))],
                notes=["a model holds tensors, and structs and lists of them by their keys"],
            )
    return definition


def _in_a_model(t: Type) -> bool:
    """Whether a field of the type has keys: a tensor, a struct of such fields, or a list of either."""
    inner = t.item if isinstance(t, OptionalType) else t
    if isinstance(inner, ListType):
        inner = inner.item
    if isinstance(inner, StructType):
        return all(_in_a_model(f) for f in inner.definition.fields.values())
    return isinstance(inner, TensorType)


def _model(cx: Context, value: Value, span: Span) -> Value:
    return coerce(cx, value, OpaqueType("Model"), span, "`model` of `bind`")


def _refuse_open_dims(definition: StructDefinition, sizes: dict[str, Value], node: nodes.Call) -> None:
    """Dims that no tensor tells, and that are not given either, in the struct and in those inside."""
    open_dims = [v for v in definition.by_name if v.name not in sizes]
    if open_dims:
        names = " and ".join(f"`{v.name}`" for v in open_dims)
        written = "".join(f", {v.name}: ..." for v in open_dims)
        places = {d.name: d.span for d in definition.node.dims}
        fail(
            "TL1010",
            f"the tensors of `{definition.name}` do not tell {names}",
            node.span,
            others=[(places[v.name], "declared here") for v in open_dims],
            helps=[
                f"give {'it' if len(open_dims) == 1 else 'them'} by name: `bind<{definition.name}>(model{written})`"
            ],
        )
    _refuse_unknown_dims(definition, node)


def _refuse_unknown_dims(outer: StructDefinition, node: nodes.Call) -> None:
    """Dims that a struct inside must be given, where the struct around it has `?`."""
    for t in structs_in(outer.fields.values()):
        for own, size in zip(t.definition.dims, t.dims, strict=True):
            if own in t.definition.by_name and not set(size.variables()) <= set(outer.dims):
                places = {d.name: d.span for d in t.definition.node.dims}
                fail(
                    "TL1010",
                    f"the tensors of `{t.definition.name}` do not tell `{own.name}`, and `{outer.name}` has `{t}`",
                    node.span,
                    others=[(places[own.name], "declared here")],
                    notes=["a dim that is given by name is one number, in every item of a list too"],
                )
        _refuse_unknown_dims(t.definition, node)


def _dim(value: Value | None) -> Polynomial:
    if value is not None and isinstance(value.type, IntType) and value.type.value is not None:
        return value.type.value
    return Polynomial.of(HOLE)
