"""What the extension module gives. Functions are lazy: they make nodes of a graph on the CPU's stream."""

from typing import Literal, TypedDict

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
    """The size of the pool, as `thread_limits` says."""

def set_threads(count: int) -> None:
    """For tests and measurements; waits for what is being computed. ValueError for a count outside of 1 to 1024."""

class ThreadLimits(TypedDict):
    """What the machine and its user allow: `processors` in the process's affinity, the `cores` that they are on, the
    CPU time that cgroups grant, in processors (0 for no limit), the number that TENSORLOGIC_THREADS asks for (0 for
    none), and the `threads` that follow."""

    processors: int
    cores: int
    granted: float
    asked: int
    threads: int

def thread_limits(root: str = "") -> ThreadLimits:
    """Read now; the pool has been made when the module was imported. `root` is put before /proc and /sys, for tests."""

def blas() -> str:
    """What multiplies dense matrices, and for which processor it was made."""

def read_bandwidth(megabytes: int, threads: int = 0) -> float:
    """Measures how fast memory is read, in GB/s (of 10^9 bytes): the median of 3 to 7 times through `megabytes` with
    all threads of the pool, or with `threads` of them. Take several times the size of the last cache. ValueError for
    no megabytes or more than 1,048,576; MemoryError."""

def peak_gflops(threads: int = 0) -> float:
    """Measures how fast float32 matrices are multiplied, in GFLOP/s: the median of 3 to 7 products of 768 x 768 x 768
    in each of the pool's threads, or of `threads` of them."""

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
    """`added + rms_norm(gate(rms_norm(value) @ [m1; m2; ...].T))`, where everything but the product may be absent.

    `matrices` have one width; their products stand side by side. A norm is there where its `eps` is, its weight may be
    None. A gate is the first half of the product, activated, times the second half. What is added: the value of an
    earlier stage (`add_value`; 0 is the chain's input, n what stage n gave), or an array of each call (`addend`, its
    place among them). Under `int8` rows are rounded to bytes in blocks of 32, where there are at most 8 of them.
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
        add_value: int | None = None,
        addend: int | None = None,
        int8: bool = False,
    ) -> None: ...

class Chain:
    """Stages made once; a call takes `x` [..., I] through them as one node, computed in float32.

    It gives the values of the stages that `results` names (counted from 1), of x's leading dims and float type.
    ValueError where shapes do not fit.
    """

    def __init__(self, stages: list[Stage], results: list[int]) -> None: ...
    def __call__(self, x: mx.array, addends: list[mx.array] = []) -> list[mx.array]: ...
