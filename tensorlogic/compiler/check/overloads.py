"""Which of a prelude function's declarations a call means.

Takes the declarations and the arguments. Promises the first declaration whose parameters are of the arguments' kinds,
host numbers taken for tensors only where a tensor is among the arguments. Where none fits, the one declaration that
the arguments could be meant for, whose binding then tells what is wrong; refuses where there are several such.
"""

from __future__ import annotations

from tensorlogic.compiler.check.refusals import fail
from tensorlogic.compiler.check.signatures import Signature
from tensorlogic.compiler.ir.core import Value
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.syntax import nodes
from tensorlogic.compiler.types import (
    FloatType,
    IntType,
    NoneType,
    OptionalType,
    TensorType,
    Type,
)

Written = tuple[nodes.Argument, Value]
"""An argument as written, and its value."""


def choose(signatures: tuple[Signature, ...], written: list[Written], span: Span) -> Signature:
    """The declaration that a call means."""
    if len(signatures) == 1:
        return signatures[0]
    for adapting in (False, True):
        for signature in signatures:
            if _fits(signature, written, adapting):
                return signature
    meant = [s for s in signatures if _matched(s, written) is not None] or [signatures[0]]
    if len(meant) == 1 or any(isinstance(value.type, OptionalType) for _, value in written):
        return meant[0]
    kinds = " and ".join(f"`{value.type}`" for _, value in written)
    fail(
        "TL2001",
        f"`{signatures[0].name}` does not take {kinds}",
        span,
        others=[(argument.value.span, str(value.type)) for argument, value in written],
        notes=["it is declared as " + ", ".join(f"`{_shown(s)}`" for s in meant)],
    )


def _matched(signature: Signature, written: list[Written]) -> list[tuple[Type, Type]] | None:
    """Each argument's declared and actual type; None where the arguments are too many, too few or of other names."""
    by_name = {p.name: p for p in signature.parameters}
    found: dict[str, tuple[Type, Type]] = {}
    position = 0
    for argument, value in written:
        if argument.name is not None:
            parameter = by_name.get(argument.name.name)
        else:
            parameter = signature.parameters[position] if position < len(signature.parameters) else None
            position += 1
        if parameter is None or parameter.name in found:
            return None
        found[parameter.name] = (parameter.type, value.type)
    if any(p.default is None and p.name not in found for p in signature.parameters):
        return None
    return list(found.values())


def _fits(signature: Signature, written: list[Written], adapting: bool) -> bool:
    matched = _matched(signature, written)
    if matched is None:
        return False
    any_tensor = any(isinstance(actual, TensorType) for _, actual in matched)
    if adapting and not any_tensor:
        return False
    return all(_kind_fits(d, a) or (adapting and _adapts(d, a)) for d, a in matched)


def _adapts(declared: Type, actual: Type) -> bool:
    return isinstance(declared, TensorType) and isinstance(actual, IntType | FloatType)


def _kind_fits(declared: Type, actual: Type) -> bool:
    if isinstance(declared, OptionalType):
        return isinstance(actual, NoneType) or _kind_fits(declared.item, actual)
    if isinstance(declared, TensorType):
        return isinstance(actual, TensorType) and (
            declared.element.kind != "bool" or actual.element.kind in ("bool", "any")
        )
    if isinstance(declared, FloatType):
        return isinstance(actual, FloatType | IntType)
    return type(declared) is type(actual)


def _shown(signature: Signature) -> str:
    return f"{signature.name}({', '.join(f'{p.name}: {p.type}' for p in signature.parameters)})"
