"""Functions that make tensors.

A shape is a list of host ints, each at least 0 (TL3018); the element type is `dtype`, a constant. A constant value that
the element type cannot hold is refused (TL2007). Random numbers are drawn in float32 from `key` alone and then rounded:
equal calls are equal, whatever the device and the precision in which it carries values.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import NoReturn

from tensorlogic.compiler.dims import ZERO, Kind, Polynomial
from tensorlogic.compiler.ops.growth import LARGE
from tensorlogic.compiler.ops.lowering import Call, Text
from tensorlogic.compiler.ops.quotients import rounded_up
from tensorlogic.compiler.ops.representable import fitting, range_of, require_held, require_representable
from tensorlogic.compiler.ops.rule import Application
from tensorlogic.compiler.ops.sizes import UNBOUNDED, bounds, int_of, require_size
from tensorlogic.compiler.ops.table import Op
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.types import (
    FLOAT32,
    INT32,
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
    if step == 0:
        app.demands.fail("TL3012", "the `step` of `arange` is 0", app["step"].span)
    # The only bound that is given is the end.
    end = app["stop" if app.given("stop") else "start"]
    start, stop = int_of(app["start"]) if app.given("stop") else ZERO, int_of(end)
    count = _count(app, start, stop, step, end.span)
    first, length = start.constant, count.constant
    if first is not None and length:
        for value in (first, first + (length - 1) * step):
            require_held(app, end, value, element)
    return TensorType(element, Shape(None, (count,)))


def _count(app: Application, start: Polynomial, stop: Polynomial, step: int, span: Span) -> Polynomial:
    """How many numbers there are from `start` to `stop`."""
    above, below = (stop, start) if step > 0 else (start, stop)
    direction = "up" if step > 0 else "down"

    def refuse() -> NoReturn:
        false = app.demands.provably_different(above, below)
        problem = f"would not get from {start} to {stop}" if false else f"may not get from {start} to {stop}"
        app.demands.fail("TL3018", f"`arange` counts {direction}: it {problem}", span)

    def refuse_rest() -> NoReturn:
        app.demands.fail(
            "TL3012",
            f"`arange` counts from {start} to {stop} in steps of {step}: cannot tell how much remains",
            span,
        )

    ends = "{1} to {0}" if step > 0 else "{0} to {1}"
    message = f"`arange` counts {direction}: it would not get from {ends}"
    app.demands.require_nonnegative(above, below, span, message, refuse)
    return rounded_up(app, above - below, Polynomial.of(abs(step)), span, refuse_rest)


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


_FARTHEST = 2**30
"""Up to where MLX's diagonals are right."""


def _sized(call: Call, shape: str) -> str:
    """The shape of the result, looked at when it is made where it may be too large: its dims are of no tensor."""
    assert isinstance(call.result, TensorType)
    dims = call.result.shape.dims
    constants = [size.constant for size in dims if size.constant is not None]
    of_tensors = (v.rigid or v.kind is Kind.UNKNOWN for size in dims for v in size.variables())
    if all(of_tensors) and math.prod(constants) < LARGE:
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
    assert isinstance(call.result, TensorType)
    element = call.result.element
    given = not isinstance(call.types["stop"], NoneType)
    parts = [call["start"].code, call["stop"].code] if given else ["0", call["start"].code]
    step = call.constant_int("step")
    assert step is not None
    if not _surely_held(call, step):
        dtype, place = call.names.visible_dtype(element), json.dumps(call.where)
        made = f"{call.names.runtime('arange')}({', '.join([*parts, call['step'].code, dtype, place])})"
        return Text(made if element.kind == "integer" else f"{made}.astype({call.result_dtype})")
    parts = parts if given or step != 1 else parts[1:]
    parts = parts if step == 1 else [*parts, call["step"].code]
    if element.kind == "integer":
        return Text(f"mx.arange({', '.join(parts)}, dtype={call.result_dtype})")
    return Text(f"mx.arange({', '.join(parts)}, dtype=mx.int32).astype({call.result_dtype})")


def _surely_held(call: Call, step: int) -> bool:
    """Whether all numbers of an `arange` are known to fit the integers that count them, and the element type."""
    assert isinstance(call.result, TensorType)
    element = call.result.element
    if isinstance(element, ElementVariable):
        return False
    types = [call.types["start"], call.types["stop"]]
    start, stop = types if not isinstance(types[1], NoneType) else (IntType(ZERO), types[0])
    assert isinstance(start, IntType)
    assert isinstance(stop, IntType)
    if start.value is None or stop.value is None:
        return False
    last = stop.value - (1 if step > 0 else -1)
    reached = [*bounds(start.value), *bounds(last)]
    if isinstance(count := call.result.shape.dims[0].constant, int) and start.constant is not None:
        reached = [start.constant, start.constant + max(count - 1, 0) * step]
    held = [range_of(element), range_of(INT32)] if element.kind == "float" else [range_of(element)]
    return all(low <= min(reached) and max(reached) <= high for low, high in held)


def _triangle(function: str) -> Callable[[Call], Text]:
    def lowered(call: Call) -> Text:
        """MLX counts diagonals in 32 bits and subtracts them, so that far ones come out wrong."""
        k = call.types["k"]
        assert isinstance(k, IntType)
        low, high = bounds(k.value) if k.value is not None else (-UNBOUNDED, UNBOUNDED)
        near = low >= -_FARTHEST and high <= _FARTHEST
        return Text(f"{f'mx.{function}' if near else call.names.runtime(function)}({call['x']}, {call['k']})")

    return lowered


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
    Op("host.full", _lower_full, rule=_full, sees=True, coreml="fill"),
    Op("arange", _lower_arange, rule=_arange, sees=True),
    Op("linspace", _lower_linspace, rule=_linspace, sees=True),
    Op("eye", _lower_eye, rule=_eye),
    Op("tril", _triangle("tril")),
    Op("triu", _triangle("triu")),
    Op("like", "mx.full_like({x}, {value})"),
    Op("random_normal", _lower_normal, rule=_random),
    Op("random_uniform", _lower_uniform, rule=_random, sees=True),
)
