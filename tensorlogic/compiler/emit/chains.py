"""What the passes `fuse` and `attend` make, each as a call of the runtime."""

from __future__ import annotations

from collections.abc import Iterator

from tensorlogic.compiler.emit.naming import Expression, Naming, Texts
from tensorlogic.compiler.ir.chain import Stage
from tensorlogic.compiler.ir.core import Operation
from tensorlogic.compiler.ops.lowering import Text
from tensorlogic.compiler.types import TensorType, TupleType


def _chain(o: Naming, operation: Operation, texts: Texts) -> Text:
    given = [texts[v].code for v in operation.operands]
    stages = [
        f"{o.runtime('Stage')}({', '.join(_arguments(stage, given, fast=o.module.fast))})"
        for stage in operation.attributes["stages"]
    ]
    function = o.runtime("chain_apart" if operation.attributes["apart"] else "chain")
    return Text(f"{function}({', '.join([given[0], *stages])})")


def _arguments(stage: Stage, given: list[str], *, fast: bool) -> Iterator[str]:
    yield from (given[place] for place in stage.weights)
    if stage.norm is not None:
        yield from _norm("norm", "eps", stage.norm, given)
    if stage.gate is not None:
        yield f'gate="{stage.gate}"'
    if stage.norm_after is not None:
        yield from _norm("norm_after", "eps_after", stage.norm_after, given)
    if stage.add is not None:
        yield f"add={given[stage.add]}"
    if stage.add_stage is not None:
        yield f"add_stage={stage.add_stage}"
    if fast:
        yield "fast=True"


def _norm(weight_name: str, eps_name: str, norm: tuple[int, int], given: list[str]) -> Iterator[str]:
    weight, eps = (given[place] for place in norm)
    if weight != "None":
        yield f"{weight_name}={weight}"
    yield f"{eps_name}={eps}"


def _cached_attention(o: Naming, operation: Operation, texts: Texts) -> Text:
    cache, layer, joined, heads, kv_heads, *given = (texts[v].code for v in operation.operands)
    named = zip(operation.attributes["names"], given, strict=True)
    chosen = [f"{name}={code}" for name, code in named if (name, code) not in _DEFAULTS]
    mixed = operation.result.type
    assert isinstance(mixed, TupleType)
    tensor = mixed.items[0]
    assert isinstance(tensor, TensorType)
    arguments = [cache, layer, joined, heads, kv_heads, *chosen, f"dtype={o.visible_dtype(tensor.element)}"]
    return Text(f"{o.runtime('cached_attention')}({', '.join(arguments)})")


_DEFAULTS = frozenset(
    {
        ("scale", "None"),
        ("window", "None"),
        ("soft_cap", "None"),
        ("dims", "None"),
        ("periods", "None"),
        ("rope_scale", "1.0"),
        ("traditional", "False"),
    }
)

CHAINS: dict[str, Expression] = {"chain": _chain, "cached_attention": _cached_attention}
