"""What a module that generates text has besides its entries: the names by which `generate` drives it.

Takes a program. Where it has a `load`, which makes a struct of a model, and a `step`, which takes that struct, ids and
a cache and gives logits and the next cache, its Python has `bind`, too, which is `load` (`bind` is a word of the
language, and no function of a program can have the name), and `new_cache`, the runtime's, unless the program has its
own.
"""

from __future__ import annotations

from collections.abc import Set

from tensorlogic.compiler.ir.core import Entry, Program
from tensorlogic.compiler.types import OpaqueType, StructDefinition, StructType, TensorType, TupleType, Type

NAMES = ("bind", "new_cache")


def generates(program: Program) -> bool:
    """Whether a program has what `generate` needs of it."""
    entries = {entry.name: entry for entry in program.entries}
    if not {"load", "step"} <= entries.keys():
        return False
    made = _loaded(entries["load"])
    return made is not None and _is_step(entries["step"], made)


def lines(taken: Set[str]) -> list[str]:
    """The names that the program's own functions leave."""
    given = {"bind": "load", "new_cache": "tl.new_cache"}
    return [
        "# `generate` drives the module by these, and by `step`.",
        *(f"{name} = {given[name]}" for name in NAMES if name not in taken),
    ]


def _loaded(entry: Entry) -> StructDefinition | None:
    """The struct that a function makes of a model alone."""
    types, result = _types(entry), entry.checks.result
    needed = [t for t, default in zip(types, entry.defaults, strict=True) if not default]
    one = len(needed) == 1 and _is(types[0], "Model")
    return result.definition if one and isinstance(result, StructType) else None


def _is_step(entry: Entry, made: StructDefinition) -> bool:
    match _types(entry), entry.checks.result:
        case (
            [StructType(definition=taken), TensorType(element=ids), cache],
            TupleType(items=(TensorType(), following)),
        ):
            kept = _is(cache, "KVCache") and _is(following, "KVCache")
            return taken is made and ids.kind == "integer" and kept
    return False


def _types(entry: Entry) -> list[Type]:
    return [value.type for _, value in entry.checks.parameters]


def _is(t: Type, name: str) -> bool:
    return isinstance(t, OpaqueType) and t.name == name
