"""Which calls do more than give a result: written down before the passes, which look at one function at a time.

A function acts when its body checks, asserts, debugs, calls Python or calls a function that acts. A call of one that
acts gets the attribute `acts`, and is then neither removed nor merged: language.md promises that checks and `debug`
never are. A call of a function value counts as one that acts.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

from tensorlogic.compiler.ir.core import TERMINATORS, Function, Operation, Program, rewrite, walk
from tensorlogic.compiler.passes.dead import has_effect


def run(program: Program) -> Program:
    """The program with its acting calls marked."""
    acting = _acting(program.functions)

    def marked(function: Function) -> Function:
        return replace(function, body=rewrite(function.body, lambda o: _mark(o, acting), {}))

    return replace(
        program,
        functions=tuple(marked(f) for f in program.functions),
        entries=tuple(replace(e, checks=marked(e.checks)) for e in program.entries),
        script=None if program.script is None else marked(program.script),
    )


def _acting(functions: tuple[Function, ...]) -> frozenset[str]:
    """The symbols of the functions that act: those that do so themselves, then their callers, until none is new."""
    callers: dict[str, list[str]] = {}
    found: list[str] = []
    for function in functions:
        for operation in walk(function.body):
            if operation.name == "call":
                callers.setdefault(operation.attributes["callee"], []).append(function.symbol)
        if any(o.name not in TERMINATORS and has_effect(o) for o in walk(function.body)):
            found.append(function.symbol)
    acting: set[str] = set()
    while found:
        symbol = found.pop()
        if symbol not in acting:
            acting.add(symbol)
            found += callers.get(symbol, [])
    return frozenset(acting)


def _mark(operation: Operation, acting: Set[str]) -> Operation:
    if operation.name != "call" or operation.attributes["callee"] not in acting:
        return operation
    return replace(operation, attributes={**operation.attributes, "acts": True})
