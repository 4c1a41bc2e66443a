"""Random polynomials, and what they are worth at points: shared by the tests of dims and of facts."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction

from hypothesis import strategies as st

from tensorlogic.compiler.dims import Polynomial, Variable

Point = Mapping[Variable, int]
Numbers = dict[Variable, int]


def polynomials(
    variables: Sequence[Variable],
    *,
    coefficients: st.SearchStrategy[int | Fraction] | None = None,
    degree: int = 2,
    terms: int = 3,
) -> st.SearchStrategy[Polynomial]:
    """Polynomials of at most `terms` terms, each of at most this total degree, with small coefficients."""
    monomials = [
        powers for powers in itertools.product(range(degree + 1), repeat=len(variables)) if sum(powers) <= degree
    ]
    numbers = coefficients if coefficients is not None else st.integers(-3, 3)
    made = st.dictionaries(st.sampled_from(monomials), numbers, max_size=terms)
    return made.map(lambda chosen: from_powers(variables, chosen))


def from_powers(variables: Sequence[Variable], terms: Mapping[tuple[int, ...], int | Fraction]) -> Polynomial:
    """The polynomial with these coefficients, each found by the powers of the variables."""
    normal = {
        tuple(sorted(((v, n) for v, n in zip(variables, powers, strict=True) if n), key=_serial)): coefficient
        for powers, coefficient in terms.items()
    }
    return Polynomial(normal)


def _serial(factor: tuple[Variable, int]) -> int:
    return factor[0].serial


def points(ranges: Mapping[Variable, Iterable[int]]) -> Iterator[Numbers]:
    """All ways to give each variable one of its numbers."""
    variables = list(ranges)
    for numbers in itertools.product(*ranges.values()):
        yield dict(zip(variables, numbers, strict=True))


def value(p: Polynomial, point: Point) -> Fraction:
    """What a polynomial is worth at a point. A quotient with a name of its own is worth its definition."""
    total = Fraction(0)
    for monomial, coefficient in p.terms.items():
        term = Fraction(coefficient)
        for variable, power in monomial:
            term *= worth(variable, point) ** power
        total += term
    return total


def function(p: Polynomial) -> Callable[[Point], int | Fraction]:
    """The polynomial as a function of points, for many of them: a quotient has no name of its own in it."""
    variables = p.variables()
    powers = [{**dict.fromkeys(variables, 0), **dict(monomial)} for monomial in p.terms]
    coefficients = list(p.terms.values())
    terms = [
        "*".join([f"c[{i}]", *(f"p[v[{k}]]**{n}" for k, n in enumerate(found.values()) if n)])
        for i, found in enumerate(powers)
    ]
    made: Callable[[Point], int | Fraction] = eval(
        f"lambda p: {' + '.join(terms) or '0'}", {"c": coefficients, "v": variables}
    )
    return made


def worth(variable: Variable, point: Point) -> Fraction:
    """What a variable is worth at a point."""
    if variable in point:
        return Fraction(point[variable])
    assert variable.definition is not None, f"{variable.name} is made from nothing"
    numerator, denominator = variable.definition
    return value(numerator, point) / value(denominator, point)
