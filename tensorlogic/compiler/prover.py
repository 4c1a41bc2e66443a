"""Inequalities between polynomials: whether `goal >= 0` follows from bounds `p >= 0`.

Takes a goal and bounds, all in normal form. Promises to say yes only where the goal holds for all integer values of
the variables that satisfy the bounds and have their least values. It is incomplete on purpose (language.md, section
4.5), and always ends soon: after `_BUDGET` steps for each length of proof the answer is no.

Each variable that has a least value, of itself or by a bound like `i >= 0`, is replaced by that value plus a new
variable that is not negative. Then a polynomial without a negative coefficient is not negative. A monomial with a
negative coefficient, or with an odd power of a variable that has no least value, is in the way. To remove it, a
multiple of a bound is subtracted that has the same monomial with the same sign: a bound times a positive number times
variables that are not negative. Every proof by subtracted bounds has to hold such a multiple for every monomial in the
way, so only these are tried, those for the monomial with the fewest first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from math import ceil

from tensorlogic.compiler.dims import Monomial, Number, Polynomial, Variable, divide_monomials, multiply_monomials
from tensorlogic.compiler.records import dataclass

_DEPTHS = (1, 2, 6)
"""How many multiples of bounds may be subtracted in one proof: short ones are looked for first."""

_BUDGET = 200
"""How many multiples are tried for each of these before the prover gives up."""

Terms = Mapping[Monomial, Number]
_Multiple = tuple[int, Monomial, tuple[Fraction, ...]]
"""A bound's place, the variables that it is multiplied by, and the numbers that it may be multiplied by."""


def follows(goal: Polynomial, bounds: Iterable[Polynomial]) -> bool:
    """Whether `goal >= 0` follows from `p >= 0` for each of the bounds."""
    if goal.constant is not None:
        return goal.constant >= 0
    if _holds_alone(goal):
        return True
    bounds = _connected(goal, tuple(dict.fromkeys(bounds)))
    least = _least_values(bounds)
    raised = [_raised(bound, least) for bound in bounds]
    parts, start = tuple(p.terms for p in raised if p.terms), _raised(goal, least).terms
    # A longer proof may lead far away from a bound that is the goal itself.
    return any(_Search(least, parts).proves(start, frozenset(), depth) for depth in _DEPTHS)


def _connected(goal: Polynomial, bounds: tuple[Polynomial, ...]) -> list[Polynomial]:
    """The bounds that share a variable with the goal, or with one that does. No other can take part in a proof."""
    waiting: dict[Variable, list[Polynomial]] = {}
    for bound in bounds:
        for variable in _variables(bound):
            waiting.setdefault(variable, []).append(bound)
    met: set[Polynomial] = set()
    pending = list(_variables(goal))
    while pending:
        for bound in waiting.pop(pending.pop(), ()):
            if bound not in met:
                met.add(bound)
                pending += _variables(bound)
    return [bound for bound in bounds if bound in met]


def _variables(p: Polynomial) -> set[Variable]:
    return {variable for monomial in p.terms for variable, _ in monomial}


def _holds_alone(p: Polynomial) -> bool:
    """Whether `p >= 0` needs nothing but the least values that variables have of themselves."""
    if all(c > 0 and all(v.lower is not None for v, _ in m) for m, c in p.terms.items()):
        return True  # the least values that variables have of themselves are not negative
    least = {v: v.lower for v in p.variables() if v.lower is not None}
    return not any(_in_the_way(m, c, least) for m, c in _raised(p, least).terms.items())


def _least_values(bounds: Iterable[Polynomial]) -> dict[Variable, int]:
    """The least value of each variable that has one: of itself, or by a bound on it alone."""
    least: dict[Variable, int] = {}
    for bound in bounds:
        for variable in bound.variables():
            if variable.lower is not None:
                least.setdefault(variable, variable.lower)
        found = _bounded_alone(bound)
        if found is not None:
            variable, value = found
            least[variable] = max(value, least.get(variable, value))
    return least


def _bounded_alone(bound: Polynomial) -> tuple[Variable, int] | None:
    """`a*v + c >= 0` with a positive `a` says `v >= -c/a`, which an integer rounds up."""
    coefficients = dict(bound.terms)
    constant = coefficients.pop((), 0)
    if len(coefficients) != 1:
        return None
    ((monomial, coefficient),) = coefficients.items()
    if coefficient < 0 or len(monomial) != 1 or monomial[0][1] != 1:
        return None
    return monomial[0][0], ceil(Fraction(-constant) / coefficient)


def _raised(p: Polynomial, least: Mapping[Variable, int]) -> Polynomial:
    """The polynomial over what each variable has above its least value."""
    values = {v: least.get(v, v.lower) for v in p.variables()}
    return p.substitute({v: Polynomial.of(v) + value for v, value in values.items() if value})


def _has_sign(monomial: Monomial, least: Mapping[Variable, int]) -> bool:
    """Whether a monomial of raised variables is never negative."""
    return all(power % 2 == 0 or v.lower is not None or v in least for v, power in monomial)


def _in_the_way(monomial: Monomial, coefficient: Number, least: Mapping[Variable, int]) -> bool:
    return coefficient < 0 or not _has_sign(monomial, least)


@dataclass
class _Search:
    """One proof: the raised bounds, and how many multiples of them may still be tried."""

    least: Mapping[Variable, int]
    bounds: tuple[Terms, ...]
    budget: int = _BUDGET

    def proves(self, goal: Terms, used: frozenset[tuple[int, Monomial]], depth: int) -> bool:
        """Whether the goal without multiples of bounds, each used at most once, has nothing in the way."""
        bad = [(m, c) for m, c in goal.items() if _in_the_way(m, c, self.least)]
        if not bad:
            return True
        if depth == 0:
            return False
        choices = min((list(self._multiples(m, c)) for m, c in bad), key=len)
        for index, multiplier, ratios in choices:
            if (index, multiplier) in used:
                continue
            used |= {(index, multiplier)}
            for ratio in ratios:
                self.budget -= 1
                if self.budget < 0:
                    return False
                if self.proves(_without(goal, self.bounds[index], multiplier, ratio), used, depth - 1):
                    return True
        return False

    def _multiples(self, monomial: Monomial, coefficient: Number) -> Iterator[_Multiple]:
        """The bounds that have a part of the monomial with its sign; what they are multiplied by to remove it."""
        for index, bound in enumerate(self.bounds):
            for part, number in bound.items():
                if (number < 0) != (coefficient < 0):
                    continue
                multiplier = divide_monomials(monomial, part)
                if multiplier is not None and _has_sign(multiplier, self.least):
                    exactly = Fraction(coefficient) / number
                    yield index, multiplier, (exactly,) if exactly == 1 else (exactly, Fraction(1))


def _without(goal: Terms, bound: Terms, multiplier: Monomial, ratio: Fraction) -> Terms:
    """The goal less a multiple of a bound."""
    terms = dict(goal)
    for monomial, number in bound.items():
        place = multiply_monomials(monomial, multiplier)
        left = terms.get(place, 0) - number * ratio
        if left:
            terms[place] = left
        else:
            del terms[place]
    return terms
