"""Reductions and sorting: axes, packs, what must not be empty, and how sums of half precision are accumulated."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

from tensorlogic.runtime import functions
from tensorlogic.runtime.errors import BoundaryError
from tests.ops.harness import compiled, errors, refusal

REFUSED = [
    ("x: float16[N]", "sum(x, axis: 1)", "TL3008", "axis 1 does not exist: the tensor has 1 dim"),
    ("x: float16[N]", "sum(x, axis: -2)", "TL3008", "axis -2 does not exist: the tensor has 1 dim"),
    ("x: float16[N, M]", "mean(x, axis: (0, -2))", "TL3008", "axis -2 is axis 0, which is given already"),
    ("x: float16[N, M], z: float16[]", "mean(x, axis: z.shape)", "TL3008", "`mean` is given no axis"),
    ("x: float16[]", "sort(x)", "TL3008", "axis -1 does not exist: the tensor has 0 dims"),
    ("x: float16[]", "cumsum(x)", "TL3008", "axis -1 does not exist: the tensor has 0 dims"),
    ("x: float16[...B, N]", "sum(x, axis: 0)", "TL3008", "axis 0 cannot be told in a shape that begins with a pack"),
    ("x: float16[...B, N]", "sum(x, axis: -2)", "TL3008", "axis -2 cannot be told in a shape that begins with a pack"),
    (
        "x: float16[...B, N]",
        "sum(x, keepdims: true)",
        "TL3008",
        "`keepdims` without an axis in a shape that begins with `...B`: its dims cannot be named",
    ),
    ("x: float16[N, M], k: int", "sum(x, axis: k)", "TL2008", "`axis` of `sum` must be known while compiling"),
    ("x: float16[N, M], k: bool", "sum(x, 0, k)", "TL2008", "`keepdims` of `sum` must be known while compiling"),
    ("x: int32[N]", "mean(x)", "TL2012", "`mean` on tensors of int32 would need fractions"),
    ("x: bool[N]", "std(x)", "TL2012", "`std` on tensors of bool would need fractions"),
    ("x: int32[N]", "logsumexp(x)", "TL2012", "`logsumexp` on tensors of int32 would need fractions"),
    ("x: float16[N]", "all(x)", "TL2002", "`x` of `all` is bool, not float16"),
    ("x: float16[N]", "max(x[1:N])", "TL3016", "`max` of no items has no value: `N - 1` may be 0"),
    ("x: float16[0]", "argmin(x)", "TL3016", "`argmin` of no items has no value: a dim is 0"),
    ("x: float16[N, 0]", "min(x, axis: 1)", "TL3016", "`min` of no items has no value: a dim is 0"),
    ("x: float16[4]", "topk(x, 5)", "TL3006", "`topk` takes 5 of 4 items: there are not so many"),
    ("x: float16[N]", "topk(x, 5)", "TL3006", "`topk` takes 5 of N items: there are not provably so many"),
    ("x: float16[4]", "topk(x, -1)", "TL3006", "`k` of `topk` is -1, which is negative"),
]


@pytest.mark.parametrize(("parameters", "source", "code", "message"), REFUSED, ids=[r[1] + r[0] for r in REFUSED])
def test_what_cannot_be_reduced_is_refused(parameters: str, source: str, code: str, message: str) -> None:
    diagnostic = refusal(f"fn f({parameters}) -> float16[] {{ let y = {source}\n return full([], 0) }}")
    assert (diagnostic.code, diagnostic.message) == (code, message)


ACCEPTED = [
    ("x: T[...B, N]", "sum(x)", "T[]"),
    ("x: T[...B, N]", "sum(x, axis: -1)", "T[...B]"),
    ("x: T[...B, N]", "mean(x, axis: -1, keepdims: true)", "T[...B, 1]"),
    ("x: T[...B, N, M]", "max(x, axis: -2)", "T[...B, M]"),
    ("x: T[...B, N, M]", "var(x, axis: (-1, -2))", "T[...B]"),
    ("x: T[...B, N]", "argmax(x, axis: -1)", "int32[...B]"),
    ("x: T[...B, N]", "argmin(x)", "int32[]"),
    ("x: T[...B, N]", "cumsum(x)", "T[...B, N]"),
    ("x: T[...B, N, M]", "sort(x, axis: -2)", "T[...B, N, M]"),
    ("x: T[...B, N]", "argsort(x)", "int32[...B, N]"),
    ("x: T[...B, N + 2]", "topk(x, 2)", "(T[...B, 2], int32[...B, 2])"),
    ("x: T[N, M]", "topk(x, N, axis: 0)", "(T[N, M], int32[N, M])"),
    ("x: T[N, M]", "sum(x, axis: 0, keepdims: true)", "T[1, M]"),
    ("x: T[N, M]", "logsumexp(x, keepdims: true)", "T[1, 1]"),
    ("x: T[2*N]", "max(x)", "T[]"),
    ("x: T[N - 1]", "sum(x)", "T[]"),
]


@pytest.mark.parametrize(("parameters", "source", "result"), ACCEPTED, ids=[a[1] + a[0] for a in ACCEPTED])
def test_shapes_of_variables_and_packs(parameters: str, source: str, result: str) -> None:
    assert errors(f"fn f<T: float>({parameters}) -> {result} {{ return {source} }}") == ()


def test_the_clause_that_a_help_offers_proves_that_there_are_items() -> None:
    head, body = "fn f(x: float16[N]) -> float16[]", "{ return max(x[1:N]) }"
    assert refusal(f"{head} {body}").helps == ("add `where 2 <= N` to `f`",)
    assert errors(f"{head} where 2 <= N {body}") == ()


def test_a_reduction_over_a_pack_takes_all_dims() -> None:
    module = compiled(
        "fn f(x: float32[...B, N]) -> (float32[], int32[], float32[...B]) {\n"
        "    return (sum(x), argmax(x), max(x, axis: -1))\n}"
    )
    for shape in ((4,), (3, 4), (2, 3, 4)):
        x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
        total, place, largest = module.f(mx.array(x))
        np.testing.assert_allclose(total.item(), x.sum(), rtol=1e-5)
        assert place.item() == x.argmax()
        np.testing.assert_array_equal(np.array(largest), x.max(-1))


@pytest.mark.parametrize("function", ["max", "min", "argmax", "argmin"])
def test_a_pack_that_holds_nothing_is_refused_when_it_runs(function: str) -> None:
    result = "int32" if function.startswith("arg") else "float32"
    module = compiled(
        f"fn f(x: float32[...B, N]) -> {result}[] {{ return {function}(x) }}\n"
        f"fn rows(x: float32[...B, N]) -> {result}[...B] {{ return {function}(x, axis: -1) }}"
    )
    x = mx.array([[1.0, 4.0], [3.0, 2.0]])
    assert module.f(x).item() == getattr(mx, function)(x).item()
    with pytest.raises(BoundaryError, match=f"`{function}` of no items has no value: a dim is 0") as caught:
        module.f(mx.zeros((0, 3)))
    assert caught.value.code == "TL5003"
    assert module.rows(mx.zeros((0, 3))).shape == (0,)


@pytest.mark.parametrize("source", ["max(x, axis: 0)", "argmax(x, axis: 0)", "topk(x, k, axis: 0)"])
def test_items_of_an_unknown_dim_are_counted_when_it_runs(source: str) -> None:
    """What is reduced must not be empty; other dims may be."""
    result = {"m": "float32[?]", "a": "int32[?]", "t": "(float32[?, ?], int32[?, ?])"}[source[0]]
    module = compiled(f"fn f(x: float32[?, ?], k: int) -> {result} {{ return {source} }}")
    module.f(mx.zeros((2, 3)), 1)
    module.f(mx.zeros((2, 0)), 1)
    with pytest.raises(BoundaryError, match="along a dim of 0 items"):
        module.f(mx.zeros((0, 3)), 0)


def test_topk_checks_k_when_it_runs() -> None:
    module = compiled("fn f(x: float32[N], k: int) -> (float32[?], int32[?]) { return topk(x, k) }")
    assert module.f(mx.array([3.0, 1.0, 2.0]), 2)[1].tolist() == [0, 2]
    for k in (4, -1):
        with pytest.raises(BoundaryError, match="topk"):
            module.f(mx.zeros((3,)), k)


def test_topk_of_equal_items_names_them_each_once() -> None:
    values, places = functions.topk(mx.array([2.0, 1.0, 2.0, 2.0]), 3, 0)
    assert values.tolist() == [2.0, 2.0, 2.0]
    assert sorted(np.array(places)) == [0, 2, 3]


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16])
def test_half_precision_is_accumulated_in_float32(dtype: mx.Dtype) -> None:
    """2,049 ones and the mean of numbers whose sum passes 65,504 are exact, and results keep their type."""
    ones = mx.ones((3000,), dtype)
    running = functions.cumsum(ones, 0)
    assert running.dtype == dtype
    assert running[-1].item() == mx.array(3000.0, dtype).item()
    assert functions.reduce_sum(ones).item() == mx.array(3000.0, dtype).item()
    large = mx.full((3000,), 1000.0, dtype)
    assert functions.reduce_mean(large).item() == 1000.0
    assert functions.reduce_var(large).item() == 0.0
    assert functions.reduce_std(large).item() == 0.0
    assert functions.reduce_logsumexp(large).dtype == dtype
    assert functions.reduce_prod(mx.full((2,), 2.0, dtype)).item() == 4.0


@pytest.mark.parametrize("x", ["x: bool[]", "x: bool[...B]"])
@pytest.mark.parametrize("op", ["sum", "prod"])
def test_a_scalar_bool_is_counted(x: str, op: str) -> None:
    result = compiled(f"fn f({x}) -> int32[] {{ return {op}(x) }}").f(mx.array(True))
    assert (result.dtype, result.item()) == (mx.int32, 1)


@pytest.mark.parametrize("op", ["argmax", "argmin"])
@pytest.mark.parametrize("keepdims", ["", ", keepdims: true"])
def test_the_place_of_a_scalar_s_item(op: str, keepdims: str) -> None:
    result = compiled(f"fn f(x: float32[]) -> int32[] {{ return {op}(x{keepdims}) }}").f(mx.array(2.5))
    assert (result.shape, result.dtype, result.item()) == ((), mx.int32, 0)
