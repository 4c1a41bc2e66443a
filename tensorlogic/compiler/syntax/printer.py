"""From the tree back to text, in the one layout of the language: four spaces, one statement a line.

Takes a tree from the parser or one that was built. Promises text that parses to an equal tree, with no more parentheses
than that needs. Comments are not in the tree, and so not in the text; documentation is. Error nodes print as the source
text they cover.
"""

from __future__ import annotations

from tensorlogic.compiler.syntax import nodes
from tensorlogic.compiler.syntax.print_expressions import show_expression, show_string, show_type

__all__ = ["format_module", "show_expression", "show_type"]

_INDENT = "    "


def format_module(module: nodes.Module) -> str:
    """The whole module. Declarations and statements stand in the order of their spans, declarations first in ties."""
    blocks: list[str] = []
    if module.documentation is not None:
        blocks.append("\n".join(_documentation(module.documentation, "")))
    items: list[nodes.Declaration | nodes.Statement] = [*module.declarations, *module.statements]
    items.sort(key=lambda item: item.span.start)
    loose: list[str] = []
    for item in items:
        if isinstance(item, nodes.Statement | nodes.ImportDeclaration | nodes.ConstantDeclaration):
            loose.extend(_statement(item, "") if isinstance(item, nodes.Statement) else _declaration(item))
            continue
        if loose:
            blocks.append("\n".join(loose))
            loose = []
        blocks.append("\n".join(_declaration(item)))
    if loose:
        blocks.append("\n".join(loose))
    return "\n\n".join(blocks) + "\n" if blocks else ""


# --- declarations ---


def _declaration(declaration: nodes.Declaration) -> list[str]:
    match declaration:
        case nodes.FunctionDeclaration():
            return [*_documentation(declaration.documentation, ""), *_function(declaration)]
        case nodes.StructDeclaration():
            return [*_documentation(declaration.documentation, ""), *_struct(declaration)]
        case nodes.ConstantDeclaration(name=name, value=value):
            line = f"const {name.name} = {show_expression(value)}"
            return [*_documentation(declaration.documentation, ""), line]
        case nodes.ImportDeclaration():
            return [_import(declaration)]
    raise AssertionError(f"no such declaration: {declaration}")


def _documentation(text: str | None, indent: str) -> list[str]:
    return [] if text is None else [f"{indent}/// {line}".rstrip() for line in text.split("\n")]


def _function(function: nodes.FunctionDeclaration) -> list[str]:
    before = "builtin " if function.builtin else ""
    if function.external is not None:
        before = f"extern {show_string(function.external)} "
    parameters = []
    for parameter in function.parameters:
        default = "" if parameter.default is None else f" = {show_expression(parameter.default)}"
        parameters.append(f"{parameter.name.name}: {show_type(parameter.type)}{default}")
    result = "" if function.result is None else f" -> {show_type(function.result)}"
    facts = ", ".join(show_expression(fact.condition, operand=True) for fact in function.where)
    where = f" where {facts}" if facts else ""
    name = function.name.name + _type_parameters(function.type_parameters)
    line = f"{before}fn {name}({', '.join(parameters)}){result}{where}"
    return [line] if function.body is None else _with_block(line, function.body, "")


def _type_parameters(parameters: tuple[nodes.TypeParameter, ...]) -> str:
    shown = ", ".join(f"{parameter.name.name}: {parameter.bound.name}" for parameter in parameters)
    return f"<{shown}>" if parameters else ""


def _struct(struct: nodes.StructDeclaration) -> list[str]:
    dims = f"[{', '.join(dim.name for dim in struct.dims)}]" if struct.dims else ""
    header = f"struct {struct.name.name}{_type_parameters(struct.type_parameters)}{dims} {{"
    lines = []
    for field in struct.fields:
        keys = " | ".join(show_string(key) for key in field.keys)
        lines.extend(_documentation(field.documentation, _INDENT))
        lines.append(f"{_INDENT}{field.name.name}: {show_type(field.type)}" + (f" = {keys}" if keys else ""))
    return [header, *lines, "}"] if lines else [header + "}"]


def _import(declaration: nodes.ImportDeclaration) -> str:
    target = declaration.module if declaration.path is None else show_string(declaration.path)
    if declaration.names is None:
        return f"import {target}" + (f" as {declaration.alias.name}" if declaration.alias is not None else "")
    names = [
        name.name.name + (f" as {name.alias.name}" if name.alias is not None else "") for name in declaration.names
    ]
    return f"from {target} import {', '.join(names)}"


# --- statements ---


def _with_block(header: str, block: nodes.Block, indent: str) -> list[str]:
    lines = [line for statement in block.statements for line in _statement(statement, indent + _INDENT)]
    if not lines:
        return [f"{indent}{header} {{}}"]
    return [f"{indent}{header} {{", *lines, f"{indent}}}"]


def _statement(statement: nodes.Statement, indent: str) -> list[str]:
    match statement:
        case nodes.If():
            return _if(statement, indent)
        case nodes.While(condition=condition, body=body):
            return _with_block(f"while {show_expression(condition, operand=True)}", body, indent)
        case nodes.For(names=names, iterable=iterable, body=body):
            return _with_block(f"for {_target(names)} in {show_expression(iterable, operand=True)}", body, indent)
    return [indent + _simple_statement(statement)]


def _if(statement: nodes.If, indent: str) -> list[str]:
    lines: list[str] = []
    header = ""
    rest: nodes.If | None = statement
    while rest is not None:
        block = _with_block(f"{header}if {show_expression(rest.condition, operand=True)}", rest.then, indent)
        lines = _join(lines, block, indent)
        otherwise, rest = rest.otherwise, None
        if otherwise is None:
            break
        if len(otherwise.statements) == 1 and isinstance(otherwise.statements[0], nodes.If):
            rest = otherwise.statements[0]
            header = "else "
        else:
            lines = _join(lines, _with_block("else", otherwise, indent), indent)
    return lines


def _join(before: list[str], after: list[str], indent: str) -> list[str]:
    """Puts `else ...` behind the closing brace before it."""
    if not before:
        return after
    return [*before[:-1], f"{before[-1]} {after[0].removeprefix(indent)}", *after[1:]]


def _target(names: tuple[nodes.Identifier, ...]) -> str:
    shown = ", ".join(name.name for name in names)
    return shown if len(names) == 1 else f"({shown})"


def _simple_statement(statement: nodes.Statement) -> str:
    match statement:
        case nodes.Let(names=names, type=declared, value=value):
            annotation = "" if declared is None else f": {show_type(declared)}"
            return f"let {_target(names)}{annotation} = {show_expression(value)}"
        case nodes.Assign(names=names, value=value):
            return f"{_target(names)} = {show_expression(value)}"
        case nodes.AugmentedAssign(name=name, operator=operator, value=value):
            return f"{name.name} {operator}= {show_expression(value)}"
        case nodes.Return(value=returned):
            return "return" if returned is None else f"return {show_expression(returned)}"
        case nodes.Assert(condition=condition, message=message):
            return f"assert {show_expression(condition)}" + ("" if message is None else f", {show_expression(message)}")
        case nodes.Break():
            return "break"
        case nodes.Continue():
            return "continue"
        case nodes.ExpressionStatement(value=value):
            shown = show_expression(value, operand=True)
            # Without parentheses a line that begins so would continue the line before it.
            return f"({shown})" if shown.startswith(("-", "where(")) else shown
        case nodes.ErrorStatement(span=span):
            return span.text
    raise AssertionError(f"no such statement: {statement}")
