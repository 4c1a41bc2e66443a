"""Sizes that no tensor can have: refused while compiling whatever the op, where the program says them itself."""

from __future__ import annotations

import pytest

from tests.ops.harness import errors, refusal

MOST = 2**31 - 1

SIZES = [
    ("zeros([3000000000])", "a size of `zeros` is 3000000000"),
    ("ones([2, 3000000000])", "a size of `ones` is 3000000000"),
    ("full([0, 3000000000], 1)", "a size of `full` is 3000000000"),
    ("eye(3000000000)", "a size of `eye` is 3000000000"),
    ("linspace(0.0, 1.0, 3000000000)", "a size of `linspace` is 3000000000"),
    ("random_normal([3000000000], 1)", "a size of `random_normal` is 3000000000"),
    ("broadcast_to(x, [3000000000, 3])", "a size of `broadcast_to` is 3000000000"),
    ("repeat(x, 1000000000, 0)", "a size of the result of `repeat` is 3000000000"),
    ("tile(x, [3000000000])", "a size of `tile` is 3000000000"),
    ("tile(x, [1000000000])", "a size of the result of `tile` is 3000000000"),
    ("pad(x, [(0, 3000000000)])", "a size of `pad` is 3000000000"),
    ("pad(x, [(2000000000, 2000000000)])", "a size of the result of `pad` is 4000000003"),
    ("concat([zeros([2000000000]), zeros([2000000000])])", "a size of the result of `concat` is 4000000000"),
    ("reshape(zeros([2000000000, 2]), [4000000000])", "a size of `reshape` is 4000000000"),
    ("reshape(zeros([2000000000, 2]), [-1])", "a size of the result of `reshape` is 4000000000"),
    ('rearrange(zeros([2000000000, 2]), "a b -> (a b)")', "a size of the result of `rearrange` is 4000000000"),
    ("zeros([2000000000, 0]) @ zeros([0, 2]) + zeros([3000000000, 2])", "a size of `zeros` is 3000000000"),
]


@pytest.mark.parametrize(("source", "message"), SIZES, ids=[s[0] for s in SIZES])
def test_a_size_that_mlx_cannot_count_is_refused(source: str, message: str) -> None:
    diagnostic = refusal(f"let x = ones([3])\nlet y = {source}")
    assert (diagnostic.code, diagnostic.message) == ("TL3018", f"{message}: the largest that a dim may have is {MOST}")


NUMBERS = [
    ("repeat(x, 3000000000, 0)", "`n` of `repeat`"),
    ("conv1d(ones([1, 7, 4]), ones([2, 4, 3]), stride: 3000000000)", "`stride` of `conv1d`"),
    ("max_pool2d(ones([1, 4, 4, 1]), 3000000000)", "`kernel` of `max_pool2d`"),
    ("max_pool2d(ones([1, 4, 4, 1]), (2, 3000000000))", "a number in `kernel` of `max_pool2d`"),
    ("var(x, ddof: 3000000000)", "`ddof` of `var`"),
]


@pytest.mark.parametrize(("source", "what"), NUMBERS, ids=[n[0] for n in NUMBERS])
def test_so_is_another_number_that_mlx_does_not_take(source: str, what: str) -> None:
    diagnostic = refusal(f"let x = ones([3])\nlet y = {source}")
    assert (diagnostic.code, diagnostic.message) == ("TL3018", f"{what} is 3000000000: it must be at most {MOST}")


def test_the_correction_of_a_variance_is_not_negative() -> None:
    diagnostic = refusal("print(var(ones([3]), ddof: -1))")
    assert (diagnostic.code, diagnostic.message) == ("TL3018", "`ddof` of `var` is -1: it must be at least 0")


def test_so_is_one_that_is_too_large_for_every_dim() -> None:
    diagnostic = refusal("fn f(x: float16[N]) -> float16[?] { return concat([x, zeros([2147483647])]) }")
    assert diagnostic.message == (
        f"a size of the result of `concat` is N + {MOST}: the largest that a dim may have is {MOST}"
    )
    assert errors("fn f(x: float16[N]) -> float16[?] { return concat([x, zeros([2147483646])]) }") == ()


def test_the_largest_size_is_accepted() -> None:
    assert errors(f"fn f() -> float16[{MOST}] {{ return zeros([{MOST}]) }}") == ()
