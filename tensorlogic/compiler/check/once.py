"""A `KVCache` is used once: `update` changes it in place and gives the next, so that the one before is gone.

Looks through a body's IR in the order in which it runs. To ask a cache for its `length` or a `copy` is no use; all else
is: `update`, a call, a `return`, what is carried into a loop's next iteration. Promises that no cache is used or asked
after its use, whichever way the program takes, and refuses the first place that does (TL2022). A cache that one branch
of an `if` uses is used after it, unless the branch leaves; a loop that uses one from outside would use it once more in
its next iteration. What stands in a tuple or a struct is told apart by its place there.
"""

from __future__ import annotations

from collections.abc import Hashable

from tensorlogic.compiler.check.refusals import fail
from tensorlogic.compiler.ir.core import TERMINATORS, Function, Operation, Region, Value, walk
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.types import ListType, OpaqueType, OptionalType, StructType, TupleType, Type

_PARTS = frozenset({"item", "field"})
_ASKS = frozenset({"length", "copy"})
_LOOPS = frozenset({"for", "while", "lambda"})

_Used = dict[Hashable, Span]
"""What is used, and where. A part is known by its whole and its place."""


def require_once(function: Function) -> None:
    """Raises Failure for the first use of a cache that is gone."""
    if any(holds_cache(v.type) for o in walk(function.body) for v in (*o.operands, *o.results)):
        _look_through(function.body, {})


def holds_cache(t: Type) -> bool:
    """Whether a value of the type is a cache, or has one in it."""
    match t:
        case OpaqueType(name):
            return name == "KVCache"
        case OptionalType(item) | ListType(item, _):
            return holds_cache(item)
        case TupleType(items):
            return any(map(holds_cache, items))
        case StructType(definition, _, _):
            return any(map(holds_cache, definition.fields.values()))
    return False


def _look_through(region: Region, used: _Used) -> bool:
    """Notes what is used; whether what follows the region runs after it."""
    for operation in region.operations:
        _use_operands(operation, used)
        after = dict(used)
        for inner in operation.regions:
            branch = dict(used)
            goes_on = _look_through(inner, branch)
            if operation.name in _LOOPS:
                _refuse_repeated(operation, inner, branch, used)
            elif goes_on:
                after.update(branch)
        used.update(after)
    return not region.operations or region.operations[-1].name not in TERMINATORS - {"yield"}


def _use_operands(operation: Operation, used: _Used) -> None:
    for value in operation.operands:
        if not holds_cache(value.type):
            continue
        key = _key(operation, value)
        for gone in {key, value}:
            if gone in used:
                _refuse(operation.span, used[gone])
        asks = operation.name == "method" and operation.attributes["method"] in _ASKS
        takes_no_cache = operation.name in _PARTS and not holds_cache(operation.result.type)
        if not asks and not takes_no_cache:
            used[key] = operation.span


def _key(operation: Operation, value: Value) -> Hashable:
    if operation.name not in _PARTS:
        return value
    return value, operation.attributes.get("index", operation.attributes.get("field"))


def _refuse_repeated(loop: Operation, body: Region, branch: _Used, before: _Used) -> None:
    """A loop's body may use what is made in it, and what it is handed, which a `while` hands to its condition."""
    own = {
        *(argument for region in loop.regions for argument in region.arguments),
        *(result for operation in walk(body) for result in operation.results),
    }
    for key, span in branch.items():
        whole = key[0] if isinstance(key, tuple) else key
        if key not in before and whole not in own:
            _refuse(span, span, "the next iteration would use it again")


def _refuse(span: Span, first: Span, note: str = "") -> None:
    others = [] if first == span else [(first, "it is used here, and has become another")]
    fail(
        "TL2022",
        "this cache is used once more",
        span,
        others=others,
        notes=[note] if note else [],
        helps=["`let (ks, vs, next) = cache.update(...)`: go on with `next`", "`cache.copy()` is another one"],
    )
