"""What each operation of a script gives, as far as the headers of its model files tell it.

`OPERATIONS` has a function for each operation that is gone through; the result of any other one is what its type says.
Where an operation must fail, it tells so and gives what it would have given, as far as that is known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tensorlogic.compiler.check import file_refusals, replay_bind, replay_models
from tensorlogic.compiler.check.file_values import UNKNOWN, Fact, Known, Net, Weight, is_plain, sights_of
from tensorlogic.compiler.ir.core import Operation
from tensorlogic.compiler.ops.all_ops import OPS
from tensorlogic.compiler.types import OptionalType, TensorType

if TYPE_CHECKING:
    from tensorlogic.compiler.check.replay import Replay


def is_false(kind: str, facts: Sequence[Fact]) -> bool:
    """Whether a check is known to fail."""
    values = [fact.value for fact in facts[: 1 if kind == "true" else 2] if isinstance(fact, Known)]
    match kind, values:
        case "true", [bool() as holds]:
            return not holds
        case "equal", [a, b]:
            return bool(a != b)
        case "at_least", [int() as a, int() as b]:
            return a < b
        case "more_than", [int() as a, int() as b]:
            return a <= b
        case "divisible", [int() as a, int() as b]:
            return b < 1 or a % b != 0
    return False


# --- host values


def _constant(replay: Replay, operation: Operation) -> Fact:
    return Known(operation.attributes["value"])


def _retype(replay: Replay, operation: Operation) -> Fact:
    return replay.fact(operation.operands[0]) if operation.operands else UNKNOWN


def _sequence(replay: Replay, operation: Operation) -> Fact:
    facts = tuple(map(replay.fact, operation.operands))
    return Known(facts)


def _item(replay: Replay, operation: Operation) -> Fact:
    return _at(replay.fact(operation.operands[0]), operation.attributes["index"])


def _host_item(replay: Replay, operation: Operation) -> Fact:
    values, index = map(replay.fact, operation.operands)
    return _at(values, index.value) if isinstance(index, Known) else UNKNOWN


def _at(values: Fact, index: int) -> Fact:
    if (
        isinstance(values, Known)
        and isinstance(values.value, tuple)
        and -len(values.value) <= index < len(values.value)
    ):
        item: Fact = values.value[index]
        return item
    return UNKNOWN


def _length(replay: Replay, operation: Operation) -> Fact:
    value = replay.fact(operation.operands[0])
    if isinstance(value, Known) and isinstance(value.value, tuple | str):
        return Known(len(value.value), value.sights)
    return UNKNOWN


def _enumerate(replay: Replay, operation: Operation) -> Fact:
    value = replay.fact(operation.operands[0])
    if not isinstance(value, Known) or not isinstance(value.value, tuple):
        return UNKNOWN
    return Known(tuple(Known((Known(i), item)) for i, item in enumerate(value.value)), value.sights)


def _range(replay: Replay, operation: Operation) -> Fact:
    facts = [replay.fact(value) for value in operation.operands]
    ends = [fact.value for fact in facts if isinstance(fact, Known)]
    return Known(range(*ends), sights_of(facts)) if len(ends) == 2 else UNKNOWN


def _format(replay: Replay, operation: Operation) -> Fact:
    facts = [replay.fact(value) for value in operation.operands]
    parts = [fact.value for fact in facts if isinstance(fact, Known)]
    if len(parts) != len(facts) or any(type(part) not in (str, int) for part in parts):
        return UNKNOWN
    return Known("".join(map(str, parts)), sights_of(facts))


def _is_none(replay: Replay, operation: Operation) -> Fact:
    value = replay.fact(operation.operands[0])
    if value is UNKNOWN:
        return UNKNOWN
    nothing = isinstance(value, Known) and value.value is None
    return Known(nothing == (operation.name == "host.is_none"), value.sights)


def _in(replay: Replay, operation: Operation) -> Fact:
    item, values = map(replay.fact, operation.operands)
    if not isinstance(item, Known) or not isinstance(values, Known):
        return UNKNOWN
    if isinstance(values.value, tuple):
        plain = [fact.value for fact in values.value if isinstance(fact, Known)]
        if len(plain) != len(values.value):
            return UNKNOWN
        found = item.value in plain
    elif isinstance(values.value, str) and isinstance(item.value, str):
        found = item.value in values.value
    else:
        return UNKNOWN
    return Known(found == (operation.name == "host.in"), sights_of((item, values)))


def _folded(name: str) -> Callable[[Replay, Operation], Fact]:
    fold = OPS[name].fold
    assert fold is not None

    def fold_known(replay: Replay, operation: Operation) -> Fact:
        facts = [replay.fact(value) for value in operation.operands]
        values = [fact.value for fact in facts if isinstance(fact, Known)]
        if len(values) != len(facts) or not all(is_plain(value) for value in values):
            return UNKNOWN
        try:
            found: Any = fold(*values)
        except (ArithmeticError, ValueError, TypeError):
            return UNKNOWN
        return Known(found, sights_of(facts)) if is_plain(found) else UNKNOWN

    return fold_known


# --- tensors


def _dim(replay: Replay, operation: Operation) -> Fact:
    value = replay.fact(operation.operands[0])
    axis = operation.attributes["axis"]
    return Known(value.shape[axis], value.sights) if isinstance(value, Weight) else UNKNOWN


def _shape(replay: Replay, operation: Operation) -> Fact:
    value = replay.fact(operation.operands[0])
    if not isinstance(value, Weight):
        return UNKNOWN
    return Known(tuple(Known(size, value.sights) for size in value.shape), value.sights)


def _rank(replay: Replay, operation: Operation) -> Fact:
    value = replay.fact(operation.operands[0])
    return Known(len(value.shape), value.sights) if isinstance(value, Weight) else UNKNOWN


def _size(replay: Replay, operation: Operation) -> Fact:
    value = replay.fact(operation.operands[0])
    return Known(math.prod(value.shape), value.sights) if isinstance(value, Weight) else UNKNOWN


def _ranked(replay: Replay, operation: Operation) -> Fact:
    """A tensor whose rank only run time knows, where a shape is declared."""
    value = replay.fact(operation.operands[0])
    if not isinstance(value, Weight):
        return UNKNOWN
    a = operation.attributes
    for sight in value.sights:
        sight.declared = sight.declared or a["declared"]
    count, rank = len(value.shape), a["rank"]
    if count == rank if a["exactly"] else count >= rank:
        return value
    dims = "1 dim" if count == 1 else f"{count} dims"
    message = f"{a['what']} has the shape {list(value.shape)}, not {a['declared']}: it has {dims}"
    replay.tell(file_refusals.against_files("TL4022", message, value.sights, operation.span), [value])
    return UNKNOWN


def _dynamic(replay: Replay, operation: Operation) -> Fact:
    """An operator on tensors of which one has a rank that only run time knows, as run time checks it."""
    facts = [replay.fact(value) for value in operation.operands]
    shapes = [_operand_shape(fact, value.type) for fact, value in zip(facts, operation.operands, strict=True)]
    if any(shape is None for shape in shapes):
        return UNKNOWN
    known = [shape for shape in shapes if shape is not None]
    found = _met(operation.attributes["op"], known)
    if isinstance(found, tuple):
        return Weight(found, sights_of(facts))
    if sights_of(facts):
        told = file_refusals.against_files("TL4022", found, sights_of(facts), operation.span)
        replay.tell(told, facts)
    return UNKNOWN


def _operand_shape(fact: Fact, type: object) -> tuple[int, ...] | None:
    """A tensor's shape, and that of a host number."""
    if isinstance(type, TensorType | OptionalType):
        return fact.shape if isinstance(fact, Weight) else None
    return ()


def _met(op: str, shapes: list[tuple[int, ...]]) -> tuple[int, ...] | str:
    """The shape of an operator's result, or why there is none."""
    if op == "transpose_last":
        (a,) = shapes
        return (*a[:-2], a[-1], a[-2]) if len(a) >= 2 else f"`.T` needs two dims: the tensor has {len(a)}"
    if op == "matmul":
        return _product(*shapes)
    return _broadcast(*shapes) if len(shapes) == 2 else shapes[0]


def _product(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...] | str:
    if not a or not b:
        return f"`@` takes no scalars: the shapes are {list(a)} and {list(b)}"
    inner = b[0] if len(b) == 1 else b[-2]
    if a[-1] != inner:
        return f"`@` needs equal inner dims: {a[-1]} is not {inner}"
    batch = _broadcast(a[:-2], b[:-2])
    if isinstance(batch, str):
        return f"the shapes {list(a)} and {list(b)} do not broadcast"
    return (*batch, *a[-2:-1], *(b[-1:] if len(b) > 1 else ()))


def _broadcast(a: tuple[int, ...], b: tuple[int, ...]) -> tuple[int, ...] | str:
    pairs = list(zip(reversed(a), reversed(b), strict=False))
    if any(p != q and 1 not in (p, q) for p, q in pairs):
        return f"the shapes {list(a)} and {list(b)} do not broadcast"
    longer = a if len(a) >= len(b) else b
    met = tuple(q if p == 1 else p for p, q in reversed(pairs))
    return (*longer[: len(longer) - len(met)], *met)


# --- structs


def _struct(replay: Replay, operation: Operation) -> Fact:
    facts = dict(zip(operation.attributes["names"], map(replay.fact, operation.operands), strict=True))
    return Net(facts, {})


def _field(replay: Replay, operation: Operation) -> Fact:
    value = replay.fact(operation.operands[0])
    if not isinstance(value, Net):
        return UNKNOWN
    name = operation.attributes["field"]
    return value.fields.get(name) or value.dims.get(name) or UNKNOWN


OPERATIONS: dict[str, Callable[[Replay, Operation], Fact]] = {
    **{name: _folded(name) for name, op in OPS.items() if name.startswith("host.") and op.fold is not None},
    "bind": replay_bind.bind,
    "constant": _constant,
    "dim": _dim,
    "dynamic": _dynamic,
    "field": _field,
    "format": _format,
    "host.enumerate": _enumerate,
    "host.in": _in,
    "host.is_none": _is_none,
    "host.is_not_none": _is_none,
    "host.item": _host_item,
    "host.len": _length,
    "host.not_in": _in,
    "item": _item,
    "list": _sequence,
    "range": _range,
    "rank": _rank,
    "ranked": _ranked,
    "retype": _retype,
    "shape": _shape,
    "size": _size,
    "struct": _struct,
    "tuple": _sequence,
    **replay_models.OPERATIONS,
}
