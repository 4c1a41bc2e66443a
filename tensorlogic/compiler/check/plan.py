"""The plan that finds a signature's dimension variables in its arguments.

Takes parameters with their types. Promises steps, each of which finds one variable from a number in an argument once
the variables before it are known: ints first, then by repeating until nothing changes. Binding, bodies and entries
follow the same plan. The variables that no step finds are given beside it. `established` is what a body may assume
once its arguments are there.
"""

from __future__ import annotations

from tensorlogic.compiler import dims
from tensorlogic.compiler.dims import HOLE, Kind, Polynomial, Variable
from tensorlogic.compiler.facts import Facts
from tensorlogic.compiler.records import dataclass
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.syntax import nodes
from tensorlogic.compiler.types import IntType, ListType, StructType, TensorType, TupleType, Type


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    type: Type
    default: nodes.Expression | None
    span: Span


@dataclass(frozen=True, slots=True)
class Place:
    """Where a number is found in an argument: `steps` lead to it, the last one to the number itself.

    A step is `("item", i)`, `("dim", axis)` (counted from the right), `("parameter", name)` of a struct, or none at
    all for an argument that is an `int`.
    """

    parameter: int
    steps: tuple[tuple[str, int | str], ...]
    polynomial: Polynomial


@dataclass(frozen=True, slots=True)
class Step:
    """`variable` is `numerator / denominator`, where `stand_in` is the number at `place`."""

    variable: Variable
    place: Place
    stand_in: Variable
    numerator: Polynomial
    denominator: Polynomial


def places_of(type: Type, parameter: int, steps: tuple[tuple[str, int | str], ...] = ()) -> list[Place]:
    """The numbers that can be read off an argument of a type."""
    match type:
        case IntType(value) if value is not None:
            return [Place(parameter, steps, value)]
        case TensorType(_, shape):
            count = len(shape.dims)
            return [Place(parameter, (*steps, ("dim", i - count)), d) for i, d in enumerate(shape.dims)]
        case StructType(definition, _, sizes):
            return [
                Place(parameter, (*steps, ("parameter", v.name)), d)
                for v, d in zip(definition.dims, sizes, strict=True)
            ]
        case TupleType(items):
            return [p for i, item in enumerate(items) for p in places_of(item, parameter, (*steps, ("item", i)))]
        case ListType(item, _):
            return places_of(item, parameter, (*steps, ("item", 0)))
    return []


def make_plan(parameters: list[Parameter], variables: tuple[Variable, ...]) -> tuple[tuple[Step, ...], list[Variable]]:
    """How each variable is found, ints first, then by repeating; and the variables that cannot be found.

    What can be read off is not computed: a dim that is a plain variable goes before one that must be solved.
    """
    places = [place for i, p in enumerate(parameters) for place in places_of(p.type, i)]
    # A quotient such as `M/K` is computed once M and K are known, and then compared.
    places = [place for place in places if all(v.definition is None for v in place.polynomial.variables())]
    places.sort(key=lambda at: (bool(at.steps), ("item", 0) in at.steps, at.polynomial.variable is None))
    known: set[Variable] = set()
    steps: list[Step] = []
    changed = True
    while changed:
        changed = False
        for place in places:
            unbound = [v for v in place.polynomial.variables() if v not in known and v is not HOLE]
            if len(unbound) != 1:
                continue
            stand_in = Variable(parameters[place.parameter].name, Kind.RIGID)
            solved = dims.solve(place.polynomial - Polynomial.of(stand_in), unbound[0])
            if solved is None:
                continue
            steps.append(Step(unbound[0], place, stand_in, *solved))
            known.add(unbound[0])
            changed = True
    return tuple(steps), [v for v in variables if v not in known and v.definition is None]


def untold_dims(parameters: list[Parameter], variables: tuple[Variable, ...], span: Span) -> tuple[Variable, ...]:
    """The variables that are ints by name beside the parameters: as many as it takes to find all others."""
    given: list[Variable] = []
    while True:
        ints = [Parameter(v.name, IntType(Polynomial.of(v)), None, span) for v in given]
        _, untold = make_plan([*parameters, *ints], variables)
        if not untold:
            return tuple(given)
        given.append(untold[0])


def established(facts: Facts, parameters: list[Parameter], plan: tuple[Step, ...]) -> Facts:
    """The facts, and what arguments say by being there.

    What a step divides by is at least 1: entries and calls see to that. No size of a tensor is negative, and the dims
    of a struct are at least 1.
    """
    for step in plan:
        facts = facts.with_bound(step.denominator - 1)
    for parameter in parameters:
        for size, least in _sizes(parameter.type):
            if size.variable is not HOLE:
                facts = facts.with_bound(size - least)
    return facts


def _sizes(type: Type) -> list[tuple[Polynomial, int]]:
    """The sizes that are surely there in an argument of a type, with the least that each may be."""
    match type:
        case TensorType(_, shape):
            return [(size, 0) for size in shape.dims]
        case StructType(_, _, sizes):
            return [(size, 1) for size in sizes]
        case TupleType(items):
            return [size for item in items for size in _sizes(item)]
    return []
