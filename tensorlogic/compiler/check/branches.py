"""`if` statements: what is known on each way, and what the names stand for that a branch rebinds.

A name that a branch rebinds becomes a result of the `if`, of the one type that it has on all ways that go on.
"""

from __future__ import annotations

from collections.abc import Iterator

from tensorlogic.compiler.check import conditions, statements
from tensorlogic.compiler.check.assumptions import Implications
from tensorlogic.compiler.check.context import Context
from tensorlogic.compiler.check.merging import Side, leave, merged
from tensorlogic.compiler.check.refusals import fail
from tensorlogic.compiler.dims import serial_mark
from tensorlogic.compiler.facts import Facts
from tensorlogic.compiler.ir.core import Region, Value
from tensorlogic.compiler.records import dataclass
from tensorlogic.compiler.syntax import nodes


def check_if(cx: Context, node: nodes.If) -> None:
    chosen = conditions.condition(cx, node.condition)
    known = cx.implications.get(chosen, Implications())
    blocks = (node.then, node.otherwise)
    names = [n for n in rebound_names(blocks) if cx.lookup(n) is not None]
    mark = serial_mark()
    regions: list[Region] = []
    after: list[_End | None] = []
    for block, facts in zip(blocks, (known.when_true, known.when_false), strict=True):
        before = {n: cx.lookup(n) for n in names}
        cx.builder.open()
        with cx.scope():
            cx.assume(facts, node.condition.span)
            if block is not None:
                statements.check_statements(cx, block.statements)
            after.append(None if cx.builder.terminated else _End(_values(cx, names), cx.facts))
        regions.append(cx.builder.close())
        for n, binding in before.items():
            assert binding is not None
            cx.rebind(n, binding.value)
    _join_branches(cx, node, chosen, regions, names, after, mark)
    if after[0] is None and after[1] is not None:
        cx.assume(known.when_false, node.span)
    elif after[1] is None and after[0] is not None:
        cx.assume(known.when_true, node.span)


@dataclass(frozen=True, slots=True)
class _End:
    """Where a branch ends: what the names stand for, and what is known."""

    values: dict[str, Value]
    facts: Facts


def _values(cx: Context, names: list[str]) -> dict[str, Value]:
    found = {n: cx.lookup(n) for n in names}
    return {n: binding.value for n, binding in found.items() if binding is not None}


def _join_branches(
    cx: Context,
    node: nodes.If,
    chosen: Value,
    regions: list[Region],
    names: list[str],
    after: list[_End | None],
    mark: int,
) -> None:
    live = [end for end in after if end is not None]
    changed = [n for n in names if any(end.values[n] is not _current(cx, n) for end in live)]
    results: list[Value] = []
    for n in changed:
        type = merged([Side(leave(end.values[n].type, mark), end.facts) for end in live])
        binding = cx.lookup(n)
        assert binding is not None
        if type is None:
            if binding.declared is None:
                types = " and ".join(f"`{end.values[n].type}`" for end in live)
                fail("TL2017", f"`{n}` is {types} after the branches", node.span)
            type = binding.declared
        results.append(cx.instantiate(type))
    closed = tuple(
        region if end is None else cx.world.with_yield(region, tuple(end.values[n] for n in changed), node.span)
        for region, end in zip(regions, after, strict=True)
    )
    cx.builder.add_statement("if", (chosen,), node.span, results=tuple(results), regions=closed)
    for n, value in zip(changed, results, strict=True):
        cx.builder.name(value, n)
        cx.rebind(n, value)


def _current(cx: Context, name: str) -> Value:
    binding = cx.lookup(name)
    assert binding is not None
    return binding.value


def rebound_names(blocks: tuple[nodes.Block | None, ...]) -> list[str]:
    """The names that assignments in blocks, those inside included, give another value; each once, in order."""

    def visit(statements: tuple[nodes.Statement, ...]) -> Iterator[str]:
        for statement in statements:
            match statement:
                case nodes.Assign(names=names):
                    yield from (n.name for n in names)
                case nodes.AugmentedAssign(name=name):
                    yield name.name
                case nodes.If(then=then, otherwise=otherwise):
                    yield from visit(then.statements)
                    if otherwise is not None:
                        yield from visit(otherwise.statements)
                case nodes.For(body=body) | nodes.While(body=body):
                    yield from visit(body.statements)

    return list(dict.fromkeys(name for block in blocks if block is not None for name in visit(block.statements)))
