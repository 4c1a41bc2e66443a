"""What entries and functions written in Python are held to: dims, packs and `where`, inside lists and optionals too."""

from __future__ import annotations

import inspect
import sys
from types import ModuleType
from typing import Any

import mlx.core as mx
import pytest

import tensorlogic
from tensorlogic.runtime.errors import BoundaryError

PROGRAM = """
struct Layer[I, O] { w: float16[O, I] }
struct Heads[D, H, K] { q: float16[H, K, D]; two: float16[2*H]? }
fn optionals(x: float16[...B, 2]?, y: float16[...B, 3]?) -> int { return 1 }
fn lists(xs: [float16[...B, N]], ys: [float16[...B, N]?]) -> int { return N }
fn sure(p: (float16[...B, 2], int), ys: [float16[...B, 2]]) -> int { return 1 }
fn nested(p: (int, [(float16[...B, 1], float16[...C])]), y: float16[...C]?) -> int { return 1 }
fn alone(x: float16[...B, 2]?) -> int { return 1 }
fn items(xs: [float16[N]?], y: float16[N]) -> int { return N }
fn rest(x: float16[N], k: int) -> float16[N-k] where 0 <= k and k < N { return x[k:] }
fn split(x: float16[N, D], h: int) -> float16[h, N, D/h] where D % h == 0 { return zeros([h, N, D/h]) }
fn half(x: float16[N], y: float16[M]) -> float16[M] where N % 2 == 0 and N / 2 == M { return y }
fn quotient(z: float16[M], y: float16[M/K], K: int) -> int where M % K == 0 { return M }
fn apply(l: Layer[I, O], x: float16[I]) -> float16[O] { return l.w @ x }
fn twice(l: Layer[2*I, O]) -> float16[I] { return zeros([I]) }
"""


@pytest.fixture(scope="module")
def module() -> Any:
    return tensorlogic.compile(PROGRAM, "m")


def half(*shape: int) -> mx.array:
    return mx.ones(shape, mx.float16)


def refusal(function: Any, *arguments: Any) -> str:
    with pytest.raises(BoundaryError) as raised:
        function(*arguments)
    return f"{raised.value.code} {raised.value.message}"


def test_a_pack_that_only_optionals_have(module: Any) -> None:
    assert module.optionals(half(4, 2), half(4, 3)) == 1
    assert module.optionals(half(4, 2), None) == 1
    assert module.optionals(None, None) == 1
    said = refusal(module.optionals, half(4, 2), half(5, 3))
    assert said == "TL5001 `...B` of `optionals` is [5] by `y` and [4] by `x`"


def test_a_pack_that_only_lists_have(module: Any) -> None:
    assert module.lists([half(4, 2), half(4, 2)], [None, half(4, 2)]) == 2
    said = refusal(module.lists, [half(4, 2)], [None, half(5, 2)])
    assert said == "TL5001 `...B` of `lists` is [5] by `ys[1]` and [4] by `xs[0]`"
    said = refusal(module.lists, [half(4, 2), half(1, 4, 2)], [])
    assert said == "TL5001 `...B` of `lists` is [1, 4] by `xs[1]` and [4] by `xs[0]`"


def test_a_pack_that_a_tuple_and_a_list_have(module: Any) -> None:
    assert module.sure((half(3, 2), 0), [half(3, 2)]) == 1
    said = refusal(module.sure, (half(3, 2), 0), [half(3, 2), half(4, 2)])
    assert said == "TL5001 `...B` of `sure` is [4] by `ys[i]` and [3] by `p[0]`"


def test_packs_deep_inside(module: Any) -> None:
    assert module.nested((0, [(half(1), half(7)), (half(1), half(7))]), half(7)) == 1
    said = refusal(module.nested, (0, [(half(1), half(7)), (half(2, 1), half(7))]), None)
    assert said == "TL5001 `...B` of `nested` is [2] by `p[1][1][0]` and [] by `p[1][0][0]`"
    said = refusal(module.nested, (0, [(half(1), half(7))]), half(8))
    assert said == "TL5001 `...C` of `nested` is [8] by `y` and [7] by `p[1][0][1]`"


def test_one_optional_is_compared_with_nothing(module: Any) -> None:
    assert module.alone(half(9, 2)) == 1
    assert "same_leading" not in source("fn alone(x: float16[...B, 2]?) -> int { return 1 }")


def test_optional_items_of_a_list(module: Any) -> None:
    assert module.items([None, half(2)], half(2)) == 2
    said = refusal(module.items, [None, half(3)], half(2))
    assert said == "TL5001 dim 0 of `xs[i]` is 3, not `N` = 2 (`N` by dim 0 of `y`)"


def test_a_where_tells_its_numbers(module: Any) -> None:
    said = refusal(module.rest, half(2), 2)
    assert said == "TL5006 `rest` demands `k < N`: `k` is 2, `N` is 2 by dim 0 of `x`"
    assert refusal(module.rest, half(2), -1) == "TL5006 `rest` demands `0 <= k`: `k` is -1"
    said = refusal(module.split, half(2, 8), 3)
    assert said == "TL5006 `split` demands `D % h == 0`: `D` is 8 by dim 1 of `x`, `h` is 3"
    said = refusal(module.half, half(6), half(2))
    assert said == "TL5006 `half` demands `N / 2 == M`: `N` is 6 by dim 0 of `x`, `M` is 2 by dim 0 of `y`"


def test_a_dim_that_is_a_quotient(module: Any) -> None:
    assert module.quotient(half(6), half(3), 2) == 6
    said = refusal(module.quotient, half(6), half(2), 2)
    assert said == "TL5001 dim 0 of `y` is 2, not `M/K` = 3 (`M` by dim 0 of `z`)"
    said = refusal(module.quotient, half(6), half(2), 0)
    assert said == "TL5006 `quotient` demands `M % K == 0`: `M` is 6 by dim 0 of `z`, `K` is 0"


def test_the_dims_of_a_struct_are_checked_where_it_is_made(module: Any) -> None:
    assert "TL5001 `O` is 0 by dim 0 of `w`" in refusal(lambda: module.Layer(w=half(0, 2)))
    entry = source(PROGRAM).partition("\ndef apply(")[2].partition("\n\n\n")[0]
    assert "at least" not in entry
    assert "O = l.O" not in entry
    assert refusal(module.twice, module.Layer(w=half(2, 3))) == "TL5001 `I` of `l` is 2*I: 3 is not divisible by 2"


def test_a_dim_that_is_given_by_name(module: Any) -> None:
    text = "struct Heads[D, H, K] { q: float16[D]; mask: bool[2*H]?; k: float16[K]? }"
    made = tensorlogic.compile(text, "g").Heads
    assert (made(q=half(3), H=2, K=1).D, made(q=half(3), H=2, K=1).H) == (3, 2)
    assert refusal(lambda: made(q=half(3), H=0, K=1)) == "TL5001 `H` is 0: a dimension variable is at least 1"


def source(text: str) -> str:
    from tensorlogic.compiler import driver

    return driver.compile_text(text, options=driver.Options(verify=True)).python


# --- functions written in Python

EXTERNS = """
struct Layer[I, O] { w: float16[O, I] }
extern "helper" fn cut(x: float16[N]) -> float16[N]
extern "helper" fn known(x: float16[N]) -> float16[3]
extern "helper" fn two(x: float16[N]) -> (float16[?S], float16[S], float16[S+1])
extern "helper" fn square(x: float16[N]) -> float16[?S, S]
extern "helper" fn listed(x: float16[N]) -> [float16[N]]
extern "helper" fn perhaps(x: float16[N]) -> float16[N]?
extern "helper" fn packed(x: float16[...B, N]) -> float16[...B]
extern "helper" fn layer(x: float16[N]) -> Layer[N, N]
extern "helper" fn pairs(x: float16[N]) -> (int, [(float16[N], bool)])
extern "helper" fn sized(x: float16[N], k: int) -> float16[N-k]
extern "helper" fn typed<T: float>(x: T[N]) -> T[N]
fn sum_of(x: float16[N]) -> float16[?] {
    let (a, b, c) = two(x)
    return a + b
}
"""


@pytest.fixture
def helper(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The Python module that the program calls; a test gives each function its result."""
    made = ModuleType("helper")
    monkeypatch.setitem(sys.modules, "helper", made)
    return made


@pytest.fixture
def externs(helper: ModuleType) -> Any:
    return tensorlogic.compile(EXTERNS, "m")


@pytest.mark.parametrize(
    ("name", "result", "message"),
    [
        ("cut", half(2), "dim 0 of `cut(...)` is 2, not `N` = 3 (`N` by dim 0 of `x`)"),
        ("known", half(2), "dim 0 of `known(...)` is 2, not 3"),
        (
            "two",
            (half(4), half(2), half(5)),
            "dim 0 of `two(...)[1]` is 2, not `S` = 4 (`S` by dim 0 of `two(...)[0]`)",
        ),
        ("two", (half(4), half(4), half(4)), "dim 0 of `two(...)[2]` is 4, not `S + 1` = 5"),
        ("two", (half(4), half(4)), "`two(...)` is a tuple of 2 items, not of 3"),
        ("square", half(2, 3), "dim 1 of `square(...)` is 3, not `S` = 2 (`S` by dim 0 of `square(...)`)"),
        ("listed", [half(3), half(2)], "dim 0 of `listed(...)[i]` is 2, not `N` = 3 (`N` by dim 0 of `x`)"),
        ("perhaps", half(2), "dim 0 of `perhaps(...)` is 2, not `N` = 3 (`N` by dim 0 of `x`)"),
        ("packed", half(3), "`...B` of `packed` is [3] by `packed(...)` and [] by `x`"),
        ("pairs", (1, [(half(2), True)]), "dim 0 of `pairs(...)[1][i][0]` is 2, not `N` = 3 (`N` by dim 0 of `x`)"),
    ],
)
def test_a_result_that_is_not_as_declared(
    externs: Any, helper: ModuleType, name: str, result: Any, message: str
) -> None:
    setattr(helper, name, lambda x: result)
    assert refusal(getattr(externs, name), half(3)).split(" ", 1)[1].startswith(message)


def test_results_that_are_as_declared(externs: Any, helper: ModuleType) -> None:
    calls: list[int] = []

    def two(x: mx.array) -> tuple[mx.array, mx.array, mx.array]:
        calls.append(1)
        return half(4), half(4), half(5)

    helper.two, helper.listed, helper.perhaps = two, lambda x: [], lambda x: None  # type: ignore[attr-defined]
    assert externs.sum_of(half(3)).tolist() == [2.0] * 4
    assert calls == [1]
    assert externs.listed(half(3)) == ()
    assert externs.perhaps(half(3)) is None
    helper.sized = lambda x, k: x[k:]  # type: ignore[attr-defined]
    assert externs.sized(half(3), 1).shape == (2,)


def test_a_struct_and_an_element_type_as_a_result(externs: Any, helper: ModuleType) -> None:
    helper.layer = lambda x: externs.Layer(w=half(3, 2))  # type: ignore[attr-defined]
    assert refusal(externs.layer, half(3)).startswith("TL5001 `I` of `layer(...)` is 2, not `N` = 3")
    helper.typed = lambda x: x.astype(mx.int32)  # type: ignore[attr-defined]
    assert refusal(externs.typed, mx.ones(3)) == "TL5002 `typed(...)` is int32[3], not T[N]"
    helper.typed = lambda x: x * 2  # type: ignore[attr-defined]
    assert externs.typed(mx.ones(3)).dtype == mx.float32


def test_a_bound_that_every_dim_keeps_is_not_checked_again() -> None:
    text = "fn f(x: float16[N], k: int) -> float16[k] where 0 <= k and 1 <= k and 0 < N + k and k <= N { return x[:k] }"
    module = tensorlogic.compile(text, "bounds")
    assert refusal(module.f, half(3), 0) == "TL5001 `k` is 0: a dimension variable is at least 1"
    assert refusal(module.f, half(3), 4).startswith("TL5006 `f` demands `k <= N`")
    assert inspect.getsource(module.f).count('"TL5006"') == 1
