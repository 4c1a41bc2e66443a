"""Functions that make tensors: what is demanded of sizes and values, and what random numbers have in common."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from tensorlogic.runtime.errors import BoundaryError
from tests.ops.harness import compiled, errors, refusal

REFUSED = [
    ("zeros([2, -1])", "TL3018", "a size of `zeros` is -1: it must be at least 0"),
    ("eye(-1)", "TL3018", "a size of `eye` is -1: it must be at least 0"),
    ("linspace(0.0, 1.0, -2)", "TL3018", "a size of `linspace` is -2: it must be at least 0"),
    ("arange(0, 10, 0)", "TL3012", "the `step` of `arange` is 0"),
    ("full([2], 1e6)", "TL2007", "1e+06 does not fit float16, whose largest number is 65504"),
    ("full([2], 1e-9)", "TL2007", "1e-09 does not fit float16, whose smallest is 5.96046e-08"),
    ("full([2], 1e39, dtype: bfloat16)", "TL2007", "1e+39 does not fit bfloat16, whose largest number is 3.38953e+38"),
    ("full([2], -1, dtype: uint32)", "TL2007", "-1 does not fit uint32, which goes from 0 to 4294967295"),
    ("full([2], 1.5, dtype: int32)", "TL2001", "`full` makes tensors of floats, not of int32"),
    ("full([2], 1, dtype: bool)", "TL2001", "`full` makes tensors of floats or integers, not of bool"),
    ("full([2], true, dtype: float16)", "TL2001", "`full` makes tensors of bools, not of float16"),
    ("arange(70000, dtype: float16)", "TL2007", "69999 does not fit float16, whose largest number is 65504"),
    ("arange(-2, dtype: bool)", "TL2001", "`arange` makes tensors of integers or floats, not of bool"),
    ("linspace(0.0, 1e5, 3)", "TL2007", "100000 does not fit float16, whose largest number is 65504"),
    ("where(zeros([2]) < 1, 1e5, 0.0)", "TL2007", "100000 does not fit float16, whose largest number is 65504"),
    ("random_normal([2], 1, dtype: int32)", "TL2001", "`random_normal` makes tensors of floats, not of int32"),
    ("random_uniform([2], 1, low: -1e5)", "TL2007", "-100000 does not fit float16, whose largest number is 65504"),
]


@pytest.mark.parametrize(("source", "code", "message"), REFUSED, ids=[r[0] for r in REFUSED])
def test_constants_that_cannot_be_are_refused(source: str, code: str, message: str) -> None:
    diagnostic = refusal(f"let x = {source}")
    assert (diagnostic.code, diagnostic.message) == (code, message)


def test_the_largest_and_the_smallest_number_fit() -> None:
    module = compiled(
        "fn f() -> float16[2, 2] { return full([2, 2], 65504.0) + full([2, 1], 5.960464477539063e-8) * 0 }"
    )
    assert module.f().tolist() == [[65504.0] * 2] * 2


SYMBOLIC = [
    ("x: float16[N, M]", "zeros([N, M - 1])", "float16[N, M - 1]"),
    ("x: float16[N, M]", "ones(x.shape, dtype: x.dtype)", "float16[N, M]"),
    ("x: float16[N, M]", "eye(N * M)", "float16[N*M, N*M]"),
    ("x: float16[N, M]", "arange(N + M)", "int32[M + N]"),
    ("x: float16[N, M]", "arange(M, M + N)", "int32[N]"),
    ("x: float16[N, M]", "arange(0, 2 * N, 2)", "int32[N]"),
    ("x: float16[N, M]", "arange(3 * N, 0, -3)", "int32[N]"),
    ("x: float16[N, M]", "linspace(0.0, 1.0, N)", "float16[N]"),
    ("x: float16[N, M]", "random_normal([M, N], key: 1)", "float16[M, N]"),
    ("n: int", "zeros([n])", "float16[n]"),
    ("n: int", "zeros([n * n, 2])", "float16[n*n, 2]"),
]


@pytest.mark.parametrize(("parameter", "source", "result"), SYMBOLIC, ids=[s[1] for s in SYMBOLIC])
def test_sizes_may_be_any_ints(parameter: str, source: str, result: str) -> None:
    assert errors(f"fn f({parameter}) -> {result} {{ return {source} }}") == ()


UNPROVED = [
    ("zeros([N - M])", "TL3018", "where M <= N"),
    ("arange(M, N)", "TL3018", "where M <= N"),
    ("arange(0, N, 2)", "TL3012", "where N % 2 == 0"),
]


@pytest.mark.parametrize(("source", "code", "clause"), UNPROVED, ids=[u[0] for u in UNPROVED])
def test_the_clause_that_a_help_offers_makes_it_check(source: str, code: str, clause: str) -> None:
    head = "fn f(x: float16[N, M]) -> (int32[?], float16[N])"
    body = f"{{ return ({source}.to(int32), x[:, 0]) }}"
    diagnostic = refusal(f"{head} {body}")
    assert diagnostic.code == code
    assert diagnostic.helps == (f"add `{clause}` to `f`",)
    assert errors(f"{head} {clause} {body}") == ()


@pytest.mark.parametrize(
    ("text", "argument", "code"),
    [
        ("fn f(n: int) -> float16[?] { return zeros([n]) }", -1, "TL5003"),
        ("fn f(n: int) -> int32[?] { return arange(n) }", -1, "TL5003"),
        ("fn f(v: float) -> float16[2] { return full([2], v) }", 1e5, "TL5004"),
        ("fn f(v: float) -> float16[2] { return full([2], v) }", 1e-9, "TL5004"),
        ("fn f(v: int) -> float16[2] { return full([2], v) }", 70000, "TL5004"),
        ("fn f(v: float) -> float16[2] { return linspace(0.0, v, 2) }", 1e5, "TL5004"),
        ("fn f(v: float) -> float16[2] { return random_uniform([2], 1, high: v) }", 1e5, "TL5004"),
        ("fn f(v: float) -> float16[2] { return where(zeros([2]) < 1, 0.0, v) }", 1e5, "TL5004"),
        ("fn f(v: float, x: float16[2]) -> float16[2] { return like(v, x) }", 1e5, "TL5004"),
    ],
)
def test_what_only_run_time_knows_is_checked_then(text: str, argument: Any, code: str) -> None:
    arguments = (argument, mx.zeros((2,), mx.float16)) if "x:" in text else (argument,)
    with pytest.raises(BoundaryError) as caught:
        compiled(text).f(*arguments)
    assert caught.value.code == code


# --- random numbers


def _drawn(source: str, *, dtype: str = "float32", strict: bool = False, **arguments: int) -> np.ndarray[Any, Any]:
    parameters = ", ".join(f"{name}: int" for name in arguments)
    text = f"fn f({parameters}) -> {dtype}[20000] {{ return {source} }}"
    return np.array(compiled(text, strict=strict).f(*arguments.values()).astype(mx.float32))


def test_normal_numbers_have_mean_0_and_variance_1() -> None:
    drawn = _drawn("random_normal([20000], 3, dtype: float32)")
    assert abs(drawn.mean()) < 0.03
    assert abs(drawn.var() - 1) < 0.05
    assert abs((drawn**4).mean() - 3) < 0.3


def test_uniform_numbers_fill_their_range() -> None:
    drawn = _drawn("random_uniform([20000], key: 3, low: -2.0, high: 6.0, dtype: float32)")
    assert drawn.min() >= -2
    assert drawn.max() <= 6
    assert abs(drawn.mean() - 2) < 0.1
    assert abs(drawn.var() - 64 / 12) < 0.2


@pytest.mark.parametrize(
    "source", ["random_normal([20000], key: k, dtype: {})", "random_uniform([20000], k, dtype: {})"]
)
def test_equal_keys_give_equal_numbers_in_every_precision(source: str) -> None:
    """float16 is float32 rounded, carried or strict; another key gives other numbers."""
    wide = _drawn(source.format("float32"), k=-5)
    carried = _drawn(source.format("float16"), dtype="float16", k=-5)
    strict = _drawn(source.format("float16"), dtype="float16", strict=True, k=-5)
    np.testing.assert_array_equal(carried, wide.astype(np.float16).astype(np.float32))
    np.testing.assert_array_equal(carried, strict)
    assert (_drawn(source.format("float32"), k=-4) != wide).any()
