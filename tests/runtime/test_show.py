"""Printing: the contract's forms, element types that are carried more precisely, and shortening."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NoReturn

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorlogic.runtime.formats import PackedLayout
from tensorlogic.runtime.packed import Packed, dense
from tensorlogic.runtime.show import Form, print_values, show, show_tensor


@dataclass(frozen=True)
class Linear:
    weight: mx.array
    bias: mx.array | None


@dataclass(frozen=True)
class Net:
    layers: tuple[Linear, ...]
    name: str


def some_function() -> NoReturn:
    raise AssertionError("printing a function does not call it")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (3, "3"),
        (-(2**40), "-1099511627776"),
        (1.0, "1.0"),
        (0.1, "0.1"),
        (1e-5, "1e-05"),
        (1e20, "1e+20"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (math.nan, "nan"),
        (True, "true"),
        (False, "false"),
        (None, "none"),
        ("plain\ntext", "plain\ntext"),
        ([4, 2], "[4, 2]"),
        ([], "[]"),
        ((1, 2), "(1, 2)"),
        ((1,), "(1)"),
        ([True, None, 1.5], "[true, none, 1.5]"),
        (["a", ("b", [])], '["a", ("b", [])]'),
        (['"\\\n\t\x00é', "\u200b"], '["\\"\\\\\\n\\t\\u{0}é", "\\u{200B}"]'),
        (some_function, "<fn some_function>"),
    ],
)
def test_host_values(value: object, text: str) -> None:
    assert show(value) == text


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (mx.array([[2.21, 2.82], [4.91, 6.418]], mx.float16), "[[2.21, 2.82], [4.91, 6.418]]"),
        (mx.array([0.1, 6.4, 3e38], mx.bfloat16), "[0.1, 6.4, 3e+38]"),
        (mx.array([0.1, 1 / 3], mx.float32), "[0.1, 0.33333334]"),
        (mx.array(0.0, mx.float16), "0.0"),
        (mx.array(7), "7"),
        (mx.array(True), "true"),
        (mx.array([True, False]), "[true, false]"),
        (mx.array([[1, -2]]), "[[1, -2]]"),
        (mx.array([2**32 - 1], mx.uint32), "[4294967295]"),
        (mx.array([math.inf, -math.inf, math.nan, -0.0], mx.float16), "[inf, -inf, nan, -0.0]"),
        (mx.array([1e-5, 65504.0, 1e-7], mx.float16), "[1e-05, 65500.0, 1e-07]"),
        (mx.zeros([0]), "[]"),
        (mx.zeros([3, 0, 2]), "[]"),
        (mx.zeros([2, 1, 1]), "[[[0.0]], [[0.0]]]"),
    ],
)
def test_tensors(array: mx.array, text: str) -> None:
    assert show(array) == text
    assert show_tensor(array) == text


def test_a_carried_tensor_is_rounded_to_its_element_type() -> None:
    carried = mx.array([6.418, 1 / 3, 70000.0, 1e-9])
    assert show_tensor(carried, "float16") == "[6.418, 0.3333, inf, 0.0]"
    assert show_tensor(carried, "bfloat16") == "[6.4, 0.334, 70000.0, 1e-09]"
    assert show_tensor(carried, "float32") == "[6.418, 0.33333334, 70000.0, 1e-09]"


def test_the_float_type_of_a_form_leaves_ints_and_bools_alone() -> None:
    assert show((mx.array([1]), mx.array([True]), mx.array([1 / 3])), "float16") == "([1], [true], [0.3333])"


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        ((4, 2), [None], "[4, 2]"),
        ((1, (2, 3)), (None, [None]), "(1, [2, 3])"),
        (((1, 2), (3, 4)), [(None, None)], "[(1, 2), (3, 4)]"),
        ((), [None], "[]"),
    ],
)
def test_a_form_says_what_a_python_tuple_is(value: object, form: Form, text: str) -> None:
    assert show(value, form) == text


def test_structs() -> None:
    layer = Linear(weight=mx.array([[1 / 3]]), bias=None)
    assert show(layer) == "Linear(weight: [[0.33333334]], bias: none)"
    assert show(layer, "float16") == "Linear(weight: [[0.3333]], bias: none)"
    form: Form = {"layers": [{"weight": "float16"}]}
    assert show(Net((layer,), "a"), form) == 'Net(layers: [Linear(weight: [[0.3333]], bias: none)], name: "a")'


def test_packed_weights_print_expanded() -> None:
    weight, scales, biases = mx.quantize(mx.arange(64).reshape([2, 32]).astype(mx.float32), group_size=32, bits=8)
    packed = Packed(weight, scales, biases, layout=PackedLayout(8, 32), shape=(2, 32), dtype=mx.float16)
    text = show(packed)
    assert text == show(dense(packed)) == show([packed])[1:-1]
    assert text.startswith("[[0.0, ")
    assert text.endswith(", 63.0]]")


def test_a_thousand_elements_print_in_full_and_one_more_is_shortened() -> None:
    assert show(mx.arange(1000)) == f"[{', '.join(str(i) for i in range(1000))}]"
    assert show(mx.arange(1001)) == "[0, 1, 2, ..., 998, 999, 1000]"


@given(shape=st.lists(st.integers(1, 20), min_size=1, max_size=4))
def test_shortening_is_numpys(shape: list[int]) -> None:
    values = np.arange(math.prod(shape), dtype=np.int32).reshape(shape)
    with np.printoptions(threshold=1000, edgeitems=3, linewidth=10**9, formatter={"int": str}):
        expected = " ".join(str(values).split()).replace("] [", "], [").replace("] ...", "], ...")
    spaced = expected.replace("... [", "..., [")
    assert show(mx.array(values)).replace(", ", " ") == spaced.replace(", ", " ")


def test_only_what_is_shown_is_copied() -> None:
    """A tensor of 40 GB prints, since only its edges are evaluated."""
    huge = mx.broadcast_to(mx.array(1.5), (100_000, 100_000))
    row = "[1.5, 1.5, 1.5, ..., 1.5, 1.5, 1.5]"
    assert show(huge) == f"[{row}, {row}, {row}, ..., {row}, {row}, {row}]"


def test_print_values(capsys: pytest.CaptureFixture[str]) -> None:
    print_values("Output shape:", [4, 2], mx.array([1.0]))
    print_values()
    print_values("a", 1, end="")
    assert capsys.readouterr().out == "Output shape: [4, 2] [1.0]\n\na 1"
