"""What values that come from outside must agree in: the dims and packs of a signature, and its `where`.

Takes a signature whose arguments are there. Emits the demands in an order in which each number is known before it is
used, and not 0 before it divides: that the dimension variables are at least 1, that the `where` holds, that every other
dim and every pack agrees, inside tuples, lists and optionals too. Entries and the constructors of structs check their
arguments so, a function written in Python its result. The messages name the argument, the dim, what it was bound to,
and by which argument. The dims of a struct are at least 1 since it was made: nothing checks that again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tensorlogic.compiler.check.assumptions import named_in, parts_of, sides_of
from tensorlogic.compiler.check.chosen import chosen_by, sure_places
from tensorlogic.compiler.check.context import Context
from tensorlogic.compiler.check.places import at_place, item_of, witness_step
from tensorlogic.compiler.check.plan import Parameter, Place, Step, places_of
from tensorlogic.compiler.check.signatures import Signature
from tensorlogic.compiler.dims import HOLE, ONE, Kind, Polynomial, Variable
from tensorlogic.compiler.facts import Facts
from tensorlogic.compiler.ir.core import Region, Value
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.types import (
    BOOLEAN,
    INT,
    IntType,
    ListType,
    OptionalType,
    PackVariable,
    TensorType,
    TupleType,
    Type,
    packs_in,
)

_ZERO = Polynomial.of(0)


def check_arguments(cx: Context, signature: Signature, values: tuple[Value, ...]) -> None:
    """The demands of an entry or a constructor on its arguments."""
    checks = _Checks(cx, signature, values)
    read = {step.variable for step in signature.plan}
    for i, parameter in enumerate(signature.parameters):
        if isinstance(parameter.type, IntType) and parameter.type.value is not None:
            variable = parameter.type.value.variable
            if variable is not None and variable not in read:
                # A dim of a struct that is given by name.
                checks.bind(_plain_step(variable, Place(i, (), parameter.type.value), parameter.name))
    checks.require_known()
    for step in signature.plan:
        checks.bind(step)
        checks.require_known()
    checks.compare(range(len(values)))


def check_result(cx: Context, signature: Signature, values: tuple[Value, ...], result: Value) -> None:
    """The demands on what a function written in Python gave for these arguments, which were checked before."""
    span = signature.node.span
    given = Parameter(f"{signature.name}(...)", signature.result, None, span)
    whole = replace(signature, parameters=(*signature.parameters, given))
    checks = _Checks(cx, whole, (*values, result))
    for step in signature.plan:
        checks.found[step.variable] = step.place
    chosen = chosen_by(signature)
    for place in sure_places(signature.result, ()):
        variable = place.polynomial.variable
        if variable in chosen and variable not in checks.found:
            step = _plain_step(variable, replace(place, parameter=len(values)), given.name)
            witness_step(cx, step, checks.values)
            checks.bind(step)
    checks.unread = chosen - checks.found.keys()
    checks.compare([len(values)])


def _plain_step(variable: Variable, place: Place, name: str) -> Step:
    """The step that reads a variable where it stands alone."""
    stand_in = Variable(name, Kind.RIGID)
    return Step(variable, place, stand_in, Polynomial.of(stand_in), ONE)


class _Checks:
    """The demands on the arguments of one signature.

    `found` says where each variable was read, `packs` where the leading dims of each pack that some value is sure to
    have were; `unread` are variables of which no value tells.
    """

    def __init__(self, cx: Context, signature: Signature, values: tuple[Value, ...]) -> None:
        self.cx, self.signature, self.values = cx, signature, values
        self.found: dict[Variable, Place] = {}
        self.packs: dict[PackVariable, tuple[Value, str]] = {}
        self.unread: frozenset[Variable] = frozenset()
        self.clauses = list(signature.where)

    def bind(self, step: Step) -> None:
        """A variable that a value tells: at least 1."""
        variable = step.variable
        self.found[variable] = step.place
        if variable.kind is Kind.INTEGER:
            return
        where = self._where(step.place)
        if step.denominator != ONE:
            message = f"{where} is {step.place.polynomial}: {{0}} is not divisible by {{1}}"
            self._demand("divisible", (step.numerator, step.denominator), message)
        value = self.cx.witness(variable, self._span)
        if not variable.is_parameter:
            self.cx.builder.name(value, variable.name)
        self.cx.witnesses[variable] = lambda span: value
        of_struct = step.place.steps[-1:] and step.place.steps[-1][0] == "parameter"
        if variable.lower == 1 and not (of_struct and step.place.polynomial.variable is variable):
            message = f"{self._told(variable, 0)}: a dimension variable is at least {{1}}"
            self._demand("at_least", (Polynomial.of(variable), Polynomial.of(1)), message)

    def compare(self, parameters: Iterable[int]) -> None:
        """Compare what these parameters say with what was found."""
        self._find_packs()
        for i in parameters:
            self._nested(self.signature.parameters[i].type, self.values[i], Place(i, (), _ZERO))
        self._compare_hidden_packs()

    def require_known(self) -> None:
        """The parts of the `where` all of whose numbers are known by now: what is read next may be divided by them."""
        for assumption, clause in list(self.clauses):
            kind, sides = sides_of(assumption)
            if parts_of(sides).keys() <= self.found.keys():
                self.clauses.remove((assumption, clause))
                if not _is_sure(kind, sides):
                    self._require(kind, sides, clause)

    def _require(self, kind: str, sides: tuple[Polynomial, Polynomial], clause: Span) -> None:
        """A part of the `where`, told with the numbers that it is about."""
        variables = named_in(sides, clause.text)
        told = ", ".join(self._told(variable, i) for i, variable in enumerate(variables, 2))
        message = f"`{self.signature.name}` demands `{clause.text}`: {told or 'it does not hold'}"
        self._demand(kind, (*sides, *map(Polynomial.of, variables)), message, "TL5006")

    # --- dims

    def _nested(self, t: Type, value: Value, at: Place) -> None:
        """Compare every dim of a value that was not read, inside tuples, lists and optionals too."""
        cx, span = self.cx, self._span_of(at)
        match t:
            case TupleType(items):
                for k, item in enumerate(items):
                    inner = Place(at.parameter, (*at.steps, ("item", k)), at.polynomial)
                    self._nested(item, item_of(cx, value, k, span), inner)
            case OptionalType(item) if self._says_anything(item):
                none = cx.constant(None, span)
                present = cx.add("host.is_not_none", (value, none), BOOLEAN, span)
                cx.builder.open()
                self._nested(item, cx.retype(value, item, span), at)
                then = cx.world.with_yield(cx.builder.close(), (), span)
                otherwise = cx.world.with_yield(Region((), ()), (), span)
                cx.builder.add_statement("if", (present,), span, regions=(then, otherwise))
            case ListType(item, _) if self._says_anything(item):
                each = cx.instantiate(item)
                cx.builder.open()
                self._nested(item, each, Place(at.parameter, (*at.steps, ("item", "i")), at.polynomial))
                body = cx.world.with_yield(cx.builder.close((each,)), (), span)
                cx.builder.name(each, "item")
                cx.builder.add_statement("for", (value,), span, regions=(body,))
            case OptionalType() | ListType():
                return
            case _:
                for place in places_of(t, at.parameter, at.steps):
                    if self._is_compared(place):
                        self._compare(place, value)
                self._compare_pack(t, value, at)

    def _says_anything(self, t: Type) -> bool:
        """Whether a value of the type, inside a list or an optional, is compared with anything."""
        match t:
            case TupleType(items):
                return any(self._says_anything(item) for item in items)
            case OptionalType(item) | ListType(item, _):
                return self._says_anything(item)
            case TensorType(_, shape) if shape.pack in self.packs:
                return True
        return any(self._is_compared(place) for place in places_of(t, -1))

    def _is_compared(self, place: Place) -> bool:
        """Whether a dim was not read from here, and is known."""
        variables = set(place.polynomial.variables())
        read = any(at.parameter == place.parameter and at.steps == place.steps for at in self.found.values())
        return not read and HOLE not in variables and not variables & self.unread

    def _compare(self, place: Place, value: Value) -> None:
        """One dim of a value against what the signature says."""
        expected = place.polynomial
        variables = [v for v in parts_of([expected]) if v in self.found]
        by = ", ".join(f"`{v.name}` by {self._where(self.found[v])}" for v in variables if self.found[v].steps)
        told = f"`{expected}` = {{1}}" if variables else "{1}"
        message = f"{self._where(place)} is {{0}}, not {told}" + (f" ({by})" if by else "")
        span = self._span_of(place)
        last = Place(0, place.steps[-1:], expected)
        actual = at_place(self.cx, last, (value,), span, Variable("actual", Kind.UNKNOWN))
        wanted = self.cx.number(expected, span)
        self.cx.builder.add_statement("demand", (actual, wanted), span, kind="equal", code="TL5001", message=message)

    # --- packs

    def _find_packs(self) -> None:
        """The leading dims of each pack, as the first tensor that is sure to be there has them."""

        def visit(t: Type, value: Value, at: Place) -> None:
            match t:
                case TensorType(_, shape) if shape.pack is not None and shape.pack not in self.packs:
                    self.packs[shape.pack] = (self._leading(value, t, self._span_of(at)), self._where(at))
                case TupleType(items) if packs_in(t):
                    for k, item in enumerate(items):
                        inner = Place(at.parameter, (*at.steps, ("item", k)), at.polynomial)
                        visit(item, item_of(self.cx, value, k, self._span_of(at)), inner)

        for i, parameter in enumerate(self.signature.parameters):
            visit(parameter.type, self.values[i], Place(i, (), _ZERO))

    def _leading(self, value: Value, t: TensorType, span: Span) -> Value:
        return self.cx.add("leading", (value,), ListType(INT), span, count=len(t.shape.dims))

    def _compare_pack(self, t: Type, value: Value, at: Place) -> None:
        """The dims of a pack against those of the first tensor that has it."""
        if not isinstance(t, TensorType) or t.shape.pack not in self.packs:
            return
        pack = t.shape.pack
        first, by = self.packs[pack]
        if by == self._where(at):
            return
        message = f"`{pack}` of `{self.signature.name}` is {{0}} by {self._where(at)} and {{1}} by {by}"
        span = self._span_of(at)
        operands = (self._leading(value, t, span), first)
        self.cx.builder.add_statement("demand", operands, span, kind="equal", code="TL5001", message=message)

    def _compare_hidden_packs(self) -> None:
        """The packs that only lists and optionals have: run time finds the first tensor that is there."""
        types = [p.type for p in self.signature.parameters]
        hidden = dict.fromkeys(pack for t in types for pack in packs_in(t) if pack not in self.packs)
        for pack in hidden:
            having = [i for i, t in enumerate(types) if pack in packs_in(t)]
            if len(having) == 1 and _is_single(types[having[0]]):
                continue
            operands = tuple(self.values[i] for i in having)
            self.cx.builder.add_statement(
                "demand",
                operands,
                self._span,
                kind="leading",
                code="TL5001",
                pack=str(pack),
                function=self.signature.name,
                arguments=tuple(self.signature.parameters[i].name for i in having),
                forms=tuple(_form(types[i], pack) for i in having),
            )

    # --- messages

    @property
    def _span(self) -> Span:
        return self.signature.node.name.span

    def _span_of(self, place: Place) -> Span:
        return self.signature.parameters[place.parameter].span

    def _told(self, variable: Variable, operand: int) -> str:
        """What a message says of a variable, which is one of the demand's operands."""
        place = self.found.get(variable)
        by = f" by {self._where(place)}" if place is not None and place.steps else ""
        return f"`{variable.name}` is {{{operand}}}{by}"

    def _where(self, place: Place) -> str:
        """`dim 1 of `weights``, counted from the left where the shape has no pack."""
        inner = "".join(f"[{index}]" for kind, index in place.steps if kind == "item")
        name = f"`{self.signature.parameters[place.parameter].name}{inner}`"
        kind, index = place.steps[-1] if place.steps else ("", 0)
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
        t = t.item if isinstance(t, OptionalType) else t
        return (t.shape.rank or 0) if isinstance(t, TensorType) else 0

    def _demand(self, kind: str, numbers: tuple[Polynomial, ...], message: str, code: str = "TL5001") -> None:
        operands = tuple(self.cx.number(p, self._span) for p in numbers)
        self.cx.builder.add_statement("demand", operands, self._span, kind=kind, code=code, message=message)


def _is_sure(kind: str, sides: tuple[Polynomial, Polynomial]) -> bool:
    """Whether a bound holds for all dims that are at least 1, which was demanded when they were read."""
    if kind not in ("at_least", "more_than") or any(v.definition for side in sides for v in side.variables()):
        return False
    high, low = sides
    return Facts().nonnegative(high - low - (1 if kind == "more_than" else 0))


def _is_single(t: Type) -> bool:
    """Whether a value of the type holds one tensor at most."""
    return isinstance(t, OptionalType) and isinstance(t.item, TensorType)


Form = int | tuple["Form | None", ...] | list["Form | None"]


def _form(t: Type, pack: PackVariable) -> Form | None:
    """Where a value has a pack: the number of dims after it in a tensor, a tuple's items, a list's item in a list."""
    match t:
        case TensorType(_, shape) if shape.pack is pack:
            return len(shape.dims)
        case OptionalType(item):
            return _form(item, pack)
        case ListType(item, _) if pack in packs_in(item):
            return [_form(item, pack)]
        case TupleType(items) if pack in packs_in(t):
            return tuple(_form(item, pack) for item in items)
    return None
