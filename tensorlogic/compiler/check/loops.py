"""Loops: what an iteration carries to the next.

A name that the body rebinds is carried: it has one type at the loop's entry, after each iteration, at `break` and
`continue`, and after the loop. What was known of a host value is forgotten there; a shape is kept, unless its type was
written with `?`, which is then a fresh unknown at the entry.
"""

from __future__ import annotations

from tensorlogic.compiler.check import branches, conditions, expressions, statements
from tensorlogic.compiler.check.assign import coerce
from tensorlogic.compiler.check.assumptions import Implications
from tensorlogic.compiler.check.bindings import Binding, Loop, check_operands, widen
from tensorlogic.compiler.check.context import Context
from tensorlogic.compiler.check.merging import item_type, leave
from tensorlogic.compiler.check.refusals import fail, refuse_optional
from tensorlogic.compiler.check.signatures import refuse_doubles
from tensorlogic.compiler.dims import Kind, Polynomial, Variable, serial_mark
from tensorlogic.compiler.ir.core import Region, Value
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.syntax import nodes
from tensorlogic.compiler.types import (
    STRING,
    ErrorType,
    IntType,
    ListType,
    OpaqueType,
    OptionalType,
    RangeType,
    StringType,
    TupleType,
    Type,
)


def _carried(cx: Context, body: nodes.Block, span: Span) -> tuple[list[str], list[Type], tuple[Value, ...]]:
    """The names a body rebinds, the types they keep, and their values before the loop."""
    names = [n for n in branches.rebound_names((body,)) if cx.lookup(n) is not None]
    types: list[Type] = []
    before: list[Value] = []
    for name in names:
        binding = cx.lookup(name)
        assert binding is not None
        check_operands(binding.value)
        type = binding.declared or widen(binding.value.type)
        types.append(type)
        before.append(coerce(cx, binding.value, type, span, f"`{name}`"))
    return names, types, tuple(before)


def _enter(cx: Context, names: list[str], types: list[Type]) -> tuple[Value, ...]:
    """Inside the loop's region: the names stand for what was carried to this iteration."""
    arguments = tuple(cx.instantiate(t) for t in types)
    for name, value in zip(names, arguments, strict=True):
        cx.builder.name(value, name)
        cx.rebind(name, value)
    return arguments


def _leave(cx: Context, names: list[str], types: list[Type], mark: int, inside: tuple[Value, ...]) -> tuple[Value, ...]:
    """After the loop: the names stand for what it left; those that are wrong `inside` stay so."""
    results = tuple(
        v if isinstance(v.type, ErrorType) else cx.instantiate(leave(t, mark))
        for t, v in zip(types, inside, strict=True)
    )
    for name, value in zip(names, results, strict=True):
        cx.builder.name(value, name)
        cx.rebind(name, value)
    return results


def _close(cx: Context, names: list[str], arguments: tuple[Value, ...], span: Span) -> Region:
    if not cx.builder.terminated:
        cx.builder.add_statement("yield", _now(cx, tuple(names)), span)
    return cx.builder.close(arguments)


def _now(cx: Context, names: tuple[str, ...]) -> tuple[Value, ...]:
    bindings = [cx.lookup(n) for n in names]
    return tuple(b.value for b in bindings if b is not None)


def check_for(cx: Context, node: nodes.For) -> None:
    """`for i in 0..n`, `for b in list`, `for (i, b) in enumerate(list)`."""
    iterable = expressions.check(cx, node.iterable)
    check_operands(iterable)
    if iterable.type == OpaqueType("Generation"):
        iterable = cx.add("pieces", (iterable,), ListType(STRING), node.iterable.span)
    refuse_doubles(node.names, "names")
    for name in node.names:
        statements.refuse_redeclaration(cx, name, in_loop=True)
    item = _item_type(cx, iterable, node.iterable.span)
    is_counted = cx.builder.made_by(iterable) == "host.enumerate" and len(node.names) == 2
    names, types, before = _carried(cx, node.body, node.span)
    mark = serial_mark()
    outer = {n: cx.lookup(n) for n in names}
    cx.builder.open()
    with cx.scope():
        cx.loops.append(Loop(tuple(names), tuple(types)))
        variable = _loop_variable(cx, iterable, item)
        arguments = (variable, *_enter(cx, names, types))
        parts = _parts(cx, node, variable)
        if is_counted and isinstance(parts[0].type, IntType) and parts[0].type.value is not None:
            cx.facts = cx.facts.with_bound(parts[0].type.value)
        for name, part in zip(node.names, parts, strict=True):
            cx.builder.name(part, name.name)
            cx.declare(name.name, Binding(part, name.span, "loop"))
        statements.check_statements(cx, node.body.statements)
        body = _close(cx, names, arguments, node.span)
        cx.loops.pop()
        inside = _now(cx, tuple(names))
    _restore(cx, outer)
    results = _leave(cx, names, types, mark, inside)
    cx.builder.add_statement("for", (iterable, *before), node.span, results=results, regions=(body,))


def _restore(cx: Context, outer: dict[str, Binding | None]) -> None:
    for name, binding in outer.items():
        assert binding is not None
        cx.rebind(name, binding.value)


def _item_type(cx: Context, iterable: Value, span: Span) -> Type:
    match iterable.type:
        case RangeType():
            return IntType()
        case ListType() as t:
            return item_type(t, cx.facts, span)
        case StringType():
            return iterable.type
        case OpaqueType(name):
            fail("TL2001", f"`{name}` is not a list", span)
        case OptionalType():
            refuse_optional("a loop goes over a range or a list", iterable.type, span)
    fail("TL2001", "a loop goes over a range or a list", span, str(iterable.type))


def _loop_variable(cx: Context, iterable: Value, item: Type) -> Value:
    if not isinstance(iterable.type, RangeType):
        return cx.instantiate(item)
    index = Variable("i", Kind.INTEGER)
    position = Polynomial.of(index)
    value = Value(IntType(position))
    cx.witnesses[index] = lambda span: value
    cx.facts = cx.facts.with_bound(position - iterable.type.start)
    cx.facts = cx.facts.with_bound(iterable.type.stop - position - 1)
    return value


def _parts(cx: Context, node: nodes.For, variable: Value) -> list[Value]:
    if len(node.names) == 1:
        return [variable]
    if not isinstance(variable.type, TupleType) or len(variable.type.items) != len(node.names):
        place = node.iterable.span
        numbered = len(node.names) == 2 and not isinstance(variable.type, TupleType)
        helps = [f"`enumerate({place.text})` gives each item with its index"] if numbered else []
        statements.refuse_parts("each item", variable.type, len(node.names), place, helps)
    return [cx.add("item", (variable,), t, node.span, index=i) for i, t in enumerate(variable.type.items)]


def check_while(cx: Context, node: nodes.While) -> None:
    """`while condition { }`. The condition's region takes what is carried; the body sees the same values."""
    names, types, before = _carried(cx, node.body, node.span)
    mark = serial_mark()
    outer = {n: cx.lookup(n) for n in names}
    cx.builder.open()
    with cx.scope():
        arguments = _enter(cx, names, types)
        chosen = conditions.condition(cx, node.condition)
        cx.builder.add_statement("yield", (chosen,), node.condition.span)
        condition = cx.builder.close(arguments)
        cx.builder.open()
        cx.loops.append(Loop(tuple(names), tuple(types)))
        with cx.scope():
            cx.assume(cx.implications.get(chosen, Implications()).when_true, node.condition.span)
            statements.check_statements(cx, node.body.statements)
            body = _close(cx, names, (), node.span)
        cx.loops.pop()
        inside = _now(cx, tuple(names))
    _restore(cx, outer)
    results = _leave(cx, names, types, mark, inside)
    cx.builder.add_statement("while", before, node.span, results=results, regions=(condition, body))


def check_break(cx: Context, node: nodes.Break) -> None:
    _jump(cx, "break", node.span)


def check_continue(cx: Context, node: nodes.Continue) -> None:
    _jump(cx, "continue", node.span)


def _jump(cx: Context, kind: str, span: Span) -> None:
    if not cx.loops:
        fail("TL1016", f"`{kind}` stands in a loop", span)
    cx.builder.add_statement(kind, _now(cx, cx.loops[-1].carried), span)
