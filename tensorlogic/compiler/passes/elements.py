"""Element types at run time: which functions must be told what their type parameters are.

A body follows the dtype that its values arrive in, which tells how they are carried, not what they are: on a CPU a
float16 arrives as float32. An operation that asks for the element type as it can be seen (`.to(T)` rounds to it,
`x.dtype` is it, a host number is compared with its bounds) needs more. A function *sees* a type parameter where such an
operation names it, or where it calls a function that must be told of it. It must be *told* what it sees, unless a
struct or a model among its parameters tells: they know their element types. Under `--strict` every tensor has its own
element type, and tells as well.

Takes the whole program. Promises `Function.elements`, the type parameters that the function must be told, and the
attribute `elements` of every call of such a function: for each of them what it is in this call, a type or a type
parameter of the caller. A function that need not be told stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from tensorlogic.compiler.ir.core import Function, Operation, Program, rewrite, walk
from tensorlogic.compiler.ops.all_ops import OPS
from tensorlogic.compiler.types import (
    FLOAT16,
    Element,
    ElementTypeType,
    ElementVariable,
    FunctionType,
    ListType,
    OpaqueType,
    OptionalType,
    StructType,
    TensorType,
    TupleType,
    Type,
)

_OF_RESULT = frozenset({"accept", "give", "tensor", "struct", "method", "bind", "cached_attention"})
"""Structural operations that ask for the element types of their result."""
_OF_OPERANDS = frozenset({"extern", "print", "format", "debug"})
"""Operations that ask for the element types of what they hand out."""

Told = Mapping[str, tuple[ElementVariable, ...]]


def run(program: Program) -> Program:
    """The program with what its functions must be told, and what its calls tell them."""
    functions = {f.symbol: f for f in program.functions}
    told = _told(functions, strict=program.strict)
    if not any(told.values()):
        return program

    def tell(operation: Operation) -> Operation:
        wanted = told.get(operation.attributes["callee"], ()) if operation.name == "call" else ()
        if not wanted:
            return operation
        found = _bound(functions[operation.attributes["callee"]], operation)
        return replace(operation, attributes={**operation.attributes, "elements": tuple((e, found[e]) for e in wanted)})

    def telling(function: Function) -> Function:
        return replace(function, body=rewrite(function.body, tell, {}), elements=told.get(function.symbol, ()))

    return replace(
        program,
        functions=tuple(telling(f) for f in program.functions),
        entries=tuple(replace(e, checks=telling(e.checks)) for e in program.entries),
        script=None if program.script is None else telling(program.script),
    )


def told_by(t: Type, *, strict: bool) -> Iterator[ElementVariable]:
    """The type parameters that an argument of the type tells by itself."""
    match t:
        case StructType(_, elements, _):
            yield from (e for e in elements if isinstance(e, ElementVariable))
        case TensorType(element, _) if strict and isinstance(element, ElementVariable):
            yield element
        case OpaqueType(_, element) if isinstance(element, ElementVariable):
            yield element
        case TupleType(items):
            for item in items:
                yield from told_by(item, strict=strict)


def _told(functions: Mapping[str, Function], *, strict: bool) -> Told:
    """For each function what it must be told: what it sees itself, then what it hands on, until nothing is new."""
    calls: dict[str, list[tuple[str, Mapping[ElementVariable, Element]]]] = {}
    told: dict[str, dict[ElementVariable, None]] = {symbol: {} for symbol in functions}
    telling = {
        symbol: {e for _, v in function.parameters for e in told_by(v.type, strict=strict)}
        for symbol, function in functions.items()
    }
    pending: list[tuple[str, ElementVariable]] = []
    for symbol, function in functions.items():
        carried = {e for _, v in function.parameters for e in told_by(v.type, strict=True)}
        for operation in walk(function.body):
            asked = {*_seen(operation), *(_made(operation) - carried)}
            pending += [(symbol, e) for e in asked if isinstance(e, ElementVariable)]
            callee = operation.attributes["callee"] if operation.name == "call" else ""
            if callee in functions:
                calls.setdefault(callee, []).append((symbol, _bound(functions[callee], operation)))
    while pending:
        symbol, element = pending.pop()
        if element in told[symbol] or element in telling[symbol]:
            continue
        told[symbol][element] = None
        for caller, found in calls.get(symbol, ()):
            given = found[element]
            if isinstance(given, ElementVariable):
                pending.append((caller, given))
    return {symbol: _in_order(functions[symbol], wanted) for symbol, wanted in told.items()}


def _in_order(function: Function, wanted: Mapping[ElementVariable, None]) -> tuple[ElementVariable, ...]:
    """The type parameters in the order in which the function's parameters name them."""
    named = dict.fromkeys(e for _, v in function.parameters for e in _elements(v.type))
    return tuple(e for e in named if isinstance(e, ElementVariable) and e in wanted)


def _seen(operation: Operation) -> Iterator[Element]:
    """The element types for which an operation asks as they can be seen."""
    op = OPS.get(operation.name)
    takes_hosts = op is None or operation.name.startswith("host.")
    for operand in operation.operands:
        # The result's type says what an op of the table does with an element type.
        if operation.name in _OF_OPERANDS or (isinstance(operand.type, ElementTypeType) and takes_hosts):
            yield from _elements(operand.type)
    if operation.name == "fits":
        yield operation.attributes["element"]
    if operation.name in _OF_RESULT or (op is not None and op.sees and not _is_of_bools(operation)):
        yield from (e for result in operation.results for e in _elements(result.type))


def _is_of_bools(operation: Operation) -> bool:
    """Whether the operation takes bools, which are 0 and 1 in every element type."""
    tensors = [v.type for v in operation.operands if isinstance(v.type, TensorType)]
    return bool(tensors) and all(t.element.kind == "bool" for t in tensors)


def _made(operation: Operation) -> set[Element]:
    """The element types of what an op of the table makes."""
    return {e for result in operation.results for e in _elements(result.type)} if operation.name in OPS else set()


def _elements(t: Type) -> Iterator[Element]:
    """The element types that a type names."""
    match t:
        case TensorType(element, _):
            yield element
        case ElementTypeType(element) | OpaqueType(_, element) if element is not None:
            yield element
        case StructType(_, elements, _):
            yield from elements
        case TupleType(items):
            for item in items:
                yield from _elements(item)
        case ListType(item, _) | OptionalType(item):
            yield from _elements(item)
        case FunctionType(parameters, result):
            for inner in (*parameters, result):
                yield from _elements(inner)


def _bound(function: Function, call: Operation) -> Mapping[ElementVariable, Element]:
    """What the type parameters of a function are in a call."""
    found: dict[ElementVariable, Element] = {}
    for (_, declared), given in zip(function.parameters, call.operands, strict=True):
        _bind(declared.type, given.type, found)
    return found


def _bind(declared: Type, given: Type, found: dict[ElementVariable, Element]) -> None:
    if isinstance(declared, OptionalType):
        declared = declared.item
    if isinstance(given, OptionalType):
        given = given.item
    match declared, given:
        case TensorType(element, _), TensorType(actual, _):
            _bind_one(element, actual, found)
        case OpaqueType(_, element), OpaqueType(_, floats) if element is not None:
            _bind_one(element, floats or FLOAT16, found)
        case StructType(_, elements, _), StructType(_, actuals, _):
            for element, actual in zip(elements, actuals, strict=True):
                _bind_one(element, actual, found)
        case ListType(item, _), ListType(other, items):
            for each in items or (other,):
                _bind(item, each, found)
        case TupleType(items), TupleType(others):
            for item, other in zip(items, others, strict=True):
                _bind(item, other, found)
        case FunctionType(parameters, result), FunctionType(others, actual):
            for item, other in zip((*parameters, result), (*others, actual), strict=True):
                _bind(item, other, found)


def _bind_one(element: Element, actual: Element, found: dict[ElementVariable, Element]) -> None:
    if isinstance(element, ElementVariable):
        found.setdefault(element, actual)
