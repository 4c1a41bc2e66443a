"""A stage of a chain by MLX's own operations, called again and again.

A step of a language model on a GPU takes as long as Python takes to build its graph and MLX to hand it over, so that
each operation and each call counts. `plan` takes a stage and finds out once what is to be called: one product for
weights with a common left side, which `bind` joined, or which are packed and are joined when they are first used
(`joining.py`); a gate is one kernel on a GPU. It promises what the operations give that the program wrote, and gives
None for what has more to be looked at: dense weights that were not joined, layouts that the device does not multiply
by, half precision on a CPU.

On a CPU nothing is compiled, since MLX would call a compiler of the system's for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Literal

import mlx.core as mx

from tensorlogic.runtime import device
from tensorlogic.runtime.functions import gelu_tanh, silu
from tensorlogic.runtime.joining import join_in_place, joined_already, why_apart
from tensorlogic.runtime.packed import Packed, Tensor
from tensorlogic.runtime.probing import mlx_accepts
from tensorlogic.runtime.sizes import affordable

if TYPE_CHECKING:
    from tensorlogic.runtime.chains import Stage

Gate = Literal["silu", "gelu_tanh"]
Products = Callable[[mx.array], mx.array]
_ACTIVATIONS = {"silu": silu, "gelu_tanh": gelu_tanh}


class Plan:
    """What stages with the same weights call. `bounds` tells where each weight begins but for the first."""

    __slots__ = ("_bounds", "_gate", "_multiply")

    def __init__(self, multiply: Products, bounds: list[int], gate: Gate | None) -> None:
        self._multiply = multiply
        self._bounds = bounds
        self._gate = None if gate is None else gate_of(gate, on_gpu=device.on_gpu())

    def value(self, stage: Stage, x: mx.array, added: mx.array | None) -> mx.array:
        """The value of the stage for an `x` [..., I] of two dims at least, with items."""
        product = self._product(stage, x)
        if self._gate is not None:
            product = self._gate(*mx.split(product, self._bounds, axis=-1))
        if stage.eps_after is not None:
            product = mx.fast.rms_norm(product, stage.norm_after, stage.eps_after)
        return product if added is None else product + added

    def apart(self, stage: Stage, x: mx.array) -> tuple[mx.array, ...]:
        """The products with each weight."""
        product = self._product(stage, x)
        return tuple(mx.split(product, self._bounds, axis=-1)) if self._bounds else (product,)

    def _product(self, stage: Stage, x: mx.array) -> mx.array:
        if stage.eps is not None:
            x = mx.fast.rms_norm(x, stage.norm, stage.eps)
        return affordable(self._multiply(x))


def plan(stage: Stage, dtype: mx.Dtype) -> Plan | None:
    """The plan of a stage for an `x` of this type; None for what has more to be looked at."""
    whole = None if device.carried(dtype) != dtype else _whole(stage.weights)
    multiply = None if whole is None else _multiply(whole, dtype)
    if multiply is None:
        return None
    ends = [sum(weight.shape[0] for weight in stage.weights[: place + 1]) for place in range(len(stage.weights) - 1)]
    return Plan(multiply, ends, stage.gate)


def _whole(weights: Sequence[Tensor]) -> Tensor | None:
    """The weights as one matrix. What is dense may be the program's own, and stays what it is."""
    if any(len(weight.shape) != 2 or weight.size == 0 for weight in weights) or why_apart(weights) is not None:
        return None
    return join_in_place(weights) if isinstance(weights[0], Packed) else joined_already(weights)


def _multiply(w: Tensor, dtype: mx.Dtype) -> Products | None:
    """`x @ w.T`, in `dtype`; None where the device does not multiply so."""
    if isinstance(w, Packed):
        meets = dtype if w.scales.dtype in (dtype, mx.uint8) else mx.float32
        if not mlx_accepts(w.layout, meets):
            return None
        words, scales, biases = w.weight, w.scales, w.biases
        group, bits, mode = w.layout.group_size, w.layout.bits, w.layout.mode

        def product(x: mx.array) -> mx.array:
            return mx.quantized_matmul(x, words, scales, biases, True, group, bits, mode)

    elif w.dtype == dtype:
        turned = w.T
        mx.eval(turned)

        def product(x: mx.array) -> mx.array:
            return x @ turned

    else:
        return None

    def multiply(x: mx.array) -> mx.array:
        # Scales in float32, and norms with such a weight, make a float32 of it.
        found = product(x)
        return found if found.dtype == dtype else found.astype(dtype)

    return multiply


@cache
def gate_of(kind: Gate, *, on_gpu: bool) -> Callable[[mx.array, mx.array], mx.array]:
    """`silu(gate) * up` or `gelu_tanh(gate) * up`."""
    activation = _ACTIVATIONS[kind]

    def gated(gate: mx.array, up: mx.array) -> mx.array:
        return activation(gate) * up

    # Elementwise: no number of the graph depends on a shape.
    return mx.compile(gated, shapeless=True) if on_gpu else gated
