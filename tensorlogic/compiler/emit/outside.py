"""Operations that reach out of the program: its callers, Python functions, model files and the keyboard."""

from __future__ import annotations

from tensorlogic.compiler.emit.boundary import accept, give, show_inside
from tensorlogic.compiler.emit.identifiers import attribute
from tensorlogic.compiler.emit.literals import string
from tensorlogic.compiler.emit.naming import Expression, Naming, Texts, where
from tensorlogic.compiler.ir.core import Operation
from tensorlogic.compiler.ops.lowering import Text
from tensorlogic.compiler.types import FLOAT16, OpaqueType, StructType, TensorType


def _accept(o: Naming, operation: Operation, texts: Texts) -> Text:
    value = operation.operands[0]
    return accept(
        o,
        operation.result.type,
        texts[value],
        operation.attributes["argument"],
        where(operation.span),
        packed=operation.attributes.get("packed", False),
    )


def _give(o: Naming, operation: Operation, texts: Texts) -> Text:
    packed = operation.attributes.get("packed", False)
    return give(o, operation.result.type, texts[operation.operands[0]], packed=packed)


def _extern(o: Naming, operation: Operation, texts: Texts) -> Text:
    module, name = operation.attributes["module"], operation.attributes["function"]
    place = where(operation.span)
    o.module.needs.add(f"import {module}")
    given = (show_inside(o, v.type, texts[v]).code for v in operation.operands)
    arguments = [module, string(name), string(place), *given]
    return Text(f"{o.runtime('external')}({', '.join(arguments)})")


def _method(o: Naming, operation: Operation, texts: Texts) -> Text:
    receiver, *arguments = (texts[v] for v in operation.operands)
    method = operation.attributes["method"]
    if method == "get_tensor":
        return _weight(o, operation, receiver, arguments[0])
    if isinstance(operation.operands[0].type, OpaqueType) and operation.operands[0].type.name == "Generation":
        return Text(f"{receiver:atom}.{method}")
    codes = [a.code for a in arguments]
    while codes and codes[-1] == "None":
        codes.pop()
    return Text(f"{receiver:atom}.{method}({', '.join(codes)})")


def _weight(o: Naming, operation: Operation, model: Text, name: Text) -> Text:
    """A tensor of a model, whose element type is checked as it is read."""
    assert isinstance(operation.result.type, TensorType)
    dtype = o.visible_dtype(operation.result.type.element)
    arguments = [model.code, name.code, dtype, string(where(operation.span))]
    arguments += ["carry=False"] if o.module.strict else []
    arguments += ["reads=True"] if operation.attributes.get("reads") else []
    return Text(f"{o.runtime('weight')}({', '.join(arguments)})")


def _attribute(o: Naming, operation: Operation, texts: Texts) -> Text:
    name = operation.attributes["name_"]
    value = f"{texts[operation.operands[0]]:atom}.{name}"
    # A program sees a feature as its declaration: `x: float16[1, 32]`.
    return Text(f"tuple(map(str, {value}))" if name in ("inputs", "outputs") else value)


def _load_model(o: Naming, operation: Operation, texts: Texts) -> Text:
    path, dequantize = (texts[v].code for v in operation.operands)
    extra = "" if dequantize == "False" else f", dequantize={dequantize}"
    model = operation.result.type
    if isinstance(model, OpaqueType) and model.element not in (None, FLOAT16):
        extra = f", dtype={string(str(model.element))}{extra}"
    return Text(f"{o.runtime('load_model')}({path}{extra})")


def _save_model(o: Naming, operation: Operation, texts: Texts) -> Text:
    model, path, dequantize = (texts[v].code for v in operation.operands)
    extra = "" if dequantize == "False" else f", dequantize={dequantize}"
    if isinstance(operation.operands[0].type, StructType):
        model = f"{o.runtime('tensors_of')}({model})"
    return Text(f"{o.runtime('save_model')}({model}, {path}{extra})")


def _load_tokenizer(o: Naming, operation: Operation, texts: Texts) -> Text:
    (source,) = operation.operands
    if isinstance(source.type, OpaqueType):
        return Text(f"{texts[source]:atom}.tokenizer")
    return Text(f"{o.runtime('load_tokenizer')}({texts[source].code})")


def _bind(o: Naming, operation: Operation, texts: Texts) -> Text:
    model, prefix, *sizes = (texts[v].code for v in operation.operands)
    named = [f"{attribute(n)}={s}" for n, s in zip(operation.attributes["sizes"], sizes, strict=True)]
    arguments = [model, *([] if prefix == '""' else [f"prefix={prefix}"]), *named]
    bound = f"{o.hint_name(operation.attributes['definition'])}.bind({', '.join(arguments)})"
    type = operation.result.type
    assert isinstance(type, StructType)
    if not type.elements:
        return Text(bound)
    elements = [
        f"{attribute(own.name)}={o.visible_dtype(element)}"
        for own, element in zip(type.definition.elements, type.elements, strict=True)
    ]
    return Text(f"{o.runtime('of_elements')}({', '.join([bound, string(where(operation.span)), *elements])})")


def _read_line(o: Naming, operation: Operation, texts: Texts) -> Text:
    return Text(f"{o.runtime('read_line')}({texts[operation.operands[0]].code})")


def _generate(o: Naming, operation: Operation, texts: Texts) -> Text:
    model, prompt, *given = (texts[v].code for v in operation.operands)
    settings = {"fast": "True"} if o.module.fast else {}
    settings |= zip(operation.attributes["names"], given, strict=True)
    named = [f"{name}={code}" for name, code in settings.items()]
    return Text(f"{o.runtime('generate')}({', '.join([model, prompt, *named])})")


def _new_cache(o: Naming, operation: Operation, texts: Texts) -> Text:
    named = zip(operation.attributes["names"], operation.operands, strict=True)
    return Text(f"{o.runtime('KVCache')}({', '.join(f'{name}={texts[value].code}' for name, value in named)})")


def _pieces(o: Naming, operation: Operation, texts: Texts) -> Text:
    return Text(f"{o.runtime('until_interrupted')}({texts[operation.operands[0]].code})")


OUTSIDE: dict[str, Expression] = {
    "accept": _accept,
    "give": _give,
    "extern": _extern,
    "method": _method,
    "attribute": _attribute,
    "load_model": _load_model,
    "save_model": _save_model,
    "load_tokenizer": _load_tokenizer,
    "bind": _bind,
    "read_line": _read_line,
    "generate": _generate,
    "pieces": _pieces,
    "new_cache": _new_cache,
}
