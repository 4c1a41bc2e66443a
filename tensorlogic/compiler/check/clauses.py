"""Demands on dims as a user would write them, and the `where` clause that would prove one.

Takes polynomials. Promises text in the form of a `where` (language.md, section 4.5): both sides without negative terms,
whole coefficients, constants as they were given.
"""

from __future__ import annotations

from collections.abc import Collection
from math import gcd, lcm

from tensorlogic.compiler.dims import Polynomial, Variable


def at_most(low: Polynomial, high: Polynomial, *, strict: bool = False) -> str:
    """`low <= high`, or `low < high`: `2 <= N` for 1 and `N - 1`."""
    sign = "<" if strict else "<="
    difference = high - low
    if difference.constant is not None:
        return f"{low} {sign} {high}"
    scale = lcm(*(c.denominator for c in difference.terms.values()))
    whole = {monomial: int(c * scale) for monomial, c in difference.terms.items()}
    common = gcd(*whole.values())
    left = Polynomial({m: -c // common for m, c in whole.items() if c < 0})
    right = Polynomial({m: c // common for m, c in whole.items() if c > 0})
    return f"{left} {sign} {right}"


def equal(left: Polynomial, right: Polynomial) -> str:
    return f"{left} == {right}"


def divisible(value: Polynomial, divisor: Polynomial) -> str:
    text = f"({value})" if len(value.terms) > 1 else str(value)
    by = f"({divisor})" if len(divisor.terms) > 1 else str(divisor)
    return f"{text} % {by} == 0"


def nameable(polynomials: Collection[Polynomial], own: Collection[Variable]) -> bool:
    """Whether a function's `where` can speak of these: of its own dims and ints, and of at least one."""
    variables = {v for p in polynomials for v in p.variables()}
    return bool(variables) and all(_spoken(v, own) for v in variables)


def _spoken(variable: Variable, own: Collection[Variable]) -> bool:
    if variable.definition is not None:
        return all(_spoken(v, own) for part in variable.definition for v in part.variables())
    return variable in own
