"""What declarations say: functions' signatures and structs.

Takes declarations. Promises types over the declaration's own variables, and for a function a plan that finds every
dimension variable from the arguments. Refuses (TL1): dims, packs and type parameters that no argument tells, names
given twice.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import field

from tensorlogic.compiler.check.assumptions import Assumption, Bound, Divisible, Equation
from tensorlogic.compiler.check.plan import Parameter, Step, established, make_plan
from tensorlogic.compiler.check.refusals import fail
from tensorlogic.compiler.check.type_reader import WORDS, TypeReader
from tensorlogic.compiler.dims import Kind, Polynomial, Variable
from tensorlogic.compiler.facts import Facts
from tensorlogic.compiler.names import FileModule
from tensorlogic.compiler.records import dataclass
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.syntax import nodes
from tensorlogic.compiler.types import (
    NONE,
    ElementVariable,
    FunctionType,
    IntType,
    ListType,
    OptionalType,
    PackVariable,
    StructDefinition,
    Type,
    sizes_in,
)


@dataclass(frozen=True, eq=False)
class Signature:
    """A function's declared types. `op` names an entry of the op table for a function of the prelude without body.

    `places` says where each dimension variable is named first.
    """

    name: str
    symbol: str
    module: FileModule
    node: nodes.FunctionDeclaration
    parameters: tuple[Parameter, ...]
    result: Type
    names: dict[str, Polynomial]
    elements: dict[str, ElementVariable]
    packs: dict[str, PackVariable]
    variables: tuple[Variable, ...]
    where: tuple[tuple[Assumption, Span], ...]
    facts: Facts
    plan: tuple[Step, ...] = ()
    op: str | None = None
    places: Mapping[str, Span] = field(default_factory=dict)

    @property
    def takes_functions(self) -> bool:
        return any(isinstance(p.type, FunctionType) for p in self.parameters)


def read_signature(reader: TypeReader, node: nodes.FunctionDeclaration, symbol: str, op: str | None) -> Signature:
    """A function's signature with its plan."""
    reader.declares = True
    refuse_doubles((p.name for p in node.parameters), "parameters")
    _read_type_parameters(reader, node.type_parameters)
    sizes = _names_of_dims(node) if op is None else set()
    for p in node.parameters:
        if _is_int(p.type):
            kind = Kind.SIZE if p.name.name in sizes else Kind.INTEGER
            reader.names[p.name.name] = Polynomial.of(Variable(p.name.name, kind))
    written = {p.name.name: p.type.span.text for p in node.parameters if not _is_int(p.type)}
    reader.no_int = written.get
    for p in node.parameters:
        _declare_unknowns(reader, p.type)
    where = _read_where(reader, node)
    parameters: list[Parameter] = []
    for p in node.parameters:
        type = IntType(reader.names[p.name.name]) if _is_int(p.type) else reader.read(p.type)
        parameters.append(Parameter(p.name.name, type, p.default, p.name.span))
    before_result = dict(reader.names)
    if op is None:
        _refuse_unused_elements(reader, node)
    result = _read_result(reader, node, op)
    variables = tuple(v for p in reader.names.values() for v in p.variables())
    plan, missing = make_plan(parameters, variables)
    free = [v for v in missing if not _of_function_type(v, parameters) and v.name in before_result]
    if free and op is None:
        names = ", ".join(f"`{v.name}`" for v in free)
        span = reader.declared.get(free[0].name, node.name.span)
        known = [name for name in before_result if name not in {v.name for v in free}]
        near = difflib.get_close_matches(free[0].name, known, 1)
        fail(
            "TL1010",
            f"{names} cannot be found from the arguments of `{node.name.name}`",
            span,
            helps=[*(f"did you mean `{n}`?" for n in near), f"add a parameter `{free[0].name}: int`"],
        )
    return Signature(
        name=node.name.name,
        symbol=symbol,
        module=reader.module,
        node=node,
        parameters=tuple(parameters),
        result=result,
        names=dict(reader.names),
        elements=dict(reader.elements),
        packs=dict(reader.packs),
        variables=variables,
        where=where,
        facts=established(reader.facts, parameters, plan),
        plan=plan,
        op=op,
        places=dict(reader.places),
    )


def _read_type_parameters(reader: TypeReader, written: tuple[nodes.TypeParameter, ...]) -> None:
    refuse_doubles((p.name for p in written), "type parameters")
    for parameter in written:
        if parameter.bound.name not in ("float", "any"):
            fail("TL1013", "a type parameter is `float` or `any`", parameter.bound.span)
        reader.elements[parameter.name.name] = ElementVariable(parameter.name.name, parameter.bound.name)


def _read_result(reader: TypeReader, node: nodes.FunctionDeclaration, op: str | None) -> Type:
    """The result's type, in which no dim and no pack stands for the first time."""
    if node.result is None:
        return NONE
    names, packs, anonymous = dict(reader.names), dict(reader.packs), len(reader.anonymous_packs)
    _declare_unknowns(reader, node.result)
    result = reader.read(node.result)
    _refuse_result_only(reader.declared, names)
    if op is None:
        _refuse_result_only(reader.declared_packs, packs, "...")
        for span in reader.anonymous_packs[anonymous:]:
            fail(
                "TL1009",
                "`...` in a result stands for the dims of no argument",
                span,
                helps=["name the pack here and at the argument that has its dims: `...B`"],
            )
    return result


def _refuse_unused_elements(reader: TypeReader, node: nodes.FunctionDeclaration) -> None:
    for parameter in node.type_parameters:
        if reader.elements[parameter.name.name] not in reader.elements_used:
            fail(
                "TL1010",
                f"`{parameter.name.name}` cannot be found from the arguments of `{node.name.name}`",
                parameter.name.span,
                "no argument has this element type",
            )


def _names_of_dims(node: nodes.FunctionDeclaration) -> set[str]:
    """The names that stand as a dim of their own in a signature: such an `int` is at least 1, as every dim is."""
    written = [d for p in node.parameters for d in _dims_written(p.type)] + _dims_written(node.result)
    return {dim.name for dim in written if isinstance(dim, nodes.Name)}


def _declare_unknowns(reader: TypeReader, node: nodes.TypeExpression | None) -> None:
    """Each `?S` of a type, so that `S` is the same wherever it stands, before it or in a `where`."""
    for dim in _dims_written(node):
        if isinstance(dim, nodes.UnknownDim) and dim.name is not None:
            reader.dim(dim)


def _dims_written(node: nodes.TypeExpression | None) -> list[nodes.Dim]:
    """The dims between the brackets of a type, those of function types left out."""
    match node:
        case nodes.NamedType(dims=dims):
            return list(dims or ())
        case nodes.TupleType(items=items):
            return [dim for item in items for dim in _dims_written(item)]
        case nodes.ListType(item=item) | nodes.OptionalType(item=item):
            return _dims_written(item)
    return []


def _is_int(node: nodes.TypeExpression) -> bool:
    return isinstance(node, nodes.NamedType) and node.name.name == "int" and node.dims is None


def _read_where(reader: TypeReader, node: nodes.FunctionDeclaration) -> tuple[tuple[Assumption, Span], ...]:
    gathered: list[tuple[Assumption, Span]] = []
    # Each part holds for all of them, wherever it stands: what makes a division exact is read before the division.
    for fact in sorted(node.where, key=lambda f: not _is_divisibility(f.condition)):
        for assumption in reader.fact(fact.condition):
            gathered.append((assumption, fact.span))
            reader.facts = assumed(reader.facts, assumption)
    return tuple(gathered)


def _is_divisibility(node: nodes.Expression) -> bool:
    return isinstance(node, nodes.Binary) and isinstance(node.left, nodes.Binary) and node.left.operator == "%"


def assumed(facts: Facts, assumption: Assumption) -> Facts:
    """The facts with one more about dims."""
    match assumption:
        case Bound():
            return facts.with_bound(assumption.difference)
        case Equation(left, right):
            return facts.with_equation(left, right)
        case Divisible(value, divisor):
            return facts.with_divisibility(value, divisor)
    return facts


def refuse_doubles(names: Iterable[nodes.Identifier], what: str) -> None:
    """Refuse two equal names where several are declared together."""
    seen: dict[str, Span] = {}
    for name in names:
        if name.name in seen:
            fail("TL1003", f"two {what} are called `{name.name}`", name.span, others=[(seen[name.name], "the first")])
        seen[name.name] = name.span


def _refuse_result_only(declared: Mapping[str, Span], before: Mapping[str, object], mark: str = "") -> None:
    """`mark` stands before the names: `...` for packs."""
    for name, span in declared.items():
        if name in before:
            continue
        near = difflib.get_close_matches(name, before, 1, 0.5)
        chosen = [] if mark else [f"`?{name}` says that the function chooses this size"]
        fail(
            "TL1009",
            f"`{mark}{name}` occurs only in the result type",
            span,
            "no argument has these dims" if mark else "no argument has this dim",
            helps=[f"did you mean `{mark}{n}`?" for n in near] or chosen,
        )


def _of_function_type(variable: Variable, parameters: list[Parameter]) -> bool:
    """Whether a variable occurs in the type of a function that is an argument: binding finds it at the call."""
    functions = [p.type for p in parameters if isinstance(p.type, FunctionType)]
    return any(variable in size.variables() for t in functions for size in sizes_in(t))


def read_struct(reader: TypeReader, node: nodes.StructDeclaration, symbol: str) -> StructDefinition:
    """A struct's fields over its own parameters."""
    if node.name.name in WORDS:
        fail("TL1002", f"`{node.name.name}` is a type of the language", node.name.span)
    _read_type_parameters(reader, node.type_parameters)
    refuse_doubles(node.dims, "dims")
    variables = tuple(Variable(d.name, Kind.RIGID) for d in node.dims)
    reader.names.update({v.name: Polynomial.of(v) for v in variables})
    fields: dict[str, Type] = {}
    keys: dict[str, tuple[str, ...]] = {}
    for f in node.fields:
        if f.name.name in fields:
            first = next(other.name.span for other in node.fields if other.name.name == f.name.name)
            message = f"`{node.name.name}` has two fields `{f.name.name}`"
            fail("TL2014", message, f.name.span, others=[(first, "the first")])
        if f.name.name in reader.names:
            dim = next(d.span for d in node.dims if d.name == f.name.name)
            message = f"`{f.name.name}` is a dim of `{node.name.name}` already"
            fail("TL2014", message, f.name.span, others=[(dim, "the dim")])
        fields[f.name.name] = reader.read(f.type)
        keys[f.name.name] = _keys(f, fields[f.name.name])
    return StructDefinition(
        name=node.name.name,
        elements=tuple(reader.elements.values()),
        dims=variables,
        fields=fields,
        keys=keys,
        node=node,
        module=reader.module,
        symbol=symbol,
    )


def _keys(field: nodes.Field, type: Type) -> tuple[str, ...]:
    """A field's keys in a model: its name where none is written. Those of a list, and no others, count its items."""
    inner = type.item if isinstance(type, OptionalType) else type
    listed = isinstance(inner, ListType)
    if not field.keys:
        return (f"{field.name.name}.{{i}}" if listed else field.name.name,)
    for key in field.keys:
        unknown = [part for part in re.findall(r"\{[^{}]*\}", key) if part != "{i}"]
        if unknown:
            told = f"`{unknown[0]}` in the key of `{field.name.name}` stands for nothing"
            fail("TL2014", told, field.span, notes=["`{i}` in a key stands for the index of a list's item"])
        if listed and "{i}" not in key:
            told = f"the key of the list `{field.name.name}` does not say where an item's index goes"
            fail("TL2014", told, field.span, str(type), helps=[f'`"{key}.{{i}}"` has it at the end'])
        if not listed and "{i}" in key:
            told = f"`{{i}}` in the key of `{field.name.name}` counts the items of a list, and this is none"
            fail("TL2014", told, field.span, str(type))
    return field.keys
