"""Values that come by several ways: what a constant and a value of its type make."""

from __future__ import annotations

import pytest

import tensorlogic


def codes(body: str) -> list[str]:
    text = f"fn f(x: float16[N], a: float, n: int, c: bool) -> float16[N] {{\n{body}\n}}"
    return [d.code for d in tensorlogic.check(text)]


@pytest.mark.parametrize(
    "body",
    [
        "let b = if c { a } else { 2.0 }\nreturn x * b",
        "let b = if c { 1.0 } else { 2.0 }\nreturn x * b",
        "let b = 1.0\nif c { b = a }\nreturn x * b",
        "let b = if c { n } else { 2 }\nreturn x * float(b)",
    ],
)
def test_one_type(body: str) -> None:
    assert codes(body) == []


@pytest.mark.parametrize(
    "body", ["let b = if c { a } else { 2 }\nreturn x * b", "let b = if c { n } else { 2.0 }\nreturn x"]
)
def test_ints_and_floats_are_two(body: str) -> None:
    assert codes(body) == ["TL2017"]
