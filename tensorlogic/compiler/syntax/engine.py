"""Runs the parser's tables over the tokens, and goes on after errors.

PLY makes the tables; its own loop is not used, because it gives up at the end of a file and skips tokens without regard
to brackets, and because a run of `tlc` need not import PLY at all.

Recovery is that of yacc's `error` symbol, made exact. Of the states on the stack, from the top, the first is taken from
which `error` can be shifted and parsing can go on: the tokens after the bad one are skipped, whole brackets at a time,
up to one that fits. What would leave the bracket or pass the end of a statement is not skipped; then a state further
down is tried. Layout has balanced the brackets and put a NEWLINE behind every statement, so there is always one.

An error is told once: not where layout or the lexer told it, and not a second time within one statement.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensorlogic.compiler.diagnostics.model import MAXIMUM_ERRORS
from tensorlogic.compiler.syntax import nodes
from tensorlogic.compiler.syntax.expected import Situation, unexpected
from tensorlogic.compiler.syntax.grammar import Grammar
from tensorlogic.compiler.syntax.layout import Layout
from tensorlogic.compiler.syntax.tables import Tables
from tensorlogic.compiler.syntax.tokens import CLOSER_OF, NEWLINE_FREE, OPENER_OF, STATEMENT_STARTERS, Token

_Production = tuple[str, int, Callable[[list[Any]], Any] | None]


class Engine:
    """The state of one parse: a stack of automaton states beside the values of their symbols.

    `skipped` gives the ranges of text that recovery stepped over after an error was told.
    """

    def __init__(self, tables: Tables, grammar: Grammar, layout: Layout) -> None:
        self._actions = tables.actions
        self._gotos = tables.gotos
        self._productions: list[_Production] = [
            (symbol, length, getattr(grammar, rule) if rule else None) for symbol, length, rule in tables.productions
        ]
        self._grammar = grammar
        self._layout = layout
        self._tokens = [*layout.tokens, Token("$end", None, layout.tokens[-1].end, layout.tokens[-1].end)]
        self._states = [0]
        self._values: list[Any] = [None]
        self._told_at = -1
        self.skipped: list[tuple[int, int]] = []

    def run(self) -> nodes.Module:
        """Parses all tokens. Always gives a module: what cannot be read is an error node in it."""
        actions, gotos, productions = self._actions, self._gotos, self._productions
        tokens, states, values = self._tokens, self._states, self._values
        position = 0
        token = tokens[0]
        kind = token.kind
        state = 0
        while True:
            action = actions[state].get(kind)
            if action is None:
                position, token = self._recover(position)
                kind = token.kind
                state = states[-1]
            elif action > 0:
                states.append(action)
                values.append(token)
                state = action
                position += 1
                token = tokens[position]
                kind = token.kind
            elif action < 0:
                symbol, length, rule = productions[-action]
                if rule is None:
                    states.pop()
                else:
                    # The slice begins one below the production's symbols, so that they are counted from 1.
                    value = rule(values[-length - 1 :])
                    if length:
                        del values[-length:]
                        del states[-length:]
                    values.append(value)
                state = gotos[states[-1]][symbol]
                states.append(state)
            else:
                module = values[-1]
                assert isinstance(module, nodes.Module)
                return module

    # --- recovery ---

    def _recover(self, position: int) -> tuple[int, Token]:
        """Tells of the token at `position` and pops. Gives the token to take next, and the position it stands for."""
        told = self._tell(position)
        bad = self._tokens[position]
        if bad.kind in STATEMENT_STARTERS and self._shifts(self._states, "NEWLINE"):
            # A statement that begins where another one could end: the line break is what is missing.
            self._tokens.insert(position, Token("NEWLINE", "", bad.start, bad.start))
            return position, self._tokens[position]
        for depth in range(len(self._states) - 1, -1, -1):
            going_on = self._resume(position, depth)
            if going_on is None:
                continue
            starts = (_start(value) for value in self._values[depth + 1 :])
            start = next((start for start in starts if start is not None), bad.start)
            end = max(start, self._tokens[going_on - 1].end if going_on else start)
            if told:
                self.skipped.append((bad.start, end))
            del self._states[depth + 1 :]
            del self._values[depth + 1 :]
            return going_on - 1, Token("error", None, start, end)
        raise AssertionError("a statement can be skipped wherever one may stand")

    def _resume(self, position: int, depth: int) -> int | None:
        """Where parsing can go on with `error` shifted on top of the state at `depth`; None where it cannot."""
        if "error" not in self._actions[self._states[depth]]:
            return None
        states = self._shifted(self._states[: depth + 1], "error")
        if states is None:
            return None
        above = [value.kind for value in self._values[depth + 1 :] if isinstance(value, Token)]
        opened = sum((kind in CLOSER_OF) - (kind in OPENER_OF) for kind in above)
        if opened < 0:
            # This state stands inside a bracket that is closed already.
            return None
        for index in range(position, len(self._tokens)):
            kind = self._tokens[index].kind
            if opened == 0 and self._shifts(states, kind):
                return index
            if kind in CLOSER_OF:
                opened += 1
            elif opened == 0 and (kind in OPENER_OF or kind in ("NEWLINE", "END")):
                return None
            elif kind in OPENER_OF:
                opened -= 1
        raise AssertionError("the tokens end with END")

    def _shifts(self, states: list[int], kind: str) -> bool:
        """Whether a symbol of this kind would be shifted."""
        return kind in self._actions[states[-1]] and self._shifted(states, kind) is not None

    def _shifted(self, states: list[int], kind: str) -> list[int] | None:
        """The states after a symbol of this kind is shifted and all reductions before that; None where it cannot be."""
        states = states.copy()
        while True:
            action = self._actions[states[-1]].get(kind)
            if action is None:
                return None
            if action >= 0:
                states.append(action)
                return states
            symbol, length, _ = self._productions[-action]
            if length:
                del states[-length:]
            states.append(self._gotos[states[-1]][symbol])

    # --- telling ---

    def _tell(self, position: int) -> bool:
        """Reports the token at `position`, unless that would repeat what is told. Returns whether it did."""
        token = self._tokens[position]
        previous = self._tokens[position - 1] if position else None
        since = self._tokens[self._told_at : position] if self._told_at >= 0 else []
        fresh = self._told_at < 0 or any(passed.kind in ("NEWLINE", "LBRACE") for passed in since)
        bracket = self._innermost_bracket()
        # Layout and the lexer leave None for the value where they have told of something.
        told = token.value is None or (previous is not None and previous.value is None)
        if bracket is not None and bracket.kind in NEWLINE_FREE and bracket.start in self._layout.told:
            told = True
        self._told_at = position
        if told or not fresh or len(self._grammar.diagnostics) >= MAXIMUM_ERRORS:
            return False
        expected = {kind for kind in self._actions[self._states[-1]] if self._shifts(self._states, kind)}
        situation = Situation(self._layout.source, self._tokens, position, expected - {"error", "$end"}, bracket)
        self._grammar.diagnostics.append(unexpected(situation))
        return True

    def _innermost_bracket(self) -> Token | None:
        for value in reversed(self._values):
            if isinstance(value, Token) and value.kind in CLOSER_OF:
                return value
        return None


def _start(value: Any) -> int | None:
    """Where the text of a symbol's value begins; None for one without text."""
    if isinstance(value, Token):
        return value.start
    if isinstance(value, nodes.Node):
        return value.span.start
    if isinstance(value, list | tuple) and value:
        return _start(value[0])
    return None
