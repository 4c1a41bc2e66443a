"""The prover: whenever it says yes, it holds for every assignment of integers that satisfies the facts.

Random facts and goals are compared with all assignments of a grid. What the contract promises to be proved is listed
case by case.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from tensorlogic.compiler.dims import Kind, Polynomial, Variable
from tensorlogic.compiler.facts import Facts
from tests.properties.polynomials import Numbers, function, points, polynomials, value

# --- random facts

N, M = (Variable(name, Kind.RIGID) for name in "NM")
I, J = (Variable(name, Kind.INTEGER) for name in "ij")  # noqa: E741
U = Variable("U", Kind.UNKNOWN)
W = Variable("w", Kind.UNKNOWN_INTEGER)
GOALS = 4
RANGES = {
    Kind.RIGID: range(1, 6),
    Kind.INTEGER: range(-3, 4),
    Kind.UNKNOWN: range(5),
    Kind.UNKNOWN_INTEGER: range(-2, 4),
}


@dataclass(frozen=True)
class Fact:
    """`left relation right`, which is `>= 0` for a bound, whose right side is 0."""

    relation: str
    left: Polynomial
    right: Polynomial

    def __repr__(self) -> str:
        return f"{self.left} {self.relation} {self.right}"

    def among(self, points: Iterable[Numbers]) -> list[Numbers]:
        """The points at which it holds."""
        left, right = function(self.left), function(self.right)
        match self.relation:
            case ">=":
                return [p for p in points if left(p) >= right(p)]
            case "==":
                return [p for p in points if left(p) == right(p)]
        return [p for p in points if right(p) >= 1 and left(p) % right(p) == 0]

    def assumed(self, facts: Facts) -> Facts:
        match self.relation:
            case ">=":
                return facts.with_bound(self.left - self.right)
            case "==":
                return facts.with_equation(self.left, self.right)
        return facts.with_divisibility(self.left, self.right)


@dataclass(frozen=True)
class Known:
    """Facts and what they admit: the assignments of a grid that satisfy them all."""

    variables: tuple[Variable, ...]
    stated: tuple[Fact, ...]
    facts: Facts
    admitted: list[Numbers]

    def __repr__(self) -> str:
        return " and ".join(map(repr, self.stated)) or "nothing"

    def near(self, draw: st.DrawFn, formulas: st.SearchStrategy[Polynomial]) -> Polynomial:
        """A polynomial that the facts may well say something about: multiples of theirs, and something small."""
        goal = draw(formulas)
        for fact in self.stated:
            goal = goal + (fact.left - fact.right) * draw(formulas)
        return goal


@st.composite
def situations(draw: st.DrawFn) -> tuple[Known, list[Polynomial]]:
    """Facts over two or three variables, and goals over the same ones."""
    variables = draw(st.lists(st.sampled_from((N, M, I, J, U, W)), min_size=2, max_size=3, unique=True))
    formulas = polynomials(variables, terms=2, coefficients=st.sampled_from((1, -1, 2, -2, 3, -3)))
    divisors = st.one_of(st.integers(1, 3).map(Polynomial.of), formulas)
    fact = st.one_of(
        st.builds(Fact, st.sampled_from((">=", "==")), formulas, formulas),
        st.builds(Fact, st.just("%"), formulas, divisors),
    )
    stated = tuple(draw(st.lists(fact, max_size=3)))
    facts, admitted = Facts(), list(points({v: RANGES[v.kind] for v in variables}))
    for f in stated:
        facts, admitted = f.assumed(facts), f.among(admitted)
    known = Known(tuple(variables), stated, facts, admitted)
    return known, [known.near(draw, formulas) for _ in range(GOALS)]


@given(situations())
def test_what_is_proved_to_be_nonnegative_is(made: tuple[Known, list[Polynomial]]) -> None:
    known, goals = made
    variables = [Polynomial.of(v) for v in known.variables]
    apart = [p - q for p, q in itertools.permutations(variables, 2)]
    limits = [p - limit for p in (*variables, *apart) for limit in range(-3, 5)]
    for goal in (*goals, *limits, *(-goal for goal in limits)):
        if known.facts.nonnegative(goal):
            event("by facts" if not Facts().nonnegative(goal) else "without facts")
            worth = function(goal)
            for point in known.admitted:
                assert worth(point) >= 0, f"{known} does not make {goal} >= 0 at {shown(point)}"


@given(situations())
def test_what_is_proved_to_be_equal_is(made: tuple[Known, list[Polynomial]]) -> None:
    known, goals = made
    for p, q in itertools.pairwise(goals):
        if known.facts.equal(p, q):
            event("equal")
            one, other = function(p), function(q)
            for point in known.admitted:
                assert one(point) == other(point), f"{known} does not make {p} == {q} at {shown(point)}"


@given(situations())
def test_what_is_proved_to_be_divided_is(made: tuple[Known, list[Polynomial]]) -> None:
    known, goals = made
    for p, q in itertools.permutations((*goals, *(f.left for f in known.stated), *(f.right for f in known.stated)), 2):
        quotient = known.facts.divided(p, q)
        if quotient is not None:
            event("divided")
            for point in known.admitted:
                case = f"{known} does not make ({p}) / ({q}) == {quotient} at {shown(point)}"
                divisor, exact = value(q, point), value(quotient, point)
                assert divisor != 0, case
                assert exact.denominator == 1, case
                assert exact * divisor == value(p, point), case


def shown(point: Numbers) -> str:
    return ", ".join(f"{v.name} = {n}" for v, n in point.items())


# --- what the contract promises to be proved

K, H, D, L, P = (Variable(name, Kind.RIGID) for name in "KHDLP")
n, m, k, h, d, length, p = map(Polynomial.of, (N, M, K, H, D, L, P))
i, j, u, w = map(Polynomial.of, (I, J, U, W))
ZERO, TWO = Polynomial.of(0), Polynomial.of(2)


def at_least(*pairs: tuple[Polynomial, Polynomial | int]) -> Facts:
    """Facts that the first of each pair is at least the second."""
    facts = Facts()
    for larger, smaller in pairs:
        facts = facts.with_bound(larger - smaller)
    return facts


LOOP = at_least((i, 0), (n - 1, i))
"""What `for i in 0..N` says."""

LOOPS = LOOP.with_bound(j).with_bound(m - 1 - j)
"""What `for j in 0..M` says inside of it."""

SLICE = at_least((i, 0), (j, i), (n, j))
"""What makes `x[i:j]` a slice of `N` items."""

PROVED = [
    pytest.param(Facts(), n * m - n, id="a multiple is not smaller"),
    pytest.param(Facts(), n * m * 3 - n - m - 1, id="each variable is at least 1"),
    pytest.param(Facts(), u * n, id="an unknown size is at least 0"),
    pytest.param(Facts(), i * i * n, id="a square is at least 0"),
    pytest.param(LOOP, n - i, id="an index is below its bound"),
    pytest.param(LOOP, n - 1 - i, id="the next one is not above it"),
    pytest.param(LOOP, n * k - i * k - k, id="a block of K ends in N*K"),
    pytest.param(LOOP, n * h * d - i * h * d - h * d, id="a block of H*D ends in N*H*D"),
    pytest.param(LOOP, i * k, id="a block begins at 0 or later"),
    pytest.param(LOOP, n * 2 - i * 2 - 1, id="twice an index"),
    pytest.param(LOOPS, n * m - 1 - i * m - j, id="row-major position"),
    pytest.param(LOOPS, i * j, id="a product of two indices"),
    pytest.param(LOOPS, n + m - i - j - 2, id="a sum of two indices"),
    pytest.param(at_least((i, 3), (n, i)), n - 3, id="a loop from 3 to N"),
    pytest.param(SLICE, j - i, id="a slice's length"),
    pytest.param(SLICE, n - j + i, id="a slice is not longer than what it is cut from"),
    pytest.param(SLICE, n - i, id="a slice begins inside"),
    pytest.param(at_least((m, n), (k, m), (h, k), (d, h)), d - n, id="a chain"),
    pytest.param(at_least((n, m + 1)), n * k - m * k - k, id="N > M"),
    pytest.param(at_least((n, 2)), n * m - m - m, id="N >= 2"),
    pytest.param(at_least((n * 2, 3)), n - 2, id="2*N >= 3 makes N at least 2"),
    pytest.param(Facts().with_divisibility(n, TWO), n - 2, id="what has a half is at least 2"),
    pytest.param(Facts().with_divisibility(n - 1, TWO), n - 1, id="what is odd is at least 1"),
    pytest.param(Facts().with_divisibility(n, m), n - m, id="a divisor is not larger"),
    pytest.param(Facts().with_divisibility(n, i), i - 1, id="a divisor is at least 1"),
    pytest.param(Facts().with_equation(n, i * k), i * k - 1, id="what a variable was replaced by is at least 1"),
]


@pytest.mark.parametrize(("facts", "goal"), PROVED)
def test_proved(facts: Facts, goal: Polynomial) -> None:
    assert facts.nonnegative(goal)


NOT_PROVED = [
    pytest.param(Facts(), n - 2, id="N may be 1"),
    pytest.param(Facts(), n - m, id="N and M are independent"),
    pytest.param(Facts(), i, id="an int may be negative"),
    pytest.param(Facts(), i * n, id="an int times a size may be negative"),
    pytest.param(Facts(), u - 1, id="an unknown size may be 0"),
    pytest.param(LOOP, n - 2 - i, id="the last index"),
    pytest.param(LOOP, i - 1, id="the first index"),
    pytest.param(Facts().with_divisibility(n - 1, TWO), n - 2, id="1 is odd"),
    pytest.param(Facts().with_divisibility(n - m, TWO), n - m, id="an even difference may be negative"),
    pytest.param(Facts().with_divisibility(w, TWO), w, id="an even int may be negative"),
]


@pytest.mark.parametrize(("facts", "goal"), NOT_PROVED)
def test_not_proved(facts: Facts, goal: Polynomial) -> None:
    assert not facts.nonnegative(goal)


def test_halves() -> None:
    facts = Facts().with_divisibility(length, TWO)
    half = facts.divided(length, TWO)
    assert half is not None
    assert facts.equal(half + half, length)
    assert facts.equal(length - half, half)
    assert facts.nonnegative(length - half)
    assert facts.positive(half)
    assert Facts().divided(length, TWO) is None


def test_a_product_may_be_what_is_divisible() -> None:
    facts = Facts().with_divisibility(h * k, Polynomial.of(4))
    part = facts.divided(h * k * d, Polynomial.of(4))
    assert part is not None
    assert facts.equal(part * 4, h * k * d)
    assert facts.positive(part)
    assert facts.divided(h, Polynomial.of(4)) is None


def test_equations_substitute() -> None:
    facts = Facts().with_equation(n, h * k).with_equation(h, m * 2)
    assert facts.equal(n, m * k * 2)
    assert facts.divided(n, k) == m * 2
    assert not facts.equal(n, m)


def test_an_equation_of_products_is_remembered() -> None:
    facts = Facts().with_equation(h * k, n * m)
    assert facts.equal(d * h * k, n * m * d)
    assert not facts.equal(h, n)


@pytest.mark.parametrize("factor", [i, u, w], ids=["an int", "an unknown size", "an unknown int"])
def test_nothing_is_divided_by_what_may_be_0(factor: Polynomial) -> None:
    facts = Facts().with_equation(factor * n, factor * m)
    assert not facts.equal(n, m)
    assert facts.divided(factor * n, factor) is None
    assert facts.with_bound(factor - 1).divided(factor * n, factor) == n
    assert facts.with_bound(factor - 1).with_equation(factor * n, factor * m).equal(n, m)


def test_what_is_divisible_by_an_unknown_size_may_be_unknown() -> None:
    facts = Facts().with_divisibility(n, u)
    part = facts.divided(n, u)
    assert part is not None
    assert part.unknown
    assert facts.positive(part)


def test_thirty_facts_are_few() -> None:
    """Every way to combine them would be millions; the prover looks at what is in the way."""
    chain = [Polynomial.of(Variable(f"V{index}", Kind.RIGID)) for index in range(16)]
    loops = [Polynomial.of(Variable(f"i{index}", Kind.INTEGER)) for index in range(7)]
    facts = at_least(*((b, a) for a, b in itertools.pairwise(chain)))
    for index, size in zip(loops, chain, strict=False):
        facts = facts.with_bound(index).with_bound(size - 1 - index)
    assert len(facts.bounds) >= 29
    assert facts.nonnegative(chain[4] - chain[0])
    assert facts.nonnegative(chain[9] * chain[3] - loops[3] * chain[9] - chain[9])
    assert facts.nonnegative(chain[1] - loops[0])
    assert not facts.nonnegative(chain[0] - chain[4])
    assert not facts.nonnegative(chain[9] - loops[3] * 2)
    assert not facts.nonnegative(chain[9] * chain[3] - loops[3] * chain[9] * 2)


BOUNDS = st.lists(polynomials((N, M, I, U), degree=2, terms=3), min_size=1, max_size=6)


@given(BOUNDS, st.data())
def test_what_is_known_follows_whatever_else_is_known(bounds: list[Polynomial], data: st.DataObject) -> None:
    facts = Facts()
    for bound in bounds:
        facts = facts.with_bound(bound)
    known = data.draw(st.sampled_from(bounds))
    # A constant is no fact: a negative one never holds.
    assert known.constant is not None or facts.nonnegative(known), f"{known} of {bounds}"
    assert known.constant is not None or facts.nonnegative(known + 1), f"{known + 1} of {bounds}"
