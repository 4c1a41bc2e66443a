"""What an entry takes from Python, what it gives back, and how it says no: which argument, which dim, bound by whom."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import pytest

import tensorlogic
from tensorlogic.runtime.errors import BoundaryError

PROGRAM = """
struct Linear[I, O] { weight: float16[O, I]; bias: float16[O]? }
struct Gain<T: float>[D] { g: T[D] }
struct Stack[D] { layers: [Linear[D, D]]; scale: float }
fn apply(l: Linear[I, O], x: float16[...B, I]) -> float16[...B, O] {
    let y = x @ l.weight.T
    if l.bias != none { return y + l.bias }
    return y
}
fn run(s: Stack[D], x: float16[D]) -> float16[D] {
    let y = x
    for l in s.layers { y = apply(l, y) * s.scale }
    return y
}
fn make(n: int) -> Linear[n, n] where n >= 1 { return Linear(weight: eye(n), bias: none) }
fn heads(x: float16[N, H*K], H: int, scale: float = 1.0) -> float16[N, H, K] { return x.reshape([N, H, K]) * scale }
fn pool(x: float16[N, L]) -> float16[N, L/2] where L % 2 == 0 { return x[:, ::2] }
fn window(x: float16[N], k: int) -> float16[k] where 1 <= k and k <= N { return x[:k] }
fn gain<T: float>(g: Gain<T>[D], x: T[N, D]) -> T[N, D] { return x * g.g }
fn same<T: any>(x: T[N]) -> T[N] { return x }
fn total(xs: [float16[N]], weights: [float]) -> float16[N] {
    let y = zeros([N])
    for (i, x) in enumerate(xs) { y = y + x * weights[i] }
    return y
}
fn maybe(x: float16[N], y: float16[N]?) -> float16[N] { if y == none { return x }; return x + y }
fn host(n: int, f: float, s: string, flag: bool) -> (int, float, string, bool) { return (n, f, s, flag) }
fn chosen(i: int32[N], mask: bool[N], n: int) -> int32[N] { return where(mask, i + n, 0) }
fn two(p: (float16[N], int), x: float16[N]) -> (float16[N], [int], float16[N]?) {
    let (a, n) = p
    return (a + x, [n, N], none)
}
fn single(x: float32[N]) -> float32[N] { return x * 2 }
fn brain(x: bfloat16[N]) -> bfloat16[N] { return x * 2 }
fn meet(x: float16[?S], y: float16[S]) -> float16[S] { return x + y }
fn scalar(x: float16[]) -> float16[] { return x * 2 }
fn packs(x: float16[...B, D], y: float16[...B, E]) -> float16[...B] { return sum(x, axis: -1) + sum(y, axis: -1) }
"""


@pytest.fixture(scope="module")
def module() -> Any:
    return tensorlogic.compile(PROGRAM, "m")


def half(*shape: int) -> mx.array:
    return mx.ones(shape, mx.float16)


class Tensor:
    """What a PyTorch tensor is, as far as entries ask: `detach`, `cpu`, `float`, `numpy` and a `dtype` of its own."""

    def __init__(self, values: Any, dtype: str) -> None:
        self.values, self.dtype, self.detached = np.asarray(values), dtype, False

    def detach(self) -> Tensor:
        self.detached = True
        return self

    def cpu(self) -> Tensor:
        return self

    def float(self) -> Tensor:
        self.values = self.values.astype(np.float32)
        return self

    def numpy(self) -> Any:
        assert self.detached, "a tensor that requires a gradient gives no NumPy array"
        return self.values


class Exchanged:
    """What exchanges its memory by DLPack and has nothing else."""

    def __init__(self, values: Any) -> None:
        self.values = values

    def __dlpack__(self, **options: Any) -> Any:
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.values.__dlpack_device__()


def refusal(call: Any, *arguments: Any, **named: Any) -> str:
    with pytest.raises(BoundaryError) as raised:
        call(*arguments, **named)
    assert raised.value.where.startswith("m.tl:")
    return f"{raised.value.code} {raised.value.message}"


# --- what is taken


ONES = [[1.0, 1.0], [1.0, 1.0]]


@pytest.mark.parametrize(
    "value",
    [
        half(2, 2),
        np.ones((2, 2), np.float16),
        np.ones((2, 2), np.float32),
        np.ones((2, 2), np.float64),
        np.ones((2, 2), ">f4"),
        np.ones((2, 2), np.int64),
        np.ones((2, 4), np.float32)[:, ::2],
        np.ones((2, 2), np.float32).T,
        np.ones((2, 2), np.float32)[::-1, ::-1],
        Tensor(np.ones((2, 2), np.float32), "torch.float32"),
        Tensor(np.ones((2, 2), np.float32), "torch.bfloat16"),
        Exchanged(np.ones((2, 2), np.float32)),
        ONES,
        ((1, 1), (1, 1)),
        [np.ones(2), [1, 1.0]],
        [[np.float32(1), np.int64(1)], [1.0, 1.0]],
    ],
    ids=lambda value: type(value).__name__,
)
def test_tensors_come_from_everywhere(module: Any, value: Any) -> None:
    result = module.pool(value)
    assert result.dtype == mx.float16
    assert result.tolist() == [[1.0], [1.0]]


def test_float64_is_rounded_once() -> None:
    # 2049 lies half way between two float16 numbers; a bit more than it does not, unless float32 forgets that bit.
    module = tensorlogic.compile("fn f(x: float16[N]) -> float16[N] { return x }", "m")
    assert module.f(np.array([2049.0 + 1e-9])).tolist() == [2050.0]


def test_scalars_and_empty_arrays(module: Any) -> None:
    assert module.scalar(1.5).item() == 3.0
    assert module.scalar(np.float32(1.5)).item() == 3.0
    assert module.scalar(mx.array(1.5, mx.float16)).item() == 3.0
    assert module.meet(half(0), []).shape == (0,)


def test_host_values(module: Any) -> None:
    assert module.host(3, 2, "s", True) == (3, 2.0, "s", True)
    assert module.host(np.int64(3), np.float32(2), "s", False) == (3, 2.0, "s", False)
    assert isinstance(module.host(3, 2, "s", True)[1], float)


def test_host_values_of_other_libraries(module: Any) -> None:
    given = module.host(np.int64(3), np.float32(0.5), np.str_("s"), np.True_)
    assert given == (3, 0.5, "s", True)
    assert [type(value) for value in given[:2]] == [int, float]
    assert module.host(np.array(3), np.array(0.5), "s", np.array(True)) == given


def test_scalars_that_say_that_they_are_none(module: Any) -> None:
    class Several:
        __module__ = "elsewhere.numbers"

        def __index__(self) -> int:
            raise ValueError("several values")

        def __float__(self) -> float:
            raise ValueError("several values")

    assert refusal(module.host, Several(), 1.0, "", True) == "TL5002 `n` is elsewhere's Several, not an int"
    assert refusal(module.host, 1, Several(), "", True) == "TL5002 `f` is elsewhere's Several, not a float"
    assert refusal(module.host, 1, 1.0, "", mx.array(True)) == "TL5002 `flag` is an MLX array, not a bool"


def test_reversed_arrays_keep_their_order(module: Any) -> None:
    assert module.single(np.arange(3.0)[::-1]).tolist() == [4.0, 2.0, 0.0]


def test_a_struct_of_another_module_is_told_apart(module: Any) -> None:
    other = tensorlogic.compile(PROGRAM, "other")
    layer = other.Linear(weight=half(3, 2))
    assert refusal(module.apply, layer, half(2)) == "TL5002 `l` is a Linear of `other`, not a Linear of `m`"


def test_integers_and_masks(module: Any) -> None:
    expected = [6, 0]
    assert module.chosen(mx.array([1, 2]), mx.array([True, False]), 5).tolist() == expected
    assert module.chosen([1, 2], [True, False], 5).tolist() == expected
    assert module.chosen(np.array([1, 2]), np.array([True, False]), 5).dtype == mx.int32


def test_defaults_and_names(module: Any) -> None:
    assert module.heads(half(1, 4), H=2).tolist() == [[[1.0, 1.0], [1.0, 1.0]]]
    assert module.heads(half(1, 2), 1, 2.0).tolist() == [[[2.0, 2.0]]]


def test_optionals_lists_and_tuples(module: Any) -> None:
    assert module.maybe(half(2), None).tolist() == [1.0, 1.0]
    assert module.maybe(half(2), [1, 2]).tolist() == [2.0, 3.0]
    assert module.total([half(2), [1, 2]], (1.0, 10)).tolist() == [11.0, 21.0]
    added, sizes, nothing = module.two((half(2), 7), half(2))
    assert (added.tolist(), added.dtype, sizes, nothing) == ([2.0, 2.0], mx.float16, (7, 2), None)


def test_structs(module: Any) -> None:
    layer = module.Linear(weight=[[1, 2], [3, 4], [5, 6]], bias=np.ones(3))
    assert (layer.I, layer.O) == (2, 3)
    assert module.apply(layer, half(2)).tolist() == [4.0, 8.0, 12.0]
    assert module.apply(layer, half(4, 1, 2)).shape == (4, 1, 3)
    square = module.Linear(weight=half(2, 2))
    stack = module.Stack(layers=[square, square], scale=0.5)
    assert module.run(stack, half(2)).tolist() == [1.0, 1.0]
    with pytest.raises(AttributeError):
        layer.weight = None


def test_structs_come_back(module: Any) -> None:
    made = module.make(3)
    assert isinstance(made, module.Linear)
    assert (made.I, made.O, made.bias) == (3, 3, None)
    assert module.apply(made, half(3)).tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16, mx.float32])
def test_a_type_parameter_is_the_argument_s(module: Any, dtype: mx.Dtype) -> None:
    gain = module.Gain(g=mx.full((2,), 2, dtype))
    result = module.gain(gain, mx.ones((1, 2), dtype))
    assert (result.dtype, result.tolist()) == (dtype, [[2.0, 2.0]])
    assert module.same(mx.ones((2,), dtype)).dtype == dtype


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (np.ones(2, np.float32), mx.float32),
        (np.ones(2, np.float16), mx.float16),
        (np.ones(2), mx.float16),
        ([1.0, 2.0], mx.float16),
        (np.ones(2, np.int32), mx.int32),
        (np.ones(2, np.int64), mx.int32),
        (np.ones(2, np.bool_), mx.bool_),
        (Tensor(np.ones(2, np.float32), "torch.bfloat16"), mx.bfloat16),
        (mx.array([1, 2], mx.uint32), mx.uint32),
    ],
)
def test_a_type_parameter_of_what_is_no_mlx_array(module: Any, value: Any, dtype: mx.Dtype) -> None:
    assert module.same(value).dtype == dtype


def test_results_have_the_declared_type_whatever_carries_them(module: Any) -> None:
    assert module.single(np.ones(2)).dtype == mx.float32
    assert module.brain([1.0]).dtype == mx.bfloat16
    assert module.pool(half(2, 2)).dtype == mx.float16


# --- what is refused


@pytest.mark.parametrize(
    ("entry", "arguments", "message"),
    [
        ("heads", (half(6), 3), "TL5001 `x` is float16[6], not float16[N, H*K]: it has 1 dim"),
        ("apply", ("LAYER", half(3)), "TL5001 dim -1 of `x` is 3, not `I` = 2 (`I` by `I` of `l`)"),
        ("heads", (half(2, 6), 4), "TL5001 dim 1 of `x` is H*K: 6 is not divisible by 4"),
        ("heads", (half(2, 6), 0), "TL5001 `H` is 0: a dimension variable is at least 1"),
        ("heads", (half(0, 6), 3), "TL5001 `N` is 0 by dim 0 of `x`: a dimension variable is at least 1"),
        ("heads", (half(2, 0), 1), "TL5001 `K` is 0 by dim 1 of `x`: a dimension variable is at least 1"),
        ("maybe", (half(2), half(3)), "TL5001 dim 0 of `y` is 3, not `N` = 2 (`N` by dim 0 of `x`)"),
        ("meet", (half(2), half(3)), "TL5001 dim 0 of `y` is 3, not `S` = 2 (`S` by dim 0 of `x`)"),
        ("total", ((half(2), half(3)), [1, 2]), "TL5001 dim 0 of `xs[i]` is 3, not `N` = 2 (`N` by dim 0 of `xs[0]`)"),
        ("total", ([], []), "TL5003 `xs[0]`: there is no item 0, the list has 0 items"),
        ("two", ((half(2), 5), half(3)), "TL5001 dim 0 of `p[0]` is 2, not `N` = 3 (`N` by dim 0 of `x`)"),
        ("pool", (half(2, 3),), "TL5006 `pool` demands `L % 2 == 0`: `L` is 3 by dim 1 of `x`"),
        ("heads", (mx.ones((2, 6)), 3), "TL5002 `x` is float32[2, 6], not float16[N, H*K]"),
        ("heads", (None, 3), "TL5002 `x` is a Python NoneType, not float16[N, H*K]"),
        ("heads", ("x", 3), "TL5002 `x` is a Python str, not float16[N, H*K]"),
        ("heads", ({1: 2}, 3), "TL5002 `x` is a Python dict, not float16[N, H*K]"),
        ("heads", (object(), 3), "TL5002 `x` is a Python object, not float16[N, H*K]"),
        ("heads", (range(3), 3), "TL5002 `x` is a Python range, not float16[N, H*K]"),
        ("heads", ([[1], [1, 2]], 1), "TL5002 `x` cannot be made float16[N, H*K]: its rows have different lengths"),
        ("heads", ([[1, None]], 1), "TL5002 `x` cannot be made float16[N, H*K]: a Python NoneType in it is no number"),
        ("heads", (np.ones((1, 2), np.complex128), 1), "TL5002 `x` holds complex128, not float16[N, H*K]"),
        ("heads", (np.ones((1, 2), np.complex64), 1), "TL5002 `x` holds complex64, not float16[N, H*K]"),
        ("heads", (np.ones((1, 2), "M8[s]"), 1), "TL5002 `x` cannot be made float16[N, H*K]: MLX has no elements like"),
        ("heads", (np.array([[True]]), 1), "TL5002 `x` holds bool, not float16[N, H*K]"),
        ("heads", (half(2, 6), 3.0), "TL5002 `H` is a Python float, not an int"),
        ("heads", (half(2, 6), True), "TL5002 `H` is a Python bool, not an int"),
        ("heads", (half(2, 6), 3, "1"), "TL5002 `scale` is a Python str, not a float"),
        ("host", (1, None, "s", True), "TL5002 `f` is a Python NoneType, not a float"),
        ("host", (1, 1.0, 5, True), "TL5002 `s` is a Python int, not a string"),
        ("host", (1, 1.0, "s", 1), "TL5002 `flag` is a Python int, not a bool"),
        ("heads", (half(2, 6), np.array([3])), "TL5002 `H` is numpy's ndarray, not an int"),
        ("heads", (half(2, 6), np.array(3.0)), "TL5002 `H` is numpy's ndarray, not an int"),
        ("heads", (half(2, 6), np.True_), "TL5002 `H` is numpy's bool, not an int"),
        ("heads", (half(2, 6), 3, np.array([3.0])), "TL5002 `scale` is numpy's ndarray, not a float"),
        ("heads", (half(2, 6), 3, np.True_), "TL5002 `scale` is numpy's bool, not a float"),
        ("host", (1, 1.0, "s", np.array([True])), "TL5002 `flag` is numpy's ndarray, not a bool"),
        ("chosen", ([1.5], [True], 1), "TL5002 `i` holds floats, not int32[N]"),
        ("chosen", (np.array([1.5]), [True], 1), "TL5002 `i` holds float64, not int32[N]"),
        ("chosen", ([True], [True], 1), "TL5002 `i` holds bools, not int32[N]"),
        ("chosen", ([1], [1], 1), "TL5002 `mask` holds ints, not bool[N]"),
        ("chosen", (mx.array([1], mx.int64), [True], 1), "TL5002 `i` is int64[1], not int32[N]"),
        ("chosen", ([2**40], [True], 1), "TL5004 `i` holds integers that do not fit int32"),
        ("chosen", ([10**30], [True], 1), "TL5004 `i` holds integers that do not fit int32"),
        ("chosen", (np.array([2**64 - 1], np.uint64), [True], 1), "TL5004 `i` holds integers that do not fit int32"),
        ("total", (half(2, 2), [1, 2]), "TL5002 `xs` is an MLX array, not a list"),
        ("total", ([half(2)], ["a"]), "TL5002 `weights[i]` is a Python str, not a float"),
        ("total", ([half(2), None], [1.0]), "TL5002 `xs[i]` is a Python NoneType, not float16[N]"),
        ("two", (3, half(2)), "TL5002 `p` is a Python int, not a tuple of 2 items"),
        ("two", ((half(2),), half(2)), "TL5002 `p` is a tuple of 1 items, not of 2"),
        ("two", ((half(2), 5.5), half(2)), "TL5002 `p[1]` is a Python float, not an int"),
        ("maybe", (None, None), "TL5002 `x` is a Python NoneType, not float16[N]"),
        ("apply", ({}, half(2)), "TL5002 `l` is a dict, not a Linear"),
        ("brain", (half(1),), "TL5002 `x` is float16[1], not bfloat16[N]"),
        ("same", (mx.array([1], mx.int64),), "TL5002 `x` is int64, not a tensor of the language"),
        ("scalar", ([1.0],), "TL5001 `x` is float16[1], not float16[]: it has 1 dim"),
    ],
)
def test_refused(module: Any, entry: str, arguments: tuple[Any, ...], message: str) -> None:
    layer = module.Linear(weight=half(3, 2))
    given = [layer if isinstance(a, str) and a == "LAYER" else a for a in arguments]
    assert refusal(getattr(module, entry), *given).startswith(message)


@pytest.mark.parametrize(
    ("entry", "value", "count"),
    [
        ("scalar", 1e6, "1 value"),
        ("pool", [[1e6, 7e4]], "2 values"),
        ("pool", np.full((1, 2), 65520.0), "2 values"),
        ("pool", np.full((1, 2), 1e300), "2 values"),
        ("pool", [[100_000, 1]], "1 value"),
        ("pool", [[10**400, 10**30]], "2 values"),
        ("single", np.array([1e300, 1.0]), "1 value"),
        ("single", [1e39, 1.0], "1 value"),
        ("single", [[-1e39]], "1 value"),
        ("brain", [3.4e38], "1 value"),
    ],
)
def test_values_that_would_become_infinite(module: Any, entry: str, value: Any, count: str) -> None:
    message = refusal(getattr(module, entry), value)
    assert message.startswith(f"TL5004 {count} of `x` would become inf in ")


def test_infinite_values_and_the_largest_are_taken(module: Any) -> None:
    assert module.pool([[float("inf"), 1.0]]).tolist() == [[float("inf")]]
    assert module.pool(np.array([[65519.0, -np.inf]])).tolist() == [[65504.0]]
    assert np.isnan(module.single(np.array([np.nan])).item())


def test_a_host_float_is_checked_where_it_meets_a_tensor(module: Any) -> None:
    assert refusal(module.heads, half(1, 1), 1, 1e9) == "TL5004 `scale` = 1000000000.0 would become inf in float16"


def test_structs_are_checked_when_they_are_made(module: Any) -> None:
    assert refusal(module.Linear, weight=half(3, 2), bias=half(2)) == (
        "TL5001 dim 0 of `bias` is 2, not `O` = 3 (`O` by dim 0 of `weight`)"
    )
    assert refusal(module.Linear, weight=half(3)).startswith("TL5001 `Linear.weight` is float16[3], not float16[O, I]")
    assert refusal(module.Linear, weight=None).startswith("TL5002 `Linear.weight` is a Python NoneType")
    square, wide = module.Linear(weight=half(2, 2)), module.Linear(weight=half(3, 3))
    assert refusal(module.Stack, layers=[square, wide], scale=1.0).startswith("TL5001 `I` of `layers[i]` is 3, not `D`")
    assert refusal(module.Stack, layers=[], scale=1.0).startswith("TL5003 `layers[0]`: there is no item 0")
    with pytest.raises(TypeError, match="weight"):
        module.Linear()


def test_a_where_between_sizes(module: Any) -> None:
    assert module.window(half(3), 3).shape == (3,)
    assert refusal(module.window, half(3), 4) == (
        "TL5006 `window` demands `k <= N`: `k` is 4, `N` is 3 by dim 0 of `x`"
    )
    assert refusal(module.window, half(3), 0) == "TL5001 `k` is 0: a dimension variable is at least 1"


def test_packs_are_compared(module: Any) -> None:
    assert module.packs(half(3, 2), half(3, 5)).tolist() == [7.0, 7.0, 7.0]
    assert refusal(module.packs, half(3, 2), half(4, 5)).startswith("TL5001")
    assert refusal(module.packs, half(3, 2), half(5)).startswith("TL5001")
