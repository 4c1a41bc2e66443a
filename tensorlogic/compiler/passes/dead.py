"""Dead code: operations whose results nothing uses are removed.

Looks for operations without effect (no check, no output, no input) none of whose results is an operand of anything that
stays. Control flow stays when anything inside it does; the results of an `if` that nothing uses are kept with it, since
emission writes no name for an unused one.

Right because language.md makes functions pure: an operation without effect is seen through its results only. Effects
are the structural operations of `EFFECTS`, the entries of the op table that say so, `debug`, and the calls that
`effects.py` marked.
"""

from __future__ import annotations

from dataclasses import replace

from tensorlogic.compiler.ir.core import EFFECTS, Function, Operation, Region, Value
from tensorlogic.compiler.ops.all_ops import OPS

STRUCTURAL_EFFECTS = EFFECTS | {
    "print",
    "read_line",
    "generate",
    "new_cache",
    "pieces",
    "load_model",
    "save_model",
    "load_tokenizer",
    "bind",
    "method",
    "ranked",
    "dynamic",
    "fits",
    "debug",
    "extern",
    "host.item",
    "call_value",
}


def has_effect(operation: Operation) -> bool:
    """Whether the operation does more than define its results."""
    op = OPS.get(operation.name)
    acts = "acts" in operation.attributes
    return acts or operation.name in STRUCTURAL_EFFECTS or (op is not None and op.effect)


def run(function: Function) -> Function:
    """The function without dead operations."""
    used: set[Value] = set()
    return replace(function, body=_live(function.body, used))


def _live(region: Region, used: set[Value]) -> Region:
    """The region's operations that stay, found from its end to its beginning."""
    kept: list[Operation] = []
    for operation in reversed(region.operations):
        stays: bool
        if operation.regions:
            operation = replace(
                operation, regions=tuple(_live(inner, used) for inner in reversed(operation.regions))[::-1]
            )
            inside = any(o.name not in ("yield",) for inner in operation.regions for o in inner.operations)
            stays = operation.name in ("for", "while") or inside or bool(used.intersection(operation.results))
            if operation.name == "lambda" or (operation.name == "if" and not _acts(operation)):
                stays = bool(used.intersection(operation.results))
        else:
            stays = has_effect(operation) or bool(used.intersection(operation.results))
        if stays:
            used.update(operation.operands)
            kept.append(operation)
    return Region(region.arguments, tuple(reversed(kept)))


def _acts(operation: Operation) -> bool:
    """Whether anything inside has an effect, or leaves."""
    return any(
        (o.name != "yield" and has_effect(o)) or o.name in ("for", "while") or (o.regions and _acts(o))
        for inner in operation.regions
        for o in inner.operations
    )
