"""Calls that no signature can say: `tensor`, `print`, `enumerate`, `debug`, and what only scripts may do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from tensorlogic.compiler.check import bind, expressions
from tensorlogic.compiler.check.adaptation import check_constant
from tensorlogic.compiler.check.assign import coerce
from tensorlogic.compiler.check.bindings import FunctionSymbolType, LambdaType, check_operands
from tensorlogic.compiler.check.context import Context
from tensorlogic.compiler.check.form_arguments import arguments_of, script_only, stands_alone, typed
from tensorlogic.compiler.check.generating import check_generate, check_new_cache
from tensorlogic.compiler.check.merging import item_type
from tensorlogic.compiler.check.refusals import fail, refuse_optional
from tensorlogic.compiler.dims import HOLE, Polynomial
from tensorlogic.compiler.ir.core import Value
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.syntax import nodes
from tensorlogic.compiler.types import (
    FLOAT16,
    INT,
    INT32,
    NONE,
    STRING,
    BoolType,
    DeviceType,
    Element,
    ElementType,
    ElementTypeType,
    ErrorType,
    FloatType,
    FunctionType,
    IntType,
    ListType,
    OpaqueType,
    OptionalType,
    RangeType,
    Shape,
    StringType,
    StructType,
    TensorType,
    TupleType,
    Type,
)

Form = Callable[[Context, nodes.Call, Type | None], Value]


# --- print and debug


def _print(cx: Context, node: nodes.Call, expected: Type | None) -> Value:
    script_only(cx, node)
    stands_alone(cx, node)
    values: list[Value] = []
    end: Value | None = None
    for argument in node.arguments:
        value = expressions.check(cx, argument.value)
        check_operands(value)
        if argument.name is not None:
            if argument.name.name != "end":
                fail("TL1012", "`print` takes values and `end`", argument.name.span)
            end = coerce(cx, value, STRING, argument.value.span, "`end` of `print`")
            continue
        if isinstance(value.type, LambdaType | FunctionSymbolType | FunctionType | RangeType):
            kind = "range" if isinstance(value.type, RangeType) else "function"
            fail("TL2003", f"a {kind} cannot be printed", argument.span, str(value.type))
        values.append(value)
    operands = (*values, end) if end is not None else tuple(values)
    return cx.add("print", operands, NONE, node.span, ends=end is not None)


def _debug(cx: Context, node: nodes.Call, expected: Type | None) -> Value:
    found = arguments_of(node, ("x", "label"), 1)
    value = expressions.check(cx, found["x"].value)
    check_operands(value)
    if not isinstance(value.type, TensorType):
        fail("TL2001", "`debug` takes a tensor", found["x"].span, str(value.type))
    label = expressions.check(cx, found["label"].value) if "label" in found else cx.constant("", node.span)
    label = coerce(cx, label, STRING, node.span, "`label` of `debug`")
    return cx.add("debug", (value, label), value.type, node.span)


# --- tensors from host values


def _tensor(cx: Context, node: nodes.Call, expected: Type | None) -> Value:
    found = arguments_of(node, ("values", "device"), 1)
    element = _element(cx, node)
    device: Value | None = None
    if "device" in found:
        device = expressions.check(cx, found["device"].value)
        if not isinstance(device.type, DeviceType):
            fail("TL2001", "`device` is `gpu` or `cpu`", found["device"].value.span, str(device.type))
    written = found["values"].value
    name = device.type.name if device is not None and isinstance(device.type, DeviceType) else None
    literal = _literal(written, element)
    if literal is not None:
        data, shape = literal
        type = TensorType(element, Shape(None, tuple(Polynomial.of(n) for n in shape)))
        return cx.add("tensor_constant", (), type, node.span, data=data, device=name)
    value = expressions.check(cx, written)
    check_operands(value)
    sizes = _sizes(value.type, element, written)
    type = TensorType(element, Shape(None, sizes))
    return cx.add("tensor", (value,), type, node.span, device=name)


def _element(cx: Context, node: nodes.Call) -> Element:
    if not node.type_arguments:
        return FLOAT16
    if len(node.type_arguments) > 1:
        fail("TL2004", "`tensor` takes one element type", node.span)
    argument = node.type_arguments[0]
    if isinstance(argument, nodes.NamedType) and argument.dims is None:
        if argument.name.name == "int":
            return INT32
        if argument.name.name == "float":
            return FLOAT16
    return cx.world.reader(cx).element(argument)


def _literal(node: nodes.Expression, element: Element) -> tuple[Any, tuple[int, ...]] | None:
    """Nested literals as data with their shape; None where something else stands among them."""
    if isinstance(node, nodes.ListExpression):
        items = [_literal(item, element) for item in node.items]
        if not items:
            return (), (0,)
        if any(item is None for item in items):
            return None
        first = items[0]
        assert first is not None
        for place, item in zip(node.items, items, strict=True):
            assert item is not None
            if item[1] != first[1]:
                fail(
                    "TL2019",
                    "the rows of a tensor have equal lengths",
                    node.span,
                    others=[
                        (node.items[0].span, f"shape {list(first[1])}"),
                        (place.span, f"shape {list(item[1])}"),
                    ],
                )
        return tuple(item[0] for item in items if item is not None), (len(items), *first[1])
    value = _number(node)
    if value is None:
        return None
    _check_literal(value, element, node.span)
    return value, ()


def _number(node: nodes.Expression) -> int | float | bool | None:
    match node:
        case nodes.IntegerLiteral(value=value) | nodes.FloatLiteral(value=value):
            return value
        case nodes.BooleanLiteral(value=value):
            return value
        case nodes.Unary(operator="-", operand=nodes.IntegerLiteral(value=value) | nodes.FloatLiteral(value=value)):
            return -value
    return None


_HELD = "`tensor<{}>(...)` holds it"


def _check_literal(value: int | float | bool, element: Element, span: Span) -> None:
    if isinstance(value, bool) != (element.kind == "bool"):
        helps = [_HELD.format("bool")] if isinstance(value, bool) else []
        fail("TL2001", f"a tensor of {element} does not hold `{span.text}`", span, helps=helps)
    if isinstance(value, float) and element.kind == "integer":
        fail("TL2002", f"a float meets {element}", span, helps=["`tensor<float16>(...)`"])
    if not isinstance(value, bool):
        check_constant(value, element, span, _HELD)


def _sizes(t: Type, element: Element, node: nodes.Expression) -> tuple[Polynomial, ...]:
    """The shape of nested host values; numbers that are not known are checked when the tensor is made."""
    match t:
        case IntType() | FloatType():
            if isinstance(t, FloatType) and element.kind != "float":
                fail("TL2002", f"a float meets {element}", node.span, str(t))
            if element.kind == "bool":
                fail("TL2001", "a tensor of bool holds no numbers", node.span, str(t))
            if t.constant is not None:
                check_constant(t.constant, element, node.span, _HELD)
            return ()
        case BoolType():
            if element.kind != "bool":
                fail("TL2001", f"a tensor of {element} holds no bools", node.span, str(t))
            return ()
        case ListType(_, items) if items is not None:
            places = node.items if isinstance(node, nodes.ListExpression) else (node,) * len(items)
            inner = [_sizes(i, element, place) for i, place in zip(items, places, strict=True)]
            if any(sizes != inner[0] for sizes in inner):
                fail("TL2019", "the rows of a tensor have equal lengths", node.span, str(t))
            return (Polynomial.of(len(items)), *(inner[0] if inner else ()))
        case ListType(item, None):
            return (Polynomial.of(HOLE), *_sizes(item, element, node))
        case OptionalType():
            refuse_optional("a tensor is made of numbers, or nested lists of them", t, node.span)
    fail("TL2001", "a tensor is made of numbers, or nested lists of them", node.span, str(t))


# --- loops and models


def _enumerate(cx: Context, node: nodes.Call, expected: Type | None) -> Value:
    found = arguments_of(node, ("list",), 1)
    value = expressions.check(cx, found["list"].value)
    check_operands(value)
    if not isinstance(value.type, ListType):
        fail("TL2001", "`enumerate` takes a list", found["list"].span, str(value.type))
    if isinstance(value.type.item, ErrorType):
        item_type(value.type, cx.facts, found["list"].span)
    items = value.type.items
    known = None if items is None else tuple(TupleType((IntType(Polynomial.of(i)), t)) for i, t in enumerate(items))
    item = TupleType((INT, value.type.item))
    return cx.add("host.enumerate", (value,), ListType(item, known), node.span)


def _load_model(cx: Context, node: nodes.Call, expected: Type | None) -> Value:
    script_only(cx, node)
    found = arguments_of(node, ("path", "dtype", "dequantize"), 1)
    path = typed(cx, node, found, "path", STRING)
    element = FLOAT16
    if "dtype" in found:
        written = found["dtype"].value
        value = None if written.span.text == "native" else expressions.check(cx, written)
        named = value.type.element if value is not None and isinstance(value.type, ElementTypeType) else None
        if not isinstance(named, ElementType) or named.kind != "float":
            _refuse_dtype(written.span)
        element = named
    dequantize = (
        typed(cx, node, found, "dequantize", BoolType()) if "dequantize" in found else cx.constant(False, node.span)
    )
    return cx.add("load_model", (path, dequantize), OpaqueType("Model", element), node.span)


def _refuse_dtype(span: Span) -> NoReturn:
    fail(
        "TL2008",
        "`dtype` of `load_model` is float16, bfloat16 or float32",
        span,
        notes=["a program's types say what its weights are, so each has the same float type"],
    )


def _save_model(cx: Context, node: nodes.Call, expected: Type | None) -> Value:
    script_only(cx, node)
    stands_alone(cx, node)
    found = arguments_of(node, ("model", "path", "dequantize"), 2)
    model = expressions.check(cx, found["model"].value)
    check_operands(model)
    is_model = isinstance(model.type, OpaqueType) and model.type.name == "Model"
    if not is_model and not isinstance(model.type, StructType):
        fail("TL2001", "`save_model` takes a model or a struct", found["model"].span, str(model.type))
    path = typed(cx, node, found, "path", STRING)
    dequantize = (
        typed(cx, node, found, "dequantize", BoolType()) if "dequantize" in found else cx.constant(False, node.span)
    )
    return cx.add("save_model", (model, path, dequantize), NONE, node.span)


def _load_tokenizer(cx: Context, node: nodes.Call, expected: Type | None) -> Value:
    script_only(cx, node)
    found = arguments_of(node, ("path",), 1)
    return cx.add("load_tokenizer", (typed(cx, node, found, "path", STRING),), OpaqueType("Tokenizer"), node.span)


def _read_line(cx: Context, node: nodes.Call, expected: Type | None) -> Value:
    script_only(cx, node)
    found = arguments_of(node, ("prompt",), 0)
    prompt = typed(cx, node, found, "prompt", STRING) if "prompt" in found else cx.constant("", node.span)
    return cx.add("read_line", (prompt,), OptionalType(STRING), node.span)


def _len(cx: Context, node: nodes.Call, expected: Type | None) -> Value:
    found = arguments_of(node, ("list",), 1)
    value = expressions.check(cx, found["list"].value)
    check_operands(value)
    match value.type:
        case ListType(_, items) | TupleType(items) if items is not None:
            return cx.add("host.len", (value,), IntType(Polynomial.of(len(items))), node.span)
        case ListType() | StringType():
            length = IntType(cx.length_of(value))
            return cx.add("host.len", (value,), length, node.span)
    helps = [f"`{found['list'].span.text}.shape[0]`"] if isinstance(value.type, TensorType) else []
    fail("TL2001", "`len` takes a list, a tuple or a string", found["list"].span, str(value.type), helps=helps)


FORMS: dict[str, Form] = {
    "tensor": _tensor,
    "bind": bind.check_bind,
    "print": _print,
    "debug": _debug,
    "enumerate": _enumerate,
    "len": _len,
    "load_model": _load_model,
    "save_model": _save_model,
    "load_tokenizer": _load_tokenizer,
    "read_line": _read_line,
    "generate": check_generate,
    "KVCache": check_new_cache,
}

__all__ = ["FORMS"]
