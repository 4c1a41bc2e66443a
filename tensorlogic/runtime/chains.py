"""Products in a row, with the norms, gates and sums between them, as the pass `fuse` finds them in programs.

`chain` takes one array through its stages, of which each makes of its value

    value = add + rms_norm(gate(rms_norm(value) @ [w1; w2; ...].T))

where everything but the product may be absent. With our CPU kernels (`kernels.py`), which take packed weights and dense
ones that lie by rows, all of it is one node of the graph, computed in float32; elsewhere it is the operations that the
program wrote. Both give the type of what went in, and evaluate nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import mlx.core as mx

from tensorlogic.runtime import device, kernels
from tensorlogic.runtime.chain_parts import Plan, plan
from tensorlogic.runtime.functions_kernels import gated, rms_norm
from tensorlogic.runtime.keeping import Kept
from tensorlogic.runtime.packed import Activations, Packed, Tensor, add_product, matmul
from tensorlogic.runtime.sizes import affordable, require_memory

if TYPE_CHECKING:
    from tensorlogic_cpu._kernels import Chain, Matrix
    from tensorlogic_cpu._kernels import Stage as KernelStage

_LARGE = 2**20
"""From how many items on the values between two products may be more than the machine has memory for."""


class Stage:
    """One stage: the products with `weights` [O, I] side by side, and what stands before and after them.

    A norm is there where its epsilon is; its weight may be None. A gate is the first product, activated, times the
    second. `add` is an array of the shape of the stage's value; `add_stage` the value of an earlier stage, counted from
    1. `fast` is that of `packed.matmul`.
    """

    __slots__ = ("add", "add_stage", "eps", "eps_after", "fast", "gate", "ids", "key", "norm", "norm_after", "weights")

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
        self.ids = tuple(map(id, weights))
        # What tells it from others, but for the array that is added, which is another one at each call.
        self.key = (self.ids, id(norm), eps, id(norm_after), eps_after, gate, add is None, add_stage, fast)

    def added(self, values: Sequence[mx.array]) -> mx.array | None:
        """The array that is added, from the values so far; None where none is."""
        return values[self.add_stage] if self.add_stage else self.add


def chain(x: mx.array, *stages: Stage) -> mx.array:
    """What the last stage makes of `x` [..., I]: [..., O]."""
    if x.size >= _LARGE:
        _require_memory(x, stages)
    node = _node(stages, x.dtype)
    if node is not None:
        addends = [array for i in node.addends if (array := stages[i].add) is not None]
        return affordable(node.call(x, addends)[0])
    values = [x]
    for stage in stages:
        planned = _plan(stage, values[-1])
        values.append(
            _by_parts(values, stage) if planned is None else planned.value(stage, values[-1], stage.added(values))
        )
    return values[-1]


def chain_apart(x: mx.array, *stages: Stage) -> tuple[mx.array, ...]:
    """The products of the last stage, which has no gate and adds nothing, each [..., O] of its own weight."""
    *before, last = stages
    if _node(stages, x.dtype) is None:
        value = chain(x, *before) if before else x
        planned = _plan(last, value)
        return tuple(_products(value, last)) if planned is None else planned.apart(last, value)
    ends, end = [], 0
    for weight in last.weights[:-1]:
        end += weight.shape[0]
        ends.append(end)
    return tuple(mx.split(chain(x, *stages), ends, axis=-1))


def _require_memory(x: mx.array, stages: Sequence[Stage]) -> None:
    """Refuse products on the way that the machine has no memory for."""
    for stage in stages:
        shape = (*x.shape[:-1], sum(weight.shape[0] for weight in stage.weights))
        require_memory(math.prod(shape) * 4, shape)


# --- as one node


@dataclass(frozen=True, slots=True)
class _Node:
    """Stages as our kernels are called for them. `addends` are the places of those that add an array of each call."""

    call: Chain
    addends: list[int]


_nodes: Kept[_Node] = Kept()


def _node(stages: Sequence[Stage], dtype: mx.Dtype) -> _Node | None:
    """The node for these stages and an `x` of this type, made before or now; None where our kernels take none."""
    if not kernels.active():
        return None
    key = (dtype, *[stage.key for stage in stages])
    node = _nodes.get(key)
    return node if node is not None and node.call.unchanged() else _made(stages, key, dtype)


def _made(stages: Sequence[Stage], key: tuple[object, ...], dtype: mx.Dtype) -> _Node | None:
    if any(isinstance(w, mx.array) and not kernels.cpu.Matrix.lies(w) for stage in stages for w in stage.weights):
        # Products alone read a transposed weight where it lies, and one that is computed for each call.
        return None
    addends: list[int] = []
    parts: list[KernelStage] = []
    for place, stage in enumerate(stages):
        matrices = [matrix for weight in stage.weights if (matrix := _matrix(weight)) is not None]
        if len(matrices) < len(stage.weights):
            return None
        addend = len(addends) if stage.add is not None else None
        addends += [] if addend is None else [place]
        part = kernels.cpu.Stage(
            matrices,
            norm=stage.norm,
            eps=stage.eps,
            gate=stage.gate,
            norm_after=stage.norm_after,
            eps_after=stage.eps_after,
            add_value=stage.add_stage or None,
            addend=addend,
            activations=_activations(stage, dtype),
        )
        parts.append(part)
    arrays = [array for stage in stages for array in (*stage.weights, stage.norm, stage.norm_after)]
    call = kernels.cpu.Chain(parts, [len(parts)])
    # Python may change an array in place; nobody does so to the parts of a packed weight.
    call.watch([array for array in arrays if isinstance(array, mx.array)])
    return _nodes.keep(key, _Node(call, addends), arrays)


def _activations(stage: Stage, dtype: mx.Dtype) -> Activations:
    """How exactly a stage's left side is kept: all its packed weights are of one type."""
    packed = next((weight for weight in stage.weights if isinstance(weight, Packed)), None)
    return "float32" if packed is None else packed.activations(dtype, fast=stage.fast)


def _matrix(weight: Tensor) -> Matrix | None:
    """A weight as our kernels take it."""
    if weight.size == 0:
        return None
    if isinstance(weight, Packed):
        return weight.matrix()
    return kernels.cpu.Matrix.dense(weight)


# --- by parts


@dataclass(frozen=True, slots=True)
class _Planned:
    """The plan of stages with the same weights, if they have one."""

    plan: Plan | None


_plans: Kept[_Planned] = Kept()


def _plan(stage: Stage, x: mx.array) -> Plan | None:
    """How the stage is computed again and again, made before or now; None where all is looked at each time."""
    if x.ndim < 2 or x.size == 0 or kernels.active():
        return None
    key = (x.dtype, device.on_gpu(), stage.ids, stage.gate)
    planned = _plans.get(key)
    if planned is None:
        planned = _plans.keep(key, _Planned(plan(stage, x.dtype)), stage.weights)
    return planned.plan


def _by_parts(values: Sequence[mx.array], stage: Stage) -> mx.array:
    """A stage's value by the operations that it stands for."""
    added = stage.added(values)
    if added is not None and stage.gate is None and stage.eps_after is None:
        return add_product(added, _normed(values[-1], stage), stage.weights[0], fast=stage.fast)
    product, *others = _products(values[-1], stage)
    if stage.gate is not None:
        product = gated(product, others[0], stage.gate)
    elif others:
        product = mx.concatenate([product, *others], axis=-1)
    if stage.eps_after is not None:
        product = rms_norm(product, stage.norm_after, stage.eps_after)
    return product if added is None else product + added


def _normed(x: mx.array, stage: Stage) -> mx.array:
    return x if stage.eps is None else rms_norm(x, stage.norm, stage.eps)


def _products(x: mx.array, stage: Stage) -> list[mx.array]:
    left = _normed(x, stage)
    return [matmul(left, weight, transpose=True, fast=stage.fast) for weight in stage.weights]
