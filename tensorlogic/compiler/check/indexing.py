"""Indexing and slicing: `x[0]`, `x[:, 1:3]`, `x[..., 0]`, `x[ids]`, `x[mask]`, `x[:, none]`, items of lists and tuples.

An `int` index is proved in bounds, or checked before use where it is a host `int` or the size is unknown. Slices never
clamp: `x[a:b]` has size `b - a` and demands `0 <= a <= b <= N`. A negative index counts from the end only as a negative
literal. One operation `index` is made of it, whose `pattern` attribute says what each operand is.
"""

from __future__ import annotations

from typing import NoReturn

from tensorlogic.compiler import dims
from tensorlogic.compiler.check import clauses, expressions
from tensorlogic.compiler.check.bindings import check_operands
from tensorlogic.compiler.check.context import Context
from tensorlogic.compiler.check.merging import item_type
from tensorlogic.compiler.check.refusals import fail, refuse_optional
from tensorlogic.compiler.dims import HOLE, Polynomial
from tensorlogic.compiler.ir.core import Value
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.syntax import nodes
from tensorlogic.compiler.types import (
    STRING,
    Element,
    IntType,
    ListType,
    OptionalType,
    Shape,
    StringType,
    TensorType,
    TupleType,
    Type,
)

_FROM_THE_END = "only a negative literal counts from the end"

Item = nodes.Expression | nodes.Slice | nodes.Ellipsis


def check_index(cx: Context, node: nodes.Index, expected: Type | None) -> Value:
    """`value[items]`."""
    value = expressions.check(cx, node.value)
    check_operands(value)
    match value.type:
        case TensorType():
            return _TensorIndex(cx, value, node).check()
        case TupleType(items):
            return _tuple_item(cx, value, items, node)
        case ListType():
            return _list_item(cx, value, value.type, node)
        case StringType():
            index = _one_item(node)
            position = expressions.check(cx, index)
            check_operands(position)
            if isinstance(position.type, IntType):
                return _item_at(cx, value, position, STRING, node)
            fail("TL2001", "the index of a string is an int", index.span, str(position.type))
        case OptionalType():
            refuse_optional(f"`{value.type}` takes no index", value.type, node.value.span)
    fail("TL2003", f"`{value.type}` takes no index", node.value.span, str(value.type))


def _one_item(node: nodes.Index) -> nodes.Expression:
    if len(node.items) != 1 or not isinstance(node.items[0], nodes.Expression):
        fail("TL2003", "only a tensor takes slices and several indices", node.items[0].span)
    return node.items[0]


def _tuple_item(cx: Context, value: Value, items: tuple[Type, ...], node: nodes.Index) -> Value:
    index = expressions.check(cx, _one_item(node))
    check_operands(index)
    number = index.type.constant if isinstance(index.type, IntType) else None
    whole = (node.value.span, str(value.type))
    if number is None:
        fail("TL2008", "the index of a tuple must be known while compiling", node.items[0].span, others=[whole])
    number = _position(number, len(items), "tuple", value.type, node)
    return cx.add("item", (value,), items[number], node.span, index=number)


def _list_item(cx: Context, value: Value, t: ListType, node: nodes.Index) -> Value:
    index = expressions.check(cx, _one_item(node))
    check_operands(index)
    if not isinstance(index.type, IntType):
        fail("TL2001", "the index of a list is an int", node.items[0].span, str(index.type))
    number = index.type.constant
    if t.items is not None and number is not None:
        number = _position(number, len(t.items), "list", t, node)
        return cx.add("item", (value,), t.items[number], node.span, index=number)
    return _item_at(cx, value, index, item_type(t, cx.facts, node.value.span), node)


def _item_at(cx: Context, value: Value, index: Value, t: Type, node: nodes.Index) -> Value:
    """An item at an index or of a list that only run time knows. The operation itself refuses what is past the end."""
    assert isinstance(index.type, IntType)
    assert index.type.value is not None
    item = node.items[0]
    if not _negative_literal(item):

        def refuse() -> NoReturn:
            others = [(node.value.span, str(value.type))]
            notes = [_FROM_THE_END]
            fail("TL3006", f"there is no item `{item.span.text}`", item.span, others=others, notes=notes)

        message = f"the index `{item.span.text}` of `{node.value.span.text}` is {{0}}: less than 0"
        cx.require_nonnegative(index.type.value, dims.ZERO, item.span, message, refuse)
    return cx.add("host.item", (value, index), t, node.span, where=True)


def _position(number: int, count: int, what: str, t: Type, node: nodes.Index) -> int:
    """A known index, from the front; a negative one counts from the end where it is a literal."""
    item = node.items[0]
    least = -count if _negative_literal(item) else 0
    if not least <= number < count:
        message = f"the {what} has {_count(count, 'item', 'items')}: there is no item {number}"
        notes = [_FROM_THE_END] if -count <= number < 0 else []
        fail("TL3006", message, item.span, others=[(node.value.span, str(t))], notes=notes)
    return number % count


class _TensorIndex:
    """One indexing of a tensor."""

    def __init__(self, cx: Context, value: Value, node: nodes.Index) -> None:
        assert isinstance(value.type, TensorType)
        self.cx, self.value, self.node, self.type = cx, value, node, value.type
        self.operands: list[Value] = [value]
        self.pattern: list[str] = []
        self.sizes: list[Polynomial] = []
        self.gathered: tuple[Value, Span] | None = None
        self.alone: Value | None = None
        """The index, where it is the only one and no mask."""

    def check(self) -> Value:
        shape = self.type.shape
        if shape.pack is not None and shape.pack.unknown:
            return self._unknown_rank()
        mask = self._mask()
        if mask is not None:
            return mask
        before, after, ellipsis = self._split()
        consumed = sum(not isinstance(i, nodes.NoneLiteral) for i in before + after)
        count = len(shape.dims)
        if shape.pack is not None and before and not ellipsis:
            written = ", ".join(item.span.text for item in self.node.items)
            fail(
                "TL3005",
                f"the shape {shape} begins with a pack: index it from the right",
                self.node.span,
                str(self.type),
                helps=[f"`{self.node.value.span.text}[..., {written}]`"] if consumed <= count else [],
            )
        if shape.pack is not None and any(not isinstance(i, nodes.NoneLiteral) for i in before):
            fail("TL3005", f"the dims of {shape.pack} cannot be indexed", self.node.span, str(self.type))
        if consumed > count:
            fail(
                "TL3005",
                f"{_count(consumed, 'index', 'indices')} for {_count(count, 'dim', 'dims')}",
                self.node.span,
                others=[(self.node.value.span, str(self.type))],
            )
        self._items(before, list(shape.dims))
        taken = sum(not isinstance(i, nodes.NoneLiteral) for i in before)
        rest = sum(not isinstance(i, nodes.NoneLiteral) for i in after)
        middle = list(shape.dims[taken : count - rest]) if ellipsis else list(shape.dims[taken:])
        if ellipsis:
            self.pattern.append("...")
        self.sizes.extend(middle)
        if ellipsis:
            self._items(after, list(shape.dims[count - rest :]))
        type = TensorType(self.type.element, Shape(shape.pack, tuple(self.sizes)))
        name = "index" if self.gathered is None else "gather_index"
        return self.cx.add(name, tuple(self.operands), type, self.node.span, pattern=tuple(self.pattern))

    def _split(self) -> tuple[list[Item], list[Item], bool]:
        items = list(self.node.items)
        marks = [i for i, item in enumerate(items) if isinstance(item, nodes.Ellipsis)]
        if len(marks) > 1:
            fail("TL3005", "`...` stands at most once between brackets", items[marks[1]].span)
        if not marks:
            return items, [], False
        return items[: marks[0]], items[marks[0] + 1 :], True

    def _unknown_rank(self) -> Value:
        if not self.cx.is_script:
            fail(
                "TL3017",
                f"the rank of `{self.node.value.span.text}` is not known here",
                self.node.value.span,
                str(self.type),
                helps=["say the shape: `let w: float16[?, ?] = ...`"],
            )
        fail(
            "TL3017",
            f"indexing needs to know how many dims `{self.node.value.span.text}` has",
            self.node.value.span,
            str(self.type),
            helps=[_say_shape(self.type.element, self.node.value)],
        )

    # --- one item after another

    def _items(self, items: list[Item], sizes: list[Polynomial]) -> None:
        for item in items:
            if isinstance(item, nodes.NoneLiteral):
                self.pattern.append("none")
                self.sizes.append(dims.ONE)
            elif isinstance(item, nodes.Slice):
                self._slice(item, sizes.pop(0))
            else:
                assert isinstance(item, nodes.Expression)
                self._index(item, sizes.pop(0))

    def _index(self, item: nodes.Expression, size: Polynomial) -> None:
        index = self.alone if self.alone is not None else expressions.check(self.cx, item)
        check_operands(index)
        match index.type:
            case IntType(position) if position is not None:
                if _negative_literal(item):
                    self._require(position + size, dims.ZERO, item, size, "is {0} from the front: less than 0")
                else:
                    self._require(position, dims.ZERO, item, size, "is {0}: less than 0", from_the_end=True)
                    self._require(size - 1, position, item, size, "is {1}, the last item is {0}")
                self.pattern.append("int")
                self.operands.append(index)
            case TensorType(element, shape) if element.kind == "integer":
                self._gather(index, shape, item, size)
            case TensorType(element, _) if element.kind == "bool":
                fail("TL2003", "a mask stands alone between brackets", item.span, str(index.type))
            case _:
                fail("TL2003", "an index is an int or a tensor of ints", item.span, str(index.type))

    def _gather(self, index: Value, shape: Shape, item: nodes.Expression, size: Polynomial) -> None:
        if self.gathered is not None:
            fail(
                "TL3005",
                "only one index between brackets may be a tensor",
                item.span,
                others=[(self.gathered[1], "the first")],
                helps=["`take(x, ids, axis: ...)` one after the other"],
            )
        if shape.pack is not None:
            fail("TL3013", "an index tensor with a pack is taken by `take` or `embedding`", item.span, str(index.type))
        self._require(size, dims.ONE, item, size, "has nothing to take: the dim is {0}")
        self.gathered = (index, item.span)
        self.pattern.append("ids")
        self.operands.append(index)
        self.sizes.extend(shape.dims)

    def _require(
        self,
        p: Polynomial,
        q: Polynomial,
        item: nodes.Node,
        size: Polynomial,
        wrong: str,
        *,
        from_the_end: bool = False,
    ) -> None:
        """Demand `p >= q` of an index; `wrong` says at run time what is `{0}` and what `{1}`.

        `from_the_end` is for one that would be right if it counted from the end.
        """
        text = item.span.text

        def refuse() -> NoReturn:
            known = self.cx.facts.nonnegative(q - p - 1)
            fail(
                "TL3006",
                f"the index `{text}` is outside of a dim of size {size}"
                if known
                else f"cannot prove that the index `{text}` is inside of a dim of size {size}",
                item.span,
                others=[(self.node.value.span, str(self.type))],
                notes=[_FROM_THE_END] if known and from_the_end else [],
            )

        message = f"the index `{text}` of `{self.node.value.span.text}` {wrong}"
        self.cx.require_nonnegative(p, q, item.span, message, refuse)

    def _slice(self, item: nodes.Slice, size: Polynomial) -> None:
        step = self._step(item)
        start = self._end(item.start, dims.ZERO, size)
        stop = self._end(item.stop, size, size)
        ordered = ("ends before it begins", "begins at {1} and ends at {0}")
        if item.stop is None:
            ordered = ("begins after the dim", "begins at {1}: the dim has {0} items")
        elif item.start is None:
            ordered = ("ends before 0", "ends at {0}")
        self._require_slice(start[1], dims.ZERO, item, size, ("begins before 0", "begins at {0}"))
        self._require_slice(stop[1], start[1], item, size, ordered)
        self._require_slice(size, stop[1], item, size, ("ends after the dim", "ends at {1}: the dim has {0} items"))
        length = stop[1] - start[1]
        if step != 1:
            length = self._stepped(length, step, item)
        self.sizes.append(length)
        whole = item.start is None and item.stop is None and step == 1
        self.pattern.append(
            ":" if whole else f"slice{'' if start[0] is None else 'a'}{'' if stop[0] is None else 'b'}/{step}"
        )
        self.operands.extend(v for v in (start[0], stop[0]) if v is not None and not whole)

    def _end(
        self, node: nodes.Expression | None, default: Polynomial, size: Polynomial
    ) -> tuple[Value | None, Polynomial]:
        if node is None:
            return None, default
        value = expressions.check(self.cx, node)
        check_operands(value)
        if not isinstance(value.type, IntType) or value.type.value is None:
            fail("TL2001", "a slice goes from an int to an int", node.span, str(value.type))
        position = value.type.value
        return value, position + size if _negative_literal(node) else position

    def _step(self, item: nodes.Slice) -> int:
        if item.step is None:
            return 1
        value = expressions.check(self.cx, item.step)
        number = value.type.constant if isinstance(value.type, IntType) else None
        if number is None or number < 1:
            fail("TL3007", "the step of a slice is a positive literal", item.step.span)
        return number

    def _stepped(self, length: Polynomial, step: int, item: nodes.Slice) -> Polynomial:
        """The number of items when each `step`-th is taken, the first one first: the quotient, rounded up."""
        normal = self.cx.facts.normal(length)
        number = normal.terms.get((), 0)
        # Where the rest is divisible, this is what is missing to the next multiple.
        missing = -number % step if isinstance(number, int) else 0
        divisor = Polynomial.of(step)
        size = self.cx.facts.divided(normal + missing, divisor)
        if size is not None:
            return size
        if normal.unknown:
            return Polynomial.of(HOLE)

        def refuse() -> NoReturn:
            fail("TL3012", f"cannot prove that the slice's length {length} is divisible by {step}", item.span)

        self.cx.refuse_offering(refuse, clauses.divisible(normal + missing, divisor), (normal,))

    def _require_slice(
        self, p: Polynomial, q: Polynomial, item: nodes.Slice, size: Polynomial, wrong: tuple[str, str]
    ) -> None:
        """Demand `p >= q` of a slice. `wrong` says what it is where that is known, and at run time with the numbers."""
        text = item.span.text
        known, found = wrong

        def refuse() -> NoReturn:
            false = self.cx.facts.nonnegative(q - p - 1)
            ends = [end for end in (item.start, item.stop) if end is not None]
            negative = false and q == dims.ZERO and not any(_negative_literal(end) for end in ends)
            fail(
                "TL3007",
                f"the slice `{text}` of a dim of size {size} {known}"
                if false
                else f"cannot prove that the slice `{text}` fits a dim of size {size}",
                item.span,
                others=[(self.node.value.span, str(self.type))],
                notes=["slices never clamp", *([_FROM_THE_END] if negative else [])],
            )

        message = f"the slice `{text}` of `{self.node.value.span.text}` {found}"
        self.cx.require_nonnegative(p, q, item.span, message, refuse)

    # --- masks

    def _mask(self) -> Value | None:
        """`x[mask]`: evaluated, with a result whose size only run time knows."""
        if len(self.node.items) != 1 or not isinstance(self.node.items[0], nodes.Expression):
            return None
        item = self.node.items[0]
        if isinstance(item, nodes.NoneLiteral):
            return None
        mask = expressions.check(self.cx, item)
        check_operands(mask)
        if not isinstance(mask.type, TensorType) or mask.type.element.kind != "bool":
            self.alone = mask
            return None
        shape, covered = self.type.shape, mask.type.shape
        whole = shape.pack is covered.pack and len(shape.dims) == len(covered.dims)
        without_packs = shape.pack is None and covered.pack is None and len(covered.dims) <= len(shape.dims)
        if not (whole or without_packs):
            fail(
                "TL3005",
                "a mask covers the first dims of what it selects from",
                item.span,
                str(mask.type),
                others=[(self.node.value.span, str(self.type))],
            )
        for p, q in zip(shape.dims, covered.dims, strict=False):
            self._same(p, q, item, mask)
        self.cx.world.note_evaluation(self.cx, item.span, chooses=True)
        sizes = (Polynomial.of(HOLE), *shape.dims[len(covered.dims) :])
        type = TensorType(self.type.element, Shape(None, sizes))
        return self.cx.add("select", (self.value, mask), type, self.node.span)

    def _same(self, p: Polynomial, q: Polynomial, item: nodes.Expression, mask: Value) -> None:
        def refuse() -> NoReturn:
            fail(
                "TL3002",
                f"the mask's dim {q} is not {p}",
                item.span,
                str(mask.type),
                others=[(self.node.value.span, str(self.type))],
            )

        self.cx.require_equal(p, q, item.span, "the mask's dim {1} is not {0}", refuse)


def _count(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"


def _negative_literal(node: nodes.Node) -> bool:
    """Whether an index counts from the end: `-1`. `-0` is 0."""
    if not isinstance(node, nodes.Unary) or node.operator != "-":
        return False
    return isinstance(node.operand, nodes.IntegerLiteral) and node.operand.value > 0


def _say_shape(element: Element, node: nodes.Expression) -> str:
    """The help for a tensor whose rank only run time knows: a declaration that says it."""
    if isinstance(node, nodes.Name):
        return f"say the shape where `{node.name}` is declared: `let {node.name}: {element}[?, ?] = ...`"
    return f"say the shape: `let w: {element}[?, ?] = {node.span.text}`"
