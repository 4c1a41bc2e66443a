"""Branches, loops and inner functions as Python statements; the rest of a region is written by `body.py`.

A loop carries its values in variables, which are set before it, at the end of each iteration, and at `break` and
`continue`. A branch sets the variables of its `if`'s results. Where several are set at once, none is set before a text
that mentions it is written.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from tensorlogic.compiler.emit.order import ORDERED, REPEATED, STATEMENTS, items_of
from tensorlogic.compiler.emit.variables import fits
from tensorlogic.compiler.ir.core import Operation, Region, Value, walk
from tensorlogic.compiler.ops.lowering import AND, CONDITIONAL, LOWEST, NOT, OR, Text
from tensorlogic.compiler.types import FunctionType, TupleType

if TYPE_CHECKING:
    from tensorlogic.compiler.emit.body import Body

_LONGEST = 108
_DEEPEST = _LONGEST // len(" if c else ")
"""How deep conditional expressions may nest before they are surely too long: what is deeper is not tried."""
_Setting = tuple[str, str, frozenset[str]]
"""A variable, the expression it is set to, and the variables that this mentions."""


# --- branches


def write_if(body: Body, operation: Operation, position: int) -> None:
    """An `if` as an expression where both branches are short ones, else as a statement."""
    made = _as_expression(body, operation)
    if made is not None:
        text, mentions = made
        body.place_value(operation, text, position, mentions)
        return
    body.unfolded.add(operation)
    condition = body.texts[operation.operands[0]]
    targets: tuple[str, ...] = ()
    for i in range(len(operation.results)):
        targets = (*targets, _target(body, operation, i, targets))
    blocks: list[list[str]] = []
    for region in operation.regions:
        with body.inside() as lines:
            body.region(region, targets)
        blocks.append(lines)
    _write_branches(body, condition, *blocks)
    for value, target in zip(operation.results, targets, strict=True):
        body.bind(value, Text(target), frozenset((target,)))


def _write_branches(body: Body, condition: Text, then: list[str], otherwise: list[str]) -> None:
    prefix = "    " * body.indent
    if not then and not otherwise:
        return
    if not then:
        body.add(f"if {negated(condition)}:")
        body.lines += otherwise
        return
    body.add(f"if {condition.code}:")
    body.lines += then
    if otherwise and _is_one_if(otherwise, prefix + "    "):
        first, *rest = (line[4:] for line in otherwise)
        body.lines += [f"{prefix}el{first[len(prefix) :]}", *rest]
    elif otherwise:
        body.add("else:")
        body.lines += otherwise


def _is_one_if(lines: list[str], prefix: str) -> bool:
    """Whether the lines are one `if` statement."""
    following = (f"{prefix}    ", f"{prefix}elif ", f"{prefix}else:", f"{prefix})")
    return lines[0].startswith(f"{prefix}if ") and all(line.startswith(following) for line in lines[1:])


def _target(body: Body, operation: Operation, i: int, but: tuple[str, ...]) -> str:
    """The variable of a result: the one that a branch leaves as it was, where nothing else needs its value."""
    result = operation.results[i]
    name, hint = body.names.get(result, "chosen"), body.hint(result.type)
    for kept in _yielded(operation, i):
        text = body.texts.get(kept)
        if text is None or text.code in but or not text.code.isidentifier():
            continue
        if fits(text.code, name) and body.variables.settable(text.code, operation, hint):
            return text.code
    return body.variables.choose(name, operation, hint, but)


def _yielded(operation: Operation, i: int) -> list[Value]:
    ends = [r.operations[-1] for r in operation.regions if r.operations]
    return [end.operands[i] for end in ends if end.name == "yield"]


def _as_expression(body: Body, operation: Operation) -> tuple[Text, frozenset[str]] | None:
    """`a if c else b`, `c and a`, `c or b`, with the variables that it mentions; None where it must be a statement."""
    if not _is_expression(body, operation):
        return None
    sides: list[Text] = []
    mentions = body.mentions[operation.operands[0]]
    for region in operation.regions:
        with body.inside() as lines:
            value = body.value_of(region, is_expression=True)
        if lines:
            return None
        sides.append(body.texts[value])
        mentions |= body.mentions[value]
    condition = body.texts[operation.operands[0]]
    then, otherwise = sides
    if otherwise.code == "False":
        return Text(f"{condition.within(AND)} and {then.within(AND + 1)}", AND), mentions
    if then.code == "True":
        return Text(f"{condition.within(OR)} or {otherwise.within(OR + 1)}", OR), mentions
    code = f"{then.within(OR)} if {condition.within(OR)} else {otherwise.within(CONDITIONAL)}"
    return (Text(code, CONDITIONAL), mentions) if len(code) <= _LONGEST else None


def _is_expression(body: Body, operation: Operation, depth: int = 0) -> bool:
    """Whether both branches give one value that needs no statement, and neither only keeps an old variable's value."""
    if len(operation.results) != 1 or operation in body.unfolded or depth > _DEEPEST:
        return False
    name = body.names.get(operation.result)
    for region in operation.regions:
        if not region.operations or region.operations[-1].name != "yield":
            return False
        if not all(_is_inline(body, o, region, depth) for o in region.operations[:-1]):
            return False
        kept = body.texts.get(region.operations[-1].operands[0])
        if name is not None and kept is not None and fits(kept.code, name):
            return False
    return True


def _is_inline(body: Body, operation: Operation, region: Region, depth: int) -> bool:
    if operation.name in STATEMENTS | ORDERED | {"demand"}:
        return False
    if operation.name == "if":
        if not _is_expression(body, operation, depth + 1):
            return False
    elif operation.regions:
        return False
    (result,) = operation.results
    end = region.operations[-1]
    if result in body.names and result not in end.operands:
        return False
    users = sum(o.operands.count(result) for o in region.operations)
    if operation.name in REPEATED and result not in body.names:
        return not any(_made_in(region, v) for v in operation.operands) or body.counts.get(result, 0) <= 1
    return users == body.counts.get(result, 0) <= 1


def _made_in(region: Region, value: Value) -> bool:
    return any(value in o.results for o in region.operations)


# --- loops


def _carried(
    body: Body, operation: Operation, before: tuple[Value, ...], arguments: tuple[Value, ...]
) -> tuple[str, ...]:
    """The variables that carry values from one iteration to the next, set to what they are before the loop."""
    targets: tuple[str, ...] = ()
    settings: list[_Setting] = []
    for value, argument in zip(before, arguments, strict=True):
        text = body.texts[value]
        name, hint = body.names.get(argument, "carried"), body.hint(argument.type)
        reusable = text.code.isidentifier() and text.code not in targets and fits(text.code, name)
        if reusable and body.variables.free_in(text.code, operation, hint):
            target = text.code
        else:
            target = body.variables.choose_for(name, operation, hint, targets)
        targets = (*targets, target)
        settings.append((target, text.code, body.mentions[value]))
    _set(body, settings)
    for argument, target in zip(arguments, targets, strict=True):
        body.bind(argument, Text(target), frozenset((target,)))
    return targets


def _set(body: Body, settings: list[_Setting]) -> None:
    """Set variables at once: in an order in which each text is written before what it mentions is set, if there is one.

    A setting to itself is none.
    """
    pending = [(target, code, mentions) for target, code, mentions in settings if target != code]
    while pending:
        for i, (target, code, _) in enumerate(pending):
            others = pending[:i] + pending[i + 1 :]
            if not any(target in mentions for _, _, mentions in others):
                body.add(body.variables.setting(target, code))
                pending = others
                break
        else:
            body.add(f"{', '.join(t for t, _, _ in pending)} = {', '.join(_within_tuple(c) for _, c, _ in pending)}")
            return


def _within_tuple(code: str) -> str:
    return f"({code})" if code.startswith("lambda ") else code


def write_for(body: Body, operation: Operation) -> None:
    (inner,) = operation.regions
    variable, *arguments = inner.arguments
    iterable = body.texts[operation.operands[0]]
    targets = _carried(body, operation, operation.operands[1:], tuple(arguments))
    items = items_of(variable, inner.operations)
    if items and len(items) == body.counts.get(variable, 0):
        assert isinstance(variable.type, TupleType)
        head = _taken_apart(body, operation, variable.type, items, targets)
    else:
        head = "_"
        if body.counts.get(variable, 0):
            name = body.names.get(variable, "pair" if items else "item")
            head = body.variables.choose_for(name, operation, body.hint(variable.type), targets)
            body.bind(variable, Text(head), frozenset((head,)))
    # A loop needs no tuple of what is only gone through.
    code = re.sub(r"^tuple\((enumerate\(.*\))\)$", r"\1", iterable.code)
    _write_loop(body, f"for {head} in {code}:", inner, targets)
    _after(body, operation, targets)


def _taken_apart(
    body: Body, operation: Operation, pair: TupleType, items: list[Operation], targets: tuple[str, ...]
) -> str:
    """`i, b` for a loop over pairs of which the body uses the items alone."""
    found = {o.attributes["index"]: o for o in items}
    chosen: list[str] = []
    for index in range(len(pair.items)):
        item = found.get(index)
        if item is None:
            chosen.append("_")
            continue
        name, hint = body.names.get(item.result, "item"), body.hint(item.result.type)
        chosen.append(body.variables.choose_for(name, operation, hint, (*targets, *chosen)))
        body.bind(item.result, Text(chosen[-1]), frozenset((chosen[-1],)))
    body.written.update(items)
    return ", ".join(chosen)


def _after(body: Body, operation: Operation, targets: tuple[str, ...]) -> None:
    for value, target in zip(operation.results, targets, strict=True):
        body.bind(value, Text(target), frozenset((target,)))


def _write_loop(body: Body, head: str, inner: Region, targets: tuple[str, ...], first: list[str] | None = None) -> None:
    body.carries.append(targets)
    with body.inside() as lines:
        body.region(inner, targets)
    body.carries.pop()
    space = "    " * (body.indent + 1)
    if lines and lines[-1] == f"{space}continue":
        lines.pop()
    body.add(head)
    body.lines += [*(first or []), *lines] or [f"{space}pass"]


def write_while(body: Body, operation: Operation) -> None:
    condition, inner = operation.regions
    targets = _carried(body, operation, operation.operands, condition.arguments)
    with body.inside() as lines:
        test = body.texts[body.value_of(condition)]
        if lines:
            body.add(f"if {negated(test)}:")
            body.add("    break")
    _write_loop(body, "while True:" if lines else f"while {test.code}:", inner, targets, lines)
    _after(body, operation, targets)


def write_end(body: Body, operation: Operation) -> None:
    """The end of a region: what is handed on is set, then the region is left."""
    texts = [(body.texts[v].code, body.mentions[v]) for v in operation.operands]
    match operation.name:
        case "yield":
            targets = body.blocks[-1].targets
            _set(body, [(target, *text) for target, text in zip(targets, texts, strict=True)])
        case "break" | "continue":
            _set(body, [(target, *text) for target, text in zip(body.carries[-1], texts, strict=True)])
            body.add(operation.name)
        case _:
            body.add(f"return {texts[0][0]}" if texts else "return", body.place(operation))


# --- functions as values


def write_lambda(body: Body, operation: Operation, position: int) -> None:
    """A function value: `lambda` where its body is an expression and it has no name, else an inner `def`."""
    (region,) = operation.regions
    made, outer = operation.result, body.variables
    function = _only_called(region)
    if function is not None:
        body.place_value(operation, body.lower(function, body.texts), position, frozenset())
        return
    seen = frozenset().union(*(body.mentions[v] for v in _seen(body, region)))
    heads: list[str] = []
    with outer.inner_function():
        for value in region.arguments:
            hint = body.hint(value.type)
            variable = outer.parameter(body.names.get(value, "x"), hint, seen)
            body.bind(value, Text(variable), frozenset((variable,)))
            heads.append(f"{variable}: {hint}")
        with body.inside() as lines:
            result = body.texts[body.value_of(region)]
            named = bool(lines) or made in body.names
            if named:
                body.add(f"return {result.code}")
    if not named:
        arguments = ", ".join(body.texts[a].code for a in region.arguments)
        text = Text(f"lambda {arguments}: {result.code}" if arguments else f"lambda: {result.code}", LOWEST)
        body.place_value(operation, text, position, seen)
        return
    name = outer.choose(body.names.get(made, "function"), operation, body.hint(made.type))
    given = body.hint(made.type.result) if isinstance(made.type, FunctionType) else "object"
    body.lines += [""] if body.lines else []
    body.add(f"def {name}({', '.join(heads)}) -> {given}:")
    body.lines += [*lines, ""]
    body.bind(made, Text(name), seen | {name})


def _only_called(region: Region) -> Operation | None:
    """`|x| f(x)`, which is what a function's name becomes as a value: the name itself, as an operation.

    A function that must be told its type parameters needs the call.
    """
    if len(region.operations) != 2 or region.operations[0].name != "call":
        return None
    call, end = region.operations
    if call.operands != region.arguments or end.operands != call.results or "elements" in call.attributes:
        return None
    return replace(call, name="function", operands=())


def _seen(body: Body, region: Region) -> list[Value]:
    return [v for o in walk(region) for v in o.operands if v in body.mentions]


def negated(text: Text) -> str:
    """The expression of `not` the text."""
    return f"not {text.within(NOT)}"
