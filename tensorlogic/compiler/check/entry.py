"""Entries: what is checked when a function is called from Python.

An entry is a function of the IR like any other: it accepts each argument (its kind, element type and rank; the cast to
the carried precision), finds the dimension variables by the signature's plan, demands that they are at least 1, that
every other dim agrees and that the `where` holds, calls the body, and gives the result back in its declared type. The
messages name the argument, the dim, what it was bound to, and by which argument.
"""

from __future__ import annotations

from collections.abc import Mapping

from tensorlogic.compiler.check.context import Bound, Context, Divisible, Equation
from tensorlogic.compiler.check.places import at_place, item_of, witness_plan
from tensorlogic.compiler.check.plan import Place, Step, places_of
from tensorlogic.compiler.check.signatures import Signature
from tensorlogic.compiler.check.world import World
from tensorlogic.compiler.dims import HOLE, ONE, Kind, Polynomial, Variable
from tensorlogic.compiler.ir.builder import Builder
from tensorlogic.compiler.ir.core import Entry, Function, Region, Value
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.types import (
    BOOLEAN,
    INT,
    ListType,
    OptionalType,
    PackVariable,
    StructDefinition,
    TensorType,
    TupleType,
    Type,
)

Steps = tuple[tuple[str, int | str], ...]


def make_entry(world: World, signature: Signature) -> Entry | None:
    """The entry of a function; None for a name with `_` in front and for functions that take functions."""
    if signature.name.startswith("_") or signature.takes_functions:
        return None
    span = signature.node.name.span
    cx = Context(world=world, module=signature.module, builder=Builder(), function_name=signature.name)
    cx.builder.open()
    raw = tuple(Value(p.type) for p in signature.parameters)
    accepted: list[Value] = []
    for parameter, value in zip(signature.parameters, raw, strict=True):
        cx.builder.name(value, parameter.name)
        taken = cx.add(
            "accept", (value,), parameter.type, parameter.span, argument=parameter.name, function=signature.name
        )
        cx.builder.name(taken, parameter.name)
        accepted.append(taken)
    values = tuple(accepted)
    witness_plan(cx, signature, values)
    _Checks(cx, signature, values).emit()
    result = cx.add("call", values, signature.result, span, callee=signature.symbol)
    cx.builder.name(result, "result")
    given = cx.add("give", (result,), signature.result, span)
    cx.builder.add_statement("return", (given,), span)
    names = tuple(p.name for p in signature.parameters)
    function = Function(
        symbol=signature.name,
        parameters=tuple(zip(names, raw, strict=True)),
        result=signature.result,
        body=cx.builder.close(raw),
        names=cx.builder.names,
        span=span,
        documentation=signature.node.documentation,
    )
    defaults = tuple(
        () if p.default is None else (world.evaluate(p.default, signature.module),) for p in signature.parameters
    )
    return Entry(signature.name, function, signature, defaults)


def make_constructor(world: World, definition: StructDefinition) -> Function:
    """The checks of a struct's fields: gives the accepted fields, then the dims, as a tuple."""
    signature = world.constructor(definition)
    span = definition.node.name.span
    cx = Context(world=world, module=signature.module, builder=Builder(), function_name=signature.name)
    cx.builder.open()
    raw = tuple(Value(p.type) for p in signature.parameters)
    values = tuple(
        cx.add("accept", (v,), p.type, p.span, argument=f"{signature.name}.{p.name}", function=signature.name)
        for p, v in zip(signature.parameters, raw, strict=True)
    )
    for parameter, value in zip(signature.parameters, values, strict=True):
        cx.builder.name(value, parameter.name)
    witness_plan(cx, signature, values)
    _Checks(cx, signature, values).emit()
    fields = values[: len(definition.fields)]
    sizes = tuple(cx.number(Polynomial.of(v), span) for v in definition.dims)
    result = cx.add("tuple", (*fields, *sizes), TupleType(tuple(v.type for v in (*fields, *sizes))), span)
    cx.builder.add_statement("return", (result,), span)
    names = tuple(p.name for p in signature.parameters)
    return Function(
        symbol=definition.symbol,
        parameters=tuple(zip(names, raw, strict=True)),
        result=None,
        body=cx.builder.close(raw),
        names=cx.builder.names,
        span=span,
    )


class _Checks:
    """The demands of one entry, in an order in which each number is known before it is used."""

    def __init__(self, cx: Context, signature: Signature, values: tuple[Value, ...]) -> None:
        self.cx, self.signature, self.values = cx, signature, values
        self.found: dict[Variable, Place] = {}
        self.packs: dict[PackVariable, tuple[Value, str]] = {}

    def emit(self) -> None:
        steps = {(s.place.parameter, s.place.steps): s for s in self.signature.plan}
        for step in self.signature.plan:
            self._bind(step)
        self._find_packs()
        for i, parameter in enumerate(self.signature.parameters):
            self._nested(parameter.type, self.values[i], Place(i, (), Polynomial.of(0)), steps)
        for assumption, span in self.signature.where:
            text = f"`{self.signature.name}` demands `{span.text}`"
            match assumption:
                case Bound():
                    p = assumption.difference
                    self._demand("at_least", p, Polynomial.of(0), f"{text}: {self._values(p)}", "TL5006")
                case Equation(p, q):
                    self._demand("equal", p, q, f"{text}: it is {{0}} == {{1}}", "TL5006")
                case Divisible(p, q):
                    self._demand("divisible", p, q, f"{text}: {p} is {{0}}", "TL5006")

    def _values(self, p: Polynomial) -> str:
        return "it does not hold" if p.constant is not None else f"{p} is {{0}}, less than {{1}}"

    def _bind(self, step: Step) -> None:
        variable = step.variable
        self.found[variable] = step.place
        if variable.kind is Kind.INTEGER:
            return
        where = self._where(step.place)
        if step.denominator != ONE:
            message = f"{where} is {step.place.polynomial}: {{0}} is not divisible by {{1}}"
            self._demand("divisible", step.numerator, step.denominator, message, "TL5001")
        value = self.cx.witness(variable, self.signature.node.name.span)
        self.cx.builder.name(value, variable.name)
        self.cx.witnesses[variable] = lambda span: value
        if variable.lower == 1:
            message = f"`{variable.name}` is {{0}} by {where}: a dimension variable is at least {{1}}"
            self._demand("at_least", Polynomial.of(variable), Polynomial.of(1), message, "TL5001")

    def _nested(self, t: Type, value: Value, at: Place, bound: Mapping[tuple[int, Steps], Step]) -> None:
        """Compare every dim of a value that no step of the plan reads, inside lists and optionals too."""
        cx, span = self.cx, self.signature.parameters[at.parameter].span
        match t:
            case TupleType(items):
                for k, item in enumerate(items):
                    inner = Place(at.parameter, (*at.steps, ("item", k)), at.polynomial)
                    self._nested(item, item_of(cx, value, k, span), inner, bound)
            case OptionalType(item) if places_of(item, 0) or _pack_of(item) in self.packs:
                none = cx.constant(None, span)
                present = cx.add("host.is_not_none", (value, none), BOOLEAN, span)
                cx.builder.open()
                self._nested(item, cx.retype(value, item, span), at, bound)
                then = cx.world.with_yield(cx.builder.close(), (), span)
                otherwise = cx.world.with_yield(Region((), ()), (), span)
                cx.builder.add_statement("if", (present,), span, regions=(then, otherwise))
            case ListType(item, _) if places_of(item, 0) or _pack_of(item) is not None:
                each = cx.instantiate(item)
                cx.builder.open()
                inner = Place(at.parameter, (*at.steps, ("item", "i")), at.polynomial)
                self._nested(item, each, inner, bound)
                body = cx.world.with_yield(cx.builder.close((each,)), (), span)
                cx.builder.name(each, "item")
                cx.builder.add_statement("for", (value,), span, regions=(body,))
            case _:
                for place in places_of(t, at.parameter, at.steps):
                    if (at.parameter, place.steps) not in bound and place.polynomial.variable is not HOLE:
                        self._compare(place, value)
                self._pack(t, value, at)

    def _find_packs(self) -> None:
        """The leading dims of each named pack, as the first argument that is sure to be there has them."""
        for parameter, value in zip(self.signature.parameters, self.values, strict=True):
            pack = _pack_of(parameter.type)
            if pack is not None and pack not in self.packs and isinstance(parameter.type, TensorType):
                self.packs[pack] = (self._leading(value, parameter.type, parameter.span), f"`{parameter.name}`")

    def _leading(self, value: Value, t: TensorType, span: Span) -> Value:
        return self.cx.add("leading", (value,), ListType(INT), span, count=len(t.shape.dims))

    def _pack(self, t: Type, value: Value, at: Place) -> None:
        """The dims of a pack against those of the first argument that has it; a list's items against its first."""
        pack = _pack_of(t)
        if pack is None or not isinstance(t, TensorType):
            return
        parameter = self.signature.parameters[at.parameter]
        first, by = self.packs.get(pack, (None, ""))
        if first is None:
            whole = self.values[at.parameter]
            if not isinstance(parameter.type, ListType) or not isinstance(parameter.type.item, TensorType):
                return
            first, by = self._leading(item_of(self.cx, whole, 0, parameter.span), t, parameter.span), "its first item"
        elif by == f"`{parameter.name}`" and not at.steps:
            return
        message = f"`{pack}` of `{self.signature.name}` is {{0}} by `{parameter.name}` and {{1}} by {by}"
        operands = (self._leading(value, t, parameter.span), first)
        self.cx.builder.add_statement("demand", operands, parameter.span, kind="equal", code="TL5001", message=message)

    def _compare(self, place: Place, value: Value) -> None:
        """One dim of a value against what the signature says."""
        expected = place.polynomial
        variables = [v for v in expected.variables() if v in self.found]
        by = ", ".join(f"`{v.name}` by {self._where(self.found[v])}" for v in variables)
        told = f"`{expected}` = {{1}}" if variables else "{1}"
        message = f"{self._where(place)} is {{0}}, not {told}" + (f" ({by})" if by else "")
        span = self.signature.parameters[place.parameter].span
        last = Place(0, place.steps[-1:], expected)
        actual = at_place(self.cx, last, (value,), span, Variable("actual", Kind.UNKNOWN))
        wanted = self.cx.number(expected, span)
        self.cx.builder.add_statement("demand", (actual, wanted), span, kind="equal", code="TL5001", message=message)

    def _where(self, place: Place) -> str:
        """`dim 1 of `weights``, counted from the left where the shape has no pack."""
        name = f"`{self.signature.parameters[place.parameter].name}`"
        if not place.steps:
            return name
        inner = "".join(f"[{index}]" for kind, index in place.steps if kind == "item")
        name = f"`{self.signature.parameters[place.parameter].name}{inner}`"
        kind, index = place.steps[-1]
        if kind == "dim":
            assert isinstance(index, int)
            return f"dim {index + self._rank(place)} of {name}"
        return f"`{index}` of {name}" if kind == "parameter" else name

    def _rank(self, place: Place) -> int:
        """The number of dims of the tensor at a place, 0 where a pack hides it: then dims count from the right."""
        t = self.signature.parameters[place.parameter].type
        for _, index in (*place.steps[:-1], ("", 0)):
            t = t.item if isinstance(t, OptionalType) else t
            t = t.items[index] if isinstance(t, TupleType) and isinstance(index, int) else t
            t = t.item if isinstance(t, ListType) else t
        return (t.shape.rank or 0) if isinstance(t, TensorType) else 0

    def _demand(self, kind: str, p: Polynomial, q: Polynomial, message: str, code: str) -> None:
        span = self.signature.node.name.span
        operands = (self.cx.number(p, span), self.cx.number(q, span))
        self.cx.builder.add_statement("demand", operands, span, kind=kind, code=code, message=message)


def _pack_of(t: Type) -> PackVariable | None:
    """The pack of a tensor's type, an optional's or a list's item."""
    match t:
        case TensorType(_, shape):
            return shape.pack
        case OptionalType(item) | ListType(item, _):
            return _pack_of(item)
    return None
