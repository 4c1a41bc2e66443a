"""Powers of integers: their exponents are not negative."""

from __future__ import annotations

import mlx.core as mx
import pytest

from tensorlogic.runtime.errors import BoundaryError
from tests.ops.harness import compiled, errors, refusal

POWERS = ["x ** {}", "pow(x, {})"]


@pytest.mark.parametrize("source", POWERS)
def test_a_negative_exponent_of_integers_is_refused(source: str) -> None:
    diagnostic = refusal(f"fn f(x: int32[N]) -> int32[N] {{ return {source.format(-1)} }}")
    assert diagnostic.code == "TL2008"
    assert diagnostic.message == "the exponent of a tensor of int32 is -1: it must be at least 0"
    assert diagnostic.helps == ("`x.to(float32)` has powers of every kind",)
    offered = source.replace("x", "x.to(float32)", 1).format(-1) if source.startswith("x") else "pow(x.to(float32), -1)"
    assert errors(f"fn f(x: int32[N]) -> float32[N] {{ return {offered} }}") == ()


@pytest.mark.parametrize("source", POWERS)
def test_an_unknown_one_is_refused_when_it_runs(source: str) -> None:
    module = compiled(f"fn f(x: int32[N], k: int) -> int32[N] {{ return {source.format('k')} }}")
    x = mx.array([1, -1, 3])
    assert module.f(x, 2).tolist() == [1, 1, 9]
    assert module.f(x, 0).tolist() == [1, 1, 1]
    with pytest.raises(BoundaryError, match="the exponent of `x`, of int32, is -1: it must be at least 0") as caught:
        module.f(x, -1)
    assert caught.value.code == "TL5003"


def test_floats_take_every_exponent() -> None:
    module = compiled("fn f(x: float32[N], k: int) -> float32[N] { return x ** k + x ** -1 }")
    assert module.f(mx.array([2.0, 4.0]), -2).tolist() == [0.75, 0.3125]
