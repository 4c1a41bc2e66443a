"""Which results of an op may be far larger than anything that the op is given.

A checked program may still ask for `x[:, none] + x[none, :]` of a long vector. On a CPU, MLX does not survive a tensor
that the machine has no memory for, so what may grow beyond its operands is looked at before it is evaluated
(`runtime/sizes.py`). A result that some operand's size bounds is not: that operand is in memory already.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable

from tensorlogic.compiler.dims import Polynomial, product, quotient
from tensorlogic.compiler.ops.lowering import Call, Lowering, Text, lower
from tensorlogic.compiler.types import Shape, TensorType, Type

LARGE = 2**28
"""From how many elements on a tensor may be too large for a machine."""
_FACTOR = 256
"""How many times its largest operand a result may be without being looked at."""


def guarded(call: Call, text: Text) -> Text:
    """The text of an op's result, looked at when it is made where it may be too large."""
    if not may_outgrow(call.types.values(), call.result):
        return text
    return Text(f"{call.names.runtime('affordable')}({text}, {json.dumps(call.where)})")


def growing(lowering: Lowering) -> Callable[[Call], Text]:
    """The lowering of an op that may give more than it takes."""
    return lambda call: guarded(call, lower(lowering, call))


def may_outgrow(operands: Iterable[Type], result: Type) -> bool:
    """Whether no operand's size bounds the size of the result, as their types tell."""
    if not isinstance(result, TensorType) or _surely_small(result.shape):
        return False
    return not any(isinstance(t, TensorType) and _bounds(t.shape, result.shape) for t in operands)


def _surely_small(shape: Shape) -> bool:
    sizes = [size.constant for size in shape.dims if size.constant is not None]
    return shape.pack is None and len(sizes) == len(shape.dims) and math.prod(sizes) < LARGE


def _bounds(operand: Shape, result: Shape) -> bool:
    """Whether `result` has at most `_FACTOR` times the elements of `operand`."""
    if result.pack is not None and result.pack != operand.pack:
        return False
    large, small = list(result.dims), list(operand.dims)
    for size in result.dims:
        if size in small:
            small.remove(size)
            large.remove(size)
    ratio = quotient(_count(large), _count(small)) if large else Polynomial.of(1)
    # What is left of the operand may be 0 for an operand without elements: then the result has none either.
    return ratio is not None and ratio.constant is not None and abs(ratio.constant) <= _FACTOR


def _count(sizes: Iterable[Polynomial]) -> Polynomial:
    return product(sizes)
