"""A program in IR as a Python module that builds lazy MLX graphs.

Takes a checked program after the passes. Promises the same text for the same program: a body for each function, an
entry for each public one, a frozen dataclass for each struct, `main(args)` for a script. Refuses, for `--standalone`,
what needs the runtime's files: models, tokenizers and packed weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from functools import cached_property

from tensorlogic.compiler.diagnostics.glyphs import visible
from tensorlogic.compiler.diagnostics.model import CompileError, error
from tensorlogic.compiler.dims import Kind
from tensorlogic.compiler.emit import generating, standalone
from tensorlogic.compiler.emit.body import Body
from tensorlogic.compiler.emit.elements import Given, read_elements
from tensorlogic.compiler.emit.identifiers import Identifiers, attribute
from tensorlogic.compiler.emit.layout import wrapped
from tensorlogic.compiler.emit.literals import hint, literal
from tensorlogic.compiler.emit.liveness import Liveness
from tensorlogic.compiler.emit.naming import ModuleNames, Naming, constant_key, where
from tensorlogic.compiler.emit.operations import Operations
from tensorlogic.compiler.emit.structs import struct_lines
from tensorlogic.compiler.emit.variables import Variables
from tensorlogic.compiler.ir.core import Entry, Function, Operation, Program, Value, walk
from tensorlogic.compiler.passes.packing import giving_packed, kept_packed, may_be_packed
from tensorlogic.compiler.records import dataclass
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.types import (
    ElementVariable,
    IntType,
    ListType,
    OpaqueType,
    OptionalType,
    StructType,
    TensorType,
    TupleType,
    Type,
)

_CARRIED = {"BF16": "mx.bfloat16", "F16": "mx.float16"}
"""The module's constants for the dtypes in which half-precision values are carried."""

VERSION_MARK = "Compiled by tlc"


@dataclass
class Emitter:
    """Writes one module."""

    program: Program
    parameters: dict[str, tuple[str, ...]]
    version: str
    names: ModuleNames
    identifiers: Identifiers = field(default_factory=Identifiers)

    def emit(self) -> str:
        """The module's text."""
        self._allocate()
        program = self.program
        parts = [struct_lines(self, d, program.constructors[d]) for d in program.structs]
        parts += [self.function(f, self.names.functions[f.symbol]) for f in program.functions]
        parts += [self._entry(entry) for entry in program.entries]
        if generating.generates(program):
            parts.append(generating.lines(self.public.keys()))
        if program.script is not None:
            parts.append(self._script(program.script))
        head = self._head()
        return "\n".join([*head, *("\n\n" + "\n".join(part) for part in parts)]) + "\n"

    def _allocate(self) -> None:
        """Names for all that stands at the top level: entries have theirs, bodies what is left."""
        public = {entry.name: self.identifiers.take(entry.name) for entry in self.program.entries}
        if generating.generates(self.program):
            for name in generating.NAMES:
                self.identifiers.take_again(name)
        # The parameter of `main` would hide a struct or a constant of this name.
        self.identifiers.take_again("args")
        for definition in self.program.structs:
            self.names.structs[definition] = self.identifiers.take(definition.symbol.replace(".", "_"))
        for function in self.program.functions:
            name = function.symbol.replace(".", "_")
            self.names.functions[function.symbol] = self.identifiers.take(name if name.startswith("_") else f"_{name}")
        for operation in self._operations():
            if operation.name == "constant" and "called" in operation.attributes:
                key = constant_key(operation)
                if key not in self.names.constants:
                    self.names.constants[key] = self.identifiers.take(operation.attributes["called"])
        self.public = public
        for function in self.program.functions:
            if function.elements:
                self.names.elements[function.symbol] = self._locals(function)[2]

    def _locals(self, function: Function) -> tuple[Identifiers, list[tuple[Value, str]], dict[ElementVariable, str]]:
        """The names of a body's scope, its parameters, and those in which it is told its type parameters."""
        local = Identifiers(frozenset(self._module_names()))
        parameters = [(v, local.take(n)) for n, v in function.parameters]
        return local, parameters, {e: local.take(e.name) for e in function.elements}

    def _operations(self) -> Iterator[Operation]:
        """Every operation that is emitted."""
        program = self.program
        functions = [*program.functions, *(e.checks for e in program.entries), *program.constructors.values()]
        for function in [*functions, *([program.script] if program.script is not None else [])]:
            yield from walk(function.body)

    public: dict[str, str] = field(default_factory=dict)

    def _head(self) -> list[str]:
        """What stands before the first definition: imports, the runtime's functions, constants."""
        program, needs = self.program, self.names.needs
        lines = [f"# {VERSION_MARK} {self.version} from {visible(program.name)}. What is changed here is lost."]
        if program.documentation:
            lines += docstring(program.documentation.splitlines(), 0)
        constants = [f"{name} = {self._carried(dtype)}" for name, dtype in _CARRIED.items() if name in needs]
        constants += [f"{name} = {literal(value).code}" for (_, _, value), name in self.names.constants.items()]
        lines += ["from __future__ import annotations", "", *self._imports()]
        if self.names.standalone:
            lines += ["", "", *standalone.source(sorted(self.names.runtime_functions))]
        else:
            lines += ["", "from tensorlogic import runtime as tl"]
        return [*lines, "", *constants] if constants else lines

    def _imports(self) -> list[str]:
        """The modules that the emitted one uses, the standard library's first."""
        needs = self.names.needs
        modules = {n.removeprefix("import ") for n in needs if n.startswith("import ")}
        modules |= {"math"} if "math" in needs else set()
        modules |= {"types"} if self.names.standalone else set()
        standard = {m for m in modules if m.split(".")[0] in standalone.STANDARD_LIBRARY}
        lines = [f"import {m}" for m in sorted(standard)]
        lines += ["from collections.abc import Callable"] if "Callable" in needs else []
        lines += ["from dataclasses import dataclass, field"] if self.program.structs else []
        others = sorted({"mlx.core as mx", *(modules - standard)})
        return [*lines, *([""] if lines else []), *(f"import {m}" for m in others)]

    def _carried(self, dtype: str) -> str:
        if self.program.strict:
            return dtype
        self.names.runtime_functions.add("carried")
        return f"tl.carried({dtype})"

    # --- functions

    def naming(self, visible: dict[ElementVariable, str], carried: dict[ElementVariable, str] | None = None) -> Naming:
        return Naming(self.names, visible, carried or {})

    def function(self, function: Function, name: str) -> list[str]:
        """A body: called with values that are checked and carried."""
        if any(o.name == "lambda" for o in walk(function.body)) or "fn(" in " ".join(
            str(v.type) for _, v in function.parameters
        ):
            self.names.needs.add("Callable")
        local, parameters, told = self._locals(function)
        keeps = self._kept.get(function.symbol, (False,) * len(parameters))
        hints = [
            f"{text}: {hint(v.type, self.names.structs, packed=self._holds_packed(v.type, kept))}"
            for (v, text), kept in zip(parameters, keeps, strict=True)
        ]
        hints += ["*", *(f"{text}: mx.Dtype" for text in told.values())] if told else []
        result = hint(function.result, self.names.structs, packed=function.symbol in self._giving)
        lines = wrapped(f"def {name}({', '.join(hints)}) -> {result}:", where(function.span))
        visible = dict(told)
        carried: dict[ElementVariable, str] = {}
        for (value, text), kept in zip(parameters, keeps, strict=True):
            visible = {**self._told_by(value.type, text), **visible}
            carried = {**self._carried_by(value.type, text, kept), **carried}
        body = self.body(function, self.naming(visible, carried), local)
        written = body.write(function.body, tuple(parameters))
        return [*lines, *written]

    @cached_property
    def _kept(self) -> Mapping[str, tuple[bool, ...]]:
        """For each function, which parameters may be packed weights."""
        return {} if self.names.standalone else kept_packed(self.program.functions, self.parameters)

    @cached_property
    def _giving(self) -> frozenset[str]:
        """The functions whose lists and tuples may hold packed weights."""
        standalone = self.names.standalone
        return frozenset() if standalone else giving_packed(self.program.functions, self._kept, self.parameters)

    def _holds_packed(self, t: Type, kept: bool) -> bool:
        """Whether what a parameter holds may be packed: it is kept so, or is a list or tuple of whatever was put in."""
        return not self.names.standalone and (kept or isinstance(t, ListType | TupleType))

    def _module_names(self) -> set[str]:
        return {*self.names.structs.values(), *self.names.functions.values(), *self.names.constants.values()}

    def body(self, function: Function, naming: Naming, local: Identifiers) -> Body:
        operations = Operations(naming, self.parameters)
        return Body(
            lower=operations.lower,
            demand=operations.demand,
            hint=lambda t: hint(t, self.names.structs),
            names=dict(function.names),
            variables=Variables(local, Liveness(function.body)),
            place=_place,
        )

    def _entry(self, entry: Entry) -> list[str]:
        function = entry.checks
        local = Identifiers(frozenset(self._module_names()))
        parameters = [(v, local.take(n)) for n, v in function.parameters]
        hints = []
        accepts = {o.operands[0] for o in function.body.operations if o.name == "accept" and "packed" in o.attributes}
        for (value, text), default in zip(parameters, entry.defaults, strict=True):
            equals = f" = {literal(default[0]).code}" if default else ""
            packed = self._holds_packed(value.type, value in accepts)
            hints.append(f"{text}: {hint(value.type, self.names.structs, packed=packed)}{equals}")
        result = hint(function.result, self.names.structs)
        lines = [f"@{self.naming({}).runtime('entry')}"]
        lines += wrapped(f"def {self.public[entry.name]}({', '.join(hints)}) -> {result}:")
        lines += docstring(entry_documentation(entry), 1)
        texts = dict(parameters)
        given = [Given(v.type, texts[v], name) for name, v in function.parameters]
        elements: dict[ElementVariable, str] = {}
        first: list[str] = []
        for element, code in read_elements(self.naming({}), given, where(function.span)).items():
            elements[element] = local.take(element.name)
            first += wrapped(f"    {elements[element]} = {code}")
        body = self.body(function, self.naming(elements), local)
        return [*lines, *first, *body.write(function.body, tuple(parameters))]

    def _script(self, function: Function) -> list[str]:
        local = Identifiers(frozenset(self._module_names() | set(self.public.values()) | {"args"}))
        body = self.body(function, self.naming({}), local)
        written = body.write(function.body, ())
        if written and written[-1] == "    return":
            written.pop()
        call = f"    {self.naming({}).runtime('run_main')}(main)"
        lines = ["def main(args: tuple[str, ...]) -> None:", *(written or ["    pass"])]
        return [*lines, "", "", 'if __name__ == "__main__":', call]

    def _carried_by(self, t: Type, text: str, kept: bool) -> dict[ElementVariable, str]:
        """Where a body finds how the values of a type parameter are carried: in the dtype that they arrived in.

        A weight is `kept` in its own type, and what a tuple holds may be.
        """
        match t:
            case TensorType(element, _) if isinstance(element, ElementVariable):
                exact = self.program.strict or self.program.standalone or not (kept and may_be_packed(t))
                return {element: f"{text}.dtype" if exact else f"{self.naming({}).runtime('carried')}({text}.dtype)"}
            case TupleType(items):
                found = [self._carried_by(item, f"{text}[{i}]", kept=True) for i, item in enumerate(items)]
                return {e: code for each in reversed(found) for e, code in each.items()}
        return {}

    def _told_by(self, t: Type, text: str) -> dict[ElementVariable, str]:
        """Where a body finds type parameters that it need not be told: structs know theirs."""
        match t:
            case TensorType() if self.program.strict:
                return self._carried_by(t, text, kept=False)
            case StructType(definition, elements, _):
                pairs = zip(definition.elements, elements, strict=True)
                return {e: f"{text}.{attribute(own.name)}" for own, e in pairs if isinstance(e, ElementVariable)}
            case OpaqueType(_, element) if isinstance(element, ElementVariable):
                return {element: f"{text}.float_type"}
            case TupleType(items):
                found = [self._told_by(item, f"{text}[{i}]") for i, item in enumerate(items)]
                return {e: code for each in reversed(found) for e, code in each.items()}
        return {}


_TOLD = frozenset(
    {"call", "extern", "method", "load_model", "load_tokenizer", "bind", "generate", "host.item", "save_model", "print"}
)
"""Operations during which run time may fail: their `.tl` line stands beside them."""


def _place(operation: Operation) -> str:
    """What is said beside a statement: its `.tl` line, where run time may fail, by itself or for a number too large."""
    makes_tensor = any(isinstance(value.type, TensorType) for value in operation.results)
    fails = operation.name in _TOLD or (makes_tensor and any(_is_open(v.type) for v in operation.operands))
    return where(operation.span) if fails else ""


def _is_open(t: Type) -> bool:
    """Whether a host number takes part that no tensor's size bounds."""
    match t:
        case IntType(value):
            return value is not None and any(v.kind in (Kind.INTEGER, Kind.UNKNOWN_INTEGER) for v in value.variables())
        case ListType(_, items) | TupleType(items):
            return any(_is_open(item) for item in items or ())
    return False


def docstring(lines: list[str], indent: int) -> list[str]:
    """A docstring of these lines."""
    space = "    " * indent
    safe = [line.rstrip().replace("\\", "\\\\").replace('"""', '\\"\\"\\"') for line in lines]
    if len(safe) == 1 and not safe[0].endswith('"'):
        return [f'{space}"""{safe[0]}"""']
    return [f'{space}"""{safe[0]}', *(f"{space}{line}".rstrip() for line in safe[1:]), f'{space}"""']


def entry_documentation(entry: Entry) -> list[str]:
    """What an entry's docstring says: the doc comment, and the declared types."""
    function, node = entry.checks, entry.signature.node
    lines = (function.documentation or f"`{entry.name}` of {where(function.span)}.").splitlines()
    if function.parameters:
        lines += ["", "Args:"]
        lines += [f"    {p.name.name}: {_on_one_line(p.type.span)}" for p in node.parameters]
    lines += ["", f"Returns: {_on_one_line(node.result.span)}"]
    for _, span in entry.signature.where:
        lines.append(f"Demands: {_on_one_line(span)}")
    return lines


def _on_one_line(span: Span) -> str:
    """What the source says, on one line."""
    return " ".join(span.text.split())


def emit(
    program: Program,
    parameters: dict[str, tuple[str, ...]],
    version: str,
    *,
    checked: bool,
    fast: bool,
    debug_nan: bool = False,
) -> str:
    """The module's text. `parameters` names the operands of each op, by its name in the table."""
    alone = program.standalone
    names = ModuleNames(
        standalone=alone, checked=checked, strict=program.strict, fast=fast, debug_nan=debug_nan and not alone
    )
    if alone:
        _refuse_models(program)
    return Emitter(program, parameters, version, names).emit()


def _refuse_models(program: Program) -> None:
    """`--standalone` has no files of the runtime: what needs them is refused by name."""
    functions = [*program.functions, *([program.script] if program.script else [])]
    for function in functions:
        for name, value in function.parameters:
            if isinstance(_plain(value.type), OpaqueType):
                message = f"`{name}` is a `{value.type}`, which a standalone module cannot have"
                raise CompileError([error("TL2021", message, function.span)])
        for operation in walk(function.body):
            if operation.name in {
                "load_model",
                "save_model",
                "load_tokenizer",
                "bind",
                "read_line",
                "generate",
                "new_cache",
                "dynamic",
            }:
                message = f"`{operation.name}` needs the runtime, which a standalone module does not have"
                raise CompileError([error("TL2021", message, operation.span)])


def _plain(t: Type) -> Type:
    return t.item if isinstance(t, OptionalType) else t


__all__ = ["VERSION_MARK", "Emitter", "emit"]
