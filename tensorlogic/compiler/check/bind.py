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
from tensorlogic.compiler.check.plan import Parameter, make_plan, untold_dims
from tensorlogic.compiler.check.refusals import Failure, fail
from tensorlogic.compiler.dims import HOLE, Kind, Polynomial, Variable
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
    Substitution,
    TensorType,
    Type,
    substitute,
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
    """Dims that neither a name nor a tensor that is sure to be there tells, in the struct and in those inside."""
    inner: dict[Variable, tuple[StructType, Variable]] = {}
    own = Substitution({v: Polynomial.of(v) for v in definition.dims}, {}, {})
    tensors = _tensors(definition, own, inner)
    ints = [IntType(Polynomial.of(v)) for v in definition.dims if v.name in sizes]
    parameters = [Parameter("", t, None, node.span) for t in (*ints, *tensors)]
    _, open_dims = make_plan(parameters, (*definition.dims, *inner))
    told = [v for v in open_dims if v in definition.dims]
    if told:
        names = " and ".join(f"`{v.name}`" for v in told)
        needed = [v for v in untold_dims(parameters, definition.dims, node.span) if v in told]
        written = ", ".join(f"{v.name}: ..." for v in needed)
        places = {d.name: d.span for d in definition.node.dims}
        fail(
            "TL1010",
            f"the tensors of `{definition.name}` do not tell {names}",
            node.span,
            others=[(places[v.name], "declared here") for v in told],
            helps=[f"`bind<{definition.name}>(model, {written})` gives {'it' if len(needed) == 1 else 'them'} by name"],
        )
    if open_dims:
        t, variable = inner[open_dims[0]]
        places = {d.name: d.span for d in t.definition.node.dims}
        fail(
            "TL1010",
            f"the tensors of `{t.definition.name}` do not tell `{variable.name}`, which is `?` in `{t}`",
            node.span,
            others=[(places[variable.name], "declared here")],
            notes=["a dim that is given by name is one number, in every item of a list too"],
        )


def _tensors(
    definition: StructDefinition, outer: Substitution, inner: dict[Variable, tuple[StructType, Variable]]
) -> list[Type]:
    """The tensors that are sure to be there, over the outermost struct's dims; `inner` gathers those that `?` hides."""
    found: list[Type] = []
    for t in definition.fields.values():
        item = t.item if isinstance(t, ListType) else t
        if isinstance(item, TensorType):
            found.append(substitute(item, outer))
        if isinstance(item, StructType):
            dims: dict[Variable, Polynomial] = {}
            for own, size in zip(item.definition.dims, item.dims, strict=True):
                hidden = Variable(own.name, Kind.RIGID)
                if HOLE in size.variables():
                    inner[hidden] = (item, own)
                    size = Polynomial.of(hidden)
                dims[own] = size.substitute(outer.dims)
            found += _tensors(item.definition, Substitution(dims, {}, {}), inner)
    return found


def _dim(value: Value | None) -> Polynomial:
    if value is not None and isinstance(value.type, IntType) and value.type.value is not None:
        return value.type.value
    return Polynomial.of(HOLE)
