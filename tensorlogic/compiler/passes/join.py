"""Weights with a common left side: which fields of a struct `bind` is to join into one.

Looks for products of one tensor with several weights that are fields of one value, such as `h @ l.q.T`, `h @ l.k.T` and
`h @ l.v.T`: `fuse` has put them into one stage of a chain, whose products stand side by side. Writes down for each
struct the groups of such fields, in the order of their products (`Program.joined`). The class of the struct carries
them, and `bind` lays the weights of a group one after the other in memory, where that makes one product of several
(`runtime/joining.py`). A field is in one group at most, the first that is found.

Right because a field stays what it is, a view of what was joined: the operations are left alone, and run as they did
where a struct is made in another way, or where its weights are of different layouts. Under `--strict` there are no
chains, and so nothing to join.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from tensorlogic.compiler.ir.core import Function, Operation, Program, Value, walk
from tensorlogic.compiler.types import StructDefinition, StructType

_HANDED_ON = frozenset({"retype", "ranked"})
Group = tuple[str, ...]


def run(program: Program) -> Program:
    """The program with the groups of its structs."""
    functions = [*program.functions, *([] if program.script is None else [program.script])]
    found: dict[StructDefinition, list[Group]] = {}
    for function in functions:
        for definition, group in _groups(function):
            groups = found.setdefault(definition, [])
            if not any(set(group) & set(other) for other in groups):
                groups.append(group)
    return replace(program, joined={definition: tuple(groups) for definition, groups in found.items()})


def _groups(function: Function) -> Iterator[tuple[StructDefinition, Group]]:
    """The fields whose products stand side by side, by their struct."""
    made = {result: operation for operation in walk(function.body) for result in operation.results}
    for operation in walk(function.body):
        for stage in operation.attributes["stages"] if operation.name == "chain" else ():
            reads = [_read(operation.operands[place], made) for place in stage.weights]
            fields = [read for read in reads if read is not None]
            names = tuple(read.attributes["field"] for read in fields)
            owners = {read.operands[0] for read in fields}
            if len(fields) == len(reads) == len(set(names)) > 1 and len(owners) == 1:
                owner = owners.pop().type
                assert isinstance(owner, StructType), "fields are read of structs"
                yield owner.definition, names


def _read(value: Value, made: Mapping[Value, Operation]) -> Operation | None:
    """The operation that reads a weight out of a struct; None for one that comes from elsewhere."""
    operation = made.get(value)
    while operation is not None and operation.name in _HANDED_ON and operation.operands:
        operation = made.get(operation.operands[0])
    return operation if operation is not None and operation.name == "field" else None
