"""A region of the IR as Python statements.

Takes a function's region. Promises statements that compute the same values and do the same things in the same order,
one statement for each named value, with a value that is used once written where it is used. Source names are kept, and
a name keeps one Python variable for as long as nothing needs its old value (`variables.py`).

What a text mentions is known for each value, so that no variable is set while a text that still waits to be written
mentions it. A text that may do or refuse something is not carried past a statement that does.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import field

from tensorlogic.compiler.emit import control
from tensorlogic.compiler.emit.layout import without_strings, wrapped
from tensorlogic.compiler.emit.liveness import reads
from tensorlogic.compiler.emit.order import ORDERED, REPEATED, STATEMENTS, SUMS, acts, barriers, items_of, last_uses
from tensorlogic.compiler.emit.variables import Variables, fits
from tensorlogic.compiler.ir.core import Operation, Region, Value, uses
from tensorlogic.compiler.ops.lowering import Text
from tensorlogic.compiler.records import dataclass
from tensorlogic.compiler.types import ListType, OptionalType, StructType, TensorType, TupleType, Type

_LONGEST = 108
"""An expression longer than this gets a statement of its own."""

_SHORTEST = 24
"""A sum of ints that is no longer than this is written at each use."""

_NOTHING: frozenset[str] = frozenset()


@dataclass
class Block:
    """What is known of a region whose statements are being written."""

    region: Region
    targets: tuple[str, ...]
    last_use: dict[Value, tuple[int, int]]
    """For each value how often the region's own operations use it, and at which position last."""
    barriers: list[int]
    """The positions of the operations that must stay where they stand."""
    is_expression: bool = False
    """Whether the region is to be one expression: then its values get no variables."""


@dataclass
class Body:
    """Writes one function's statements. `lower` gives the expression of an operation without regions."""

    lower: Callable[[Operation, dict[Value, Text]], Text]
    demand: Callable[[Operation, dict[Value, Text]], list[str]]
    hint: Callable[[Type], str]
    names: dict[Value, str]
    variables: Variables
    place: Callable[[Operation], str]
    indent: int = 1
    lines: list[str] = field(default_factory=list)
    texts: dict[Value, Text] = field(default_factory=dict)
    mentions: dict[Value, frozenset[str]] = field(default_factory=dict)
    acting: set[Value] = field(default_factory=set)
    counts: dict[Value, int] = field(default_factory=dict)
    carries: list[tuple[str, ...]] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    written: set[Operation] = field(default_factory=set)
    unfolded: set[Operation] = field(default_factory=set)
    """The `if`s that were found to need a statement, so that those around them do not try the same again and again."""
    waiting: set[Value] = field(default_factory=set)
    """Values whose text is an expression to be written once, where they are used."""

    def write(self, region: Region, parameters: tuple[tuple[Value, str], ...]) -> list[str]:
        """The statements of a function's region, whose parameters have these expressions."""
        self.counts = uses(region)
        for value, text in parameters:
            if text.isidentifier():
                self.variables.declare(text, self.names.get(value, text), self.hint(value.type))
                self.bind(value, Text(text), frozenset((text,)))
            else:
                self.bind(value, Text(text), _NOTHING)
        self.region(region, ())
        return self.lines

    def add(self, text: str, comment: str = "") -> None:
        """One statement."""
        self.lines += wrapped("    " * self.indent + text, comment)

    def bind(self, value: Value, text: Text, mentions: frozenset[str]) -> None:
        """A value's text from here on."""
        self.texts[value] = text
        self.mentions[value] = mentions
        self.variables.mention(value, mentions)

    def mentioned(self, operation: Operation) -> frozenset[str]:
        """The variables that an operation's text mentions."""
        found = [self.mentions.get(v, _NOTHING) for v in reads(operation)]
        return frozenset().union(*found)

    # --- regions and operations

    def region(self, region: Region, targets: tuple[str, ...]) -> None:
        """The statements of a region that ends by setting the targets."""
        self._within(Block(region, targets, last_uses(region), barriers(region)), region.operations)

    def value_of(self, region: Region, *, is_expression: bool = False) -> Value:
        """The one value that a region yields, after the statements before its end."""
        *operations, end = region.operations
        self._within(Block(region, (), last_uses(region), barriers(region), is_expression), operations)
        (value,) = end.operands
        return value

    def _within(self, block: Block, operations: Sequence[Operation]) -> None:
        """The statements of a block's operations, but for those that were written with an earlier one."""
        self.blocks.append(block)
        for position, operation in enumerate(operations):
            if operation not in self.written:
                self._operation(operation, position)
        self.blocks.pop()

    def _operation(self, operation: Operation, position: int) -> None:
        match operation.name:
            case "if":
                control.write_if(self, operation, position)
            case "for":
                control.write_for(self, operation)
            case "while":
                control.write_while(self, operation)
            case "lambda":
                control.write_lambda(self, operation, position)
            case "yield" | "break" | "continue" | "return":
                control.write_end(self, operation)
            case "demand":
                for line in self.demand(operation, self.texts):
                    self.add(line)
            case _:
                self._simple(operation, position)

    def _simple(self, operation: Operation, position: int) -> None:
        text = self._lowered(operation)
        if operation.name in STATEMENTS:
            self.add(text.code, self.place(operation))
            return
        if not self.counts.get(operation.result):
            if acts(operation):
                self.add(text.code, self.place(operation))
            return
        if not self._take_apart(operation, text, position):
            self.place_value(operation, text, position, self.mentioned(operation))

    def _lowered(self, operation: Operation) -> Text:
        """The operation's expression. An operand that it would write twice gets a variable first."""
        text = self.lower(operation, self.texts)
        for operand in dict.fromkeys(operation.operands):
            code = self.texts[operand].code
            given = sum(self.texts[v].code == code for v in operation.operands)
            if operand in self.waiting and without_strings(text.code).count(without_strings(code)) > given:
                variable = self.variables.fresh(self.names.get(operand, "value"), self.hint(operand.type))
                self.add(self.variables.setting(variable, code))
                self.bind(operand, Text(variable), frozenset((variable,)))
                self.waiting.discard(operand)
                text = self.lower(operation, self.texts)
        return text

    # --- where a value's text goes

    def place_value(self, operation: Operation, text: Text, position: int, mentions: frozenset[str]) -> None:
        """Keep the value's text for its one use, or give it a variable here."""
        result = operation.result
        does = acts(operation) or any(v in self.acting for v in operation.operands)
        if self._is_cheap(operation, text):
            self.bind(result, text, mentions)
        elif self._can_wait(operation, text, position, does):
            self.bind(result, text, mentions)
            self.waiting.add(result)
            if does:
                self.acting.add(result)
        else:
            self.assign(operation, text, mentions)

    def _is_cheap(self, operation: Operation, text: Text) -> bool:
        """Whether the text may be written at each use: a constant, a size, an operand under another type."""
        if operation.name not in REPEATED | SUMS or any(v in self.waiting for v in operation.operands):
            return False
        name = self.names.get(operation.result)
        if operation.name in SUMS and len(text.code) > _SHORTEST:
            return False
        if operation.name == "retype":
            return name is None or fits(text.code, name)
        return name is None and (operation.name not in ("constant", "tuple", "list") or len(text.code) <= 40)

    def _can_wait(self, operation: Operation, text: Text, position: int, does: bool) -> bool:
        """Whether the value needs no variable: what uses it, once, follows in its own region."""
        result = operation.result
        if self.blocks[-1].is_expression:
            return True
        if operation.name in ORDERED or self.target_of(operation) is not None:
            return False
        named = result in self.names
        block = self.blocks[-1]
        times, last = block.last_use.get(result, (0, 0))
        if times != 1 or self.counts[result] != 1:
            return False
        if named and not (last == len(block.region.operations) - 1 and self._hands_on(block)):
            return False
        if not named and len(text.code) > _LONGEST:
            return False
        return not does or not self._barred(block, position, last)

    def _hands_on(self, block: Block) -> bool:
        end = block.region.operations[-1]
        return (end.name == "yield" and bool(block.targets)) or end.name in ("break", "continue")

    def _barred(self, block: Block, position: int, last: int) -> bool:
        """Whether something between two positions must run before what stands at the second."""
        i = bisect_right(block.barriers, position)
        return i < len(block.barriers) and block.barriers[i] < last

    def target_of(self, operation: Operation) -> str | None:
        """The variable that the end of this region sets to the value, where it may be set here already."""
        block = self.blocks[-1]
        end = block.region.operations[-1]
        if end.name == "yield":
            targets = block.targets
        elif end.name in ("break", "continue"):
            targets = self.carries[-1]
        else:
            return None
        result = operation.result
        for operand, target in zip(end.operands, targets, strict=False):
            if operand is result and self.variables.settable(target, operation, self.hint(result.type)):
                return target
        return None

    def assign(self, operation: Operation, text: Text, mentions: frozenset[str]) -> None:
        """Give the operation's result a variable of its name, or of the operation's where it has none."""
        result = operation.result
        name = self.names.get(result, "result" if self._is_returned(result) else _short(operation))
        variable = self.target_of(operation) or self.variables.choose(name, operation, self.hint(result.type))
        self.add(self.variables.setting(variable, text.code), self.place(operation))
        # Python looks up what a function sees when the function is called.
        seen = mentions if _may_hold_function(result.type) else _NOTHING
        self.bind(result, Text(variable), seen | {variable})

    def _is_returned(self, value: Value) -> bool:
        """Whether the function's result is all that the value is for."""
        end = self.blocks[-1].region.operations[-1]
        return end.name == "return" and end.operands == (value,) and self.counts[value] == 1

    def _take_apart(self, operation: Operation, text: Text, position: int) -> bool:
        """`a, b = f(x)`: a tuple all of whose uses are the items that are taken of it next."""
        tuple_type = operation.result.type
        if not isinstance(tuple_type, TupleType) or operation.result in self.names or operation.name in REPEATED:
            return False
        items = items_of(operation.result, self.blocks[-1].region.operations[position + 1 :])
        if len(items) != self.counts[operation.result] or not items:
            return False
        last = items[-1]
        chosen: list[str] = []
        found = {o.attributes["index"]: o for o in items}
        for index in range(len(tuple_type.items)):
            item = found.get(index)
            if item is None:
                chosen.append("_")
                continue
            name = self.names.get(item.result, _PARTS.get(operation.name, "item"))
            variable = self.variables.choose(name, last, self.hint(item.result.type), tuple(chosen))
            chosen.append(variable)
            self.bind(item.result, Text(variable), frozenset((variable,)))
        self.add(f"{', '.join(chosen)}{',' if len(chosen) == 1 else ''} = {text.code}", self.place(operation))
        self.written.update(items)
        return True

    @contextmanager
    def inside(self) -> Iterator[list[str]]:
        """Lines of their own, one level deeper."""
        outer, self.lines = self.lines, []
        self.indent += 1
        lines = self.lines
        try:
            yield lines
        finally:
            self.indent -= 1
            self.lines = outer


def _may_hold_function(t: Type) -> bool:
    match t:
        case TupleType(items):
            return any(_may_hold_function(i) for i in items)
        case ListType(item, _) | OptionalType(item):
            return _may_hold_function(item)
        case TensorType() | StructType():
            return False
    return "fn" in str(t)


_PARTS = {"chain": "product", "cached_attention": "mixed"}
"""What the parts are called that an operation gives as a tuple."""

_NOUNS = {
    "add": "total",
    "subtract": "difference",
    "multiply": "product",
    "divide": "ratio",
    "floor_divide": "quotient",
    "remainder": "rest",
    "negate": "negative",
    "astype": "converted",
    "where": "chosen",
    "index": "part",
    "gather_index": "rows",
    "format": "text",
    "concat": "joined",
    "reshape": "shaped",
    "chain": "value",
    "give": "given",
    "encode": "encoded",
    "get_tensor": "tensor",
}
"""What is called by another name than that of the operation that gives it."""


def _short(operation: Operation) -> str:
    """What a value that the source does not name is called: by the function or operator that gives it."""
    name = operation.attributes.get({"call": "callee", "method": "method"}.get(operation.name, ""), operation.name)
    plain = str(name).rpartition(".")[2].lstrip("_")
    return _NOUNS.get(plain, plain) or "value"
