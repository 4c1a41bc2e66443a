"""Operators: host arithmetic on polynomials, element-wise operators and `@` on tensors, comparisons, `and or not`.

Promises that operands of two tensors have one element type, that a host number which meets a tensor can be represented
in its element type (proved, or checked while the graph is built), and that comparisons of host ints say what follows
from them. Shapes are the business of each operator's rule in the op table.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import NoReturn

from tensorlogic.compiler.check import clauses
from tensorlogic.compiler.check.context import (
    Bound,
    Context,
    Divisible,
    Equation,
    Implications,
    as_operand,
    check_operands,
    constant_type,
    fail,
    refuse_optional,
    test_for_none,
)
from tensorlogic.compiler.check.merging import Side, merged
from tensorlogic.compiler.dims import ONE, Polynomial
from tensorlogic.compiler.ir.core import Value
from tensorlogic.compiler.ops.all_ops import OPS
from tensorlogic.compiler.ops.rule import Application, Argument
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.types import (
    BOOLEAN,
    FLOAT,
    FLOAT16,
    FLOAT32,
    STRING,
    BoolType,
    DeviceType,
    Element,
    ElementType,
    ElementTypeType,
    ElementVariable,
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

OP_OF = {
    "+": "add",
    "-": "subtract",
    "*": "multiply",
    "/": "divide",
    "%": "remainder",
    "**": "power",
    "@": "matmul",
    "==": "equal",
    "!=": "not_equal",
    "<": "less",
    "<=": "less_equal",
    ">": "greater",
    ">=": "greater_equal",
    "&": "logical_and",
    "|": "logical_or",
}
LONGEST = 1024
"""How many terms of polynomials are multiplied. A longer product is an unknown int."""
LONGEST_STRING = 2**16
"""How many characters of a string are known while checking."""
COMPARISONS = frozenset({"==", "!=", "<", "<=", ">", ">="})
LARGEST_DIM = 2**31 - 1
"""MLX's shapes are int32: no size is larger."""


def binary(cx: Context, operator: str, left: Value, right: Value, spans: tuple[Span, Span], span: Span) -> Value:
    """`left operator right`. `spans` are the operands', `span` the operator's."""
    check_operands(left, right)
    tensors = [isinstance(v.type, TensorType) for v in (left, right)]
    if any(tensors):
        return _tensors(cx, operator, left, right, spans, span)
    if isinstance(left.type, IntType) and isinstance(right.type, IntType):
        return _ints(cx, operator, left, right, spans, span)
    if _is_number(left.type) and _is_number(right.type):
        return _floats(cx, operator, left, right, spans, span)
    return _others(cx, operator, left, right, spans, span)


def _is_number(t: Type) -> bool:
    return isinstance(t, IntType | FloatType)


# --- tensors


def _tensors(cx: Context, operator: str, left: Value, right: Value, spans: tuple[Span, Span], span: Span) -> Value:
    if operator not in OP_OF:
        fail("TL2003", f"`{operator}` does not take tensors", span, others=_labels(left, right, spans))
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
            refuse_promotion(a, b, _labels(left, right, spans), span)
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
        others=_labels(left, right, spans),
    )


def refuse_promotion(a: Element, b: Element, labels: list[tuple[Span, str]], span: Span) -> NoReturn:
    floats = a.kind == "float" and b.kind == "float"
    first, second = labels[0][0], labels[1][0]
    offers = [f"`{as_operand(second)}.to({a})` or `{as_operand(first)}.to({b})` says which is meant"]
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


def _labels(left: Value, right: Value, spans: tuple[Span, Span]) -> list[tuple[Span, str]]:
    return [(spans[0], str(left.type)), (spans[1], str(right.type))]


# --- host numbers that meet tensors


def adapt(cx: Context, value: Value, element: Element, span: Span, wider: str) -> Value:
    """A host number where a tensor's element type is expected: as it is, once it is sure to be representable.

    `wider` is the help for one that is not, `{}` in it the type that holds it.
    """
    if element.kind == "any" and isinstance(value.type, FloatType | IntType):
        helps = [f"declare `{element}: float`"]
        fail("TL2002", f"a number meets `{element}`, which may be any element type", span, str(value.type), helps=helps)
    match value.type:
        case FloatType() as number:
            if element.kind in ("integer", "bool"):
                fail(
                    "TL2002",
                    f"a float meets {element}",
                    span,
                    str(number),
                    helps=["`.to(float32)` makes the integers floats"],
                )
            return _fitting_float(cx, value, number, element, span, wider)
        case IntType(polynomial):
            if element.kind == "bool":
                fail("TL2002", "an int meets bool", span)
            constant = None if polynomial is None else polynomial.constant
            if constant is not None:
                check_constant(constant, element, span, wider)
                return value
            if element.kind == "integer":
                fits = polynomial is not None and _surely_int32(cx, polynomial)
                return value if fits else cx.add("fits", (value,), value.type, span, element=element)
            return _fitting_float(cx, value, as_float_range(cx, value.type), element, span, wider)
    return value


def _surely_int32(cx: Context, number: Polynomial) -> bool:
    """Whether an int is a tensor's size, or known to lie between 0 and the largest int32, which is a uint32 as well."""
    if number.variable is not None and number.variable.lower is not None:
        return True
    return cx.facts.nonnegative(number) and cx.facts.nonnegative(Polynomial.of(2**31 - 1) - number)


def _fitting_float(cx: Context, value: Value, number: FloatType, element: Element, span: Span, wider: str) -> Value:
    if number.constant is not None:
        check_constant(number.constant, element, span, wider)
        return value
    largest = element.largest if isinstance(element, ElementType) else 65504.0
    smallest = element.smallest if isinstance(element, ElementType) else 2.0**-24
    away_from_zero = number.low >= smallest or number.high <= -smallest
    if -largest <= number.low and number.high <= largest and away_from_zero:
        return value
    return cx.add("fits", (value,), value.type, span, element=element)


def check_constant(value: float | int, element: Element, span: Span, wider: str) -> None:
    """Refuse a number that an element type cannot hold. `wider` is the help, `{}` in it the type that does."""
    if isinstance(element, ElementVariable):
        # A body is right for every type that its `T` may be, and float16 is the narrowest.
        change = loss(float(value), FLOAT16)
        notes = [f"`{element}` may be float16"]
        if change:
            fail("TL2007", f"{value} would become {change} in `{element}`", span, notes=notes)
        return
    if element.kind == "integer":
        low, high = (0, 2**32 - 1) if element.name == "uint32" else (-(2**31), 2**31 - 1)
        if not low <= value <= high:
            fail("TL2007", f"{value} does not fit {element}", span)
        return
    change = loss(float(value), element)
    if change:
        held = element != FLOAT32 and loss(float(value), FLOAT32) is None
        helps = [wider.format(FLOAT32)] if held else []
        fail("TL2007", f"{value} would become {change} in {element}", span, helps=helps)


def loss(value: float, element: ElementType) -> str | None:
    """What a constant would become in an element type, `inf`, `-inf` or `0`; None where it stays a number."""
    infinite = "inf" if value > 0 else "-inf"
    if value == 0 or math.isinf(value) or math.isnan(value):
        return None
    code = {"float16": "<e", "float32": "<f"}.get(element.name)
    if code is None:
        # bfloat16 keeps float32's exponent: round its upper half to the nearest even.
        if abs(value) >= 3.3961775292304957e38:
            return infinite
        return "0" if abs(value) <= 2.0**-134 else None
    try:
        rounded = struct.unpack(code, struct.pack(code, value))[0]
    except OverflowError:
        return infinite
    return "0" if rounded == 0 else None


# --- host ints


def _ints(cx: Context, operator: str, left: Value, right: Value, spans: tuple[Span, Span], span: Span) -> Value:
    assert isinstance(left.type, IntType)
    assert isinstance(right.type, IntType)
    a, b = left.type.value, right.type.value
    assert a is not None
    assert b is not None
    if operator in COMPARISONS:
        return _compare_ints(cx, operator, left, right, span)
    name = f"host.{OP_OF.get(operator, '')}"
    match operator:
        case "+":
            return cx.add(name, (left, right), _int(a + b, span), span)
        case "-":
            return cx.add(name, (left, right), _int(a - b, span), span)
        case "*":
            product = _int(a * b, span) if len(a.terms) * len(b.terms) <= LONGEST else IntType()
            return cx.add(name, (left, right), product, span)
        case "/":
            exact = cx.facts.divided(a, b)
            if exact is None:
                _refuse_division(cx, a, b, spans, span)
            return cx.add("host.floor_divide", (left, right), IntType(exact), span)
        case "%":
            return _remainder(cx, left, right, a, b, span)
        case "**":
            exponent = b.constant
            if exponent is None or not 0 <= exponent <= 64:
                helps = [f"`float({spans[0].text}) ** {as_operand(spans[1])}` is a float"]
                fail("TL2008", "the exponent of an int is a constant from 0 to 64", spans[1], helps=helps)
            short = len(a.terms) <= 1 or len(a.terms) ** exponent <= LONGEST
            return cx.add(name, (left, right), _int(a.power(exponent), span) if short else IntType(), span)
    fail("TL2003", f"`{operator}` does not take ints", span, others=_labels(left, right, spans))


def _int(p: Polynomial, span: Span) -> IntType:
    """The type of an int; one that is known fits 64 bits."""
    if p.constant is not None and abs(p.constant) >= 2**63:
        fail("TL2007", f"{p.constant} does not fit an int, which has 64 bits", span)
    return IntType(p)


def _refuse_division(cx: Context, a: Polynomial, b: Polynomial, spans: tuple[Span, Span], span: Span) -> NoReturn:
    dividend, divisor = (s.text for s in spans)
    text = f"{dividend} / {divisor}"
    if not b.terms:
        fail("TL2011", f"`{text}` divides by 0", span)
    known = a.constant is not None and b.constant is not None
    rounded = [f"`floor_div({dividend}, {divisor})` rounds down"] if cx.facts.positive(b) else []
    fail(
        "TL2011",
        f"`{text}` is not exact" if known else f"cannot prove that `{text}` is exact",
        span,
        notes=["between ints `/` is exact division"],
        helps=[*rounded, f"`float({dividend}) / {as_operand(spans[1])}` is a float"],
    )


def _remainder(cx: Context, left: Value, right: Value, a: Polynomial, b: Polynomial, span: Span) -> Value:
    if cx.facts.divided(a, b) is not None:
        return cx.add("host.remainder", (left, right), IntType(Polynomial.of(0)), span)
    if a.constant is not None and b.constant is not None and b.constant != 0:
        return cx.add("host.remainder", (left, right), IntType(Polynomial.of(a.constant % b.constant)), span)
    if not cx.facts.positive(b):

        def refuse() -> NoReturn:
            fail("TL2011", f"cannot prove that the divisor `{b}` is positive", span)

        cx.refuse_offering(refuse, None if cx.facts.nonnegative(-b) else clauses.at_most(ONE, b), (b,))
    result = cx.add("host.remainder", (left, right), IntType(), span)
    assert isinstance(result.type, IntType)
    assert result.type.value is not None
    rest = result.type.value
    cx.facts = cx.facts.with_bound(rest).with_bound(b - rest - 1)
    cx.remainders[rest] = (a, b)
    return result


def _compare_ints(cx: Context, operator: str, left: Value, right: Value, span: Span) -> Value:
    assert isinstance(left.type, IntType)
    assert isinstance(right.type, IntType)
    a, b = left.type.value, right.type.value
    assert a is not None
    assert b is not None
    known = _known_comparison(cx, operator, a, b)
    result = cx.add(f"host.{OP_OF[operator]}", (left, right), BoolType(known), span)
    less, less_equal = (Bound(a, b, strict=True),), (Bound(a, b),)
    greater, greater_equal = (Bound(b, a, strict=True),), (Bound(b, a),)
    equation: tuple[Equation | Divisible, ...] = (Equation(a, b),)
    if a in cx.remainders and b == Polynomial.of(0):
        equation = (*equation, Divisible(*cx.remainders[a]))
    truths = {
        "==": Implications(equation),
        "!=": Implications((), equation),
        "<": Implications(less, greater_equal),
        "<=": Implications(less_equal, greater),
        ">": Implications(greater, less_equal),
        ">=": Implications(greater_equal, less),
    }
    cx.implications[result] = truths[operator]
    return result


def _known_comparison(cx: Context, operator: str, a: Polynomial, b: Polynomial) -> bool | None:
    difference = cx.facts.normal(a - b).constant
    if difference is None:
        return None
    tests: dict[str, Callable[[int], bool]] = {
        "==": lambda d: d == 0,
        "!=": lambda d: d != 0,
        "<": lambda d: d < 0,
        "<=": lambda d: d <= 0,
        ">": lambda d: d > 0,
        ">=": lambda d: d >= 0,
    }
    return tests[operator](difference)


# --- host floats


def as_float_range(cx: Context, t: Type) -> FloatType:
    """A host number as a float, with the bounds that are known."""
    if isinstance(t, FloatType):
        return t
    assert isinstance(t, IntType)
    if t.constant is not None:
        return FloatType(float(t.constant), float(t.constant), known=True)
    low, high = -math.inf, math.inf
    if t.value is not None:
        if cx.facts.positive(t.value):
            low = 1.0
        elif cx.facts.nonnegative(t.value):
            low = 0.0
        variable = t.value.variable
        if variable is not None and variable.lower is not None:
            high = float(LARGEST_DIM)
    return FloatType(low, high)


def _floats(cx: Context, operator: str, left: Value, right: Value, spans: tuple[Span, Span], span: Span) -> Value:
    if operator not in OP_OF or operator in ("@", "&", "|"):
        fail("TL2003", f"`{operator}` does not take floats", span, others=_labels(left, right, spans))
    name = f"host.{OP_OF[operator]}"
    if operator in COMPARISONS:
        return cx.add(name, (left, right), BOOLEAN, span)
    a, b = as_float_range(cx, left.type), as_float_range(cx, right.type)
    return cx.add(name, (left, right), _float_result(operator, a, b, spans, span), span)


def _float_result(operator: str, a: FloatType, b: FloatType, spans: tuple[Span, Span], span: Span) -> FloatType:
    compute: dict[str, Callable[[float, float], float]] = {
        "+": lambda x, y: x + y,
        "-": lambda x, y: x - y,
        "*": lambda x, y: x * y,
        "/": lambda x, y: x / y,
        "%": lambda x, y: x % y,
        "**": lambda x, y: float(x**y),
    }
    apply = compute[operator]
    if a.constant is not None and b.constant is not None:
        try:
            exact = apply(a.constant, b.constant)
        except (ArithmeticError, TypeError):
            fail("TL2001", f"`{spans[0].to(spans[1]).text}` has no value", span)
        return FloatType(exact, exact, known=True)
    bounded = all(map(math.isfinite, (a.low, a.high, b.low, b.high)))
    if operator in "+-*/" and bounded and not (operator == "/" and b.low <= 0 <= b.high):
        corners = [apply(x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
        return FloatType(min(corners), max(corners))
    return FLOAT


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
        others=_labels(left, right, spans),
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
