"""Dimension polynomials: the numbers that shapes are made of, while compiling.

A `Polynomial` has rational coefficients over `Variable`s and is kept in normal form, so that two polynomials are
equal as numbers for all values of their variables exactly when they compare equal: `N*(H*K)` is `K*H*N`, `N+1` is not
`N`. Addition, subtraction and multiplication never fail. `divide` is exact division: it gives a polynomial only when
the quotient is an integer for all integer values of the variables, and None otherwise.

`solve` finds the one unknown of a linear equation, as binding at a call needs it. What holds beyond identity (facts,
inequalities, substitutions) is in `facts.py`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import field
from enum import Enum
from fractions import Fraction
from math import lcm, prod

from tensorlogic.compiler.records import dataclass

Number = int | Fraction


class Kind(Enum):
    """What a variable stands for; it decides what may be asked of it at run time instead of proved.

    RIGID: a dimension variable of a signature: at least 1, and equal to nothing but itself.
    INTEGER: a host `int` of the function (a parameter, a loop's index): no bounds of itself, equal to nothing else.
    SIZE: a parameter of the kind `int` that is a dim of the signature, too: at least 1.
    UNKNOWN: a size that only run time knows (`?`, the size of `x[mask]`): at least 0, may be checked for equality.
    UNKNOWN_INTEGER: a host `int` that only run time knows (`int(t)`): no bounds, may be checked for equality.
    """

    RIGID = "rigid"
    INTEGER = "integer"
    SIZE = "size"
    UNKNOWN = "unknown"
    UNKNOWN_INTEGER = "unknown integer"


_serial = itertools.count(1)


def serial_mark() -> int:
    """A number above those of all variables made so far and below those of all made later."""
    return next(_serial)


@dataclass(frozen=True, eq=False, slots=True)
class Variable:
    """A variable, the same only as itself. `definition` is `(p, q)` where it stands for the exact quotient `p / q`."""

    name: str
    kind: Kind
    definition: tuple[Polynomial, Polynomial] | None = None
    serial: int = field(default_factory=lambda: next(_serial))

    @property
    def lower(self) -> int | None:
        """The least value the variable has of itself."""
        if self.kind in (Kind.RIGID, Kind.SIZE):
            return 1
        return 0 if self.kind is Kind.UNKNOWN else None

    @property
    def is_parameter(self) -> bool:
        """Whether this is a host `int`, whose value is at hand where the name is."""
        return self.kind in (Kind.INTEGER, Kind.SIZE)

    @property
    def unknown(self) -> bool:
        """True where run time may be asked whether this variable equals something."""
        return self.kind in (Kind.UNKNOWN, Kind.UNKNOWN_INTEGER)

    @property
    def rigid(self) -> bool:
        """True where nothing about this variable is left to run time: a dim of a signature, or a quotient of such."""
        if self.definition is not None:
            return all(variable.rigid for part in self.definition for variable in part.variables())
        return self.kind is Kind.RIGID


HOLE = Variable("?", Kind.UNKNOWN)
"""Stands for `?` in declared types: each occurrence becomes a fresh unknown when a value takes the type."""

Monomial = tuple[tuple[Variable, int], ...]
"""Variables with their powers, ordered by serial; `()` is the constant's."""


def multiply_monomials(a: Monomial, b: Monomial) -> Monomial:
    """Their product."""
    if not a:
        return b
    if not b:
        return a
    powers = dict(a)
    for variable, power in b:
        powers[variable] = powers.get(variable, 0) + power
    return tuple(sorted(powers.items(), key=lambda item: item[0].serial))


def divide_monomials(a: Monomial, b: Monomial) -> Monomial | None:
    """`a / b`, None where `b` holds a higher power of something."""
    powers = dict(a)
    for variable, power in b:
        left = powers.get(variable, 0) - power
        if left < 0:
            return None
        if left:
            powers[variable] = left
        else:
            del powers[variable]
    return tuple(powers.items())


def _tidy(number: Number) -> Number:
    if type(number) is int:
        # Nearly all are; to ask for a `Fraction`, whose class is an abstract one, takes far longer.
        return number
    return number.numerator if number.denominator == 1 else number


_ONE: Mapping[Monomial, Number] = {(): 1}


class Polynomial:
    """An immutable polynomial in normal form: no zero coefficient, monomials ordered inside."""

    __slots__ = ("_hash", "terms")

    terms: Mapping[Monomial, Number]

    def __init__(self, terms: Mapping[Monomial, Number]) -> None:
        self.terms = {m: c if type(c) is int else _tidy(c) for m, c in terms.items() if c}
        self._hash: int | None = None

    # --- construction and inspection

    @staticmethod
    def of(value: int | Variable | Polynomial) -> Polynomial:
        if isinstance(value, Polynomial):
            return value
        if isinstance(value, Variable):
            return Polynomial({((value, 1),): 1})
        return Polynomial({(): value})

    @property
    def constant(self) -> int | None:
        """The integer this polynomial is, where it has no variable."""
        if not self.terms:
            return 0
        if len(self.terms) == 1 and () in self.terms:
            value = self.terms[()]
            return value if isinstance(value, int) else None
        return None

    @property
    def variable(self) -> Variable | None:
        """The variable this polynomial is, where it is one and nothing more."""
        if len(self.terms) == 1:
            ((monomial, coefficient),) = self.terms.items()
            if coefficient == 1 and len(monomial) == 1 and monomial[0][1] == 1:
                return monomial[0][0]
        return None

    def variables(self) -> tuple[Variable, ...]:
        """The variables that occur, in the order of their making."""
        found = {variable for monomial in self.terms for variable, _ in monomial}
        return tuple(sorted(found, key=lambda variable: variable.serial))

    @property
    def unknown(self) -> bool:
        """True where a variable occurs whose value run time may be asked for."""
        return any(variable.unknown for variable in self.variables())

    def degree_in(self, variable: Variable) -> int:
        return max((dict(monomial).get(variable, 0) for monomial in self.terms), default=0)

    # --- arithmetic

    def __add__(self, other: Polynomial | int) -> Polynomial:
        other = Polynomial.of(other)
        if not other.terms:
            return self
        terms = dict(self.terms)
        for monomial, coefficient in other.terms.items():
            terms[monomial] = terms.get(monomial, 0) + coefficient
        return Polynomial(terms)

    def __neg__(self) -> Polynomial:
        return Polynomial({m: -c for m, c in self.terms.items()})

    def __sub__(self, other: Polynomial | int) -> Polynomial:
        terms = dict(self.terms)
        for monomial, coefficient in Polynomial.of(other).terms.items():
            terms[monomial] = terms.get(monomial, 0) - coefficient
        return Polynomial(terms)

    def __mul__(self, other: Polynomial | int) -> Polynomial:
        other = Polynomial.of(other)
        if other.terms == _ONE:
            return self
        if self.terms == _ONE:
            return other
        terms: dict[Monomial, Number] = {}
        for (m, c), (n, d) in itertools.product(self.terms.items(), other.terms.items()):
            monomial = multiply_monomials(m, n)
            terms[monomial] = terms.get(monomial, 0) + c * d
        return Polynomial(terms)

    def power(self, exponent: int) -> Polynomial:
        """The polynomial raised to an exponent of at least 0."""
        return self if exponent == 1 else prod((self for _ in range(exponent)), start=ONE)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Polynomial) and self.terms == other.terms

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(frozenset(self.terms.items()))
        return self._hash

    def substitute(self, values: Mapping[Variable, Polynomial]) -> Polynomial:
        """The polynomial with variables replaced, all at once."""
        if not values or not any(variable in values for monomial in self.terms for variable, _ in monomial):
            return self
        total = ZERO
        for monomial, coefficient in self.terms.items():
            term = Polynomial({tuple(item for item in monomial if item[0] not in values): coefficient})
            for variable, exponent in monomial:
                if variable in values:
                    term = term * values[variable].power(exponent)
            total = total + term
        return total

    def evaluate(self, values: Mapping[Variable, int]) -> Number:
        """The number this polynomial has where its variables have these values."""
        total: Number = 0
        for monomial, coefficient in self.terms.items():
            total += coefficient * prod(values[variable] ** power for variable, power in monomial)
        return _tidy(total)

    @property
    def integral(self) -> bool:
        """True exactly when the value is an integer for all integer values of the variables.

        A polynomial of degree d in each variable is integer-valued exactly when it is so on the grid 0..d
        (its coefficients in the binomial basis are differences of those values; Pólya 1915).
        """
        if all(isinstance(coefficient, int) for coefficient in self.terms.values()):
            return True
        variables = self.variables()
        ranges = [range(self.degree_in(variable) + 1) for variable in variables]
        if prod(len(r) for r in ranges) > 4096:
            return False
        return all(
            isinstance(self.evaluate(dict(zip(variables, point, strict=True))), int)
            for point in itertools.product(*ranges)
        )

    def __str__(self) -> str:
        return show(self)

    def __repr__(self) -> str:
        return f"Polynomial({show(self)})"


ZERO = Polynomial({})
ONE = Polynomial({(): 1})


def quotient(p: Polynomial, q: Polynomial) -> Polynomial | None:
    """The polynomial `r` with `p = q*r`, rational coefficients allowed; None where there is none or `q` is 0."""
    if not q.terms:
        return None
    lead = max(q.terms, key=_degree_order)
    rest, result = p, ZERO
    while rest.terms:
        leading = max(rest.terms, key=_degree_order)
        monomial = divide_monomials(leading, lead)
        if monomial is None:
            return None
        step = Polynomial({monomial: Fraction(rest.terms[leading]) / q.terms[lead]})
        result, rest = result + step, rest - q * step
    return result


def _degree_order(monomial: Monomial) -> tuple[int, list[tuple[int, int]]]:
    """Total degree first, then the powers by serial: a monomial order, so that leading terms multiply."""
    return sum(power for _, power in monomial), [(-variable.serial, power) for variable, power in monomial]


def divide(p: Polynomial, q: Polynomial) -> Polynomial | None:
    """`p / q` where it is provably exact: an integer for all values of the variables. None otherwise."""
    result = quotient(p, q)
    return result if result is not None and result.integral else None


def solve(equation: Polynomial, variable: Variable) -> tuple[Polynomial, Polynomial] | None:
    """Take `equation = 0`, linear in `variable`, apart into numerator and denominator of what the variable equals.

    The denominator has whole coefficients, of which the leading one is positive. None where the variable does not
    occur or occurs in another power than the first.
    """
    coefficient, rest = ZERO, ZERO
    for monomial, number in equation.terms.items():
        powers = dict(monomial)
        power = powers.pop(variable, 0)
        if power > 1:
            return None
        term = Polynomial({tuple(powers.items()): number})
        if power:
            coefficient = coefficient + term
        else:
            rest = rest + term
    if not coefficient.terms:
        return None
    scale = lcm(*(number.denominator for number in coefficient.terms.values()))
    if coefficient.terms[max(coefficient.terms, key=_degree_order)] < 0:
        scale = -scale
    return rest * -scale, coefficient * scale


def show(p: Polynomial) -> str:
    """The polynomial as a user would write it: `N*K`, `2*N + 1`, `L/2`, `(N*N + N)/2`."""
    while shown := {v: q for v in p.variables() if v.definition and (q := quotient(*v.definition)) is not None}:
        p = p.substitute(shown)
    if not p.terms:
        return "0"
    # What is divided by the same number stands together: each term alone need not be exact.
    parts: dict[int, list[tuple[Monomial, int]]] = {}
    for monomial, coefficient in sorted(p.terms.items(), key=_term_order):
        number = Fraction(coefficient)
        parts.setdefault(number.denominator, []).append((monomial, number.numerator))
    pieces: list[str] = []
    for denominator, terms in parts.items():
        if denominator == 1:
            pieces += [_show_term(*term) for term in terms]
        elif len(terms) == 1:
            pieces.append(f"{_show_term(*terms[0])}/{denominator}")
        else:
            pieces.append(f"({_joined([_show_term(*term) for term in terms])})/{denominator}")
    return _joined(sorted(pieces, key=lambda piece: piece.startswith("-")))


def _show_term(monomial: Monomial, coefficient: int) -> str:
    factors = [v.name if power == 1 else "*".join([v.name] * power) for v, power in monomial]
    if abs(coefficient) != 1 or not factors:
        factors.insert(0, str(abs(coefficient)))
    return ("-" if coefficient < 0 else "") + "*".join(factors)


def _joined(pieces: list[str]) -> str:
    """Signed terms as a sum."""
    first, *rest = pieces
    return first + "".join(f" - {piece[1:]}" if piece.startswith("-") else f" + {piece}" for piece in rest)


def _term_order(item: tuple[Monomial, Number]) -> tuple[bool, int, list[int]]:
    monomial, coefficient = item
    # Positive terms first, the highest degree first, so that `N - 1` does not read `-1 + N`.
    return coefficient < 0, -sum(power for _, power in monomial), [variable.serial for variable, _ in monomial]


def total(polynomials: Iterable[Polynomial]) -> Polynomial:
    """Their sum."""
    return sum(polynomials, start=ZERO)


def product(polynomials: Iterable[Polynomial]) -> Polynomial:
    """Their product: a shape's number of elements."""
    return prod(polynomials, start=ONE)


def over_names(p: Polynomial) -> str | int | dict[tuple[str, ...], int] | None:
    """A dim as data that needs no variables: a name, a number, or products of names with their whole factors.

    None for what that cannot say: `?`, fractions, and quotients that are variables of their own.
    """
    factors = {monomial: factor for monomial, factor in p.terms.items() if isinstance(factor, int)}
    if len(factors) < len(p.terms) or any(v is HOLE or v.definition is not None for v in p.variables()):
        return None
    if p.constant is not None:
        return p.constant
    if p.variable is not None:
        return p.variable.name
    return {tuple(v.name for v, power in monomial for _ in range(power)): n for monomial, n in factors.items()}
