"""Type parameters at run time: a generic body knows its element type, however its values are carried."""

from __future__ import annotations

import inspect
import sys
from types import ModuleType
from typing import Any

import mlx.core as mx
import pytest

from tensorlogic.compiler.driver import Options, compile_text

PROGRAM = """
struct Pair<T: float>[N] { a: T[N], b: T[N]? }
fn rounded<T: float>(x: T[N]) -> T[N] { return (x / 3).to(T) }
fn by_name<T: float>(x: T[N]) -> float32[N] { return rounded(x).to(float32) }
fn by_dtype<T: float>(x: T[N]) -> float32[N] { return (x / 3).to(x.dtype).to(float32) }
fn by_stored_dtype<T: float>(x: T[N]) -> float32[N] {
    let d = x.dtype
    return (x / 3).to(d).to(float32)
}
fn recursive<T: float>(x: T[N], n: int = 2) -> float32[N] {
    if n == 0 { return by_name(x) }
    return recursive(x, n - 1)
}
fn even<T: float>(x: T[N], n: int = 2) -> float32[N] { return if n == 0 { by_name(x) } else { odd(x, n - 1) } }
fn odd<T: float>(x: T[N], n: int = 1) -> float32[N] { return if n == 0 { x.to(float32) } else { even(x, n - 1) } }
fn apply<T: float>(x: T[N], f: fn(T[N]) -> T[N]) -> T[N] { return f(x) }
fn captured<T: float>(x: T[N]) -> float32[N] { return apply(x, |y| (y / 3).to(T)).to(float32) }
fn handed<T: float>(x: T[N]) -> float32[N] { return apply(x, rounded).to(float32) }
fn of_struct<T: float>(p: Pair<T>[N]) -> float32[N] { return by_name(p.a) }
fn through_struct<T: float>(x: T[N]) -> float32[N] { return of_struct(Pair(a: x, b: none)) }
fn of_tuple<T: float>(p: (int, T[N])) -> float32[N] { return by_name(p[1]) }
fn through_tuple<T: float>(x: T[N]) -> float32[N] { return of_tuple((1, x)) }
fn of_list<T: float>(xs: [T[N]]) -> float32[N] { return by_name(xs[0]) }
fn through_list<T: float>(x: T[N]) -> float32[N] { return of_list([x, x]) }
fn of_optional<T: float>(y: T[N], x: T[N]? = none) -> float32[N] {
    return if x == none { by_name(y) } else { by_name(x) }
}
fn of_two<T: float, U: float>(x: T[N], y: U[N]) -> float32[N] { return by_name(x.to(U)) + y.to(T).to(float32) * 0 }
fn through_two<T: float>(x: T[N]) -> float32[N] { return of_two(ones([N], dtype: float32), x) }

fn is_half<T: any>(x: T[N]) -> bool { return x.dtype == float16 }
fn shown<T: any>(x: T[N]) -> string { return f"{x} {x.dtype} {(x, [x])}" }
fn scaled<T: float>(x: T[N], k: float) -> T[N] { return x * k }
fn filled<T: float>(x: T[N], k: float) -> T[2] { return full([2], k, dtype: T) }
fn spaced<T: float>(x: T[N], k: float) -> T[3] { return linspace(0.0, k, 3, dtype: T) }
fn listed<T: float>(x: T[N], k: float) -> T[2] { return tensor<T>([k, 1.0]) }
fn counted<T: float>(x: T[N], n: int) -> T[?] { return arange(n - 1, n, dtype: T) }
fn as_carried<T: float>(x: T[N]) -> T[N] { return x + zeros([N], dtype: T) + (x > 0).to(T) }
fn of_none<T: float>(xs: [T[?]]) -> T[3] { return zeros([3], dtype: T) }
fn none_of_them() -> float16[3] {
    let xs: [float16[?]] = []
    return of_none(xs)
}
"""
ROUNDING = ["by_name", "by_dtype", "by_stored_dtype", "recursive", "even", "captured", "handed", "through_struct"]
ROUNDING += ["through_tuple", "through_list", "of_optional", "through_two"]
CHECKED = ("scaled", "filled", "spaced", "listed")
FLOATS = (mx.float16, mx.bfloat16, mx.float32)
MODES = {"carried": Options(verify=True), "strict": Options(strict=True), "standalone": Options(standalone=True)}


def compiled(text: str, options: Options) -> Any:
    module = ModuleType("elements_of_test")
    sys.modules[module.__name__] = module
    exec(compile_text(text, options=options).python, module.__dict__)
    return module


@pytest.fixture(scope="module", params=MODES)
def module(request: pytest.FixtureRequest) -> Any:
    return compiled(PROGRAM, MODES[request.param])


def ones(dtype: mx.Dtype) -> mx.array:
    return mx.ones((2,), dtype)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ROUNDING)
def test_conversion_rounds_to_the_element_type(module: Any, name: str, dtype: mx.Dtype) -> None:
    expected = (mx.array(1.0) / 3).astype(dtype).item()
    assert getattr(module, name)(ones(dtype)).tolist() == [expected] * 2


def test_the_element_type_is_the_declared_one(module: Any) -> None:
    assert [module.is_half(ones(dtype)) for dtype in (*FLOATS, mx.int32)] == [True, False, False, False]
    assert module.shown(mx.array([0.1], dtype=mx.float16)) == "[0.1] float16 ([0.1], [[0.1]])"
    assert module.shown(mx.array([0.1])) == "[0.1] float32 ([0.1], [[0.1]])"
    assert module.shown(mx.array([7])) == "[7] int32 ([7], [[7]])"
    assert module.shown(mx.array([True])) == "[true] bool ([true], [[true]])"


@pytest.mark.parametrize("name", CHECKED)
def test_host_numbers_are_held_to_the_element_type(module: Any, name: str) -> None:
    function = getattr(module, name)
    for dtype, number, change in ((mx.float16, 1e6, "inf"), (mx.float16, 1e-9, "0"), (mx.bfloat16, 3.4e38, "inf")):
        with pytest.raises(Exception, match=f"would become {change} in {str(dtype).rpartition('.')[2]}"):
            function(ones(dtype), number)
    assert mx.isfinite(function(ones(mx.float32), 3.4e38)).all().item()
    assert function(ones(mx.bfloat16), 1e-9).dtype == mx.bfloat16


def test_what_needs_no_element_type_is_told_none(module: Any) -> None:
    assert module.as_carried(ones(mx.bfloat16)).tolist() == [2.0, 2.0]
    for name in ("_as_carried", "_apply", "_of_struct"):
        assert "T" not in inspect.signature(getattr(module, name)).parameters


def test_a_list_without_items_tells_no_dtype(module: Any) -> None:
    assert module.none_of_them().tolist() == [0.0] * 3
    assert module.none_of_them().dtype == mx.float16


OPTIONALS = """
struct Maybe<T: float>[N] { n: int32[N], w: T[N]? }
fn first<T: float>(x: T[...B]?, p: (T[2], int)?) -> string {
    if x != none { return f"{x.dtype} of x" }
    if p != none { return f"{p[0].dtype} of p" }
    return "none"
}
fn held<T: float>(m: Maybe<T>[N]) -> string {
    let w = m.w
    return if w == none { "none" } else { f"{w.dtype}" }
}
"""


def test_optionals_tell_what_is_there() -> None:
    module = compiled(OPTIONALS, Options(verify=True))
    single, brain = ones(mx.float32), ones(mx.bfloat16)
    assert [module.first(x, None) for x in (single, brain)] == ["float32 of x", "bfloat16 of x"]
    assert [module.first(None, p) for p in ((brain, 1), None)] == ["bfloat16 of p", "none"]
    assert module.held(module.Maybe(n=mx.array([1, 2]), w=brain)) == "bfloat16"
    assert module.held(module.Maybe(n=mx.array([1, 2]))) == "none"


EXTERNS = """
struct Flat[N] { a: float16[N], k: int32[2] }
struct Deep<T: float>[N] { flats: [Flat[N]], x: T[N], y: float16[N]? }
extern "elements_helper" fn same<T: float>(x: T[N]) -> T[N]
extern "elements_helper" fn flat(f: Flat[N]) -> float16[N]
extern "elements_helper" fn deep<T: float>(d: Deep<T>[N], t: (Flat[N], [T[N]])) -> T[N]
fn called<T: float>(x: T[N]) -> T[N] { return same(x) }
fn given<T: float>(x: T[N], f: Flat[N]) -> T[N] {
    return deep(Deep(flats: [f], x: x, y: none), (f, [x]))
}
"""


def test_python_functions_get_declared_types(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[mx.Dtype] = []
    helper: Any = ModuleType("elements_helper")

    def same(x: mx.array) -> mx.array:
        seen.append(x.dtype)
        return x

    def deep(d: Any, t: Any) -> mx.array:
        assert (d.N, d.flats[0].N, d.y, d.flats[0].k.dtype) == (2, 2, None, mx.int32)
        seen.extend([d.flats[0].a.dtype, d.x.dtype, t[0].a.dtype, t[1][0].dtype])
        result: mx.array = d.x
        return result

    helper.same, helper.flat, helper.deep = same, lambda f: f.a * f.a, deep
    monkeypatch.setitem(sys.modules, "elements_helper", helper)
    module = compiled(EXTERNS, Options())
    for dtype in FLOATS:
        assert module.called(ones(dtype)).dtype == dtype
    assert seen == list(FLOATS)
    seen.clear()
    flat = module.Flat(a=ones(mx.float16), k=mx.array([1, 2]))
    assert module.flat(flat).tolist() == [1.0, 1.0]
    assert module.given(ones(mx.bfloat16), flat).dtype == mx.bfloat16
    assert seen == [mx.float16, mx.bfloat16, mx.float16, mx.bfloat16]
