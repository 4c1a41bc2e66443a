"""What is known about dims at a place in a program, and what follows from it.

Takes equations, inequalities and divisibilities that hold (`where`, conditions, run-time checks made before).
Promises: `equal`, `nonnegative` and `divided` say yes only where it holds for all values of the variables that satisfy
the facts. They are incomplete on purpose (language.md, section 4.5): a no means "cannot prove".

- `v == p` becomes a substitution, applied wherever two dims are compared. Dividing an equation by what stands before
  its variable asks that this is not 0.
- `p % q == 0` says that `q` is at least 1 and that `p` is `q` times a fresh variable, which is shown as `p/q`. Where
  no variable of `p` can be replaced by that, as in `H*K % 4 == 0`, the quotient is kept beside.
- `p >= 0` is proved from the bounds by `prover.py`.

A `Facts` is a value: assuming something makes a new one, so that a scope's facts end with the scope.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from functools import cached_property

from tensorlogic.compiler import dims, prover
from tensorlogic.compiler.dims import Kind, Polynomial, Variable
from tensorlogic.compiler.records import dataclass

MOST = 256
"""How many bounds are known at a time."""

FIRST = 64
"""How many of the first bounds, those of the `where`, stay when there are more; the newest do besides."""


@dataclass(frozen=True)
class Facts:
    """What holds, in normal form.

    `replaced` are substitutions in triangular form: no replaced variable occurs in a replacement. `bounds` are
    polynomials that are not negative; an equation that no substitution can say is two of them. `quotients` are
    `(p, q, r)` with `p = q*r` for equations of this kind.
    """

    replaced: Mapping[Variable, Polynomial] = field(default_factory=dict)
    bounds: tuple[Polynomial, ...] = ()
    quotients: tuple[tuple[Polynomial, Polynomial, Polynomial], ...] = ()

    # --- questions

    def normal(self, p: Polynomial) -> Polynomial:
        """The polynomial with every known equation applied."""
        return p.substitute(self.replaced)

    def equal(self, p: Polynomial, q: Polynomial) -> bool:
        difference = self.normal(p - q)
        return not difference.terms or any(dims.quotient(difference, zero) is not None for zero in self._zeros)

    @cached_property
    def _zeros(self) -> tuple[Polynomial, ...]:
        """The bounds whose negation is a bound, too."""
        bounds = set(self.bounds)
        return tuple(bound for bound in self.bounds if -bound in bounds)

    def divided(self, p: Polynomial, q: Polynomial) -> Polynomial | None:
        """`p / q`, where it is provably exact: `q` is not 0, and the quotient an integer."""
        p, q = self.normal(p), self.normal(q)
        exact = dims.divide(p, q)
        if exact is not None:
            return exact if self.nonzero(q) else None
        known = (r * m for a, b, r in self.quotients if b == q and (m := dims.divide(p, a)) is not None)
        return next(known, None)

    def nonzero(self, p: Polynomial) -> bool:
        """Whether `p != 0` follows."""
        return self.positive(p) or self.positive(-p)

    def positive(self, p: Polynomial) -> bool:
        return self.nonnegative(p - 1)

    def nonnegative(self, p: Polynomial) -> bool:
        """Whether `p >= 0` follows."""
        return prover.follows(self.normal(p), self.bounds)

    # --- assumptions

    def with_bound(self, p: Polynomial) -> Facts:
        """These facts and `p >= 0`."""
        p = self.normal(p)
        if p.constant is not None or prover.follows(p, ()):
            return self
        like = next((b for b in self.bounds if _differ_by_a_number(p, b)), None)
        if like is None:
            bounds = (*self.bounds, p)
            return replace(self, bounds=bounds if len(bounds) <= MOST else bounds[:FIRST] + bounds[FIRST + 1 :])
        if p.terms.get((), 0) >= like.terms.get((), 0):
            return self
        return replace(self, bounds=(*(b for b in self.bounds if b is not like), p))

    def with_equation(self, p: Polynomial, q: Polynomial) -> Facts:
        """These facts and `p == q`: a substitution where one variable can be told, two bounds otherwise."""
        difference = self.normal(p - q)
        for variable in _by_preference(difference):
            parts = dims.solve(difference, variable)
            if parts is None:
                continue
            value = self.divided(*parts)
            if value is not None:
                return self._with_substitution(variable, value)
        return self.with_bound(difference).with_bound(-difference)

    def with_divisibility(self, p: Polynomial, q: Polynomial) -> Facts:
        """These facts and `p % q == 0`: the quotient gets a name of its own."""
        p, q = self.normal(p), self.normal(q)
        if q.constant is not None and q.constant < 1:
            return self
        facts = self.with_bound(q - 1)
        if facts.divided(p, q) is not None:
            return facts
        kind, least = facts._quotient_kind(p, q)
        part = Polynomial.of(Variable(f"{_factor(p)}/{_factor(q)}", kind, (p, q)))
        facts = facts.with_equation(p, q * part)
        if least is not None:
            facts = facts.with_bound(part - least)
        if facts.divided(p, q) is None:
            facts = replace(facts, quotients=(*facts.quotients, (p, q, part)))
        return facts

    def _quotient_kind(self, p: Polynomial, q: Polynomial) -> tuple[Kind, int | None]:
        """What the exact quotient of `p` and a positive `q` is, and its least value."""
        least = 1 if self.positive(p) else 0 if self.nonnegative(p) else None
        if p.unknown or q.unknown:
            return (Kind.UNKNOWN_INTEGER if least is None else Kind.UNKNOWN), least
        return (Kind.RIGID if least == 1 else Kind.INTEGER), least

    def _with_substitution(self, variable: Variable, value: Polynomial) -> Facts:
        step = {variable: value}
        replaced = {v: p.substitute(step) for v, p in self.replaced.items()}
        replaced[variable] = value
        bounds = tuple(b.substitute(step) for b in self.bounds)
        if variable.lower is not None:
            # What replaces the variable inherits its least value.
            bounds += (value - variable.lower,)
        quotients = tuple((p.substitute(step), q.substitute(step), r.substitute(step)) for p, q, r in self.quotients)
        return Facts(replaced, tuple(b for b in dict.fromkeys(bounds) if b.constant is None), quotients)


def _differ_by_a_number(p: Polynomial, q: Polynomial) -> bool:
    """Whether two polynomials are equal but for their constants."""
    if len(p.terms) - (() in p.terms) != len(q.terms) - (() in q.terms):
        return False
    return all(not monomial or q.terms.get(monomial) == number for monomial, number in p.terms.items())


def _factor(p: Polynomial) -> str:
    return f"({p})" if len(p.terms) > 1 else str(p)


def _by_preference(p: Polynomial) -> list[Variable]:
    """The variables of an equation in the order in which they are best replaced: unknown ones first, newest first."""
    return sorted(p.variables(), key=lambda v: (not v.unknown, not v.is_parameter, -v.serial))
