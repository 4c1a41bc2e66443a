"""Operators: which operation an operator is for its operands, and the refusal where there is none.

Promises that operands of two tensors have one element type, and that a host number which meets a tensor can be
represented in its element type (`adaptation.py`). Host ints and floats are the business of `host_numbers.py`, shapes
that of each operator's rule in the op table.
"""

from __future__ import annotations

from typing import NoReturn

from tensorlogic.compiler.check import host_numbers
from tensorlogic.compiler.check.adaptation import adapt
from tensorlogic.compiler.check.assumptions import Implications
from tensorlogic.compiler.check.bindings import check_operands, constant_type
from tensorlogic.compiler.check.context import Context
from tensorlogic.compiler.check.merging import Side, merged
from tensorlogic.compiler.check.operands import OP_OF, labels
from tensorlogic.compiler.check.refusals import as_operand, fail, refuse_optional, test_for_none
from tensorlogic.compiler.ir.core import Value
from tensorlogic.compiler.ops.all_ops import OPS
from tensorlogic.compiler.ops.rule import Application, Argument
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.types import (
    BOOLEAN,
    STRING,
    BoolType,
    DeviceType,
    Element,
    ElementTypeType,
    FloatType,
    IntType,
    ListType,
    NoneType,
    OptionalType,
    PackVariable,
    Shape,
    StringType,
    TensorType,
    TupleType,
    Type,
)

LONGEST_STRING = 2**16
"""How many characters of a string are known while checking."""


def binary(cx: Context, operator: str, left: Value, right: Value, spans: tuple[Span, Span], span: Span) -> Value:
    """`left operator right`. `spans` are the operands', `span` the operator's."""
    check_operands(left, right)
    tensors = [isinstance(v.type, TensorType) for v in (left, right)]
    if any(tensors):
        return _tensors(cx, operator, left, right, spans, span)
    if isinstance(left.type, IntType) and isinstance(right.type, IntType):
        return host_numbers.ints(cx, operator, left, right, spans, span)
    if _is_number(left.type) and _is_number(right.type):
        return host_numbers.floats(cx, operator, left, right, spans, span)
    return _others(cx, operator, left, right, spans, span)


def _is_number(t: Type) -> bool:
    return isinstance(t, IntType | FloatType)


# --- tensors


def _tensors(cx: Context, operator: str, left: Value, right: Value, spans: tuple[Span, Span], span: Span) -> Value:
    if operator not in OP_OF:
        fail("TL2003", f"`{operator}` does not take tensors", span, others=labels(left, right, spans))
    element = common_element(cx, left, right, spans, span)
    tensor = spans[0] if isinstance(left.type, TensorType) else spans[1]
    wider = f"compute in {{0}}: `{as_operand(tensor)}.to({{0}})`"
    left, right = (adapt(cx, v, element, s, wider) for v, s in zip((left, right), spans, strict=True))
    return apply_op(cx, OP_OF[operator], (left, right), spans, span, element)


def apply_op(
    cx: Context, name: str, operands: tuple[Value, ...], spans: tuple[Span, ...], span: Span, element: Element | None
) -> Value:
    """An operator's entry of the op table, applied. Operands of unknown rank are left to run time in a script."""
    op = OPS[name]
    unknown = [v for v in operands if isinstance(v.type, TensorType) and _unknown_rank(v.type)]
    if unknown:
        place = spans[operands.index(unknown[0])]
        if not cx.is_script:
            fail(
                "TL3017",
                f"the rank of `{place.text}` is not known here",
                place,
                str(unknown[0].type),
                helps=["say the shape: `let w: float16[?, ?] = ...`"],
            )
        unknown_type = TensorType(_dynamic_element(name, element), Shape(PackVariable(unknown=True), ()))
        return cx.add("dynamic", operands, unknown_type, span, op=name)
    arguments = {p: Argument(p, value, place) for p, value, place in zip(op.parameters, operands, spans, strict=True)}
    assert op.rule is not None
    result = op.rule(Application(name, arguments, span, element, cx))
    return cx.add(name, operands, result, span)


def _dynamic_element(name: str, element: Element | None) -> Element:
    from tensorlogic.compiler.types import BOOL

    assert element is not None
    return BOOL if name in {"equal", "not_equal", "less", "less_equal", "greater", "greater_equal"} else element


def _unknown_rank(t: TensorType) -> bool:
    return t.shape.pack is not None and t.shape.pack.unknown


def common_element(cx: Context, left: Value, right: Value, spans: tuple[Span, Span], span: Span) -> Element:
    """The one element type of two operands of which at least one is a tensor."""
    match left.type, right.type:
        case TensorType(a, _), TensorType(b, _):
            if a == b:
                return a
            refuse_promotion(a, b, labels(left, right, spans), span)
        case (TensorType(element, _), other) | (other, TensorType(element, _)):
            if _is_number(other) or (isinstance(other, BoolType) and element.kind == "bool"):
                return element
            if isinstance(other, OptionalType):
                place, rest = spans if isinstance(left.type, OptionalType) else spans[::-1]
                tensor = right if isinstance(left.type, OptionalType) else left
                message = f"`{span.text}` does not take what may be none"
                refuse_optional(message, other, place, others=[(rest, str(tensor.type))])
    fail(
        "TL2003",
        f"`{span.text}` does not take {_kind(left.type)} and {_kind(right.type)}",
        span,
        others=labels(left, right, spans),
    )


def refuse_promotion(
    a: Element,
    b: Element,
    labels: list[tuple[Span, str]],
    span: Span,
    *,
    tensors: tuple[bool, bool] = (True, True),
) -> NoReturn:
    """Refuse two element types that meet. `tensors` says which of the operands are tensors: only these have `.to`."""
    floats = a.kind == "float" and b.kind == "float"
    first, second = labels[0][0], labels[1][0]
    conversions = [f"`{as_operand(second)}.to({a})`"] if tensors[1] else []
    conversions += [f"`{as_operand(first)}.to({b})`"] if tensors[0] else []
    offers = [f"{' or '.join(conversions)} says which is meant"] if conversions else []
    if first == second:
        offers = [f"`.to({a})` or `.to({b})` on one of them says which is meant"]
        labels = labels[:1]
    fail(
        "TL2002",
        f"{a} meets {b}",
        span,
        others=labels,
        notes=["element types are never changed without being asked to"],
        helps=offers if floats or "any" not in (a.kind, b.kind) else [],
    )


def _kind(t: Type) -> str:
    return "a tensor" if isinstance(t, TensorType) else f"`{t}`"


# --- everything else


def _others(cx: Context, operator: str, left: Value, right: Value, spans: tuple[Span, Span], span: Span) -> Value:
    match operator, left.type, right.type:
        case "+", StringType(a), StringType(b):
            both = None if a is None or b is None or len(a) + len(b) > LONGEST_STRING else a + b
            return cx.add("host.concat", (left, right), constant_type(both) if both is not None else STRING, span)
        case "+", ListType() as a, ListType() as b if (joined := _one_list(cx, a, b)) is not None:
            return cx.add("host.concat", (left, right), joined, span)
        case (("==" | "!="), a, b) if _comparable(a, b):
            return cx.add(f"host.{OP_OF[operator]}", (left, right), BOOLEAN, span)
        case (("<" | "<=" | ">" | ">="), StringType(), StringType()):
            return cx.add(f"host.{OP_OF[operator]}", (left, right), BOOLEAN, span)
        case (("in" | "not in"), a, (ListType(item, _))) if _comparable(a, item):
            return cx.add(f"host.{operator.replace(' ', '_')}", (left, right), BOOLEAN, span)
        case (("in" | "not in"), StringType(), StringType()):
            return cx.add(f"host.{operator.replace(' ', '_')}", (left, right), BOOLEAN, span)
    helps = []
    for value, place in ((left, spans[0]), (right, spans[1])):
        if isinstance(value.type, OptionalType):
            helps.append(test_for_none(place))
    code = "TL2009" if helps else "TL2003"
    fail(
        code,
        f"`{operator}` does not take `{left.type}` and `{right.type}`",
        span,
        others=labels(left, right, spans),
        helps=helps,
    )


_EQUATED = BoolType | StringType | ElementTypeType | DeviceType


def _one_list(cx: Context, a: ListType, b: ListType) -> Type | None:
    if a.items is not None and b.items is not None:
        items = a.items + b.items
        return ListType(items[0] if items else a.item, items)
    return merged([Side(a, cx.facts), Side(b, cx.facts)])


def _comparable(a: Type, b: Type) -> bool:
    """Whether `==` is defined: on numbers, bools, strings, element types, and tuples, lists and optionals of them."""
    match a, b:
        case (OptionalType(), NoneType()) | (NoneType(), OptionalType()) | (NoneType(), NoneType()):
            return True
        case (OptionalType(item), other) | (other, OptionalType(item)):
            return _comparable(item, other)
        case TupleType(items), TupleType(others):
            return len(items) == len(others) and all(map(_comparable, items, others))
        case ListType(item, items), ListType(other, others):
            return () in (items, others) or _comparable(item, other)
    return (_is_number(a) and _is_number(b)) or (isinstance(a, _EQUATED) and type(a) is type(b))


def unary(cx: Context, operator: str, value: Value, span: Span, operand_span: Span) -> Value:
    """`-x`, `~x`, `not x`."""
    check_operands(value)
    match operator, value.type:
        case "-", IntType(p) if p is not None:
            return cx.add("host.negative", (value,), IntType(-p), span)
        case "-", FloatType(low, high, known):
            return cx.add("host.negative", (value,), FloatType(-high, -low, known), span)
        case "-", TensorType(element, _):
            if element.kind == "bool":
                fail("TL2003", "`-` does not take bool", span, others=[(operand_span, str(value.type))])
            return apply_op(cx, "negative", (value,), (operand_span,), span, element)
        case (("~" | "not"), TensorType(element, shape)):
            if operator == "not" and (element.kind != "bool" or shape.rank != 0):
                fail(
                    "TL2003",
                    "`not` takes a host bool or `bool[]`",
                    span,
                    others=[(operand_span, str(value.type))],
                    helps=[f"`~{as_operand(operand_span)}` negates a mask"] if element.kind == "bool" else [],
                )
            if element.kind == "float":
                fail("TL2003", "`~` does not take floats", span, others=[(operand_span, str(value.type))])
            return apply_op(cx, "logical_not", (value,), (operand_span,), span, element)
        case "not", BoolType(constant):
            result = cx.add("host.not", (value,), BoolType(None if constant is None else not constant), span)
            implied = cx.implications.get(value, Implications())
            cx.implications[result] = Implications(implied.when_false, implied.when_true)
            return result
    fail("TL2003", f"`{operator}` does not take `{value.type}`", span, others=[(operand_span, str(value.type))])
