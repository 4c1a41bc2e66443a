"""The op table: one entry an op, under the name that the IR uses.

An op's signature stands in `prelude.tl`, under the same name; overloads on host numbers are entries `host.name`. An
entry says the rest: the shape rule where the signature cannot say it, the MLX lowering, the Core ML lowering, and what
the passes must know. The tests hold a NumPy reference for each entry, and fail for one that lacks a part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from tensorlogic.compiler.dims import Polynomial
from tensorlogic.compiler.ops.lowering import Lowering
from tensorlogic.compiler.ops.rule import Rule
from tensorlogic.compiler.ops.sizes import within_limits
from tensorlogic.compiler.records import dataclass
from tensorlogic.compiler.types import Type

NO_COREML = "none"
"""The word that an op has no Core ML lowering."""


@dataclass(frozen=True, slots=True)
class Op:
    """`rule` is None where the signature says the result's type.

    `parameters` names the operands of operators, which no prelude declares; empty for the others.
    `packed` are the parameters that take packed weights without expanding them.
    `gives_packed` marks an op whose result may be a packed weight.
    `variadic` ops take any number of operands in place of their last parameter, `keywords` ops named ints besides.
    `sees` marks an op whose text asks for the element type of its result as it can be seen, not only as it is carried.
    `bounds` gives for the operands' types and the result's what is never negative: facts on sizes that the op chooses.
    `effect` marks what may be neither removed nor merged; `fold` computes the op on host constants.
    """

    name: str
    mlx: Lowering
    rule: Rule | None = None
    parameters: tuple[str, ...] = ()
    packed: frozenset[str] = frozenset()
    gives_packed: bool = False
    sees: bool = False
    effect: bool = False
    fold: Callable[..., Any] | None = None
    bounds: Callable[[Sequence[Type], Type], Iterable[Polynomial]] | None = None
    variadic: bool = False
    keywords: bool = False
    coreml: str = NO_COREML


def gather(groups: Iterable[Iterable[Op]]) -> dict[str, Op]:
    """The table made of its groups. No rule of it gives a tensor that is larger than there can be."""
    table: dict[str, Op] = {}
    for group in groups:
        for op in group:
            assert op.name not in table, f"op {op.name} is declared twice"
            table[op.name] = op if op.rule is None else replace(op, rule=within_limits(op.rule))
    return table
