"""What declarations say: types written in the program, functions' signatures, structs.

Takes type expressions. Promises types over the signature's own variables, and for a function a plan that finds every
dimension variable from the arguments (`Step`), which binding, bodies and entries all follow. Refuses (TL1, TL2): names
that are no types, dims that occur only in the result, signatures whose variables cannot be found, inexact division.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, field

from tensorlogic.compiler import dims
from tensorlogic.compiler.check.context import Assumption, Bound, Divisible, Equation, Failure, fail
from tensorlogic.compiler.dims import HOLE, Kind, Polynomial, Variable
from tensorlogic.compiler.facts import Facts
from tensorlogic.compiler.names import ConstantSymbol, FileModule, FunctionSymbol, StructSymbol
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.syntax import nodes
from tensorlogic.compiler.types import (
    BOOL,
    BOOLEAN,
    ELEMENT_TYPES,
    FLOAT,
    FLOAT16,
    NONE,
    STRING,
    DeviceType,
    Element,
    ElementType,
    ElementTypeType,
    ElementVariable,
    FunctionType,
    IntType,
    ListType,
    OpaqueType,
    OptionalType,
    PackVariable,
    Shape,
    StructDefinition,
    StructType,
    TensorType,
    TupleType,
    Type,
)

HOST_TYPES: dict[str, Type] = {
    "int": IntType(),
    "float": FLOAT,
    "bool": BOOLEAN,
    "string": STRING,
    "dtype": ElementTypeType(),
    "device": DeviceType(),
    "axes": OpaqueType("axes"),
    "Model": OpaqueType("Model"),
    "Tokenizer": OpaqueType("Tokenizer"),
    "KVCache": OpaqueType("KVCache"),
}


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    type: Type
    default: nodes.Expression | None
    span: Span


@dataclass(frozen=True, slots=True)
class Place:
    """Where a number is found in an argument: `steps` lead to it, the last one to the number itself.

    A step is `("item", i)`, `("dim", axis)` (counted from the right), `("parameter", name)` of a struct, or none at
    all for an argument that is an `int`.
    """

    parameter: int
    steps: tuple[tuple[str, int | str], ...]
    polynomial: Polynomial


@dataclass(frozen=True, slots=True)
class Step:
    """`variable` is `numerator / denominator`, where `stand_in` is the number at `place`."""

    variable: Variable
    place: Place
    stand_in: Variable
    numerator: Polynomial
    denominator: Polynomial


@dataclass(frozen=True, eq=False)
class Signature:
    """A function's declared types. `op` names an entry of the op table for a function of the prelude without body."""

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

    @property
    def takes_functions(self) -> bool:
        return any(isinstance(p.type, FunctionType) for p in self.parameters)


@dataclass
class TypeReader:
    """Reads types in one signature, struct or body.

    `names` are the dims that are visible; with `declares`, an unknown name becomes a dimension variable.
    """

    module: FileModule
    constant: Callable[[ConstantSymbol], int | None]
    struct: Callable[[StructSymbol], StructDefinition]
    prelude: FileModule
    names: dict[str, Polynomial] = field(default_factory=dict)
    elements: dict[str, ElementVariable] = field(default_factory=dict)
    packs: dict[str, PackVariable] = field(default_factory=dict)
    outer: Callable[[str], Polynomial | None] = lambda name: None
    declares: bool = False
    facts: Facts = field(default_factory=Facts)
    declared: dict[str, Span] = field(default_factory=dict)

    # --- types

    def read(self, node: nodes.TypeExpression) -> Type:
        match node:
            case nodes.NamedType():
                return self._named(node)
            case nodes.TupleType(items=items):
                return TupleType(tuple(self.read(item) for item in items))
            case nodes.ListType(item=item):
                return ListType(self.read(item))
            case nodes.OptionalType(item=item):
                return OptionalType(self.read(item))
            case nodes.FunctionType(parameters=parameters, result=result):
                return FunctionType(tuple(self.read(p) for p in parameters), self.read(result))
        raise Failure

    def _named(self, node: nodes.NamedType) -> Type:
        name = node.name.name
        if name in self.elements or name in ELEMENT_TYPES:
            if node.dims is not None:
                return TensorType(self.element(node), self._shape(node.dims))
            if name == "bool":
                return BOOLEAN
            fail(
                "TL1013",
                f"`{name}` is an element type; a tensor's type has a shape",
                node.span,
                helps=[f"`{name}[]` is a scalar tensor, `{name}[N]` a vector"],
            )
        if name in HOST_TYPES:
            if node.dims is not None:
                helps = {"int": ["`int32[...]` is a tensor of integers"], "float": ["`float16[...]` is a tensor"]}
                fail("TL1013", f"`{name}` takes no shape", node.span, helps=helps.get(name, []))
            return HOST_TYPES[name]
        symbol = self.module.scope.get(name)
        if isinstance(symbol, StructSymbol):
            return self._struct_type(node, self.struct(symbol))
        known = [*ELEMENT_TYPES, *HOST_TYPES, *self.elements]
        known += [n for n, s in self.module.scope.items() if isinstance(s, StructSymbol)]
        near = difflib.get_close_matches(name, known, 1)
        fail("TL1013", f"there is no type `{name}`", node.name.span, helps=[f"did you mean `{n}`?" for n in near])

    def element(self, node: nodes.TypeExpression) -> Element:
        """The element type that a name stands for."""
        if isinstance(node, nodes.NamedType):
            name = node.name.name
            if name in self.elements:
                return self.elements[name]
            if name in ELEMENT_TYPES:
                return ELEMENT_TYPES[name]
        fail("TL1013", f"`{node.span.text}` is not an element type", node.span, helps=[", ".join(ELEMENT_TYPES)])

    def _struct_type(self, node: nodes.NamedType, definition: StructDefinition) -> Type:
        if node.type_arguments and len(node.type_arguments) != len(definition.elements):
            fail(
                "TL2004",
                f"`{definition.name}` takes {len(definition.elements)} element types, not {len(node.type_arguments)}",
                node.span,
            )
        if node.type_arguments:
            elements = tuple(self.element(argument) for argument in node.type_arguments)
        else:
            elements = tuple(FLOAT16 for _ in definition.elements)
        written = node.dims or ()
        if len(written) != len(definition.dims):
            names = ", ".join(d.name for d in definition.dims)
            fail(
                "TL2004",
                f"`{definition.name}` takes {len(definition.dims)} dims, not {len(written)}",
                node.span,
                helps=[f"`{definition.name}[{names}]`"] if names else [],
            )
        shape = self._shape(written)
        if shape.pack is not None:
            fail("TL1013", "a struct takes no pack", node.span)
        return StructType(definition, elements, shape.dims)

    # --- dims

    def _shape(self, written: tuple[nodes.Dim, ...]) -> Shape:
        pack: PackVariable | None = None
        sizes: list[Polynomial] = []
        for position, dim in enumerate(written):
            if isinstance(dim, nodes.Pack):
                if position:
                    fail("TL1013", "a pack comes first, and there is at most one", dim.span)
                pack = self._pack(dim)
            else:
                sizes.append(self.dim(dim))
        return Shape(pack, tuple(sizes))

    def _pack(self, node: nodes.Pack) -> PackVariable:
        if node.name is None:
            return PackVariable(unknown=not self.declares)
        name = node.name.name
        if name not in self.packs:
            if not self.declares:
                fail("TL1001", f"there is no pack `...{name}` in this signature", node.span)
            self.packs[name] = PackVariable(name)
        return self.packs[name]

    def dim(self, node: nodes.Dim) -> Polynomial:
        match node:
            case nodes.UnknownDim(name=None):
                return Polynomial.of(HOLE)
            case nodes.UnknownDim(name=nodes.Identifier(name=name)):
                if name not in self.names:
                    self.names[name] = Polynomial.of(Variable(name, Kind.UNKNOWN))
                return self.names[name]
            case nodes.IntegerLiteral(value=value):
                return Polynomial.of(value)
            case nodes.Name(name=name):
                return self._dim_name(name, node.span)
            case nodes.Binary(operator=operator) if operator in ("+", "-", "*", "/"):
                return self._arithmetic(node)
        fail("TL1013", "a dim is made of integers, names and `+ - * /`", node.span)

    def _arithmetic(self, node: nodes.Binary) -> Polynomial:
        left, right = self.dim(node.left), self.dim(node.right)
        match node.operator:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                return left * right
        exact = self.facts.divided(left, right)
        if exact is None:
            fail(
                "TL3012",
                f"cannot prove that `{left} / {right}` is exact",
                node.span,
                helps=[f"add `where {left} % {right} == 0`"],
            )
        # The rational form is kept where there is one: a call can solve it.
        rational = dims.quotient(left, right)
        return exact if rational is None else rational

    def _dim_name(self, name: str, span: Span) -> Polynomial:
        visible = self.names.get(name) or self.outer(name)
        if visible is not None:
            return visible
        symbol = self.module.scope.get(name)
        if isinstance(symbol, ConstantSymbol):
            value = self.constant(symbol)
            if value is None:
                fail("TL1013", f"the constant `{name}` is not an int", span)
            return Polynomial.of(value)
        if not self.declares:
            near = difflib.get_close_matches(name, self.names, 1)
            fail("TL1001", f"there is no dim `{name}` here", span, helps=[f"did you mean `{n}`?" for n in near])
        self.names[name] = Polynomial.of(Variable(name, Kind.RIGID))
        self.declared[name] = span
        return self.names[name]

    # --- facts

    def fact(self, node: nodes.Expression) -> list[Assumption]:
        """What one conjunct of a `where` says."""
        if isinstance(node, nodes.Binary):
            left, right = node.left, node.right
            match node.operator:
                case "==" if isinstance(left, nodes.Binary) and left.operator == "%":
                    if not (isinstance(right, nodes.IntegerLiteral) and right.value == 0):
                        fail("TL1013", "`%` is compared with 0 in a `where`", node.span)
                    return [Divisible(self.dim(left.left), self.dim(left.right))]
                case "==":
                    return [Equation(self.dim(left), self.dim(right))]
                case "<=":
                    return [Bound(self.dim(left), self.dim(right))]
                case "<":
                    return [Bound(self.dim(left), self.dim(right), strict=True)]
                case ">=":
                    return [Bound(self.dim(right), self.dim(left))]
                case ">":
                    return [Bound(self.dim(right), self.dim(left), strict=True)]
        fail(
            "TL1013",
            "a `where` is made of `p == q`, `p <= q`, `p < q` and `p % q == 0`, joined by `and`",
            node.span,
        )


def read_signature(reader: TypeReader, node: nodes.FunctionDeclaration, symbol: str, op: str | None) -> Signature:
    """A function's signature with its plan."""
    reader.declares = True
    for type_parameter in node.type_parameters:
        if type_parameter.bound.name not in ("float", "any"):
            fail("TL1013", "a type parameter is `float` or `any`", type_parameter.bound.span)
        reader.elements[type_parameter.name.name] = ElementVariable(type_parameter.name.name, type_parameter.bound.name)
    for p in node.parameters:
        if isinstance(p.type, nodes.NamedType) and p.type.name.name == "int" and p.type.dims is None:
            reader.names[p.name.name] = Polynomial.of(Variable(p.name.name, Kind.INTEGER))
    where = _read_where(reader, node)
    parameters: list[Parameter] = []
    for p in node.parameters:
        type = IntType(reader.names[p.name.name]) if _is_int(p.type) else reader.read(p.type)
        parameters.append(Parameter(p.name.name, type, p.default, p.name.span))
    _refuse_doubles(node)
    before_result = dict(reader.names)
    result = NONE if node.result is None else reader.read(node.result)
    _refuse_result_only(reader, before_result)
    variables = tuple(v for p in reader.names.values() for v in p.variables())
    plan, missing = make_plan(parameters, variables)
    free = [v for v in missing if not _of_function_type(v, parameters) and v.name in before_result]
    if free and op is None:
        names = ", ".join(f"`{v.name}`" for v in free)
        span = reader.declared.get(free[0].name, node.name.span)
        fail(
            "TL1010",
            f"{names} cannot be found from the arguments of `{node.name.name}`",
            span,
            helps=[f"add a parameter `{free[0].name}: int`"],
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
        facts=reader.facts,
        plan=plan,
        op=op,
    )


def _is_int(node: nodes.TypeExpression) -> bool:
    return isinstance(node, nodes.NamedType) and node.name.name == "int" and node.dims is None


def _read_where(reader: TypeReader, node: nodes.FunctionDeclaration) -> tuple[tuple[Assumption, Span], ...]:
    gathered: list[tuple[Assumption, Span]] = []
    for fact in node.where:
        for assumption in reader.fact(fact.condition):
            gathered.append((assumption, fact.span))
            reader.facts = assumed(reader.facts, assumption)
    return tuple(gathered)


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


def _refuse_doubles(node: nodes.FunctionDeclaration) -> None:
    seen: dict[str, Span] = {}
    for p in node.parameters:
        if p.name.name in seen:
            fail(
                "TL1003",
                f"two parameters are called `{p.name.name}`",
                p.name.span,
                others=[(seen[p.name.name], "the first")],
            )
        seen[p.name.name] = p.name.span


def _refuse_result_only(reader: TypeReader, before: dict[str, Polynomial]) -> None:
    for name, span in reader.declared.items():
        if name in before:
            continue
        near = difflib.get_close_matches(name, before, 1, 0.5)
        fail(
            "TL1009",
            f"`{name}` occurs only in the result type",
            span,
            "no argument has this dim",
            helps=[f"did you mean `{n}`?" for n in near] or [f"`?{name}` says that the function chooses this size"],
        )


def _of_function_type(variable: Variable, parameters: list[Parameter]) -> bool:
    """Whether a variable occurs in the type of a function that is an argument: binding finds it at the call."""

    def occurs(t: Type) -> bool:
        match t:
            case TensorType(_, shape):
                return any(variable in d.variables() for d in shape.dims)
            case FunctionType(inner, result):
                return occurs(result) or any(occurs(i) for i in inner)
        return False

    return any(isinstance(p.type, FunctionType) and occurs(p.type) for p in parameters)


# --- the plan


def places_of(type: Type, parameter: int, steps: tuple[tuple[str, int | str], ...] = ()) -> list[Place]:
    """The numbers that can be read off an argument of a type."""
    match type:
        case IntType(value) if value is not None:
            return [Place(parameter, steps, value)]
        case TensorType(_, shape):
            count = len(shape.dims)
            return [Place(parameter, (*steps, ("dim", i - count)), d) for i, d in enumerate(shape.dims)]
        case StructType(definition, _, sizes):
            return [
                Place(parameter, (*steps, ("parameter", v.name)), d)
                for v, d in zip(definition.dims, sizes, strict=True)
            ]
        case TupleType(items):
            return [p for i, item in enumerate(items) for p in places_of(item, parameter, (*steps, ("item", i)))]
        case ListType(item, _):
            return places_of(item, parameter, (*steps, ("item", 0)))
    return []


def make_plan(parameters: list[Parameter], variables: tuple[Variable, ...]) -> tuple[tuple[Step, ...], list[Variable]]:
    """How each variable is found, ints first, then by repeating; and the variables that cannot be found."""
    places = [place for i, p in enumerate(parameters) for place in places_of(p.type, i)]
    places.sort(key=lambda place: (bool(place.steps), ("item", 0) in place.steps))
    known: set[Variable] = set()
    steps: list[Step] = []
    changed = True
    while changed:
        changed = False
        for place in places:
            unbound = [v for v in place.polynomial.variables() if v not in known and v is not HOLE]
            if len(unbound) != 1:
                continue
            stand_in = Variable(parameters[place.parameter].name, Kind.RIGID)
            solved = dims.solve(place.polynomial - Polynomial.of(stand_in), unbound[0])
            if solved is None:
                continue
            steps.append(Step(unbound[0], place, stand_in, *solved))
            known.add(unbound[0])
            changed = True
    return tuple(steps), [v for v in variables if v not in known and v.definition is None]


# --- structs


def read_struct(reader: TypeReader, node: nodes.StructDeclaration, symbol: str) -> StructDefinition:
    """A struct's fields over its own parameters."""
    for type_parameter in node.type_parameters:
        reader.elements[type_parameter.name.name] = ElementVariable(type_parameter.name.name, type_parameter.bound.name)
    variables = tuple(Variable(d.name, Kind.RIGID) for d in node.dims)
    reader.names.update({v.name: Polynomial.of(v) for v in variables})
    fields: dict[str, Type] = {}
    keys: dict[str, tuple[str, ...]] = {}
    for f in node.fields:
        if f.name.name in fields:
            fail("TL2014", f"`{node.name.name}` has two fields `{f.name.name}`", f.name.span)
        if f.name.name in reader.names:
            fail("TL2014", f"`{f.name.name}` is a dim of `{node.name.name}` already", f.name.span)
        fields[f.name.name] = reader.read(f.type)
        keys[f.name.name] = f.keys or (f.name.name,)
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


__all__ = [
    "BOOL",
    "ElementType",
    "FunctionSymbol",
    "Parameter",
    "Place",
    "Signature",
    "Step",
    "TypeReader",
    "assumed",
    "make_plan",
    "read_signature",
    "read_struct",
]
