"""What is known about dims at a place in a program, and what follows from it.

Takes equations, inequalities and divisibilities that hold (`where`, conditions, run-time checks made before).
Promises: `equal`, `nonnegative` and `divided` say yes only where it holds for all values of the variables that satisfy
the facts. They are incomplete on purpose (language.md, section 4.5): a no means "cannot prove".

- `v == p` becomes a substitution, applied wherever two dims are compared.
- `v % q == 0` makes `v` equal to `q` times a fresh variable, which is shown as `v/q`.
- `p >= 0` is proved when, with each variable replaced by its least value plus a new one that is not negative and with
  facts subtracted (each at most once, or once multiplied by one variable that is not negative), no coefficient is
  negative. A variable without a least value must cancel.

A `Facts` is a value: assuming something makes a new one, so that a scope's facts end with the scope.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tensorlogic.compiler import dims
from tensorlogic.compiler.dims import Kind, Polynomial, Variable

_DEPTH = 3
"""How many facts may be subtracted in one proof."""


@dataclass(frozen=True)
class Facts:
    """Substitutions in triangular form (no replaced variable occurs in a replacement), and `p >= 0` for each bound."""

    replaced: Mapping[Variable, Polynomial] = field(default_factory=dict)
    bounds: tuple[Polynomial, ...] = ()

    # --- questions

    def normal(self, p: Polynomial) -> Polynomial:
        """The polynomial with every known equation applied."""
        return p.substitute(self.replaced)

    def equal(self, p: Polynomial, q: Polynomial) -> bool:
        return p == q or self.normal(p) == self.normal(q)

    def divided(self, p: Polynomial, q: Polynomial) -> Polynomial | None:
        """`p / q`, where it is provably exact."""
        return dims.divide(self.normal(p), self.normal(q))

    def positive(self, p: Polynomial) -> bool:
        return self.nonnegative(p - 1)

    def nonnegative(self, p: Polynomial) -> bool:
        """Whether `p >= 0` follows."""
        goal = self.normal(p)
        if goal.constant is not None:
            return goal.constant >= 0
        if _nonnegative_alone(goal):
            return True
        bounds = list(dict.fromkeys(self.normal(b) for b in self.bounds))
        return self._search(goal, self._multiples(goal, bounds), _DEPTH)

    def _multiples(self, goal: Polynomial, bounds: list[Polynomial]) -> list[Polynomial]:
        """The facts that may take part: those that share a variable with the goal or with one that does."""
        variables = set(goal.variables())
        relevant: list[Polynomial] = []
        for _ in range(2):
            for bound in bounds:
                if bound not in relevant and variables.intersection(bound.variables()):
                    relevant.append(bound)
                    variables.update(bound.variables())
        factors = [v for v in goal.variables() if v.lower is not None]
        scaled = [b * Polynomial.of(v) for b in relevant for v in factors]
        return relevant[:24] + scaled[:24]

    def _search(self, goal: Polynomial, bounds: list[Polynomial], depth: int) -> bool:
        if _nonnegative_alone(goal):
            return True
        if depth == 0:
            return False
        return any(self._search(goal - bound, bounds[i + 1 :], depth - 1) for i, bound in enumerate(bounds))

    # --- assumptions

    def with_bound(self, p: Polynomial) -> Facts:
        """These facts and `p >= 0`."""
        p = self.normal(p)
        if p.constant is not None or p in self.bounds:
            return self
        return replace(self, bounds=(*self.bounds, p))

    def with_equation(self, p: Polynomial, q: Polynomial) -> Facts:
        """These facts and `p == q`: a substitution where one variable can be told, two bounds otherwise."""
        difference = self.normal(p) - self.normal(q)
        for variable in _by_preference(difference):
            parts = dims.solve(difference, variable)
            if parts is None:
                continue
            value = dims.divide(*parts)
            if value is not None and value.degree_in(variable) == 0:
                return self._with_substitution(variable, value)
        return self.with_bound(difference).with_bound(-difference)

    def with_divisibility(self, p: Polynomial, q: Polynomial) -> Facts:
        """These facts and `p % q == 0`: the quotient gets a name of its own."""
        p, q = self.normal(p), self.normal(q)
        if dims.divide(p, q) is not None:
            return self
        for variable in _by_preference(p):
            parts = dims.solve(p, variable)
            if parts is None or parts[1] not in (dims.ONE, -dims.ONE):
                continue
            kind = Kind.UNKNOWN if p.unknown else Kind.RIGID if variable.lower == 1 else Kind.INTEGER
            part = Variable(f"{_factor(p)}/{_factor(q)}", kind, (p, q))
            return self.with_equation(p, q * Polynomial.of(part))
        return self

    def _with_substitution(self, variable: Variable, value: Polynomial) -> Facts:
        step = {variable: value}
        replaced = {v: p.substitute(step) for v, p in self.replaced.items()}
        replaced[variable] = value
        bounds = tuple(b.substitute(step) for b in self.bounds)
        if variable.lower is not None:
            # What replaces the variable inherits its least value.
            bounds += (value - variable.lower,)
        return Facts(replaced, tuple(b for b in dict.fromkeys(bounds) if b.constant is None))


def _factor(p: Polynomial) -> str:
    return f"({p})" if len(p.terms) > 1 else str(p)


def _by_preference(p: Polynomial) -> list[Variable]:
    """The variables of an equation in the order in which they are best replaced: unknown ones first, newest first."""
    return sorted(p.variables(), key=lambda v: (not v.unknown, v.kind is not Kind.INTEGER, -v.serial))


def _nonnegative_alone(p: Polynomial) -> bool:
    """Whether no coefficient is negative once each variable is its least value plus something not negative."""
    if any(v.lower is None and _in_odd_power(p, v) for v in p.variables()):
        return False
    raised = p.substitute({v: Polynomial.of(v) + v.lower for v in p.variables() if v.lower})
    return all(coefficient >= 0 for coefficient in raised.terms.values())


def _in_odd_power(p: Polynomial, variable: Variable) -> bool:
    """Whether the variable occurs in an odd power somewhere, where its sign matters."""
    return any(dict(monomial).get(variable, 0) % 2 for monomial in p.terms)
