"""Making a struct: `Linear(weight: w, bias: none)`. Which fields and dims are given, and what comes of it.

The signature that the fields are bound to is made in `constructing.py`.
"""

from __future__ import annotations

import difflib

from tensorlogic.compiler.check import calls
from tensorlogic.compiler.check.binding import Binder
from tensorlogic.compiler.check.constructing import fields_present
from tensorlogic.compiler.check.context import Context
from tensorlogic.compiler.check.overloads import Written
from tensorlogic.compiler.check.refusals import fail
from tensorlogic.compiler.check.signatures import Signature
from tensorlogic.compiler.ir.core import Value
from tensorlogic.compiler.names import (
    StructSymbol,
)
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.syntax import nodes
from tensorlogic.compiler.types import (
    FLOAT16,
    StructType,
    substitute,
)

_TO_HOST = frozenset({"int", "float", "bool", "string"})
"""Ops that evaluate a tensor."""


def make_struct(cx: Context, symbol: StructSymbol, written: list[Written], node: nodes.Call) -> Value:
    """`Linear(weight: w, bias: none)`."""
    definition = cx.world.struct(symbol)
    values = {a.name.name if a.name is not None else next(iter(definition.fields), ""): v for a, v in written}
    given = frozenset(v.name for v in definition.dims if v.name in values)
    signature = cx.world.constructor(definition, given, fields_present(definition, values))
    unnamed = next((a for a, _ in written if a.name is None), None)
    if unnamed is not None and len(definition.fields) > 1:
        fail("TL2014", f"the fields of `{definition.name}` are given by name", unnamed.span)
    _refuse_fields(signature, written, node.span)
    givens = calls.match_arguments(cx, signature, written, node.span)
    binder = Binder(cx, signature, node.span)
    operands = binder.bind(givens)
    binder.matched.elements.update(
        {e: (FLOAT16, givens[0]) for e in definition.elements if e not in binder.matched.elements}
    )
    type = substitute(signature.result, binder.substitution)
    assert isinstance(type, StructType)
    names = (*definition.fields, *(v.name for v in definition.dims))
    sizes = tuple(cx.number(d, node.span) for d in type.dims)
    fields = tuple(operands[: len(definition.fields)])
    return cx.add("struct", (*fields, *sizes), type, node.span, definition=definition, names=names)


def _refuse_fields(signature: Signature, written: list[Written], span: Span) -> None:
    """Fields that are unknown, given twice or missing."""
    fields = {p.name: p for p in signature.parameters}
    seen: dict[str, Span] = {}
    for argument, _ in written:
        if argument.name is None:
            continue
        name = argument.name.name
        if name not in fields:
            near = difflib.get_close_matches(name, fields, 1)
            helps = [f"did you mean `{n}`?" for n in near] or [f"its fields are {', '.join(fields)}"]
            fail("TL2014", f"`{signature.name}` has no field `{name}`", argument.name.span, helps=helps)
        if name in seen:
            others = [(seen[name], "the first")]
            fail("TL2014", f"`{name}` of `{signature.name}` is given twice", argument.span, others=others)
        seen[name] = argument.span
    missing = [p for n, p in fields.items() if n not in seen and p.default is None]
    if missing and all(argument.name is not None for argument, _ in written):
        names = ", ".join(f"`{p.name}`" for p in missing)
        dims = {v.name for v in signature.variables}
        others = [(p.span, "told by no field" if p.name in dims else f"declared {p.type}") for p in missing]
        fail("TL2014", f"`{signature.name}` needs {names}", span, others=others)
