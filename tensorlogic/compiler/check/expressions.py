"""Expressions: what each form means, as a value of the IR with its type."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NoReturn

from tensorlogic.compiler.check import attributes, calls, conditions, indexing, operators
from tensorlogic.compiler.check.assign import coerce
from tensorlogic.compiler.check.bindings import Binding, FunctionSymbolType, LambdaType, check_operands, widen
from tensorlogic.compiler.check.context import Context
from tensorlogic.compiler.check.merging import Side, merged
from tensorlogic.compiler.check.refusals import Failure, fail
from tensorlogic.compiler.check.signatures import refuse_doubles
from tensorlogic.compiler.dims import Polynomial
from tensorlogic.compiler.ir.core import Value
from tensorlogic.compiler.names import (
    BrokenSymbol,
    ConstantSymbol,
    FunctionSymbol,
    ModuleSymbol,
    StructSymbol,
)
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.syntax import nodes
from tensorlogic.compiler.types import (
    ELEMENT_TYPES,
    ERROR,
    STRING,
    DeviceType,
    ElementType,
    ElementTypeType,
    FloatType,
    FunctionType,
    IntType,
    ListType,
    NoneType,
    OptionalType,
    RangeType,
    StringType,
    TensorType,
    TupleType,
    Type,
)

MOST_PARTS = 4096
"""How many types a tuple may be made of: a tuple of two tuples of two has 7."""

LATER = frozenset({"grad", "value_and_grad", "vmap", "stop_gradient", "checkpoint"})
"""Functions of the language that this version refuses."""


def check(cx: Context, node: nodes.Expression, expected: Type | None = None) -> Value:
    """The value of an expression. `expected`, what the place would like, helps what has no type of its own."""
    return _checks()[type(node)](cx, node, expected)


# --- literals and names


def _constant(cx: Context, node: Any, expected: Type | None) -> Value:
    return cx.constant(node.value, node.span)


def _none(cx: Context, node: nodes.NoneLiteral, expected: Type | None) -> Value:
    return cx.constant(None, node.span)


def _error(cx: Context, node: nodes.ErrorExpression, expected: Type | None) -> Value:
    raise Failure


def _format_string(cx: Context, node: nodes.FormatString, expected: Type | None) -> Value:
    parts: list[Value] = []
    for part in node.parts:
        value = cx.constant(part, node.span) if isinstance(part, str) else check(cx, part)
        check_operands(value)
        if not isinstance(part, str) and isinstance(
            value.type, LambdaType | FunctionSymbolType | FunctionType | RangeType
        ):
            kind = "range" if isinstance(value.type, RangeType) else "function"
            fail("TL2003", f"a {kind} cannot be written into a string", part.span, str(value.type))
        parts.append(value)
    if all(isinstance(v.type, StringType | IntType) and v.type.constant is not None for v in parts):
        text = "".join(str(v.type.constant) for v in parts if isinstance(v.type, StringType | IntType))
        return cx.constant(text, node.span)
    for part, value in zip(node.parts, parts, strict=True):
        if not isinstance(part, str) and isinstance(value.type, TensorType):
            cx.world.note_evaluation(cx, part.span)
    return cx.add("format", tuple(parts), STRING, node.span)


def _name(cx: Context, node: nodes.Name, expected: Type | None) -> Value:
    binding = cx.lookup(node.name)
    if binding is not None:
        narrowed = cx.narrowed.get((node.name,))
        value = binding.value if narrowed is None else narrowed
        check_operands(value)
        return value
    if node.name in cx.names_in_signature:
        return cx.number(cx.names_in_signature[node.name], node.span)
    symbol = cx.world.resolve(cx.module, node.name)
    match symbol:
        case ConstantSymbol():
            return constant_value(cx, cx.world.constant(symbol), node.span, node.name)
        case FunctionSymbol() if node.name != "bool" or symbol.module is not cx.world.graph.prelude:
            # As a value, `bool` is the element type; the prelude's function of this name is only called.
            return cx.add("retype", (), FunctionSymbolType(symbol), node.span)
        case BrokenSymbol():
            raise Failure
        case ModuleSymbol():
            fail("TL2001", f"`{node.name}` is a module; take a name of it: `{node.name}.f`", node.span)
        case StructSymbol():
            fail("TL2001", f"`{node.name}` is a struct; make one: `{node.name}(...)`", node.span)
    if node.name in ELEMENT_TYPES or node.name in cx.elements:
        element = cx.elements.get(node.name) or ELEMENT_TYPES[node.name]
        return cx.add("constant", (), ElementTypeType(element), node.span, value=element)
    if node.name in ("gpu", "cpu"):
        return cx.add("constant", (), DeviceType(node.name), node.span, value=node.name)
    if node.name == "args":
        if not cx.is_script:
            fail("TL1015", "`args` is for scripts: functions are pure", node.span)
        return cx.add("arguments", (), ListType(STRING), node.span)
    refuse_name(cx, node.name, node.span)


def constant_value(cx: Context, value: Any, span: Span, called: str | None = None) -> Value:
    """A `const`'s value: a host constant, or a list or tuple of them."""
    if isinstance(value, tuple | list):
        items = tuple(constant_value(cx, v, span) for v in value)
        types = tuple(i.type for i in items)
        if isinstance(value, tuple):
            return cx.add("tuple", items, TupleType(types), span)
        return cx.add("list", items, ListType(_join(types), types), span)
    if isinstance(value, ElementType):
        return cx.add("constant", (), ElementTypeType(value), span, value=value)
    made = cx.constant(value, span)
    return made if called is None else cx.name_constant(made, called, value, span)


def refuse_name(cx: Context, name: str, span: Span) -> NoReturn:
    """There is no such name here: say what was probably meant."""
    if not cx.is_script and name in cx.world.script_names(cx.module):
        place = cx.world.script_names(cx.module)[name]
        fail(
            "TL1004",
            f"`{name}` is a variable of the script, which functions do not see",
            span,
            others=[(place, "declared here")],
            notes=["a function sees its parameters, constants and functions"],
            helps=[
                f"pass it: add a parameter to `{cx.function_name}`" if cx.function_name else "pass it as a parameter",
                f"`const {name} = ...` where the value is a number, a string or a bool",
            ],
        )
    declared = cx.world.declared_in(cx.statements).get(name)
    if declared is not None:
        fail(
            "TL1001",
            f"`{name}` is not visible here",
            span,
            others=[(declared, "declared here")],
            notes=["a name is visible from where it is declared to the end of its block"],
        )
    visible = [n for frame in cx.frames for n in frame] + list(cx.names_in_signature)
    visible += list(cx.module.scope) + list(cx.world.graph.prelude.scope)
    if name in LATER:
        fail(
            "TL1001", f"`{name}` is not in this version", span, notes=["the language has it; the compiler does not yet"]
        )
    fail("TL1001", f"there is no `{name}`", span, helps=cx.world.nearest(name, visible))


# --- operators


def _unary(cx: Context, node: nodes.Unary, expected: Type | None) -> Value:
    return operators.unary(cx, node.operator, check(cx, node.operand), node.span, node.operand.span)


def _binary(cx: Context, node: nodes.Binary, expected: Type | None) -> Value:
    if node.operator in ("and", "or"):
        return conditions.short_circuit(cx, node)
    left, right = check(cx, node.left), check(cx, node.right)
    if node.operator in ("==", "!=") and isinstance(right.type, NoneType):
        return conditions.compare_none(cx, node, left)
    return operators.binary(cx, node.operator, left, right, (node.left.span, node.right.span), node.operator_span)


def _tuple(cx: Context, node: nodes.TupleExpression, expected: Type | None) -> Value:
    wanted = expected.items if isinstance(expected, TupleType) else (None,) * len(node.items)
    if len(wanted) != len(node.items):
        wanted = (None,) * len(node.items)
    items = tuple(check(cx, item, w) for item, w in zip(node.items, wanted, strict=True))
    check_operands(*items)
    for item, place in zip(items, node.items, strict=True):
        refuse_function(item, place.span)
    made = TupleType(tuple(i.type for i in items))
    if _parts(made) > MOST_PARTS:
        fail("TL0104", f"this tuple has more than {MOST_PARTS} parts, those of its items included", node.span)
    return cx.add("tuple", items, made, node.span)


def _parts(t: Type) -> int:
    """How many types a tuple's type is made of, counted as far as matters."""
    waiting, count = [t], 0
    while waiting and count <= MOST_PARTS:
        part = waiting.pop()
        count += 1
        if isinstance(part, TupleType):
            waiting += part.items
    return count


def _list(cx: Context, node: nodes.ListExpression, expected: Type | None) -> Value:
    wanted = expected.item if isinstance(expected, ListType) else None
    items = tuple(check(cx, item, wanted) for item in node.items)
    check_operands(*items)
    for made, place in zip(items, node.items, strict=True):
        refuse_function(made, place.span)
    types = tuple(i.type for i in items)
    optional = _optional_item(cx, types)
    if optional is not None:
        places = zip(items, node.items, strict=True)
        items = tuple(coerce(cx, i, optional, place.span, "the item") for i, place in places)
        types = (optional,) * len(items)
    item = _join(types)
    for place, t in zip(node.items, types, strict=True):
        if type(t) is not type(types[0]) and not _both_numbers(t, types[0]):
            fail(
                "TL2017",
                "the items of a list have one type",
                node.span,
                others=[(node.items[0].span, str(types[0])), (place.span, str(t))],
            )
    return cx.add("list", items, ListType(item, types), node.span)


def refuse_function(value: Value, span: Span) -> None:
    if isinstance(value.type, LambdaType | FunctionSymbolType):
        fail("TL2015", "a function is passed to a function, not held in a value", span, str(value.type))


def _both_numbers(a: Type, b: Type) -> bool:
    return all(isinstance(t, IntType | FloatType) for t in (a, b))


def _optional_item(cx: Context, types: tuple[Type, ...]) -> Type | None:
    """The items' type where some of them are `none` and others are not."""
    if not any(isinstance(t, NoneType) for t in types) or all(isinstance(t, NoneType) for t in types):
        return None
    one = merged([Side(widen(t), cx.facts) for t in types])
    return one if isinstance(one, OptionalType) else None


def _join(types: tuple[Type, ...]) -> Type:
    """A list's item type: the first item's without what is known of its value."""
    if not types:
        return ERROR
    if any(isinstance(t, FloatType) for t in types):
        return widen(next(t for t in types if isinstance(t, FloatType)))
    return widen(types[0])


def _range(cx: Context, node: nodes.RangeExpression, expected: Type | None) -> Value:
    start, stop = check(cx, node.start), check(cx, node.stop)
    check_operands(start, stop)
    ends: list[Polynomial] = []
    for value, place in ((start, node.start.span), (stop, node.stop.span)):
        if not isinstance(value.type, IntType) or value.type.value is None:
            fail("TL2001", "a range goes from an int to an int", place, str(value.type))
        ends.append(value.type.value)
    return cx.add("range", (start, stop), RangeType(ends[0], ends[1]), node.span)


def _lambda(cx: Context, node: nodes.Lambda, expected: Type | None) -> Value:
    refuse_doubles(node.parameters, "parameters")
    frame: dict[str, Binding] = {}
    for outer in cx.frames:
        frame.update(outer)
    return cx.add("retype", (), LambdaType(node, frame, dict(cx.narrowed)), node.span)


@cache
def _checks() -> dict[type[nodes.Expression], Callable[[Context, Any, Type | None], Value]]:
    """What checks each kind. Made at the first use, since the rooms that it names import this one."""
    return {
        nodes.IntegerLiteral: _constant,
        nodes.FloatLiteral: _constant,
        nodes.StringLiteral: _constant,
        nodes.BooleanLiteral: _constant,
        nodes.NoneLiteral: _none,
        nodes.FormatString: _format_string,
        nodes.Name: _name,
        nodes.Unary: _unary,
        nodes.Binary: _binary,
        nodes.RangeExpression: _range,
        nodes.Call: calls.check_call,
        nodes.Attribute: attributes.check_attribute,
        nodes.Index: indexing.check_index,
        nodes.TupleExpression: _tuple,
        nodes.ListExpression: _list,
        nodes.Lambda: _lambda,
        nodes.Conditional: conditions.conditional,
        nodes.ErrorExpression: _error,
    }
