"""Each CPU kernel against the limit that binds it: bytes against the read bandwidth, sums against the float32 peak.

Takes: arrays of random numbers, much larger than caches where the memory is the limit, two threads on either side.

Promises: a kernel and its limit are measured in turns, the best of a few times of each, and what is kept is the median
of the quotients with its quartiles. The limit is NumPy's: the sum of an array, and OpenBLAS's product of two matrices
of 2,048. Bytes are those that a kernel must read and write; that a written line is read first, and that it lies in a
cache sometimes, is left out. The operations of a product are two for each pair of numbers, also where they are int8.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import mlx.core as mx
import numpy as np
import numpy.typing as npt
from tensorlogic_cpu import kernels

from benchmarks.harness import Run, aligned
from benchmarks.language import contenders
from benchmarks.language.protocol import Worker
from benchmarks.language.rounds import Spread, spread

TURNS = 7
TIMES = 3
THREADS = 2
WIDTH = 4096
PROMPT = 256
LAYOUTS = ((4, 32, mx.float16), (4, 32, mx.float32), (4, 64, mx.float16), (5, 32, mx.float16), (6, 64, mx.float16))
MORE_LAYOUTS = ((8, 32, mx.float16), (8, 64, mx.float16))
READ = 1 << 27
"""Bytes of a measurement whose limit is the memory: four times the last cache of the machine it was written on."""


@dataclass(frozen=True)
class Case:
    """A kernel at work: what it does, and how many bytes or operations that is."""

    name: str
    limit: Literal["bandwidth", "peak"]
    amount: float
    run: Run


@dataclass(frozen=True)
class Reached:
    """What a kernel did in a second, in units of 1e9, and the part of the limit that it was."""

    name: str
    limit: str
    giga_a_second: float
    limit_giga_a_second: float
    part: Spread


def measure() -> Iterator[Reached]:
    """Every kernel."""
    threads = kernels.threads()
    kernels.set_threads(THREADS)
    try:
        with contenders.machine() as machine:
            for case in cases():
                yield reached(case, machine)
    finally:
        kernels.set_threads(threads)


def reached(case: Case, machine: Worker) -> Reached:
    """One case, in turns with its limit."""
    answer = {"bandwidth": "bytes", "peak": "operations"}[case.limit]
    case.run()
    speeds, limits = [], []
    for _ in range(TURNS):
        limits.append(machine.number(case.limit, answer))
        speeds.append(case.amount / min(_seconds(case.run) for _ in range(TIMES)))
    parts = spread([speed / limit for speed, limit in zip(speeds, limits, strict=True)])
    return Reached(case.name, case.limit, spread(speeds).median / 1e9, spread(limits).median / 1e9, parts)


def cases() -> Iterator[Case]:
    """Made one by one, since each has its arrays."""
    for bits, group, dtype in LAYOUTS + MORE_LAYOUTS:
        name = f"{bits} bits, groups of {group}, {_name(dtype)} scales"
        yield from _products(name, bits, group, "affine", dtype)
    yield from _products("mxfp4", 4, 32, "mxfp4", mx.uint8)
    for dtype in (mx.float32, mx.float16):
        yield from _dense(dtype)
    yield from _attention()
    yield from _rows()


def _products(name: str, bits: int, group: int, mode: str, dtype: mx.Dtype) -> Iterator[Case]:
    """One row by as many matrices as fill the memory, and a prompt by one of them."""
    each = WIDTH * WIDTH * bits // 8 + WIDTH * WIDTH // group * dtype.size * (2 if mode == "affine" else 1)
    words = np.random.default_rng(0).integers(0, 2**32, (WIDTH, WIDTH * bits // 32), np.uint32)
    packed = [_packed(bits, group, mode, dtype, words) for _ in range(math.ceil(READ / each))]
    row, prompt = mx.random.normal((1, WIDTH)), mx.random.normal((PROMPT, WIDTH))
    kinds: tuple[Literal["float16", "int8"], ...] = ("float16", "int8")
    for kind in kinds:
        chains = [kernels.Chain([kernels.Stage([matrix], activations=kind)], [1]) for matrix in packed]
        yield Case(f"one row, {name}, {kind}", "bandwidth", each * len(chains), _all(chains, row))
        operations = 2 * PROMPT * WIDTH * WIDTH
        yield Case(f"{PROMPT} rows, {name}, {kind}", "peak", operations, _all(chains[:1], prompt))


def _dense(dtype: mx.Dtype) -> Iterator[Case]:
    """One row by a matrix as large as the memory, and a prompt by a smaller one."""
    large, small = mx.ones((READ // WIDTH // dtype.size, WIDTH), dtype), mx.ones((WIDTH, WIDTH), dtype)
    row, prompt = mx.ones((1, WIDTH), dtype), mx.ones((PROMPT, WIDTH), dtype)
    mx.eval(large, small, row, prompt)
    name = _name(dtype)
    yield Case(f"one row, dense {name}", "bandwidth", READ, _once(lambda: kernels.matmul(row, large.T)))
    yield Case(
        f"{PROMPT} rows, dense {name}", "peak", 2 * PROMPT * WIDTH**2, _once(lambda: kernels.matmul(prompt, small.T))
    )


def _attention() -> Iterator[Case]:
    """One query over a cache as large as the memory, and a prompt over itself."""
    heads, kv_heads, head = 32, 8, 128
    scale = head**-0.5
    query = mx.random.normal((1, heads, 1, head))
    length = READ // (2 * 2 * kv_heads * head)
    keys, values = (mx.random.normal((1, kv_heads, length, head), key=mx.random.key(k)) for k in range(2))
    half = keys.astype(mx.float16), values.astype(mx.float16)
    mx.eval(query, half)
    yield Case(
        "attention of one row, float16 cache",
        "bandwidth",
        READ,
        _once(lambda: kernels.attention(query, *half, scale=scale)),
    )
    eight = tuple(mx.quantize(each, group_size=64, bits=8) for each in (keys, values))
    size = sum(part.nbytes for parts in eight for part in parts)
    mx.eval(eight)
    yield Case(
        "attention of one row, 8-bit cache",
        "bandwidth",
        size,
        _once(lambda: kernels.attention_packed(query, *eight, group_size=64, scale=scale)),
    )
    count = 1024
    prompt = [mx.random.normal((1, number, count, head)) for number in (heads, kv_heads, kv_heads)]
    mx.eval(prompt)
    # Two products over half of the square, which is all that is seen.
    operations = 2 * 2 * heads * head * count * (count + 1) / 2
    yield Case(
        f"attention of {count} rows",
        "peak",
        operations,
        _once(lambda: kernels.attention(*prompt, scale=scale, causal=True)),
    )


def _rows() -> Iterator[Case]:
    """The row-wise operations: what they read and write. In pieces, as memory for larger results is always new."""
    width, pieces = 2048, 8
    wide = [mx.random.normal((READ // pieces // width // 4, width)) for _ in range(pieces)]
    narrow = [x.astype(mx.float16) for x in wide]
    weight = mx.ones((width,))
    mx.eval(wide, narrow, weight)
    yield Case("rms_norm", "bandwidth", 2 * READ, _each(lambda x: kernels.rms_norm(x, weight, 1e-5), wide))
    yield Case("softmax", "bandwidth", 2 * READ, _each(kernels.softmax, wide))
    half = width // 2
    yield Case("gated", "bandwidth", 1.5 * READ, _each(lambda x: kernels.gated(x[:, :half], x[:, half:], "silu"), wide))
    yield Case("float16 to float32", "bandwidth", 1.5 * READ, _each(lambda x: kernels.cast(x, mx.float32), narrow))
    yield Case("float32 to float16", "bandwidth", 1.5 * READ, _each(lambda x: kernels.cast(x, mx.float16), wide))


def _once(graph: Callable[[], mx.array]) -> Run:
    return lambda: mx.eval(graph())


def _each(operation: Callable[[mx.array], mx.array], arrays: Sequence[mx.array]) -> Run:
    def run() -> None:
        for x in arrays:
            mx.eval(operation(x))

    return run


def _name(dtype: mx.Dtype) -> str:
    return str(dtype).removeprefix("mlx.core.")


def _all(chains: Sequence[kernels.Chain], x: mx.array) -> Run:
    return lambda: mx.eval([chain(x)[0] for chain in chains])


def _packed(bits: int, group: int, mode: str, dtype: mx.Dtype, words: npt.NDArray[np.uint32]) -> kernels.Matrix:
    """A matrix of `words`, with scales that keep sums near 1; the memory is its own."""
    weight = mx.array(words)
    shape = (WIDTH, WIDTH // group)
    if mode == "mxfp4":
        return kernels.Matrix(weight, mx.full(shape, 118, mx.uint8), None, bits, group, mode)
    scales = mx.full(shape, 0.02 / 2**bits, dtype)
    return kernels.Matrix(weight, scales, -scales * 2 ** (bits - 1), bits, group, mode)


def _seconds(run: Run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def lines(found: Sequence[Reached]) -> list[tuple[str, ...]]:
    """The rows of a table, its head first."""
    rows: list[tuple[str, ...]] = [("", "does", "limit", "of it", "quartiles")]
    for each in found:
        unit = "GB/s" if each.limit == "bandwidth" else "GFLOP/s"
        part = f"{each.part.median:.2f}", f"{each.part.lower:.2f} to {each.part.upper:.2f}"
        done, limit = f"{each.giga_a_second:.0f} {unit}", f"{each.limit_giga_a_second:.0f} {unit}"
        rows.append((each.name, done, limit, *part))
    return rows


if __name__ == "__main__":
    print(aligned(lines(list(measure()))))
