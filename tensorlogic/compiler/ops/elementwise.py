"""Element-wise functions.

Those of one tensor have their type from the prelude's signature. Those of several broadcast, and their rules are here;
a host number may stand for any operand as long as a tensor is among them. Float functions follow IEEE: `log(0)` is
-inf, `sqrt(-1)` is NaN, and NaN passes through `minimum`, `maximum` and `clip`.
"""

from __future__ import annotations

from tensorlogic.compiler.ops.broadcast import broadcast, shape_of, with_element
from tensorlogic.compiler.ops.growth import growing
from tensorlogic.compiler.ops.lowering import PRODUCT, Call, Infix, Lowering, Prefix, Text
from tensorlogic.compiler.ops.operators import divides_safely, refuse_element, require_exponent, require_numbers
from tensorlogic.compiler.ops.representable import fitting, require_representable
from tensorlogic.compiler.ops.rule import Application
from tensorlogic.compiler.ops.table import Op
from tensorlogic.compiler.types import FLOAT16, INT32, BoolType, Element, FloatType, TensorType, Type


def _element(app: Application) -> Element:
    """The element type of the tensor operands, of which there must be one."""
    if app.element is None:
        first, *rest = app.arguments.values()
        host = {"minimum": "min", "maximum": "max"}.get(app.op)
        app.demands.fail(
            "TL2001",
            f"`{app.op}` needs a tensor among its operands",
            first.span,
            str(first.type),
            others=[(argument.span, str(argument.type)) for argument in rest if argument.span != app.span],
            helps=[f"`{host}` takes numbers"] if host is not None else [],
        )
    return app.element


def _extreme(app: Application) -> Type:
    """`minimum` and `maximum`; of bools they are `and` and `or`."""
    return TensorType(_element(app), broadcast(app, ("a", "b")))


def _pow(app: Application) -> Type:
    element = _element(app)
    require_numbers(app, element)
    require_exponent(app, element, "x", "exponent")
    return TensorType(element, broadcast(app, ("x", "exponent")))


def _negated(app: Application) -> Type:
    require_numbers(app, _element(app))
    return with_element(app.element, shape_of(app, app["x"]))


def _clip(app: Application) -> Type:
    element = _element(app)
    require_numbers(app, element)
    if not isinstance(app["x"].type, TensorType):
        app.demands.fail("TL2001", "`x` of `clip` is a tensor", app["x"].span, str(app["x"].type))
    return TensorType(element, broadcast(app, ("x", "low", "high")))


def _floor_div(app: Application) -> Type:
    element = _element(app)
    if element.kind == "float":
        refuse_element(app, element, ["`floor(a / b)` divides floats"])
    require_numbers(app, element)
    return TensorType(element, broadcast(app, ("a", "b")))


def _where(app: Application) -> Type:
    """Two numbers without a tensor have the default types: float16, or int32 where both are ints."""
    element = app.element
    if element is None:
        element = FLOAT16 if any(isinstance(app[name].type, FloatType) for name in ("a", "b")) else INT32
        for name in ("a", "b"):
            require_representable(app, app[name], element)
    return TensorType(element, broadcast(app, ("mask", "a", "b")))


def _lower_where(call: Call) -> Text:
    if any(isinstance(call.types[name], TensorType) for name in ("a", "b")):
        return Text(f"mx.where({call['mask']}, {call['a']}, {call['b']})")
    # MLX would make float32 of two Python floats.
    assert isinstance(call.result, TensorType)
    chosen = f"mx.where({call['mask']}, {fitting(call, 'a')}, {fitting(call, 'b')})"
    return Text(f"{chosen}.astype({call.names.dtype(call.result.element)})")


def _lower_floor_div(call: Call) -> Text:
    if divides_safely(call, "b"):
        return Infix("//", PRODUCT).lower(call["a"], call["b"])
    return Text(f"{call.names.runtime('floor_div')}({call['a']}, {call['b']})")


def _lower_gelu(call: Call) -> Text:
    exact, approximate = (call.names.runtime(name) for name in ("gelu", "gelu_tanh"))
    match call.types["approximate"]:
        case BoolType(None):
            return Text(f"({approximate} if {call['approximate']} else {exact})({call['x']})")
        case chosen:
            return Text(f"{approximate if chosen == BoolType(True) else exact}({call['x']})")


def _lower_silu(call: Call) -> Text:
    return Text(f"{call.names.runtime('silu')}({call['x']})")


def _unary(name: str, mlx: Lowering | None = None, coreml: str | None = None) -> Op:
    """A function of one tensor that MLX and Core ML call by the same name, unless told otherwise."""
    return Op(name, mlx or f"mx.{name}({{x}})", coreml=coreml or name)


OPS: tuple[Op, ...] = (
    _unary("abs"),
    Op("neg", Prefix("-"), rule=_negated),
    _unary("sign"),
    _unary("square"),
    _unary("exp"),
    _unary("log"),
    _unary("sqrt"),
    _unary("rsqrt"),
    _unary("sin"),
    _unary("cos"),
    _unary("tanh"),
    _unary("sigmoid"),
    _unary("erf"),
    _unary("floor"),
    _unary("ceil"),
    _unary("round"),
    _unary("relu", "mx.maximum({x}, 0)"),
    _unary("gelu", _lower_gelu),
    _unary("silu", _lower_silu),
    _unary("softplus", "mx.logaddexp({x}, 0)"),
    Op("isnan", "mx.isnan({x})"),
    Op("isfinite", "mx.isfinite({x})"),
    Op("pow", growing("mx.power({x}, {exponent})"), rule=_pow, coreml="pow"),
    Op("minimum", growing("mx.minimum({a}, {b})"), rule=_extreme, coreml="minimum"),
    Op("maximum", growing("mx.maximum({a}, {b})"), rule=_extreme, coreml="maximum"),
    Op("clip", growing("mx.clip({x}, {low}, {high})"), rule=_clip),
    Op("floor_div", growing(_lower_floor_div), rule=_floor_div, coreml="floor_div"),
    Op("where", growing(_lower_where), rule=_where, coreml="select"),
)
