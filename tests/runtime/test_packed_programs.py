"""Programs over quantized weights of a GGUF file: `@` and `embedding` use the packed bits, all else expands them.

The file is quantized and expanded again by GGUF's own library. What a program expands is seen at `mx.dequantize`, the
one function of MLX that turns packed bits into numbers.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import gguf
import mlx.core as mx
import numpy as np
import numpy.typing as npt
import pytest

import tensorlogic
from tensorlogic.compiler import driver
from tensorlogic.runtime.models import Model, load_model
from tensorlogic.runtime.script import run
from tests.runtime.model_files import write_gguf

Array = npt.NDArray[np.float32]
STORED = {
    "small": ("Q4_1", (6, 64)),
    "large": ("Q8_0", (6, 64)),
    "square": ("Q8_0", (64, 64)),
    "stack": ("Q8_0", (2, 6, 64)),
    "row": ("Q8_0", (64,)),
    "blocks.0.weight": ("Q4_1", (64, 64)),
    "blocks.1.weight": ("Q8_0", (64, 64)),
    "plain": ("F16", (6, 64)),
    "bias": ("F16", (6,)),
}


@cache
def quantized() -> tuple[dict[str, tuple[str, Any]], dict[str, Array]]:
    """The tensors as they are stored, and their values by GGUF's own library."""
    random = np.random.default_rng(5)
    stored, values = {}, {}
    for name, (storage, shape) in STORED.items():
        kind = gguf.GGMLQuantizationType[storage]
        data = gguf.quants.quantize(random.normal(size=shape).astype(np.float32), kind)
        stored[name] = (storage, data)
        values[name] = gguf.quants.dequantize(data, kind)
    return stored, values


@pytest.fixture
def model(tmp_path: Path) -> Model:
    return load_model(write_gguf(tmp_path / "model.gguf", quantized()[0]))


@pytest.fixture
def expansions(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """The leading dims of each packed tensor that is expanded from now on."""
    seen: list[tuple[int, ...]] = []
    expand = mx.dequantize

    def watched(words: mx.array, *rest: Any, **options: Any) -> mx.array:
        seen.append(tuple(words.shape[:-1]))
        return expand(words, *rest, **options)

    monkeypatch.setattr(mx, "dequantize", watched)
    return seen


def left(*shape: int) -> Array:
    return np.random.default_rng(6).normal(size=shape).astype(np.float16).astype(np.float32)


def half(values: Array) -> mx.array:
    return mx.array(values.astype(np.float16))


def close(found: mx.array, expected: npt.ArrayLike) -> bool:
    """Equal up to float16's rounding of the result: three units in the last place of the largest number."""
    assert isinstance(found, mx.array)
    wanted = np.asarray(expected)
    got = np.asarray(found.astype(mx.float32))
    return got.shape == wanted.shape and bool(np.abs(got - wanted).max() <= 3 * 2**-11 * max(1, np.abs(wanted).max()))


# --- products and tables

PRODUCTS = """
struct Layer[I, O] { weight: float16[O, I] = "weight" }
struct Net[D] { blocks: [Layer[D, D]] = "blocks.{i}" }
fn apply(x: float16[N, I], l: Layer[I, O]) -> float16[N, O] { return x @ l.weight.T }
fn net(n: Net[D], x: float16[N, D]) -> float16[N, D] { let y = x; for l in n.blocks { y = apply(y, l) }; return y }
fn transposed(x: float16[...B, K], w: float16[M, K]) -> float16[...B, M] { return x @ w.T }
fn straight(x: float16[N, K], w: float16[K, M]) -> float16[N, M] { return x @ w }
fn stacked(x: float16[B, N, K], w: float16[B, M, K]) -> float16[B, N, M] { return x @ w.T }
fn dense(x: float16[N, K], w: float16[M, K], b: float16[M]) -> float16[N, M] { return linear(x, w, b) }
fn through(x: float16[N, K], w: float16[M, K]) -> float16[N, M] { let v = w; return transposed(x, v) * 2 }
fn pair(x: float16[N, K], ws: (float16[M, K], float16[M, K])) -> float16[N, M] {
    let (a, b) = ws
    return x @ a.T - x @ b.T
}
fn chain(x: float16[N, D], ws: [float16[D, D]]) -> float16[N, D] { let y = x; for w in ws { y = y @ w.T }; return y }
fn one_of(x: float16[N, D], ws: [float16[D, D]], i: int) -> float16[N, D] { return x @ ws[i].T }
fn in_branch(x: float16[N, K], w: float16[M, K], on: bool) -> float16[N, M] {
    let y = zeros([N, M])
    if on { y = x @ w.T }
    return y
}
fn held(x: float16[N, D], w: float16[D, D]) -> float16[N, D] {
    let f: fn(float16[N, D]) -> float16[N, D] = |v| v @ w.T
    return f(f(x))
}
fn sizes(w: float16[M, K], x: float16[N, K]) -> (int, [int], int, float16[N, M]) {
    return (w.shape[0], w.shape, w.size, x @ w.T)
}
"""


@pytest.fixture(scope="module")
def products() -> ModuleType:
    return tensorlogic.compile(PRODUCTS)


def reference() -> dict[str, Array]:
    return quantized()[1]


@pytest.mark.parametrize("name", ["small", "large"])
def test_a_product_uses_the_packed_bits(
    model: Model, products: ModuleType, expansions: list[tuple[int, ...]], name: str
) -> None:
    w, values = model.get_tensor(name), reference()[name]
    x = left(3, 64)
    expected = x @ values.T
    assert close(products.transposed(half(x), w), expected)
    assert close(products.transposed(half(x[0]), w), expected[0])
    assert close(products.transposed(half(x[:, None]), w), expected[:, None])
    assert close(products.through(half(x), w), 2 * expected)
    assert close(products.dense(half(x), w, model.get_tensor("bias")), expected + reference()["bias"])
    assert close(products.in_branch(half(x), w, True), expected)
    assert close(products.in_branch(half(x), w, False), np.zeros((3, 6), np.float32))
    rows, shape, size, product = products.sizes(w, half(x))
    assert (rows, tuple(shape), size) == (6, (6, 64), 384)
    assert close(product, expected)
    assert expansions == []


def test_products_of_other_forms_use_the_packed_bits(
    model: Model, products: ModuleType, expansions: list[tuple[int, ...]]
) -> None:
    x, values = left(3, 64), reference()
    assert close(products.straight(half(x), model.get_tensor("square")), x @ values["square"])
    wide = np.stack([x, -x])
    expected = wide @ values["stack"].swapaxes(1, 2)
    assert close(products.stacked(half(wide), model.get_tensor("stack")), expected)
    assert close(products.held(half(x), model.get_tensor("square")), x @ values["square"].T @ values["square"].T)
    assert expansions == []


def test_weights_stay_packed_in_structs_lists_and_tuples(
    model: Model, products: ModuleType, expansions: list[tuple[int, ...]]
) -> None:
    x, values = left(3, 64), reference()
    first, second = (values[f"blocks.{i}.weight"] for i in range(2))
    net = products.Net.bind(model)
    assert net.D == 64
    assert close(products.net(net, half(x)), x @ first.T @ second.T)
    weights = [model.get_tensor(f"blocks.{i}.weight") for i in range(2)]
    assert close(products.chain(half(x), weights), x @ first.T @ second.T)
    assert close(products.one_of(half(x), weights, 1), x @ second.T)
    layer = products.Layer(weight=model.get_tensor("large"))
    assert close(products.apply(half(x), layer), x @ values["large"].T)
    mixed = (model.get_tensor("small"), model.get_tensor("plain"))
    assert close(products.pair(half(x), mixed), x @ values["small"].T - x @ values["plain"].T)
    assert expansions == []


@pytest.mark.parametrize("name", ["small", "large"])
def test_a_table_expands_the_rows_that_are_read(model: Model, expansions: list[tuple[int, ...]], name: str) -> None:
    module = tensorlogic.compile(
        """
        fn rows(ids: int32[...B], table: float16[V, D]) -> float16[...B, D] { return embedding(ids, table) }
        fn tied(ids: int32[N], table: float16[V, D]) -> float16[N, V] { return embedding(ids, table) @ table.T }
        """
    )
    table, values = model.get_tensor(name), reference()[name]
    ids = mx.array([[5, 0], [2, 2]], dtype=mx.int32)
    assert close(module.rows(ids, table), values[np.asarray(ids)])
    assert close(module.rows(mx.array([-4, 99], dtype=mx.int32), table), values[[0, 5]])
    assert close(module.tied(ids[0], table), values[[5, 0]] @ values.T)
    assert expansions == [(2, 2), (2,), (2,)]


# --- everything else

EXPRESSIONS: list[tuple[str, str, Callable[[Array], Any]]] = [
    ("w + 1", "float16[M, K]", lambda w: w + 1),
    ("w * w", "float16[M, K]", lambda w: w * w),
    ("-w", "float16[M, K]", lambda w: -w),
    ("abs(w)", "float16[M, K]", np.abs),
    ("w[0]", "float16[K]", lambda w: w[0]),
    ("w[:, 0]", "float16[M]", lambda w: w[:, 0]),
    ("w[tensor<int>([1, 0])]", "float16[2, K]", lambda w: w[[1, 0]]),
    ("w.T", "float16[K, M]", lambda w: w.T),
    ("w.T @ w", "float16[K, K]", lambda w: w.T @ w),
    ("w @ w[0]", "float16[M]", lambda w: w @ w[0]),
    ("sum(w)", "float16[]", np.sum),
    ("max(w, axis: 1)", "float16[M]", lambda w: w.max(axis=1)),
    ("w.to(float32).to(float16)", "float16[M, K]", lambda w: w),
    ("concat([w, w])", "float16[2*M, K]", lambda w: np.concatenate([w, w])),
    ("stack([w, w + 1])[1]", "float16[M, K]", lambda w: w + 1),
    ("w.reshape([K, M])", "float16[K, M]", lambda w: w.reshape(w.shape[::-1])),
    ("where(w > 0, w, 0.0)", "float16[M, K]", lambda w: np.maximum(w, 0)),
    ("softmax(w * 0)", "float16[M, K]", lambda w: np.full_like(w, 1 / w.shape[1])),
    ('einsum("m k, m k -> m", w, w)', "float16[M]", lambda w: (w * w).sum(axis=1)),
    ('rearrange(w, "m k -> (m k)")', "float16[M*K]", lambda w: w.reshape(-1)),
    ("w", "float16[M, K]", lambda w: w),
]


@pytest.mark.parametrize("name", ["small", "large"])
@pytest.mark.parametrize(("expression", "result", "expected"), EXPRESSIONS, ids=[e for e, _, _ in EXPRESSIONS])
def test_everything_else_sees_ggufs_own_values(
    model: Model,
    expansions: list[tuple[int, ...]],
    name: str,
    expression: str,
    result: str,
    expected: Callable[[Array], Any],
) -> None:
    module = tensorlogic.compile(f"fn f(w: float16[M, K]) -> {result} {{ return {expression} }}")
    values = reference()[name].astype(np.float16).astype(np.float32)
    assert close(module.f(model.get_tensor(name)), np.asarray(expected(values), np.float32))
    assert expansions == [(6,)]


def test_a_weight_that_is_also_used_as_numbers_is_expanded_once(
    model: Model, expansions: list[tuple[int, ...]]
) -> None:
    module = tensorlogic.compile(
        """
        fn f(x: float16[N, K], w: float16[M, K]) -> float16[N, M] { return x @ w.T + sum(w) * mean(w * w) }
        """
    )
    x, w = left(2, 64), reference()["large"]
    assert close(module.f(half(x), model.get_tensor("large")), x @ w.T + w.sum() * (w * w).mean())
    assert expansions == [(6,)]


CONTROL = """
fn chosen(x: float16[N, K], a: float16[M, K], b: float16[M, K], first: bool) -> float16[N, M] {
    let w = if first { a } else { b }
    return x @ w.T
}
fn doubled(x: float16[N, K], a: float16[M, K], n: int) -> float16[N, M] {
    let w = a
    for i in 0..n { w = w * 2 }
    return x @ w.T
}
fn swapped(x: float16[N, K], a: float16[M, K], b: float16[M, K], n: int) -> float16[N, M] {
    let (v, w) = (a, b)
    for i in 0..n { (v, w) = (w, v) }
    return x @ v.T
}
fn optional(x: float16[N, K], w: float16[?, K]?) -> float16[N, ?] {
    if w == none { return x }
    return x @ w.T
}
fn largest(ws: [float16[M, K]]) -> float16[M, K] {
    let most = ws[0]
    for w in ws { most = maximum(most, w) }
    return most
}
fn either(w: float16[M, K], on: bool) -> float16[M, K] { if on { return w }; return w * 2 }
fn gathered(w: float16[M, K]) -> (float16[M, K], [float16[M, K]]) { return (w, [w, w + 1]) }
fn returned(x: float16[N, K], w: float16[M, K]) -> float16[N, M] { return x @ either(w, true).T }
fn rank_free(w: float16[...B]) -> float16[] { return max(w) }
"""


def test_branches_and_loops_carry_them(model: Model) -> None:
    module = tensorlogic.compile(CONTROL)
    x, values = left(3, 64), reference()
    small, large, plain = (model.get_tensor(name) for name in ("small", "large", "plain"))
    by = {name: x @ values[name].T for name in ("small", "large", "plain")}
    assert close(module.chosen(half(x), small, plain, True), by["small"])
    assert close(module.chosen(half(x), small, plain, False), by["plain"])
    assert close(module.doubled(half(x), large, 0), by["large"])
    assert close(module.doubled(half(x), large, 2), 4 * by["large"])
    assert close(module.swapped(half(x), small, large, 1), by["large"])
    assert close(module.swapped(half(x), small, large, 2), by["small"])
    assert close(module.optional(half(x), large), by["large"])
    assert close(module.optional(half(x), None), x)
    assert close(module.returned(half(x), large), by["large"])
    most = np.maximum(np.maximum(values["small"], values["large"]), values["plain"])
    assert close(module.largest([small, large, plain]), most)


def test_what_a_function_returns_is_an_array(model: Model) -> None:
    module = tensorlogic.compile(CONTROL)
    large, values = model.get_tensor("large"), reference()["large"]
    assert close(module.either(large, True), values)
    assert close(module.either(large, False), 2 * values)
    first, (second, third) = module.gathered(large)
    assert close(first, values)
    assert close(second, values)
    assert close(third, values + 1)


@pytest.mark.parametrize("name", ["small", "stack", "row", "plain"])
def test_a_parameter_of_any_rank(model: Model, name: str) -> None:
    module = tensorlogic.compile(CONTROL)
    assert close(module.rank_free(model.get_tensor(name)), reference()[name].max())


def test_a_wrong_shape_is_told_as_of_any_weight(model: Model, products: ModuleType) -> None:
    with pytest.raises(tensorlogic.TensorLogicError, match=r"dim 1 of `w` is 64, not `K` = 32 .*TL5001"):
        products.transposed(half(left(1, 32)), model.get_tensor("small"))
    with pytest.raises(tensorlogic.TensorLogicError, match=r"`w` is float16\[2, 6, 64\].*it has 3 dims.*TL5001"):
        products.transposed(half(left(1, 64)), model.get_tensor("stack"))


# --- scripts, whose tensors have a rank that only the file says


def script(text: str, folder: Path) -> None:
    """Run a program in the folder that holds the model."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        run(driver.compile_text(text, options=driver.Options(verify=True)).python, "program.tl", [])
    finally:
        os.chdir(before)


def test_a_script_multiplies_by_them(
    model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str], expansions: list[tuple[int, ...]]
) -> None:
    text = """
    fn product(x: float16[N, K], w: float16[M, K]) -> float16[N, M] { return x @ w.T }
    let model = load_model("model.gguf")
    let w = model.get_tensor("large")
    let x = ones([2, 64])
    print(w.rank, w.size, w.dtype, model.metadata.quantization)
    let known: float16[6, ?] = w
    let table: float16[?, 64] = model.get_tensor("square")
    let row = embedding(tensor<int>([3]), known)
    print(product(x, w)[0, 1] == (x @ known.T)[0, 1], float((x @ table)[0, 5]), float(sum(row)))
    """
    script(text, tmp_path)
    first, second = capsys.readouterr().out.splitlines()
    assert first == "2 384 float16 Q8_0"
    same, column, row = second.split()
    assert same == "true"
    assert float(column) == pytest.approx(float(reference()["square"][:, 5].sum()), abs=0.02)
    assert float(row) == pytest.approx(float(reference()["large"][3].sum()), abs=0.02)
    assert expansions == [(1,)]


def test_a_script_computes_with_them(model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = """
    let model = load_model("model.gguf")
    let w = model.get_tensor("small")
    let whole: float16[6, 64] = w + w
    let nothing: float16[6, 64] = whole - w * 2
    let twice: float16[6, 6] = w @ model.get_tensor("large").T
    print(float(whole[2, 3]), float(max(abs(nothing))), float(twice[1, 0]), (w.T @ w).shape)
    """
    script(text, tmp_path)
    double, zero, product, *shape = capsys.readouterr().out.split(maxsplit=3)
    values = reference()
    assert float(double) == pytest.approx(2 * float(values["small"][2, 3]), rel=1e-3)
    assert float(zero) == 0
    assert float(product) == pytest.approx(float((values["small"] @ values["large"].T)[1, 0]), abs=0.02)
    assert shape == ["[64, 64]\n"]


def test_a_model_that_is_loaded_to_expand_has_no_packed_weights(
    model: Model, tmp_path: Path, capsys: pytest.CaptureFixture[str], expansions: list[tuple[int, ...]]
) -> None:
    script(
        """
        let w: float16[6, 64] = load_model("model.gguf", dequantize: true).get_tensor("large")
        print((ones([1, 64]) @ w.T).shape)
        """,
        tmp_path,
    )
    assert capsys.readouterr().out == "[1, 6]\n"
    assert expansions == [(6,)]


def test_what_a_branch_chooses_stays_packed(model: Model, expansions: list[tuple[int, ...]]) -> None:
    module = tensorlogic.compile(
        """
        struct Net[V, D] { embed: float16[V, D], head: float16[V, D]? }
        fn optional(x: float16[N, K], w: float16[?, K]?) -> float16[N, ?] {
            if w == none { return x }
            return x @ w.T
        }
        fn branches(n: Net[V, D], x: float16[N, D]) -> float16[N, V] {
            let head = n.head
            if head != none { return x @ head.T }
            return x @ n.embed.T
        }
        fn tied(n: Net[V, D], x: float16[N, D]) -> float16[N, V] {
            let head = if n.head == none { n.embed } else { n.head }
            return x @ head.T
        }
        """
    )
    x, w, values = left(3, 64), model.get_tensor("large"), reference()["large"]
    assert close(module.optional(half(x), w), x @ values.T)
    for head in (w, None):
        net = module.Net(embed=w, head=head)
        assert close(module.branches(net, half(x)), x @ values.T)
        assert close(module.tied(net, half(x)), x @ values.T)
    assert expansions == []


def test_a_branch_that_computes_makes_an_array(model: Model, expansions: list[tuple[int, ...]]) -> None:
    module = tensorlogic.compile(
        """
        fn chosen(w: float16[V, D], x: float16[N, D], double: bool) -> float16[N, V] {
            let head = if double { w * 2 } else { w }
            return x @ head.T
        }
        """
    )
    x, w, values = left(3, 64), model.get_tensor("large"), reference()["large"]
    assert close(module.chosen(w, half(x), False), x @ values.T)
    assert expansions == []
    assert close(module.chosen(w, half(x), True), 2 * (x @ values.T))
    assert len(expansions) == 1


def test_lists_and_tuples_that_are_returned_stay_packed_inside_and_are_arrays_outside(
    model: Model, expansions: list[tuple[int, ...]]
) -> None:
    module = tensorlogic.compile(
        """
        struct Net[V, D] { embed: float16[V, D], head: float16[V, D]? }
        fn parts(n: Net[V, D]) -> (float16[V, D], int, [float16[V, D]?]) { return (n.embed, 1, [n.head]) }
        fn same(ws: [float16[V, D]]) -> [float16[V, D]] { return ws }
        fn used(n: Net[V, D], x: float16[N, D]) -> float16[N, V] {
            let (a, k, b) = parts(n)
            return x @ same([a])[0].T
        }
        fn split_up(x: float16[N, 64], w: float16[6, 64]) -> (float16[N, 6], float16[N, 2]) {
            let y = x @ w.T
            return (y, y[:, :2])
        }
        """
    )
    x, w, values = left(3, 64), model.get_tensor("large"), reference()["large"]
    net = module.Net(embed=w, head=w)
    assert close(module.used(net, half(x)), x @ values.T)
    assert close(module.split_up(half(x), w)[0], x @ values.T)
    assert expansions == []
    weight, one, (head,) = module.parts(net)
    assert (weight.dtype, one, head.dtype) == (mx.float16, 1, mx.float16)
    assert close(weight, values)
    assert module.parts(module.Net(embed=w))[2] == (None,)
    assert close(module.same([w])[0], values)
    # A body whose lists hold arrays alone is not asked to expand them.
    assert "Packed" not in str(module._split_up.__annotations__["return"])
