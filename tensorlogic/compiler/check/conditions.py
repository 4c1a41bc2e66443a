"""Bools that choose: conditions, `and`, `or`, tests for `none`, and `if` expressions.

A condition is a host bool. A `bool[]` in its place is evaluated while the graph is built, with a note. What a condition
says of ints, dims and optionals holds where it chose.
"""

from __future__ import annotations

from typing import Any

from tensorlogic.compiler.check import attributes, expressions, operators
from tensorlogic.compiler.check.assumptions import Implications, NotNone
from tensorlogic.compiler.check.bindings import check_operands
from tensorlogic.compiler.check.context import Context
from tensorlogic.compiler.check.merging import Side, leave, merged
from tensorlogic.compiler.check.refusals import fail
from tensorlogic.compiler.dims import serial_mark
from tensorlogic.compiler.ir.core import Value
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.syntax import nodes
from tensorlogic.compiler.types import (
    BOOLEAN,
    BoolType,
    IntType,
    NoneType,
    OptionalType,
    StringType,
    TensorType,
    Type,
)


def compare_none(cx: Context, node: nodes.Binary, left: Value) -> Value:
    check_operands(left)
    if not isinstance(left.type, OptionalType | NoneType):
        fail(
            "TL2003",
            f"`{node.left.span.text}` is never none",
            node.operator_span,
            others=[(node.left.span, str(left.type))],
        )
    none = cx.constant(None, node.right.span)
    name = "host.is_none" if node.operator == "==" else "host.is_not_none"
    result = cx.add(name, (left, none), BOOLEAN, node.span)
    path = attributes.path_of(node.left)
    binding = None if path is None else cx.lookup(path[0])
    if path is not None and binding is not None and isinstance(left.type, OptionalType):
        known = (NotNone(path, binding.value),)
        cx.implications[result] = Implications(known) if node.operator == "!=" else Implications((), known)
    return result


def short_circuit(cx: Context, node: nodes.Binary) -> Value:
    """`a and b`: `b` is checked, and runs, only where `a` is true; `or` where it is false.

    Two `bool[]` stay tensors. Beside a host bool, a `bool[]` is evaluated, as a condition is.
    """
    left = expressions.check(cx, node.left)
    check_operands(left)
    _require_bool(left, node, node.left.span)
    known = cx.implications.get(left, Implications())
    both = node.operator == "and"
    cx.builder.open()
    with cx.scope():
        cx.assume(known.when_true if both else known.when_false, node.right.span)
        right = expressions.check(cx, node.right)
        check_operands(right)
        _require_bool(right, node, node.right.span)
        if isinstance(left.type, TensorType) and isinstance(right.type, TensorType):
            cx.builder.join()
            spans = (node.left.span, node.right.span)
            return operators.binary(cx, "&" if both else "|", left, right, spans, node.operator_span)
        right = _evaluated(cx, right, node.right.span)
        cx.builder.add_statement("yield", (right,), node.span)
    evaluated = cx.builder.close()
    cx.builder.open()
    cx.builder.add_statement("yield", (cx.constant(not both, node.span),), node.span)
    short = cx.builder.close()
    left = _evaluated(cx, left, node.left.span)
    result = Value(BoolType())
    regions = (evaluated, short) if both else (short, evaluated)
    cx.builder.add_statement("if", (left,), node.span, results=(result,), regions=regions)
    others = cx.implications.get(right, Implications())
    if both:
        cx.implications[result] = Implications(known.when_true + others.when_true)
    else:
        cx.implications[result] = Implications((), known.when_false + others.when_false)
    return result


def _is_bool_scalar(t: Type) -> bool:
    return isinstance(t, TensorType) and t.element.kind == "bool" and t.shape.rank == 0


def _require_bool(value: Value, node: nodes.Binary, span: Span) -> None:
    if isinstance(value.type, BoolType) or _is_bool_scalar(value.type):
        return
    mask = isinstance(value.type, TensorType) and value.type.element.kind == "bool"
    helps = ["`&` and `|` combine masks"] if mask else []
    fail("TL2006", f"`{node.operator}` takes bools", span, str(value.type), helps=helps)


def _evaluated(cx: Context, value: Value, span: Span) -> Value:
    """A bool of the host: a `bool[]` is evaluated for it, with a note."""
    if isinstance(value.type, BoolType):
        return value
    cx.world.note_evaluation(cx, span, chooses=True)
    return cx.add("bool", (value,), BOOLEAN, span)


def condition(cx: Context, node: nodes.Expression) -> Value:
    """A host `bool` that chooses while the graph is built; a `bool[]` is evaluated for it, with a note."""
    value = expressions.check(cx, node)
    check_operands(value)
    if isinstance(value.type, BoolType) or _is_bool_scalar(value.type):
        return _evaluated(cx, value, node.span)
    match value.type:
        case OptionalType(_):
            fail("TL2006", "a condition is a bool", node.span, str(value.type), helps=[f"`{node.span.text} != none`"])
    helps: list[str] = []
    match value.type:
        case TensorType():
            helps = ["`all(...)` or `any(...)` of a mask is a `bool[]`"]
        case IntType():
            helps = [f"`{node.span.text} != 0`"]
        case StringType():
            helps = [f'`{node.span.text} != ""`']
    fail("TL2006", "a condition is a bool", node.span, str(value.type), helps=helps)


def conditional(cx: Context, node: nodes.Conditional, expected: Type | None) -> Value:
    chosen = condition(cx, node.condition)
    known = cx.implications.get(chosen, Implications())
    sides: list[tuple[Value, Any]] = []
    ends: list[Side] = []
    mark = serial_mark()
    for branch, facts in ((node.then, known.when_true), (node.otherwise, known.when_false)):
        cx.builder.open()
        with cx.scope():
            cx.assume(facts, branch.span)
            value = expressions.check(cx, branch, expected)
            check_operands(value)
            ends.append(Side(leave(value.type, mark), cx.facts))
        sides.append((value, cx.builder.close()))
    for (value, _), branch in zip(sides, (node.then, node.otherwise), strict=True):
        expressions.refuse_function(value, branch.span)
    type = merged(ends)
    if type is None:
        (a, _), (b, _) = sides
        fail(
            "TL2017",
            "the branches have different types",
            node.span,
            others=[(node.then.span, str(a.type)), (node.otherwise.span, str(b.type))],
        )
    result = cx.instantiate(type)
    regions = tuple(cx.world.with_yield(region, (value,), node.span) for value, region in sides)
    cx.builder.add_statement("if", (chosen,), node.span, results=(result,), regions=regions)
    return result


# --- compound values
