"""Types: element types, tensors and host values.

Types are frozen and compare by value. A host value's type may carry the value itself, as far as it is known while
compiling: every `int` is a polynomial, and constants of the other kinds are kept too, which is how an axis, a flag or
a shape is known. `widen` forgets that knowledge; `is_assignable` in the checker decides what fits where.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any

from tensorlogic.compiler.dims import Polynomial, Variable
from tensorlogic.compiler.records import dataclass

if TYPE_CHECKING:
    from tensorlogic.compiler.syntax import nodes

_serial = itertools.count(1)


@dataclass(frozen=True, slots=True)
class ElementType:
    """`float16` and its kin. `kind` is `float`, `integer` or `bool`; `largest` the largest finite value of a float."""

    name: str
    kind: str
    bits: int
    largest: float = float("inf")
    smallest: float = 0.0

    def __str__(self) -> str:
        return self.name


FLOAT16 = ElementType("float16", "float", 16, 65504.0, 2.0**-24)
BFLOAT16 = ElementType("bfloat16", "float", 16, 3.3895313892515355e38, 2.0**-133)
FLOAT32 = ElementType("float32", "float", 32, 3.4028234663852886e38, 2.0**-149)
INT32 = ElementType("int32", "integer", 32)
UINT32 = ElementType("uint32", "integer", 32)
BOOL = ElementType("bool", "bool", 8)
ELEMENT_TYPES = {e.name: e for e in (FLOAT16, BFLOAT16, FLOAT32, INT32, UINT32, BOOL)}


@dataclass(frozen=True, eq=False, slots=True)
class ElementVariable:
    """A type parameter `T: float` or `T: any`; inside its function it is equal to itself only."""

    name: str
    bound: str

    @property
    def kind(self) -> str:
        return "float" if self.bound == "float" else "any"

    def __str__(self) -> str:
        return self.name


Element = ElementType | ElementVariable


@dataclass(frozen=True, eq=False, slots=True)
class PackVariable:
    """A pack: any number of leading dims. `unknown` packs are those of tensors whose rank only run time knows."""

    name: str = ""
    unknown: bool = False
    serial: int = field(default_factory=lambda: next(_serial))

    def __str__(self) -> str:
        return f"...{self.name}"


@dataclass(frozen=True, slots=True)
class Shape:
    """At most one pack, then dims."""

    pack: PackVariable | None
    dims: tuple[Polynomial, ...]

    @property
    def rank(self) -> int | None:
        return len(self.dims) if self.pack is None else None

    def __str__(self) -> str:
        pieces = [str(self.pack)] if self.pack is not None else []
        return f"[{', '.join(pieces + [_show_dim(d) for d in self.dims])}]"


def _show_dim(dim: Polynomial) -> str:
    variable = dim.variable
    return "?" if variable is not None and variable.name == "?" else str(dim)


class Type:
    """The base of all types."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class TensorType(Type):
    element: Element
    shape: Shape

    @property
    def unknown_rank(self) -> bool:
        """Whether only run time knows how many dims there are."""
        return self.shape.pack is not None and self.shape.pack.unknown

    def __str__(self) -> str:
        return f"{self.element}{self.shape}"


@dataclass(frozen=True, slots=True)
class IntType(Type):
    """A host `int`: `value` is its polynomial; None in a declared type, where any int fits."""

    value: Polynomial | None = None

    @property
    def constant(self) -> int | None:
        return None if self.value is None else self.value.constant

    def __str__(self) -> str:
        return "int"


@dataclass(frozen=True, slots=True)
class FloatType(Type):
    """A host `float`; `low` and `high` bound it where that is known, and are equal where it is a constant."""

    low: float = float("-inf")
    high: float = float("inf")
    known: bool = False

    @property
    def constant(self) -> float | None:
        return self.low if self.known else None

    def __str__(self) -> str:
        return "float"


@dataclass(frozen=True, slots=True)
class BoolType(Type):
    constant: bool | None = None

    def __str__(self) -> str:
        return "bool"


@dataclass(frozen=True, slots=True)
class StringType(Type):
    constant: str | None = None

    def __str__(self) -> str:
        return "string"


@dataclass(frozen=True, slots=True)
class NoneType(Type):
    def __str__(self) -> str:
        return "none"


@dataclass(frozen=True, slots=True)
class ElementTypeType(Type):
    """The type of `float16` used as a value (`dtype: float16`, `x.dtype`)."""

    element: Element | None = None

    def __str__(self) -> str:
        return "element type" if self.element is None else f"element type {self.element}"


@dataclass(frozen=True, slots=True)
class DeviceType(Type):
    name: str | None = None

    def __str__(self) -> str:
        return "device"


@dataclass(frozen=True, slots=True)
class TupleType(Type):
    items: tuple[Type, ...]

    def __str__(self) -> str:
        return f"({', '.join(map(str, self.items))})"


@dataclass(frozen=True, slots=True)
class ListType(Type):
    """A list; `items` are the types of each item where the length is known while compiling."""

    item: Type
    items: tuple[Type, ...] | None = None

    def __str__(self) -> str:
        return f"[{self.item}]"


@dataclass(frozen=True, slots=True)
class RangeType(Type):
    """`start..stop`."""

    start: Polynomial
    stop: Polynomial

    def __str__(self) -> str:
        return f"{self.start}..{self.stop}"


@dataclass(frozen=True, slots=True)
class OptionalType(Type):
    item: Type

    def __str__(self) -> str:
        return f"{self.item}?"


@dataclass(frozen=True, slots=True)
class FunctionType(Type):
    parameters: tuple[Type, ...]
    result: Type

    def __str__(self) -> str:
        return f"fn({', '.join(map(str, self.parameters))}) -> {self.result}"


@dataclass(frozen=True, eq=False)
class StructDefinition:
    """A declared struct: its parameters, and its fields' types over them."""

    name: str
    elements: tuple[ElementVariable, ...]
    dims: tuple[Variable, ...]
    fields: Mapping[str, Type]
    keys: Mapping[str, tuple[str, ...]]
    node: nodes.StructDeclaration
    module: Any
    symbol: str


@dataclass(frozen=True, slots=True)
class StructType(Type):
    definition: StructDefinition
    elements: tuple[Element, ...]
    dims: tuple[Polynomial, ...]

    def __str__(self) -> str:
        elements = f"<{', '.join(map(str, self.elements))}>" if self.elements else ""
        dims = f"[{', '.join(map(_show_dim, self.dims))}]" if self.dims else ""
        return f"{self.definition.name}{elements}{dims}"


def structs_in(types: Iterable[Type]) -> list[StructType]:
    """The structs that values of the types hold themselves, in tuples, lists and optionals too."""
    found: list[StructType] = []

    def visit(t: Type) -> Type:
        if isinstance(t, StructType):
            found.append(t)
        return t

    for t in types:
        transform(t, visit)
    return found


@dataclass(frozen=True, slots=True)
class OpaqueType(Type):
    """`Model`, `Tokenizer`, `KVCache`. `element` is the type of a model's floats, where it is known."""

    name: str
    element: Element | None = None

    def __str__(self) -> str:
        if self.name == "axes":
            return "int or tuple of ints"
        return self.name if self.element is None else f"{self.name}<{self.element}>"


@dataclass(frozen=True, slots=True)
class ErrorType(Type):
    """The type of what is wrong already: it fits everywhere and is never told again."""

    def __str__(self) -> str:
        return "?"


INT, FLOAT, BOOLEAN, STRING, NONE, ERROR = IntType(), FloatType(), BoolType(), StringType(), NoneType(), ErrorType()


@dataclass(frozen=True, slots=True)
class Substitution:
    """What parameters of a signature become: dims, packs and element types, all at once."""

    dims: Mapping[Variable, Polynomial] = field(default_factory=dict)
    packs: Mapping[PackVariable, Shape] = field(default_factory=dict)
    elements: Mapping[ElementVariable, Element] = field(default_factory=dict)

    def shape(self, shape: Shape) -> Shape:
        dims = tuple(d.substitute(self.dims) for d in shape.dims)
        if shape.pack is None or shape.pack not in self.packs:
            return Shape(shape.pack, dims)
        leading = self.packs[shape.pack]
        return Shape(leading.pack, leading.dims + dims)

    def element(self, element: Element) -> Element:
        return self.elements.get(element, element) if isinstance(element, ElementVariable) else element


def transform(t: Type, leaf: Callable[[Type], Type]) -> Type:
    """The type with `leaf` applied to every type inside it that holds no further types, and to structs."""
    match t:
        case TupleType(items):
            return TupleType(tuple(transform(i, leaf) for i in items))
        case ListType(item, items):
            known = None if items is None else tuple(transform(i, leaf) for i in items)
            return ListType(transform(item, leaf), known)
        case OptionalType(item):
            return OptionalType(transform(item, leaf))
        case FunctionType(parameters, result):
            return FunctionType(tuple(transform(p, leaf) for p in parameters), transform(result, leaf))
    return leaf(t)


def sizes_in(t: Type) -> list[Polynomial]:
    """All dims that a type names, of tensors and structs at any depth."""
    found: list[Polynomial] = []

    def leaf(t: Type) -> Type:
        match t:
            case TensorType(_, shape):
                found.extend(shape.dims)
            case StructType(_, _, dims):
                found.extend(dims)
        return t

    transform(t, leaf)
    return found


def packs_in(t: Type) -> list[PackVariable]:
    """All packs that a type names."""
    found: list[PackVariable] = []

    def leaf(t: Type) -> Type:
        if isinstance(t, TensorType) and t.shape.pack is not None:
            found.append(t.shape.pack)
        return t

    transform(t, leaf)
    return found


def substitute(t: Type, s: Substitution) -> Type:
    """The type with a signature's parameters replaced."""

    def leaf(t: Type) -> Type:
        match t:
            case TensorType(element, shape):
                return TensorType(s.element(element), s.shape(shape))
            case IntType(value) if value is not None:
                return IntType(value.substitute(s.dims))
            case RangeType(start, stop):
                return RangeType(start.substitute(s.dims), stop.substitute(s.dims))
            case ElementTypeType(element) if element is not None:
                return ElementTypeType(s.element(element))
            case OpaqueType(name, element) if element is not None:
                return OpaqueType(name, s.element(element))
            case StructType(_, elements, dims):
                return replace(
                    t,
                    elements=tuple(s.element(e) for e in elements),
                    dims=tuple(d.substitute(s.dims) for d in dims),
                )
        return t

    return transform(t, leaf)


def field_type(struct: StructType, name: str) -> Type:
    """The type of a field of this instance."""
    definition = struct.definition
    return substitute(
        definition.fields[name],
        Substitution(
            dims=dict(zip(definition.dims, struct.dims, strict=True)),
            elements=dict(zip(definition.elements, struct.elements, strict=True)),
        ),
    )


def is_host_number(t: Type) -> bool:
    return isinstance(t, IntType | FloatType)
