"""Types as they are written: in signatures, structs and bodies.

Takes type expressions. Promises types over the dims, packs and type parameters that are visible where they stand; in
a signature a name that nothing else has becomes a dimension variable. Refuses (TL1, TL2, TL3): names that are no types,
names that are no dims, division that is not provably exact, packs out of place.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from dataclasses import field
from typing import NoReturn

from tensorlogic.compiler import dims
from tensorlogic.compiler.check import clauses
from tensorlogic.compiler.check.assumptions import Assumption, Bound, Divisible, Equation
from tensorlogic.compiler.check.refusals import Failure, fail
from tensorlogic.compiler.dims import HOLE, Kind, Polynomial, Variable
from tensorlogic.compiler.facts import Facts
from tensorlogic.compiler.names import BrokenSymbol, ConstantSymbol, FileModule, StructSymbol
from tensorlogic.compiler.ops.sizes import LARGEST_DIM
from tensorlogic.compiler.records import dataclass
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.syntax import nodes
from tensorlogic.compiler.types import (
    BOOLEAN,
    ELEMENT_TYPES,
    FLOAT,
    FLOAT16,
    STRING,
    DeviceType,
    Element,
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

LONGEST = 1024
"""How many terms a dim may have."""

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

WORDS = frozenset({*ELEMENT_TYPES, "int", "float", "string", "dtype", "device", "axes"})
"""Types of the language that no struct may be called; the names of opaque types may be taken, as the prelude's."""


@dataclass
class TypeReader:
    """Reads types in one signature, struct or body.

    `names` are the dims that are visible; with `declares`, an unknown name becomes a dimension variable, and where it
    stood is kept in `declared`. `places` has the dims named `?S` too. `outer` gives the ints of a body, `no_int` what
    a visible name is that is no int. `own` are the variables that a `where` can speak of; None in a signature, whose
    `where` can name them all.
    """

    module: FileModule
    constant: Callable[[ConstantSymbol], int | None]
    struct: Callable[[StructSymbol], StructDefinition]
    prelude: FileModule
    names: dict[str, Polynomial] = field(default_factory=dict)
    elements: dict[str, ElementVariable] = field(default_factory=dict)
    packs: dict[str, PackVariable] = field(default_factory=dict)
    outer: Callable[[str], Polynomial | None] = lambda name: None
    no_int: Callable[[str], str | None] = lambda name: None
    declares: bool = False
    own: frozenset[Variable] | None = None
    facts: Facts = field(default_factory=Facts)
    declared: dict[str, Span] = field(default_factory=dict)
    places: dict[str, Span] = field(default_factory=dict)
    declared_packs: dict[str, Span] = field(default_factory=dict)
    anonymous_packs: list[Span] = field(default_factory=list)
    elements_used: set[ElementVariable] = field(default_factory=set)

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
        symbol = self.module.scope.get(name)
        if name in HOST_TYPES and not isinstance(symbol, StructSymbol):
            if node.dims is not None:
                helps = {"int": ["`int32[...]` is a tensor of integers"], "float": ["`float16[...]` is a tensor"]}
                fail("TL1013", f"`{name}` takes no shape", node.span, helps=helps.get(name, []))
            return self._host_type(node)
        if isinstance(symbol, StructSymbol):
            return self._struct_type(node, self.struct(symbol))
        if isinstance(symbol, BrokenSymbol):
            raise Failure
        if name == "float64":
            most = "`float64` exists in files only: `float32` is the most precise type of a program"
            fail("TL1013", "there is no type `float64`", node.name.span, helps=[most])
        known = [*ELEMENT_TYPES, *HOST_TYPES, *self.elements]
        known += [n for n, s in self.module.scope.items() if isinstance(s, StructSymbol)]
        fail("TL1013", f"there is no type `{name}`", node.name.span, helps=_near(name, known))

    def _host_type(self, node: nodes.NamedType) -> Type:
        """A type without a shape; a model's is told the type of its floats, `Model<T>`."""
        name, written = node.name.name, node.type_arguments
        if not written:
            return HOST_TYPES[name]
        if name != "Model":
            fail("TL1013", f"`{name}` takes no element type", node.span)
        if len(written) != 1:
            fail("TL2004", f"`Model` takes 1 element type, not {len(written)}", node.span)
        element = self.element(written[0])
        if element.kind != "float":
            fail("TL2001", f"the floats of a model are a float type, not {element}", written[0].span)
        return OpaqueType(name, element)

    def element(self, node: nodes.TypeExpression) -> Element:
        """The element type that a name stands for."""
        if isinstance(node, nodes.NamedType):
            name = node.name.name
            if name in self.elements:
                self.elements_used.add(self.elements[name])
                return self.elements[name]
            if name in ELEMENT_TYPES:
                return ELEMENT_TYPES[name]
        fail("TL1013", f"`{node.span.text}` is not an element type", node.span, helps=[", ".join(ELEMENT_TYPES)])

    def _struct_type(self, node: nodes.NamedType, definition: StructDefinition) -> Type:
        elements = self._struct_elements(node, definition)
        written = node.dims or ()
        if len(written) != len(definition.dims):
            names = ", ".join(d.name for d in definition.dims)
            fail(
                "TL2004",
                f"`{definition.name}` takes {_count(len(definition.dims), 'dim')}, not {len(written)}",
                node.span,
                helps=[f"`{definition.name}[{names}]`"] if names else [],
            )
        shape = self._shape(written)
        if shape.pack is not None:
            fail("TL1013", "a struct takes no pack", node.span)
        return StructType(definition, elements, shape.dims)

    def _struct_elements(self, node: nodes.NamedType, definition: StructDefinition) -> tuple[Element, ...]:
        written = node.type_arguments
        if not written:
            return tuple(FLOAT16 for _ in definition.elements)
        if len(written) != len(definition.elements):
            takes = _count(len(definition.elements), "element type")
            fail("TL2004", f"`{definition.name}` takes {takes}, not {len(written)}", node.span)
        elements = tuple(self.element(argument) for argument in written)
        for parameter, element, place in zip(definition.elements, elements, written, strict=True):
            if parameter.bound == "float" and element.kind != "float":
                message = f"`{parameter}` of `{definition.name}` is a float type, not {element}"
                fail("TL2001", message, place.span)
        return elements

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
                sizes.append(self._size(dim))
        return Shape(pack, tuple(sizes))

    def _size(self, node: nodes.Dim) -> Polynomial:
        size = self.dim(node)
        if size.constant is not None and size.constant < 0:
            fail("TL1013", f"`{node.span.text}` is {size}: a dim is at least 0", node.span)
        if size.constant is not None and size.constant > LARGEST_DIM:
            fail("TL1013", f"`{node.span.text}` is {size}: a dim is at most {LARGEST_DIM}", node.span)
        return size

    def _pack(self, node: nodes.Pack) -> PackVariable:
        if node.name is None:
            self.anonymous_packs.append(node.span)
            return PackVariable(unknown=not self.declares)
        name = node.name.name
        if name not in self.packs:
            if not self.declares:
                near = [f"did you mean `...{n}`?" for n in difflib.get_close_matches(name, self.packs, 1)]
                fail("TL1001", f"there is no pack `...{name}` here", node.span, helps=near)
            self.packs[name] = PackVariable(name)
            self.declared_packs[name] = node.span
        return self.packs[name]

    def dim(self, node: nodes.Dim) -> Polynomial:
        match node:
            case nodes.UnknownDim(name=None):
                return Polynomial.of(HOLE)
            case nodes.UnknownDim(name=nodes.Identifier(name=name)):
                if name not in self.names:
                    if not self.declares:
                        helps = ["`?` is a size that only run time knows"]
                        fail("TL1001", f"there is no dim `{name}` here", node.span, helps=helps)
                    self.names[name] = Polynomial.of(Variable(name, Kind.UNKNOWN))
                    self.places[name] = node.span
                return self.names[name]
            case nodes.IntegerLiteral(value=value):
                return Polynomial.of(value)
            case nodes.Name(name=name):
                return self._dim_name(name, node.span)
            case nodes.Binary(operator=operator) if operator in ("+", "-", "*", "/"):
                return self._arithmetic(node)
            case nodes.ErrorExpression():
                raise Failure
        fail("TL1013", "a dim is made of integers, names and `+ - * /`", node.span)

    def _arithmetic(self, node: nodes.Binary) -> Polynomial:
        left, right = self.dim(node.left), self.dim(node.right)
        match node.operator:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                if len(left.terms) * len(right.terms) > LONGEST:
                    fail("TL0104", "this dim is too long", node.span)
                return left * right
        exact = self.facts.divided(left, right)
        if exact is None:
            self._refuse_division(left, right, node.span)
        # The rational form is kept where there is one: a call can solve it.
        rational = dims.quotient(left, right)
        return exact if rational is None else rational

    def _refuse_division(self, left: Polynomial, right: Polynomial, span: Span) -> NoReturn:
        if not right.terms:
            fail("TL3012", "a dim is not divided by 0", span)
        if left.constant is not None and right.constant is not None:
            fail("TL3012", f"`{left} / {right}` is not exact", span)
        own = self.own if self.own is not None else {v for p in (left, right) for v in p.variables()}
        offered = clauses.nameable((left, right), own)
        helps = [f"add `where {clauses.divisible(left, right)}`"] if offered else []
        if self.own is None and not self.declares:
            helps = ["a struct has no `where`: name the quotient in its brackets, and say the other dims by it"]
        fail("TL3012", f"cannot prove that `{left} / {right}` is exact", span, helps=helps)

    def _dim_name(self, name: str, span: Span) -> Polynomial:
        visible = self.names.get(name) or self.outer(name)
        if visible is not None:
            return visible
        other = self.no_int(name)
        if other is not None:
            fail("TL1013", f"`{name}` is `{other}`: a dim is an int", span)
        symbol = self.module.scope.get(name)
        if isinstance(symbol, BrokenSymbol):
            raise Failure
        if isinstance(symbol, ConstantSymbol):
            value = self.constant(symbol)
            if value is None:
                fail("TL1013", f"the constant `{name}` is not an int", span)
            return Polynomial.of(value)
        if not self.declares:
            fail("TL1001", f"there is no dim `{name}` here", span, helps=_near(name, self.names))
        self.names[name] = Polynomial.of(Variable(name, Kind.RIGID))
        self.declared[name] = self.places[name] = span
        return self.names[name]

    # --- facts

    def fact(self, node: nodes.Expression) -> list[Assumption]:
        """What one conjunct of a `where` says."""
        if isinstance(node, nodes.ErrorExpression):
            raise Failure
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


def _near(name: str, known: Iterable[str]) -> list[str]:
    return [f"did you mean `{n}`?" for n in difflib.get_close_matches(name, list(known), 1)]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
