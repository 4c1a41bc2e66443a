"""Expressions and types as text, with no more parentheses than they need."""

from __future__ import annotations

from tensorlogic.compiler.syntax import nodes

_WHOLE, _OPERAND = 0, 1
_UNARY, _POWER, _POSTFIX = 10, 11, 12
_PRECEDENCE = {
    "or": 1,
    "and": 2,
    "not": 3,
    **dict.fromkeys(("==", "!=", "<", "<=", ">", ">=", "in", "not in"), 4),
    "..": 5,
    "|": 6,
    "&": 7,
    "+": 8,
    "-": 8,
    **dict.fromkeys(("*", "/", "%", "@"), 9),
    "**": _POWER,
}
_ESCAPES = {"\n": "\\n", "\t": "\\t", '"': '\\"', "\\": "\\\\"}


def show_expression(expression: nodes.Expression, *, operand: bool = False) -> str:
    """An expression as the language writes it; with `operand`, fit to stand where only an operation may."""
    return _show(expression, _OPERAND if operand else _WHOLE)


def _show(expression: nodes.Expression, needed: int) -> str:
    """An expression where what binds less tightly than `needed` goes in parentheses."""
    tightness, text = _shown(expression)
    return text if tightness >= needed else f"({text})"


def _shown(expression: nodes.Expression) -> tuple[int, str]:
    """How tightly an expression binds, and its text without parentheses around it."""
    match expression:
        case nodes.Binary(operator=operator, left=left, right=right):
            tightness = _PRECEDENCE[operator]
            if operator == "**":
                return _POWER, f"{_show(left, _POSTFIX)} ** {_show(right, _UNARY)}"
            chains = tightness != _PRECEDENCE["=="]
            return (
                tightness,
                f"{_show(left, tightness if chains else tightness + 1)} {operator} {_show(right, tightness + 1)}",
            )
        case nodes.Unary(operator="not", operand=operand):
            return _PRECEDENCE["not"], f"not {_show(operand, _PRECEDENCE['not'])}"
        case nodes.Unary(operator=operator, operand=operand):
            return _UNARY, f"{operator}{_show(operand, _UNARY)}"
        case nodes.RangeExpression(start=start, stop=stop):
            tightness = _PRECEDENCE[".."]
            return tightness, f"{_show(start, tightness + 1)}..{_show(stop, tightness + 1)}"
        case nodes.Lambda(parameters=parameters, body=body):
            return _WHOLE, f"|{', '.join(name.name for name in parameters)}| {_show(body, _WHOLE)}"
        case nodes.Conditional(condition=condition, then=then, otherwise=otherwise):
            last = f"{{ {_show(otherwise, _WHOLE)} }}"
            if isinstance(otherwise, nodes.Conditional):
                last = _show(otherwise, _WHOLE)
            return _WHOLE, f"if {_show(condition, _OPERAND)} {{ {_show(then, _WHOLE)} }} else {last}"
    return _POSTFIX, _shown_primary(expression)


def _shown_primary(expression: nodes.Expression) -> str:
    match expression:
        case nodes.Call(callee=callee, type_arguments=type_arguments, arguments=arguments):
            types = f"<{', '.join(map(show_type, type_arguments))}>" if type_arguments else ""
            return f"{_receiver(callee)}{types}({', '.join(map(_argument, arguments))})"
        case nodes.Attribute(value=value, name=name):
            return f"{_receiver(value)}.{name.name}"
        case nodes.Index(value=value, items=items):
            return f"{_receiver(value)}[{', '.join(map(_index_item, items))}]"
        case nodes.TupleExpression(items=members):
            return f"({', '.join(_show(item, _WHOLE) for item in members)})"
        case nodes.ListExpression(items=members):
            return f"[{', '.join(_show(item, _WHOLE) for item in members)}]"
        case nodes.FormatString(parts=parts):
            return 'f"' + "".join(map(_format_part, parts)) + '"'
        case nodes.StringLiteral(value=text):
            return show_string(text)
        case nodes.IntegerLiteral(value=number) | nodes.FloatLiteral(value=number):
            return repr(number)
        case nodes.BooleanLiteral(value=truth):
            return "true" if truth else "false"
        case nodes.NoneLiteral():
            return "none"
        case nodes.Name(name=name):
            return name
        case nodes.ErrorExpression(span=span):
            return span.text
    raise AssertionError(f"no such expression: {expression}")


def _receiver(expression: nodes.Expression) -> str:
    """What is called, indexed or asked for an attribute. Numbers get parentheses for the eye: `(1).f()`."""
    shown = _show(expression, _POSTFIX)
    return f"({shown})" if isinstance(expression, nodes.IntegerLiteral | nodes.FloatLiteral) else shown


def _argument(argument: nodes.Argument) -> str:
    value = _show(argument.value, _WHOLE)
    return value if argument.name is None else f"{argument.name.name}: {value}"


def _index_item(item: nodes.Expression | nodes.Slice | nodes.Ellipsis) -> str:
    if isinstance(item, nodes.Ellipsis):
        return "..."
    if isinstance(item, nodes.Expression):
        return _show(item, _WHOLE)
    start, stop, step = ("" if part is None else _show(part, _WHOLE) for part in (item.start, item.stop, item.step))
    return f"{start}:{stop}:{step}" if step else f"{start}:{stop}"


def show_string(text: str) -> str:
    """A string literal of this text."""
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    return "".join(
        _ESCAPES.get(character) or (character if character.isprintable() else f"\\u{{{ord(character):x}}}")
        for character in text
    )


def _format_part(part: str | nodes.Expression) -> str:
    if isinstance(part, nodes.Expression):
        return f"{{{_show(part, _WHOLE)}}}"
    doubled = part.replace("{", "{{").replace("}", "}}")
    return "".join(_escaped(character) for character in doubled)


def show_type(written: nodes.TypeExpression) -> str:
    """A type as the language writes it."""
    match written:
        case nodes.NamedType(name=name, type_arguments=type_arguments, dims=dims):
            types = f"<{', '.join(map(show_type, type_arguments))}>" if type_arguments else ""
            shape = "" if dims is None else f"[{', '.join(map(_dim, dims))}]"
            return name.name + types + shape
        case nodes.OptionalType(item=item):
            inner = show_type(item)
            return f"({inner})?" if isinstance(item, nodes.FunctionType) else f"{inner}?"
        case nodes.ListType(item=item):
            return f"[{show_type(item)}]"
        case nodes.TupleType(items=items):
            return f"({', '.join(map(show_type, items))})"
        case nodes.FunctionType(parameters=parameters, result=result):
            return f"fn({', '.join(map(show_type, parameters))}) -> {show_type(result)}"
        case nodes.ErrorType(span=span):
            return span.text
    raise AssertionError(f"no such type: {written}")


def _dim(dim: nodes.Dim) -> str:
    match dim:
        case nodes.UnknownDim(name=name):
            return "?" if name is None else f"?{name.name}"
        case nodes.Pack(name=name):
            return "..." if name is None else f"...{name.name}"
        case nodes.Expression():
            return show_expression(dim)
