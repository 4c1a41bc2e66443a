"""The IR's data.

A `Function` has a region; a region has arguments and operations, the last of which is its terminator; an operation has
a name, operands, attributes, regions and results. Values are defined once and seen in their own region and in the
regions inside it. All of it is frozen: a pass makes a new function.

Structural operations (everything else is an entry of the op table, under its name there):

    constant {value, called?}               a host constant, with the name of its `const`
    call {callee, elements?} (arguments...) a function of the program; callee is its symbol; elements what it is told
    call_value (f, arguments...)            a value of function type
    extern {module, function} (...)         a Python function
    lambda {} [region]                      a function value; the region's arguments are its parameters
    function {callee}                       a named function as a value
    tuple, list (items...)                  item {index} (tuple or list)
    struct {definition, names} (fields...)  field {field} (struct)
    chain {stages, apart} (tensors...)      products in a row, with what stands between them (ir/chain.py)
    cached_attention {names} (...)          from a joined projection over a cache to mixed heads (passes/attend.py)
    dim {axis} (tensor)                     a size as a host int
    retype (value)                          the same value under another type (narrowed, widened, declared)
    demand {kind, message...} (ints...)     a check that only run time can make; no result
    if (condition) [then, else]             results: what both regions yield
    for (iterable, carried...) [body]       body's arguments: the loop's names, then what is carried
    while (carried...) [condition, body]    condition yields a bool; both take what is carried
    yield, break, continue, return (values...)   terminators
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field
from typing import Any

from tensorlogic.compiler.records import dataclass
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.types import ElementVariable, StructDefinition, Type

_serial = itertools.count(1)

TERMINATORS = frozenset({"yield", "break", "continue", "return"})
EFFECTS = frozenset({"demand", "accept", "cached_attention"}) | TERMINATORS
"""Structural operations that may not be removed or merged; the op table says which of its entries are such."""


@dataclass(frozen=True, eq=False, slots=True)
class Value:
    """What an operation defines, or a region takes."""

    type: Type
    serial: int = field(default_factory=lambda: next(_serial))


@dataclass(frozen=True, eq=False, slots=True)
class Operation:
    name: str
    operands: tuple[Value, ...]
    results: tuple[Value, ...]
    attributes: Mapping[str, Any]
    regions: tuple[Region, ...]
    span: Span

    @property
    def result(self) -> Value:
        """The one result of an operation that has one."""
        (value,) = self.results
        return value


@dataclass(frozen=True, eq=False, slots=True)
class Region:
    arguments: tuple[Value, ...]
    operations: tuple[Operation, ...]


@dataclass(frozen=True, eq=False, slots=True)
class Function:
    """A function's body in IR. `names` are the source's names for values; `documentation` its doc comment.

    `elements` are the type parameters that the body must be told when it runs (`passes/elements.py`).
    """

    symbol: str
    parameters: tuple[tuple[str, Value], ...]
    result: Type | None
    body: Region
    names: Mapping[Value, str]
    span: Span
    documentation: str | None = None
    elements: tuple[ElementVariable, ...] = ()


@dataclass(frozen=True, eq=False, slots=True)
class Entry:
    """What is called from outside under `name`: the checks, as a function, that end in a call of the body.

    `defaults` has for each parameter its default in a tuple, or an empty tuple.
    """

    name: str
    checks: Function
    signature: Any
    defaults: tuple[tuple[Any, ...], ...]


@dataclass(frozen=True, eq=False, slots=True)
class Program:
    """All that one entry file needs, in the order of emission. `constructors` validate the structs' fields.

    `joined` has the fields of a struct that share their left side, in groups (`passes/join.py`).
    """

    name: str
    functions: tuple[Function, ...]
    entries: tuple[Entry, ...]
    structs: tuple[StructDefinition, ...]
    constructors: Mapping[StructDefinition, Function]
    script: Function | None
    documentation: str | None = None
    strict: bool = False
    standalone: bool = False
    joined: Mapping[StructDefinition, tuple[tuple[str, ...], ...]] = field(default_factory=dict)


def walk(region: Region) -> Iterator[Operation]:
    """Every operation, those inside regions included, in order; an operation comes before its regions' own."""
    for operation in region.operations:
        yield operation
        for inner in operation.regions:
            yield from walk(inner)


def uses(region: Region) -> dict[Value, int]:
    """How often each value is an operand."""
    counts: dict[Value, int] = {}
    for operation in walk(region):
        for operand in operation.operands:
            counts[operand] = counts.get(operand, 0) + 1
    return counts


def rewrite(
    region: Region, change: Callable[[Operation], Operation | Value | None], values: dict[Value, Value]
) -> Region:
    """The region with each operation replaced by what `change` makes of it, operands renewed first.

    `change` gives the operation to keep (the same or another with as many results), a value that stands for its one
    result, or None to drop it. `values` gathers what stands for what.
    """
    operations: list[Operation] = []
    for operation in region.operations:
        operands = tuple(values.get(operand, operand) for operand in operation.operands)
        regions = tuple(rewrite(inner, change, values) for inner in operation.regions)
        if operands != operation.operands or regions != operation.regions:
            operation = Operation(
                operation.name, operands, operation.results, operation.attributes, regions, operation.span
            )
        changed = change(operation)
        if isinstance(changed, Value):
            values[operation.result] = changed
        elif changed is not None:
            values.update(zip(operation.results, changed.results, strict=True))
            operations.append(changed)
    return Region(region.arguments, tuple(operations))
