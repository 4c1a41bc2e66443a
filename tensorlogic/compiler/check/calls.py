"""Calls: which function is meant, which argument is which parameter, and the operation that comes of it.

Binding itself is in `binding.py`; forms that no signature can say (`tensor`, `bind`, `print`) are in `special.py`.
"""

from __future__ import annotations

import difflib
from dataclasses import replace

from tensorlogic.compiler.check import attributes, chosen, expressions, making, special
from tensorlogic.compiler.check.binding import Binder
from tensorlogic.compiler.check.bindings import Binding, FunctionSymbolType, LambdaType, check_operands
from tensorlogic.compiler.check.context import Context
from tensorlogic.compiler.check.matching import Given
from tensorlogic.compiler.check.methods import FUNCTIONS, METHODS, call_method
from tensorlogic.compiler.check.overloads import Written, choose
from tensorlogic.compiler.check.plan import Parameter
from tensorlogic.compiler.check.refusals import Failure, fail
from tensorlogic.compiler.check.signatures import Signature
from tensorlogic.compiler.dims import Polynomial
from tensorlogic.compiler.ir.core import Value
from tensorlogic.compiler.names import (
    BrokenSymbol,
    ConstantSymbol,
    FunctionSymbol,
    ModuleSymbol,
    StructSymbol,
    Symbol,
)
from tensorlogic.compiler.ops.all_ops import OPS
from tensorlogic.compiler.ops.rule import Application, Argument
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.syntax import nodes
from tensorlogic.compiler.types import (
    ErrorType,
    FloatType,
    FunctionType,
    IntType,
    OpaqueType,
    OptionalType,
    StructType,
    TensorType,
    Type,
    packs_in,
    substitute,
)

_TO_HOST = frozenset({"int", "float", "bool", "string"})
"""Ops that evaluate a tensor."""


def check_call(cx: Context, node: nodes.Call, expected: Type | None) -> Value:
    """A call expression."""
    callee = node.callee
    match callee:
        case nodes.Name(name=name):
            binding = cx.lookup(name)
            if binding is not None:
                return _call_local(cx, cx.narrowed.get((name,), binding.value), node)
            symbol = cx.world.resolve(cx.module, name)
            form = _form(cx, name)
            if form is not None:
                return form(cx, node, expected)
            if symbol is None:
                expressions.refuse_name(cx, name, callee.span)
            return call_symbol(cx, symbol, _givens(cx, node, symbol), node, name)
        case nodes.Attribute():
            return _call_attribute(cx, callee, node, expected)
    return _call_local(cx, expressions.check(cx, callee), node)


def _call_local(cx: Context, function: Value, node: nodes.Call) -> Value:
    check_operands(function)
    named = next((a.name for a in node.arguments if a.name is not None), None)
    if named is not None:
        fail("TL1012", "a function value takes no named arguments", named.span)
    arguments = tuple(expressions.check(cx, a.value) for a in node.arguments)
    check_operands(*arguments)
    return call_value(cx, function, arguments, node.span, tuple(a.value.span for a in node.arguments))


def _call_attribute(cx: Context, callee: nodes.Attribute, node: nodes.Call, expected: Type | None) -> Value:
    name = callee.name.name
    module = attributes.module_of(cx, callee.value)
    if module is not None:
        symbol = module.scope.get(name)
        if symbol is None:
            near = difflib.get_close_matches(name, module.scope, 1)
            fail(
                "TL1008",
                f"`{callee.value.span.text}` has no `{name}`",
                callee.name.span,
                helps=[f"did you mean `{n}`?" for n in near],
            )
        return call_symbol(cx, symbol, _givens(cx, node, symbol), node, name)
    mark = cx.builder.mark()
    value = expressions.check(cx, callee.value)
    check_operands(value)
    if isinstance(value.type, OpaqueType) and name in METHODS.get(value.type.name, ()):
        return call_method(cx, value, name, node, callee, expected)
    if isinstance(value.type, OpaqueType) and (value.type.name, name) in FUNCTIONS:
        symbol = cx.world.graph.prelude.scope[FUNCTIONS[value.type.name, name]]
        receiver = nodes.Argument(callee.value.span, None, callee.value)
        return call_symbol(cx, symbol, [(receiver, value), *_givens(cx, node, symbol, 1)], node, name)
    if isinstance(value.type, StructType) and name in value.type.definition.fields:
        return _call_local(cx, attributes.field(cx, value, callee), node)
    receiver = nodes.Argument(callee.value.span, None, callee.value)
    function = nodes.Call(node.span, nodes.Name(callee.name.span, name), (), (receiver, *node.arguments))
    if cx.lookup(name) is not None or _form(cx, name) is not None:
        cx.builder.forget(mark)
        cx.standing = function if cx.standing is node else cx.standing
        return check_call(cx, function, expected)
    converts = name == "to" and isinstance(value.type, TensorType)
    symbol = cx.world.resolve(cx.module, "astype" if converts else name)
    match symbol:
        case FunctionSymbol(module=module) if module is cx.world.graph.prelude and isinstance(value.type, OpaqueType):
            # No function of the prelude takes one: a method is meant.
            attributes.refuse_attribute(cx, value, callee)
        case FunctionSymbol():
            return call_symbol(cx, symbol, [(receiver, value), *_givens(cx, node, symbol, 1)], node, name)
        case BrokenSymbol():
            raise Failure
    attributes.refuse_attribute(cx, value, callee)


def _form(cx: Context, name: str) -> special.Form | None:
    """The form that a name calls, unless the file declares the name."""
    symbol = cx.world.resolve(cx.module, name)
    if symbol is None or (isinstance(symbol, FunctionSymbol) and symbol.module is cx.world.graph.prelude):
        return special.FORMS.get(name)
    return None


def _givens(cx: Context, node: nodes.Call, symbol: Symbol | None = None, before: int = 0) -> list[Written]:
    """The arguments, `before` of which are written elsewhere. Weights have the element type of their parameter."""
    declared = _declared(cx, symbol)
    in_order = list(declared.values())[before : before + len(node.arguments)]
    in_order += [None] * (len(node.arguments) - len(in_order))
    return [
        (a, expressions.check(cx, a.value, by_place if a.name is None else declared.get(a.name.name)))
        for a, by_place in zip(node.arguments, in_order, strict=True)
    ]


def _declared(cx: Context, symbol: Symbol | None) -> dict[str, Type | None]:
    """The types of tensors and structs that a declared function's parameters, or a struct's fields, are to have."""
    parameters: dict[str, Type] = {}
    match symbol:
        case FunctionSymbol(module=module) if module is not cx.world.graph.prelude:
            (signature,) = cx.world.signatures(symbol)
            parameters = {p.name: p.type for p in signature.parameters}
        case StructSymbol():
            parameters = dict(cx.world.struct(symbol).fields)
    return {name: t if isinstance(_present(t), TensorType | StructType) else None for name, t in parameters.items()}


def _present(t: Type) -> Type:
    return t.item if isinstance(t, OptionalType) else t


def call_symbol(cx: Context, symbol: Symbol, written: list[Written], node: nodes.Call, name: str) -> Value:
    """A call of what a top-level name stands for."""
    check_operands(*(value for _, value in written))
    match symbol:
        case FunctionSymbol():
            signatures = cx.world.signatures(symbol)
            signature = choose(signatures, written, node.span)
            if signature.op is not None:
                # An op goes by the name that is written, which is `to` for what the prelude calls `astype`.
                signature = replace(signature, name=name)
            return call_function(cx, signature, written, node.span)
        case StructSymbol():
            return making.make_struct(cx, symbol, written, node)
        case BrokenSymbol():
            raise Failure
        case ModuleSymbol() | ConstantSymbol():
            fail("TL2005", f"`{name}` is not a function", node.callee.span)


def call_function(cx: Context, signature: Signature, written: list[Written], span: Span) -> Value:
    """A call of a declared function or an op."""
    op = OPS.get(signature.op) if signature.op is not None else None
    extra: list[Given] = []
    if op is not None and (op.variadic or op.keywords):
        written, extra = _open_arguments(signature, written, variadic=op.variadic, keywords=op.keywords)
    called = signature
    if signature.node is cx.node:
        signature = cx.world.renewed(signature)
    givens = match_arguments(cx, signature, written, span)
    binder = Binder(cx, signature, span)
    operands = binder.bind(givens)
    if op is not None:
        element = next((e for e, _ in binder.matched.elements.values()), None)
        if op.rule is not None:
            arguments = {
                p.name: Argument(p.name, v, g.span, written=g.span != span)
                for p, v, g in zip(signature.parameters, operands, givens, strict=True)
            }
            arguments.update({g.name: Argument(g.name, g.value, g.span) for g in extra})
            type = op.rule(Application(signature.name, arguments, span, element, cx))
        else:
            sizes, places = chosen.renew(signature)
            type = substitute(signature.result, binder.substitution)
            if places:
                result = cx.instantiate(chosen.open_result(type, sizes))
                cx.builder.add_statement(op.name, tuple(operands), span, results=(result,))
                chosen.read_off(cx, result, places)
                for bound in op.bounds([v.type for v in operands], result.type) if op.bounds is not None else ():
                    cx.facts = cx.facts.with_bound(bound)
                return result
        names = tuple(g.name for g in extra)
        attributes = {"extra": names} if names else {}
        result = cx.add(op.name, (*operands, *(g.value for g in extra)), type, span, **attributes)
        if op.name in _TO_HOST and any(isinstance(v.type, TensorType) for v in operands):
            cx.world.note_evaluation(cx, span)
        return _folded(cx, op.name, result, operands)
    cx.world.reach(called)
    unbound = [str(e) for e in signature.elements.values() if e not in binder.matched.elements]
    unbound += [
        str(p) for p in signature.packs.values() if p not in binder.matched.packs and p in packs_in(signature.result)
    ]
    if unbound:
        fail("TL2008", f"nothing says what `{unbound[0]}` of `{signature.name}` is", span)
    sizes, places = chosen.renew(signature)
    result = cx.instantiate(chosen.open_result(substitute(signature.result, binder.substitution), sizes))
    cx.builder.add_statement("call", tuple(operands), span, results=(result,), callee=signature.symbol)
    chosen.read_off(cx, result, places)
    return result


def _folded(cx: Context, name: str, result: Value, operands: list[Value]) -> Value:
    """A host op on constants has a constant's type, so that what depends on it is known."""
    fold = OPS[name].fold
    if name in ("host.min", "host.max") and isinstance(result.type, IntType) and result.type.value is not None:
        sizes = [v.type.value for v in operands if isinstance(v.type, IntType) and v.type.value is not None]
        for size in sizes:
            difference = size - result.type.value
            cx.facts = cx.facts.with_bound(difference if name == "host.min" else -difference)
    if fold is None or not isinstance(result.type, FloatType | IntType):
        return result
    constants = [v.type.constant for v in operands if isinstance(v.type, FloatType | IntType)]
    low = [v.type.low for v in operands if isinstance(v.type, FloatType)]
    high = [v.type.high for v in operands if isinstance(v.type, FloatType)]
    try:
        if len(constants) == len(operands) and None not in constants:
            number = fold(*constants)
            if isinstance(result.type, FloatType):
                return cx.add("retype", (result,), FloatType(number, number, known=True), result_span(cx))
            return cx.add("retype", (result,), IntType(Polynomial.of(int(number))), result_span(cx))
        if name == "host.sqrt" and low and low[0] >= 0:
            return cx.add("retype", (result,), FloatType(fold(low[0]), fold(high[0])), result_span(cx))
    except (ValueError, ArithmeticError, TypeError):
        return result
    return result


def result_span(cx: Context) -> Span:
    """Where the operation added last is written."""
    return cx.builder.last.span


def _open_arguments(
    signature: Signature, written: list[Written], *, variadic: bool, keywords: bool
) -> tuple[list[Written], list[Given]]:
    """Take apart what the signature does not name: further operands, and named sizes."""
    names = {p.name for p in signature.parameters}
    fixed: list[Written] = []
    extra: list[Given] = []
    places = len(signature.parameters) - (1 if variadic else 0)
    for argument, value in written:
        if argument.name is None and len(fixed) >= places and variadic:
            extra.append(Given(str(len(extra)), value, argument.value.span))
        elif argument.name is not None and argument.name.name not in names and keywords:
            extra.append(Given(argument.name.name, value, argument.value.span))
        else:
            fixed.append((argument, value))
    return fixed, extra


def match_arguments(cx: Context, signature: Signature, written: list[Written], span: Span) -> list[Given]:
    """Which argument is which parameter; defaults fill the rest."""
    op = OPS.get(signature.op) if signature.op is not None else None
    parameters = signature.parameters
    found: dict[str, Given] = {}
    position = 0
    for argument, value in written:
        if argument.name is None:
            if position >= len(parameters):
                fail(
                    "TL2004",
                    f"`{signature.name}` takes {_count(len(parameters))}, not {len(written)}",
                    argument.span,
                    "one too many",
                    others=[(signature.node.name.span, "declared here")] if signature.op is None else [],
                )
            parameter = parameters[position]
            position += 1
        else:
            parameter = _named(signature, argument.name)
        if parameter.name in found:
            others = [(found[parameter.name].span, "the first")]
            fail("TL2004", f"`{parameter.name}` of `{signature.name}` is given twice", argument.span, others=others)
        found[parameter.name] = Given(parameter.name, value, argument.value.span)
    missing = [p for p in parameters if p.name not in found and p.default is None]
    if op is not None and op.variadic:
        missing = [p for p in missing if p is not parameters[-1]]
    if missing:
        names = ", ".join(f"`{p.name}`" for p in missing)
        fail(
            "TL2004",
            f"`{signature.name}` needs {names}",
            span,
            others=[(p.span, f"declared {p.type}") for p in missing] if signature.op is None else [],
        )
    for parameter in parameters:
        if parameter.name not in found:
            found[parameter.name] = Given(parameter.name, _default(cx, signature, parameter, span), span)
    return [found[p.name] for p in parameters]


def _default(cx: Context, signature: Signature, parameter: Parameter, span: Span) -> Value:
    if parameter.default is None:
        return cx.constant(None, span)
    return cx.world.default(cx, signature, parameter, span)


def _named(signature: Signature, name: nodes.Identifier) -> Parameter:
    for parameter in signature.parameters:
        if parameter.name == name.name:
            return parameter
    near = difflib.get_close_matches(name.name, [p.name for p in signature.parameters], 1)
    fail(
        "TL1012",
        f"`{signature.name}` has no parameter `{name.name}`",
        name.span,
        helps=[f"did you mean `{n}`?" for n in near]
        or [f"its parameters are {', '.join(p.name for p in signature.parameters)}"],
    )


def _count(n: int) -> str:
    return f"{n} argument{'' if n == 1 else 's'}"


# --- function values


def call_value(
    cx: Context, function: Value, arguments: tuple[Value, ...], span: Span, places: tuple[Span, ...]
) -> Value:
    """A call of a value: a lambda is checked with these arguments, where it is called. `places` are theirs."""
    match function.type:
        case LambdaType():
            return _inline(cx, function.type, arguments, span)
        case FunctionSymbolType(symbol):
            signatures = cx.world.signatures(symbol)
            written = [
                (nodes.Argument(place, None, nodes.Name(place, symbol.name)), value)
                for value, place in zip(arguments, places, strict=True)
            ]
            signature = choose(signatures, written, span)
            return call_function(cx, signature, written, span)
        case FunctionType(parameters, result):
            return _call_function_value(cx, function, parameters, result, arguments, span, places)
        case ErrorType():
            raise Failure
    fail("TL2005", "this is not a function", span, str(function.type))


def _inline(cx: Context, function: LambdaType, arguments: tuple[Value, ...], span: Span) -> Value:
    """The lambda's body with these arguments, which sees what was visible and known where it is written."""
    node = function.node
    if len(arguments) != len(node.parameters):
        fail(
            "TL2004",
            f"this function takes {_count(len(node.parameters))}, not {len(arguments)}",
            span,
            others=[(node.span, "the function")],
        )
    bound = {p.name: Binding(v, p.span, "parameter") for p, v in zip(node.parameters, arguments, strict=True)}
    for parameter, value in zip(node.parameters, arguments, strict=True):
        cx.builder.name(value, parameter.name)
    frames, narrowed, in_lambda = cx.frames, cx.narrowed, cx.in_lambda
    cx.in_lambda = True
    hidden = {p.name for p in node.parameters}
    cx.frames = [function.frame, bound]
    cx.narrowed = {path: value for path, value in function.narrowed.items() if path[0] not in hidden}
    try:
        return expressions.check(cx, node.body)
    finally:
        cx.frames, cx.narrowed, cx.in_lambda = frames, narrowed, in_lambda


def _call_function_value(
    cx: Context,
    function: Value,
    parameters: tuple[Type, ...],
    result: Type,
    arguments: tuple[Value, ...],
    span: Span,
    places: tuple[Span, ...],
) -> Value:
    from tensorlogic.compiler.check.assign import coerce

    if len(parameters) != len(arguments):
        fail("TL2004", f"this function takes {_count(len(parameters))}, not {len(arguments)}", span)
    renewed = tuple(
        coerce(cx, a, p, place, f"argument {i + 1}")
        for i, (a, p, place) in enumerate(zip(arguments, parameters, places, strict=True))
    )
    return cx.add("call_value", (function, *renewed), result, span)
