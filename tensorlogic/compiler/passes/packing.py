"""Packed weights: where one may flow, and where it must be expanded.

A packed weight may arrive wherever a float tensor of rank 2 or more may: through a parameter, a struct's field, a
model's tensor, and from `quantize` (the op table's `gives_packed`). `@` and `embedding` take it as it is (the op
table's `packed`); everything else needs an array. A parameter is *kept* packed when at least one use takes it packed;
else whoever calls expands it. Every other use of a value that may be packed gets an `expand` before it, once in a
region. What a branch chooses is kept in the same way: an `if` gives a packed weight where something takes its result
packed. Lists and tuples hold what was put into them: their
items may be packed unless an op of the table, or arrays alone, made the list.

Right because a packed weight and its expansion are the same tensor: storage is not type.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import field, replace

from tensorlogic.compiler.ir.chain import weights_of
from tensorlogic.compiler.ir.core import Entry, Function, Operation, Program, Region, Value, walk
from tensorlogic.compiler.ops.all_ops import OPS
from tensorlogic.compiler.records import dataclass
from tensorlogic.compiler.types import FunctionType, OptionalType, TensorType, TupleType, Type

_ALIASES = frozenset({"retype", "ranked"})
"""Operations that give what they take, under another type."""
_CARRIES = _ALIASES | frozenset(
    {"tuple", "list", "struct", "dim", "rank", "size", "leading", "item", "field", "bind"}
    | {"host.is_none", "host.is_not_none"}
)
"""Structural operations that take a packed weight as it is: they store it, hand it on, or ask for its shape or whether
it is there."""
_SOURCES = frozenset({"field", "method"})
_ITEMS = frozenset({"item", "host.item"})
Kept = Mapping[str, tuple[bool, ...]]


def run(program: Program, parameters: Mapping[str, tuple[str, ...]]) -> Program:
    """The program with `expand` wherever a packed weight meets what needs an array."""
    if program.standalone:
        return program
    kept = kept_packed(program.functions, parameters)
    giving = giving_packed(program.functions, kept, parameters)
    functions = tuple(_expanded(f, kept, parameters, giving)[0] for f in program.functions)
    script = program.script
    if script is not None:
        script, _ = _expanded(script, kept, parameters, giving)
    entries = tuple(_accepting(entry, kept, giving) for entry in program.entries)
    constructors = {d: _keeping(f) for d, f in program.constructors.items()}
    return replace(program, functions=functions, script=script, entries=entries, constructors=constructors)


def kept_packed(
    functions: tuple[Function, ...], parameters: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[bool, ...]]:
    """For each function, which parameters stay packed: the least solution, grown from none."""
    kept = {f.symbol: (False,) * len(f.parameters) for f in functions}
    changed = True
    while changed:
        changed = False
        for function in functions:
            friendly = _friendly(function, kept, parameters)
            now = tuple(may_be_packed(v.type) and v in friendly for _, v in function.parameters)
            if now != kept[function.symbol]:
                kept[function.symbol] = now
                changed = True
    return kept


def giving_packed(
    functions: tuple[Function, ...], kept: Kept, parameters: Mapping[str, tuple[str, ...]]
) -> frozenset[str]:
    """The functions whose lists and tuples may hold packed weights when they return: the least solution."""
    given = [f for f in functions if f.result is not None and _holds_packed(f.result) and not may_be_packed(f.result)]
    found: set[str] = set()
    changed = True
    while changed:
        new = {f.symbol for f in given if f.symbol not in found and _expanded(f, kept, parameters, found)[1]}
        changed = bool(new)
        found |= new
    return frozenset(found)


def _friendly(function: Function, kept: Kept, parameters: Mapping[str, tuple[str, ...]]) -> set[Value]:
    """The values that something takes packed, found from the last use to the first."""
    found: set[Value] = set()

    def visit(region: Region) -> None:
        for operation in reversed(region.operations):
            if operation.name == "if":
                for given in map(_yielded, operation.regions):
                    found.update(v for v, r in zip(given, operation.results, strict=False) if r in found)
            elif operation.name in _ALIASES and operation.result in found:
                found.update(operation.operands)
            elif operation.name not in _CARRIES:
                takes = (_takes_packed(operation, i, kept, parameters) for i in range(len(operation.operands)))
                found.update(v for v, taken in zip(operation.operands, takes, strict=True) if taken)
            for inner in operation.regions:
                visit(inner)

    visit(function.body)
    return found


def _yielded(region: Region) -> tuple[Value, ...]:
    """What a branch gives; nothing where it leaves the function or a loop."""
    end = region.operations[-1] if region.operations else None
    return end.operands if end is not None and end.name == "yield" else ()


def may_be_packed(t: Type) -> bool:
    """Whether a value of this type may be a packed weight: a float tensor that can have two dims."""
    if isinstance(t, OptionalType):
        return may_be_packed(t.item)
    if not isinstance(t, TensorType) or t.element.kind != "float":
        return False
    return t.shape.pack is not None or len(t.shape.dims) >= 2


def _takes_packed(operation: Operation, i: int, kept: Kept, parameters: Mapping[str, tuple[str, ...]]) -> bool:
    if operation.name in _CARRIES:
        return True
    if operation.name == "call":
        flags = kept.get(operation.attributes["callee"], ())
        return i < len(flags) and flags[i]
    if operation.name == "chain":
        return i in weights_of(operation.attributes["stages"])
    op = OPS.get(operation.name)
    if op is None or not op.packed:
        return False
    names = op.parameters or parameters.get(operation.name, ())
    return i < len(names) and names[i] in op.packed


def _expanded(
    function: Function, kept: Kept, parameters: Mapping[str, tuple[str, ...]], giving: Set[str]
) -> tuple[Function, bool]:
    """The function with its expansions, and whether a list or tuple that it returns may hold packed weights."""
    opened = _opened(function)
    friendly = _friendly(function, kept, parameters)
    own = kept.get(function.symbol, ())
    state = _Packed(giving, {v for (_, v), keep in zip(function.parameters, own, strict=False) if keep})
    packed = state.values
    returned: list[Value] = []

    def visit(region: Region, done: dict[Value, Value], chosen: tuple[Value, ...] = ()) -> Region:
        done = dict(done)
        operations: list[Operation] = []
        for operation in region.operations:
            state.enter(operation)
            results = operation.results if operation.name == "if" else ()
            inner = tuple(visit(r, done, results) for r in operation.regions)
            operands = list(operation.operands)
            takes: list[str] = []
            names = _names(operation, parameters)
            for i, value in enumerate(operands):
                if value not in packed:
                    continue
                if operation.name == "yield" and i < len(chosen) and chosen[i] in friendly:
                    packed.add(chosen[i])
                    continue
                if operation not in opened and _takes_packed(operation, i, kept, parameters):
                    if i < len(names):
                        takes.append(names[i])
                    continue
                if value not in done:
                    dense = Value(value.type)
                    operations.append(Operation("expand", (value,), (dense,), {}, (), operation.span))
                    done[value] = dense
                operands[i] = done[value]
            attributes = {**operation.attributes, "packed": tuple(takes)} if takes else operation.attributes
            operation = replace(operation, operands=tuple(operands), regions=inner, attributes=attributes)
            operations.append(operation)
            state.leave(operation)
            returned.extend(operands if operation.name == "return" else ())
        return Region(region.arguments, tuple(operations))

    body = visit(function.body, {})
    gives = not all(map(state.is_plain, returned))
    return replace(function, body=body), gives


def _opened(function: Function) -> frozenset[Operation]:
    """The lists and tuples that an op of the table takes, which needs arrays in them."""
    ops = [o for o in walk(function.body) if o.name in OPS and not o.name.startswith("host.")]
    taken = {v for o in ops for v in o.operands}
    return frozenset(o for o in walk(function.body) if o.name in ("list", "tuple") and o.result in taken)


def _names(operation: Operation, parameters: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    op = OPS.get(operation.name)
    return () if op is None else op.parameters or parameters.get(operation.name, ())


@dataclass
class _Packed:
    """Which values of a function may be packed, and which lists and tuples hold arrays alone.

    `giving` are the functions whose lists and tuples may hold packed weights.
    """

    giving: Set[str]
    values: set[Value]
    arrays_alone: set[Value] = field(default_factory=set)

    def enter(self, operation: Operation) -> None:
        """Before an operation's regions: a loop's variable is an item of what it goes over."""
        if operation.name == "for":
            self._item(operation.operands[0], operation.regions[0].arguments[0])

    def leave(self, operation: Operation) -> None:
        """After an operation: what its results are."""
        match operation.name:
            case name if name in _SOURCES:
                self._add(operation)
            case name if name in _ITEMS:
                self._item(operation.operands[0], operation.result)
            case name if name in _ALIASES:
                if self.values.intersection(operation.operands):
                    self._add(operation)
                if self.arrays_alone.intersection(operation.operands):
                    self.arrays_alone.update(operation.results)
            case "tuple" | "list":
                plain = all(self.is_plain(v) for v in operation.operands)
                self.arrays_alone.update(operation.results if plain else ())
            case "call" if operation.attributes["callee"] not in self.giving:
                self.arrays_alone.update(operation.results)
            case "chain" | "cached_attention":
                self.arrays_alone.update(operation.results)
            case name if name in OPS and OPS[name].gives_packed:
                self._add(operation)
            case name if name in OPS:
                self.arrays_alone.update(operation.results)

    def is_plain(self, value: Value) -> bool:
        """Whether a value is not packed, and holds nothing that is."""
        holds = _holds_packed(value.type) and not may_be_packed(value.type)
        return value not in self.values and (not holds or value in self.arrays_alone)

    def _item(self, whole: Value, item: Value) -> None:
        if whole in self.arrays_alone:
            self.arrays_alone.add(item)
        elif may_be_packed(item.type):
            self.values.add(item)

    def _add(self, operation: Operation) -> None:
        self.values.update(r for r in operation.results if may_be_packed(r.type))


def _accepting(entry: Entry, kept: Kept, giving: Set[str]) -> Entry:
    """The entry accepts packed weights where the body keeps them, else `accept` expands; it gives none back."""
    callee = next((o.attributes["callee"] for o in walk(entry.checks.body) if o.name == "call"), "")
    flags = kept.get(callee, ())
    taken = {
        v: keep or not isinstance(v.type, TensorType | OptionalType)
        for (_, v), keep in zip(entry.checks.parameters, flags, strict=False)
    }
    return replace(entry, checks=_marked(entry.checks, taken, gives=callee in giving))


def _keeping(function: Function) -> Function:
    """A struct keeps its weights as they come."""
    return _marked(function, {v: True for _, v in function.parameters})


def _marked(function: Function, taken: Mapping[Value, bool], *, gives: bool = False) -> Function:
    def mark(operation: Operation) -> Operation:
        accepts = operation.name == "accept" and taken.get(operation.operands[0])
        if (accepts and _holds_packed(operation.result.type)) or (gives and operation.name == "give"):
            return replace(operation, attributes={**operation.attributes, "packed": True})
        return operation

    operations = tuple(mark(o) for o in function.body.operations)
    return replace(function, body=Region(function.body.arguments, operations))


def _holds_packed(t: Type) -> bool:
    if isinstance(t, FunctionType):
        return False
    if isinstance(t, TupleType):
        return any(_holds_packed(item) for item in t.items)
    inner = getattr(t, "item", None)
    return may_be_packed(t) or (isinstance(inner, Type) and _holds_packed(inner))
