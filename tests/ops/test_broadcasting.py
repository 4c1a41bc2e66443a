"""Broadcasting and `@`: what meets, what is refused and how that is told, and what only run time can tell."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorlogic.runtime.errors import BoundaryError
from tests.ops.harness import compiled, errors, refusal

# --- shapes without variables: NumPy says what is right

SIZES = st.sampled_from([0, 1, 2, 3])
SHAPES = st.lists(SIZES, max_size=4).map(tuple)
Shape = tuple[int, ...]


def _text(shape: Shape) -> str:
    return f"float32[{', '.join(map(str, shape))}]"


def _agrees(symbol: str, a: Shape, b: Shape, expected: Shape | None, codes: set[str]) -> None:
    """The program checks exactly where there is an expected shape, and gives it."""
    result = _text(expected) if expected is not None else "float32[]"
    text = f"fn f(a: {_text(a)}, b: {_text(b)}) -> {result} {{ return a {symbol} b }}"
    if expected is None:
        assert refusal(text).code in codes
    else:
        assert compiled(text).f(mx.zeros(a), mx.zeros(b)).shape == expected


@given(SHAPES, SHAPES)
def test_shapes_broadcast_as_in_numpy(a: Shape, b: Shape) -> None:
    try:
        expected = np.broadcast_shapes(a, b)
    except ValueError:
        expected = None
    _agrees("+", a, b, expected, {"TL3002"})


@given(SHAPES, SHAPES)
def test_matrices_multiply_as_in_numpy(a: Shape, b: Shape) -> None:
    try:
        expected = np.matmul(np.zeros(a), np.zeros(b)).shape
    except ValueError:
        expected = None
    _agrees("@", a, b, expected, {"TL3001", "TL3002", "TL3005"})


@given(SHAPES, SHAPES, SHAPES)
def test_three_operands_broadcast_as_in_numpy(mask: Shape, a: Shape, b: Shape) -> None:
    try:
        expected = np.broadcast_shapes(mask, a, b)
    except ValueError:
        expected = None
    result = _text(expected) if expected is not None else "float32[]"
    head = f"fn f(m: {_text(mask).replace('float32', 'bool')}, a: {_text(a)}, b: {_text(b)})"
    text = f"{head} -> {result} {{ return where(m, a, b) }}"
    if expected is None:
        assert refusal(text).code == "TL3002"
    else:
        assert compiled(text).f(mx.zeros(mask, mx.bool_), mx.zeros(a), mx.zeros(b)).shape == expected


# --- variables and packs

ACCEPTED = [
    ("a: T[N, D], b: T[N, D]", "a + b", "T[N, D]", [((2, 3), (2, 3))]),
    ("a: T[N, D], b: T[D]", "a * b", "T[N, D]", [((2, 3), (3,))]),
    ("a: T[N, 1], b: T[1, D]", "a - b", "T[N, D]", [((2, 1), (1, 3))]),
    ("a: T[N, H*K], b: T[K*H], H: int", "a + b", "T[N, H*K]", []),
    ("a: T[...B, D], b: T[D]", "a + b", "T[...B, D]", [((3,), (3,)), ((4, 2, 3), (3,))]),
    ("a: T[D], b: T[...B, N, D]", "a + b", "T[...B, N, D]", [((3,), (2, 3)), ((3,), (5, 2, 3))]),
    ("a: T[...B, D], b: T[...B, D]", "a + b", "T[...B, D]", [((3,), (3,)), ((2, 3), (2, 3))]),
    ("a: T[...B, N, 1], b: T[...B, 1, D]", "a + b", "T[...B, N, D]", [((5, 2, 1), (5, 1, 3))]),
    ("a: T[...B], b: T[]", "a + b", "T[...B]", [((), ()), ((2, 3), ())]),
    ("a: T[...B, N, D], b: T[N, 1]", "a + b", "T[...B, N, D]", [((5, 2, 3), (2, 1))]),
    ("a: T[N, D], b: T[D, M]", "a @ b", "T[N, M]", [((2, 3), (3, 4))]),
    ("a: T[...B, D], b: T[D, M]", "a @ b", "T[...B, M]", [((3,), (3, 4)), ((2, 3), (3, 4)), ((5, 2, 3), (3, 4))]),
    ("a: T[...B, D], b: T[D]", "a @ b", "T[...B]", [((3,), (3,)), ((2, 3), (3,)), ((5, 2, 3), (3,))]),
    ("a: T[...B, N, D], b: T[...B, D, M]", "a @ b", "T[...B, N, M]", [((2, 3), (3, 4)), ((5, 2, 3), (5, 3, 4))]),
    ("a: T[...B, N, D], b: T[D]", "a @ b", "T[...B, N]", [((2, 3), (3,)), ((5, 2, 3), (3,))]),
    ("a: T[N, D], b: T[...B, D, M]", "a @ b", "T[...B, N, M]", [((2, 3), (3, 4)), ((2, 3), (5, 3, 4))]),
    ("a: T[D], b: T[...B, D, M]", "a @ b", "T[...B, M]", [((3,), (3, 4)), ((3,), (5, 3, 4))]),
    ("a: T[...B, H, N, D], b: T[H, D, M]", "a @ b", "T[...B, H, N, M]", [((6, 5, 2, 3), (5, 3, 4))]),
    ("a: T[...B, H, N, D], b: T[...B, 1, D, M]", "a @ b", "T[...B, H, N, M]", [((6, 5, 2, 3), (6, 1, 3, 4))]),
]


@pytest.mark.parametrize(("parameters", "source", "result", "calls"), ACCEPTED, ids=[a[0] + a[1] for a in ACCEPTED])
def test_provable_shapes_are_accepted(parameters: str, source: str, result: str, calls: list[Any]) -> None:
    """The result is exactly the declared one, and running gives what NumPy gives."""
    module = compiled(f"fn f<T: float>({parameters}) -> {result} {{ return {source} }}")
    for shapes in calls:
        a, b = (np.random.default_rng(1).standard_normal(shape).astype(np.float32) for shape in shapes)
        made = np.array(module.f(mx.array(a), mx.array(b)))
        expected = eval(source, {"a": a, "b": b})
        assert made.shape == expected.shape
        np.testing.assert_allclose(made, expected, rtol=1e-5, atol=1e-5)


REFUSED = [
    ("a: T[N, D], b: T[M, D]", "a + b", "TL3002", "`+` cannot broadcast: `N` is not `M`"),
    ("a: T[N, D], b: T[N]", "a + b", "TL3002", "`+` cannot broadcast: `D` is not `N`"),
    ("a: T[N], b: T[N + 1]", "a < b", "TL3002", "`<` cannot broadcast: `N` is not `N + 1`"),
    ("a: T[N], b: T[3]", "maximum(a, b)", "TL3002", "`maximum` cannot broadcast: `N` is not `3`"),
    ("a: T[...A], b: T[...B]", "a + b", "TL3013", "`+` cannot broadcast [...A] and [...B]"),
    ("a: T[...A, D], b: T[...A, N, D]", "a + b", "TL3013", "`+` cannot broadcast [...A, D] and [...A, N, D]"),
    ("a: T[...A, D], b: T[N, D]", "a + b", "TL3013", "`+` cannot broadcast [...A, D] and [N, D]"),
    ("a: T[N, D], b: T[E, D]", "a @ b", "TL3001", "`@` needs equal inner dims: `D` is not `E`"),
    ("a: T[D], b: T[E]", "a @ b", "TL3001", "`@` needs equal inner dims: `D` is not `E`"),
    ("a: T[H, N, D], b: T[G, D, M]", "a @ b", "TL3002", "`@` cannot broadcast: `H` is not `G`"),
    ("a: T[], b: T[D]", "a @ b", "TL3005", "`@` needs matrices or vectors: `a` is a scalar"),
    ("a: T[D], b: T[...B]", "a @ b", "TL3005", "`@` needs matrices or vectors: `b` is only known as [...B]"),
    ("a: T[...A, N, D], b: T[...B, D, M]", "a @ b", "TL3013", "`@` cannot broadcast [...A] and [...B]"),
    (
        "a: T[...B, D], b: T[...B, D, M]",
        "a @ b",
        "TL3013",
        "`@` of [...B, D] and [...B, D, M]: it is not known which dim of the pack would be the rows",
    ),
    (
        "a: T[...B, D], b: T[K, D, M]",
        "a @ b",
        "TL3013",
        "`@` of [...B, D] and [K, D, M]: it is not known which dim of the pack would be the rows",
    ),
    (
        "a: T[...B, N, D], b: T[...B, D]",
        "a @ b",
        "TL3013",
        "`@` contracts the second last dim of [...B, D], which is inside the pack",
    ),
]


@pytest.mark.parametrize(("parameters", "source", "code", "message"), REFUSED, ids=[r[0] + r[1] for r in REFUSED])
def test_what_cannot_meet_is_refused(parameters: str, source: str, code: str, message: str) -> None:
    text = f"fn f<T: float>({parameters}) -> T[] {{ return {source} }}"
    diagnostic = refusal(text)
    assert (diagnostic.code, diagnostic.message) == (code, message)
    types = [declared.split(":")[1].strip() for declared in parameters.split(", b")]
    assert [label.text for label in diagnostic.labels[1:]] == types
    assert [label.span.text for label in diagnostic.labels[1:]] == ["a", "b"]


# --- what errors offer

HELPFUL = [
    ("x: T[N, D], w: T[E, D]", "x @ w", "x @ w.T", "T[N, E]"),
    ("x: T[D, N], w: T[D, E]", "x @ w", "x.T @ w", "T[N, E]"),
    ("x: T[D, N], w: T[E, D]", "x @ w", "x.T @ w.T", "T[N, E]"),
    ("x: T[D], w: T[E, D]", "x @ w", "x @ w.T", "T[E]"),
    ("x: T[...B, D], w: T[E, D]", "(x + 1) @ w", "(x + 1) @ w.T", "T[...B, E]"),
    ("x: T[...B, D], w: T[E, D]", "-x @ (w)", "(-x) @ (w).T", "T[...B, E]"),
    ("x: T[...B, N, D], w: T[...B, M, D]", "x @ w", "x @ w.T", "T[...B, N, M]"),
    ("x: T[N, D], w: T[N]", "x * w", "x * w[:, none]", "T[N, D]"),
    ("x: T[N], w: T[N, D]", "maximum(x, w)", "maximum(x[:, none], w)", "T[N, D]"),
    ("x: T[...B, D], w: T[...B, N, D]", "x - w", "x[..., none, :] - w", "T[...B, N, D]"),
]


@pytest.mark.parametrize(("parameters", "wrong", "right", "result"), HELPFUL, ids=[h[2] + h[0] for h in HELPFUL])
def test_a_help_is_code_that_checks(parameters: str, wrong: str, right: str, result: str) -> None:
    diagnostic = refusal(f"fn f<T: float>({parameters}) -> {result} {{ return {wrong} }}")
    assert any(f"`{right}`" in text for text in diagnostic.helps), diagnostic.helps
    assert errors(f"fn f<T: float>({parameters}) -> {result} {{ return {right} }}") == ()


def test_the_clause_that_a_help_offers_makes_it_check() -> None:
    head = "fn f(a: float16[N], b: float16[M]) -> float16[N]"
    diagnostic = refusal(f"{head} {{ return a + b }}")
    assert diagnostic.notes[0] == "`N` and `M` are independent dims"
    (help,) = diagnostic.helps
    clause = help.split("`")[1]
    assert clause == "where N == M"
    assert errors(f"{head} {clause} {{ return a + b }}") == ()


def test_no_transpose_is_offered_that_would_not_check() -> None:
    diagnostic = refusal("fn f(x: float16[N, D], w: float16[E, F]) -> float16[N, F] { return x @ w }")
    assert not any(".T" in text for text in diagnostic.helps)


# --- run time

UNKNOWN = [
    ("a: float32[?, 4], b: float32[3, 4]", "a + b", "float32[3, 4]", (3, 4), (3, 4), (1, 4), (3, 4)),
    ("a: float32[N, 4], b: float32[?]", "a * b", "float32[N, 4]", (3, 4), (4,), (3, 4), (1,)),
    ("a: float32[?, 4], b: float32[?, 4]", "a + b", "float32[?, 4]", (2, 4), (2, 4), (2, 4), (3, 4)),
    ("a: float32[N, ?], b: float32[4, M]", "a @ b", "float32[N, M]", (2, 4), (4, 3), (2, 5), (4, 3)),
    (
        "a: float32[?, N, D], b: float32[5, D, M]",
        "a @ b",
        "float32[5, N, M]",
        (5, 2, 4),
        (5, 4, 3),
        (1, 2, 4),
        (5, 4, 3),
    ),
]


@pytest.mark.parametrize(("parameters", "source", "result", "a", "b", "c", "d"), UNKNOWN, ids=[u[0] for u in UNKNOWN])
def test_an_unknown_dim_is_checked_when_it_runs(
    parameters: str, source: str, result: str, a: Shape, b: Shape, c: Shape, d: Shape
) -> None:
    """`?` broadcasts against nothing but a literal 1: the check asks for equality, and names the operands."""
    module = compiled(f"fn f({parameters}) -> {result} {{ return {source} }}")
    assert module.f(mx.zeros(a), mx.zeros(b)).ndim == result.count(",") + 1
    with pytest.raises(BoundaryError, match=r"needs equal .* in `a`, .* in `b`") as caught:
        module.f(mx.zeros(c), mx.zeros(d))
    assert caught.value.code == "TL5001"


def test_an_unknown_dim_broadcasts_against_a_literal_one() -> None:
    module = compiled("fn f(a: float32[?, 4], b: float32[1, 4]) -> float32[?, 4] { return a + b }")
    assert module.f(mx.zeros((3, 4)), mx.zeros((1, 4))).shape == (3, 4)


# --- element types

ELEMENTS = [
    ("a: int32[2], b: int32[2]", "a / b", "TL2012"),
    ("a: bool[2], b: bool[2]", "a / b", "TL2012"),
    ("a: bool[2], b: bool[2]", "a - b", "TL2003"),
    ("a: bool[2], b: bool[2]", "a % b", "TL2003"),
    ("a: bool[2], b: bool[2]", "a ** b", "TL2003"),
    ("a: bool[2], b: bool[2]", "neg(a)", "TL2003"),
    ("a: bool[2], b: bool[2]", "clip(a, b, b)", "TL2003"),
    ("a: float16[2], b: float16[2]", "a & b", "TL2003"),
    ("a: float16[2], b: float16[2]", "~a", "TL2003"),
    ("a: float16[2], b: float16[2]", "floor_div(a, b)", "TL2003"),
    ("a: int32[2], b: int32[2]", "a @ b", "TL2003"),
    ("a: float16[2], b: float16[2]", "a @ 2", "TL2003"),
    ("a: float16[2], b: float32[2]", "a + b", "TL2002"),
    ("a: float16[2], b: int32[2]", "where(a < a, b, a)", "TL2002"),
    ("a: float16[2], b: float16[2]", "minimum(1.0, 2.0)", "TL2001"),
    ("a: float16[2], b: float16[2]", "clip(1.0, a, b)", "TL2001"),
]


@pytest.mark.parametrize(("parameters", "source", "code"), ELEMENTS, ids=[e[0] + e[1] for e in ELEMENTS])
def test_element_types_that_an_op_lacks_are_refused(parameters: str, source: str, code: str) -> None:
    assert refusal(f"fn f({parameters}) -> float16[2] {{ return {source} }}").code == code


@pytest.mark.parametrize("source", ["a - a", "a / a", "-a", "a & a", "~a", "sum(a)", "mean(a)", "a @ a", "pow(a, a)"])
def test_a_parameter_that_may_be_any_element_type_is_no_number(source: str) -> None:
    diagnostic = refusal(f"fn f<T: any>(a: T[2]) -> T[2] {{ return {source} }}")
    assert diagnostic.code in ("TL2003", "TL2012")
