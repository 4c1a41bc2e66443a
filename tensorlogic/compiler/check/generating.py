"""`generate` and `KVCache(...)`: text from a model in scripts, and the caches that a `step` takes."""

from __future__ import annotations

from tensorlogic.compiler.check import expressions
from tensorlogic.compiler.check.bindings import check_operands
from tensorlogic.compiler.check.context import Context
from tensorlogic.compiler.check.form_arguments import arguments_of, script_only, typed
from tensorlogic.compiler.check.refusals import fail
from tensorlogic.compiler.ir.core import Value
from tensorlogic.compiler.syntax import nodes
from tensorlogic.compiler.types import BOOLEAN, FLOAT, INT, STRING, ListType, OpaqueType, StringType, Type

GENERATE = {
    "max_tokens": INT,
    "temperature": FLOAT,
    "top_k": INT,
    "top_p": FLOAT,
    "min_p": FLOAT,
    "repetition_penalty": FLOAT,
    "seed": INT,
    "stop": ListType(STRING),
    "window": INT,
    "bits": INT,
    "reuse": BOOLEAN,
    "prompt_cache": STRING,
    "fast": BOOLEAN,
}
"""What `generate` takes by name, as the runtime's function does."""


def check_generate(cx: Context, node: nodes.Call, expected: Type | None) -> Value:
    script_only(cx, node)
    for argument in node.arguments[2:]:
        if argument.name is None:
            fail("TL2004", "`generate` takes a model and a prompt, and all else by name", argument.span)
    found = arguments_of(node, ("model", "prompt", *GENERATE), 2)
    model = typed(cx, node, found, "model", OpaqueType("Model"))
    prompt = expressions.check(cx, found["prompt"].value)
    check_operands(prompt)
    if not isinstance(prompt.type, StringType):
        prompt = typed(cx, node, found, "prompt", ListType(INT), prompt)
    names = tuple(name for name in GENERATE if name in found)
    given = (typed(cx, node, found, name, GENERATE[name]) for name in names)
    return cx.add("generate", (model, prompt, *given), OpaqueType("Generation"), node.span, names=names)


def check_new_cache(cx: Context, node: nodes.Call, expected: Type | None) -> Value:
    """An empty cache; each call makes another one."""
    found = arguments_of(node, ("capacity", "window", "bits"), 0)
    for argument in node.arguments:
        if argument.name is None:
            fail("TL2004", "`KVCache` takes `capacity`, `window` and `bits` by name", argument.span)
    given = tuple(typed(cx, node, found, name, INT) for name in found)
    return cx.add("new_cache", given, OpaqueType("KVCache"), node.span, names=tuple(found))
