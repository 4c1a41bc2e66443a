"""Rounded quotients of sizes: how many steps fit into a length.

For symbolic lengths the quotient is given where the division provably leaves one remainder, whatever the sizes are. A
length in which a host `int` or an unknown size takes part has an unknown quotient otherwise; one made of the dims of a
signature alone is refused, with the clause that would help.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn

from tensorlogic.compiler.dims import HOLE, ONE, Polynomial
from tensorlogic.compiler.ops.rule import Application
from tensorlogic.compiler.source import Span

_MOST_TRIED = 64
"""The largest divisor for which every remainder is tried."""


def rounded_down(
    app: Application, length: Polynomial, divisor: Polynomial, span: Span, refuse: Callable[[], NoReturn]
) -> Polynomial:
    """`floor(length / divisor)` of a length that is at least 0 and a divisor that is at least 1."""
    if divisor == ONE:
        return length
    if length.constant is not None and divisor.constant is not None:
        return Polynomial.of(length.constant // divisor.constant)
    for rest in range(min(divisor.constant or 1, _MOST_TRIED)):
        exact = app.demands.facts.divided(length - rest, divisor)
        if exact is not None:
            return exact
    if not all(variable.rigid for variable in (*length.variables(), *divisor.variables())):
        return Polynomial.of(HOLE)
    return _demanded(app, length, divisor, span, refuse)


def rounded_up(
    app: Application, length: Polynomial, divisor: Polynomial, span: Span, refuse: Callable[[], NoReturn]
) -> Polynomial:
    """`ceil(length / divisor)`, in the same way."""
    return rounded_down(app, length + divisor - 1, divisor, span, refuse)


def _demanded(
    app: Application, length: Polynomial, divisor: Polynomial, span: Span, refuse: Callable[[], NoReturn]
) -> Polynomial:
    """The quotient where nothing is known of what remains: with the clause that the plainest case needs."""
    constant = length.terms.get((), 0)
    shift = constant if isinstance(constant, int) and divisor.constant is not None else 0
    exact = app.demands.require_divisible(length - shift, divisor, span, "", refuse)
    return exact + (shift // divisor.constant if divisor.constant is not None else 0)
