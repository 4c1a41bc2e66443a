"""Statements: names, branches and what a block leaves behind.

A name that a branch rebinds becomes a result of its `if`; loops are in `loops.py`. A statement that fails is told and
left out: the names it would have declared stand for errors, so that the next statements tell nothing twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any, NoReturn

from tensorlogic.compiler.check import branches, conditions, expressions, loops, operators
from tensorlogic.compiler.check.assign import coerce
from tensorlogic.compiler.check.assumptions import Implications
from tensorlogic.compiler.check.bindings import Binding, FunctionSymbolType, LambdaType, check_operands, widen
from tensorlogic.compiler.check.chosen import open_result, sizes_of, unknown
from tensorlogic.compiler.check.context import Context
from tensorlogic.compiler.check.refusals import Failure, as_operand, fail
from tensorlogic.compiler.check.signatures import refuse_doubles
from tensorlogic.compiler.dims import HOLE
from tensorlogic.compiler.ir.core import Value
from tensorlogic.compiler.names import BrokenSymbol, ConstantSymbol, FunctionSymbol, StructSymbol
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.syntax import nodes
from tensorlogic.compiler.types import (
    STRING,
    BoolType,
    ErrorType,
    FloatType,
    FunctionType,
    IntType,
    ListType,
    NoneType,
    StructType,
    TensorType,
    TupleType,
    Type,
)


def check_block(cx: Context, block: nodes.Block) -> None:
    """A block in its own scope."""
    with cx.scope():
        check_statements(cx, block.statements)


def check_statements(cx: Context, statements: tuple[nodes.Statement, ...]) -> None:
    """One statement after another; what stands after the end of all paths is not reached and not checked."""
    for statement in statements:
        if cx.builder.terminated:
            return
        check_statement(cx, statement)


def check_statement(cx: Context, node: nodes.Statement) -> None:
    mark = cx.builder.mark()
    frames = list(cx.frames)
    try:
        _checks()[type(node)](cx, node)
    except Failure as failure:
        cx.report(failure)
        cx.builder.forget(mark)
        cx.frames = frames
        _declare_errors(cx, node)


def _declare_errors(cx: Context, node: nodes.Statement) -> None:
    match node:
        case nodes.Let(names=names) | nodes.Assign(names=names):
            for name in names:
                if cx.lookup(name.name) is None:
                    cx.declare(name.name, Binding(cx.error_value(name.span), name.span))
        case nodes.ErrorStatement():
            for text, span in _would_declare(node.span):
                if cx.lookup(text) is None:
                    cx.declare(text, Binding(cx.error_value(span), span))
        case nodes.Return():
            cx.builder.add_statement("return", (cx.error_value(node.span),), node.span)
        case nodes.Break() | nodes.Continue() if not cx.is_script:
            cx.builder.add_statement("return", (cx.error_value(node.span),), node.span)


def _would_declare(span: Span) -> list[tuple[str, Span]]:
    """The names that a statement which cannot be read was to declare: after `let`, or alone before `=`."""
    target = re.match(r"let\b([^:={}]*)", span.text) or re.match(
        r"([(\s]*\w+[\w\s,]*(?:,[\w\s,()]*)?)=(?!=)", span.text
    )
    if target is None:
        return []
    found = re.finditer(r"[^\W\d]\w*", target[1])
    start = span.start + target.start(1)
    return [(m[0], Span(span.source, start + m.start(), start + m.end())) for m in found]


# --- names


def _let(cx: Context, node: nodes.Let) -> None:
    refuse_doubles(node.names, "names")
    for name in node.names:
        refuse_redeclaration(cx, name)
    declared = None if node.type is None else cx.world.reader(cx).read(node.type)
    value = expressions.check(cx, node.value, declared)
    check_operands(value)
    if declared is not None:
        name = node.names[0]
        assert node.type is not None
        value = coerce(cx, value, declared, node.value.span, f"`{name.name}`", node.type.span)
        if value.type != declared and not isinstance(value.type, IntType | FloatType):
            value = cx.retype(value, declared, node.span)
    for name, part in zip(node.names, _taken_apart(cx, node.names, value, node.value.span), strict=True):
        refuse_function(cx, part, name.name, node.value.span)
        cx.builder.name(part, name.name)
        cx.declare(name.name, Binding(part, name.span, declared=declared))


def refuse_redeclaration(cx: Context, name: nodes.Identifier, *, in_loop: bool = False) -> None:
    """A name that is visible in a function or script is not declared again, by a `let` or as what a loop goes over."""
    earlier = cx.lookup(name.name)
    if earlier is not None:
        fail(
            "TL1003",
            f"`{name.name}` is declared already",
            name.span,
            others=[(earlier.span, "declared here")],
            helps=[] if in_loop else _another_value(name.name, earlier),
            notes=["a loop's name is a new one"] if in_loop else [],
        )
    if name.name in cx.names_in_signature:
        others = [(cx.places[name.name], "the dim")]
        fail("TL1003", f"`{name.name}` is a dim of this function already", name.span, others=others)


def _another_value(name: str, earlier: Binding) -> list[str]:
    if earlier.role != "let" or isinstance(earlier.value.type, ErrorType):
        return []
    type = earlier.declared or widen(earlier.value.type)
    return [f"`{name} = ...` gives it another value, of the type `{type}`"]


def _taken_apart(cx: Context, names: tuple[nodes.Identifier, ...], value: Value, span: Span) -> list[Value]:
    if len(names) == 1:
        return [value]
    if not isinstance(value.type, TupleType) or len(value.type.items) != len(names):
        helps = [f"`{as_operand(span)}[0]` is its first item"] if isinstance(value.type, ListType) else []
        refuse_parts("this", value.type, len(names), span, helps)
    return [cx.add("item", (value,), t, span, index=i) for i, t in enumerate(value.type.items)]


def refuse_parts(what: str, t: Type, count: int, span: Span, helps: list[str]) -> NoReturn:
    """A value that is no tuple of as many items as there are names."""
    told = f"a tuple of {len(t.items)}" if isinstance(t, TupleType) else f"`{t}`"
    message = f"{what} is {told}: only a tuple of {count} is taken apart into {count} names"
    fail("TL2001", message, span, str(t), helps=helps)


def _assign(cx: Context, node: nodes.Assign) -> None:
    value = expressions.check(cx, node.value)
    check_operands(value)
    for name, part in zip(node.names, _taken_apart(cx, node.names, value, node.value.span), strict=True):
        _set(cx, name, part, node.value.span)


def _augmented(cx: Context, node: nodes.AugmentedAssign) -> None:
    old = expressions.check(cx, nodes.Name(node.name.span, node.name.name))
    value = expressions.check(cx, node.value)
    result = operators.binary(cx, node.operator, old, value, (node.name.span, node.value.span), node.operator_span)
    _set(cx, node.name, result, node.span)


def _set(cx: Context, name: nodes.Identifier, value: Value, span: Span) -> None:
    """`x = e`: another value of the same type, shape included."""
    binding = cx.lookup(name.name)
    if binding is None:
        _refuse_what_keeps_its_value(cx, name)
        if not cx.is_script:
            helps = [f"`let {name.name} = ...` declares it"]
            fail("TL1001", f"there is no variable `{name.name}`", name.span, helps=helps)
        refuse_function(cx, value, name.name, span)
        cx.builder.name(value, name.name)
        cx.declare(name.name, Binding(value, name.span))
        return
    check_operands(binding.value)
    value = _same_type(cx, name.name, binding, value, span)
    cx.builder.name(value, name.name)
    cx.rebind(name.name, value)


def _refuse_what_keeps_its_value(cx: Context, name: nodes.Identifier) -> None:
    symbol = cx.module.scope.get(name.name)
    match symbol:
        case None if name.name not in cx.names_in_signature:
            return
        case BrokenSymbol():
            raise Failure
        case None:
            others = [(cx.places[name.name], "the dim")]
        case ConstantSymbol(node=node) | StructSymbol(node=node):
            others = [(node.name.span, "declared here")]
        case FunctionSymbol():
            others = [(symbol.declarations[0].name.span, "declared here")]
        case _:
            others = []
    fail("TL1014", f"`{name.name}` is not a variable", name.span, others=others)


def refuse_function(cx: Context, value: Value, name: str, span: Span) -> None:
    """Functions without types of their own are passed, and kept nowhere."""
    if isinstance(value.type, LambdaType) and isinstance(value.type.node.body, nodes.ErrorExpression):
        raise Failure
    if isinstance(value.type, FunctionSymbolType):
        signatures = cx.world.signatures(value.type.symbol)
        declared = signatures[0]
        type = str(FunctionType(tuple(p.type for p in declared.parameters), declared.result))
        names = (*declared.names, *declared.elements, *declared.packs)
        several = len(signatures) > 1 or any(re.search(rf"\b{n}\b", type) for n in names) or "..." in type
        fail(
            "TL2015",
            f"a `let` of a function says its type, and `{value.type.symbol.name}` has several"
            if several
            else "a `let` of a function says its type",
            span,
            str(value.type),
            helps=[] if several else [f"`let {name}: {type} = {span.text}`"],
        )
    if isinstance(value.type, LambdaType):
        fail(
            "TL2015",
            "nothing says what this function takes",
            span,
            str(value.type),
            helps=["give the name a type, as in `let f: fn(float16[3]) -> float16[3] = ...`, or declare it with `fn`"],
        )


def _same_type(cx: Context, name: str, binding: Binding, value: Value, span: Span) -> Value:
    declared = binding.declared or widen(binding.value.type)
    try:
        value = coerce(cx, value, declared, span, f"`{name}`", binding.span)
    except Failure as failure:
        if failure.diagnostic is None:
            raise
        # What it is from here on is anybody's guess: uses of it would tell the same mistake again.
        cx.rebind(name, cx.error_value(span))
        shape_alone = failure.diagnostic.code.startswith("TL3")
        in_loop = any(name in loop.carried for loop in cx.loops)
        if in_loop:
            fail(
                "TL3011" if shape_alone else "TL2013",
                f"`{name}` is `{binding.value.type}` before the iteration and `{value.type}` after it",
                span,
                str(value.type),
                others=[(binding.span, "declared here")],
                notes=["a variable that a loop rebinds keeps its type from one iteration to the next"],
                helps=_forgetting(name, binding.value.type, value.type) if shape_alone else [],
            )
        fail(
            failure.diagnostic.code if shape_alone else "TL2013",
            f"`{name}` is `{binding.value.type}` and cannot become `{value.type}`",
            span,
            str(value.type),
            others=[(binding.span, "declared here")],
            helps=failure.diagnostic.helps,
        )
    if binding.declared is not None and HOLE in _dims_of(binding.declared):
        value = cx.retype(value, binding.declared, span)
    return value


def _dims_of(t: Type) -> set[object]:
    match t:
        case TensorType(_, shape):
            return {d.variable for d in shape.dims}
        case StructType(_, _, sizes):
            return {d.variable for d in sizes}
    return set()


def _forgetting(name: str, before: Type, after: Type) -> list[str]:
    """`let y: float16[?, D] = ...`, where the two types differ in some dims only."""
    if not isinstance(before, TensorType) or not isinstance(after, TensorType):
        return []
    a, b = before.shape, after.shape
    if a.pack is not b.pack or len(a.dims) != len(b.dims):
        return []
    sizes = ["?" if p != q else str(p) for p, q in zip(a.dims, b.dims, strict=True)]
    pack = [str(a.pack)] if a.pack is not None else []
    return [f"`let {name}: {before.element}[{', '.join(pack + sizes)}] = ...` lets the size differ"]


# --- the rest


def _return(cx: Context, node: nodes.Return) -> None:
    if cx.is_script or cx.result is None:
        fail("TL1016", "`return` stands in a function", node.span)
    if node.value is None:
        if not isinstance(cx.result, NoneType):
            fail("TL2010", f"`{cx.function_name}` returns `{cx.result}`", node.span)
        value = cx.constant(None, node.span)
    else:
        value = expressions.check(cx, node.value, open_result(cx.result, unknown(cx.chosen)))
        check_operands(value)
        if isinstance(value.type, LambdaType):
            fail("TL2001", "a function is not returned", node.value.span)
        value = _given_back(cx, value, cx.result, node.value.span)
    cx.builder.add_statement("return", (value,), node.span)


def _given_back(cx: Context, value: Value, result: Type, span: Span) -> Value:
    """The value as the result's type wants it, with the sizes that this `return` chooses."""
    what = f"the result of `{cx.function_name}`"
    sizes = sizes_of(result, value.type, cx.chosen)
    if any(size.variable is HOLE for size in sizes.values()):
        # A tensor of unknown rank has no sizes before its rank is checked.
        value = coerce(cx, value, open_result(result, sizes), span, what, cx.result_span)
        sizes = sizes_of(result, value.type, cx.chosen)
    return coerce(cx, value, open_result(result, sizes), span, what, cx.result_span)


def _assert(cx: Context, node: nodes.Assert) -> None:
    chosen = conditions.condition(cx, node.condition)
    text = f"assertion failed: {node.condition.span.text}"
    operands: tuple[Value, ...] = (chosen,)
    if node.message is not None:
        message = expressions.check(cx, node.message)
        check_operands(message)
        operands = (chosen, coerce(cx, message, STRING, node.message.span, "the message of `assert`"))
        text = "{0}"
    assert isinstance(chosen.type, BoolType)
    cx.builder.add_statement("demand", operands, node.span, kind="true", code="TL5005", message=text)
    cx.assume(cx.implications.get(chosen, Implications()).when_true, node.span)


def _expression(cx: Context, node: nodes.ExpressionStatement) -> None:
    cx.standing = node.value
    expressions.check(cx, node.value)


def _error(cx: Context, node: nodes.ErrorStatement) -> None:
    raise Failure


@cache
def _checks() -> dict[type[nodes.Statement], Callable[[Context, Any], None]]:
    """What checks each kind. Made at the first use, since the rooms that it names import this one."""
    return {
        nodes.Let: _let,
        nodes.Assign: _assign,
        nodes.AugmentedAssign: _augmented,
        nodes.If: branches.check_if,
        nodes.Return: _return,
        nodes.Assert: _assert,
        nodes.ExpressionStatement: _expression,
        nodes.ErrorStatement: _error,
        nodes.For: loops.check_for,
        nodes.While: loops.check_while,
        nodes.Break: loops.check_break,
        nodes.Continue: loops.check_continue,
    }
