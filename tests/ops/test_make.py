"""Functions that make tensors: what is demanded of sizes and values, and what random numbers have in common."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from tensorlogic.runtime.errors import BoundaryError
from tests.ops.harness import compiled, errors, refusal

LIMIT = "the largest that a dim may have is 2147483647"
REFUSED = [
    ("zeros([2, -1])", "TL3018", "a size of `zeros` is -1: it must be at least 0"),
    ("eye(-1)", "TL3018", "a size of `eye` is -1: it must be at least 0"),
    ("linspace(0.0, 1.0, -2)", "TL3018", "a size of `linspace` is -2: it must be at least 0"),
    ("arange(0, 10, 0)", "TL3012", "the `step` of `arange` is 0"),
    ("arange(-1)", "TL3018", "`arange` counts up: it would not get from 0 to -1"),
    ("arange(5, 0)", "TL3018", "`arange` counts up: it would not get from 5 to 0"),
    ("arange(5, 0, 2)", "TL3018", "`arange` counts up: it would not get from 5 to 0"),
    ("arange(0, 5, -1)", "TL3018", "`arange` counts down: it would not get from 0 to 5"),
    ("full([2], 3000000000, dtype: int32)", "TL2007", "3000000000 does not fit int32"),
    ("arange(3000000000, dtype: uint32)", "TL3018", f"a size of the result of `arange` is 3000000000: {LIMIT}"),
    ("full([2], 1e6)", "TL2007", "1e6 would become inf in float16"),
    ("full([2], 1e-9)", "TL2007", "1e-9 would become 0 in float16"),
    ("full([2], 1e39, dtype: bfloat16)", "TL2007", "1e39 would become inf in bfloat16"),
    ("full([2], -1, dtype: uint32)", "TL2007", "-1 does not fit uint32"),
    ("full([2], 1.5, dtype: int32)", "TL2001", "`full` makes tensors of floats, not of int32"),
    ("full([2], 1, dtype: bool)", "TL2001", "`full` makes tensors of floats or integers, not of bool"),
    ("full([2], true, dtype: float16)", "TL2001", "`full` makes tensors of bools, not of float16"),
    ("arange(70000, dtype: float16)", "TL2007", "69999 would become inf in float16"),
    ("arange(-2, dtype: bool)", "TL2001", "`arange` makes tensors of integers or floats, not of bool"),
    ("linspace(0.0, 1e5, 3)", "TL2007", "1e5 would become inf in float16"),
    ("where(zeros([2]) < 1, 1e5, 0.0)", "TL2007", "1e5 would become inf in float16"),
    ("random_normal([2], 1, dtype: int32)", "TL2001", "`random_normal` makes tensors of floats, not of int32"),
    ("random_uniform([2], 1, low: -1e5)", "TL2007", "-1e5 would become -inf in float16"),
]


@pytest.mark.parametrize(("source", "code", "message"), REFUSED, ids=[r[0] for r in REFUSED])
def test_constants_that_cannot_be_are_refused(source: str, code: str, message: str) -> None:
    diagnostic = refusal(f"let x = {source}")
    assert (diagnostic.code, diagnostic.message) == (code, message)


def test_bools_are_offered_a_tensor_of_bools() -> None:
    diagnostic = refusal("let m = tensor([true, false])")
    assert (diagnostic.code, diagnostic.helps) == ("TL2001", ("`tensor<bool>(...)` holds it",))


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
    ("x: float16[N, M]", "arange(1, 2 * N, 2)", "int32[N]"),
    ("x: float16[N, M]", "arange(0, 100 * N, 100)", "int32[N]"),
    ("n: int", "arange(1, 4 * n * n, 2)", "int32[2*n*n]"),
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


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("full([2], n)", "`n` = 70000 would become inf in float16"),
        ("full([2], n * 2)", "`n * 2` = 140000 would become inf in float16"),
        ("linspace(0.0, v, 2)", "`v` = -70000.0 would become inf in float16"),
        ("random_uniform([2], 1, low: v)", "`v` = -70000.0 would become inf in float16"),
    ],
)
def test_the_program_tells_what_does_not_fit(source: str, message: str) -> None:
    with pytest.raises(BoundaryError) as caught:
        compiled(f"fn f(n: int, v: float) -> float16[2] {{ return {source} }}").f(70000, -70000.0)
    assert str(caught.value) == f"case.tl:1: {message} [TL5004]"


# --- counting


@pytest.mark.parametrize("start", [0, 3, -4])
@pytest.mark.parametrize("length", [0, 1, 5, 6])
@pytest.mark.parametrize("step", [1, 2, 3, -1, -2])
@pytest.mark.parametrize("dtype", ["int32", "float16"])
def test_known_and_unknown_bounds_count_alike(start: int, length: int, step: int, dtype: str) -> None:
    stop = start + (length if step > 0 else -length)
    known = compiled(f"fn f() -> {dtype}[?] {{ return arange({start}, {stop}, {step}, dtype: {dtype}) }}")
    unknown = compiled(f"fn f(a: int, b: int) -> {dtype}[?] {{ return arange(a, b, {step}, dtype: {dtype}) }}")
    expected = np.arange(start, stop, step).astype(dtype)
    for made in (known.f(), unknown.f(start, stop)):
        assert made.dtype == getattr(mx, dtype)
        np.testing.assert_array_equal(np.array(made), expected)


@pytest.mark.parametrize(
    ("declared", "source", "first", "last"),
    [
        ("int32[?]", "arange(n, n + 2)", -(2**31), 2**31 - 2),
        ("uint32[?]", "arange(n, n + 2, dtype: uint32)", 0, 2**32 - 2),
        ("int32[?]", "arange(n, n - 4, -2)", 2 - 2**31, 2**31 - 1),
        ("float16[?]", "arange(n, n + 1, dtype: float16)", -65519, 65519),
        ("float32[?]", "arange(n, n + 1, dtype: float32)", 1 - 2**53, 2**53 - 1),
    ],
)
def test_no_number_of_an_unknown_range_wraps_around(declared: str, source: str, first: int, last: int) -> None:
    module = compiled(f"fn f(n: int) -> {declared} {{ return {source} }}")
    step = np.arange(0, -4, -2) if "-2" in source else np.arange(int(source[source.index("+") + 2]))
    for n in (first, last):
        np.testing.assert_allclose(np.array(module.f(n).astype(mx.float32)), (n + step).astype(np.float32), rtol=1e-3)
    for n in (first - 1, last + 1, 2**80):
        with pytest.raises(BoundaryError, match=r"case\.tl:1: ") as caught:
            module.f(n)
        assert caught.value.code == "TL5004"


def test_constants_beyond_int32_are_counted_in_floats() -> None:
    module = compiled("fn f() -> float32[2] { return arange(3000000000, 3000000512, 256, dtype: float32) }")
    assert module.f().tolist() == [3000000000.0, 3000000256.0]


def test_a_range_of_nothing_may_start_anywhere() -> None:
    module = compiled("fn f(n: int) -> int32[?] { return arange(n, n) }")
    assert module.f(2**40).shape == (0,)


@pytest.mark.parametrize(("source", "ends"), [("arange(a, b)", (5, 0)), ("arange(b, a, -1)", (5, 0))])
def test_a_range_that_goes_the_other_way_is_refused_when_it_runs(source: str, ends: tuple[int, int]) -> None:
    module = compiled(f"fn f(a: int, b: int) -> int32[?] {{ return {source} }}")
    with pytest.raises(BoundaryError, match=r"it would not get from 5 to 0|it would not get from 0 to 5") as caught:
        module.f(*ends)
    assert caught.value.code == "TL5003"


@pytest.mark.parametrize(
    "k", [2**80, 2**31, 2**31 - 1, 2**30 + 1, 3, 0, -3, -(2**30) - 1, 1 - 2**31, -(2**31), -(2**80)]
)
@pytest.mark.parametrize("function", ["tril", "triu"])
def test_diagonals_may_be_any_ints(function: str, k: int) -> None:
    x = np.arange(1, 7, dtype=np.float32).reshape(2, 3)
    expected = getattr(np, function)(x, max(-10, min(k, 10)))
    unknown = compiled(f"fn f(x: float32[N, M], k: int) -> float32[N, M] {{ return {function}(x, k) }}")
    np.testing.assert_array_equal(np.array(unknown.f(mx.array(x), k)), expected)
    if abs(k) < 2**63:
        known = compiled(f"fn f(x: float32[N, M]) -> float32[N, M] {{ return {function}(x, {k}) }}")
        np.testing.assert_array_equal(np.array(known.f(mx.array(x))), expected)


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
