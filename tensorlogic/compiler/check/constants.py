"""The values of constants and defaults: literals, other constants and arithmetic on them.

Takes an expression. Promises a number, string, bool, element type or none, or a tuple or list of them. Refuses (TL2016)
everything else, and arithmetic whose result has no value or does not fit 64 bits.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from tensorlogic.compiler.check.refusals import Failure, fail
from tensorlogic.compiler.names import BrokenSymbol, ConstantSymbol, FileModule, ModuleSymbol, Symbol
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.syntax import nodes
from tensorlogic.compiler.types import ELEMENT_TYPES

if TYPE_CHECKING:
    from tensorlogic.compiler.check.world import World


def evaluate(world: World, node: nodes.Expression, module: FileModule) -> Any:
    """A constant expression: literals, other constants and arithmetic."""
    match node:
        case (
            nodes.IntegerLiteral(value=value)
            | nodes.FloatLiteral(value=value)
            | nodes.StringLiteral(value=value)
            | nodes.BooleanLiteral(value=value)
        ):
            return value
        case nodes.NoneLiteral():
            return None
        case nodes.TupleExpression(items=items):
            return tuple(evaluate(world, item, module) for item in items)
        case nodes.ListExpression(items=items):
            return _list(node, [evaluate(world, item, module) for item in items])
        case nodes.Unary(operator="-", operand=operand):
            value = evaluate(world, operand, module)
            if isinstance(value, int | float) and not isinstance(value, bool):
                return -value
        case nodes.Unary(operator="not", operand=operand):
            value = evaluate(world, operand, module)
            if isinstance(value, bool):
                return not value
        case nodes.Binary() if node.operator in _ARITHMETIC:
            return _arithmetic(world, node, module)
        case nodes.Name(name=name):
            symbol = world.resolve(module, name)
            if name in ELEMENT_TYPES and not isinstance(symbol, ConstantSymbol):
                return ELEMENT_TYPES[name]
            return _named(world, node, symbol, module)
        case nodes.Attribute(value=nodes.Name(name=name), name=attribute):
            target = module.scope.get(name)
            if isinstance(target, ModuleSymbol):
                return _named(world, node, target.module.scope.get(attribute.name), module)
        case nodes.ErrorExpression():
            raise Failure
    _refuse_constant(node.span)


def _named(world: World, node: nodes.Expression, symbol: Symbol | None, module: FileModule) -> Any:
    match symbol:
        case ConstantSymbol():
            return world.constant(symbol)
        case BrokenSymbol():
            raise Failure
        case None if node.span.text not in world.script_names(module):
            known = [n for n, s in module.scope.items() if isinstance(s, ConstantSymbol)]
            near = difflib.get_close_matches(node.span.text, known, 1)
            helps = [f"did you mean `{n}`?" for n in near]
            fail("TL1001", f"there is no `{node.span.text}`", node.span, helps=helps)
    _refuse_constant(node.span)


def _arithmetic(world: World, node: nodes.Binary, module: FileModule) -> Any:
    a, b = evaluate(world, node.left, module), evaluate(world, node.right, module)
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (a, b))
    strings = node.operator == "+" and isinstance(a, str) and isinstance(b, str)
    if not numbers and not strings:
        fail("TL2016", f"`{node.span.text}` is not constant", node.span)
    if node.operator == "/" and isinstance(a, int) and isinstance(b, int):
        if b == 0 or a % b:
            fail("TL2011", f"`{node.span.text}` is not exact", node.operator_span)
        return a // b
    try:
        result = _ARITHMETIC[node.operator](a, b)
    except (ArithmeticError, ValueError):
        fail("TL2016", f"`{node.span.text}` has no value", node.span)
    if isinstance(result, complex) or (isinstance(result, int) and abs(result) >= 2**63):
        fail("TL2016", f"`{node.span.text}` has no value of 64 bits", node.span)
    return result


def _list(node: nodes.ListExpression, values: list[Any]) -> list[Any]:
    kinds = {float if type(v) is int else type(v) for v in values}
    if len(kinds) > 1:
        fail("TL2017", "the items of a list have one type", node.span)
    return values


def _refuse_constant(span: Span) -> NoReturn:
    fail(
        "TL2016",
        f"`{span.text}` is not constant",
        span,
        notes=["a constant is made of literals, other constants and arithmetic"],
    )


_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "%": lambda a, b: a % b,
    "**": lambda a, b: a**b if abs(b) <= 1024 else float(a) ** b,
}
