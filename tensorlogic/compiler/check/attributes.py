"""`value.name`: fields and dims of structs, attributes of tensors and opaque values, names of modules."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import NoReturn

from tensorlogic.compiler.check import expressions, operators
from tensorlogic.compiler.check.assumptions import Path
from tensorlogic.compiler.check.bindings import FunctionSymbolType, check_operands
from tensorlogic.compiler.check.context import Context
from tensorlogic.compiler.check.methods import ATTRIBUTES, CHANGING, INSTEAD, METHODS
from tensorlogic.compiler.check.refusals import Failure, fail, test_for_none
from tensorlogic.compiler.dims import product
from tensorlogic.compiler.ir.core import Value
from tensorlogic.compiler.names import BrokenSymbol, ConstantSymbol, FileModule, FunctionSymbol, ModuleSymbol
from tensorlogic.compiler.syntax import nodes
from tensorlogic.compiler.types import (
    INT,
    ElementTypeType,
    IntType,
    ListType,
    OpaqueType,
    OptionalType,
    StructType,
    TensorType,
    Type,
    field_type,
)


def module_of(cx: Context, node: nodes.Expression) -> FileModule | None:
    """The module that an expression names, where it names one."""
    if isinstance(node, nodes.Name) and cx.lookup(node.name) is None:
        symbol = cx.module.scope.get(node.name)
        if isinstance(symbol, ModuleSymbol):
            return symbol.module
        if isinstance(symbol, BrokenSymbol):
            raise Failure
    return None


def check_attribute(cx: Context, node: nodes.Attribute, expected: Type | None) -> Value:
    module = module_of(cx, node.value)
    if module is not None:
        symbol = module.scope.get(node.name.name)
        if isinstance(symbol, ConstantSymbol):
            return expressions.constant_value(cx, cx.world.constant(symbol), node.span)
        if isinstance(symbol, FunctionSymbol):
            return cx.add("retype", (), FunctionSymbolType(symbol), node.span)
        near = difflib.get_close_matches(node.name.name, module.scope, 1)
        fail(
            "TL1008",
            f"`{node.value.span.text}` has no value `{node.name.name}`",
            node.name.span,
            helps=[f"did you mean `{n}`?" for n in near],
        )
    path = path_of(node)
    if path is not None and path in cx.narrowed:
        return cx.narrowed[path]
    value = expressions.check(cx, node.value)
    check_operands(value)
    match value.type:
        case StructType(definition, _, _):
            if node.name.name in definition.fields:
                return field(cx, value, node)
            sizes = {v.name: i for i, v in enumerate(definition.dims)}
            if node.name.name in sizes:
                size = value.type.dims[sizes[node.name.name]]
                return cx.add("field", (value,), IntType(size), node.span, field=node.name.name)
        case TensorType():
            attribute = _TENSOR_ATTRIBUTES.get(node.name.name)
            if attribute is not None:
                return attribute(cx, value, value.type, node)
        case OpaqueType(name):
            type = ATTRIBUTES.get(name, {}).get(node.name.name)
            if type == OpaqueType("Tokenizer"):
                # It is read then, and may be refused, as by the function of this name.
                return cx.add("load_tokenizer", (value,), type, node.span)
            if type is not None and name in CHANGING:
                return cx.add("method", (value,), type, node.span, method=node.name.name)
            if type is not None:
                return cx.add("attribute", (value,), type, node.span, name_=node.name.name)
    refuse_attribute(cx, value, node)


def field(cx: Context, value: Value, node: nodes.Attribute) -> Value:
    """A field of a struct, narrowed where it is known not to be none."""
    path = path_of(node)
    if path is not None and path in cx.narrowed:
        return cx.narrowed[path]
    assert isinstance(value.type, StructType)
    return cx.add("field", (value,), field_type(value.type, node.name.name), node.span, field=node.name.name)


def path_of(node: nodes.Expression) -> Path | None:
    """The variable and fields that an expression is, where it is nothing else."""
    match node:
        case nodes.Name(name=name):
            return (name,)
        case nodes.Attribute(value=value, name=name):
            base = path_of(value)
            return None if base is None else (*base, name.name)
    return None


def refuse_attribute(cx: Context, value: Value, node: nodes.Attribute) -> NoReturn:
    """There is no such field, attribute or function."""
    name = node.name.name
    known: list[str] = []
    functions: list[str] = []
    helps: list[str] = []
    match value.type:
        case StructType(definition, _, _):
            known = [*definition.fields, *(v.name for v in definition.dims)]
        case TensorType():
            known = [*_TENSOR_ATTRIBUTES, "to"]
            functions = [name, "to"] if isinstance(cx.world.resolve(cx.module, name), FunctionSymbol) else ["to"]
        case OpaqueType(kind):
            known = [*METHODS.get(kind, ()), *ATTRIBUTES.get(kind, {})]
            functions = [*METHODS.get(kind, ())]
            helps = [INSTEAD[kind, name]] if (kind, name) in INSTEAD else []
        case OptionalType(_):
            helps = [test_for_none(node.value.span)]
    place = [(node.value.span, str(value.type))]
    owner = value.type.name if isinstance(value.type, OpaqueType) else str(value.type)
    if name in functions:
        call = [f"`{node.span.text}(...)` calls it"]
        fail("TL1011", f"`{name}` of `{owner}` is a function", node.name.span, others=place, helps=call)
    if name in known:
        plain = [f"`{node.span.text}`"]
        fail("TL2005", f"`{name}` of `{owner}` is not a function", node.name.span, others=place, helps=plain)
    near = difflib.get_close_matches(name, known, 1)
    fail(
        "TL2009" if isinstance(value.type, OptionalType) else "TL1011",
        f"`{owner}` has no `{name}`",
        node.name.span,
        others=place,
        helps=helps or [f"did you mean `{n}`?" for n in near],
    )


def _shape(cx: Context, value: Value, t: TensorType, node: nodes.Attribute) -> Value:
    span = node.span
    if t.shape.pack is not None:
        return cx.add("shape", (value,), ListType(INT), span)
    count = len(t.shape.dims)
    sizes = tuple(cx.add("dim", (value,), IntType(d), span, axis=i - count) for i, d in enumerate(t.shape.dims))
    return cx.add("list", sizes, ListType(INT, tuple(s.type for s in sizes)), span, shape_of=value)


def _rank(cx: Context, value: Value, t: TensorType, node: nodes.Attribute) -> Value:
    if t.shape.rank is not None:
        return cx.constant(t.shape.rank, node.span)
    return cx.add("rank", (value,), INT, node.span)


def _size(cx: Context, value: Value, t: TensorType, node: nodes.Attribute) -> Value:
    if t.shape.rank is None:
        return cx.add("size", (value,), INT, node.span)
    return cx.add("size", (value,), IntType(product(t.shape.dims)), node.span)


def _dtype(cx: Context, value: Value, t: TensorType, node: nodes.Attribute) -> Value:
    return cx.add("dtype", (value,), ElementTypeType(t.element), node.span)


def _transposed(cx: Context, value: Value, t: TensorType, node: nodes.Attribute) -> Value:
    return operators.apply_op(cx, "transpose_last", (value,), (node.value.span,), node.span, t.element)


_TENSOR_ATTRIBUTES: dict[str, Callable[[Context, Value, TensorType, nodes.Attribute], Value]] = {
    "shape": _shape,
    "rank": _rank,
    "size": _size,
    "dtype": _dtype,
    "T": _transposed,
}
