"""How shapes meet: element-wise broadcasting, and how a refused meeting is told.

Takes the operands of an op by name; each is a tensor or a host number, which counts as the shape `[]`. Promises the
shape in which they meet. Dims are lined up from the right; two of them meet when they are equal or one is 1. The same
pack on both sides needs equally many dims after it; a shape without a pack may have no more dims than follow the
other's pack. Refuses dims that differ (TL3002) and packs that cannot meet (TL3013), with all operands labelled.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NoReturn

from tensorlogic.compiler.dims import ONE, Kind, Polynomial, Variable
from tensorlogic.compiler.ops.rule import Application, Argument, Demands
from tensorlogic.compiler.records import dataclass
from tensorlogic.compiler.source import Span
from tensorlogic.compiler.types import Element, Shape, TensorType

SYMBOLS = {
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "divide": "/",
    "remainder": "%",
    "power": "**",
    "matmul": "@",
    "equal": "==",
    "not_equal": "!=",
    "less": "<",
    "less_equal": "<=",
    "greater": ">",
    "greater_equal": ">=",
    "logical_and": "&",
    "logical_or": "|",
    "negative": "-",
    "logical_not": "~",
}
"""How a program writes the ops that are operators."""

SCALAR = Shape(None, ())
_LONGEST_NAME = 40
_POSTFIX_OPERAND = re.compile(r"[\w.]+(\[[^][]*\]|\([^()]*\))*")


def broadcast(app: Application, names: Sequence[str]) -> Shape:
    """The shape in which the named arguments meet; what they must hold for that is demanded."""
    arguments = [app[name] for name in names]
    first, *rest = arguments
    shape = shape_of(app, first)
    for i, argument in enumerate(rest, 1):
        shape = _Meeting(app, arguments[: i + 1], arguments).of(shape, shape_of(app, argument))
    return shape


def broadcast_batches(app: Application, a: Shape, b: Shape) -> Shape:
    """The shape in which the leading dims of the two operands `a` and `b` meet."""
    operands = [app["a"], app["b"]]
    return _Meeting(app, operands, operands).of(a, b)


def shape_of(app: Application, argument: Argument) -> Shape:
    """An argument's shape; a host number's is `[]`."""
    app.known_rank(argument)
    return argument.type.shape if isinstance(argument.type, TensorType) else SCALAR


def provable(demands: Demands, a: Shape, b: Shape) -> Shape | None:
    """The shape in which two shapes meet where that is proved already: nothing is demanded."""
    if not _packs_meet(a, b):
        return None
    sizes: list[Polynomial] = []
    for p, q in _lined_up(a, b):
        size = _provable_size(demands, p, q)
        if size is None:
            return None
        sizes.append(size)
    return Shape(a.pack or b.pack, tuple(sizes))


def _packs_meet(a: Shape, b: Shape) -> bool:
    if a.pack is b.pack:
        return a.pack is None or len(a.dims) == len(b.dims)
    if a.pack is not None and b.pack is not None:
        return False
    packed, other = (a, b) if a.pack is not None else (b, a)
    return len(other.dims) <= len(packed.dims)


def _lined_up(a: Shape, b: Shape) -> list[tuple[Polynomial, Polynomial]]:
    """The dims that stand above each other; 1 where a shape has none."""
    count = max(len(a.dims), len(b.dims))
    p, q = ((ONE,) * (count - len(s.dims)) + s.dims for s in (a, b))
    return list(zip(p, q, strict=True))


def _provable_size(demands: Demands, p: Polynomial, q: Polynomial) -> Polynomial | None:
    if demands.provably_equal(p, q):
        return _better_known(p, q)
    if demands.provably_equal(p, ONE):
        return q
    return p if demands.provably_equal(q, ONE) else None


def _better_known(p: Polynomial, q: Polynomial) -> Polynomial:
    """Of two equal sizes the one that is not left to run time."""
    return q if p.unknown and not q.unknown else p


@dataclass(frozen=True, slots=True)
class _Meeting:
    """Shapes of an op's operands that meet; `met` are the arguments that have part so far, `all` those of the op."""

    app: Application
    met: Sequence[Argument]
    all: Sequence[Argument]

    def of(self, a: Shape, b: Shape) -> Shape:
        if not _packs_meet(a, b):
            self._refuse_packs(a, b)
        pairs = _lined_up(a, b)
        sizes = tuple(self._size(p, q, i - len(pairs)) for i, (p, q) in enumerate(pairs))
        return Shape(a.pack or b.pack, sizes)

    def _size(self, p: Polynomial, q: Polynomial, axis: int) -> Polynomial:
        demands = self.app.demands
        size = _provable_size(demands, p, q)
        if size is not None:
            return size
        *_, before, last = self.met
        others = name_of(before) if len(self.met) == 2 else "the operands before it"
        message = f"{_op_name(self.app)} needs equal sizes at axis {axis}: {{0}} in {others}, {{1}} in {name_of(last)}"
        demands.require_equal(p, q, self.app.span, message, lambda: self._refuse_sizes(p, q))
        return _better_known(p, q)

    def _refuse_sizes(self, p: Polynomial, q: Polynomial) -> NoReturn:
        self.app.demands.fail(
            "TL3002",
            f"{_op_name(self.app)} cannot broadcast: `{p}` is not `{q}`",
            self.app.span,
            others=labels(self.all),
            notes=[
                *independence(p, q),
                "shapes are lined up from the right; two dims meet when they are equal or one of them is 1",
            ],
            helps=self._insertions() or clause(p, q),
        )

    def _insertions(self) -> list[str]:
        """`b[:, none]` where that would meet the other operand."""
        if len(self.all) != 2:
            return []
        shapes = [shape_of(self.app, argument) for argument in self.all]
        for i, (vector, other) in enumerate((shapes, shapes[::-1])):
            if vector.pack is not None or len(vector.dims) != 1 or len(other.dims) < 2:
                continue
            met = provable(self.app.demands, Shape(None, (*vector.dims, ONE)), other)
            if met is not None:
                texts = [postfix_text(argument.span) for argument in self.all]
                texts[i] += "[:, none]"
                return [f"`{applied(self.app, texts)}` has the shape {met}"]
        return []

    def _refuse_packs(self, a: Shape, b: Shape) -> NoReturn:
        note = "nothing says that these packs stand for the same dims"
        helps: list[str] = ["use one name for both packs in the signature, if they are to be equal"]
        if a.pack is b.pack:
            note = f"`{a.pack}` may stand for any number of dims: both need equally many after it"
            helps = self._lifted(a, b)
        elif a.pack is None or b.pack is None:
            packed = a if a.pack is not None else b
            note = f"`{packed.pack}` may stand for no dims: the other shape may have no more dims than follow it"
            helps = []
        self.app.demands.fail(
            "TL3013",
            f"{_op_name(self.app)} cannot broadcast {a} and {b}",
            self.app.span,
            others=labels(self.all),
            notes=[note],
            helps=helps,
        )

    def _lifted(self, a: Shape, b: Shape) -> list[str]:
        """`x[..., none, :]` where that would meet the other operand of the same pack."""
        if len(self.all) != 2 or self.app.op == "matmul":
            return []
        shapes = (a, b)
        i = 0 if len(a.dims) < len(b.dims) else 1
        short, long = shapes[i], shapes[1 - i]
        missing = len(long.dims) - len(short.dims)
        met = provable(self.app.demands, Shape(short.pack, (ONE,) * missing + short.dims), long)
        if met is None:
            return []
        inserted = ", ".join(["none"] * missing + [":"] * len(short.dims))
        texts = [postfix_text(argument.span) for argument in self.all]
        texts[i] += f"[..., {inserted}]"
        return [f"`{applied(self.app, texts)}` has the shape {met}"]


# --- words for messages


def _op_name(app: Application) -> str:
    return f"`{SYMBOLS.get(app.op, app.op)}`"


def name_of(argument: Argument) -> str:
    """An operand as it is written, where that is short; else its place. Never holds braces: messages are templates."""
    text = " ".join(argument.span.text.split())
    if argument.written and len(text) <= _LONGEST_NAME and not set(text) & set("{}"):
        return f"`{text}`"
    return {"a": "the left operand", "b": "the right operand"}.get(argument.name, f"`{argument.name}`")


def labels(arguments: Iterable[Argument]) -> list[tuple[Span, str]]:
    """The operands with their types."""
    return [(argument.span, str(argument.type)) for argument in arguments]


def postfix_text(span: Span) -> str:
    """An expression's text as something that `[...]` or `.T` can follow."""
    text = " ".join(span.text.split())
    return text if _POSTFIX_OPERAND.fullmatch(text) or _in_parentheses(text) else f"({text})"


def _in_parentheses(text: str) -> bool:
    """Whether the text's first character is the parenthesis that its last one closes."""
    depth = 0
    for i, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if depth == 0:
            return character == ")" and i == len(text) - 1
    return False


def applied(app: Application, texts: Sequence[str]) -> str:
    """The op applied to operands with these texts."""
    if app.op in SYMBOLS:
        return f" {SYMBOLS[app.op]} ".join(texts)
    return f"{app.op}({', '.join(texts)})"


def independence(p: Polynomial, q: Polynomial) -> list[str]:
    """A note on two different variables of a signature."""
    a, b = _plain(p), _plain(q)
    return [f"`{p}` and `{q}` are independent dims"] if a is not None and b is not None else []


def clause(p: Polynomial, q: Polynomial) -> list[str]:
    """The `where` that makes two sizes equal, if a signature can say it."""
    for one, other in ((p, q), (q, p)):
        variable = _plain(one)
        if variable is None or variable in other.variables():
            continue
        if other.constant == 0 or any(_plain(Polynomial.of(v)) is None for v in other.variables()):
            continue
        return [f"if they are to be equal, say so in the signature: `where {p} == {q}`"]
    return []


def _plain(p: Polynomial) -> Variable | None:
    """A variable that a signature declares as a dim, where the size is one."""
    variable = p.variable
    return variable if variable is not None and variable.kind is Kind.RIGID and variable.definition is None else None


def with_element(element: Element | None, shape: Shape) -> TensorType:
    """The tensor type of an operand's element type, which some operand has bound."""
    assert element is not None, "at least one operand is a tensor"
    return TensorType(element, shape)
