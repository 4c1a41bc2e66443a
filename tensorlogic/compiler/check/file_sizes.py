"""The numbers that dims stand for while a script is replayed: what `N` is once a file says how large a tensor is.

Each variable of the checker stands for one number during one run of the region in which it is made. So a scope is
opened for each region that runs, an iteration included, and closed after it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tensorlogic.compiler.check.file_values import UNKNOWN, Fact, Known, Net, Weight, is_plain, is_spent, sights_of
from tensorlogic.compiler.dims import HOLE, Polynomial, Variable
from tensorlogic.compiler.types import (
    BoolType,
    FloatType,
    IntType,
    ListType,
    NoneType,
    StringType,
    StructType,
    TensorType,
    TupleType,
    Type,
)


class Sizes:
    """The numbers known in the regions that are running, innermost last."""

    def __init__(self) -> None:
        self._scopes: list[dict[Variable, Known]] = [{}]

    @contextmanager
    def scope(self) -> Iterator[None]:
        """A region that sees what is known around it."""
        self._scopes.append({})
        try:
            yield
        finally:
            self._scopes.pop()

    @contextmanager
    def function(self) -> Iterator[None]:
        """A function's body, which sees nothing of its caller."""
        outer, self._scopes = self._scopes, [{}]
        try:
            yield
        finally:
            self._scopes = outer

    # --- from types to facts

    def of_type(self, t: Type) -> Fact:
        """What a value's type says of it."""
        match t:
            case IntType(value) if value is not None:
                return self.number(value)
            case FloatType() | BoolType() | StringType() if t.constant is not None:
                return Known(t.constant)
            case NoneType():
                return Known(None)
            case TensorType(_, shape) if shape.pack is None:
                sizes = [self.number(size) for size in shape.dims]
                known = tuple(size.value for size in sizes if isinstance(size, Known))
                return Weight(known, sights_of(sizes)) if len(known) == len(sizes) else UNKNOWN
            case TupleType(items):
                return Known(tuple(map(self.of_type, items)))
            case ListType(_, items) if items is not None:
                return Known(tuple(map(self.of_type, items)))
        return UNKNOWN

    def number(self, p: Polynomial) -> Fact:
        """The number that a polynomial is."""
        values = {variable: self._value(variable) for variable in p.variables()}
        known = {variable: fact.value for variable, fact in values.items() if isinstance(fact, Known)}
        if len(known) != len(values):
            return UNKNOWN
        number = p.evaluate(known)
        return Known(number, sights_of(values.values())) if is_plain(number) else UNKNOWN

    def _value(self, variable: Variable) -> Fact:
        for scope in reversed(self._scopes):
            if variable in scope:
                return UNKNOWN if is_spent(scope[variable]) else scope[variable]
        if variable.definition is not None:
            p, q = map(self.number, variable.definition)
            if isinstance(p, Known) and isinstance(q, Known) and q.value and p.value % q.value == 0:
                return Known(p.value // q.value, sights_of((p, q)))
        return UNKNOWN

    # --- from facts to variables

    def learn(self, t: Type, fact: Fact) -> None:
        """Keep the numbers that a value of the type shows the type's variables to be."""
        match t, fact:
            case IntType(value), Known(int() as number) if value is not None:
                self._set(value, Known(number, fact.sights))
            case TensorType(_, shape), Weight(sizes) if len(sizes) >= len(shape.dims):
                for dim, size in zip(reversed(shape.dims), reversed(sizes), strict=False):
                    self._set(dim, Known(size, fact.sights))
            case StructType(definition, _, dims), Net():
                for own, dim in zip(definition.dims, dims, strict=True):
                    found = fact.dims.get(own.name)
                    if isinstance(found, Known):
                        self._set(dim, found)
            case TupleType(items), Known(tuple() as facts) if len(items) == len(facts):
                for item, part in zip(items, facts, strict=True):
                    self.learn(item, part)

    def _set(self, size: Polynomial, fact: Known) -> None:
        variable = size.variable
        if variable is not None and variable is not HOLE:
            self._scopes[-1][variable] = fact
