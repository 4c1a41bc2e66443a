"""What every function of the IR must be, after the checker and after each pass.

Refuses, as a compiler bug: an operand that is not visible where it is used, a value that is defined twice, a region
without a terminator or with something after it, a `yield`, `break` or `continue` that hands on another number of values
than its operation has results, a `break` or `continue` outside a loop, a loop whose body does not take what is carried,
an operation that neither the table nor the list of structural ones knows, parameters that are not the body's arguments.
"""

from __future__ import annotations

from tensorlogic.compiler.ir.builder import ends
from tensorlogic.compiler.ir.core import TERMINATORS, Function, Operation, Region, Value
from tensorlogic.compiler.ops.all_ops import OPS

STRUCTURAL = TERMINATORS | frozenset(
    {
        "accept",
        "arguments",
        "attribute",
        "bind",
        "cached_attention",
        "call",
        "call_value",
        "chain",
        "constant",
        "debug",
        "demand",
        "dim",
        "dtype",
        "dynamic",
        "expand",
        "extern",
        "field",
        "fits",
        "for",
        "format",
        "gather_index",
        "give",
        "host.enumerate",
        "host.in",
        "host.is_none",
        "host.is_not_none",
        "host.item",
        "host.len",
        "host.not_in",
        "if",
        "index",
        "item",
        "lambda",
        "leading",
        "list",
        "load_model",
        "generate",
        "load_tokenizer",
        "method",
        "new_cache",
        "pieces",
        "print",
        "range",
        "rank",
        "ranked",
        "read_line",
        "retype",
        "save_model",
        "scalar",
        "select",
        "shape",
        "size",
        "struct",
        "tensor",
        "tensor_constant",
        "tuple",
        "while",
    }
)


class VerificationError(AssertionError):
    """The compiler made IR that is not well formed."""


def verify(function: Function, after: str = "check") -> None:
    """Raise `VerificationError` unless the function is well formed; `after` names the pass that made it."""
    verifier = _Verifier(f"{function.symbol} after {after}")
    parameters = tuple(value for _, value in function.parameters)
    verifier.require(parameters == function.body.arguments, "the body's arguments are not the parameters")
    verifier.region(function.body, set(), 0)


class _Verifier:
    def __init__(self, where: str) -> None:
        self.where = where
        self.defined: set[Value] = set()

    def require(self, holds: bool, message: str, operation: Operation | None = None) -> None:
        if not holds:
            place = f" at {operation.name} ({operation.span})" if operation is not None else ""
            raise VerificationError(f"{self.where}: {message}{place}")

    def define(self, value: Value, visible: set[Value], operation: Operation | None = None) -> None:
        self.require(value not in self.defined, "a value is defined twice", operation)
        self.defined.add(value)
        visible.add(value)

    def region(self, region: Region, visible: set[Value], yields: int, carried: int | None = None) -> set[Value]:
        """Check a region that sees `visible` and yields so many values; gives what is visible at its end.

        `carried` is how many values the innermost loop carries, None outside of loops.
        """
        visible = set(visible)
        for argument in region.arguments:
            self.define(argument, visible)
        for position, operation in enumerate(region.operations):
            self.operation(operation, visible, carried)
            last = position == len(region.operations) - 1
            self.require(last or not ends((operation,)), "something follows the end of a region", operation)
        self.require(ends(region.operations), "a region has no terminator")
        end = region.operations[-1]
        if end.name == "yield":
            self.require(len(end.operands) == yields, f"yields {len(end.operands)} values, not {yields}", end)
        if end.name in ("break", "continue"):
            self.require(carried is not None, "stands outside a loop", end)
            self.require(len(end.operands) == carried, f"hands on {len(end.operands)} values, not {carried}", end)
        return visible

    def operation(self, operation: Operation, visible: set[Value], carried: int | None) -> None:
        known = operation.name in STRUCTURAL or operation.name in OPS
        self.require(known, f"unknown operation {operation.name}", operation)
        for operand in operation.operands:
            self.require(operand in visible, "an operand is not visible", operation)
        match operation.name:
            case "if":
                for inner in operation.regions:
                    self.region(inner, visible, len(operation.results), carried)
            case "for":
                (body,) = operation.regions
                self.carries(operation, len(operation.operands) - 1, "values")
                self.require(len(body.arguments) > len(operation.results), "the body takes too few values", operation)
                self.region(body, visible, len(operation.results), len(operation.results))
            case "while":
                condition, body = operation.regions
                self.carries(operation, len(operation.operands), "values")
                self.carries(operation, len(condition.arguments), "arguments of its condition")
                seen = self.region(condition, visible, 1)
                self.region(body, seen, len(operation.results), len(operation.results))
            case "lambda":
                self.region(operation.regions[0], visible, 1)
            case _:
                self.require(not operation.regions, "no regions are expected", operation)
        for result in operation.results:
            self.define(result, visible, operation)

    def carries(self, loop: Operation, found: int, what: str) -> None:
        carried = len(loop.results)
        self.require(found == carried, f"carries {found} {what}, not {carried}", loop)
