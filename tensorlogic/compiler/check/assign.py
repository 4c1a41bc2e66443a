"""Whether a value fits a type, outside of generic calls: at `let x: T`, `return`, fields, rebinding and loops.

`coerce` gives the value as the type wants it (an int where a float is wanted, a value where an optional is), placing
run-time checks where unknowns meet declared dims; it refuses with both types.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

from tensorlogic.compiler.check.adaptation import adapt
from tensorlogic.compiler.check.bindings import FunctionSymbolType, LambdaType, check_operands
from tensorlogic.compiler.check.context import Context
from tensorlogic.compiler.check.host_numbers import as_float_range
from tensorlogic.compiler.check.merging import leave
from tensorlogic.compiler.check.refusals import Failure, as_operand, fail, test_for_none
from tensorlogic.compiler.dims import HOLE, Polynomial, serial_mark
from tensorlogic.compiler.ir.core import Value
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.types import (
    FLOAT16,
    BoolType,
    DeviceType,
    ElementTypeType,
    ErrorType,
    FloatType,
    FunctionType,
    IntType,
    ListType,
    NoneType,
    OpaqueType,
    OptionalType,
    Shape,
    StringType,
    StructDefinition,
    StructType,
    TensorType,
    TupleType,
    Type,
    sizes_in,
    transform,
)


def fits_kind(declared: Type, actual: Type) -> bool:
    """Whether host types agree, apart from what is known of values."""
    match declared, actual:
        case FloatType(), (FloatType() | IntType()):
            return True
        case OpaqueType("axes"), (IntType() | NoneType()):
            return True
        case OpaqueType("axes"), (TupleType(items)):
            return all(isinstance(i, IntType) for i in items)
        case OpaqueType("axes"), ListType(item, _):
            return isinstance(item, IntType)
        case OpaqueType(name, element), OpaqueType(other, floats):
            return name == other and (element is None or element == (floats or FLOAT16))
        case (
            (IntType(), IntType())
            | (BoolType(), BoolType())
            | (StringType(), StringType())
            | (NoneType(), NoneType())
            | (ElementTypeType(), ElementTypeType())
            | (DeviceType(), DeviceType())
        ):
            return True
    return False


def coerce(cx: Context, value: Value, declared: Type, span: Span, what: str, declared_at: Span | None = None) -> Value:
    """The value as a type wants it. `what` names the place in messages: `y`, "the result of `f`"."""
    check_operands(value)
    others = [(declared_at, f"declared {declared}")] if declared_at is not None else []
    return _Assignment(cx, span, what, others, value.type, declared).coerce(value, declared)


class _Assignment:
    def __init__(
        self,
        cx: Context,
        span: Span,
        what: str,
        others: list[tuple[Span, str]],
        actual: Type,
        declared: Type,
        *,
        part: bool = False,
    ) -> None:
        self.cx, self.span, self.what, self.others = cx, span, what, others
        self.actual, self.declared, self.part = actual, declared, part

    def coerce(self, value: Value, declared: Type) -> Value:
        value = with_rank(self.cx, value, declared, self.span, self.what)
        match declared, value.type:
            case _, ErrorType():
                return value
            case TensorType(), TensorType() as actual:
                self._tensor(declared, actual)
                return value
            case TensorType(element, shape), (IntType() | FloatType()) if shape == Shape(None, ()):
                adapted = adapt(self.cx, value, element, self.span, "a scalar of type `{}[]` holds it")
                return scalar(self.cx, adapted, declared, self.span)
            case FloatType(), IntType():
                return to_float(self.cx, value, self.span)
            case IntType(p), IntType(q):
                if p is not None and q is not None:
                    self._dim(p, q)
                return value
            case StructType(), StructType() as actual if declared.definition is actual.definition:
                self._struct(declared, actual)
                return value
            case OptionalType(), (NoneType() | OptionalType()) as actual:
                if isinstance(actual, OptionalType):
                    self._compare(declared.item, actual.item)
                return self.cx.add("retype", (value,), declared, self.span) if actual != declared else value
            case OptionalType(item), _:
                inner = self.coerce(value, item)
                return self.cx.add("retype", (inner,), declared, self.span)
            case FunctionType(parameters, result), (LambdaType() | FunctionSymbolType()):
                return as_function(self.cx, value, parameters, self.span, result, self.what)
            case TupleType(wanted), TupleType(items) if len(wanted) == len(items):
                return self._items("tuple", value, wanted, items)
            case ListType(item, _), ListType(_, items):
                if items is not None:
                    return self._items("list", value, (item,) * len(items), items)
                self._compare(item, value.type.item)
                return value
        self._compare(declared, value.type)
        return value

    def _items(self, kind: str, value: Value, wanted: tuple[Type, ...], items: tuple[Type, ...]) -> Value:
        parts = tuple(self.cx.add("item", (value,), t, self.span, index=i) for i, t in enumerate(items))
        renewed = tuple(
            _Assignment(self.cx, self.span, f"item {i} of {self.what}", self.others, p.type, w, part=True).coerce(p, w)
            for i, (p, w) in enumerate(zip(parts, wanted, strict=True))
        )
        if renewed == parts:
            return value
        types = tuple(p.type for p in renewed)
        type = TupleType(types) if kind == "tuple" else ListType(wanted[0], types)
        return self.cx.add(kind, renewed, type, self.span)

    def _compare(self, declared: Type, actual: Type) -> None:
        """The same comparison where there is no value at hand: nothing is converted."""
        match declared, actual:
            case TensorType(), TensorType():
                self._tensor(declared, actual)
            case StructType(), StructType() if declared.definition is actual.definition:
                self._struct(declared, actual)
            case TupleType(a), TupleType(b) if len(a) == len(b):
                for x, y in zip(a, b, strict=True):
                    self._compare(x, y)
            case ListType(a, _), ListType(b, items):
                for t in items if items is not None else (b,):
                    self._compare(a, t)
            case OptionalType(a), OptionalType(b):
                self._compare(a, b)
            case FunctionType(a, r), FunctionType(b, s) if len(a) == len(b):
                if any(is_open(x) and x != y for x, y in zip(a, b, strict=True)):
                    self._refuse("TL2001")
                for x, y in zip((*a, r), (*b, s), strict=True):
                    self._compare(x, y)
            case FloatType(), IntType():
                self._refuse("TL2001")
            case _ if not fits_kind(declared, actual):
                self._refuse("TL2001")

    def _tensor(self, declared: TensorType, actual: TensorType) -> None:
        if declared.element != actual.element:
            self._refuse(
                "TL2002",
                notes=["element types are never changed without being asked to"],
                helps=[f"`{as_operand(self.span)}.to({declared.element})`"] if self._is_whole(actual) else [],
            )
        if declared.unknown_rank and actual.unknown_rank and declared.shape.dims == actual.shape.dims == ():
            return
        if declared.shape.pack is not actual.shape.pack or len(declared.shape.dims) != len(actual.shape.dims):
            pack = declared.shape.pack
            open_ = pack is not None and not pack.unknown and not pack.name
            notes = ["`...` stands for dims that are found where this function is called"] if open_ else []
            self._refuse("TL3005" if declared.shape.rank != actual.shape.rank else "TL3013", notes)
        for p, q in zip(declared.shape.dims, actual.shape.dims, strict=True):
            self._dim(p, q)

    def _is_whole(self, actual: Type) -> bool:
        """Whether the text at the span is what has the type."""
        return self.actual == actual and not self.part

    def _struct(self, declared: StructType, actual: StructType) -> None:
        if declared.elements != actual.elements:
            self._refuse("TL2002")
        for p, q in zip(declared.dims, actual.dims, strict=True):
            self._dim(p, q)

    def _dim(self, p: Polynomial, q: Polynomial) -> None:
        if HOLE not in (p.variable, q.variable):
            expected = "{0}" if p.constant is not None else f"`{p}` = {{0}}"
            message = f"{self.what} has a dim {{1}} where {expected} is declared"
            self.cx.require_equal(p, q, self.span, message, lambda: self._refuse("TL3004"))
        elif p.variable is not HOLE:
            self._refuse("TL3004")

    def _refuse(self, code: str, notes: list[str] | None = None, helps: list[str] | None = None) -> NoReturn:
        if isinstance(self.actual, OptionalType) and not isinstance(self.declared, OptionalType):
            code = "TL2009"
            helps = [] if self.part else [test_for_none(self.span)]
        fail(
            code,
            f"{self.what} is `{self.declared}`, not `{self.actual}`",
            self.span,
            str(self.actual),
            others=self.others,
            notes=[*(notes or []), *of_one_name(self.declared, self.actual)],
            helps=helps or [],
        )


def of_one_name(a: Type, b: Type) -> list[str]:
    """What tells structs of one name apart that two types are of: their files."""
    notes: list[str] = []

    def visit(t: Type) -> Type:
        for other in structs if isinstance(t, StructType) else []:
            assert isinstance(t, StructType)
            if other.name == t.definition.name and other is not t.definition:
                files = [d.node.span.source.name for d in (other, t.definition)]
                notes.append(f"two structs are called `{other.name}`: one of {files[0]}, one of {files[1]}")
        return t

    structs: list[StructDefinition] = []

    def gather(t: Type) -> Type:
        if isinstance(t, StructType):
            structs.append(t.definition)
        return t

    transform(a, gather)
    transform(b, visit)
    return notes


def with_rank(cx: Context, value: Value, declared: Type, span: Span, what: str) -> Value:
    """A tensor whose rank only run time knows, where a shape is declared: the rank is checked there."""
    actual = value.type
    if not (isinstance(declared, TensorType) and isinstance(actual, TensorType)):
        return value
    pack = actual.shape.pack
    if pack is None or not pack.unknown or declared.shape.pack is pack:
        return value
    if declared.shape.pack is not None and declared.shape.pack.unknown:
        return value
    count, known = len(declared.shape.dims), len(actual.shape.dims)
    if count <= known and declared.shape.pack is not None:
        return value
    keep = pack if declared.shape.pack is not None else None
    sizes = (Polynomial.of(HOLE),) * count
    type = TensorType(actual.element, Shape(keep, sizes))
    return cx.add("ranked", (value,), type, span, rank=count, exactly=keep is None, what=what, declared=str(declared))


def scalar(cx: Context, value: Value, type: TensorType, span: Span) -> Value:
    """A host number as a scalar tensor."""
    return cx.add("scalar", (value,), type, span)


def to_float(cx: Context, value: Value, span: Span) -> Value:
    """A host int as a float."""
    return cx.add("host.float", (value,), as_float_range(cx, value.type), span)


def as_function(cx: Context, value: Value, parameters: tuple[Type, ...], span: Span, wanted: Type, what: str) -> Value:
    """A lambda or a function's name as a value of function type, once it is known what it takes.

    Its result is made to fit `wanted` inside, where the sizes that it computes are at hand.
    """
    from tensorlogic.compiler.check import calls

    if isinstance(value.type, LambdaType) and len(value.type.node.parameters) != len(parameters):
        asked, takes = (_arguments(n) for n in (len(parameters), len(value.type.node.parameters)))
        fail("TL2004", f"a function of {asked} is asked for; this one takes {takes}", span)
    mark = serial_mark()
    region_arguments = tuple(cx.instantiate(p) for p in parameters)
    cx.builder.open()
    with cx.scope():
        result = calls.call_value(cx, value, region_arguments, span, (span,) * len(region_arguments))
        try:
            result = coerce(cx, result, wanted, span, f"the result of {what}")
        except Failure as failure:
            # What is offered is about a value; the function is written here.
            raise Failure(failure.diagnostic and replace(failure.diagnostic, helps=())) from None
        cx.builder.add_statement("yield", (result,), span)
    region = cx.builder.close(region_arguments)
    made = Value(FunctionType(parameters, _told(wanted, leave(result.type, mark))))
    cx.builder.add_statement("lambda", (), span, results=(made,), regions=(region,))
    return made


def is_open(t: Type) -> bool:
    """Whether a type takes values of several sizes: a function of one size is none of such a type."""
    return any(HOLE in p.variables() for p in sizes_in(t))


def _told(wanted: Type, actual: Type) -> Type:
    """A type that fits another one, with the sizes that the other one says."""

    def sizes(p: tuple[Polynomial, ...], q: tuple[Polynomial, ...]) -> tuple[Polynomial, ...]:
        return tuple(b if a.variable is HOLE else a for a, b in zip(p, q, strict=True))

    match wanted, actual:
        case TensorType(_, shape), TensorType(element, Shape(pack, dims)):
            return TensorType(element, Shape(pack, sizes(shape.dims, dims)))
        case StructType(_, _, dims), StructType(definition, elements, others):
            return StructType(definition, elements, sizes(dims, others))
        case TupleType(items), TupleType(others):
            return TupleType(tuple(map(_told, items, others)))
    return actual


def _arguments(count: int) -> str:
    return f"{count} argument{'' if count == 1 else 's'}"
