"""Weights that share their left operand, joined: the products are those of the parts."""

from __future__ import annotations

import weakref
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats.header import PackedLayout
from tensorlogic.runtime.joining import joined, why_apart
from tensorlogic.runtime.models import load_model
from tensorlogic.runtime.packed import Packed, Tensor, dense, embedding, matmul
from tensorlogic.runtime.saving import save_model
from tests.runtime.model_files import random_blocks, write_gguf

LAYOUTS = [
    *(PackedLayout(bits, group) for bits in (2, 3, 4, 5, 6, 8) for group in (32, 64, 128)),
    PackedLayout(4, 32, "mxfp4"),
    PackedLayout(8, 32, "mxfp8"),
    PackedLayout(4, 16, "nvfp4"),
]
ROWS = (64, 32, 33, 1)


def random(*shape: int, seed: int = 0) -> mx.array:
    return mx.random.normal(shape, key=mx.random.key(seed))


def packed(values: mx.array, layout: PackedLayout, dtype: mx.Dtype = mx.float16) -> Packed:
    words, scales, *biases = mx.quantize(values, layout.group_size, layout.bits, layout.mode)
    return Packed(words, scales, biases[0] if biases else None, layout, tuple(values.shape), dtype)


def products(x: mx.array, weights: list[Tensor]) -> mx.array:
    return mx.concatenate([matmul(x, weight, transpose=True) for weight in weights], axis=-1)


def equal(a: mx.array, b: mx.array) -> bool:
    """Bit by bit."""
    return a.dtype == b.dtype and a.shape == b.shape and bool(mx.array_equal(a, b))


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: f"{layout.mode}{layout.bits}g{layout.group_size}")
@pytest.mark.parametrize("count", [1, 7])
def test_packed_weights(layout: PackedLayout, count: int) -> None:
    parts: list[Tensor] = [packed(random(rows, 256, seed=rows), layout) for rows in ROWS]
    whole = joined(parts)
    assert isinstance(whole, Packed)
    assert (whole.shape, whole.layout, whole.dtype) == ((130, 256), layout, mx.float16)
    for dtype in (mx.float32, mx.float16):
        x = random(count, 256).astype(dtype)
        assert equal(matmul(x, whole, transpose=True), products(x, parts))
    assert equal(dense(whole), mx.concatenate([dense(part) for part in parts]))
    assert equal(embedding(mx.array([65]), whole), embedding(mx.array([1]), parts[1]))


@pytest.mark.parametrize("dtype", [mx.float32, mx.float16, mx.bfloat16])
def test_dense_weights(dtype: mx.Dtype) -> None:
    parts: list[Tensor] = [random(rows, 96, seed=rows).astype(dtype) for rows in ROWS]
    whole, x = joined(parts), random(5, 96).astype(dtype)
    assert whole.dtype == dtype
    assert equal(dense(whole), mx.concatenate([dense(part) for part in parts]))
    expected = products(x.astype(mx.float32), [dense(part, mx.float32) for part in parts])
    found = matmul(x.astype(mx.float32), dense(whole, mx.float32), transpose=True)
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=1e-5, atol=1e-5)


def test_scales_of_different_types_are_widened_exactly() -> None:
    layout = PackedLayout(4, 32)
    wide = packed(random(8, 64), layout)
    assert wide.biases is not None
    half = Packed(
        wide.weight, wide.scales.astype(mx.float16), wide.biases.astype(mx.float16), layout, wide.shape, wide.dtype
    )
    whole, x = joined([half, wide]), random(3, 64)
    assert isinstance(whole, Packed)
    assert whole.scales.dtype == mx.float32
    assert equal(matmul(x, whole, transpose=True), products(x, [half, wide]))


def test_stacks_and_vectors() -> None:
    layout = PackedLayout(4, 32)
    stacks: list[Tensor] = [packed(random(3, rows, 64, seed=rows), layout) for rows in (4, 8)]
    whole, x = joined(stacks), random(3, 2, 64)
    assert whole.shape == (3, 12, 64)
    assert equal(matmul(x, whole, transpose=True), products(x, stacks))
    biases = joined([mx.array([1.0, 2.0]), mx.array([3.0])])
    assert dense(biases).tolist() == [1, 2, 3]
    alone = random(2, 2)
    assert joined([alone]) is alone


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ([], "there is nothing to join"),
        ([mx.array(1.0)], "`0` is a scalar"),
        ([random(2, 3), random(2, 4)], "`0` is of shape [O, 3], `1` is of shape [O, 4]"),
        ([random(2, 3), random(2, 3), random(3)], "`0` is of shape [O, 3], `2` is of shape [O]"),
        ([random(5, 2, 3), random(4, 2, 3)], "`0` is of shape [5, O, 3], `1` is of shape [4, O, 3]"),
        ([random(2, 3), random(2, 3).astype(mx.float16)], "`0` is float32, `1` is float16"),
        (
            [packed(random(2, 64), PackedLayout(4, 32)), random(2, 64).astype(mx.float16)],
            "`0` is packed in 4 bits, groups of 32 and the mode affine, `1` is dense",
        ),
        (
            [packed(random(2, 64), PackedLayout(4, 32)), packed(random(2, 64), PackedLayout(4, 32, "mxfp4"))],
            "`0` is packed in 4 bits, groups of 32 and the mode affine, "
            "`1` is packed in 4 bits, groups of 32 and the mode mxfp4",
        ),
    ],
)
def test_what_cannot_be_joined(parts: list[Tensor], reason: str) -> None:
    assert why_apart(parts) == reason
    with pytest.raises(ValueError, match="weights cannot be joined: "):
        joined(parts)


def test_a_model_joins_its_tensors_once(tmp_path: Path) -> None:
    blocks = {name: ("Q4_0", random_blocks("Q4_0", (rows,), 64, rows)) for name, rows in (("q", 8), ("k", 4), ("v", 4))}
    model = load_model(write_gguf(tmp_path / "m.gguf", blocks))
    whole = model.get_joined(["q", "k", "v"])
    assert isinstance(whole, Packed)
    assert whole.shape == (16, 64)
    assert model.get_joined(("q", "k", "v")) is whole
    assert model.unused == ()
    x = random(2, 64)
    assert equal(matmul(x, whole, transpose=True), products(x, [model.get_tensor(name) for name in "qkv"]))
    kept = weakref.ref(whole)
    del whole
    assert kept() is None


def test_the_parts_are_freed(tmp_path: Path) -> None:
    save_model({"a": random(4, 8), "b": random(2, 8)}, tmp_path / "m.safetensors")
    model = load_model(tmp_path / "m.safetensors")
    part = model.get_tensor("a")
    alive = weakref.ref(part)
    whole = model.get_joined(["a", "b"])
    del part
    assert alive() is None
    assert whole.shape == (6, 8)


def test_a_model_says_why_it_cannot_join(tmp_path: Path) -> None:
    save_model({"q.weight": random(4, 8), "k.weight": random(2, 9)}, tmp_path / "m.safetensors")
    with pytest.raises(ModelFileError) as raised:
        load_model(tmp_path / "m.safetensors").get_joined(["q.weight", "k.weight"])
    assert raised.value.code == "TL4045"
    assert raised.value.message == (
        f"tensors of `{tmp_path / 'm.safetensors'}` cannot be joined: "
        "`q.weight` is of shape [O, 8], `k.weight` is of shape [O, 9]"
    )
