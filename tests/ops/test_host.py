"""Functions on host values: what is computed while compiling, IEEE where Python raises, and conversions that fail."""

from __future__ import annotations

import json
import math

import mlx.core as mx
import pytest

from tensorlogic.compiler.driver import compile_text
from tensorlogic.runtime.errors import BoundaryError
from tests.ops.harness import compiled, errors, refusal


@pytest.mark.parametrize(
    ("source", "number"),
    [
        ("floor_div(7, 2)", 3),
        ("floor_div(-7, 2)", -4),
        ("floor_div(7, -2)", -4),
        ("min(3, 2)", 2),
        ("max(3, 2) + abs(-4)", 7),
        ("int(floor(2.5)) + int(ceil(2.5)) + int(round(2.5))", 7),
        ("int(sqrt(16.0))", 4),
        ("int(2.9)", 2),
        ("int(pow(2.0, 5.0) + exp(0.0) + log(1.0))", 33),
    ],
)
def test_constants_are_computed_while_compiling(source: str, number: int) -> None:
    """So that a shape may be made of them."""
    assert errors(f"fn f(x: float16[10]) -> float16[{10 + number}] {{ return zeros([10 + {source}]) }}") == ()


@pytest.mark.parametrize(
    ("source", "python"),
    [
        ("1.0 / sqrt(K)", "1.0 / math.sqrt("),
        ("x / 2.0", "x / 2.0"),
        ("x / y", "tl.float_divide(x, y)"),
        ("sqrt(x)", "tl.float_sqrt(x)"),
        ("log(2 * K)", "math.log("),
        ("log(x)", "tl.float_log(x)"),
        ("x % 0.5", "x % 0.5"),
        ("x % y", "tl.float_remainder(x, y)"),
    ],
)
def test_python_computes_where_it_cannot_raise(source: str, python: str) -> None:
    text = f"fn f(t: float16[K], x: float, y: float) -> float {{ return {source} }}"
    assert python in compile_text(text).python


def test_a_divisor_of_floor_div_is_positive() -> None:
    diagnostic = refusal("let x = floor_div(7, 0)")
    assert (diagnostic.code, diagnostic.message) == ("TL2011", "`floor_div` by 0")
    module = compiled("fn f(n: int) -> int { return floor_div(7, n) }")
    assert module.f(2) == 3
    for divisor in (0, -2):
        with pytest.raises(BoundaryError, match="the divisor of `floor_div`"):
            module.f(divisor)


def test_an_exact_quotient_keeps_its_meaning() -> None:
    assert errors("fn f(x: float16[4*N]) -> float16[2*N] { return x[0:floor_div(4*N, 2)] }") == ()


@pytest.mark.parametrize(
    ("signature", "source", "argument", "message"),
    [
        ("x: string", "int(x)", "three", "'three' is no integer"),
        ("x: string", "int(x)", "", "'' is no integer"),
        ("x: string", "int(x)", "1.5", "'1.5' is no integer"),
        ("x: string", "int(float(x))", "one", "'one' is no number"),
        ("x: float", "int(x)", math.inf, "inf is no integer"),
        ("x: float", "int(x)", math.nan, "nan is no integer"),
        ("x: float32[]", "int(x)", mx.array(math.inf), "inf is no integer"),
    ],
)
def test_what_is_no_number_is_told_with_its_place(signature: str, source: str, argument: object, message: str) -> None:
    with pytest.raises(BoundaryError) as caught:
        compiled(f"fn f({signature}) -> int {{\n    return {source}\n}}").f(argument)
    assert (caught.value.code, caught.value.message, caught.value.where) == ("TL5008", message, "case.tl:2")


def test_a_place_with_quotes_is_written_safely() -> None:
    name = 'a"b\\c.tl'
    python = compile_text("fn f(x: string) -> int { return int(x) }", name).python
    assert json.dumps(f"{name}:1") in python
    compile(python, "case.py", "exec")


def test_a_scalar_tensor_comes_to_the_host_in_the_precision_that_is_seen() -> None:
    module = compiled("fn f(x: float16[], y: bool[]) -> (float, int, bool) { return (float(x), int(x), bool(y)) }")
    assert module.f(mx.array(2.5, mx.float16), mx.array(True)) == (2.5, 2, True)
