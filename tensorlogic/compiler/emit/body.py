"""A region of the IR as Python statements.

Takes a function's region. Promises statements that compute the same values in an order that dependencies allow, one
for each named value, with values that are used once written where they are used. Source names are kept; a name that a
loop or branch rebinds is one Python variable where nothing else still needs its old value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tensorlogic.compiler.emit.identifiers import Identifiers, python_name
from tensorlogic.compiler.ir.core import Operation, Region, Value, uses, walk
from tensorlogic.compiler.ops.lowering import AND, CONDITIONAL, LOWEST, NOT, OR, Text

_LONGEST = 96
"""An expression longer than this gets a statement of its own."""

REPEATED = frozenset(
    {"constant", "dim", "field", "item", "dtype", "shape", "rank", "size", "attribute", "arguments", "retype"}
)
"""Operations so cheap that they are written at each use rather than kept."""

STATEMENTS = frozenset({"print", "save_model"})
"""Operations that stand for what they do: each is a statement where it stands."""

ORDERED = frozenset(
    {"read_line", "load_model", "load_tokenizer", "bind", "method", "bool", "accept", "ranked", "debug"}
)
"""Operations that read the world or may refuse: they stay where they stand, in a statement of their own."""


@dataclass
class Body:
    """Writes one function's statements. `lower` gives the expression of an operation without regions."""

    lower: Callable[[Operation, dict[Value, Text]], Text]
    demand: Callable[[Operation, dict[Value, Text]], list[str]]
    names: dict[Value, str]
    identifiers: Identifiers
    place: Callable[[Operation], str]
    lines: list[str] = field(default_factory=list)
    texts: dict[Value, Text] = field(default_factory=dict)
    counts: dict[Value, int] = field(default_factory=dict)
    indent: int = 1
    carries: list[tuple[str, ...]] = field(default_factory=list)
    renamed: dict[Value, str] = field(default_factory=dict)
    homes: dict[str, Region] = field(default_factory=dict)
    pinned: set[str] = field(default_factory=set)
    _yielded: set[Value] = field(default_factory=set)
    _targets: tuple[str, ...] = ()

    def write(self, region: Region, parameters: tuple[tuple[Value, str], ...]) -> list[str]:
        """The statements of a function's region, whose parameters have these expressions."""
        self.counts = uses(region)
        for value, text in parameters:
            self.texts[value] = Text(text)
            self.homes[text] = region
        self._region(region)
        return self.lines

    def add(self, text: str, comment: str = "") -> None:
        line = "    " * self.indent + text
        self.lines.append(f"{line}  # {comment}" if comment and len(line) + len(comment) < 118 else line)

    # --- regions and operations

    def _region(self, region: Region) -> None:
        local = _local_uses(region)
        for position, operation in enumerate(region.operations):
            self._operation(operation, region, position, local)

    def _operation(self, operation: Operation, region: Region, position: int, local: dict[Value, int]) -> None:
        match operation.name:
            case "if":
                self._if(operation, region, position)
            case "for":
                self._for(operation, region)
            case "while":
                self._while(operation, region)
            case "lambda":
                self._lambda(operation)
            case "yield" | "break" | "continue" | "return":
                self._terminator(operation)
            case "demand":
                for line in self.demand(operation, self.texts):
                    self.add(line)
            case _:
                self._value(operation, local, region, position)

    def _value(self, operation: Operation, local: dict[Value, int], region: Region, position: int) -> None:
        text = self.lower(operation, self.texts)
        (result,) = operation.results
        used = self.counts.get(result, 0)
        if operation.name in STATEMENTS:
            self.add(text.code, self.place(operation))
            return
        if not used:
            if operation.name in ORDERED or operation.name == "call":
                self.add(text.code, self.place(operation))
            return
        named = self.names.get(result)
        if operation.name == "retype" and operation.operands:
            same = self.texts.get(operation.operands[0])
            if same is not None and (named is None or same.code == named or same.code.isidentifier()):
                self.texts[result] = text
                return
        here = local.get(result, 0) == used == 1
        if named is None and operation.name not in ORDERED:
            if operation.name in REPEATED and not (operation.name == "constant" and len(text.code) > 40):
                self.texts[result] = text
                return
            if here and len(text.code) <= _LONGEST:
                self.texts[result] = text
                return
        # A value whose one use is the end of its region takes its name there.
        if named is not None and here and result in self._yielded and operation.name not in ORDERED:
            self.texts[result] = text
            return
        name = named or _short(operation.name)
        self._assign(result, name, text, region, position, self.place(operation))

    def _assign(self, value: Value, name: str, text: Text, region: Region, position: int, comment: str = "") -> None:
        python = self.renamed.get(value) or self._variable(name, region, position)
        self.add(f"{python} = {text.code}", comment)
        self.texts[value] = Text(python)

    def _variable(self, name: str, region: Region, position: int) -> str:
        """The name itself where it is free, or where nothing that follows needs what it stands for; else a new one."""
        wanted = python_name(name)
        if wanted not in self.pinned and self.homes.get(wanted) is region:
            later = {v for o in region.operations[position + 1 :] for v in _operands(o)}
            texts = (self.texts.get(v) for v in later)
            if not any(t is not None and _mentions(t.code, [wanted]) for t in texts):
                return wanted
        taken = self.identifiers.take(name)
        self.homes[taken] = region
        return taken

    # --- branches

    def _if(self, operation: Operation, region: Region, position: int) -> None:
        expression = self._as_expression(operation)
        if expression is not None:
            result = operation.result
            name = self.names.get(result)
            if name is None:
                self.texts[result] = expression
            else:
                self._assign(result, name, expression, region, position)
            return
        targets = tuple(self._target(operation, i, region, position) for i in range(len(operation.results)))
        condition = self.texts[operation.operands[0]].code
        then = self._block(operation.regions[0], targets)
        otherwise = self._block(operation.regions[1], targets)
        prefix = "    " * self.indent
        if not then and not otherwise:
            pass
        elif not then:
            self.add(f"if {_negated(self.texts[operation.operands[0]])}:")
            self.lines += otherwise
        else:
            self.add(f"if {condition}:")
            self.lines += then
            chained = otherwise and otherwise[0].startswith(f"{prefix}    if ") and _one_statement(otherwise, prefix)
            if chained:
                shorter = [line[4:] for line in otherwise]
                self.lines += [f"{prefix}el{shorter[0][len(prefix) :]}", *shorter[1:]]
            elif otherwise:
                self.add("else:")
                self.lines += otherwise
        for value, target in zip(operation.results, targets, strict=True):
            self.texts[value] = Text(target)

    def _target(self, operation: Operation, i: int, region: Region, position: int) -> str:
        """The variable of a result: the one that a branch leaves as it was, where nothing else needs its value."""
        result = operation.results[i]
        name = self.names.get(result, "chosen")
        own = set(region.arguments) | {r for o in region.operations for r in o.results}
        later: dict[Value, int] = {}
        for after in region.operations[position + 1 :]:
            for operand in _operands(after):
                later[operand] = later.get(operand, 0) + 1
        for branch in operation.regions:
            if not branch.operations or branch.operations[-1].name != "yield":
                continue
            kept = branch.operations[-1].operands[i]
            text = self.texts.get(kept)
            if kept in own and kept not in later and text is not None and text.code.isidentifier():
                users = [o for o in walk(region) if kept in o.operands]
                inside = {id(o) for inner in operation.regions for o in walk(inner)}
                before = {id(o) for o in region.operations[: position + 1]}
                before |= {id(o) for p in region.operations[:position] for r in p.regions for o in walk(r)}
                pending = [t.code for v in later if (t := self.texts.get(v)) is not None]
                if any(_mentions(code, [text.code]) for code in pending):
                    continue
                if text.code.startswith(name) and all(id(o) in inside or id(o) in before for o in users):
                    return text.code
        taken = self.identifiers.take(name)
        self.homes[taken] = region
        return taken

    def _block(self, region: Region, targets: tuple[str, ...]) -> list[str]:
        """The statements of an inner region, one level deeper, which ends by setting the targets."""
        with self._inside(targets, region) as lines:
            self._region(region)
        return lines

    @contextmanager
    def _inside(self, targets: tuple[str, ...], region: Region) -> Iterator[list[str]]:
        outer, self.lines = self.lines, []
        outer_targets, self._targets = self._targets, targets
        yielded = self._yielded
        self._yielded = self._yielded | _at_end(region)
        self.indent += 1
        lines = self.lines
        try:
            yield lines
        finally:
            self.indent -= 1
            self.lines, self._targets, self._yielded = outer, outer_targets, yielded

    def _as_expression(self, operation: Operation) -> Text | None:
        """`a if c else b`, `c and a`, `c or b`, where both branches are expressions."""
        if len(operation.results) != 1:
            return None
        sides: list[Text] = []
        for region in operation.regions:
            if not region.operations or region.operations[-1].name != "yield":
                return None
            if any(o.regions or o.name in STATEMENTS | ORDERED | {"demand"} for o in region.operations):
                return None
            with self._inside((), region) as lines:
                local = _local_uses(region)
                for position, o in enumerate(region.operations[:-1]):
                    self._value(o, local, region, position)
            if lines:
                return None
            sides.append(self.texts[region.operations[-1].operands[0]])
        condition = self.texts[operation.operands[0]]
        then, otherwise = sides
        if otherwise.code == "False":
            return Text(f"{condition.within(AND)} and {then.within(AND + 1)}", AND)
        if then.code == "True":
            return Text(f"{condition.within(OR)} or {otherwise.within(OR + 1)}", OR)
        code = f"{then.within(OR)} if {condition.within(OR)} else {otherwise.within(CONDITIONAL)}"
        return Text(code, CONDITIONAL) if len(code) <= _LONGEST else None

    # --- loops

    def _carried(self, before: tuple[Value, ...], arguments: tuple[Value, ...], body: Region) -> tuple[str, ...]:
        """The variables that carry values from one iteration to the next, set to what they are before the loop."""
        targets: list[str] = []
        sets: list[tuple[str, str]] = []
        for value, argument in zip(before, arguments, strict=True):
            text = self.texts[value]
            name = self.names.get(argument, "carried")
            reusable = self.counts.get(value, 0) == 1 and text.code.isidentifier() and text.code not in targets
            if reusable and text.code.startswith(name):
                target = text.code
            else:
                target = self.identifiers.take(name)
                sets.append((target, text.code))
            targets.append(target)
            self.texts[argument] = Text(target)
            self.homes[target] = body
        self._set(sets)
        return tuple(targets)

    def _set(self, pairs: list[tuple[str, str]]) -> None:
        pairs = [(target, code) for target, code in pairs if target != code]
        if len(pairs) == 1 or all(not _mentions(code, [t for t, _ in pairs]) for _, code in pairs):
            for target, code in pairs:
                self.add(f"{target} = {code}")
        elif pairs:
            self.add(f"{', '.join(t for t, _ in pairs)} = {', '.join(c for _, c in pairs)}")

    def _for(self, operation: Operation, region: Region) -> None:
        (body,) = operation.regions
        variable, *arguments = body.arguments
        iterable = self.texts[operation.operands[0]].code
        targets = self._carried(operation.operands[1:], tuple(arguments), body)
        name = self.identifiers.take(self.names.get(variable) or _item_name(self, body))
        self.texts[variable] = Text(name)
        self._loop(f"for {name} in {iterable}:", body, targets)
        self._after(operation, targets, region)

    def _after(self, operation: Operation, targets: tuple[str, ...], region: Region) -> None:
        for value, target in zip(operation.results, targets, strict=True):
            self.texts[value] = Text(target)
            self.homes[target] = region

    def _loop(self, head: str, body: Region, targets: tuple[str, ...]) -> None:
        self.carries.append(targets)
        lines = self._block(body, targets)
        self.carries.pop()
        while lines and lines[-1].strip() == "continue":
            lines.pop()
        self.add(head)
        self.lines += lines or ["    " * (self.indent + 1) + "pass"]

    def _while(self, operation: Operation, region: Region) -> None:
        condition, body = operation.regions
        targets = self._carried(operation.operands, condition.arguments, body)
        with self._inside((), condition) as lines:
            local = _local_uses(condition)
            for position, o in enumerate(condition.operations[:-1]):
                self._operation(o, condition, position, local)
        test = self.texts[condition.operations[-1].operands[0]]
        if lines:
            self.carries.append(targets)
            block = self._block(body, targets)
            self.carries.pop()
            stop = "    " * (self.indent + 1)
            self.add("while True:")
            self.lines += [*lines, f"{stop}if {_negated(test)}:", f"{stop}    break", *block]
        else:
            self._loop(f"while {test.code}:", body, targets)
        self._after(operation, targets, region)

    def _terminator(self, operation: Operation) -> None:
        texts = [self.texts[v].code for v in operation.operands]
        match operation.name:
            case "yield":
                self._set(list(zip(self._targets, texts, strict=True)))
            case "break" | "continue":
                self._set(list(zip(self.carries[-1], texts, strict=True)))
                self.add(operation.name)
            case _:
                self.add(f"return {texts[0]}" if texts else "return", self.place(operation))

    # --- functions as values

    def _lambda(self, operation: Operation) -> None:
        (region,) = operation.regions
        arguments = [self.identifiers.take(self.names.get(a, "x")) for a in region.arguments]
        for value, name in zip(region.arguments, arguments, strict=True):
            self.texts[value] = Text(name)
        # Python's functions see variables, not values: what this one sees must not be set again.
        seen = (self.texts[v].code for o in walk(region) for v in o.operands if v in self.texts)
        self.pinned.update(word for code in seen for word in re.findall(r"\b[^\W\d]\w*", code))
        with self._inside(("result",), region) as lines:
            local = _local_uses(region)
            for position, o in enumerate(region.operations[:-1]):
                self._operation(o, region, position, local)
        result = self.texts[region.operations[-1].operands[0]]
        if not lines:
            self.texts[operation.result] = Text(f"lambda {', '.join(arguments)}: {result.code}", LOWEST)
            return
        name = self.identifiers.take(self.names.get(operation.result, "function"))
        self.add(f"def {name}({', '.join(arguments)}):")
        self.lines += lines
        self.lines.append("    " * (self.indent + 1) + f"return {result.code}")
        self.texts[operation.result] = Text(name)


def _item_name(body: Body, region: Region) -> str:
    return "_pair" if any(o.name == "item" for o in region.operations) else "_"


def _local_uses(region: Region) -> dict[Value, int]:
    """How often values are operands of the region's own operations; what loops and branches inside use is left out."""
    counts: dict[Value, int] = {}
    for operation in region.operations:
        for operand in operation.operands:
            counts[operand] = counts.get(operand, 0) + 1
    return counts


def _operands(operation: Operation) -> Iterator[Value]:
    yield from operation.operands
    for region in operation.regions:
        for inner in walk(region):
            yield from inner.operands


def _at_end(region: Region) -> set[Value]:
    """The values that a region's `yield` hands on."""
    if region.operations and region.operations[-1].name == "yield":
        return set(region.operations[-1].operands)
    return set()


def _negated(text: Text) -> str:
    return f"not {text.within(NOT)}"


def _one_statement(lines: list[str], prefix: str) -> bool:
    inner = f"{prefix}    "
    return all(line.startswith((f"{inner}    ", f"{inner}elif ", f"{inner}else:")) for line in lines[1:])


def _mentions(code: str, names: list[str]) -> bool:
    return any(re.search(rf"\b{re.escape(name)}\b", code) for name in names)


def _short(operation: str) -> str:
    return operation.rpartition(".")[2].replace("-", "_")
