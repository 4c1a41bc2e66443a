"""Binding at a call: what a signature's variables are, found from the arguments.

Takes a signature and the arguments matched with its parameters. Promises a substitution under which every argument's
type is the parameter's (proved, or checked at run time where an unknown takes part), every dimension variable is at
least 1 and every `where` holds. Refuses with both arguments that disagree.

An `int` argument binds its parameter first; then each equation that is linear in its one unbound variable is solved,
until nothing changes (language.md, section 4.5). Only then are the remaining equations compared.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

from tensorlogic.compiler import dims
from tensorlogic.compiler.check import assign
from tensorlogic.compiler.check.adaptation import adapt
from tensorlogic.compiler.check.bindings import FunctionSymbolType, LambdaType
from tensorlogic.compiler.check.call_facts import CallFacts
from tensorlogic.compiler.check.chosen import open_result, sure_places
from tensorlogic.compiler.check.context import Context
from tensorlogic.compiler.check.matching import Equation, Given, Matcher, labels_of
from tensorlogic.compiler.check.refusals import fail
from tensorlogic.compiler.check.signatures import Signature
from tensorlogic.compiler.dims import HOLE, Kind, Polynomial, Variable
from tensorlogic.compiler.ir.core import Value
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.types import (
    FloatType,
    FunctionType,
    IntType,
    NoneType,
    OpaqueType,
    OptionalType,
    PackVariable,
    Shape,
    Substitution,
    TensorType,
    Type,
    sizes_in,
    substitute,
)


class Binder:
    """The state of one binding."""

    def __init__(self, cx: Context, signature: Signature, span: Span) -> None:
        self.cx, self.signature, self.span = cx, signature, span
        self.dims: dict[Variable, Polynomial] = {}
        self.origins: dict[Variable, Given] = {}
        self.matched = Matcher(signature, span, self._require)

    @property
    def substitution(self) -> Substitution:
        return Substitution(
            self.dims,
            {p: shape for p, (shape, _) in self.matched.packs.items()},
            {e: element for e, (element, _) in self.matched.elements.items()},
        )

    def bind(self, givens: list[Given]) -> list[Value]:
        """Bind all arguments; gives them as the parameters' types want them."""
        ranks = self._ranks_of_packs(givens)
        values = [self._ranked(p.type, g, ranks) for p, g in zip(self.signature.parameters, givens, strict=True)]
        givens = [Given(g.name, v, g.span) for g, v in zip(givens, values, strict=True)]
        late: list[int] = []
        for i, (parameter, given) in enumerate(zip(self.signature.parameters, givens, strict=True)):
            if isinstance(given.value.type, LambdaType | FunctionSymbolType) or _is_number(given.value.type):
                late.append(i)
            if not isinstance(given.value.type, LambdaType | FunctionSymbolType):
                self.matched.match(parameter.type, given.value.type, given)
        self.solve()
        waiting = list(late)
        while waiting:
            i = next((k for k in waiting if self._takes_known(self.signature.parameters[k].type)), waiting[0])
            waiting.remove(i)
            values[i] = self._late(self.signature.parameters[i].type, givens[i])
            self.solve()
        quotients = [e for e in self.matched.equations if any(v.definition is not None for v in e.declared.variables())]
        self.compare([e for e in self.matched.equations if e not in quotients])
        for i, parameter in enumerate(self.signature.parameters):
            if i not in late:
                values[i] = self._convert(substitute(parameter.type, self.substitution), givens[i])
        untold = self._untold(givens)
        facts = CallFacts(self.cx, self.signature, self.dims, self.span)
        facts.require_divisors()
        facts.find_quotients()
        self.compare(quotients)
        facts.require_where()
        self.dims.update({variable: Polynomial.of(HOLE) for variable in untold})
        return values

    def _ranks_of_packs(self, givens: list[Given]) -> dict[PackVariable, int]:
        """How many dims each named pack has, where an argument of known rank says it."""
        found: dict[PackVariable, int] = {}
        for parameter, given in zip(self.signature.parameters, givens, strict=True):
            match parameter.type, given.value.type:
                case TensorType(_, Shape(PackVariable(name=name) as pack, dims)), TensorType(
                    _, Shape(None, actual)
                ) if name:
                    found.setdefault(pack, len(actual) - len(dims))
        return found

    def _ranked(self, declared: Type, given: Given, ranks: Mapping[PackVariable, int]) -> Value:
        """A tensor of unknown rank where a shape is declared: its rank is checked when it runs."""
        there = declared.item if isinstance(declared, OptionalType) else declared
        pack = there.shape.pack if isinstance(there, TensorType) else None
        if isinstance(there, TensorType) and pack is not None and pack in ranks:
            more = (Polynomial.of(HOLE),) * ranks[pack]
            there = TensorType(there.element, Shape(None, more + there.shape.dims))
        return assign.with_rank(self.cx, given.value, there, given.span, f"`{given.name}`")

    def solve(self) -> None:
        own = set(self.signature.variables)
        changed = True
        while changed:
            changed = False
            for equation in self.matched.equations:
                declared = equation.declared.substitute(self.dims)
                unbound = [v for v in equation.declared.variables() if v in own and v not in self.dims]
                if len(unbound) != 1:
                    continue
                parts = dims.solve(declared - equation.actual, unbound[0])
                if parts is None:
                    continue
                self._solved(unbound[0], parts, equation)
                changed = True

    def _solved(self, variable: Variable, parts: tuple[Polynomial, Polynomial], equation: Equation) -> None:
        numerator, denominator = parts
        given = equation.given

        def refuse() -> NoReturn:
            fail(
                "TL3003",
                f"`{equation.declared}` of `{self.signature.name}` cannot be {equation.actual}: "
                f"`{numerator}` is not divisible by `{denominator}`",
                given.span,
                str(given.value.type),
                others=self.matched.declaration(given),
            )

        cannot = f"`{equation.declared}` of `{self.signature.name}` cannot be {{2}}"
        message = f"{cannot}: {{0}} is not divisible by {{1}}"
        about = (equation.actual,)
        value = self.cx.require_divisible(numerator, denominator, given.span, message, refuse, about=about)
        self.dims[variable] = value
        self.origins[variable] = given
        if variable.lower == 1 and not _rigid_alone(value):
            self._at_least_one(variable, value, given)

    def _at_least_one(self, variable: Variable, value: Polynomial, given: Given) -> None:
        may_be = ", which may be 0" if value.variables() else ""

        def refuse() -> NoReturn:
            fail(
                "TL3016",
                f"`{variable.name}` of `{self.signature.name}` would be {value}" + may_be,
                given.span,
                str(given.value.type),
                notes=["a dimension variable is at least 1"],
            )

        message = f"`{variable.name}` of `{self.signature.name}` is {{0}}: a dimension variable is at least {{1}}"
        self.cx.require_nonnegative(value, dims.ONE, given.span, message, refuse, "TL5001")

    def compare(self, equations: list[Equation]) -> None:
        for equation in equations:
            declared = equation.declared
            if declared.variable is HOLE:
                continue
            expected = declared.substitute(self.dims)
            if any(v in self.signature.variables and v not in self.dims for v in declared.variables()):
                continue
            variables = declared.variables()
            by = next((self.origins[v] for v in variables if v in self.origins), equation.given)
            self._require(expected, equation.actual, by, equation.given, str(declared))

    def _require(self, p: Polynomial, q: Polynomial, by: Given, given: Given, name: str) -> None:
        constant = by is given and (not name or name == str(p))
        first, second = by.told_beside(given), given.told_beside(by)

        def refuse() -> NoReturn:
            told = (
                f"{self.matched.what(given)} has a dim {q} where {p} is declared"
                if constant
                else f"`{name}` of `{self.signature.name}` is {p} by {first} and {q} by {second}"
            )
            others = labels_of(by, given)
            sizes = [d.variable for d in (self.cx.facts.normal(p), self.cx.facts.normal(q))]
            notes = [f"`{v.name}`" for v in sizes if v is not None and v.kind is Kind.RIGID]
            both = f"{' and '.join(notes)} are independent dims of `{self.cx.function_name}`"
            fail("TL3003", told, self.span, others=others, notes=[both] if len(notes) == 2 else [])

        message = f"`{name}` of `{self.signature.name}` is {{0}} by {first} and {{1}} by {second}"
        if constant:
            message = f"{self.matched.what(given)} has a dim {{1}} where {{0}} is declared"
        self.cx.require_equal(p, q, given.span, message, refuse)

    def _untold(self, givens: list[Given]) -> list[Variable]:
        """The dims that only an empty list could have told. Nothing else may need them."""
        untold: list[Variable] = []
        signature = self.signature
        needed = {v for place in sure_places(signature.result, ()) for v in place.polynomial.variables()}
        for step in signature.plan:
            if step.variable in self.dims or signature.op is not None:
                continue
            if step.variable in needed or signature.where:
                given = givens[step.place.parameter]
                name = f"`{step.variable.name}` of `{signature.name}`"
                fail("TL1010", f"{name} cannot be told: `{given.name}` is empty", given.span, str(given.value.type))
            untold.append(step.variable)
        return untold

    # --- converting

    def _takes_known(self, declared: Type) -> bool:
        """Whether all dims of what a function argument takes are found already: another one's result may tell them."""
        if not isinstance(declared, FunctionType):
            return True
        missing = {v for v in self.signature.variables if v not in self.dims}
        return missing.isdisjoint(v for p in declared.parameters for size in sizes_in(p) for v in size.variables())

    def _late(self, declared: Type, given: Given) -> Value:
        """Lambdas once what they take is known, and host numbers once the element type is."""
        if _is_number(given.value.type):
            return self._convert(substitute(declared, self.substitution), given)
        wanted = substitute(declared, self.substitution)
        if isinstance(wanted, OptionalType):
            wanted = wanted.item
        if not isinstance(wanted, FunctionType):
            self.matched.refuse_kind(declared, given.value.type, given)
        unbound = {v: Polynomial.of(HOLE) for v in self.signature.variables if v not in self.dims}
        result = open_result(wanted.result, unbound)
        value = assign.as_function(
            self.cx, given.value, wanted.parameters, given.span, result, self.matched.what(given)
        )
        assert isinstance(value.type, FunctionType)
        self.matched.match(wanted.result, value.type.result, Given(given.name, value, given.span, "the result of "))
        return value

    def _convert(self, wanted: Type, given: Given) -> Value:
        value = given.value
        if isinstance(wanted, OptionalType) and not isinstance(value.type, OptionalType | NoneType):
            wanted = wanted.item
        if isinstance(wanted, TensorType) and _is_number(value.type):
            declared = next(p.type for p in self.signature.parameters if p.name == given.name)
            unbound = wanted.element in self.signature.elements.values()
            if not self._takes_number(declared) or (unbound and self.signature.op is None):
                self.matched.refuse_kind(declared, value.type, given)
            if unbound:
                return value
            wider = "compute in {0}: convert the tensors to {0}"
            if self.signature.op is None:
                wider = f"a parameter `{given.name}: {{0}}[]` holds it"
            value = adapt(self.cx, value, wanted.element, given.span, wider)
            return value if self.signature.op is not None else assign.scalar(self.cx, value, wanted, given.span)
        if isinstance(wanted, FloatType) and isinstance(value.type, IntType):
            return assign.to_float(self.cx, value, given.span)
        if isinstance(wanted, OpaqueType):
            return value
        return value

    def _takes_number(self, declared: Type) -> bool:
        """Whether a host number may stand for a parameter: for a scalar, and in an op for what is broadcast."""
        if isinstance(declared, OptionalType):
            return self._takes_number(declared.item)
        if not isinstance(declared, TensorType):
            return False
        pack = declared.shape.pack
        broadcast = self.signature.op is not None and pack is not None and not pack.name
        return not declared.shape.dims and (pack is None or broadcast)


def _rigid_alone(p: Polynomial) -> bool:
    variable = p.variable
    constant = p.constant
    return (variable is not None and variable.lower == 1) or (constant is not None and constant >= 1)


def _is_number(t: Type) -> bool:
    return isinstance(t, IntType | FloatType)
