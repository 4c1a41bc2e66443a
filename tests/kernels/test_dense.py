"""Dense products beside float64: every instruction set, float type, stride and way of batching.

Bounds, for an item of c + a @ b with K products, whose sizes add up to S = |c| + |a| @ |b|: (4 + 2 sqrt(K)) 2^-24 S,
the float32 rounding of the sum (no order of summation lets it pass (K + 1) 2^-24 S), and one rounding of the result.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from numpy.typing import NDArray
from tensorlogic_cpu import kernels

Floats = NDArray[np.float64]

ROUNDING = {mx.float32: 2.0**-24, mx.float16: 2.0**-11, mx.bfloat16: 2.0**-8}
# Half of the least number above 0.
LEAST = {mx.float32: 2.0**-150, mx.float16: 2.0**-25, mx.bfloat16: 2.0**-134}
DTYPES = pytest.mark.parametrize("dtype", ROUNDING, ids=str)
PAIRS = pytest.mark.parametrize(("dtype", "other"), list(itertools.product(ROUNDING, repeat=2)), ids=str)
"""Of the left side, and so of the result, and of the right one."""

# A few rows, many rows, and what lies at the edges of tiles and vectors.
SIZES = (1, 2, 3, 4, 5, 8, 9, 15, 16, 17, 31, 33, 64, 70, 129, 257, 300)
INNER = (1, 2, 7, 15, 16, 17, 32, 63, 65, 100, 257, 576)
BATCHES: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    ((), ()),
    ((3,), (3,)),
    ((3,), ()),
    ((), (3,)),
    ((2, 3), (3,)),
    ((2, 1), (3,)),
    ((2, 3), (2, 3)),
    ((1,), (2, 1)),
    ((2, 3, 1), (1, 3, 2)),
)


def contiguous(x: mx.array) -> mx.array:
    return x


def as_transpose(x: mx.array) -> mx.array:
    """Made in the other order: a view of which the last dim but one is contiguous."""
    return mx.contiguous(x.swapaxes(-1, -2)).swapaxes(-1, -2)


def part_of_rows(x: mx.array) -> mx.array:
    """Rows with gaps between them."""
    return mx.concatenate([x, x], axis=-1)[..., : x.shape[-1]]


def every_second(x: mx.array) -> mx.array:
    return mx.repeat(mx.repeat(x, 2, axis=-1), 2, axis=-2)[..., ::2, ::2]


def backwards(x: mx.array) -> mx.array:
    return mx.contiguous(x[..., ::-1, ::-1])[..., ::-1, ::-1]


LAYOUTS: tuple[Callable[[mx.array], mx.array], ...] = (contiguous, as_transpose, part_of_rows, every_second, backwards)


def random(rng: np.random.Generator, shape: tuple[int, ...], dtype: mx.Dtype) -> mx.array:
    """Magnitudes from 1e-3 to 10 beside each other."""
    values = rng.normal(size=shape) * 10.0 ** rng.uniform(-3, 1, shape)
    return mx.array(values.astype(np.float32)).astype(dtype)


def wide(x: mx.array) -> Floats:
    return np.array(x.astype(mx.float32), np.float64)


def product(a: Floats, b: Floats) -> Floats:
    """As `@`, without the threads of NumPy's BLAS, which lose seconds where other tests run beside it."""
    left, right = (a if a.ndim > 1 else a[None]), (b if b.ndim > 1 else b[:, None])
    whole: Floats = np.einsum("...mk,...kn->...mn", left, right)
    whole = whole if b.ndim > 1 else whole[..., 0]
    return whole if a.ndim > 1 else whole[(..., 0, slice(None)) if b.ndim > 1 else (..., 0)]


def check(found: mx.array, a: mx.array, b: mx.array, c: mx.array | None = None, note: Any = None) -> None:
    expected, size = product(wide(a), wide(b)), product(np.abs(wide(a)), np.abs(wide(b)))
    if c is not None:
        expected, size = expected + wide(c), size + np.abs(wide(c))
    assert found.dtype == a.dtype
    assert found.shape == expected.shape
    error = np.abs(wide(found) - expected)
    most = (4 + 2 * a.shape[-1] ** 0.5) * 2.0**-24 * size + ROUNDING[a.dtype] * np.abs(expected) + LEAST[a.dtype]
    assert np.all(error <= most), (note, float((error - most).max()))


@PAIRS
@pytest.mark.parametrize("seed", range(3))
def test_products_are_right(seed: int, dtype: mx.Dtype, other: mx.Dtype, instruction_set: str) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(16):
        m, n, k = rng.choice(SIZES), rng.choice(SIZES), rng.choice(INNER)
        left, right = BATCHES[rng.integers(len(BATCHES))] if m * n * k < 1_000_000 else ((), ())
        first, second = (LAYOUTS[i] for i in rng.integers(len(LAYOUTS), size=2))
        a, b = first(random(rng, (*left, m, k), dtype)), second(random(rng, (*right, k, n), other))
        check(kernels.matmul(a, b), a, b, note=(a.shape, b.shape, first.__name__, second.__name__))


@PAIRS
@pytest.mark.parametrize("seed", range(2))
def test_sums_are_right(seed: int, dtype: mx.Dtype, other: mx.Dtype, instruction_set: str) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(12):
        m, n, k = rng.choice(SIZES), rng.choice(SIZES), rng.choice(INNER)
        left, right = BATCHES[rng.integers(len(BATCHES))] if m * n * k < 1_000_000 else ((), ())
        a, b = random(rng, (*left, m, k), dtype), as_transpose(random(rng, (*right, k, n), other))
        whole = (*np.broadcast_shapes(left, right), m, n)
        some = tuple(1 if rng.integers(3) == 0 else d for d in whole)
        c = LAYOUTS[rng.integers(len(LAYOUTS))](random(rng, some, dtype))
        if rng.integers(2):
            c = random(rng, (n,), other)
        check(kernels.addmm(c, a, b), a, b, c, note=(c.shape, a.shape, b.shape))


@DTYPES
def test_vectors(dtype: mx.Dtype, instruction_set: str) -> None:
    rng = np.random.default_rng(1)
    for k in (1, 16, 70, 5000):
        v, w = random(rng, (k,), dtype), random(rng, (2 * k,), dtype)[::2]
        matrix, batch = random(rng, (k, 5), dtype), random(rng, (2, 9, k), dtype)
        check(kernels.matmul(v, w), v, w)
        check(kernels.matmul(v, matrix), v, matrix)
        check(kernels.matmul(batch, w), batch, w)
        check(kernels.addmm(matrix[0], v, matrix), v, matrix, matrix[0])
        check(kernels.addmm(batch[0, :, 0], batch, w), batch, w, batch[0, :, 0])
        check(kernels.matmul(v, batch.swapaxes(1, 2)), v, batch.swapaxes(1, 2))


@DTYPES
@pytest.mark.parametrize("m", [1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 40])
def test_rows_meet_a_weight(m: int, dtype: mx.Dtype, instruction_set: str) -> None:
    """Decoding and short prompts, with the weight in both orders, as itself and as a part of a larger one."""
    rng = np.random.default_rng(m)
    for rows, width in ((71, 100), (130, 257), (3, 33)):
        x, w = random(rng, (m, width), dtype), random(rng, (rows, width), dtype)
        check(kernels.matmul(x, w.T), x, w.T)
        check(kernels.matmul(w, x.T), w, x.T)
        check(kernels.matmul(x, as_transpose(w.T)), x, w.T)
        check(kernels.matmul(x[:, : width - 1], w[:, 1:].T), x[:, : width - 1], w[:, 1:].T)


@DTYPES
def test_long_sums_of_copied_operands(dtype: mx.Dtype, instruction_set: str) -> None:
    """Copies are made of parts of the inner dim: here there are several."""
    rng = np.random.default_rng(2)
    for m, n, k in ((2, 5, 70_000), (20, 17, 17_000), (270, 33, 2500)):
        a, b = every_second(random(rng, (m, k), dtype)), every_second(random(rng, (k, n), dtype))
        check(kernels.matmul(a, b), a, b)
        check(kernels.addmm(b[0], a, b), a, b, b[0])


@DTYPES
def test_one_matrix_for_the_whole_batch(dtype: mx.Dtype, instruction_set: str) -> None:
    rng = np.random.default_rng(3)
    w = random(rng, (48, 64), dtype)
    x = random(rng, (3, 5, 7, 64), dtype)
    c = random(rng, (7, 48), dtype)
    for a in (x, x[:, :, :1], x.swapaxes(1, 2), x[:, 1:4], x[::2], mx.broadcast_to(x[:1], x.shape)):
        check(kernels.matmul(a, w.T), a, w.T)
        added = c[: a.shape[-2]]
        check(kernels.addmm(added, a, w.T), a, w.T, added)


def test_broadcast_operands_take_no_memory(instruction_set: str) -> None:
    """Expanded, each of them would be 4 TB."""
    one = mx.ones((1, 1))
    a, b = mx.broadcast_to(one, (1 << 20, 1 << 20)), mx.broadcast_to(one, (1 << 20, 1 << 20))
    assert kernels.matmul(a[:3], b[:, :2]).tolist() == [[1 << 20] * 2] * 3
    assert kernels.matmul(a[:2, :9], b[:9]).shape == (2, 1 << 20)
    many = mx.broadcast_to(mx.ones((1, 1), mx.float16), (1 << 18, 2, 3))
    assert mx.all(kernels.matmul(many, many.swapaxes(1, 2)) == 3).item()


@DTYPES
def test_nothing_in_an_operand(dtype: mx.Dtype, instruction_set: str) -> None:
    # What a result's memory held before must not show.
    for _ in range(3):
        mx.eval(mx.full((40, 40), float("nan"), dtype))
        for m in (1, 8, 9, 40):
            empty = kernels.matmul(mx.zeros((m, 0), dtype), mx.zeros((0, 40), dtype))
            assert mx.array_equal(empty, mx.zeros((m, 40), dtype)).item()
            c = mx.ones((40,), dtype)
            added = kernels.addmm(c, mx.zeros((m, 0), dtype), mx.zeros((0, 40), dtype))
            assert mx.array_equal(added, mx.ones((m, 40), dtype)).item()
            a = mx.ones((m, 40), dtype)
            assert mx.array_equal(kernels.matmul(a, mx.ones((40, 40), dtype)), mx.full((m, 40), 40, dtype)).item()
    for left, right in (
        ((0, 5), (5, 3)),
        ((3, 5), (5, 0)),
        ((0, 3, 5), (5, 7)),
        ((2, 3, 5), (0, 1, 5, 7)),
        ((0,), (0,)),
    ):
        a, b = mx.zeros(left, dtype), mx.zeros(right, dtype)
        found = kernels.matmul(a, b)
        assert found.shape == mx.matmul(a, b).shape
        assert mx.all(found == 0).item()


@DTYPES
@pytest.mark.parametrize("m", [1, 3, 8, 9, 40])
def test_infinity_and_nan(m: int, dtype: mx.Dtype, instruction_set: str) -> None:
    rng = np.random.default_rng(m)
    with np.errstate(all="ignore"):
        for layout in (contiguous, as_transpose):
            x, w = rng.normal(size=(m, 50)), rng.normal(size=(50, 33))
            x[rng.random(x.shape) < 0.02] = np.inf
            x[0, 3] = np.nan
            w[rng.random(w.shape) < 0.02] = -np.inf
            w[rng.random(w.shape) < 0.1] = 0
            a, b = (mx.array(v.astype(np.float32)).astype(dtype) for v in (x, w))
            expected = product(wide(a), wide(b))
            for found in (wide(kernels.matmul(a, layout(b))), wide(kernels.matmul(layout(b).T, a.T)).T):
                np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
                np.testing.assert_array_equal(np.isposinf(found), np.isposinf(expected))
                np.testing.assert_array_equal(np.isneginf(found), np.isneginf(expected))


def test_half_precision_sums_in_float32(instruction_set: str) -> None:
    """Sums that pass float16's range on the way come back; results outside it are infinite."""
    for m in (1, 9):
        a = mx.full((m, 4), 60000, mx.float16)
        signs = mx.array([[1.0], [1.0], [-1.0], [-1.0]], mx.float16)
        assert mx.all(kernels.matmul(a, signs) == 0).item()
        assert mx.all(kernels.matmul(a, mx.abs(signs)) == float("inf")).item()


@DTYPES
def test_threads_change_no_bit(dtype: mx.Dtype, instruction_set: str, threads: None) -> None:
    rng = np.random.default_rng(4)
    for batch, m, n, k in (
        ((), 1, 900, 700),
        ((), 5, 900, 700),
        ((), 300, 520, 200),
        ((9,), 60, 60, 64),
        ((), 900, 1, 700),
    ):
        a, b = random(rng, (*batch, m, k), dtype), random(rng, (*batch, k, n), dtype)
        results = []
        for count in (1, 2, 5):
            kernels.set_threads(count)
            results.append(
                [kernels.matmul(a, b), kernels.matmul(a, as_transpose(b)), kernels.matmul(every_second(a), b)]
            )
            mx.eval(results)
        for others in results[1:]:
            assert all(mx.array_equal(x, y).item() for x, y in zip(others, results[0], strict=True))


def test_gradients_and_vmap_are_mlx_s() -> None:
    rng = np.random.default_rng(5)
    a, b, c = (random(rng, shape, mx.float32) for shape in ((2, 4, 6), (6, 5), (4, 5)))

    def ours(a: mx.array, b: mx.array, c: mx.array) -> mx.array:
        return mx.sin(kernels.addmm(c, kernels.matmul(a, b), mx.eye(5))).sum()

    def theirs(a: mx.array, b: mx.array, c: mx.array) -> mx.array:
        return mx.sin(mx.addmm(c, mx.matmul(a, b), mx.eye(5))).sum()

    for found, expected in zip(mx.grad(ours, (0, 1, 2))(a, b, c), mx.grad(theirs, (0, 1, 2))(a, b, c), strict=True):
        assert mx.allclose(found, expected, rtol=1e-4, atol=1e-4).item()
    _, (tangent,) = mx.jvp(lambda x: kernels.matmul(x, b), [a], [a])
    assert mx.allclose(tangent, a @ b, rtol=1e-5, atol=1e-5).item()
    mapped = mx.vmap(kernels.matmul, in_axes=(0, None))(a, b)
    assert mx.allclose(mapped, a @ b, rtol=1e-5, atol=1e-5).item()
    half = b.astype(mx.bfloat16)
    _, (tangent,) = mx.jvp(lambda x: kernels.matmul(x, half), [a], [a])
    assert mx.allclose(tangent, a @ half.astype(mx.float32), rtol=1e-5, atol=1e-5).item()
    gradient = mx.grad(lambda w: kernels.addmm(c, a[0], w).sum())(half)
    assert gradient.dtype == mx.bfloat16
    assert mx.allclose(gradient, a[0].T @ mx.ones((4, 5)), rtol=2e-2, atol=2e-2).item()
    mapped = mx.vmap(kernels.addmm, in_axes=(None, 1, None))(c[0], a, b)
    assert mx.allclose(mapped, c[0] + a.swapaxes(0, 1) @ b, rtol=1e-5, atol=1e-5).item()


def test_in_a_compiled_graph() -> None:
    rng = np.random.default_rng(6)
    w, c = random(rng, (5, 6), mx.float32), random(rng, (5,), mx.float32)

    def step(x: mx.array) -> mx.array:
        return mx.abs(kernels.matmul(x, w.T)) + kernels.addmm(c, x, w.T)

    compiled, shapeless = mx.compile(step), mx.compile(step, shapeless=True)
    for rows in (1, 4, 12):
        x = random(rng, (rows, 6), mx.float32)
        assert mx.array_equal(compiled(x), step(x)).item()
        assert mx.array_equal(shapeless(x), step(x)).item()


def test_equal_products_are_one_node() -> None:
    a, b = mx.ones((2, 2)), mx.ones((2, 2))
    compiled = mx.compile(lambda a, b: kernels.matmul(a, b) + kernels.matmul(a, b))
    assert mx.array_equal(compiled(a, b), mx.full((2, 2), 4.0)).item()


@pytest.mark.parametrize(
    ("left", "right", "words"),
    [
        (mx.zeros((2, 3)), mx.zeros((4, 2)), r"inner dims of \[2, 3\] and \[4, 2\] differ"),
        (mx.zeros((3,)), mx.zeros((4,)), r"inner dims of \[3\] and \[4\] differ"),
        (mx.zeros((2, 1, 3)), mx.zeros((3, 3, 4)), r"batches of \[2, 1, 3\] and \[3, 3, 4\] do not broadcast"),
        (mx.array(1.0), mx.zeros((3,)), r"a rank of 1 or more, not \[\] and \[3\]"),
        (mx.zeros((2, 3)), mx.zeros((3, 2), mx.int32), "not float32 and int32"),
        (mx.zeros((2, 3), mx.int32), mx.zeros((3, 2), mx.int32), "not int32 and int32"),
        (mx.zeros((2, 3), mx.complex64), mx.zeros((3, 2), mx.complex64), "not complex64 and complex64"),
        (mx.broadcast_to(mx.zeros(()), (4, 2**30, 1)), mx.broadcast_to(mx.zeros(()), (1, 2**30)), "more than 2\\^60"),
    ],
)
def test_what_does_not_fit_is_refused(left: mx.array, right: mx.array, words: str) -> None:
    with pytest.raises(ValueError, match=rf"^\[tensorlogic_cpu.matmul\] .*{words}"):
        kernels.matmul(left, right)
    with pytest.raises(ValueError, match=rf"^\[tensorlogic_cpu.addmm\] .*{words}"):
        kernels.addmm(mx.zeros((1,), left.dtype), left, right)


@pytest.mark.parametrize("shape", [(3,), (2, 2), (1, 4, 2), (2, 4, 2), (1, 1, 4, 2)])
def test_what_is_added_broadcasts_to_the_product(shape: tuple[int, ...]) -> None:
    with pytest.raises(
        ValueError, match=r"^\[tensorlogic_cpu.addmm\] what is added, \[.*\], does not broadcast to \[4, 2\]"
    ):
        kernels.addmm(mx.zeros(shape), mx.zeros((4, 3)), mx.zeros((3, 2)))
    with pytest.raises(ValueError, match="not int32 and float32"):
        kernels.addmm(mx.zeros((2,), mx.int32), mx.zeros((4, 3)), mx.zeros((3, 2)))
