"""A script run without its tensors: what must happen to it with the model files that are there.

Takes a checked program. Goes through the script's operations as they will run, with the headers of the files that it
opens by a path known here, and with the numbers and names that follow from them; loops are gone through, functions that
ask a model something are entered, and a condition that is known takes its branch. Where an operation must fail with
this file, an error is kept, and the replay goes on as if it had not.

Promises that each error is one that the program ends with when it runs with these files, if it does not end with
another before: what is told rests on facts of the headers alone, and only operations that are sure to run are gone
through. So a branch that only run time chooses is passed over, and nothing is told after what may not end. The program
itself is only read: what is emitted cannot depend on a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from tensorlogic.compiler.check import file_refusals
from tensorlogic.compiler.check.file_sizes import Sizes
from tensorlogic.compiler.check.file_values import UNKNOWN, Fact, Known, is_spent, sights_of
from tensorlogic.compiler.check.model_headers import Headers
from tensorlogic.compiler.check.replay_operations import OPERATIONS, is_false
from tensorlogic.compiler.diagnostics.model import Diagnostic
from tensorlogic.compiler.ir.core import TERMINATORS, Function, Operation, Program, Region, Value, walk
from tensorlogic.compiler.source import Span

MOST_STEPS = 50_000
"""How many operations are gone through; what comes after them is left to run time."""
_ASKING = frozenset({"method", "bind", "attribute", "demand", "ranked", "dynamic"})
"""Operations that a file may contradict, or that ask one something."""

_Ending = tuple[str, tuple[Fact, ...]]


class _UncertainLoop(Exception):
    """The rest of a loop may not run: a condition that only run time knows leaves it."""


class _UncertainFunction(Exception):
    """The rest of a function may not run."""


class _Stopped(Exception):
    """The rest of the script may not run, since a loop may never end; or it is too long to go through."""


class Replay:
    """The state of one replay."""

    def __init__(self, program: Program, headers: Headers) -> None:
        self.headers = headers
        self.sizes = Sizes()
        self._functions = {function.symbol: function for function in program.functions}
        self._asking = _asking(program.functions)
        self._facts: dict[Value, Fact] = {}
        self._told: dict[tuple[str, Span], tuple[Diagnostic, int]] = {}
        self._entered: dict[Function, Span] = {}
        """The functions whose bodies are being gone through, outermost first, and where they are called."""
        self._steps = 0

    def run(self, script: Function) -> list[Diagnostic]:
        """The errors that the script must end with, one for each place."""
        with suppress(_Stopped):
            self._region(script.body, ())
        return [file_refusals.repeated(d, more) if more else d for d, more in self._told.values()]

    # --- what operations use

    def fact(self, value: Value) -> Fact:
        """What is known of a value."""
        found = self._facts.get(value, UNKNOWN)
        return UNKNOWN if is_spent(found) else found

    def tell(self, diagnostic: Diagnostic, involved: Sequence[Fact] = ()) -> None:
        """Keep an error. What it rests on tells nothing more."""
        code, span = diagnostic.code, diagnostic.span
        assert span is not None
        if self._entered:
            diagnostic = file_refusals.called_from(diagnostic, next(iter(self._entered.values())))
        self._told.setdefault((code, span), (diagnostic, -1))
        self.tell_again(code, span, involved)

    def tell_again(self, code: str, span: Span, involved: Sequence[Fact] = ()) -> None:
        """Count an error of this code that is kept for the place."""
        for sight in sights_of(involved):
            sight.told = True
        first, more = self._told[code, span]
        self._told[code, span] = (first, more + 1)

    def is_told(self, code: str, span: Span) -> bool:
        """Whether an error of this code is kept for the place: what another one would cost can be saved."""
        return (code, span) in self._told

    # --- regions

    def _region(self, region: Region, arguments: Sequence[Fact]) -> _Ending:
        """Run a region: what it ends with, and what that hands on."""
        for value, fact in zip(region.arguments, arguments, strict=True):
            self._bind(value, fact)
        for operation in region.operations:
            self._steps += 1
            if self._steps > MOST_STEPS:
                raise _Stopped
            if operation.name in TERMINATORS:
                return operation.name, tuple(map(self.fact, operation.operands))
            ending = self._operation(operation)
            if ending is not None:
                return ending
        return "yield", ()

    def _bind(self, value: Value, fact: Fact) -> None:
        fact = self.sizes.of_type(value.type) if fact is UNKNOWN else fact
        self._facts[value] = fact
        self.sizes.learn(value.type, fact)

    def _bind_results(self, operation: Operation, facts: Sequence[Fact]) -> None:
        for value, fact in zip(operation.results, facts, strict=True):
            self._bind(value, fact)

    def _operation(self, operation: Operation) -> _Ending | None:
        """Run an operation. It ends the region where a branch of it leaves."""
        match operation.name:
            case "if":
                return self._if(operation)
            case "for":
                return self._for(operation)
            case "while":
                return self._while(operation)
            case "call":
                self._bind(operation.result, self._call(operation))
            case "demand":
                self._demand(operation)
            case _:
                perform = OPERATIONS.get(operation.name)
                fact = UNKNOWN if perform is None else perform(self, operation)
                for value in operation.results:
                    self._bind(value, fact)
        return None

    def _if(self, operation: Operation) -> _Ending | None:
        condition = self.fact(operation.operands[0])
        if not isinstance(condition, Known):
            self._pass_over(operation)
            return None
        taken = operation.regions[0 if condition.value else 1]
        with self.sizes.scope():
            ending, facts = self._region(taken, ())
        if ending != "yield":
            return ending, facts
        self._bind_results(operation, facts)
        return None

    def _for(self, operation: Operation) -> _Ending | None:
        items = self.fact(operation.operands[0])
        if not isinstance(items, Known) or not isinstance(items.value, range | tuple):
            self._pass_over(operation)
            return None
        (body,) = operation.regions
        carried = tuple(map(self.fact, operation.operands[1:]))
        try:
            for item in items.value:
                first: Fact = Known(item, items.sights) if isinstance(item, int) else item
                with self.sizes.scope():
                    ending, carried = self._region(body, (first, *carried))
                if ending == "return":
                    return ending, carried
                if ending == "break":
                    break
        except _UncertainLoop:
            self._pass_over(operation)
            return None
        self._bind_results(operation, carried)
        return None

    def _while(self, operation: Operation) -> _Ending | None:
        condition, body = operation.regions
        carried = tuple(map(self.fact, operation.operands))
        while True:
            with self.sizes.scope():
                _, (goes_on,) = self._region(condition, carried)
                if not isinstance(goes_on, Known):
                    raise _Stopped
                if not goes_on.value:
                    carried = tuple(map(self.fact, condition.arguments))
                    break
                try:
                    ending, carried = self._region(body, ())
                except _UncertainLoop:
                    raise _Stopped from None
            if ending == "return":
                return ending, carried
            if ending == "break":
                break
        self._bind_results(operation, carried)
        return None

    def _pass_over(self, operation: Operation) -> None:
        """Leave to run time whether an operation's regions run, and how often."""
        inside = [o for region in operation.regions for o in walk(region)]
        self._bind_results(operation, [UNKNOWN] * len(operation.results))
        if any(o.name == "save_model" for o in inside):
            self.headers.distrust()
        if operation.name == "while" or any(o.name == "while" for o in inside):
            raise _Stopped
        if any(o.name == "return" for o in inside):
            raise _UncertainFunction
        if operation.name == "if" and any(map(_leaves_loop, operation.regions)):
            raise _UncertainLoop

    # --- calls and checks

    def _call(self, operation: Operation) -> Fact:
        callee = operation.attributes["callee"]
        function = self._functions.get(callee)
        if function is None or callee not in self._asking or function in self._entered:
            return UNKNOWN
        arguments = tuple(map(self.fact, operation.operands))
        self._entered[function] = operation.span
        try:
            with self.sizes.function():
                ending, facts = self._region(function.body, arguments)
        except _UncertainFunction:
            return UNKNOWN
        finally:
            del self._entered[function]
        return facts[0] if ending == "return" and facts else UNKNOWN

    def _demand(self, operation: Operation) -> None:
        facts = [self.fact(value) for value in operation.operands]
        involved = facts[:1] if operation.attributes["kind"] == "true" else facts
        if not is_false(operation.attributes["kind"], facts) or not sights_of(involved):
            return
        code, message = operation.attributes["code"], operation.attributes["message"]
        shown = facts[1:] if operation.attributes["kind"] == "true" else facts
        self.tell(file_refusals.demand(code, message, shown, involved, operation.span), involved)


def _asking(functions: Sequence[Function]) -> frozenset[str]:
    """The functions that ask a model something or check something, themselves or by a call."""
    callers: dict[str, list[str]] = {}
    found: list[str] = []
    for function in functions:
        operations = list(walk(function.body))
        found += [function.symbol] if any(o.name in _ASKING for o in operations) else []
        for operation in operations:
            if operation.name == "call":
                callers.setdefault(operation.attributes["callee"], []).append(function.symbol)
    asking: set[str] = set()
    while found:
        symbol = found.pop()
        if symbol not in asking:
            asking.add(symbol)
            found += callers.get(symbol, [])
    return frozenset(asking)


def _leaves_loop(region: Region) -> bool:
    """Whether a region may leave the loop around it, or this iteration."""
    return any(
        o.name in ("break", "continue") or (o.name == "if" and any(map(_leaves_loop, o.regions)))
        for o in region.operations
    )
