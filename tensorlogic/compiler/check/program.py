"""Checks a whole program: every function and the script, from a module graph to IR.

Takes a module graph without unresolved imports. Promises either diagnostics, or a `Program` in which

    no operation of a function's body can meet a shape, an index or a slice that it does not accept.

Why that holds:

1. *What a type says is what runs.* Each value has one type; a tensor's type is polynomials over variables, and each
   variable stands for one number during one call. For a parameter this is what the entry checked, or what binding
   established at the call (3). For the result of an operation it is what the operation's rule says, and the
   differential tests of the op table hold rule and MLX together.
2. *Each operation's demand is met where it stands.* A rule states demands on dims as equations, inequalities and
   divisibilities. `Context.require_*` is the only place where one is decided. It is met by identity of normal forms
   after substitution by facts, which are true where they are in scope; or by the prover of `facts.py`, which says yes
   only where the inequality holds for all values the facts admit; or by a `demand` operation placed before the
   operation, in the same block, which raises unless the demand holds. Otherwise the program is refused.
3. *A call meets the callee's assumptions.* The body of a function assumes that its dimension variables are at least 1
   and that its `where` holds. Binding proves or checks both for what it bound, and compares every dim of every
   argument with what the parameter says under that binding. Inside, the variables are rigid: nothing is assumed of
   them that binding did not establish. A call inside the function itself has variables of its own. A size that the
   function chooses (`chosen.py`) is one number for each `return`, and a fresh unknown for each call.
4. *Facts end with their scope.* A condition's facts hold in its branch, and after it where the other branch leaves;
   a check's facts hold to the end of its block. A variable made inside a block that would be seen outside of it becomes
   an unknown of its own (`leave`). A loop's variables are forgotten at its entry except for their types, which every
   way into the next iteration re-establishes.
5. *What is checked at run time is only what the language says*: where a `?`, a tensor of unknown rank or a host `int`
   takes part. Rigid variables alone are never left to run time. So a body without these holds no check.

What this does not cover: memory, and the values of tensor indices, which gather and scatter clamp (`--checked` reports
them instead).
"""

from __future__ import annotations

from tensorlogic.compiler.check import statements
from tensorlogic.compiler.check.arguments import check_result
from tensorlogic.compiler.check.assign import coerce
from tensorlogic.compiler.check.bindings import Binding
from tensorlogic.compiler.check.chosen import chosen_by
from tensorlogic.compiler.check.context import Context
from tensorlogic.compiler.check.entry import make_constructor, make_entry
from tensorlogic.compiler.check.once import require_once
from tensorlogic.compiler.check.places import witness_plan
from tensorlogic.compiler.check.refusals import Failure, fail
from tensorlogic.compiler.check.signatures import Signature
from tensorlogic.compiler.check.world import World, is_library
from tensorlogic.compiler.diagnostics.model import Diagnostic
from tensorlogic.compiler.ir.builder import Builder
from tensorlogic.compiler.ir.core import Function, Program, walk
from tensorlogic.compiler.names import FileModule, FunctionSymbol, ModuleGraph
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.syntax import nodes
from tensorlogic.compiler.types import INT, IntType, NoneType


def check_program(graph: ModuleGraph, name: str) -> tuple[Program | None, list[Diagnostic]]:
    """The program in IR, or None where it is wrong; and all diagnostics, notes included."""
    world = World(graph)
    functions: dict[str, Function] = {}
    signatures: list[Signature] = []
    for module in graph.files:
        if not is_library(module) or module is graph.entry:
            signatures += _declared(world, module)
            _check_declarations(world, module)
    for signature in signatures:
        world.reach(signature)
    while world.pending:
        signature = world.pending.pop(0)
        function = check_function(world, signature)
        if function is not None:
            functions[signature.symbol] = function
    script = check_script(world, graph.entry)
    if not world.is_right():
        return None, world.diagnostics
    while world.pending:
        signature = world.pending.pop(0)
        late = check_function(world, signature)
        if late is not None:
            functions[signature.symbol] = late
    own = [s for s in signatures if s.module is graph.entry]
    entries = [e for s in own if (e := make_entry(world, s)) is not None]
    if not world.is_right():
        return None, world.diagnostics
    roots = [functions[s.symbol] for s in own if s.symbol in functions] + ([script] if script is not None else [])
    program = Program(
        name=name,
        functions=_reachable(roots, functions, script),
        entries=tuple(entries),
        structs=tuple(world.structs_reached),
        constructors={d: make_constructor(world, d) for d in world.structs_reached},
        script=script,
        documentation=graph.entry.tree.documentation,
    )
    return program, world.diagnostics


def _declared(world: World, module: FileModule) -> list[Signature]:
    """The signatures of a file's functions, in order of the text."""
    found: list[Signature] = []
    for symbol in module.scope.values():
        if isinstance(symbol, FunctionSymbol) and symbol.module is module:
            try:
                found.extend(world.signatures(symbol))
            except Failure:
                continue
    return found


def _check_declarations(world: World, module: FileModule) -> None:
    """Structs and constants that nothing uses are read all the same, so that what is wrong with them is told."""
    from tensorlogic.compiler.names import ConstantSymbol, StructSymbol

    for symbol in module.scope.values():
        try:
            if isinstance(symbol, StructSymbol) and symbol.module is module:
                definition = world.struct(symbol)
                if module is world.graph.entry:
                    world.reach_struct(definition)
            elif isinstance(symbol, ConstantSymbol) and symbol.module is module:
                world.constant(symbol)
        except Failure as failure:
            world.tell(failure)


def _reachable(roots: list[Function], functions: dict[str, Function], script: Function | None) -> tuple[Function, ...]:
    """The functions that the entry file needs: its own, and what they call, callees first as they were written."""
    found: dict[str, Function] = {}
    pending = roots[::-1]
    while pending:
        function = pending.pop()
        if function.symbol in found:
            continue
        if function is not script:
            found[function.symbol] = function
        callees = [o.attributes["callee"] for o in walk(function.body) if o.name == "call"]
        pending += [functions[callee] for callee in reversed(callees) if callee in functions]
    return tuple(found.values())


# --- bodies


def check_function(world: World, signature: Signature) -> Function | None:
    """One function's body; None where it is wrong."""
    node = signature.node
    cx = Context(
        world=world,
        module=signature.module,
        builder=Builder(),
        node=node,
        names_in_signature={n: p for n, p in signature.names.items() if n not in _parameter_names(signature)},
        own=frozenset(v for p in signature.names.values() for v in p.variables()),
        places=signature.places,
        statements=node.body.statements if node.body is not None else (),
        result=signature.result,
        chosen=chosen_by(signature),
        result_span=node.result.span if node.result is not None else node.name.span,
        elements=signature.elements,
        packs=signature.packs,
        facts=signature.facts,
        function_name=signature.name,
    )
    failed, world.failed = world.failed, False
    cx.builder.open()
    values = tuple(cx.instantiate(p.type) for p in signature.parameters)
    for parameter, value in zip(signature.parameters, values, strict=True):
        cx.builder.name(value, parameter.name)
        cx.declare(parameter.name, Binding(value, parameter.span, "parameter"))
    witness_plan(cx, signature, values)
    try:
        _check_defaults(cx, signature)
        if node.result is None:
            fail(
                "TL2018",
                f"`{signature.name}` does not say what it returns",
                node.name.span,
                helps=["add `-> T` after the parameters"],
            )
        _check_body(cx, signature, node)
    except Failure as failure:
        cx.report(failure)
    body = cx.builder.close(values)
    right, world.failed = not world.failed, failed or world.failed
    if not right:
        return None
    names = tuple(p.name for p in signature.parameters)
    function = Function(
        symbol=signature.symbol,
        parameters=tuple(zip(names, values, strict=True)),
        result=signature.result,
        body=body,
        names=cx.builder.names,
        span=node.name.span,
        documentation=node.documentation,
    )
    return function if _is_once(cx, function) else None


def _is_once(cx: Context, function: Function) -> bool:
    try:
        require_once(function)
    except Failure as failure:
        cx.report(failure)
        return False
    return True


def _parameter_names(signature: Signature) -> set[str]:
    return {p.name for p in signature.parameters if isinstance(p.type, IntType)}


def _check_defaults(cx: Context, signature: Signature) -> None:
    for parameter in signature.parameters:
        if parameter.default is not None:
            constant = cx.world.default(cx, signature, parameter, parameter.default.span)
            declared = INT if isinstance(parameter.type, IntType) else parameter.type
            what = f"the default of `{parameter.name}`"
            coerce(cx, constant, declared, parameter.default.span, what, parameter.span)


def _check_body(cx: Context, signature: Signature, node: nodes.FunctionDeclaration) -> None:
    if node.external is not None:
        values = tuple(cx.frames[0][p.name].value for p in signature.parameters)
        given = cx.add("extern", values, signature.result, node.span, module=node.external, function=signature.name)
        cx.builder.name(given, "result")
        name = f"{signature.name}(...)"
        result = cx.add("accept", (given,), signature.result, node.span, argument=name, function=signature.name)
        cx.builder.name(result, "result")
        check_result(cx, signature, values, result)
        cx.builder.add_statement("return", (result,), node.span)
        return
    if node.body is None:
        raise Failure
    statements.check_statements(cx, node.body.statements)
    if not cx.builder.terminated and not isinstance(signature.result, NoneType):
        closing = Span(node.body.span.source, node.body.span.end - 1, node.body.span.end)
        fail(
            "TL2010",
            f"`{signature.name}` may end here without a result",
            closing,
            others=[(cx.result_span, f"declared {signature.result}")] if cx.result_span else [],
        )


def check_script(world: World, module: FileModule) -> Function | None:
    """A file's statements, as a function without parameters; None where there are none, or they are wrong."""
    if not module.tree.statements:
        return None
    statements_ = module.tree.statements
    cx = Context(world=world, module=module, builder=Builder(), is_script=True, statements=statements_)
    cx.builder.open()
    statements.check_statements(cx, module.tree.statements)
    if not cx.builder.terminated:
        cx.builder.add_statement("return", (), module.tree.span)
    function = Function("main", (), None, cx.builder.close(), cx.builder.names, module.tree.span)
    return function if _is_once(cx, function) else None
