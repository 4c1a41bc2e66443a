"""Products in a row, with the norms, gates and sums between them, as the pass `fuse` finds them in programs.

`chain` takes one array through its stages, of which each makes of its value

    value = add + rms_norm(gate(rms_norm(value) @ [w1; w2; ...].T))

where everything but the product may be absent. Stages whose weights are packed run as one node of the graph where our
CPU kernels are used (`kernels.py`), computed in float32; the others, and all of them elsewhere, as the operations that
the program wrote. Both give the type of what went in, and evaluate nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import mlx.core as mx

from tensorlogic.runtime import kernels
from tensorlogic.runtime.functions_kernels import gated, rms_norm
from tensorlogic.runtime.packed import Packed, Tensor, matmul
from tensorlogic.runtime.sizes import affordable, require_memory

if TYPE_CHECKING:
    from tensorlogic_cpu._kernels import Chain
    from tensorlogic_cpu._kernels import Stage as KernelStage

_LARGE = 2**20
"""From how many items on the values between two products may be more than the machine has memory for."""
_MOST_KEPT = 16
"""How many nodes that begin with one weight are kept. More are a sign of norms that are computed for each call."""


class Stage:
    """One stage: the products with `weights` [O, I] side by side, and what stands before and after them.

    A norm is there where its epsilon is; its weight may be None. A gate is the first product, activated, times the
    second. `add` is an array of the shape of the stage's value; `add_stage` the value of an earlier stage, counted from
    1. `fast` is that of `packed.matmul`.
    """

    __slots__ = ("add", "add_stage", "eps", "eps_after", "fast", "gate", "key", "norm", "norm_after", "weights")

    def __init__(
        self,
        *weights: Tensor,
        norm: mx.array | None = None,
        eps: float | None = None,
        gate: Literal["silu", "gelu_tanh"] | None = None,
        norm_after: mx.array | None = None,
        eps_after: float | None = None,
        add: mx.array | None = None,
        add_stage: int = 0,
        fast: bool = False,
    ) -> None:
        self.weights = weights
        self.norm = norm
        self.eps = eps
        self.gate = gate
        self.norm_after = norm_after
        self.eps_after = eps_after
        self.add = add
        self.add_stage = add_stage
        self.fast = fast
        # What tells it from others, but for the array that is added, which is another one at each call.
        self.key = (*map(id, weights), id(norm), eps, id(norm_after), eps_after, gate, add is None, add_stage, fast)

    def added(self, values: Sequence[Any]) -> Any:
        """The array that is added, from the values so far; None where none is."""
        return values[self.add_stage] if self.add_stage else self.add


def chain(x: mx.array, *stages: Stage) -> mx.array:
    """What the last stage makes of `x` [..., I]: [..., O]."""
    if x.size >= _LARGE:
        _require_memory(x, stages)
    values: list[mx.array | None] = [x]
    node = _kept(stages, 0, ())
    if node is not None:
        return affordable(node.call(x, [stages[i].added(values) for i in node.addends])[0])
    while len(values) <= len(stages):
        start = len(values) - 1
        end = _end_of_packed(stages, start)
        values += _by_kernels(values, stages, start, end) if start < end else [_by_parts(values, stages[start])]
    value = values[-1]
    assert value is not None, "the last value is a result"
    return affordable(value)


def chain_apart(x: mx.array, *stages: Stage) -> tuple[mx.array, ...]:
    """The products of the last stage, which has no gate and adds nothing, each [..., O] of its own weight."""
    *before, last = stages
    if _kept(stages, 0, ()) is not None or _end_of_packed(stages, 0) == len(stages):
        ends, end = [], 0
        for weight in last.weights[:-1]:
            end += weight.shape[0]
            ends.append(end)
        return tuple(mx.split(chain(x, *stages), ends, axis=-1))
    if before:
        return chain_apart(chain(x, *before), last)
    return tuple(_products(x, last))


def _require_memory(x: mx.array, stages: Sequence[Stage]) -> None:
    """Refuse products on the way that the machine has no memory for."""
    for stage in stages:
        shape = (*x.shape[:-1], sum(weight.shape[0] for weight in stage.weights))
        require_memory(math.prod(shape) * 4, shape)


# --- as one node


@dataclass(frozen=True, slots=True)
class _Node:
    """Stages of packed weights as our kernels are called for them; kept with the first weight.

    `addends` are the places of the stages that add an array, or a value from before the first of them. `others` are
    the arrays besides the first weight: a key names arrays by their `id`, which is theirs as long as they are there.
    """

    call: Chain
    addends: list[int]
    others: list[Tensor | None]


def _kept(stages: Sequence[Stage], start: int, results: tuple[int, ...]) -> _Node | None:
    """The node that was made before for these stages, which follow the value `start`.

    It gives the values at `results`, and the last.
    """
    first = stages[0].weights[0]
    if not isinstance(first, Packed) or not kernels.active():
        return None
    found: _Node | None = first.chains.get((start, results, *[stage.key for stage in stages]))
    return found


def _made(stages: Sequence[Stage], start: int, results: tuple[int, ...]) -> _Node:
    """The same, made now."""
    first = stages[0].weights[0]
    assert isinstance(first, Packed), "the weights of a node are packed"
    if len(first.chains) >= _MOST_KEPT:
        first.chains.clear()
    addends: list[int] = []
    parts: list[KernelStage] = []
    for place, stage in enumerate(stages):
        is_inside = 0 < stage.add_stage >= start
        is_addend = not is_inside and (stage.add is not None or stage.add_stage > 0)
        part = kernels.cpu.Stage(
            [matrix for weight in stage.weights if isinstance(weight, Packed) and (matrix := weight.matrix())],
            norm=stage.norm,
            eps=stage.eps,
            gate=stage.gate,
            norm_after=stage.norm_after,
            eps_after=stage.eps_after,
            add_value=stage.add_stage - start if is_inside else None,
            addend=len(addends) if is_addend else None,
            int8=stage.fast,
        )
        parts.append(part)
        addends += [place] if is_addend else []
    call = kernels.cpu.Chain(parts, [place - start for place in (*results, start + len(stages))])
    arrays = [array for stage in stages for array in (*stage.weights, stage.norm, stage.norm_after)]
    node = _Node(call, addends, [array for array in arrays if array is not first])
    first.chains[(start, results, *[stage.key for stage in stages])] = node
    return node


def _end_of_packed(stages: Sequence[Stage], start: int) -> int:
    """Where the stages end, from one on, whose weights are all matrices of our kernels."""
    if not kernels.active():
        return start
    for place in range(start, len(stages)):
        for weight in stages[place].weights:
            if not isinstance(weight, Packed) or weight.matrix() is None:
                return place
    return len(stages)


def _by_kernels(
    values: Sequence[mx.array | None], stages: Sequence[Stage], start: int, end: int
) -> list[mx.array | None]:
    """The values of the stages from `start` to `end`: of the last, and of those that later stages add."""
    run, x = stages[start:end], values[start]
    assert x is not None, "what a stage takes is there"
    results = tuple(i for i in range(start + 1, end) if any(stage.add_stage == i for stage in stages[end:]))
    node = _kept(run, start, results) or _made(run, start, results)
    found = node.call(x, [run[i].added(values) for i in node.addends])
    by_place = dict(zip((*results, end), found, strict=True))
    return [by_place.get(i) for i in range(start + 1, end + 1)]


# --- by parts


def _by_parts(values: Sequence[mx.array | None], stage: Stage) -> mx.array:
    """A stage's value by the operations that it stands for."""
    value, added = values[-1], stage.added(values)
    assert value is not None, "what a stage takes is there"
    product, *others = _products(value, stage)
    if stage.gate is not None:
        product = gated(product, others[0], stage.gate)
    if stage.eps_after is not None:
        product = rms_norm(product, stage.norm_after, stage.eps_after)
    return product if added is None else product + added


def _products(x: mx.array, stage: Stage) -> list[mx.array]:
    left = x if stage.eps is None else rms_norm(x, stage.norm, stage.eps)
    return [matmul(left, weight, transpose=True, fast=stage.fast) for weight in stage.weights]
