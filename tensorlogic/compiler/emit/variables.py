"""The Python variables of one function: which values each stands for, and when it may stand for another.

A value's text mentions variables. A variable may be set again at an operation where no value whose text mentions it is
needed after that operation. A variable keeps its type hint. Inside a function that is written as `lambda` or an inner
`def`, variables from around it are never set: Python would make them that function's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import field

from tensorlogic.compiler.emit.identifiers import Identifiers, python_name
from tensorlogic.compiler.emit.liveness import Liveness
from tensorlogic.compiler.ir.core import Operation, Value
from tensorlogic.compiler.records import dataclass


def fits(variable: str, name: str) -> bool:
    """Whether a variable is called as the source calls the value, or is one of its numbered versions."""
    return re.fullmatch(re.escape(python_name(name)) + r"(_\d+)?", variable) is not None


@dataclass
class Variables:
    """Variables handed out so far."""

    identifiers: Identifiers
    liveness: Liveness
    _readers: dict[str, dict[Value, None]] = field(default_factory=dict)
    _hints: dict[str, str] = field(default_factory=dict)
    _versions: dict[str, list[str]] = field(default_factory=dict)
    _unset: set[str] = field(default_factory=set)
    """The variables that no statement has set so far."""

    def declare(self, variable: str, name: str, hint: str) -> str:
        """A variable that exists already: a parameter."""
        self._readers.setdefault(variable, {})
        self._hints[variable] = hint
        self._versions.setdefault(python_name(name), []).append(variable)
        return variable

    def mention(self, value: Value, variables: frozenset[str]) -> None:
        """A value's text mentions these variables."""
        for variable in variables:
            if variable in self._readers:
                self._readers[variable][value] = None

    def fresh(self, name: str, hint: str) -> str:
        """A variable that was never used."""
        variable = self.declare(self.identifiers.take(name), name, hint)
        self._unset.add(variable)
        return variable

    def setting(self, variable: str, code: str) -> str:
        """The statement that sets a variable: with its type where it is new and the value does not tell it.

        A list is a tuple whose length may change, and an optional may be `None` at first.
        """
        first, hint = variable in self._unset, self._hints.get(variable, "")
        self._unset.discard(variable)
        hides = ("..." in hint and code.startswith("(")) or (hint.endswith(" | None") and code.isidentifier())
        return f"{variable}: {hint} = {code}" if first and hides else f"{variable} = {code}"

    def parameter(self, name: str, hint: str, seen: frozenset[str]) -> str:
        """A parameter of an inner function, which hides nothing that the function sees."""
        wanted = python_name(name)
        if wanted in seen or wanted in self._readers or self.identifiers.is_reserved(wanted):
            return self.fresh(name, hint)
        return self.declare(self.identifiers.take_again(wanted), name, hint)

    def choose(self, name: str, operation: Operation, hint: str, but: tuple[str, ...] = ()) -> str:
        """A variable for a value of this name, to be set at the operation: an old one where one may be set again."""
        for variable in self._versions.get(python_name(name), ()):
            if variable not in but and self.settable(variable, operation, hint):
                return variable
        return self.fresh(name, hint)

    def settable(self, variable: str, operation: Operation, hint: str) -> bool:
        """Whether the variable may get another value at the operation, or inside it."""
        if self._hints.get(variable) != hint:
            return False
        readers = self._readers[variable]
        for value in list(readers):
            if self.liveness.needed_after(value, operation):
                return False
            inside = self.liveness.used_inside(value, operation)
            if self.liveness.stands_beside(value, operation) and not inside:
                # Nothing outside of the region sees it, and nothing behind the operation uses it.
                del readers[value]
        return True

    def free_in(self, variable: str, operation: Operation, hint: str) -> bool:
        """Whether the variable may be set when the operation, a loop, begins, and at each iteration's end."""
        if not self.settable(variable, operation, hint):
            return False
        return not any(self.liveness.used_inside(value, operation) for value in self._readers[variable])

    def choose_for(self, name: str, operation: Operation, hint: str, but: tuple[str, ...] = ()) -> str:
        """A variable for what a loop carries, or for its own name."""
        for variable in self._versions.get(python_name(name), ()):
            if variable not in but and self.free_in(variable, operation, hint):
                return variable
        return self.fresh(name, hint)

    @contextmanager
    def inner_function(self) -> Iterator[None]:
        """What is written inside a function of its own may set none of the variables around it, nor they its own."""
        outer = self._readers, self._hints, self._versions
        self._readers, self._hints, self._versions = {}, {}, {}
        try:
            yield
        finally:
            self._readers, self._hints, self._versions = outer
