"""What all bodies of a program share: declarations read once, diagnostics, and which functions are reached."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import field
from typing import Any

from tensorlogic.compiler.check import constants
from tensorlogic.compiler.check.bindings import check_operands
from tensorlogic.compiler.check.constructing import constructor_signature
from tensorlogic.compiler.check.context import Context
from tensorlogic.compiler.check.needs import Declared, in_order
from tensorlogic.compiler.check.plan import Parameter
from tensorlogic.compiler.check.refusals import Failure
from tensorlogic.compiler.check.signatures import Signature, read_signature, read_struct
from tensorlogic.compiler.check.type_reader import TypeReader
from tensorlogic.compiler.diagnostics.model import MAXIMUM_ERRORS, Diagnostic, Label, error
from tensorlogic.compiler.dims import Polynomial
from tensorlogic.compiler.ir.core import Operation, Region, Value
from tensorlogic.compiler.names import (
    STANDARD_LIBRARY,
    ConstantSymbol,
    FileModule,
    FunctionSymbol,
    ModuleGraph,
    StructSymbol,
    Symbol,
)
from tensorlogic.compiler.records import dataclass
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.syntax import nodes
from tensorlogic.compiler.types import (
    IntType,
    OptionalType,
    StructDefinition,
    TensorType,
    structs_in,
)


@dataclass
class World:
    """The declarations of a module graph, each read when it is first asked for, and told once where it is wrong."""

    graph: ModuleGraph
    diagnostics: list[Diagnostic] = field(default_factory=list)
    failed: bool = False
    pending: list[Signature] = field(default_factory=list)
    structs_reached: dict[StructDefinition, None] = field(default_factory=dict)
    _seen: set[Signature] = field(default_factory=set)
    _signatures: dict[FunctionSymbol, tuple[Signature, ...] | None] = field(default_factory=dict)
    _renewed: dict[str, Signature] = field(default_factory=dict)
    _structs: dict[StructSymbol, StructDefinition | None] = field(default_factory=dict)
    _constructors: dict[tuple[StructDefinition, frozenset[str], frozenset[str]], Signature] = field(
        default_factory=dict
    )
    _constants: dict[ConstantSymbol, Any] = field(default_factory=dict)
    _declared: dict[tuple[nodes.Statement, ...], dict[str, Span]] = field(default_factory=dict)
    _noted: set[tuple[str, str, int]] = field(default_factory=set)

    # --- names

    def resolve(self, module: FileModule, name: str) -> Symbol | None:
        """A top-level name as a file sees it: its own names, then the prelude's."""
        return module.scope.get(name) or self.graph.prelude.scope.get(name)

    def script_names(self, module: FileModule) -> dict[str, Span]:
        """The variables of a file's statements, which its functions do not see."""
        return self.declared_in(module.tree.statements)

    def declared_in(self, statements: tuple[nodes.Statement, ...]) -> dict[str, Span]:
        """Where the statements of a body declare each name, blocks included."""
        if statements not in self._declared:
            self._declared[statements] = _declared_names(statements)
        return self._declared[statements]

    def nearest(self, name: str, known: Iterable[str]) -> list[str]:
        """The help that offers the known name which is most like a wrong one, for errors that will be told."""
        if sum(d.severity == "error" for d in self.diagnostics[: 2 * MAXIMUM_ERRORS]) > MAXIMUM_ERRORS:
            return []
        return [f"did you mean `{n}`?" for n in difflib.get_close_matches(name, list(known), 1)]

    # --- declarations

    def signatures(self, symbol: FunctionSymbol) -> tuple[Signature, ...]:
        """A function's signatures; more than one only for overloads of the prelude."""
        if symbol not in self._signatures:
            self._signatures[symbol] = None
            try:
                self._signatures[symbol] = tuple(self._signature(symbol, node) for node in symbol.declarations)
            except Failure as failure:
                self.tell(failure)
        found = self._signatures[symbol]
        if found is None:
            raise Failure
        return found

    def _signature(self, symbol: FunctionSymbol, node: nodes.FunctionDeclaration) -> Signature:
        op: str | None = None
        if symbol.module is self.graph.prelude and node.body is None:
            op = node.name.name
        signature = read_signature(self._reader(symbol.module), node, symbol.module.emitted(node.name.name), op)
        if op is not None and len(symbol.declarations) > 1 and _host_only(signature):
            signature = read_signature(self._reader(symbol.module), node, signature.symbol, f"host.{op}")
        return signature

    def renewed(self, signature: Signature) -> Signature:
        """The signature with variables, packs and element types of its own, for a call inside the function itself."""
        if signature.symbol not in self._renewed:
            reader = self._reader(signature.module)
            self._renewed[signature.symbol] = read_signature(reader, signature.node, signature.symbol, signature.op)
        return self._renewed[signature.symbol]

    def constructor(
        self, definition: StructDefinition, given: frozenset[str] = frozenset(), present: frozenset[str] = frozenset()
    ) -> Signature:
        """Making a struct, as the signature of a function of its fields, and of dims that are ints by name.

        Those are the dims that are given, which the fields are compared with, and then as many as it takes to find
        all others. Optional fields tell dims where they are known to be present.
        """
        key = (definition, given, present)
        if key not in self._constructors:
            self._constructors[key] = constructor_signature(definition, given, present)
        self.reach_struct(definition)
        return self._constructors[key]

    def reach_struct(self, definition: StructDefinition) -> None:
        """The struct, and those in its fields, are part of what is emitted: the fields' first."""
        pending = [definition]
        while pending:
            inner = [
                t.definition
                for t in structs_in(pending[-1].fields.values())
                if t.definition not in self.structs_reached
            ]
            if inner:
                pending += inner
            else:
                self.structs_reached[pending.pop()] = None

    def reach(self, signature: Signature) -> None:
        """A function is called: functions of the library are checked only then."""
        if signature not in self._seen:
            self._seen.add(signature)
            self.pending.append(signature)

    # --- constants and structs

    def constant(self, symbol: ConstantSymbol) -> Any:
        """A `const`'s value: a number, string or bool, or a tuple or list of them."""
        if symbol not in self._constants:
            self._settle(symbol)
        value = self._constants[symbol]
        if value is Failure:
            raise Failure
        return value

    def struct(self, symbol: StructSymbol) -> StructDefinition:
        if symbol not in self._structs:
            self._settle(symbol)
        definition = self._structs[symbol]
        if definition is None:
            raise Failure
        return definition

    def _settle(self, symbol: Declared) -> None:
        """Read a declaration after what it needs."""
        order, circles = in_order(symbol, self._is_read)
        for circle in circles:
            self._refuse_circle(circle)
        for needed in order:
            if not self._is_read(needed):
                self._read(needed)

    def _is_read(self, symbol: Declared) -> bool:
        return symbol in self._structs or symbol in self._constants

    def _read(self, symbol: Declared) -> None:
        try:
            if isinstance(symbol, ConstantSymbol):
                self._constants[symbol] = self.evaluate(symbol.node.value, symbol.module)
            else:
                emitted = symbol.module.emitted(symbol.node.name.name)
                self._structs[symbol] = read_struct(self._reader(symbol.module), symbol.node, emitted)
        except Failure as failure:
            self.tell(failure)
            self._forsake(symbol)

    def _forsake(self, symbol: Declared) -> None:
        """A declaration that is wrong: what uses it says nothing more."""
        if isinstance(symbol, ConstantSymbol):
            self._constants[symbol] = Failure
        else:
            self._structs[symbol] = None

    def _refuse_circle(self, circle: list[Declared]) -> None:
        """Declarations that need each other, in the order of the needing. Those of another circle were told."""
        if any(map(self._is_read, circle)):
            return
        names = [s.node.name for s in (*circle, circle[0])]
        constant = isinstance(circle[0], ConstantSymbol)
        name = f"`{names[0].name}`"
        diagnostic = error(
            "TL2016" if constant else "TL1013",
            f"the constant {name} is defined by itself" if constant else f"the struct {name} would contain itself",
            names[0].span,
            others=[(name.span, "through this one") for name in names[1:-1]],
            notes=[" -> ".join(f"`{name.name}`" for name in names)] if len(circle) > 1 else [],
        )
        self.tell(Failure(diagnostic))
        for symbol in circle:
            self._forsake(symbol)

    def evaluate(self, node: nodes.Expression, module: FileModule) -> Any:
        """A constant expression's value."""
        return constants.evaluate(self, node, module)

    def default(self, cx: Context, signature: Signature, parameter: Parameter, span: Span) -> Value:
        """A parameter's default as a value at a call."""
        from tensorlogic.compiler.check.expressions import constant_value

        assert parameter.default is not None
        value = self.evaluate(parameter.default, signature.module)
        return constant_value(cx, value, span)

    # --- helpers for bodies

    def _reader(self, module: FileModule) -> TypeReader:
        return TypeReader(module, self._integer_constant, self.struct, self.graph.prelude)

    def reader(self, cx: Context) -> TypeReader:
        """Reads types written in a body: its signature's dims, and the ints that are visible."""

        def outer(name: str) -> Polynomial | None:
            binding = cx.lookup(name)
            return binding.value.type.value if binding and isinstance(binding.value.type, IntType) else None

        def no_int(name: str) -> str | None:
            binding = cx.lookup(name)
            if binding is None:
                return None
            check_operands(binding.value)
            return str(binding.value.type)

        reader = self._reader(cx.module)
        reader.names, reader.elements, reader.packs = dict(cx.names_in_signature), cx.elements, dict(cx.packs)
        reader.outer, reader.no_int, reader.facts = outer, no_int, cx.facts
        reader.own = cx.own
        return reader

    def _integer_constant(self, symbol: ConstantSymbol) -> int | None:
        value = self.constant(symbol)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def with_yield(self, region: Region, values: tuple[Value, ...], span: Span) -> Region:
        """The region with what it yields at its end."""
        end = Operation("yield", values, (), {}, (), span)
        return Region(region.arguments, (*region.operations, end))

    def note_evaluation(self, cx: Context, span: Span, *, chooses: bool = False) -> None:
        """A function that must evaluate a tensor while it builds its graph is told of, not refused.

        `chooses` is for a condition, for which there is another way.
        """
        if cx.is_script:
            return
        message = f"`{cx.function_name}` evaluates this while its graph is built, so it is not one graph"
        note = Diagnostic(
            "TL2020",
            message,
            (Label(span, "", primary=True),),
            helps=("`where(condition, a, b)` chooses inside the graph",) if chooses else (),
            severity="note",
        )
        place = (cx.function_name, span.source.name, span.start)
        if place not in self._noted:
            self._noted.add(place)
            self.diagnostics.append(note)

    def is_right(self) -> bool:
        """Whether nothing has failed so far."""
        return not self.failed

    def tell(self, failure: Failure) -> None:
        """Keep what a failure says. One that says nothing was told before, so that there is no program either way."""
        self.failed = True
        if failure.diagnostic is not None:
            self.diagnostics.append(failure.diagnostic)


def _declared_names(statements: tuple[nodes.Statement, ...]) -> dict[str, Span]:
    """Where statements, those inside of others included, declare or first assign each name."""
    found: dict[str, Span] = {}
    for statement in statements:
        blocks: tuple[nodes.Block | None, ...] = ()
        match statement:
            case nodes.Let(names=names) | nodes.Assign(names=names):
                found.update({n.name: n.span for n in names if n.name not in found})
            case nodes.For(names=names, body=body):
                found.update({n.name: n.span for n in names if n.name not in found})
                blocks = (body,)
            case nodes.While(body=body):
                blocks = (body,)
            case nodes.If(then=then, otherwise=otherwise):
                blocks = (then, otherwise)
        for block in blocks:
            if block is not None:
                found = _declared_names(block.statements) | found
    return found


def _host_only(signature: Signature) -> bool:
    """Whether all parameters are host values: then the op is the host's."""

    def tensor(t: object) -> bool:
        return isinstance(t, TensorType) or (isinstance(t, OptionalType) and tensor(t.item))

    return not any(tensor(p.type) for p in signature.parameters)


def is_library(module: FileModule) -> bool:
    """Whether a file belongs to the standard library, whose functions are checked when they are called."""
    return module.path is not None and module.path.is_relative_to(STANDARD_LIBRARY)


__all__ = ["World", "is_library"]
