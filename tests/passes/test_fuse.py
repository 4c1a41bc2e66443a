"""Chains: what is fused, what only looks like it, and that nothing changes by it but rounding."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

import tensorlogic
from tensorlogic import runtime as tl
from tensorlogic.compiler import driver
from tensorlogic.compiler.passes import PASSES
from tensorlogic.runtime import kernels
from tests.passes.helpers import stages

NET = """struct Net[D, F] {
    norm: float16[D]; gate: float16[F, D]; up: float16[F, D]; down: float16[D, F]; o: float16[D, D]
}
"""
X = "x: float16[...B, D], n: Net[D, F]"


def chains(text: str) -> list[str]:
    """The chains of a text: their stages as they are printed, without the places of operands."""
    (after,) = stages(text, "fuse")
    found = [re.search(r"chain {apart: (\w+), stages: \[(.*)\]}", line) for line in after]
    return [("apart: " if m[1] == "True" else "") + re.sub(r" \d+", "", m[2]) for m in found if m is not None]


FUSED = {
    "norm and products": (
        f"fn f({X}) -> (float16[...B, F], float16[...B, F]) "
        "{ let h = rms_norm(x, n.norm); return (h @ n.gate.T, h @ n.up.T) }",
        ["apart: norm; weights"],
    ),
    "norm and one product": (
        f"fn f({X}) -> float16[...B, F] {{ return rms_norm(x, n.norm) @ n.gate.T }}",
        ["norm; weights"],
    ),
    "products of one side": (
        f"fn f({X}) -> float16[...B, F] {{ return x @ n.gate.T * (x @ n.up.T) }}",
        ["apart: weights"],
    ),
    "norm without a weight": (
        f"fn f({X}) -> float16[...B, F] {{ return rms_norm(x) @ n.gate.T }}",
        ["norm; weights"],
    ),
    "product and residual": (
        f"fn f({X}) -> float16[...B, D] {{ return x + exp(x) @ n.o.T }}",
        ["weights; add"],
    ),
    "linear and residual": (
        f"fn f({X}) -> float16[...B, D] {{ return linear(exp(x), n.o) + x }}",
        ["weights; add"],
    ),
    "two products in a row": (
        f"fn f({X}) -> float16[...B, D] {{ return x @ n.gate.T @ n.down.T }}",
        ["weights, weights"],
    ),
    "silu gate": (
        f"fn f({X}) -> float16[...B, F] {{ return silu(x @ n.gate.T) * (x @ n.up.T) }}",
        ["weights; gate silu"],
    ),
    "gelu gate from the right": (
        f"fn f({X}) -> float16[...B, F] {{ return (x @ n.up.T) * gelu(x @ n.gate.T, approximate: true) }}",
        ["weights; gate gelu_tanh"],
    ),
    "feed-forward": (
        f"""fn f({X}) -> float16[...B, D] {{
            let h = rms_norm(x, n.norm, eps: 1e-6)
            return x + (silu(h @ n.gate.T) * (h @ n.up.T)) @ n.down.T
        }}""",
        ["norm; weights; gate silu, weights; add"],
    ),
    "attention's end, then feed-forward": (
        f"""fn f({X}, a: float16[...B, D]) -> float16[...B, D] {{
            let y = x + a @ n.o.T
            let h = rms_norm(y, n.norm)
            return y + (silu(h @ n.gate.T) * (h @ n.up.T)) @ n.down.T
        }}""",
        ["weights; add, norm; weights; gate silu, weights; add_stage"],
    ),
    "norms after the products": (
        f"""fn f({X}, a: float16[...B, D]) -> float16[...B, D] {{
            let y = x + rms_norm(a @ n.o.T, n.norm)
            let h = rms_norm(y, n.norm)
            return y + rms_norm((gelu(h @ n.gate.T, approximate: true) * (h @ n.up.T)) @ n.down.T, n.norm, eps: 1e-6)
        }}""",
        ["weights; norm_after; add, norm; weights; gate gelu_tanh, weights; norm_after; add_stage"],
    ),
    "a norm after a product that nothing is added to": (
        f"fn f({X}) -> float16[...B, D] {{ return rms_norm(x @ n.o.T, n.norm) * 2 }}",
        ["weights; norm_after"],
    ),
    "weights of parameters, lists and branches": (
        """fn f(x: float16[N, D], w: float16[D, D], ws: [float16[D, D]], c: bool) -> float16[N, D] {
            let chosen = if c { w } else { ws[0] }
            return x + ((x * 2) @ ws[1].T @ w.T @ chosen.T)
        }""",
        ["weights, weights, weights; add"],
    ),
    "in a loop's body": (
        """struct Block[D] { norm: float16[D]; w: float16[D, D] }
        fn f(x: float16[N, D], blocks: [Block[D]]) -> float16[N, D] {
            let y = x
            for b in blocks { y = y + rms_norm(y, b.norm) @ b.w.T }
            return y
        }""",
        ["norm; weights; add"],
    ),
    "a value that is needed outside ends a chain": (
        f"""fn f({X}, a: float16[...B, D]) -> (float16[...B, D], float16[...B, D]) {{
            let y = x + a @ n.o.T
            return (y, y + rms_norm(y, n.norm) @ n.o.T)
        }}""",
        ["weights; add", "norm; weights; add"],
    ),
    "a value in the middle that is needed outside": (
        f"""fn f({X}) -> (float16[...B, F], float16[...B, D]) {{
            let y = (x + x * x) @ n.o.T
            let z = rms_norm(y, n.norm) @ n.gate.T
            return (z, y + z @ n.down.T)
        }}""",
        ["norm; weights", "weights; add"],
    ),
    "a norm of which something else is needed": (
        f"""fn f({X}) -> float16[...B, F] {{
            let h = rms_norm(x, n.norm)
            return (silu(h @ n.gate.T) * (h @ n.up.T)) * sum(h)
        }}""",
        ["weights; gate silu"],
    ),
    "three products, of which two are a gate": (
        f"""fn f({X}) -> (float16[...B, F], float16[...B, D]) {{
            let h = rms_norm(x, n.norm)
            return (silu(h @ n.gate.T) * (h @ n.up.T), h @ n.o.T)
        }}""",
        ["weights; gate silu"],
    ),
    "two sums of one product's shape": (
        f"fn f({X}, a: float16[...B, D]) -> float16[...B, D] {{ return exp(x) @ n.o.T + exp(a) @ n.o.T }}",
        ["weights; add"],
    ),
}


@pytest.mark.parametrize("name", FUSED)
def test_what_is_fused(name: str) -> None:
    text, expected = FUSED[name]
    assert chains(NET + text) == expected


ALONE = {
    "a lone product": f"fn f({X}) -> float16[...B, F] {{ return x @ n.gate.T }}",
    "exact gelu": f"fn f({X}) -> float16[...B, F] {{ let h = x @ n.gate.T; return gelu(h) * h }}",
    "gate by an activation of both": f"fn f({X}) -> float16[...B, F] {{ let h = x @ n.gate.T; return silu(h) * h }}",
    "a gate of two sides": f"""fn f({X}, y: float16[...B, D]) -> float16[...B, F] {{
        return silu(x @ n.gate.T) * (y @ n.up.T)
    }}""",
    "a sum that broadcasts": f"fn f({X}, b: float16[F]) -> float16[...B, F] {{ return x @ n.gate.T + b }}",
    "a sum with a number": f"fn f({X}) -> float16[...B, F] {{ return x @ n.gate.T + 1 }}",
    "a difference": f"fn f({X}) -> float16[...B, D] {{ return x - x @ n.o.T }}",
    "a matrix that is computed": "fn f(x: float16[N, D], w: float16[D, D]) -> float16[N, D] { return x + x @ (-w).T }",
    "a stack of matrices": "fn f(x: float16[B, N, D], w: float16[B, D, D]) -> float16[B, N, D] { return x + x @ w.T }",
    "a matrix that is not transposed": "fn f(x: float16[N, D], w: float16[D, D]) -> float16[N, D] { return x + x @ w }",
    "a bias": "fn f(x: float16[N, D], w: float16[D, D], b: float16[D]) -> float16[N, D] { return linear(x, w, b) + x }",
    "another norm": f"fn f({X}) -> float16[...B, F] {{ return layer_norm(x, n.norm) @ n.gate.T }}",
    "sizes that only run time knows": """fn f(x: float16[?, 4], w: float16[4, 4], y: float16[?, 4]) -> float16[?, 4] {
        return x @ w.T + y
    }""",
    "a check between two products": """fn f(x: float16[N, D], v: float16[M, D], w: float16[?, ?]) -> float16[N, M+1] {
        return concat([x @ v.T, (x @ w.T)[:, 0:1]], axis: 1)
    }""",
    "a matrix that comes later": """fn f(x: float16[N, D], v: float16[D, D], vs: [float16[D, D]]) -> float16[N, D] {
        let y = exp(x @ v.T)
        let w = vs[int(sum(y))]
        return y * (x @ w.T)
    }""",
}


@pytest.mark.parametrize("name", ALONE)
def test_what_only_looks_like_it(name: str) -> None:
    assert chains(NET + ALONE[name]) == []


@pytest.mark.parametrize("options", [driver.Options(strict=True), driver.Options(standalone=True)], ids=str)
def test_nothing_is_fused_where_every_operation_rounds_or_mlx_stands_alone(options: driver.Options) -> None:
    text = NET + FUSED["feed-forward"][0]
    assert "chain" in driver.compile_text(text).ir
    assert "chain" not in driver.compile_text(text, options=options).ir


def test_fast_is_said_for_each_stage() -> None:
    text = NET + FUSED["feed-forward"][0]
    assert driver.compile_text(text, options=driver.Options(fast=True)).python.count("fast=True") == 2
    assert "fast" not in driver.compile_text(text).python


# --- the numbers

PROGRAM = (
    NET
    + """
struct Attention[E] {
    norm: float16[2*E]; q: float16[2*E, 2*E]; k: float16[E, 2*E]; v: float16[E, 2*E]; o: float16[2*E, 2*E]
}

fn feed_forward(x: float16[...B, D], n: Net[D, F]) -> float16[...B, D] {
    let h = rms_norm(x, n.norm, eps: 1e-6)
    return x + (silu(h @ n.gate.T) * (h @ n.up.T)) @ n.down.T
}
fn gemma(x: float16[...B, D], a: float16[...B, D], n: Net[D, F]) -> float16[...B, D] {
    let y = x + rms_norm(a @ n.o.T, n.norm)
    let h = rms_norm(y, n.norm)
    return y + rms_norm((gelu(h @ n.gate.T, approximate: true) * (h @ n.up.T)) @ n.down.T, n.norm, eps: 1e-6)
}
fn projections(x: float16[...B, 2*E], a: Attention[E]) -> (float16[...B, 2*E], float16[...B, E], float16[...B, E]) {
    let h = rms_norm(x, a.norm)
    let k = h @ a.k.T
    let q = exp(h @ a.q.T)
    return (q, k, h @ a.v.T)
}
fn block(x: float16[...B, 2*E], a: Attention[E], n: Net[2*E, F]) -> float16[...B, 2*E] {
    let (q, k, v) = projections(x, a)
    let y = x + concat([k, v], axis: -1) @ a.o.T
    return feed_forward(y, n) * q
}
fn three(x: float16[...B, D], n: Net[D, F]) -> (float16[...B, D], float16[...B, F]) {
    let y = x @ n.o.T
    let z = silu(y @ n.gate.T) * (y @ n.up.T)
    let w = rms_norm(z @ n.down.T + y)
    return (w @ n.o.T + y, z)
}
"""
)

D, F = 64, 96
SHAPES = [(D,), (1, D), (3, D), (2, 5, D), (1, 1, 1, D), (0, D), (17, D)]


@pytest.fixture(scope="module", params=["float16", "float32", "--fast"])
def modules(request: pytest.FixtureRequest) -> tuple[Any, Any, str]:
    """The program with chains and without, and the kind of it."""
    kind: str = request.param
    text = PROGRAM.replace("float16", "float32") if kind == "float32" else PROGRAM
    fused = tensorlogic.compile(text, fast=kind == "--fast")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tensorlogic.compiler.passes.PASSES", {k: v for k, v in PASSES.items() if k != "fuse"})
        return fused, tensorlogic.compile(text, fast=kind == "--fast"), kind


def random(seed: int, *shape: int, dtype: mx.Dtype = mx.float16) -> mx.array:
    return mx.random.normal(shape, key=mx.random.key(seed)).astype(dtype)


def weights(
    kept: Callable[[mx.array], Any], mixed: bool, dtype: mx.Dtype = mx.float16
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields of `Net` and `Attention`; if mixed, every other matrix is dense."""
    turns = itertools.cycle([kept, lambda w: w] if mixed else [kept])
    shapes = {"gate": (F, D), "up": (F, D), "down": (D, F), "o": (D, D)}
    net = {name: next(turns)(random(i, *shape, dtype=dtype) * 0.1) for i, (name, shape) in enumerate(shapes.items())}
    shapes = {"q": (D, D), "k": (D // 2, D), "v": (D // 2, D), "o": (D, D)}
    own = {
        name: next(turns)(random(9 + i, *shape, dtype=dtype) * 0.1) for i, (name, shape) in enumerate(shapes.items())
    }
    norm = random(8, D, dtype=dtype)
    return {**net, "norm": norm}, {**own, "norm": norm}


KEPT = {
    "dense": (lambda w: w, False),
    "4 bits": (lambda w: tl.quantize(w, 4, 32, w.dtype), False),
    "8 bits": (lambda w: tl.quantize(w, 8, 32, w.dtype), False),
    "mixed": (lambda w: tl.quantize(w, 6, 32, w.dtype), True),
}
TOLERANCES = {"float16": 2**-9, "float32": 2e-5, "--fast": 2e-2}
"""Relative to the largest item. Under `--fast`, what one product rounds differently may be another byte to the next."""


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kept", KEPT)
@pytest.mark.parametrize("whose", ["our kernels", "MLX's"])
def test_a_chain_gives_what_its_operations_give(
    modules: tuple[Any, Any, str], shape: tuple[int, ...], kept: str, whose: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fused, plain, kind = modules
    if whose == "MLX's":
        monkeypatch.setattr(kernels, "active", lambda: None)
    dtype = mx.float32 if kind == "float32" else mx.float16
    net, attention = weights(*KEPT[kept], dtype)
    x, a = random(30, *shape, dtype=dtype), random(31, *shape, dtype=dtype)

    def results(module: Any) -> list[mx.array]:
        n, at = module.Net(**net), module.Attention(**attention)
        found = [module.feed_forward(x, n), module.gemma(x, a, n), *module.projections(x, at), module.block(x, at, n)]
        return [*found, *module.three(x, n), module.feed_forward(x, n)]

    for found, expected in zip(results(fused), results(plain), strict=True):
        assert (found.shape, found.dtype) == (expected.shape, dtype)
        wanted = np.asarray(expected, np.float32)
        assert np.isfinite(wanted).all()
        limit = TOLERANCES[kind] * np.abs(wanted).max(initial=1)
        np.testing.assert_allclose(np.asarray(found, np.float32), wanted, rtol=0, atol=limit)


def test_a_chain_has_a_gradient_and_is_compiled() -> None:
    module = tensorlogic.compile(PROGRAM)
    net, _ = weights(*KEPT["4 bits"])
    n = module.Net(**net)
    x = random(30, 3, D)

    def loss(x: mx.array) -> mx.array:
        total: mx.array = module.feed_forward(x, n).astype(mx.float32).sum()
        return total

    dense = {name: tl.dense(w) for name, w in net.items()}
    plain = module.Net(**dense)
    wanted = mx.grad(lambda x: module.feed_forward(x, plain).astype(mx.float32).sum())(x)
    np.testing.assert_allclose(np.asarray(mx.grad(loss)(x)), np.asarray(wanted), rtol=2e-2, atol=2e-2)
    np.testing.assert_allclose(np.asarray(mx.compile(loss)(x)), np.asarray(loss(x)), rtol=1e-3)
