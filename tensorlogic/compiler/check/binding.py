"""Binding at a call: what a signature's variables are, found from the arguments.

Takes a signature and the arguments matched with its parameters. Promises a substitution under which every argument's
type is the parameter's (proved, or checked at run time where an unknown takes part), every dimension variable is at
least 1 and every `where` holds. Refuses with both arguments that disagree.

An `int` argument binds its parameter first; then each equation that is linear in its one unbound variable is solved,
until nothing changes (language.md, section 4.5). Only then are the remaining equations compared.
"""

from __future__ import annotations

from dataclasses import field, replace
from typing import NoReturn

from tensorlogic.compiler import dims
from tensorlogic.compiler.check import assign
from tensorlogic.compiler.check.adaptation import adapt
from tensorlogic.compiler.check.bindings import FunctionSymbolType, LambdaType
from tensorlogic.compiler.check.call_facts import CallFacts
from tensorlogic.compiler.check.chosen import open_result, sure_places
from tensorlogic.compiler.check.context import Context
from tensorlogic.compiler.check.operators import refuse_promotion
from tensorlogic.compiler.check.refusals import as_operand, fail, test_for_none
from tensorlogic.compiler.check.signatures import Signature
from tensorlogic.compiler.dims import HOLE, Kind, Polynomial, Variable
from tensorlogic.compiler.ir.core import Value
from tensorlogic.compiler.records import dataclass
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.types import (
    Element,
    ElementVariable,
    ErrorType,
    FloatType,
    FunctionType,
    IntType,
    ListType,
    NoneType,
    OpaqueType,
    OptionalType,
    PackVariable,
    Shape,
    StructType,
    Substitution,
    TensorType,
    TupleType,
    Type,
    sizes_in,
    substitute,
)


@dataclass(frozen=True, slots=True)
class Given:
    """An argument matched with a parameter. A default is written nowhere: its span is the call's."""

    name: str
    value: Value
    span: Span
    part: str = ""
    """What of the argument is meant, as in `the result of `."""
    path: tuple[int, ...] = ()
    """Which item of which item of it is meant."""
    dim: str = ""
    """Which dim of a tensor or struct is meant, as in `dim 0`."""

    @property
    def told(self) -> str:
        """The argument, or its item, as messages say it: `xs[0]`."""
        return f"`{self.name}{''.join(f'[{i}]' for i in self.path)}`"

    def told_beside(self, other: Given) -> str:
        """The argument, and its dim too where another dim of it is told of."""
        return f"{self.dim} of {self.told}" if self.told == other.told and self.dim != other.dim else self.told

    @property
    def type(self) -> Type:
        """The type of what is meant."""
        found = self.value.type
        for i in self.path:
            assert isinstance(found, ListType | TupleType)
            assert found.items is not None
            found = found.items[i]
        return found

    def item(self, i: int) -> Given:
        """One item of what is meant; known values alone are taken apart."""
        return replace(self, path=(*self.path, i)) if not self.part else self


@dataclass(frozen=True, slots=True)
class _Equation:
    """A parameter's dim meets an argument's."""

    declared: Polynomial
    actual: Polynomial
    given: Given


@dataclass
class Binder:
    """The state of one binding."""

    cx: Context
    signature: Signature
    span: Span
    dims: dict[Variable, Polynomial] = field(default_factory=dict)
    packs: dict[PackVariable, tuple[Shape, Given]] = field(default_factory=dict)
    elements: dict[ElementVariable, tuple[Element, Given]] = field(default_factory=dict)
    origins: dict[Variable, Given] = field(default_factory=dict)
    equations: list[_Equation] = field(default_factory=list)

    @property
    def substitution(self) -> Substitution:
        return Substitution(
            self.dims,
            {p: shape for p, (shape, _) in self.packs.items()},
            {e: element for e, (element, _) in self.elements.items()},
        )

    def bind(self, givens: list[Given]) -> list[Value]:
        """Bind all arguments; gives them as the parameters' types want them."""
        values = [self._ranked(p.type, g) for p, g in zip(self.signature.parameters, givens, strict=True)]
        givens = [Given(g.name, v, g.span) for g, v in zip(givens, values, strict=True)]
        late: list[int] = []
        for i, (parameter, given) in enumerate(zip(self.signature.parameters, givens, strict=True)):
            if isinstance(given.value.type, LambdaType | FunctionSymbolType) or _is_number(given.value.type):
                late.append(i)
            if not isinstance(given.value.type, LambdaType | FunctionSymbolType):
                self.match(parameter.type, given.value.type, given)
        self.solve()
        waiting = list(late)
        while waiting:
            i = next((k for k in waiting if self._takes_known(self.signature.parameters[k].type)), waiting[0])
            waiting.remove(i)
            values[i] = self._late(self.signature.parameters[i].type, givens[i])
            self.solve()
        quotients = [e for e in self.equations if any(v.definition is not None for v in e.declared.variables())]
        self.compare([e for e in self.equations if e not in quotients])
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

    # --- matching

    def _ranked(self, declared: Type, given: Given) -> Value:
        """A tensor of unknown rank where a shape is declared: its rank is checked when it runs."""
        there = declared.item if isinstance(declared, OptionalType) else declared
        return assign.with_rank(self.cx, given.value, there, given.span, f"`{given.name}`")

    def match(self, declared: Type, actual: Type, given: Given) -> None:
        """Gather what the declared type says about the actual one; structure that differs is refused."""
        match declared, actual:
            case _, ErrorType():
                return
            case TensorType(), TensorType():
                self._element(declared.element, actual.element, given)
                self._shape(declared, actual, given)
                return
            case TensorType(), (IntType() | FloatType()):
                return
            case IntType(p), IntType(q):
                if p is not None and q is not None:
                    self.equations.append(_Equation(p, q, given))
                return
            case StructType(), StructType() if declared.definition is actual.definition:
                for e, f in zip(declared.elements, actual.elements, strict=True):
                    self._element(e, f, given)
                self._equate(declared.dims, actual.dims, given, [f"`{v.name}`" for v in declared.definition.dims])
                return
            case TupleType(a), TupleType(b) if len(a) == len(b):
                for i, (x, y) in enumerate(zip(a, b, strict=True)):
                    self.match(x, y, given.item(i))
                return
            case ListType(item, _), ListType(other, None):
                self.match(item, other, replace(given, part="an item of "))
                return
            case (ListType(item, _), ListType(_, items)) | (ListType(item, _), TupleType(items)):
                assert items is not None
                for i, t in enumerate(items):
                    self.match(item, t, given.item(i))
                return
            case OptionalType(_), NoneType():
                return
            case OptionalType(item), OptionalType(other):
                self.match(item, other, given)
                return
            case OptionalType(item), other:
                self.match(item, other, given)
                return
            case FunctionType(parameters, result), FunctionType(others, other) if len(parameters) == len(others):
                if any(assign.is_open(x) and x != y for x, y in zip(parameters, others, strict=True)):
                    self._refuse_kind(declared, actual, given)
                for x, y in zip((*parameters, result), (*others, other), strict=True):
                    self.match(x, y, given)
                return
        if not assign.fits_kind(declared, actual):
            self._refuse_kind(declared, actual, given)

    def _refuse_kind(self, declared: Type, actual: Type, given: Given) -> NoReturn:
        helps = []
        if isinstance(actual, OptionalType):
            helps = [test_for_none(given.span)]
        fail(
            "TL2009" if helps else "TL2001",
            f"{self._what(given)} is `{declared}`, not `{actual}`",
            given.span,
            str(actual),
            others=self._declaration(given),
            notes=assign.of_one_name(declared, actual),
            helps=helps,
        )

    def _what(self, given: Given) -> str:
        return f"{given.part}{given.told} of `{self.signature.name}`"

    def _declaration(self, given: Given) -> list[tuple[Span, str]]:
        if self.signature.op is not None:
            return []
        return [(p.span, f"declared {p.type}") for p in self.signature.parameters if p.name == given.name]

    def _element(self, declared: Element, actual: Element, given: Given) -> None:
        if declared is actual:
            # What a function argument is given, before anything says what it is, tells nothing when it comes back.
            return
        if isinstance(declared, ElementVariable) and declared in self.signature.elements.values():
            if declared not in self.elements:
                if declared.bound == "float" and actual.kind != "float":
                    fail(
                        "TL2001",
                        f"{self._what(given)} is a tensor of floats, not of {actual}",
                        given.span,
                        str(given.value.type),
                        helps=[f"`{as_operand(given.span)}.to(float16)`"] if actual.kind != "any" else [],
                    )
                self.elements[declared] = (actual, given)
                return
            bound, first = self.elements[declared]
            if bound != actual:
                labels = [(first.span, str(first.value.type)), (given.span, str(given.value.type))]
                tensors = isinstance(first.value.type, TensorType), isinstance(given.value.type, TensorType)
                refuse_promotion(bound, actual, labels, self.span, tensors=tensors)
        elif declared != actual:
            whole = isinstance(given.value.type, TensorType)
            helps = [f"`{as_operand(given.span)}.to({declared})`"] if whole else []
            fail(
                "TL2002",
                f"{self._what(given)} is {declared}, not {actual}",
                given.span,
                str(given.type),
                notes=["element types are never changed without being asked to"],
                helps=helps,
            )

    def _shape(self, declared: TensorType, actual: TensorType, given: Given) -> None:
        shape, other = declared.shape, actual.shape
        count = len(shape.dims)
        if shape.pack is None and (other.pack is not None or len(other.dims) != count):
            self._refuse_rank(declared, actual, given)
        if len(other.dims) < count:
            self._refuse_rank(declared, actual, given)
        split = len(other.dims) - count
        if shape.pack is not None:
            self._pack(shape.pack, Shape(other.pack, other.dims[:split]), given)
        first = 0 if shape.pack is None else -count
        self._equate(shape.dims, other.dims[split:], given, [f"dim {first + i}" for i in range(count)])

    def _equate(
        self, declared: tuple[Polynomial, ...], actual: tuple[Polynomial, ...], given: Given, names: list[str]
    ) -> None:
        for p, q, dim in zip(declared, actual, names, strict=True):
            if q.variable is HOLE and p.variable is not HOLE:
                name = f"`{p}` of `{self.signature.name}`"
                fail(
                    "TL3004",
                    f"nothing says what {name} is: {given.part}`{given.name}` has a size that only run time knows"
                    if given.part.startswith("the result")
                    else f"{name} is one size, and the items of `{given.name}` differ in it",
                    given.span,
                    str(given.value.type),
                    others=self._declaration(given),
                )
            self.equations.append(_Equation(p, q, replace(given, dim=dim)))

    def _refuse_rank(self, declared: TensorType, actual: TensorType, given: Given) -> NoReturn:
        wanted, found = len(declared.shape.dims), len(actual.shape.dims)
        least = "at least " if declared.shape.pack is not None else ""
        has = f"begins with {actual.shape.pack}" if actual.shape.pack is not None else f"has {_dims(found)}"
        fail(
            "TL3005",
            f"{self._what(given)} has {least}{_dims(wanted)}; this {has}",
            given.span,
            str(actual),
            others=self._declaration(given),
        )

    def _pack(self, pack: PackVariable, leading: Shape, given: Given) -> None:
        if leading.pack is pack:
            return
        if pack not in self.packs:
            self.packs[pack] = (leading, given)
            return
        if self.signature.op is not None and not pack.name:
            # Each `...` of an op is a pack of its own, also those of a list's items: its rule compares them.
            return
        first, by = self.packs[pack]
        same = first.pack is leading.pack and len(first.dims) == len(leading.dims)
        if not same:
            fail(
                "TL3013",
                f"`{pack}` of `{self.signature.name}` is {first} by {by.told} and {leading} by {given.told}",
                self.span,
                others=_labels(by, given),
            )
        for p, q in zip(first.dims, leading.dims, strict=True):
            self._require(p, q, by, given, str(pack))

    # --- solving and comparing

    def solve(self) -> None:
        own = set(self.signature.variables)
        changed = True
        while changed:
            changed = False
            for equation in self.equations:
                declared = equation.declared.substitute(self.dims)
                unbound = [v for v in equation.declared.variables() if v in own and v not in self.dims]
                if len(unbound) != 1:
                    continue
                parts = dims.solve(declared - equation.actual, unbound[0])
                if parts is None:
                    continue
                self._solved(unbound[0], parts, equation)
                changed = True

    def _solved(self, variable: Variable, parts: tuple[Polynomial, Polynomial], equation: _Equation) -> None:
        numerator, denominator = parts
        given = equation.given

        def refuse() -> NoReturn:
            fail(
                "TL3003",
                f"`{equation.declared}` of `{self.signature.name}` cannot be {equation.actual}: "
                f"`{numerator}` is not divisible by `{denominator}`",
                given.span,
                str(given.value.type),
                others=self._declaration(given),
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

    def compare(self, equations: list[_Equation]) -> None:
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
                f"{self._what(given)} has a dim {q} where {p} is declared"
                if constant
                else f"`{name}` of `{self.signature.name}` is {p} by {first} and {q} by {second}"
            )
            others = _labels(by, given)
            sizes = [d.variable for d in (self.cx.facts.normal(p), self.cx.facts.normal(q))]
            notes = [f"`{v.name}`" for v in sizes if v is not None and v.kind is Kind.RIGID]
            both = f"{' and '.join(notes)} are independent dims of `{self.cx.function_name}`"
            fail("TL3003", told, self.span, others=others, notes=[both] if len(notes) == 2 else [])

        message = f"`{name}` of `{self.signature.name}` is {{0}} by {first} and {{1}} by {second}"
        if constant:
            message = f"{self._what(given)} has a dim {{1}} where {{0}} is declared"
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
            self._refuse_kind(declared, given.value.type, given)
        unbound = {v: Polynomial.of(HOLE) for v in self.signature.variables if v not in self.dims}
        result = open_result(wanted.result, unbound)
        value = assign.as_function(self.cx, given.value, wanted.parameters, given.span, result, self._what(given))
        assert isinstance(value.type, FunctionType)
        self.match(wanted.result, value.type.result, Given(given.name, value, given.span, "the result of "))
        return value

    def _convert(self, wanted: Type, given: Given) -> Value:
        value = given.value
        if isinstance(wanted, OptionalType) and not isinstance(value.type, OptionalType | NoneType):
            wanted = wanted.item
        if isinstance(wanted, TensorType) and _is_number(value.type):
            declared = next(p.type for p in self.signature.parameters if p.name == given.name)
            unbound = wanted.element in self.signature.elements.values()
            if not self._takes_number(declared) or (unbound and self.signature.op is None):
                self._refuse_kind(declared, value.type, given)
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


def _labels(by: Given, given: Given) -> list[tuple[Span, str]]:
    """The types of two arguments that disagree, which may be two items of one."""
    if by.span != given.span:
        return [(by.span, str(by.value.type)), (given.span, str(given.value.type))]
    if by.path != given.path:
        return [(given.span, f"{by.told[1:-1]}: {by.type}, {given.told[1:-1]}: {given.type}")]
    return [(given.span, str(given.value.type))]


def _rigid_alone(p: Polynomial) -> bool:
    variable = p.variable
    constant = p.constant
    return (variable is not None and variable.lower == 1) or (constant is not None and constant >= 1)


def _is_number(t: Type) -> bool:
    return isinstance(t, IntType | FloatType)


def _dims(count: int) -> str:
    return f"{count} dim{'' if count == 1 else 's'}"
