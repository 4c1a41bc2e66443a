"""What the extension module gives. Functions are lazy: they make nodes of a graph on the CPU's stream."""

from typing import Literal

import mlx.core as mx

MLX_VERSION: str
"""Of the MLX whose headers this was built with."""

# --- the machine

def instruction_sets() -> list[str]:
    """Those that this processor runs, best first; `portable` is the last."""

def instruction_set() -> str:
    """The one in use: the best, or what TENSORLOGIC_ISA names."""

def use_instruction_set(name: str) -> None:
    """For tests and measurements. ValueError for one that the processor does not run."""

def threads() -> int:
    """The size of the pool: the processors that the process may use, or TENSORLOGIC_THREADS."""

def set_threads(count: int) -> None:
    """For tests and measurements: while nothing is being computed."""

def blas() -> str:
    """What multiplies dense matrices, and for which processor it was made."""

# --- packed weights

class Matrix:
    """Packed weights [O, I] as `mlx.core.quantize` gives their parts: `weight` uint32 [O, I * bits / 32], `scales` and
    `biases` [O, I / group_size], float32, float16 or bfloat16.

    Modes: `affine` with 2, 3, 4, 5, 6 or 8 bits and groups of 32, 64 or 128; `mxfp4` (scales uint8, no biases, groups
    of 32). ValueError for other layouts and for parts whose sizes do not fit each other.
    """

    def __init__(
        self,
        weight: mx.array,
        scales: mx.array,
        biases: mx.array | None,
        bits: int,
        group_size: int,
        mode: str,
    ) -> None: ...

class Stage:
    """`add + rms_norm(gate(rms_norm(value) @ [m1; m2; ...].T))`, where everything but the product may be absent.

    `matrices` have one width; their products stand side by side. A norm is there where its `eps` is, its weight may be
    None. A gate is the first half of the product, activated, times the second half. `add` is an array of the shape of
    the stage's value; `add_value` the value of an earlier stage, 0 that of the chain's input. Under `int8` rows are
    rounded to bytes in blocks of 32 where there are at most 8 of them.
    """

    def __init__(
        self,
        matrices: list[Matrix],
        *,
        norm: mx.array | None = None,
        eps: float | None = None,
        gate: Literal["silu", "gelu_tanh"] | None = None,
        norm_after: mx.array | None = None,
        eps_after: float | None = None,
        add: mx.array | None = None,
        add_value: int = -1,
        int8: bool = False,
    ) -> None: ...

def chain(x: mx.array, stages: list[Stage], results: list[int]) -> list[mx.array]:
    """`x` [..., I] taken through the stages as one node; gives the values of the stages that `results` names (counted
    from 1), in x's float type, computed in float32. ValueError where shapes do not fit."""

# --- dense matrices

def matmul(a: mx.array, b: mx.array) -> mx.array:
    """`a` [..., M, K] times `b` [..., K, N] as `mlx.core.matmul` defines it: batches broadcast; an operand of rank 1 is
    a row on the left and a column on the right, and its dim is gone from the result.

    Both are float32, float16 or bfloat16, and so is the result; sums are in float32 and rounded once. Transposed views
    are read where they lie. An item's error is at most K * 2^-24 times the sum of its products' sizes, in the tests
    (4 + 2 sqrt(K)) * 2^-24 of it, and one rounding of the result. The number of threads changes no bit; strides,
    batches and the instruction set may, since they decide on the order of the sums. ValueError for operands of other
    types or of two, for inner dims that differ, for batches that do not broadcast, for more than 2^40 results."""

def addmm(c: mx.array, a: mx.array, b: mx.array) -> mx.array:
    """`c + a @ b`, rounded once; `c` is of the operands' type and broadcasts to the product. ValueError as from
    `matmul`, and where `c` does not fit."""
