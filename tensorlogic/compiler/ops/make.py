"""Functions that make tensors.

A shape is a list of host ints, each at least 0 (TL3018); the element type is `dtype`, a constant. A constant value that
the element type cannot hold is refused (TL2007). Random numbers are drawn in float32 from `key` alone and then rounded:
equal calls are equal, whatever the device and the precision in which it carries values.
"""

from __future__ import annotations

import json
import math
from typing import NoReturn

from tensorlogic.compiler.dims import ZERO, Kind, Polynomial
from tensorlogic.compiler.ops.lowering import Call, Text
from tensorlogic.compiler.ops.representable import fitting, loss, require_representable
from tensorlogic.compiler.ops.rule import Application, Argument
from tensorlogic.compiler.ops.sizes import int_of, require_size
from tensorlogic.compiler.ops.table import Op
from tensorlogic.compiler.types import (
    FLOAT32,
    BoolType,
    Element,
    ElementVariable,
    IntType,
    NoneType,
    Shape,
    TensorType,
    Type,
)

# --- sizes


def new_shape(app: Application, name: str = "shape") -> Shape:
    """The shape that a list of ints says, each of them at least 0."""
    sizes = app.sizes(name)
    for size in sizes:
        require_size(app, size, app[name])
    return Shape(None, sizes)


# --- values


def _new_element(app: Application, *kinds: str) -> Element:
    """The element type that `dtype` names, which is one of these kinds; a type parameter must be `float`."""
    element = app.dtype("dtype")
    if element.kind not in kinds:
        may_be = f"`{element}`, which may be any element type" if element.kind == "any" else f"{element}"
        app.demands.fail(
            "TL2001",
            f"`{app.op}` makes tensors of {' or '.join(_KINDS[kind] for kind in kinds)}, not of {may_be}",
            app["dtype"].span,
        )
    return element


_KINDS = {"float": "floats", "integer": "integers", "bool": "bools"}


# --- rules


def _filled(app: Application) -> Type:
    return TensorType(app.dtype("dtype"), new_shape(app))


def _full(app: Application) -> Type:
    value = app["value"]
    match value.type:
        case BoolType():
            element = _new_element(app, "bool")
        case IntType():
            element = _new_element(app, "float", "integer")
        case _:
            element = _new_element(app, "float")
    require_representable(app, value, element)
    return TensorType(element, new_shape(app))


def _eye(app: Application) -> Type:
    size = int_of(app["n"])
    require_size(app, size, app["n"])
    return TensorType(app.dtype("dtype"), Shape(None, (size, size)))


def _arange(app: Application) -> Type:
    element = _new_element(app, "integer", "float")
    step = app.constant_int("step")
    start, stop = (int_of(app["start"]), int_of(app["stop"])) if app.given("stop") else (ZERO, int_of(app["start"]))
    if start.constant is not None and stop.constant is not None and step:
        count = len(range(start.constant, stop.constant, step))
        if count:
            for value in (start.constant, start.constant + (count - 1) * step):
                _require_item(app, value, element)
        return TensorType(element, Shape(None, (Polynomial.of(count),)))
    return TensorType(element, Shape(None, (_count(app, start, stop, step),)))


def _end(app: Application) -> Argument:
    """The argument that says where the numbers end: the only one is the end, not the start."""
    return app["stop" if app.given("stop") else "start"]


def _require_item(app: Application, value: int, element: Element) -> None:
    change = None if isinstance(element, ElementVariable) else loss(value, element)
    if change is not None:
        app.demands.fail("TL2007", f"{value} {change}", _end(app).span)


def _count(app: Application, start: Polynomial, stop: Polynomial, step: int) -> Polynomial:
    """How many numbers there are from `start` to `stop`, where that is not a constant: an exact division."""
    if step == 0:
        app.demands.fail("TL3012", "the `step` of `arange` is 0", app["step"].span)
    span = _end(app).span
    length = stop - start if step > 0 else start - stop

    def refuse() -> NoReturn:
        app.demands.fail(
            "TL3018",
            f"`arange` would have {length} items, which may be negative",
            span,
        )

    def refuse_division() -> NoReturn:
        app.demands.fail(
            "TL3012",
            f"cannot prove that `{length}` is divisible by the step {abs(step)}",
            span,
        )

    message = "`arange` would have {0} items: they are at least {1}"
    app.demands.require_nonnegative(length, ZERO, span, message, refuse)
    if abs(step) == 1:
        return length
    message = "`arange` goes over {0} numbers in steps of {1}, which leaves a remainder"
    return app.demands.require_divisible(length, Polynomial.of(abs(step)), span, message, refuse_division)


def _linspace(app: Application) -> Type:
    element = _new_element(app, "float")
    for name in ("start", "stop"):
        require_representable(app, app[name], element)
    count = int_of(app["count"])
    require_size(app, count, app["count"])
    return TensorType(element, Shape(None, (count,)))


def _random(app: Application) -> Type:
    element = _new_element(app, "float")
    for name in ("low", "high"):
        if name in app.arguments:
            require_representable(app, app[name], element)
    return TensorType(element, new_shape(app))


# --- lowerings


_LARGE = 2**28
"""From how many items on a tensor may be too large for a machine."""


def _sized(call: Call, shape: str) -> str:
    """The shape of the result, looked at when it is made where it may be too large: its dims are of no tensor."""
    assert isinstance(call.result, TensorType)
    dims = call.result.shape.dims
    constants = [size.constant for size in dims if size.constant is not None]
    of_tensors = (v.rigid or v.kind is Kind.UNKNOWN for size in dims for v in size.variables())
    if all(of_tensors) and math.prod(constants) < _LARGE:
        return shape
    return f"{call.names.runtime('sized')}({shape}, {call.result_dtype}, {json.dumps(call.where)})"


def _counted(call: Call, name: str, rank: int) -> str:
    """An operand that is each of the result's dims, looked at in the same way."""
    size = call[name].code
    shape = f"({', '.join([size] * rank)}{',' if rank == 1 else ''})"
    sized = _sized(call, shape)
    return size if sized == shape else f"{sized}[0]"


def _rounded(call: Call, made: str) -> Text:
    """What MLX made in float32, in the result's type."""
    assert isinstance(call.result, TensorType)
    return Text(made if call.result.element == FLOAT32 else f"{made}.astype({call.result_dtype})")


def _filling(function: str) -> Op:
    def lowered(call: Call) -> Text:
        return Text(f"mx.{function}({_sized(call, call['shape'].code)}, {call.result_dtype})")

    return Op(function, lowered, rule=_filled)


def _lower_full(call: Call) -> Text:
    return Text(f"mx.full({_sized(call, call['shape'].code)}, {fitting(call, 'value')}, {call.result_dtype})")


def _lower_eye(call: Call) -> Text:
    return Text(f"mx.eye({_counted(call, 'n', 2)}, dtype={call.result_dtype})")


def _lower_arange(call: Call) -> Text:
    """Counted in integers: MLX adds up in the result's type, where float16 would stop at 2048."""
    parts = [call["start"].code]
    if not isinstance(call.types["stop"], NoneType):
        parts.append(call["stop"].code)
    if call.constant_int("step") != 1:
        parts = [*(["0"] if len(parts) == 1 else []), *parts, call["step"].code]
    assert isinstance(call.result, TensorType)
    if call.result.element.kind == "integer":
        return Text(f"mx.arange({', '.join(parts)}, dtype={call.result_dtype})")
    return Text(f"mx.arange({', '.join(parts)}, dtype=mx.int32).astype({call.result_dtype})")


def _lower_linspace(call: Call) -> Text:
    start, stop = (fitting(call, name) for name in ("start", "stop"))
    return _rounded(call, f"mx.linspace({start}, {stop}, {_counted(call, 'count', 1)})")


def _key(call: Call) -> str:
    """MLX's key of an int; any int of the language will do, MLX wants one of 64 bits without a sign."""
    constant = call.constant_int("key")
    if constant is not None and 0 <= constant < 2**64:
        return f"mx.random.key({call['key']})"
    return f"mx.random.key({call['key']:atom} % 2**64)"


def _lower_normal(call: Call) -> Text:
    return _rounded(call, f"mx.random.normal({_sized(call, call['shape'].code)}, key={_key(call)})")


def _lower_uniform(call: Call) -> Text:
    low, high = (fitting(call, name) for name in ("low", "high"))
    return _rounded(call, f"mx.random.uniform({low}, {high}, {_sized(call, call['shape'].code)}, key={_key(call)})")


OPS: tuple[Op, ...] = (
    _filling("zeros"),
    _filling("ones"),
    Op("host.full", _lower_full, rule=_full, coreml="fill"),
    Op("arange", _lower_arange, rule=_arange),
    Op("linspace", _lower_linspace, rule=_linspace),
    Op("eye", _lower_eye, rule=_eye),
    Op("tril", "mx.tril({x}, {k})"),
    Op("triu", "mx.triu({x}, {k})"),
    Op("like", "mx.full_like({x}, {value})"),
    Op("random_normal", _lower_normal, rule=_random),
    Op("random_uniform", _lower_uniform, rule=_random),
)
