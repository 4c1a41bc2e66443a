"""Matching: what the type of a parameter says about the type of an argument.

Takes a declared type and an actual one. Promises that their structure, element types and packs agree, and gathers the
equations of their dims, which `binding.py` solves. Refuses structure that differs, with both types.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field, replace
from typing import NoReturn

from tensorlogic.compiler.check import assign
from tensorlogic.compiler.check.operators import refuse_promotion
from tensorlogic.compiler.check.refusals import as_operand, fail, test_for_none
from tensorlogic.compiler.check.signatures import Signature
from tensorlogic.compiler.dims import HOLE, Polynomial
from tensorlogic.compiler.ir.core import Value
from tensorlogic.compiler.records import dataclass
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.types import (
    FLOAT16,
    Element,
    ElementVariable,
    ErrorType,
    FloatType,
    FunctionType,
    IntType,
    ListType,
    NoneType,
    OpaqueType,
    OptionalType,
    PackVariable,
    Shape,
    StructType,
    TensorType,
    TupleType,
    Type,
)


@dataclass(frozen=True, slots=True)
class Given:
    """An argument matched with a parameter. A default is written nowhere: its span is the call's."""

    name: str
    value: Value
    span: Span
    part: str = ""
    """What of the argument is meant, as in `the result of `."""
    path: tuple[int, ...] = ()
    """Which item of which item of it is meant."""
    dim: str = ""
    """Which dim of a tensor or struct is meant, as in `dim 0`."""

    @property
    def told(self) -> str:
        """The argument, or its item, as messages say it: `xs[0]`."""
        return f"`{self.name}{''.join(f'[{i}]' for i in self.path)}`"

    def told_beside(self, other: Given) -> str:
        """The argument, and its dim too where another dim of it is told of."""
        return f"{self.dim} of {self.told}" if self.told == other.told and self.dim != other.dim else self.told

    @property
    def type(self) -> Type:
        """The type of what is meant."""
        found = self.value.type
        for i in self.path:
            assert isinstance(found, ListType | TupleType)
            assert found.items is not None
            found = found.items[i]
        return found

    def item(self, i: int) -> Given:
        """One item of what is meant; known values alone are taken apart."""
        return replace(self, path=(*self.path, i)) if not self.part else self


@dataclass(frozen=True, slots=True)
class Equation:
    """A parameter's dim meets an argument's."""

    declared: Polynomial
    actual: Polynomial
    given: Given


@dataclass
class Matcher:
    """What the arguments of one call said so far. `require` demands that two dims are equal."""

    signature: Signature
    span: Span
    require: Callable[[Polynomial, Polynomial, Given, Given, str], None]
    packs: dict[PackVariable, tuple[Shape, Given]] = field(default_factory=dict)
    elements: dict[ElementVariable, tuple[Element, Given]] = field(default_factory=dict)
    equations: list[Equation] = field(default_factory=list)

    def match(self, declared: Type, actual: Type, given: Given) -> None:
        """Gather what the declared type says about the actual one; structure that differs is refused."""
        match declared, actual:
            case _, ErrorType():
                return
            case TensorType(), TensorType():
                self._element(declared.element, actual.element, given)
                self._shape(declared, actual, given)
                return
            case TensorType(), (IntType() | FloatType()):
                return
            case IntType(p), IntType(q):
                if p is not None and q is not None:
                    self.equations.append(Equation(p, q, given))
                return
            case OpaqueType("Model", element), OpaqueType("Model", floats) if element is not None:
                self._element(element, floats or FLOAT16, given)
                return
            case StructType(), StructType() if declared.definition is actual.definition:
                for e, f in zip(declared.elements, actual.elements, strict=True):
                    self._element(e, f, given)
                self._equate(declared.dims, actual.dims, given, [f"`{v.name}`" for v in declared.definition.dims])
                return
            case TupleType(a), TupleType(b) if len(a) == len(b):
                for i, (x, y) in enumerate(zip(a, b, strict=True)):
                    self.match(x, y, given.item(i))
                return
            case ListType(item, _), ListType(other, None):
                self.match(item, other, replace(given, part="an item of "))
                return
            case (ListType(item, _), ListType(_, items)) | (ListType(item, _), TupleType(items)):
                assert items is not None
                for i, t in enumerate(items):
                    self.match(item, t, given.item(i))
                return
            case OptionalType(_), NoneType():
                return
            case OptionalType(item), OptionalType(other):
                self.match(item, other, given)
                return
            case OptionalType(item), other:
                self.match(item, other, given)
                return
            case FunctionType(parameters, result), FunctionType(others, other) if len(parameters) == len(others):
                if any(assign.is_open(x) and x != y for x, y in zip(parameters, others, strict=True)):
                    self.refuse_kind(declared, actual, given)
                for x, y in zip((*parameters, result), (*others, other), strict=True):
                    self.match(x, y, given)
                return
        if not assign.fits_kind(declared, actual):
            self.refuse_kind(declared, actual, given)

    def refuse_kind(self, declared: Type, actual: Type, given: Given) -> NoReturn:
        helps = []
        if isinstance(actual, OptionalType):
            helps = [test_for_none(given.span)]
        fail(
            "TL2009" if helps else "TL2001",
            f"{self.what(given)} is `{declared}`, not `{actual}`",
            given.span,
            str(actual),
            others=self.declaration(given),
            notes=assign.of_one_name(declared, actual),
            helps=helps,
        )

    def what(self, given: Given) -> str:
        return f"{given.part}{given.told} of `{self.signature.name}`"

    def declaration(self, given: Given) -> list[tuple[Span, str]]:
        if self.signature.op is not None:
            return []
        return [(p.span, f"declared {p.type}") for p in self.signature.parameters if p.name == given.name]

    def _element(self, declared: Element, actual: Element, given: Given) -> None:
        if declared is actual:
            # What a function argument is given, before anything says what it is, tells nothing when it comes back.
            return
        if isinstance(declared, ElementVariable) and declared in self.signature.elements.values():
            if declared not in self.elements:
                if declared.bound == "float" and actual.kind != "float":
                    fail(
                        "TL2001",
                        f"{self.what(given)} is a tensor of floats, not of {actual}",
                        given.span,
                        str(given.value.type),
                        helps=[f"`{as_operand(given.span)}.to(float16)`"] if actual.kind != "any" else [],
                    )
                self.elements[declared] = (actual, given)
                return
            bound, first = self.elements[declared]
            if bound != actual:
                labels = [(first.span, str(first.value.type)), (given.span, str(given.value.type))]
                tensors = isinstance(first.value.type, TensorType), isinstance(given.value.type, TensorType)
                refuse_promotion(bound, actual, labels, self.span, tensors=tensors)
        elif declared != actual:
            whole = isinstance(given.value.type, TensorType)
            helps = [f"`{as_operand(given.span)}.to({declared})`"] if whole else []
            fail(
                "TL2002",
                f"{self.what(given)} is {declared}, not {actual}",
                given.span,
                str(given.type),
                notes=["element types are never changed without being asked to"],
                helps=helps,
            )

    def _shape(self, declared: TensorType, actual: TensorType, given: Given) -> None:
        shape, other = declared.shape, actual.shape
        count = len(shape.dims)
        if shape.pack is None and (other.pack is not None or len(other.dims) != count):
            self._refuse_rank(declared, actual, given)
        if len(other.dims) < count:
            self._refuse_rank(declared, actual, given)
        split = len(other.dims) - count
        if shape.pack is not None:
            self._pack(shape.pack, Shape(other.pack, other.dims[:split]), given)
        first = 0 if shape.pack is None else -count
        self._equate(shape.dims, other.dims[split:], given, [f"dim {first + i}" for i in range(count)])

    def _equate(
        self, declared: tuple[Polynomial, ...], actual: tuple[Polynomial, ...], given: Given, names: list[str]
    ) -> None:
        for p, q, dim in zip(declared, actual, names, strict=True):
            if q.variable is HOLE and p.variable is not HOLE:
                name = f"`{p}` of `{self.signature.name}`"
                fail(
                    "TL3004",
                    f"nothing says what {name} is: {given.part}`{given.name}` has a size that only run time knows"
                    if given.part.startswith("the result")
                    else f"{name} is one size, and the items of `{given.name}` differ in it",
                    given.span,
                    str(given.value.type),
                    others=self.declaration(given),
                )
            self.equations.append(Equation(p, q, replace(given, dim=dim)))

    def _refuse_rank(self, declared: TensorType, actual: TensorType, given: Given) -> NoReturn:
        wanted, found = len(declared.shape.dims), len(actual.shape.dims)
        least = "at least " if declared.shape.pack is not None else ""
        has = f"begins with {actual.shape.pack}" if actual.shape.pack is not None else f"has {_dims(found)}"
        fail(
            "TL3005",
            f"{self.what(given)} has {least}{_dims(wanted)}; this {has}",
            given.span,
            str(actual),
            others=self.declaration(given),
        )

    def _pack(self, pack: PackVariable, leading: Shape, given: Given) -> None:
        if leading.pack is pack:
            return
        if pack not in self.packs:
            self.packs[pack] = (leading, given)
            return
        if self.signature.op is not None and not pack.name:
            # Each `...` of an op is a pack of its own, also those of a list's items: its rule compares them.
            return
        first, by = self.packs[pack]
        same = first.pack is leading.pack and len(first.dims) == len(leading.dims)
        if not same:
            fail(
                "TL3013",
                f"`{pack}` of `{self.signature.name}` is {first} by {by.told} and {leading} by {given.told}",
                self.span,
                others=labels_of(by, given),
            )
        for p, q in zip(first.dims, leading.dims, strict=True):
            self.require(p, q, by, given, str(pack))


def labels_of(by: Given, given: Given) -> list[tuple[Span, str]]:
    """The types of two arguments that disagree, which may be two items of one."""
    if by.span != given.span:
        return [(by.span, str(by.value.type)), (given.span, str(given.value.type))]
    if by.path != given.path:
        return [(given.span, f"{by.told[1:-1]}: {by.type}, {given.told[1:-1]}: {given.type}")]
    return [(given.span, str(given.value.type))]


def _dims(count: int) -> str:
    return f"{count} dim{'' if count == 1 else 's'}"
