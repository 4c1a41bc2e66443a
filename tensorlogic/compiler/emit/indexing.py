"""`x[...]` as MLX indexes: ints, slices and `none` as they are written, gathers and masks by the runtime."""

from __future__ import annotations

import re

from tensorlogic.compiler.emit.literals import string
from tensorlogic.compiler.emit.naming import Expression, Naming, Texts, where
from tensorlogic.compiler.ir.core import Operation
from tensorlogic.compiler.ops.lowering import Text
from tensorlogic.compiler.types import TensorType


def _index(o: Naming, operation: Operation, texts: Texts) -> Text:
    return _indexed(texts, operation, texts[operation.operands[0]], None)


def _indexed(texts: Texts, operation: Operation, value: Text, replaced: str | None) -> Text:
    rest = [texts[v] for v in operation.operands[1:]]
    parts: list[str] = []
    for item in operation.attributes["pattern"]:
        if item == "int":
            parts.append(rest.pop(0).code)
        elif item == "ids":
            rest.pop(0)
            parts.append(replaced or ":")
        elif item == "none":
            parts.append("None")
        elif item.startswith("slice"):
            parts.append(_slice(item, rest))
        else:
            parts.append(item)
    while len(parts) > 1 and parts[-1] == ":" and "..." not in parts:
        parts.pop()
    if parts == [":"]:
        return value
    return Text(f"{value:atom}[{', '.join(parts)}]")


def _slice(item: str, rest: list[Text]) -> str:
    ends, step = item.removeprefix("slice").split("/")
    start = rest.pop(0).code if "a" in ends else ""
    stop = rest.pop(0).code if "b" in ends else ""
    parts = ["" if start == "0" else start, stop, *([] if step == "1" else [step])]
    if all(re.fullmatch(r"-?\w*", part) for part in parts):
        return ":".join(parts)
    # As a formatter has it where an end is more than a name or a number.
    return re.sub(" +", " ", " : ".join(parts)).strip()


def _gather_index(o: Naming, operation: Operation, texts: Texts) -> Text:
    value = _indexed(texts, operation, texts[operation.operands[0]], ":")
    pattern = operation.attributes["pattern"]
    after = [p for p in pattern[pattern.index("ids") + 1 :] if p != "int"]
    tensor = operation.operands[0].type
    assert isinstance(tensor, TensorType)
    consumed = sum(p not in ("none", "...") for p in pattern)
    follow = len(after) if "..." in pattern else len(after) + len(tensor.shape.dims) - consumed
    if "..." in after:
        follow = len(after) - 1 + len(tensor.shape.dims) - consumed
    ids = next(texts[v].code for v in operation.operands[1:] if isinstance(v.type, TensorType))
    arguments = f"{value.code}, {ids}, {-follow - 1}"
    if o.module.checked:
        return Text(f"{o.runtime('take_checked')}({arguments}, {string(where(operation.span))})")
    return Text(f"{o.runtime('take')}({arguments})")


def _select(o: Naming, operation: Operation, texts: Texts) -> Text:
    value, mask = (texts[v].code for v in operation.operands)
    return Text(f"{o.runtime('select')}({value}, {mask})")


INDEXING: dict[str, Expression] = {
    "index": _index,
    "gather_index": _gather_index,
    "select": _select,
}
