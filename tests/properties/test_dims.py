"""Polynomials against the integers they stand for: laws, normal form, division, integrality, solving, printing."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import prod

from hypothesis import given
from hypothesis import strategies as st

from tensorlogic.compiler.dims import (
    HOLE,
    ONE,
    ZERO,
    Kind,
    Polynomial,
    Variable,
    divide,
    over_names,
    product,
    quotient,
    show,
    solve,
    total,
)
from tensorlogic.compiler.facts import Facts
from tensorlogic.compiler.syntax import nodes
from tests.properties.polynomials import Numbers, points, polynomials, value
from tests.syntax.helpers import expression

A, B, C = (Variable(name, Kind.RIGID) for name in "ABC")
VARIABLES = (A, B, C)
BY_NAME = {v.name: Polynomial.of(v) for v in VARIABLES}
HALF = Polynomial({(): Fraction(1, 2)})
FRACTIONS = st.fractions(-2, 2, max_denominator=3)

# No polynomial below has a degree above 4 in one variable: more equal values than that make two of them equal.
GRID = list(points({A: range(-2, 4), B: range(-1, 5), C: range(-3, 3)}))


@dataclass(frozen=True)
class Formula:
    """The same computation on polynomials and on integers."""

    text: str
    polynomial: Polynomial
    compute: Callable[[Numbers], int]

    def __repr__(self) -> str:
        return self.text


def _variable(v: Variable) -> Formula:
    return Formula(v.name, Polynomial.of(v), lambda point: point[v])


def _constant(n: int) -> Formula:
    return Formula(str(n), Polynomial.of(n), lambda point: n)


def _sum(a: Formula, b: Formula) -> Formula:
    return Formula(f"({a} + {b})", a.polynomial + b.polynomial, lambda point: a.compute(point) + b.compute(point))


def _difference(a: Formula, b: Formula) -> Formula:
    return Formula(f"({a} - {b})", a.polynomial - b.polynomial, lambda point: a.compute(point) - b.compute(point))


def _product(a: Formula, b: Formula) -> Formula:
    return Formula(f"({a} * {b})", a.polynomial * b.polynomial, lambda point: a.compute(point) * b.compute(point))


def _negative(a: Formula) -> Formula:
    return Formula(f"-{a}", -a.polynomial, lambda point: -a.compute(point))


def _square(a: Formula) -> Formula:
    return Formula(f"{a}^2", a.polynomial.power(2), lambda point: a.compute(point) ** 2)


LEAVES = st.one_of(st.sampled_from(VARIABLES).map(_variable), st.integers(-3, 3).map(_constant))
SUMS = st.one_of(LEAVES, *(st.builds(f, LEAVES, LEAVES) for f in (_sum, _difference, _product)))
FORMULAS = st.one_of(
    SUMS,
    *(st.builds(f, SUMS, SUMS) for f in (_sum, _difference, _product)),
    SUMS.map(_negative),
    SUMS.map(_square),
)
POLYNOMIALS = polynomials(VARIABLES, coefficients=FRACTIONS)


# --- arithmetic


@given(FORMULAS)
def test_arithmetic_is_that_of_the_integers(made: Formula) -> None:
    for point in GRID:
        assert made.polynomial.evaluate(point) == made.compute(point)


@given(FORMULAS, FORMULAS)
def test_normal_forms_are_equal_exactly_when_all_values_are(a: Formula, b: Formula) -> None:
    agree = all(a.compute(point) == b.compute(point) for point in GRID)
    assert (a.polynomial == b.polynomial) == agree
    if agree:
        assert hash(a.polynomial) == hash(b.polynomial)
        assert show(a.polynomial) == show(b.polynomial)


@given(POLYNOMIALS, POLYNOMIALS, POLYNOMIALS)
def test_the_laws_of_a_ring(p: Polynomial, q: Polynomial, r: Polynomial) -> None:
    assert p + q == q + p
    assert p * q == q * p
    assert (p + q) + r == p + (q + r)
    assert (p * q) * r == p * (q * r)
    assert p * (q + r) == p * q + p * r
    assert p + ZERO == p == p * ONE
    assert p - p == ZERO == p * ZERO
    assert p - q == p + -q
    assert p.power(3) == p * p * p
    assert p.power(0) == ONE


@given(st.lists(POLYNOMIALS, max_size=3), st.sampled_from(GRID))
def test_totals_and_products(items: list[Polynomial], point: Numbers) -> None:
    values = [value(item, point) for item in items]
    assert value(total(items), point) == sum(values)
    worth = Fraction(1)
    for v in values:
        worth *= v
    assert value(product(items), point) == worth


@given(POLYNOMIALS)
def test_what_a_polynomial_says_of_itself(p: Polynomial) -> None:
    values = {value(p, point) for point in GRID}
    alone = values.pop() if len(values) == 1 else None
    assert p.constant == (None if alone is None or alone.denominator != 1 else alone)
    for v in VARIABLES:
        assert (p.variable is v) == all(value(p, point) == point[v] for point in GRID)
        # A variable that does not occur changes no value; one that occurs changes some.
        changes = any(value(p, point) != value(p, {**point, v: 5}) for point in GRID)
        assert (v in p.variables()) == changes == (p.degree_in(v) > 0)


# --- substitution


@given(POLYNOMIALS, st.dictionaries(st.sampled_from(VARIABLES), POLYNOMIALS), st.sampled_from(GRID))
def test_substitution_and_evaluation_commute(
    p: Polynomial, replaced: dict[Variable, Polynomial], point: Numbers
) -> None:
    values = {v: value(replaced[v], point) if v in replaced else Fraction(point[v]) for v in VARIABLES}
    expected = sum(
        (Fraction(c) * product_of([values[v] ** n for v, n in monomial]) for monomial, c in p.terms.items()),
        start=Fraction(0),
    )
    assert value(p.substitute(replaced), point) == expected


def product_of(numbers: list[Fraction]) -> Fraction:
    result = Fraction(1)
    for number in numbers:
        result *= number
    return result


def test_substitution_replaces_all_at_once() -> None:
    a, b = Polynomial.of(A), Polynomial.of(B)
    assert (a - b).substitute({A: b, B: a}) == b - a


# --- division

# Far apart, so that a remainder shows: at such points the values of two polynomials of low degree divide evenly only
# where the polynomials do. Four consecutive numbers for each variable also show every fraction that may remain.
FAR = list(points({A: range(10**4, 10**4 + 4), B: range(10**9, 10**9 + 4)}))
TWO = polynomials((A, B))


@given(POLYNOMIALS, POLYNOMIALS)
def test_a_product_is_divided_again(p: Polynomial, q: Polynomial) -> None:
    assert quotient(p * q, q) == (p if q.terms else None)


@given(POLYNOMIALS, POLYNOMIALS)
def test_a_quotient_times_the_divisor_is_what_was_divided(p: Polynomial, q: Polynomial) -> None:
    found = quotient(p, q)
    if found is not None:
        assert found * q == p


@given(st.one_of(st.tuples(TWO, TWO), st.tuples(TWO, TWO).map(lambda pq: (pq[0] * pq[1], pq[1]))))
def test_division_is_exact_or_there_is_a_reason(operands: tuple[Polynomial, Polynomial]) -> None:
    p, q = operands
    found = divide(p, q)
    if found is not None:
        assert found * q == p
        assert all(value(found, point).denominator == 1 for point in GRID)
        return
    uneven = [point for point in FAR if value(q, point) == 0 or (value(p, point) / value(q, point)).denominator != 1]
    assert uneven, f"({p}) / ({q}) is an integer everywhere"


def test_nothing_is_divided_by_zero() -> None:
    assert quotient(ZERO, ZERO) is None
    assert divide(ONE, ZERO) is None


# --- integrality


@given(polynomials((A, B), coefficients=st.fractions(-2, 2, max_denominator=6)))
def test_integral_is_what_trying_says(p: Polynomial) -> None:
    # Sixths repeat after six: these points meet every pair of remainders.
    tried = points({A: range(-6, 6), B: range(-6, 6)})
    assert p.integral == all(value(p, point).denominator == 1 for point in tried)


def test_halves_of_neighbours_are_integral() -> None:
    n, m = Polynomial.of(A), Polynomial.of(B)
    assert (HALF * n * (n + 1)).integral
    assert not (HALF * n).integral
    assert not (HALF * n * m).integral
    assert divide(n * (n + 1) * (n + 2), Polynomial.of(6)) is not None
    assert divide(n * (n + 2), Polynomial.of(2)) is None


# --- solving


@given(POLYNOMIALS, st.sampled_from(VARIABLES))
def test_solving_takes_a_linear_equation_apart(p: Polynomial, v: Variable) -> None:
    found = solve(p, v)
    assert (found is not None) == (p.degree_in(v) == 1)
    if found is not None:
        numerator, denominator = found
        factor = quotient(denominator * Polynomial.of(v) - numerator, p)
        assert factor is not None
        assert factor.constant is not None
        assert all(isinstance(number, int) for number in denominator.terms.values())
        assert v not in numerator.variables() + denominator.variables()


# --- printing


def _read(node: nodes.Expression) -> Polynomial:
    """A printed polynomial, computed with fractions."""
    match node:
        case nodes.IntegerLiteral(value=number):
            return Polynomial.of(number)
        case nodes.Name(name=name):
            return BY_NAME[name]
        case nodes.Unary(operator="-", operand=operand):
            return -_read(operand)
        case nodes.Binary(operator="+", left=left, right=right):
            return _read(left) + _read(right)
        case nodes.Binary(operator="-", left=left, right=right):
            return _read(left) - _read(right)
        case nodes.Binary(operator="*", left=left, right=right):
            return _read(left) * _read(right)
        case nodes.Binary(operator="/", left=left, right=nodes.IntegerLiteral(value=number)):
            return _read(left) * Polynomial({(): Fraction(1, number)})
    raise AssertionError(f"no polynomial: {node}")


@given(POLYNOMIALS)
def test_what_is_printed_reads_back(p: Polynomial) -> None:
    assert _read(expression(show(p))) == p


def test_polynomials_are_printed_as_a_user_writes_them() -> None:
    n, length = (Polynomial.of(Variable(name, Kind.RIGID)) for name in "NL")
    halved = {"L/2": length, "(L - 1)/2": length - 1, "(N*N + N)/2": n * (n + 1)}
    for text, p in halved.items():
        part = Facts().with_divisibility(p, Polynomial.of(2)).divided(p, Polynomial.of(2))
        assert part is not None
        assert show(part) == text
    assert show(length * HALF - n) == "L/2 - N"
    assert show(n * 2 - length * HALF) == "2*N - L/2"
    assert show((length - 1) * -HALF) == "(1 - L)/2"
    assert show(n - 1) == "N - 1"
    assert show(-n - 1) == "-N - 1"


def test_powers_are_printed_as_products() -> None:
    assert show(product(itertools.repeat(Polynomial.of(A), 3))) == "A*A*A"


@given(
    polynomials(VARIABLES, coefficients=st.integers(-3, 3) | FRACTIONS),
    st.dictionaries(st.sampled_from("ABC"), st.integers(-3, 5), min_size=3),
)
def test_over_names_is_the_same_number(p: Polynomial, numbers: dict[str, int]) -> None:
    over = over_names(p)
    whole = all(isinstance(factor, int) for factor in p.terms.values())
    assert (over is not None) == whole
    match over:
        case str():
            assert numbers[over] == value(p, {v: numbers[v.name] for v in VARIABLES})
        case int():
            assert over == p.constant
        case dict():
            found = sum(factor * prod(numbers[name] for name in names) for names, factor in over.items())
            assert found == value(p, {v: numbers[v.name] for v in VARIABLES})


def test_over_names_says_what_it_cannot() -> None:
    assert over_names(Polynomial.of(HOLE)) is None
    assert over_names(HALF) is None
