"""Each operation of the IR as a Python expression, and each check as the statements that say no.

The ops are written by their entries of the op table, the operations that are none by the rooms beside this one.
"""

from __future__ import annotations

import re

from tensorlogic.compiler.emit.chains import CHAINS
from tensorlogic.compiler.emit.indexing import INDEXING
from tensorlogic.compiler.emit.literals import string
from tensorlogic.compiler.emit.naming import Expression, Naming, Texts, where, written
from tensorlogic.compiler.emit.outside import OUTSIDE
from tensorlogic.compiler.emit.showing import SHOWING
from tensorlogic.compiler.emit.tensors import TENSORS
from tensorlogic.compiler.emit.values import VALUES
from tensorlogic.compiler.ir.core import Operation
from tensorlogic.compiler.ops.all_ops import OPS
from tensorlogic.compiler.ops.lowering import COMPARISON, PRODUCT, SUM, UNARY, Call, Text, lower
from tensorlogic.compiler.records import dataclass
from tensorlogic.compiler.types import IntType, TensorType, Type

_STRUCTURAL: dict[str, Expression] = {**VALUES, **TENSORS, **INDEXING, **SHOWING, **OUTSIDE, **CHAINS}
"""The operations that are no entries of the op table."""


@dataclass
class Operations:
    """Lowers the operations of one function. `parameters` names the operands of each op."""

    names: Naming
    parameters: dict[str, tuple[str, ...]]

    def lower(self, operation: Operation, texts: Texts) -> Text:
        """The expression of an operation without regions; in a module that looks for NaN, with the look at it."""
        text = self._lowered(operation, texts)
        if not self.names.module.debug_nan or not _computes_floats(operation):
            return text
        place = f"{string(where(operation.span))}, {string(written(operation.span))}"
        return Text(f"{self.names.runtime('no_nan')}({text.code}, {place})")

    def _lowered(self, operation: Operation, texts: Texts) -> Text:
        structural = _STRUCTURAL.get(operation.name)
        if structural is not None:
            return structural(self.names, operation, texts)
        op, module = OPS[operation.name], self.names.module
        names = op.parameters or self.parameters[operation.name]
        names = (*names[: len(operation.operands)], *operation.attributes.get("extra", ()))
        named = dict(zip(names, operation.operands, strict=True))
        texts_by_name = {n: texts[v] for n, v in named.items()}
        types = {n: v.type for n, v in named.items()}
        call = Call(
            texts_by_name,
            types,
            operation.result.type,
            where(operation.span),
            self.names,
            packed=frozenset(operation.attributes.get("packed", ())),
            checked=module.checked,
            fast=module.fast,
            standalone=module.standalone,
            strict=module.strict,
        )
        text = lower(op.mlx, call)
        if "math." in text.code:
            module.needs.add("math")
        return text

    def demand(self, operation: Operation, texts: Texts) -> list[str]:
        """The statements of a check: a condition, and what says no."""
        if operation.attributes["kind"] == "leading":
            return [self._same_leading(operation, texts)]
        a, *rest = (texts[v] for v in operation.operands)
        kind = operation.attributes["kind"]
        match kind:
            case "equal":
                # The number that is known stands on the right.
                left, right = (rest[0], a) if a.code.isdecimal() else (a, rest[0])
                condition = f"{left.within(SUM)} != {right.within(SUM)}"
            case "at_least":
                condition = f"{a.within(SUM)} < {rest[0].within(SUM)}"
            case "more_than":
                condition = f"{a.within(SUM)} <= {rest[0].within(SUM)}"
            case "divisible":
                condition = f"{a.within(PRODUCT)} % {rest[0].within(UNARY)} != 0"
                if not _is_positive(operation.operands[1].type):
                    condition = f"{rest[0].within(COMPARISON + 1)} < 1 or {condition}"
            case _:
                condition = f"not {a.within(COMPARISON)}"
        shown = rest if kind == "true" else [a, *rest]
        message, used = _message(operation.attributes["message"], shown)
        code = operation.attributes["code"]
        arguments = ", ".join([string(where(operation.span)), string(code), string(message), *used])
        return [f"if {condition}:", f"    {self.names.runtime('refuse')}({arguments})"]

    def _same_leading(self, operation: Operation, texts: Texts) -> str:
        """The check that a pack is the same in all that lists and optionals hold."""
        a = operation.attributes
        given = [
            f"({string(name)}, {texts[value].code}, {form!r})"
            for name, value, form in zip(a["arguments"], operation.operands, a["forms"], strict=True)
        ]
        arguments = ", ".join([string(a["pack"]), string(a["function"]), string(where(operation.span)), *given])
        return f"{self.names.runtime('same_leading')}({arguments})"


def _computes_floats(operation: Operation) -> bool:
    """Whether an operation computes a tensor that may have NaN."""
    if operation.name not in OPS and operation.name not in CHAINS:
        return False
    t = operation.result.type
    return isinstance(t, TensorType) and t.element.kind == "float"


def _message(message: str, values: list[Text]) -> tuple[str, list[str]]:
    """A check's message for `str.format`, and what it is given: `{0}` is the first value, other braces are text."""
    used: list[str] = []
    pieces: list[str] = []
    for piece in re.split(r"(\{\d\})", message):
        index = int(piece[1]) if re.fullmatch(r"\{\d\}", piece) else len(values)
        if index < len(values):
            used.append(values[index].code)
            pieces.append("{}")
        else:
            pieces.append(piece.replace("{", "{{").replace("}", "}}"))
    return "".join(pieces), used


def _is_positive(t: Type) -> bool:
    """Whether a divisor's type says that it is not 0."""
    if not isinstance(t, IntType) or t.value is None:
        return False
    if t.constant is not None:
        return t.constant > 0
    variable = t.value.variable
    return variable is not None and variable.lower == 1
