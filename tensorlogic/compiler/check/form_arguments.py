"""What the calls share that no signature says: where they may stand, and their arguments by name."""

from __future__ import annotations

import difflib

from tensorlogic.compiler.check import expressions
from tensorlogic.compiler.check.assign import coerce
from tensorlogic.compiler.check.bindings import check_operands
from tensorlogic.compiler.check.context import Context
from tensorlogic.compiler.check.refusals import fail
from tensorlogic.compiler.ir.core import Value
from tensorlogic.compiler.syntax import nodes
from tensorlogic.compiler.types import Type


def script_only(cx: Context, node: nodes.Call) -> None:
    if not cx.is_script or cx.in_lambda:
        name = node.callee.span.text
        helps = ['`debug(x, "label")` shows a value when it is evaluated'] if name == "print" else []
        fail("TL1015", f"`{name}` is for scripts: functions are pure", node.span, helps=helps)


def stands_alone(cx: Context, node: nodes.Call) -> None:
    """What gives no value is a statement, and no part of one."""
    if cx.standing is not node:
        fail("TL2001", f"`{node.callee.span.text}` gives no value: it is a statement", node.span)


def arguments_of(node: nodes.Call, names: tuple[str, ...], required: int) -> dict[str, nodes.Argument]:
    """The arguments by name; more or other ones are refused."""
    callee = node.callee.span.text
    found: dict[str, nodes.Argument] = {}
    for position, argument in enumerate(node.arguments):
        name = argument.name.name if argument.name is not None else names[position] if position < len(names) else None
        if name is None or name not in names:
            code = "TL2004" if argument.name is None else "TL1012"
            helps = [f"did you mean `{near}`?" for near in difflib.get_close_matches(name or "", names, 1)]
            fail(code, f"`{callee}` takes {', '.join(names)}", argument.span, helps=helps)
        if name in found:
            fail("TL2004", f"`{name}` of `{callee}` is given twice", argument.span)
        found[name] = argument
    missing = [n for n in names[:required] if n not in found]
    if missing:
        fail("TL2004", f"`{callee}` needs `{missing[0]}`", node.span)
    return found


def typed(
    cx: Context,
    node: nodes.Call,
    found: dict[str, nodes.Argument],
    name: str,
    type: Type,
    value: Value | None = None,
) -> Value:
    """An argument as its type wants it; `value` where it is checked already."""
    written = found[name].value
    value = value or expressions.check(cx, written)
    check_operands(value)
    return coerce(cx, value, type, written.span, f"`{name}` of `{node.callee.span.text}`")
