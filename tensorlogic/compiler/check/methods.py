"""Methods and attributes of the opaque types: what a `Model` or a `Tokenizer` is asked for."""

from __future__ import annotations

from tensorlogic.compiler.check.bindings import check_operands
from tensorlogic.compiler.check.context import Context
from tensorlogic.compiler.check.refusals import fail
from tensorlogic.compiler.ir.core import Value
from tensorlogic.compiler.records import dataclass
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.syntax import nodes
from tensorlogic.compiler.types import (
    BFLOAT16,
    BOOL,
    BOOLEAN,
    FLOAT,
    FLOAT16,
    FLOAT32,
    INT,
    INT32,
    STRING,
    Element,
    ElementType,
    ElementTypeType,
    ListType,
    OpaqueType,
    OptionalType,
    PackVariable,
    Shape,
    TensorType,
    TupleType,
    Type,
)


@dataclass(frozen=True, slots=True)
class Method:
    """Parameters by name and type, in order; those of optional type may be left out. `result` None: a weight."""

    parameters: tuple[tuple[str, Type], ...]
    result: Type | None


_NAME = (("name", STRING),)
_READ = (*_NAME, ("dtype", OptionalType(ElementTypeType())))


def _setting(read: Type) -> Method:
    """What the metadata has under a key, or the default where it has none."""
    return Method((("key", STRING), ("default", OptionalType(read))), read)


_CHAT = (("messages", ListType(TupleType((STRING, STRING)))), ("add_generation_prompt", OptionalType(BOOLEAN)))

METHODS: dict[str, dict[str, Method]] = {
    "Model": {
        "get_tensor": Method(_READ, None),
        "has": Method(_NAME, BOOLEAN),
        "int": _setting(INT),
        "float": _setting(FLOAT),
        "string": _setting(STRING),
        "bool": _setting(BOOLEAN),
        "ints": _setting(ListType(INT)),
        "floats": _setting(ListType(FLOAT)),
        "strings": _setting(ListType(STRING)),
    },
    "Tokenizer": {
        "encode": Method(
            (("text", STRING), ("max_length", OptionalType(INT)), ("special", OptionalType(BOOLEAN))), ListType(INT)
        ),
        "decode": Method((("ids", ListType(INT)),), STRING),
        "chat_text": Method(_CHAT, STRING),
        "apply_chat_template": Method(_CHAT, ListType(INT)),
    },
    "KVCache": {
        "length": Method((("layer", OptionalType(INT)),), INT),
        "copy": Method((), OpaqueType("KVCache")),
    },
}

FUNCTIONS: dict[tuple[str, str], str] = {("KVCache", "update"): "update_cache"}
"""Methods whose shapes need a signature: the functions of the prelude that they are."""

ATTRIBUTES: dict[str, dict[str, Type]] = {
    "Model": {
        "tensors": ListType(STRING),
        "metadata": OpaqueType("Metadata"),
        "inputs": ListType(STRING),
        "outputs": ListType(STRING),
        "tokenizer": OpaqueType("Tokenizer"),
    },
    "Metadata": {
        "format": OptionalType(STRING),
        "quantization": OptionalType(STRING),
        "architecture": OptionalType(STRING),
    },
    "Tokenizer": {
        "vocab_size": INT,
        "bos_id": OptionalType(INT),
        "eos_ids": ListType(INT),
        "chat_template": OptionalType(STRING),
    },
    "Generation": {
        "ids": ListType(INT),
        "finish": OptionalType(STRING),
        "prompt_seconds": FLOAT,
        "seconds": FLOAT,
        "tokens_per_second": FLOAT,
    },
}

CHANGING = frozenset({"Generation"})
"""Opaque types whose attributes are read where they stand in the program, since they change."""

INSTEAD = {
    ("Model", "predict"): "Python runs a Core ML model: `extern` calls a function that uses `load_model(...).predict`",
    ("Tokenizer", "stream"): "Python has it: `load_tokenizer(...).stream()` turns ids into text one by one",
    ("Tokenizer", "eos_id"): "`eos_ids` has all tokens that end a generation",
    ("Model", "shape"): "`model.get_tensor(name).shape` is a tensor's",
}
"""What to use for names that one may look for."""

IN_FILES = (FLOAT16, BFLOAT16, FLOAT32, INT32, BOOL)
"""The element types that tensors of a model may have."""


def call_method(
    cx: Context, value: Value, name: str, node: nodes.Call, callee: nodes.Attribute, expected: Type | None
) -> Value:
    """A call of a method of an opaque value. A weight has the element type that the place declares."""
    from tensorlogic.compiler.check import expressions
    from tensorlogic.compiler.check.assign import coerce

    assert isinstance(value.type, OpaqueType)
    method = METHODS[value.type.name][name]
    found: dict[str, Value] = {}
    read_as: Element | None = None
    for position, argument in enumerate(node.arguments):
        if argument.name is not None:
            parameter = argument.name.name
        elif position < len(method.parameters):
            parameter = method.parameters[position][0]
        else:
            count = len(method.parameters)
            fail("TL2004", f"`{name}` takes {count} argument{'' if count == 1 else 's'}", argument.span)
        declared = dict(method.parameters).get(parameter)
        if declared is None:
            helps = [f"its parameters are {', '.join(dict(method.parameters))}"]
            fail("TL1012", f"`{name}` has no parameter `{parameter}`", argument.span, helps=helps)
        given = expressions.check(cx, argument.value)
        check_operands(given)
        if parameter in found:
            fail("TL2004", f"`{parameter}` of `{name}` is given twice", argument.span)
        if parameter == "dtype":
            read_as = _float_type(given, argument.value.span)
        found[parameter] = coerce(cx, given, declared, argument.value.span, f"`{parameter}` of `{name}`")
    for parameter, declared in method.parameters:
        if parameter not in found:
            if not isinstance(declared, OptionalType):
                fail("TL2004", f"`{name}` needs `{parameter}`", callee.span)
            found[parameter] = cx.constant(None, node.span)
    result = method.result
    if read_as is not None:
        del found["dtype"]
        result = TensorType(read_as, Shape(PackVariable(unknown=True), ()))
        return cx.add("method", (value, found["name"]), result, node.span, method=name, reads=True)
    if result is None:
        wanted = expected.item if isinstance(expected, OptionalType) else expected
        element = in_model(value.type, wanted.element if isinstance(wanted, TensorType) else None, node.span)
        result = TensorType(element, Shape(PackVariable(unknown=True), ()))
    operands = (value, *(found[p] for p, _ in method.parameters if p != "dtype"))
    return cx.add("method", operands, result, node.span, method=name)


def _float_type(given: Value, span: Span) -> Element:
    element = given.type.element if isinstance(given.type, ElementTypeType) else None
    if element is None or element.kind != "float":
        fail("TL2008", "`dtype` of `get_tensor` is a float type", span, str(given.type))
    return element


def in_model(model: OpaqueType, wanted: Element | None, span: Span) -> Element:
    """The element type of a model's tensor: the one that the place wants, or that of the model's floats.

    Whether the tensor has it is checked when it is read.
    """
    floats = model.element or FLOAT16
    if not isinstance(wanted, ElementType) or wanted not in IN_FILES:
        return floats
    if model.element is not None and wanted.kind == "float" and wanted != floats:
        fail(
            "TL2002",
            f"the floats of this model are read as {floats}, not {wanted}",
            span,
            helps=[f"`load_model(..., dtype: {wanted})` reads them so"],
        )
    return wanted


__all__ = ["ATTRIBUTES", "CHANGING", "FUNCTIONS", "INSTEAD", "METHODS", "call_method", "in_model"]
