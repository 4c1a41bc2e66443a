"""The operators on tensors. No prelude declares them; their operands are `a` and `b`, or `x`.

The checker has seen to it that tensor operands have one element type and that a host number fits it. The rules here
compute shapes (broadcasting, and `@`) and refuse what an element type does not have: `/` on integers (TL2012), other
arithmetic on bools, bit operations on floats (TL2003). Integers wrap around as in two's complement; a quotient or
remainder by 0 has no particular value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from tensorlogic.compiler.dims import ZERO, Polynomial
from tensorlogic.compiler.ops.broadcast import (
    SYMBOLS,
    applied,
    broadcast,
    broadcast_batches,
    clause,
    independence,
    labels,
    name_of,
    postfix_text,
    provable,
    shape_of,
    with_element,
)
from tensorlogic.compiler.ops.growth import growing
from tensorlogic.compiler.ops.lowering import (
    BIT_AND,
    BIT_OR,
    COMPARISON,
    POWER,
    PRODUCT,
    SUM,
    Call,
    Infix,
    Lowering,
    Prefix,
    Text,
)
from tensorlogic.compiler.ops.products import product
from tensorlogic.compiler.ops.rule import Application, Rule
from tensorlogic.compiler.ops.sizes import int_of
from tensorlogic.compiler.ops.table import Op
from tensorlogic.compiler.types import BOOL, UINT32, Element, IntType, Shape, TensorType, Type

BOTH = ("a", "b")

# --- which element types an operator takes


def refuse_element(app: Application, element: Element, helps: list[str]) -> NoReturn:
    """Refuse an element type that the op does not have."""
    operands = [argument for argument in app.arguments.values() if isinstance(argument.type, TensorType)]
    may_be = f"`{element}`, which may be any element type" if element.kind == "any" else f"tensors of {element}"
    app.demands.fail(
        "TL2003",
        f"`{SYMBOLS.get(app.op, app.op)}` does not take {may_be}",
        app.span,
        others=labels(operands),
        helps=[f"declare `{element}: float`"] if element.kind == "any" else helps,
    )


def refuse_fractions(app: Application, element: Element, helps: list[str]) -> NoReturn:
    """Refuse an op whose results are fractions, on integers or bools."""
    operands = [argument for argument in app.arguments.values() if isinstance(argument.type, TensorType)]
    app.demands.fail(
        "TL2012",
        f"`{SYMBOLS.get(app.op, app.op)}` on tensors of {element} would need fractions",
        app.span,
        others=labels(operands),
        helps=[f"declare `{element}: float`"] if element.kind == "any" else helps,
    )


def require_numbers(app: Application, element: Element) -> None:
    """Refuse bools, and type parameters that may stand for them."""
    if element.kind in ("bool", "any"):
        refuse_element(app, element, ["convert first: `.to(int32)`"])


def _element(app: Application) -> Element:
    assert app.element is not None, "one operand of an operator is a tensor"
    return app.element


# --- rules


def _sum_or_product(app: Application) -> Type:
    """`+` and `*`: any element type; on bools they are `or` and `and`."""
    return TensorType(_element(app), broadcast(app, BOTH))


def _arithmetic(app: Application) -> Type:
    require_numbers(app, _element(app))
    return TensorType(_element(app), broadcast(app, BOTH))


def require_exponent(app: Application, element: Element, base: str, exponent: str) -> None:
    """Refuse a negative exponent of integers, whose powers would be fractions."""
    argument = app[exponent]
    if element.kind != "integer" or not isinstance(argument.type, IntType):
        return

    def refuse() -> NoReturn:
        text = postfix_text(app[base].span)
        app.demands.fail(
            "TL2008",
            f"the exponent of a tensor of {element} is {int_of(argument)}: it must be at least 0",
            argument.span,
            others=labels([app[base]]),
            helps=[f"`{text}.to(float32)` has powers of every kind"] if isinstance(app[base].type, TensorType) else [],
        )

    message = f"the exponent of {name_of(app[base])}, of {element}, is {{0}}: it must be at least {{1}}"
    app.demands.require_nonnegative(int_of(argument), ZERO, argument.span, message, refuse)


def _power(app: Application) -> Type:
    require_exponent(app, _element(app), *BOTH)
    return _arithmetic(app)


def _quotient(app: Application) -> Type:
    element = _element(app)
    if element.kind != "float":
        a, b = (postfix_text(app[name].span) for name in BOTH)
        whole = [f"`floor_div({a}, {b})` rounds down"] if element.kind == "integer" else []
        refuse_fractions(app, element, ["convert the operands first: `.to(float32)`", *whole])
    return TensorType(element, broadcast(app, BOTH))


def _comparison(app: Application) -> Type:
    return TensorType(BOOL, broadcast(app, BOTH))


def _bits(app: Application) -> Type:
    _require_bits(app)
    return TensorType(_element(app), broadcast(app, BOTH))


def _negative(app: Application) -> Type:
    require_numbers(app, _element(app))
    return with_element(app.element, shape_of(app, app["x"]))


def _not(app: Application) -> Type:
    _require_bits(app)
    return with_element(app.element, shape_of(app, app["x"]))


def _require_bits(app: Application) -> None:
    element = _element(app)
    if element.kind in ("float", "any"):
        refuse_element(app, element, ["compare first: a comparison gives a `bool` tensor"])


# --- the matrix product


def _matmul(app: Application) -> Type:
    element = _element(app)
    for name in BOTH:
        if not isinstance(app[name].type, TensorType):
            _refuse_matmul(app, "TL2003", "`@` multiplies matrices; a number is multiplied with `*`", [])
    if element.kind != "float":
        refuse_element(app, element, ["convert first: `.to(float32)`"])
    a, b = (shape_of(app, app[name]) for name in BOTH)
    for name, shape in (("a", a), ("b", b)):
        if not shape.dims:
            what = "a scalar" if shape.pack is None else f"only known as {shape}"
            _refuse_matmul(app, "TL3005", f"`@` needs matrices or vectors: {name_of(app[name])} is {what}", [])
    _require_rows(app, a, b)
    inner_a, inner_b = _inner(a, b)
    message = f"`@` needs equal inner dims: {{0}} in {name_of(app['a'])}, {{1}} in {name_of(app['b'])}"
    app.demands.require_equal(inner_a, inner_b, app.span, message, lambda: _refuse_inner(app, a, b))
    batch = broadcast_batches(app, _batch(a), _batch(b))
    return TensorType(element, _product_shape(a, b, batch))


def _is_vector(shape: Shape) -> bool:
    return shape.pack is None and len(shape.dims) == 1


def _inner(a: Shape, b: Shape) -> tuple[Polynomial, Polynomial]:
    return a.dims[-1], b.dims[-1] if _is_vector(b) else b.dims[-2]


def _batch(shape: Shape) -> Shape:
    """The dims before the matrices. One row after a pack is as good as a matrix where no batch stands against it."""
    return Shape(shape.pack, shape.dims[:-2])


def _product_shape(a: Shape, b: Shape, batch: Shape) -> Shape:
    rows = () if _is_vector(a) else a.dims[-2:-1]
    columns = () if _is_vector(b) else b.dims[-1:]
    return Shape(batch.pack, batch.dims + rows + columns)


def _require_rows(app: Application, a: Shape, b: Shape) -> None:
    """Behind a pack there must be a whole matrix, except on the left of a single matrix or vector."""
    if b.pack is not None and len(b.dims) == 1:
        _refuse_matmul(app, "TL3013", f"`@` contracts the second last dim of {b}, which is inside the pack", [])
    if a.pack is not None and len(a.dims) == 1 and (b.pack is not None or len(b.dims) > 2):
        text = postfix_text(app["a"].span)
        helps = []
        if b.pack is not None:
            helps = [f"`({text}[..., none, :] @ {postfix_text(app['b'].span)})[..., 0, :]` takes each row by itself"]
            lifted = Shape(a.pack, (Polynomial.of(1), *a.dims))
            helps = helps if _provable_product(app, lifted, b) is not None else []
        message = f"`@` of {a} and {b}: it is not known which dim of the pack would be the rows"
        _refuse_matmul(app, "TL3013", message, helps)


def _refuse_matmul(app: Application, code: str, message: str, helps: list[str]) -> NoReturn:
    operands = [app[name] for name in BOTH]
    app.demands.fail(code, message, app.span, others=labels(operands), helps=helps)


def _refuse_inner(app: Application, a: Shape, b: Shape) -> NoReturn:
    p, q = _inner(a, b)
    app.demands.fail(
        "TL3001",
        f"`@` needs equal inner dims: `{p}` is not `{q}`",
        app.span,
        others=labels([app["a"], app["b"]]),
        notes=independence(p, q),
        helps=_transposed(app, a, b) or clause(p, q),
    )


def _transposed(app: Application, a: Shape, b: Shape) -> list[str]:
    """The operands with one of them, or both, transposed, where that would check; with its type."""
    a_text, b_text = (postfix_text(app[name].span) for name in BOTH)
    for turn_a, turn_b in ((False, True), (True, False), (True, True)):
        left, right = _turned(a) if turn_a else a, _turned(b) if turn_b else b
        if left is None or right is None:
            continue
        product = _provable_product(app, left, right)
        if product is not None:
            texts = [a_text + ".T" * turn_a, b_text + ".T" * turn_b]
            return [f"`{applied(app, texts)}` is {TensorType(_element(app), product)}"]
    return []


def _turned(shape: Shape) -> Shape | None:
    if len(shape.dims) < 2:
        return None
    *leading, rows, columns = shape.dims
    return Shape(shape.pack, (*leading, columns, rows))


def _provable_product(app: Application, a: Shape, b: Shape) -> Shape | None:
    if not app.demands.provably_equal(*_inner(a, b)):
        return None
    batch = provable(app.demands, _batch(a), _batch(b))
    return None if batch is None else _product_shape(a, b, batch)


# --- lowerings


def _lower_matmul(call: Call) -> Text:
    return product(call, "a", "b")


def tensor_first(infix: Infix) -> Callable[[Call], Text]:
    """For operators that commute: MLX arrays have `&` and `|` for a host value on the right only."""

    def lowered(call: Call) -> Text:
        a, b = call["a"], call["b"]
        return infix.lower(a, b) if isinstance(call.types["a"], TensorType) else infix.lower(b, a)

    return lowered


def divides_safely(call: Call, divisor: str) -> bool:
    """Whether MLX may divide integers by an operand: on a CPU, -2147483648 divided by -1 ends the process."""
    element = next(t.element for t in call.types.values() if isinstance(t, TensorType))
    if element.kind == "float" or element == UINT32:
        return True
    constant = call.constant_int(divisor)
    return constant is not None and constant != -1


def _lower_remainder(call: Call) -> Text:
    if divides_safely(call, "b"):
        return Infix("%", PRODUCT).lower(call["a"], call["b"])
    return Text(f"{call.names.runtime('remainder')}({call['a']}, {call['b']})")


def _op(name: str, mlx: Lowering, rule: Rule, coreml: str) -> Op:
    return Op(name, growing(mlx), rule=rule, parameters=BOTH, coreml=coreml)


OPS: tuple[Op, ...] = (
    _op("add", Infix("+", SUM), _sum_or_product, "add"),
    _op("subtract", Infix("-", SUM), _arithmetic, "sub"),
    _op("multiply", Infix("*", PRODUCT), _sum_or_product, "mul"),
    _op("divide", Infix("/", PRODUCT), _quotient, "real_div"),
    _op("remainder", _lower_remainder, _arithmetic, "mod"),
    _op("power", Infix("**", POWER, right=True), _power, "pow"),
    Op("matmul", _lower_matmul, rule=_matmul, parameters=BOTH, packed=frozenset({"b"}), coreml="matmul"),
    _op("equal", Infix("==", COMPARISON), _comparison, "equal"),
    _op("not_equal", Infix("!=", COMPARISON), _comparison, "not_equal"),
    _op("less", Infix("<", COMPARISON), _comparison, "less"),
    _op("less_equal", Infix("<=", COMPARISON), _comparison, "less_equal"),
    _op("greater", Infix(">", COMPARISON), _comparison, "greater"),
    _op("greater_equal", Infix(">=", COMPARISON), _comparison, "greater_equal"),
    _op("logical_and", tensor_first(Infix("&", BIT_AND)), _bits, "logical_and"),
    _op("logical_or", tensor_first(Infix("|", BIT_OR)), _bits, "logical_or"),
    Op("negative", Prefix("-"), rule=_negative, parameters=("x",)),
    Op("logical_not", Prefix("~"), rule=_not, parameters=("x",), coreml="logical_not"),
)
