"""Host numbers, strings and lists: the operators that the checker types itself, and the functions of the prelude.

Host floats follow IEEE, as tensors do, while Python raises for 1.0 / 0.0: the runtime's functions answer where a bound
known while compiling does not exclude it. A `fold` computes the op on constants and raises where Python does, which
leaves the op to run time. `int`, `float` and `bool` of a scalar tensor evaluate it.
"""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Callable
from typing import Any, NoReturn

from tensorlogic.compiler import dims
from tensorlogic.compiler.dims import ONE, Polynomial
from tensorlogic.compiler.ops.lowering import (
    AND,
    COMPARISON,
    NOT,
    OR,
    POWER,
    PRODUCT,
    SUM,
    Call,
    Infix,
    Lowering,
    Prefix,
    Text,
)
from tensorlogic.compiler.ops.rule import Application
from tensorlogic.compiler.ops.sizes import surely_positive
from tensorlogic.compiler.ops.table import Op
from tensorlogic.compiler.types import (
    ElementType,
    FloatType,
    IntType,
    StringType,
    TensorType,
    Type,
)

# --- operators


def _not_zero(type: Type) -> bool:
    match type:
        case IntType(value) if value is not None:
            return value.constant != 0 if value.constant is not None else surely_positive(value)
        case FloatType(low, high):
            return low > 0 or high < 0
    return False


def _dividing(symbol: str, function: str) -> Callable[[Call], Text]:
    """Python's operator where both are ints or the divisor cannot be 0, else the runtime's function."""

    def lowered(call: Call) -> Text:
        ints = symbol != "/" and all(isinstance(t, IntType) for t in call.types.values())
        if ints or _not_zero(call.types["b"]):
            return Infix(symbol, PRODUCT).lower(call["a"], call["b"])
        return Text(f"{call.names.runtime(function)}({call['a']}, {call['b']})")

    return lowered


def _lower_power(call: Call) -> Text:
    if all(isinstance(t, IntType) for t in call.types.values()):
        return Infix("**", POWER, right=True).lower(call["a"], call["b"])
    return Text(f"{call.names.runtime('float_power')}({call['a']}, {call['b']})")


def _binary(name: str, mlx: Lowering, fold: Callable[..., Any] | None = None) -> Op:
    return Op(f"host.{name}", mlx, parameters=("a", "b"), fold=fold)


_OPERATORS = (
    _binary("add", Infix("+", SUM), operator.add),
    _binary("subtract", Infix("-", SUM), operator.sub),
    _binary("multiply", Infix("*", PRODUCT), operator.mul),
    _binary("divide", _dividing("/", "float_divide"), operator.truediv),
    _binary("floor_divide", Infix("//", PRODUCT), operator.floordiv),
    _binary("remainder", _dividing("%", "float_remainder"), operator.mod),
    _binary("power", _lower_power, operator.pow),
    _binary("concat", Infix("+", SUM), operator.add),
    _binary("equal", Infix("==", COMPARISON), operator.eq),
    _binary("not_equal", Infix("!=", COMPARISON), operator.ne),
    _binary("less", Infix("<", COMPARISON), operator.lt),
    _binary("less_equal", Infix("<=", COMPARISON), operator.le),
    _binary("greater", Infix(">", COMPARISON), operator.gt),
    _binary("greater_equal", Infix(">=", COMPARISON), operator.ge),
    _binary("and", Infix("and", AND)),
    _binary("or", Infix("or", OR)),
    Op("host.negative", Prefix("-"), parameters=("x",), fold=operator.neg),
    Op("host.not", Prefix("not ", NOT), parameters=("x",), fold=operator.not_),
)


# --- functions


def _within(name: str, least: float, largest: float) -> Callable[[Call], Text]:
    """A function of `math` where its operand is known to lie in the function's domain, else the runtime's."""

    def lowered(call: Call) -> Text:
        type = call.types["x"]
        inside = isinstance(type, FloatType) and least <= type.low and type.high <= largest
        return Text(f"{f'math.{name}' if inside else call.names.runtime(f'float_{name}')}({call['x']})")

    return lowered


def _runtime(function: str, *parameters: str) -> Callable[[Call], Text]:
    def lowered(call: Call) -> Text:
        return Text(f"{call.names.runtime(function)}({', '.join(call[p].code for p in parameters)})")

    return lowered


def _floor_div(app: Application) -> Type:
    """A divisor that is no constant must be positive: it is so by its type, or checked at run time."""
    a, b = (_polynomial(app[name].type) for name in ("a", "b"))

    def refuse() -> NoReturn:
        zero = b.constant == 0
        app.demands.fail(
            "TL2011",
            "`floor_div` by 0" if zero else f"cannot prove that the divisor `{b}` is positive",
            app["b"].span,
        )

    if b.constant is None or b.constant == 0:
        message = "the divisor of `floor_div` is {0}: it must be at least {1}"
        app.demands.require_nonnegative(b, ONE, app["b"].span, message, refuse)
    return IntType(dims.divide(a, b))


def _polynomial(type: Type) -> Polynomial:
    assert isinstance(type, IntType)
    assert type.value is not None
    return type.value


def _lower_float(call: Call) -> Text:
    match call.types["x"]:
        case FloatType():
            return call["x"]
        case StringType():
            return Text(f"{call.names.runtime('parse_float')}({call['x']}, {json.dumps(call.where)})")
    return Text(f"float({call['x']})")


def _lower_int(call: Call) -> Text:
    match call.types["x"]:
        case FloatType(low, high) if math.isfinite(low) and math.isfinite(high):
            return Text(f"int({call['x']})")
        case FloatType():
            return Text(f"{call.names.runtime('float_to_int')}({call['x']}, {json.dumps(call.where)})")
    return Text(f"{call.names.runtime('parse_int')}({call['x']}, {json.dumps(call.where)})")


def _lower_string(call: Call) -> Text:
    """A value as `print` shows it; a tensor in the digits of its element type."""
    match call.types["x"]:
        case StringType():
            return call["x"]
        case IntType():
            return Text(f"str({call['x']})")
        case TensorType(element) if isinstance(element, ElementType) and element.kind == "float":
            return Text(f'{call.names.runtime("shown")}({call["x"]}, "{element}")')
    return Text(f"{call.names.runtime('shown')}({call['x']})")


_FUNCTIONS = (
    Op("host.len", "len({x})", fold=len),
    Op("host.int", _lower_int, fold=int),
    Op("host.float", _lower_float, fold=float),
    Op("host.string", _lower_string),
    Op("host.floor_div", Infix("//", PRODUCT), rule=_floor_div, fold=operator.floordiv),
    Op("host.min", "min({a}, {b})", fold=min),
    Op("host.max", "max({a}, {b})", fold=max),
    Op("host.abs", "abs({x})", fold=abs),
    Op("host.sqrt", _within("sqrt", 0.0, math.inf), fold=math.sqrt),
    Op("host.exp", _within("exp", -math.inf, 700.0), fold=math.exp),
    Op("host.log", _within("log", math.ulp(0.0), math.inf), fold=math.log),
    Op("host.pow", _runtime("float_power", "x", "exponent"), fold=math.pow),
    Op("host.floor", _runtime("float_floor", "x"), fold=lambda x: float(math.floor(x))),
    Op("host.ceil", _runtime("float_ceil", "x"), fold=lambda x: float(math.ceil(x))),
    Op("host.round", _runtime("float_round", "x"), fold=lambda x: float(round(x))),
)


# --- scalar tensors that come to the host


def _lower_item_to_int(call: Call) -> Text:
    if call.tensor("x").element.kind in ("integer", "bool"):
        return Text(f"int({call['x']})")
    return Text(f"{call.names.runtime('float_to_int')}(float({call['x']}), {json.dumps(call.where)})")


_ITEMS = (
    Op("int", _lower_item_to_int),
    Op("float", "float({x})"),
    Op("bool", "bool({x})"),
    Op("string", _lower_string),
)

OPS: tuple[Op, ...] = (*_OPERATORS, *_FUNCTIONS, *_ITEMS)
