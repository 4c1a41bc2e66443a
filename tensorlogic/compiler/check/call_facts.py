"""What a call must prove once its dims are bound: the callee's `where`, its exact quotients and its divisors.

Takes a signature and what its variables are at the call. Promises that every `where` holds (proved from the caller's
facts, or checked at run time where an unknown takes part), and finds each quotient `N/K` that has a name of its own.
Refuses with the clause that the caller would have to add.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from tensorlogic.compiler import dims
from tensorlogic.compiler.check import clauses
from tensorlogic.compiler.check.assumptions import Assumption, Bound, Divisible, Equation, named_in, sides_of
from tensorlogic.compiler.check.context import Context
from tensorlogic.compiler.check.plan import Step
from tensorlogic.compiler.check.refusals import fail
from tensorlogic.compiler.check.signatures import Signature
from tensorlogic.compiler.dims import Polynomial, Variable
from tensorlogic.compiler.records import dataclass
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.types import (
    sizes_in,
)


@dataclass
class CallFacts:
    """The demands of one call. `dims` are the callee's variables; `find_quotients` adds to them."""

    cx: Context
    signature: Signature
    dims: dict[Variable, Polynomial]
    span: Span

    def require_divisors(self) -> None:
        """What the callee divides by to find a dim is at least 1, though the dim was found in another way here."""
        for step in self.signature.plan:
            divisor = step.denominator.substitute(self.dims)

            def refuse(divisor: Polynomial = divisor, step: Step = step) -> NoReturn:
                told = (
                    f"`{self.signature.name}` finds `{step.variable.name}` by dividing by `{divisor}`, which may be 0"
                )
                fail("TL3016", told, self.span)

            if all(v in self.dims for v in step.denominator.variables()):
                message = f"`{self.signature.name}` finds `{step.variable.name}` by dividing by {{0}}"
                self.cx.require_nonnegative(divisor, dims.ONE, self.span, message, refuse, "TL5001")

    def find_quotients(self) -> None:
        """Quotients that have a variable of their own: `N/K` where the signature says that it is exact."""
        pending = [v for v in _definitions(self.signature) if v not in self.dims]
        for variable in pending:
            assert variable.definition is not None
            numerator, denominator = (p.substitute(self.dims) for p in variable.definition)

            def refuse(v: Variable = variable, n: Polynomial = numerator, d: Polynomial = denominator) -> NoReturn:
                known = n.constant is not None and d.constant is not None
                self._refuse_where(clauses.divisible(n, d), self._clause_of(v), false=known)

            message = f"`{self.signature.name}` needs {{0}} to be divisible by {{1}}"
            self.dims[variable] = self.cx.require_divisible(numerator, denominator, self.span, message, refuse)

    def require_where(self) -> None:
        for assumption, span in self.signature.where:
            self._demand(assumption, span)

    def _demand(self, assumption: Assumption, span: Span) -> None:
        cx, name = self.cx, self.signature.name
        variables = named_in(sides_of(assumption)[1], span.text)
        about = tuple(Polynomial.of(v).substitute(self.dims) for v in variables)
        told = ", ".join(f"`{v.name}` is {{{i}}}" for i, v in enumerate(variables, 2))
        message = f"`{name}` demands `{span.text}`: {told}"
        match assumption:
            case Bound(low, high, strict):
                p, q = high.substitute(self.dims), low.substitute(self.dims)
                clause, least = clauses.at_most(q, p, strict=strict), q + 1 if strict else q
                refuse = self._refusing(clause, span, lambda: cx.facts.positive(least - p))
                cx.require_nonnegative(p, least, self.span, message, refuse, "TL5006", about=about)
            case Equation(left, right):
                p, q = left.substitute(self.dims), right.substitute(self.dims)
                clause = clauses.equal(p, q)
                refuse = self._refusing(clause, span, lambda: cx.provably_different(p, q))
                cx.require_equal(p, q, self.span, message, refuse, clause=clause, about=about)
            case Divisible(value, divisor):
                p, q = value.substitute(self.dims), divisor.substitute(self.dims)
                known = p.constant is not None and q.constant is not None
                refuse = self._refusing(clauses.divisible(p, q), span, lambda: known)
                cx.require_divisible(p, q, self.span, message, refuse, about=about)

    def _refusing(self, clause: str, declared: Span, false: Callable[[], bool]) -> Callable[[], NoReturn]:
        return lambda: self._refuse_where(clause, declared, false=false())

    def _refuse_where(self, clause: str, declared: Span, *, false: bool) -> NoReturn:
        fail(
            "TL3010",
            f"`{clause}` is false, and `{self.signature.name}` demands it"
            if false
            else f"cannot prove `{clause}`, which `{self.signature.name}` demands",
            self.span,
            others=[(declared, "demanded here")] if self.signature.op is None and declared != self.span else [],
        )

    def _clause_of(self, quotient: Variable) -> Span:
        """Where the signature says that a quotient is exact."""
        for assumption, span in self.signature.where:
            if isinstance(assumption, Divisible) and (assumption.value, assumption.divisor) == quotient.definition:
                return span
        return self.span


def _definitions(signature: Signature) -> list[Variable]:
    """The variables that stand for quotients in the signature, those inside of other quotients first."""
    found: dict[Variable, None] = {}

    def visit(size: Polynomial) -> None:
        for variable in size.variables():
            if variable.definition is not None and variable not in found:
                for part in variable.definition:
                    visit(part)
                found[variable] = None

    for type in (*(p.type for p in signature.parameters), signature.result):
        for size in sizes_in(type):
            visit(size)
    for assumption, _ in signature.where:
        match assumption:
            case Bound(low, high):
                visit(low)
                visit(high)
            case Equation(p, q) | Divisible(p, q):
                visit(p)
                visit(q)
    return list(found)
