"""What is known while one body is checked: names, facts, where sizes are found, and the IR built so far.

A `Context` serves one function's body, one script or one lambda. `require_*` are the only places where a demand on
dims is decided: it is proved, or checked at run time where a variable allows that, or refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import field, replace
from math import lcm
from typing import TYPE_CHECKING, Any, NoReturn

from tensorlogic.compiler.check import clauses
from tensorlogic.compiler.check.assumptions import (
    Assumption,
    Bound,
    Divisible,
    Equation,
    Implications,
    NotNone,
    Path,
)
from tensorlogic.compiler.check.bindings import Binding, Loop, constant_type
from tensorlogic.compiler.check.refusals import Failure, fail
from tensorlogic.compiler.dims import HOLE, ONE, Kind, Polynomial, Variable
from tensorlogic.compiler.facts import Facts
from tensorlogic.compiler.ir.builder import Builder
from tensorlogic.compiler.ir.core import Value
from tensorlogic.compiler.records import dataclass
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.types import (
    ERROR,
    ElementVariable,
    IntType,
    OptionalType,
    PackVariable,
    Shape,
    StructType,
    TensorType,
    TupleType,
    Type,
    field_type,
)

if TYPE_CHECKING:
    from tensorlogic.compiler.check.world import World
    from tensorlogic.compiler.names import FileModule
    from tensorlogic.compiler.syntax import nodes


@dataclass
class Context:
    """One body being checked: its `statements`.

    `own` are the variables of the function's signature, `chosen` those that only its result names, `places` where its
    dims are named first, `standing` is the expression that the statement being checked consists of.
    """

    world: World
    module: FileModule
    builder: Builder
    node: nodes.FunctionDeclaration | None = None
    names_in_signature: dict[str, Polynomial] = field(default_factory=dict)
    own: frozenset[Variable] = frozenset()
    places: Mapping[str, Span] = field(default_factory=dict)
    statements: tuple[nodes.Statement, ...] = ()
    result: Type | None = None
    chosen: frozenset[Variable] = frozenset()
    result_span: Span | None = None
    elements: dict[str, ElementVariable] = field(default_factory=dict)
    packs: dict[str, PackVariable] = field(default_factory=dict)
    is_script: bool = False
    frames: list[dict[str, Binding]] = field(default_factory=lambda: [{}])
    facts: Facts = field(default_factory=Facts)
    witnesses: dict[Variable, Callable[[Span], Value]] = field(default_factory=dict)
    implications: dict[Value, Implications] = field(default_factory=dict)
    lengths: dict[Value, Polynomial] = field(default_factory=dict)
    remainders: dict[Polynomial, tuple[Polynomial, Polynomial]] = field(default_factory=dict)
    narrowed: dict[Path, Value] = field(default_factory=dict)
    loops: list[Loop] = field(default_factory=list)
    standing: nodes.Expression | None = None
    in_lambda: bool = False
    function_name: str = ""

    # --- scopes

    @contextmanager
    def scope(self) -> Iterator[None]:
        """A block: its names, facts and narrowings end with it."""
        facts, narrowed = self.facts, dict(self.narrowed)
        self.frames.append({})
        try:
            yield
        finally:
            self.frames.pop()
            self.facts, self.narrowed = facts, narrowed

    def lookup(self, name: str) -> Binding | None:
        for frame in reversed(self.frames):
            if name in frame:
                return frame[name]
        return None

    def declare(self, name: str, binding: Binding) -> None:
        self.frames[-1][name] = binding

    def rebind(self, name: str, value: Value) -> None:
        """Give a visible name another value; what was known of its fields is forgotten."""
        for frame in reversed(self.frames):
            if name in frame:
                old = frame[name]
                frame[name] = Binding(value, old.span, old.role, old.declared)
                break
        self.narrowed = {path: v for path, v in self.narrowed.items() if path[0] != name}

    def assume(self, assumptions: tuple[Assumption, ...], span: Span) -> None:
        """Take what a condition implies as known, to the end of the block.

        An equation that can never be true is left out: where it is assumed nothing runs, and what is said there should
        make sense, which it does not of a dim that is replaced by -1.
        """
        for assumption in assumptions:
            match assumption:
                case Bound():
                    self.facts = self.facts.with_bound(assumption.difference)
                case Equation(left, right):
                    if not self.provably_different(left, right):
                        self.facts = self.facts.with_equation(left, right)
                case Divisible(value, divisor):
                    self.facts = self.facts.with_divisibility(value, divisor)
                case NotNone(path, root):
                    binding = self.lookup(path[0])
                    if binding is None or binding.value is not root:
                        continue
                    optional = self._at(path, span)
                    if isinstance(optional.type, OptionalType):
                        self.narrowed[path] = self.retype(optional, optional.type.item, span)

    def _at(self, path: Path, span: Span) -> Value:
        """The value at a path, read here: what read it before may stand in a region that is not visible here."""
        known = max((p for p in self.narrowed if path[: len(p)] == p), key=len, default=path[:1])
        binding = self.lookup(path[0])
        assert binding is not None
        value = self.narrowed.get(known, binding.value)
        for name in path[len(known) :]:
            assert isinstance(value.type, StructType)
            value = self.add("field", (value,), field_type(value.type, name), span, field=name)
        return value

    # --- values

    def constant(self, value: int | float | bool | str | None, span: Span) -> Value:
        return self.builder.add("constant", (), constant_type(value), span, value=value)

    def add(self, name: str, operands: tuple[Value, ...], type: Type, span: Span, **attributes: Any) -> Value:
        """Append an operation with one result, each `?` of whose type becomes an unknown of its own."""
        result = self.instantiate(type)
        self.builder.add_statement(name, operands, span, results=(result,), **attributes)
        return result

    def name_constant(self, made: Value, name: str, value: object, span: Span) -> Value:
        """The constant as a reference to the program's `const` of a name."""
        result = Value(made.type)
        self.builder.add_statement("constant", (), span, results=(result,), value=value, called=name)
        return result

    def retype(self, value: Value, type: Type, span: Span) -> Value:
        """The same value under another type; unknown sizes in it become fresh."""
        return self.add("retype", (value,), type, span)

    def instantiate(self, type: Type) -> Value:
        """A value of a declared type: each `?` is an unknown of its own that is found from the value at run time."""
        made: list[Value] = []
        value = Value(self._freshen(type, lambda span: made[0]))
        made.append(value)
        return value

    def _freshen(self, type: Type, find: Callable[[Span], Value]) -> Type:
        match type:
            case TensorType(element, shape) if HOLE in {d.variable for d in shape.dims}:
                from_right = -len(shape.dims)
                sizes = tuple(
                    self.unknown_size(find, from_right + i) if d.variable is HOLE else d
                    for i, d in enumerate(shape.dims)
                )
                return TensorType(element, Shape(shape.pack, sizes))
            case StructType(definition, elements, sizes) if HOLE in {d.variable for d in sizes}:
                sizes = tuple(
                    self._unknown_parameter(find, definition.dims[i].name) if d.variable is HOLE else d
                    for i, d in enumerate(sizes)
                )
                return StructType(definition, elements, sizes)
            case IntType(None):
                variable = Variable("?", Kind.UNKNOWN_INTEGER)
                self.witnesses[variable] = find
                return IntType(Polynomial.of(variable))
            case TupleType(items):
                return TupleType(tuple(self._freshen(item, self._item_of(find, i)) for i, item in enumerate(items)))
        return type

    def _item_of(self, find: Callable[[Span], Value], index: int) -> Callable[[Span], Value]:
        def item(span: Span) -> Value:
            whole = find(span)
            assert isinstance(whole.type, TupleType)
            return self.builder.add("item", (whole,), whole.type.items[index], span, index=index)

        return item

    def unknown_size(self, find: Callable[[Span], Value], axis: int) -> Polynomial:
        """A fresh unknown for a size of a tensor that `find` gives where the size is needed as a number."""
        variable = Variable("?", Kind.UNKNOWN)
        size = Polynomial.of(variable)
        self.witnesses[variable] = lambda span: self.builder.add("dim", (find(span),), IntType(size), span, axis=axis)
        return size

    def _unknown_parameter(self, find: Callable[[Span], Value], name: str) -> Polynomial:
        variable = Variable("?", Kind.UNKNOWN)
        size = Polynomial.of(variable)
        # A struct's dims were found to be at least 1 when it was made.
        self.facts = self.facts.with_bound(size - 1)
        self.witnesses[variable] = lambda span: self.builder.add(
            "field", (find(span),), IntType(size), span, field=name
        )
        return size

    def length_of(self, value: Value) -> Polynomial:
        """The length of a list or string that only run time knows: one number, however often it is asked for."""
        if value not in self.lengths:
            variable = Variable("?", Kind.UNKNOWN_INTEGER)
            size = Polynomial.of(variable)
            self.lengths[value] = size
            self.witnesses[variable] = lambda span: self.builder.add("host.len", (value,), IntType(size), span)
        self.facts = self.facts.with_bound(self.lengths[value])
        return self.lengths[value]

    def unknown_integer(self, find: Callable[[Span], Value]) -> Polynomial:
        """A fresh unknown for a host `int` that only run time knows."""
        variable = Variable("?", Kind.UNKNOWN_INTEGER)
        self.witnesses[variable] = find
        return Polynomial.of(variable)

    def number(self, p: Polynomial, span: Span) -> Value:
        """The polynomial's value at run time, as a host `int`: made of sizes and ints that are at hand."""
        p = p if all(v in self.witnesses for v in p.variables()) else self.facts.normal(p)
        if p.constant is not None:
            return self.constant(p.constant, span)
        divisor = lcm(*(c.denominator for c in p.terms.values()))
        result: Value | None = None
        for monomial, coefficient in (p * divisor).terms.items():
            term: Value | None = None
            for variable, power in monomial:
                for _ in range(power):
                    term = self._join("multiply", term, self.witness(variable, span), span)
            size = abs(int(coefficient))
            if term is None or size != 1:
                term = self._join("multiply", term, self.constant(size, span), span)
            result = self._join("add" if coefficient > 0 else "subtract", result, term, span)
        assert result is not None
        if divisor != 1:
            result = self.builder.add("host.floor_divide", (result, self.constant(divisor, span)), IntType(p), span)
        return result

    def _join(self, operator: str, left: Value | None, right: Value, span: Span) -> Value:
        if left is None and operator != "subtract":
            return right
        left = left if left is not None else self.constant(0, span)
        assert isinstance(left.type, IntType)
        assert isinstance(right.type, IntType)
        assert left.type.value is not None
        assert right.type.value is not None
        a, b = left.type.value, right.type.value
        value = {"add": a + b, "subtract": a - b, "multiply": a * b}[operator]
        return self.builder.add(f"host.{operator}", (left, right), IntType(value), span)

    def witness(self, variable: Variable, span: Span) -> Value:
        """The run-time value of a variable. Every variable in the type of a visible value has one."""
        find = self.witnesses.get(variable)
        if find is not None:
            return find(span)
        if variable.definition is not None:
            parts = tuple(self.number(part, span) for part in variable.definition)
            return self.builder.add("host.floor_divide", parts, IntType(Polynomial.of(variable)), span)
        fail(
            "TL1010",
            f"`{variable.name}` is not known as a number here",
            span,
            notes=["it is found from a function's argument only, which exists when it is called"],
        )

    # --- demands

    def fail(
        self,
        code: str,
        message: str,
        span: Span,
        label: str = "",
        *,
        others: Iterable[tuple[Span, str]] = (),
        notes: Iterable[str] = (),
        helps: Iterable[str] = (),
    ) -> NoReturn:
        fail(code, message, span, label, others=others, notes=notes, helps=helps)

    def provably_equal(self, p: Polynomial, q: Polynomial) -> bool:
        return self.facts.equal(p, q)

    def provably_different(self, p: Polynomial, q: Polynomial) -> bool:
        return self.facts.positive(p - q) or self.facts.positive(q - p)

    def require_equal(
        self,
        p: Polynomial,
        q: Polynomial,
        span: Span,
        message: str,
        refuse: Callable[[], NoReturn],
        *,
        clause: str | None = None,
        about: tuple[Polynomial, ...] = (),
    ) -> None:
        """Demand `p == q`. `message` tells it at run time: `{0}`, `{1}`... become the two numbers and those of `about`.

        `clause` is the `where` to offer; equality is mostly a mistake rather than a fact left unsaid, so that none is
        offered without it.
        """
        if self.facts.equal(p, q):
            return
        difference = self.facts.normal(p) - self.facts.normal(q)
        if not difference.unknown:
            told = self._with_what_was_found(refuse, p, q)
            self.refuse_offering(told, None if self.provably_different(p, q) else clause, (p, q))
        self._demand("equal", (p, q, *about), span, "TL5001", message)
        self.facts = self.facts.with_equation(p, q)

    def _with_what_was_found(self, refuse: Callable[[], NoReturn], *sizes: Polynomial) -> Callable[[], NoReturn]:
        """A refusal that also says what an unknown was found to be by what stands before."""

        def refuse_with_notes() -> NoReturn:
            try:
                refuse()
            except Failure as failure:
                found = [(p, self.facts.normal(p)) for p in sizes if p.unknown]
                notes = [f"what stands before demands that `{p}` is {n}" for p, n in found if not n.unknown]
                if failure.diagnostic is None or not notes:
                    raise
                raise Failure(replace(failure.diagnostic, notes=(*notes, *failure.diagnostic.notes))) from None

        return refuse_with_notes

    def require_nonnegative(
        self,
        p: Polynomial,
        q: Polynomial,
        span: Span,
        message: str,
        refuse: Callable[[], NoReturn],
        code: str = "TL5003",
        *,
        about: tuple[Polynomial, ...] = (),
    ) -> None:
        """Demand `p >= q`. It may be left to run time where an `int` or an unknown size takes part."""
        if self.facts.nonnegative(p - q):
            return
        difference = self.facts.normal(p - q)
        only_rigid = all(variable.rigid for variable in difference.variables())
        contradicted = self.facts.nonnegative(q - p - 1)
        if only_rigid or contradicted:
            self.refuse_offering(refuse, None if contradicted else clauses.at_most(q, p), (p, q))
        self._demand("at_least", (p, q, *about), span, code, message)
        self.facts = self.facts.with_bound(p - q)

    def require_divisible(
        self,
        p: Polynomial,
        q: Polynomial,
        span: Span,
        message: str,
        refuse: Callable[[], NoReturn],
        *,
        about: tuple[Polynomial, ...] = (),
    ) -> Polynomial:
        """Demand that `q` is at least 1 and `p / q` exact, and give it."""
        exact = self.facts.divided(p, q)
        if exact is None or not self.facts.positive(q):
            if not self.facts.normal(p).unknown and not self.facts.normal(q).unknown:
                clause = clauses.divisible(p, q) if exact is None else clauses.at_most(ONE, q)
                self.refuse_offering(refuse, clause if q.terms else None, (p, q))
            self._demand("divisible", (p, q, *about), span, "TL5001", message)
            self.facts = self.facts.with_divisibility(p, q)
            exact = self.facts.divided(p, q)
            if exact is None:
                refuse()
        return exact

    def refuse_offering(
        self, refuse: Callable[[], NoReturn], clause: str | None, about: tuple[Polynomial, ...]
    ) -> NoReturn:
        """Refuse, with the clause that would prove the demand where the function's `where` can say it."""
        try:
            refuse()
        except Failure as failure:
            told = failure.diagnostic
            if told is None or clause is None or self.is_script or not clauses.nameable(about, self.own):
                raise
            offer = f"add `where {clause}` to `{self.function_name}`"
            raise Failure(replace(told, helps=(*told.helps, offer))) from None

    def _demand(self, kind: str, numbers: tuple[Polynomial, ...], span: Span, code: str, message: str) -> None:
        operands = tuple(self.number(n, span) for n in numbers)
        self.builder.add_statement("demand", operands, span, kind=kind, code=code, message=message)

    # --- reports

    def report(self, failure: Failure) -> None:
        self.world.tell(failure)

    def error_value(self, span: Span) -> Value:
        """Stands for a value that could not be checked."""
        return self.builder.add("retype", (), ERROR, span)
