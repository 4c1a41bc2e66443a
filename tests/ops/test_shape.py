"""Functions on shapes where sizes are symbolic: packs, host ints, sizes that only run time knows, indices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from tensorlogic.compiler.driver import Options, compile_text
from tensorlogic.runtime.errors import BoundaryError
from tests.ops.harness import Array, compiled, refusal

_RNG = np.random.default_rng(0)


def _normal(*shape: int) -> Array:
    return _RNG.standard_normal(shape).astype(np.float32)


def _run(text: str, *arguments: Any, checked: bool = False) -> Any:
    module = compiled(text, checked=checked)
    return module.f(*(mx.array(a) if isinstance(a, np.ndarray) else a for a in arguments))


# Parameters, result type, body, arguments, and what NumPy makes of them.
SYMBOLIC: list[tuple[str, str, str, list[Any], Callable[..., Any]]] = [
    (
        "x: T[...B, A, C, D]",
        "T[...B, D, A, C]",
        "permute(x, [-1, -3, -2])",
        [_normal(2, 2, 3, 4)],
        lambda x: np.moveaxis(x, -1, -3),
    ),
    (
        "x: T[...B, A, C, D]",
        "T[...B, D, A, C]",
        "permute(x, [-1, -3, -2])",
        [_normal(2, 3, 4)],
        lambda x: np.moveaxis(x, -1, -3),
    ),
    ("x: T[...B, A, C]", "T[...B, C, A]", "x.T", [_normal(2, 3, 4)], lambda x: x.swapaxes(-1, -2)),
    ("x: T[...B, A, C]", "T[...B, A, C]", "permute(x, [-2, -1])", [_normal(3, 4)], lambda x: x),
    ("x: T[...B, A, 1]", "T[...B, A]", "squeeze(x, -1)", [_normal(2, 3, 1)], lambda x: x[..., 0]),
    ("x: T[...B, A]", "T[...B, 1, A]", "unsqueeze(x, -2)", [_normal(3)], lambda x: x[None]),
    (
        "x: T[...B, A], y: T[...B, C]",
        "T[...B, A + C]",
        "concat([x, y], axis: -1)",
        [_normal(2, 3), _normal(2, 1)],
        lambda x, y: np.concatenate([x, y], -1),
    ),
    (
        "x: T[...B, A], y: T[...B, A]",
        "T[...B, A, 2]",
        "stack([x, y], axis: -1)",
        [_normal(2, 3), _normal(2, 3)],
        lambda x, y: np.stack([x, y], -1),
    ),
    ("x: T[...B, 2*A]", "T[...B, A]", "split(x, 2, axis: -1)[1]", [_normal(2, 6)], lambda x: x[:, 3:]),
    ("x: T[A + C, D], y: T[A]", "T[C, D]", "split(x, [A, C])[1]", [_normal(5, 2), _normal(3)], lambda x, y: x[3:]),
    (
        "x: T[...B, A]",
        "T[...B, A + 3]",
        "pad(x, [(1, 2)], value: 0.5)",
        [_normal(2, 2, 3)],
        lambda x: np.pad(x, [(0, 0), (0, 0), (1, 2)], constant_values=0.5),
    ),
    ("x: T[A], n: int", "T[?]", "pad(x, [(n, 0)])", [_normal(3), 2], lambda x, n: np.pad(x, [(n, 0)])),
    ("x: T[...B, A]", "T[...B, 2*A]", "tile(x, [2])", [_normal(2, 3)], lambda x: np.tile(x, [1, 2])),
    ("x: T[A, D], n: int", "T[?, D]", "repeat(x, n, 0)", [_normal(2, 3), 3], lambda x, n: np.repeat(x, n, 0)),
    ("x: T[...B, A]", "T[...B, A]", "flip(x)", [_normal(2, 3)], lambda x: x[::-1, ::-1]),
    ("x: T[...B, A]", "T[...B, A]", "roll(x, 1, -1)", [_normal(2, 3)], lambda x: np.roll(x, 1, -1)),
    ("x: T[N, H*K], H: int", "T[N, H, K]", "x.reshape([N, H, K])", [_normal(2, 6), 3], lambda x, h: x.reshape(2, 3, 2)),
    (
        "x: T[N, H*K], H: int",
        "T[N, H, K]",
        "x.reshape([N, H, -1])",
        [_normal(2, 6), 3],
        lambda x, h: x.reshape(2, 3, 2),
    ),
    ("x: T[?, D]", "T[D, ?]", "x.reshape([D, -1])", [_normal(2, 6)], lambda x: x.reshape(6, 2)),
    ("x: T[?, ?], y: T[N]", "T[N]", "x.reshape([N])", [_normal(2, 3), _normal(6)], lambda x, y: x.reshape(6)),
    ("x: T[N, ?]", "T[N]", "squeeze(x, 1)", [_normal(3, 1)], lambda x: x[:, 0]),
    ("x: T[?, D], y: T[?, D]", "T[?, D]", "concat([x, y])", [_normal(2, 3), _normal(0, 3)], lambda x, y: x),
    (
        "x: T[D], y: T[?, D]",
        "T[?, D]",
        "broadcast_to(x, y.shape)",
        [_normal(3), _normal(2, 3)],
        lambda x, y: np.broadcast_to(x, (2, 3)),
    ),
    (
        "x: T[...B, V], i: int32[...B, K]",
        "T[...B, K]",
        "gather(x, i, axis: -1)",
        [_normal(2, 3), np.array([[2], [0]], np.int32)],
        lambda x, i: np.take_along_axis(x, i, -1),
    ),
    (
        "x: T[V, D], i: int32[...B]",
        "T[...B, D]",
        "take(x, i)",
        [_normal(3, 2), np.array([[2, 1]], np.int32)],
        lambda x, i: x[i],
    ),
    (
        "x: T[...B, V], i: int32[M, N]",
        "T[...B, M, N]",
        "take(x, i, axis: -1)",
        [_normal(2, 3), np.array([[2, 1]], np.int32)],
        lambda x, i: x[:, i],
    ),
    (
        "x: T[...B, N], u: T[...B, K], s: int",
        "T[...B, N]",
        "slice_update(x, u, [s])",
        [_normal(2, 5), np.zeros((2, 2), np.float32), 3],
        lambda x, u, s: np.concatenate([x[:, :3], u], -1),
    ),
    (
        "q: T[...B, L, D], k: T[...B, S, D]",
        "T[...B, L, S]",
        'einsum("... q d, ... k d -> ... q k", q, k)',
        [_normal(2, 2, 3), _normal(2, 4, 3)],
        lambda q, k: q @ k.swapaxes(-1, -2),
    ),
]


@pytest.mark.parametrize(
    ("parameters", "result", "body", "arguments", "expected"), SYMBOLIC, ids=[f"{c[2]} of {c[0]}" for c in SYMBOLIC]
)
@pytest.mark.parametrize("element", ["float32", "float16"])
def test_symbolic_sizes(
    parameters: str, result: str, body: str, arguments: list[Any], expected: Callable[..., Any], element: str
) -> None:
    """Once for a known element type, whose type parameter is float."""
    dtype = mx.float32 if element == "float32" else mx.float16
    module = compiled(
        f"fn f<T: float>({parameters}) -> {result} {{ return {body} }}".replace("T[", f"{element}[").replace(
            "<T: float>", ""
        )
    )
    given = [mx.array(a) if isinstance(a, np.ndarray) else a for a in arguments]
    given = [a.astype(dtype) if isinstance(a, mx.array) and a.dtype == mx.float32 else a for a in given]
    actual = module.f(*given)
    assert actual.dtype == dtype
    tolerance = 1e-5 if element == "float32" else 1e-2
    np.testing.assert_allclose(np.array(actual), expected(*arguments), rtol=tolerance, atol=tolerance)


# Parameters, body, arguments that are refused when it runs, the code and part of the message.
LATE = [
    (
        "x: float32[?, ?], y: float32[N]",
        "x.reshape([N])",
        [_normal(2, 3), _normal(5)],
        "TL5001",
        "`reshape` of `x`: 6 items cannot take a shape of 5",
    ),
    (
        "x: float32[?]",
        "x.reshape([4, -1])",
        [_normal(9)],
        "TL5001",
        "9 items are not divisible by the other sizes, which make 4",
    ),
    (
        "x: float32[?], y: float32[?, 2]",
        "x.reshape([y.shape[0], -1])",
        [_normal(3), _normal(0, 2)],
        "TL5003",
        "-1 cannot be told where the other sizes make 0",
    ),
    (
        "x: float32[N, ?]",
        "squeeze(x, 1)",
        [_normal(3, 2)],
        "TL5001",
        "`squeeze` of `x` at axis -1, which has the size 2: it must be 1",
    ),
    (
        "x: float32[D], n: int",
        "repeat(x, n, 0)",
        [_normal(3), -1],
        "TL5003",
        "`n` of `repeat` is -1: it must be at least 0",
    ),
    (
        "x: float32[D], n: int",
        "pad(x, [(0, n)])",
        [_normal(3), -2],
        "TL5003",
        "a size in `[(0, n)]` is -2: it must be at least 0",
    ),
    (
        "x: float32[2, ?], y: float32[2, ?]",
        "concat([x, y])",
        [_normal(2, 3), _normal(2, 2)],
        "TL5001",
        "`concat` needs equal sizes at axis -1: 3 in item 0, 2 in item 1",
    ),
    ("x: float32[?]", "split(x, 2)[0]", [_normal(3)], "TL5001", "`split` of `x`: 3 cannot be split into 2 equal parts"),
    ("x: float32[?]", "split(x, [1, 3])[0]", [_normal(3)], "TL5001", "`split` of `x`: the parts make 4, the dim is 3"),
    (
        "x: float32[?], i: int32[2]",
        "take(x, i)",
        [_normal(0), np.array([0, 1], np.int32)],
        "TL5003",
        "`take` picks from a dim of `x` of size 0",
    ),
    (
        "x: float32[?, 2], i: int32[3, 2]",
        "gather(x, i, 1)",
        [_normal(2, 2), np.zeros((3, 2), np.int32)],
        "TL5001",
        "`x` has 2 and `i` 3",
    ),
    (
        "x: float32[N], u: float32[1], s: int",
        "slice_update(x, u, [s])",
        [_normal(3), _normal(1), 3],
        "TL5003",
        "of size 3, would end at 4",
    ),
    (
        "x: float32[N], u: float32[1], s: int",
        "slice_update(x, u, [s])",
        [_normal(3), _normal(1), -1],
        "TL5003",
        "starts at -1: it must be at least 0",
    ),
    (
        "x: float32[?]",
        'rearrange(x, "(h k) -> k h", h: 2)',
        [_normal(3)],
        "TL5001",
        "`h k` in the pattern of `rearrange`: the dim 3 is not divisible by 2",
    ),
    (
        "x: float32[?]",
        'rearrange(x, "h -> h 1", h: 2)',
        [_normal(3)],
        "TL5001",
        "`h` in the pattern of `rearrange`: the dim 3 is not 2",
    ),
    (
        "x: float32[?], y: float32[?]",
        'einsum("i, i ->", x, y)',
        [_normal(3), _normal(2)],
        "TL5001",
        "`i` in the pattern of `einsum` is 3, and 2 in `y`",
    ),
    (
        "x: float32[?]",
        "broadcast_to(x, [2, 3])",
        [_normal(1)],
        "TL5001",
        "`broadcast_to` of `x` at axis -1: 1 is not 3",
    ),
]


@pytest.mark.parametrize(("parameters", "body", "arguments", "code", "message"), LATE, ids=[c[1] for c in LATE])
def test_what_only_run_time_knows_is_checked_there(
    parameters: str, body: str, arguments: list[Any], code: str, message: str
) -> None:
    text = f"fn f({parameters}) -> float32[] {{ return sum({body}) }}"
    with pytest.raises(BoundaryError) as caught:
        _run(text, *arguments)
    assert caught.value.code == code
    assert message in caught.value.message
    assert caught.value.where == "case.tl:1"


# --- indices

_IDS = np.array([-1, 7], np.int32)
INDEXED = [
    ("x: float32[3, 2], i: int32[2]", "take(x, i)", lambda x: x[[0, 2]]),
    ("x: float32[3, 2], i: int32[2]", "embedding(i, x)", lambda x: x[[0, 2]]),
    ("x: float32[3, 2], i: int32[2]", "gather(x, i[:, none] + zeros([2, 2], dtype: int32), 0)", lambda x: x[[0, 2]]),
    (
        "x: float32[3, 2], i: int32[2]",
        "scatter(x, i[:, none] + zeros([2, 2], dtype: int32), zeros([2, 2], dtype: float32), 0)[1:3, :]",
        lambda x: x[1:] * [[1], [0]],
    ),
    ("x: float32[3, 2], i: int32[2]", "x[i]", lambda x: x[[0, 2]]),
]


@pytest.mark.parametrize(("parameters", "body", "expected"), INDEXED, ids=[c[1] for c in INDEXED])
def test_indices_are_clamped_or_reported(parameters: str, body: str, expected: Callable[[Array], Any]) -> None:
    text = f"fn f({parameters}) -> float32[2, 2] {{ return {body} }}"
    x = _normal(3, 2)
    np.testing.assert_array_equal(np.array(_run(text, x, _IDS)), expected(x))
    with pytest.raises(BoundaryError, match="the index -1 is out of bounds for a dim of 3") as caught:
        _run(text, x, _IDS, checked=True)
    assert (caught.value.code, caught.value.where) == ("TL5003", "case.tl:1")
    with pytest.raises(BoundaryError, match="the index 3 is out of bounds for a dim of 3"):
        _run(text, x, np.array([2, 3], np.int32), checked=True)
    np.testing.assert_array_equal(
        np.array(_run(text, x, np.array([0, 2], np.int32), checked=True)),
        np.array(_run(text, x, np.array([0, 2], np.int32))),
    )


def test_no_indices_at_all_are_in_bounds() -> None:
    text = "fn f(x: float32[3], i: int32[0]) -> float32[0] { return take(x, i) }"
    assert _run(text, _normal(3), np.zeros(0, np.int32), checked=True).shape == (0,)


def test_the_original_is_not_changed() -> None:
    module = compiled(
        """
        fn f(x: float32[3], i: int32[1], v: float32[1]) -> (float32[3], float32[3], float32[3]) {
            return (scatter(x, i, v, 0), slice_update(x, v, [2]), x)
        }
        """
    )
    x = mx.array([1.0, 2.0, 3.0])
    scattered, updated, same = module.f(x, mx.array([0]), mx.array([9.0]))
    assert scattered.tolist() == [9.0, 2.0, 3.0]
    assert updated.tolist() == [1.0, 2.0, 9.0]
    assert same.tolist() == x.tolist() == [1.0, 2.0, 3.0]


# --- element types


def test_float16_is_rounded_where_the_program_says_so() -> None:
    """Whatever carries it, and whatever it was before."""
    module = compiled(
        """
        fn f(x: float16[1]) -> float32[1] { return (x * x).to(float16).to(float32) }
        fn g(x: float32[1]) -> float32[1] { return x.to(bfloat16).to(float32) }
        fn h(x: int32[1]) -> float32[1] { return x.to(float16).to(float32) }
        """
    )
    x = mx.array([1.0 + 2.0**-10], mx.float16)
    assert module.f(x).item() == np.float16((1.0 + 2.0**-10) ** 2)
    assert module.g(mx.array([1.0 + 2.0**-10])).item() == 1.0
    assert module.h(mx.array([2049])).item() == 2048.0


def test_a_type_parameter_is_what_it_is_at_run_time() -> None:
    module = compiled("fn f<T: float>(x: T[N]) -> T[N] { return (x.to(float32) * 2).to(x.dtype) }")
    for dtype in (mx.float16, mx.bfloat16, mx.float32):
        assert module.f(mx.ones(2, dtype)).dtype == dtype


def test_a_tensor_of_unknown_rank_is_refused_by_name() -> None:
    diagnostic = refusal(
        """
        let model = load_model("m.safetensors")
        let w = model.get_tensor("w")
        print(reshape(w, [3]))
        """
    )
    assert diagnostic.code == "TL3017"


def test_modules_of_their_own_hold_what_they_call() -> None:
    """`--standalone` copies the runtime's functions."""
    text = """
    fn f(x: float32[...B, N], i: int32[2]) -> float32[...B, 3] { return pad(take(x, i, axis: -1), [(0, 1)]) }
    """
    source = compile_text(text, "case.tl", Options(standalone=True)).python
    assert "import tensorlogic" not in source
    scope: dict[str, Any] = {}
    exec(compile(source, "case.py", "exec"), scope)
    assert scope["f"](mx.array([[1.0, 2.0]]), mx.array([1, 9])).tolist() == [[2.0, 2.0, 0.0]]
