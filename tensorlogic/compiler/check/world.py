"""What all bodies of a program share: declarations read once, diagnostics, and which functions are reached."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

from tensorlogic.compiler.check.context import Context, Failure, check_operands, fail
from tensorlogic.compiler.check.plan import Parameter, make_plan
from tensorlogic.compiler.check.signatures import Signature, read_signature, read_struct
from tensorlogic.compiler.check.type_reader import TypeReader
from tensorlogic.compiler.diagnostics.model import Diagnostic, Label
from tensorlogic.compiler.dims import Polynomial
from tensorlogic.compiler.facts import Facts
from tensorlogic.compiler.ir.core import Operation, Region, Value
from tensorlogic.compiler.names import (
    STANDARD_LIBRARY,
    BrokenSymbol,
    ConstantSymbol,
    FileModule,
    FunctionSymbol,
    ModuleGraph,
    ModuleSymbol,
    StructSymbol,
    Symbol,
)
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.syntax import nodes
from tensorlogic.compiler.types import (
    ELEMENT_TYPES,
    ElementTypeType,
    IntType,
    OptionalType,
    StructDefinition,
    StructType,
    TensorType,
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
    _structs: dict[StructSymbol, StructDefinition | None] = field(default_factory=dict)
    _constructors: dict[StructDefinition, Signature] = field(default_factory=dict)
    _constants: dict[ConstantSymbol, Any] = field(default_factory=dict)
    _open: list[StructSymbol | ConstantSymbol] = field(default_factory=list)
    _script_names: dict[FileModule, dict[str, Span]] = field(default_factory=dict)

    # --- names

    def resolve(self, module: FileModule, name: str) -> Symbol | None:
        """A top-level name as a file sees it: its own names, then the prelude's."""
        return module.scope.get(name) or self.graph.prelude.scope.get(name)

    def script_names(self, module: FileModule) -> dict[str, Span]:
        """The variables of a file's statements, which its functions do not see."""
        if module not in self._script_names:
            self._script_names[module] = declared_names(module.tree.statements)
        return self._script_names[module]

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

    def struct(self, symbol: StructSymbol) -> StructDefinition:
        if symbol not in self._structs:
            if symbol in self._open:
                self._refuse_circle("TL1013", "the struct `{}` would contain itself", symbol)
            self._open.append(symbol)
            self._structs[symbol] = None
            try:
                del self._structs[symbol]
                emitted = symbol.module.emitted(symbol.node.name.name)
                self._structs[symbol] = read_struct(self._reader(symbol.module), symbol.node, emitted)
            except Failure as failure:
                self.tell(failure)
                self._structs[symbol] = None
            finally:
                self._open.pop()
        definition = self._structs[symbol]
        if definition is None:
            raise Failure
        return definition

    def _refuse_circle(self, code: str, message: str, symbol: StructSymbol | ConstantSymbol) -> NoReturn:
        """Declarations that need each other, in the order of the needing."""
        circle = self._open[self._open.index(symbol) :]
        names = [s.node.name for s in (*circle, symbol)]
        fail(
            code,
            message.format(names[0].name),
            names[0].span,
            others=[(name.span, "through this one") for name in names[1:-1]],
            notes=[" -> ".join(f"`{name.name}`" for name in names)] if len(circle) > 1 else [],
        )

    def constructor(self, definition: StructDefinition) -> Signature:
        """Making a struct, as the signature of a function of its fields; dims that no field tells are ints by name."""
        if definition not in self._constructors:
            node = definition.node
            module: FileModule = definition.module
            parameters = [
                Parameter(name, t, _none_default(t, f.span), f.span)
                for (name, t), f in zip(definition.fields.items(), node.fields, strict=True)
            ]
            plan, missing = make_plan(parameters, definition.dims)
            parameters += [Parameter(v.name, IntType(Polynomial.of(v)), None, node.name.span) for v in missing]
            declaration = nodes.FunctionDeclaration(
                span=node.span,
                name=node.name,
                type_parameters=node.type_parameters,
                parameters=(),
                result=None,
                where=(),
                body=None,
                documentation=None,
                external=None,
                builtin=False,
            )
            self._constructors[definition] = Signature(
                name=definition.name,
                symbol=definition.symbol,
                module=module,
                node=declaration,
                parameters=tuple(parameters),
                result=StructType(definition, definition.elements, tuple(Polynomial.of(v) for v in definition.dims)),
                names={v.name: Polynomial.of(v) for v in definition.dims},
                elements={e.name: e for e in definition.elements},
                packs={},
                variables=definition.dims,
                where=(),
                facts=Facts(),
                plan=plan,
            )
        self.reach_struct(definition)
        return self._constructors[definition]

    def reach_struct(self, definition: StructDefinition) -> None:
        """The struct, and those in its fields, are part of what is emitted."""
        if definition in self.structs_reached:
            return

        def visit(t: Any) -> Any:
            if isinstance(t, StructType):
                self.reach_struct(t.definition)
            return t

        from tensorlogic.compiler.types import transform

        for t in definition.fields.values():
            transform(t, visit)
        self.structs_reached[definition] = None

    def reach(self, signature: Signature) -> None:
        """A function is called: functions of the library are checked only then."""
        if signature not in self._seen:
            self._seen.add(signature)
            self.pending.append(signature)

    # --- constants

    def constant(self, symbol: ConstantSymbol) -> Any:
        """A `const`'s value: a number, string or bool, or a tuple or list of them."""
        if symbol not in self._constants:
            if symbol in self._open:
                self._refuse_circle("TL2016", "the constant `{}` is defined by itself", symbol)
            self._open.append(symbol)
            try:
                self._constants[symbol] = self.evaluate(symbol.node.value, symbol.module)
            except Failure as failure:
                self.tell(failure)
                self._constants[symbol] = Failure
            finally:
                self._open.pop()
        value = self._constants[symbol]
        if value is Failure:
            raise Failure
        return value

    def evaluate(self, node: nodes.Expression, module: FileModule) -> Any:
        """A constant expression: literals, other constants and arithmetic."""
        match node:
            case (
                nodes.IntegerLiteral(value=value)
                | nodes.FloatLiteral(value=value)
                | nodes.StringLiteral(value=value)
                | nodes.BooleanLiteral(value=value)
            ):
                return value
            case nodes.NoneLiteral():
                return None
            case nodes.TupleExpression(items=items):
                return tuple(self.evaluate(item, module) for item in items)
            case nodes.ListExpression(items=items):
                return [self.evaluate(item, module) for item in items]
            case nodes.Unary(operator="-", operand=operand):
                value = self.evaluate(operand, module)
                if isinstance(value, int | float) and not isinstance(value, bool):
                    return -value
            case nodes.Unary(operator="not", operand=operand):
                value = self.evaluate(operand, module)
                if isinstance(value, bool):
                    return not value
            case nodes.Binary() if node.operator in _ARITHMETIC:
                return self._arithmetic(node, module)
            case nodes.Name(name=name):
                symbol = self.resolve(module, name)
                if name in ELEMENT_TYPES and not isinstance(symbol, ConstantSymbol):
                    return ELEMENT_TYPES[name]
                return self._constant_name(node, symbol, module)
            case nodes.Attribute(value=nodes.Name(name=name), name=attribute):
                target = module.scope.get(name)
                if isinstance(target, ModuleSymbol):
                    return self._constant_name(node, target.module.scope.get(attribute.name), module)
            case nodes.ErrorExpression():
                raise Failure
        _refuse_constant(node.span)

    def _constant_name(self, node: nodes.Expression, symbol: Symbol | None, module: FileModule) -> Any:
        match symbol:
            case ConstantSymbol():
                return self.constant(symbol)
            case BrokenSymbol():
                raise Failure
            case None if node.span.text not in self.script_names(module):
                known = [n for n, s in module.scope.items() if isinstance(s, ConstantSymbol)]
                near = difflib.get_close_matches(node.span.text, known, 1)
                helps = [f"did you mean `{n}`?" for n in near]
                fail("TL1001", f"there is no `{node.span.text}`", node.span, helps=helps)
        _refuse_constant(node.span)

    def _arithmetic(self, node: nodes.Binary, module: FileModule) -> Any:
        a, b = self.evaluate(node.left, module), self.evaluate(node.right, module)
        numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (a, b))
        strings = node.operator == "+" and isinstance(a, str) and isinstance(b, str)
        if not numbers and not strings:
            fail("TL2016", f"`{node.span.text}` is not constant", node.span)
        if node.operator == "/" and isinstance(a, int) and isinstance(b, int):
            if b == 0 or a % b:
                fail("TL2011", f"`{node.span.text}` is not exact", node.operator_span)
            return a // b
        try:
            result = _ARITHMETIC[node.operator](a, b)
        except (ArithmeticError, ValueError):
            fail("TL2016", f"`{node.span.text}` has no value", node.span)
        if isinstance(result, complex) or (isinstance(result, int) and abs(result) >= 2**63):
            fail("TL2016", f"`{node.span.text}` has no value of 64 bits", node.span)
        return result

    def default(self, cx: Context, signature: Signature, parameter: Parameter, span: Span) -> Value:
        """A parameter's default as a value at a call."""
        from tensorlogic.compiler.check.expressions import constant_value
        from tensorlogic.compiler.types import ElementType

        assert parameter.default is not None
        value = self.evaluate(parameter.default, signature.module)
        if isinstance(value, ElementType):
            return cx.add("constant", (), ElementTypeType(value), span, value=value)
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

    def note_evaluation(self, cx: Context, span: Span) -> None:
        """A function that must evaluate a tensor while it builds its graph is told of, not refused."""
        if cx.is_script:
            return
        message = f"`{cx.function_name}` evaluates this while its graph is built, so it is not one graph"
        note = Diagnostic(
            "TL2020",
            message,
            (Label(span, "", primary=True),),
            helps=("`where(condition, a, b)` chooses inside the graph",),
            severity="note",
        )
        if note not in self.diagnostics:
            self.diagnostics.append(note)

    def is_right(self) -> bool:
        """Whether nothing has failed so far."""
        return not self.failed

    def tell(self, failure: Failure) -> None:
        """Keep what a failure says. One that says nothing was told before, so that there is no program either way."""
        self.failed = True
        if failure.diagnostic is not None:
            self.diagnostics.append(failure.diagnostic)


_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "%": lambda a, b: a % b,
    "**": lambda a, b: a**b if abs(b) <= 1024 else float(a) ** b,
}


def _refuse_constant(span: Span) -> NoReturn:
    fail(
        "TL2016",
        f"`{span.text}` is not constant",
        span,
        notes=["a constant is made of literals, other constants and arithmetic"],
    )


def declared_names(statements: tuple[nodes.Statement, ...]) -> dict[str, Span]:
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
                found = declared_names(block.statements) | found
    return found


def _none_default(t: object, span: Span) -> nodes.Expression | None:
    return nodes.NoneLiteral(span) if isinstance(t, OptionalType) else None


def _host_only(signature: Signature) -> bool:
    """Whether all parameters are host values: then the op is the host's."""

    def tensor(t: object) -> bool:
        return isinstance(t, TensorType) or (isinstance(t, OptionalType) and tensor(t.item))

    return not any(tensor(p.type) for p in signature.parameters)


def is_library(module: FileModule) -> bool:
    """Whether a file belongs to the standard library, whose functions are checked when they are called."""
    return module.path is not None and module.path.is_relative_to(STANDARD_LIBRARY)


__all__ = ["World", "declared_names", "is_library"]
