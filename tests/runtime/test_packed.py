"""Packed weights: their elements are exactly GGUF's, and the three operations agree with the expanded matrix."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from tensorlogic.runtime import device, kernels
from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats import PackedLayout
from tensorlogic.runtime.models import load_model
from tensorlogic.runtime.packed import Packed, dense, embedding, linear, matmul
from tests.runtime.model_files import block_size, expanded, random_blocks, write_gguf

BITS = {"Q4_0": 4, "Q4_1": 4, "Q5_0": 5, "Q5_1": 5, "Q8_0": 8}
STORAGES = sorted(BITS)


def packed(tmp_path: Path, storage: str, rows: tuple[int, ...], width: int, seed: int = 1) -> Packed:
    """A random packed tensor of shape (*rows, width)."""
    blocks = random_blocks(storage, rows, width, seed, largest=0.1)
    tensor = load_model(write_gguf(tmp_path / "a.gguf", {"w": (storage, blocks)})).get_tensor("w")
    assert isinstance(tensor, Packed)
    return tensor


@pytest.fixture(params=["our kernels", "MLX's"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose products are tested."""
    if request.param == "MLX's":
        monkeypatch.setattr(kernels, "active", lambda: None)
    assert kernels.active() or request.param == "MLX's"


def close(found: mx.array, expected: mx.array, tolerance: float = 1e-5) -> bool:
    assert found.shape == expected.shape
    difference = np.abs(np.asarray(found.astype(mx.float32) - expected)).max(initial=0)
    return bool(difference <= tolerance * np.abs(np.asarray(expected)).max(initial=1))


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("largest", [1e-6, 1.0, 300.0, 65000.0])
def test_elements_are_exactly_the_files(tmp_path: Path, storage: str, largest: float) -> None:
    """Up to the largest scales, whose biases no float16 holds."""
    blocks = random_blocks(storage, (5, 3), 96, seed=7, largest=largest)
    path = write_gguf(tmp_path / "a.gguf", {"w": (storage, blocks)})
    tensor = load_model(path, dtype="float32").get_tensor("w")
    assert isinstance(tensor, Packed)
    assert (tensor.shape, tensor.ndim, tensor.size) == ((5, 3, 96), 3, 5 * 3 * 96)
    assert (tensor.layout, tensor.dtype) == (PackedLayout(BITS[storage], 32), mx.float32)
    assert tensor.weight.dtype == mx.uint32
    np.testing.assert_array_equal(np.asarray(dense(tensor)), expanded(storage, blocks))


@pytest.mark.parametrize("storage", STORAGES)
def test_every_pattern_of_bits(tmp_path: Path, storage: str) -> None:
    """Blocks whose elements count upwards, so that a swapped element shows by its value."""
    blocks = random_blocks(storage, (64,), 256, seed=3)
    nbytes = block_size(storage)[1]
    view = blocks.reshape(64, 8, nbytes)
    head = nbytes - (32 if storage == "Q8_0" else 16 + 4 * storage.startswith("Q5"))
    body = view[..., head:]
    body[...] = np.arange(body.size, dtype=np.uint64).reshape(body.shape) * 37 % 256
    path = write_gguf(tmp_path / "a.gguf", {"w": (storage, blocks)})
    np.testing.assert_array_equal(
        np.asarray(dense(load_model(path).get_tensor("w"), mx.float32)), expanded(storage, blocks)
    )


@pytest.mark.parametrize("storage", STORAGES)
def test_dense_rounds_once(tmp_path: Path, storage: str) -> None:
    blocks = random_blocks(storage, (16,), 64, seed=2)
    tensor = load_model(write_gguf(tmp_path / "a.gguf", {"w": (storage, blocks)})).get_tensor("w")
    found = dense(tensor)
    assert found.dtype == mx.float16
    np.testing.assert_array_equal(np.asarray(found), expanded(storage, blocks).astype(np.float16))


@pytest.mark.parametrize("storage", STORAGES)
def test_scales_that_are_no_numbers_are_refused(tmp_path: Path, storage: str) -> None:
    blocks = random_blocks(storage, (4,), 64, seed=2)
    blocks[1, :2] = np.array([np.inf], "<f2").view(np.uint8)
    blocks[2, :2] = np.array([np.nan], "<f2").view(np.uint8)
    model = load_model(write_gguf(tmp_path / "a.gguf", {"w": (storage, blocks)}))
    with pytest.raises(ModelFileError, match="2 block scales") as caught:
        model.get_tensor("w")
    assert caught.value.code == "TL4009"


def test_elements_beyond_float16_are_refused_and_counted(tmp_path: Path) -> None:
    blocks = random_blocks("Q8_0", (4,), 64, seed=2, largest=100.0)
    blocks[1, :2] = np.array([600.0], "<f2").view(np.uint8)
    expected = np.abs(expanded("Q8_0", blocks))
    model = load_model(write_gguf(tmp_path / "a.gguf", {"w": ("Q8_0", blocks)}))
    with pytest.raises(ModelFileError) as caught:
        model.get_tensor("w")
    assert caught.value.code == "TL4006"
    assert f"{np.count_nonzero(expected >= 65520)} finite values" in caught.value.message
    assert f"{expected.max():.6g}" in caught.value.message
    assert "bfloat16" in caught.value.helps[0]


def test_ends_beyond_float16_that_no_element_has_are_fine(tmp_path: Path) -> None:
    blocks = random_blocks("Q8_0", (1,), 32, seed=2)
    blocks[0, :2] = np.array([600.0], "<f2").view(np.uint8)
    blocks[0, 2:] = np.arange(32) - 16
    path = write_gguf(tmp_path / "a.gguf", {"w": ("Q8_0", blocks)})
    np.testing.assert_array_equal(np.asarray(dense(load_model(path).get_tensor("w"))), expanded("Q8_0", blocks))


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("left", [(64,), (1, 64), (5, 64), (2, 3, 64), (0, 64)])
@pytest.mark.usefixtures("kernel")
def test_matmul_agrees_with_the_expanded_matrix(tmp_path: Path, storage: str, left: tuple[int, ...]) -> None:
    x = mx.random.normal(left, key=mx.random.key(1))
    w = packed(tmp_path, storage, (96,), 64)
    # What is half precision to a program may be kept in 16 bits.
    assert close(matmul(x, w, transpose=True), x @ dense(w, mx.float32).T, 1e-4)
    w = packed(tmp_path, storage, (64,), 96)
    assert close(matmul(x, w, transpose=False), x @ dense(w, mx.float32))


@pytest.mark.parametrize("left", [(64,), (5, 64), (1, 5, 64), (3, 5, 64), (2, 3, 5, 64), (2, 1, 5, 64), (3, 0, 64)])
@pytest.mark.parametrize("transpose", [True, False])
@pytest.mark.usefixtures("kernel")
def test_matmul_broadcasts_a_stack_of_matrices(tmp_path: Path, left: tuple[int, ...], transpose: bool) -> None:
    x = mx.random.normal(left, key=mx.random.key(1))
    w = packed(tmp_path, "Q4_1", (3, 32) if transpose else (3, 64), 64 if transpose else 32)
    wide = dense(w, mx.float32)
    assert close(matmul(x, w, transpose=transpose), x @ (mx.swapaxes(wide, -1, -2) if transpose else wide))


def test_on_cuda_stacks_of_matrices_are_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in: what the device says of itself."""
    w = packed(tmp_path, "Q4_1", (3, 32), 64)
    monkeypatch.setattr(kernels, "active", lambda: None)
    monkeypatch.setattr(device, "on_cuda", lambda: True)
    x = mx.random.normal((5, 64), key=mx.random.key(1))
    expected = x @ mx.swapaxes(dense(w, mx.float32), -1, -2)
    monkeypatch.setattr(mx, "quantized_matmul", None)
    assert close(matmul(x, w, transpose=True), expected)


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16, mx.float32])
@pytest.mark.usefixtures("kernel")
def test_matmul_keeps_the_type_of_its_left_side(tmp_path: Path, dtype: mx.Dtype) -> None:
    x = mx.random.normal((4, 64), key=mx.random.key(1)).astype(dtype)
    w = packed(tmp_path, "Q4_0", (32,), 64)
    wide = x.astype(mx.float32) @ dense(w, mx.float32).T
    tolerance = 1e-2 if dtype == mx.bfloat16 else 1e-3
    for right in (w, dense(w), dense(w, mx.float32)):
        found = matmul(x, right, transpose=True)
        assert found.dtype == dtype
        assert close(found, wide, tolerance)


@pytest.mark.usefixtures("kernel")
def test_half_precision_meets_packed_weights_in_float32_on_a_cpu(tmp_path: Path) -> None:
    """In float16 MLX's sum of 2048 products there is wrong by more than the result's last digits."""
    x = mx.random.normal((4, 2048), key=mx.random.key(1)).astype(mx.float16)
    w = packed(tmp_path, "Q8_0", (32,), 2048)
    expected = (x.astype(mx.float32) @ dense(w, mx.float32).T).astype(mx.float16)
    assert close(matmul(x, w, transpose=True), expected.astype(mx.float32), 2e-3)


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("rows", [1, 4, 8, 20])
def test_fast_may_round_rows_to_bytes(tmp_path: Path, storage: str, rows: int) -> None:
    """Each item is off by at most 1/254 of the largest of its block of 32."""
    w = packed(tmp_path, storage, (96,), 256)
    x = mx.random.normal((rows, 256), key=mx.random.key(1))
    largest = np.abs(np.asarray(x)).reshape(rows, -1, 32).max(axis=-1).repeat(32, axis=-1)
    exact, fast = (np.asarray(matmul(x, w, transpose=True, fast=chosen)) for chosen in (False, True))
    bound = (largest / 254) @ np.abs(np.asarray(dense(w, mx.float32))).T
    assert rows > 8 or np.abs(fast - exact).max() > 0
    assert (np.abs(fast - exact) <= bound + 1e-5 * np.abs(exact).max()).all()


@pytest.mark.parametrize("storage", STORAGES)
@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16])
def test_what_is_carried_in_float32_is_kept_at_least_as_float16_would(
    tmp_path: Path, storage: str, dtype: mx.Dtype
) -> None:
    """The mean error is at most half of float16's bound, 2^-11 of an item; true half precision is kept whole."""
    w = replace(packed(tmp_path, storage, (96,), 256), dtype=dtype)
    x = mx.random.normal((40, 256), key=mx.random.key(1))
    wide = np.asarray(dense(w, mx.float32), np.float64)
    bound = np.abs(np.asarray(x)).reshape(40, -1, 32).mean(axis=-1).repeat(32, axis=-1) @ np.abs(wide).T * 2.0**-12
    error = np.abs(np.asarray(matmul(x, w, transpose=True)) - np.asarray(x, np.float64) @ wide.T)
    assert (error <= bound + 1e-6 * (np.abs(np.asarray(x)) @ np.abs(wide).T + np.abs(wide).max())).all()
    assert w.activations(mx.float32, fast=False) == "float16"
    assert w.activations(dtype, fast=False) == "float32"
    assert replace(w, dtype=mx.float32).activations(mx.float32, fast=False) == "float32"


def test_fast_changes_nothing_without_our_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    w, x = packed(tmp_path, "Q8_0", (96,), 64), mx.random.normal((3, 64), key=mx.random.key(1))
    bias = mx.ones((96,))
    monkeypatch.setattr(kernels, "active", lambda: None)
    assert mx.array_equal(matmul(x, w, transpose=True), matmul(x, w, transpose=True, fast=True))
    assert mx.array_equal(linear(x, w, bias), linear(x, w, bias, fast=True))


@pytest.mark.parametrize("storage", STORAGES)
def test_embedding_takes_rows_and_clamps_ids(tmp_path: Path, storage: str) -> None:
    w = packed(tmp_path, storage, (10,), 64)
    wide = dense(w, mx.float32)
    ids = mx.array([[0, 9, 3], [-1, 10, 2**31 - 1]], mx.int32)
    rows = mx.array([[0, 9, 3], [0, 9, 9]])
    found = embedding(ids, w, mx.float32)
    assert mx.array_equal(found, wide[rows])
    assert mx.array_equal(embedding(ids, wide), wide[rows])
    assert mx.array_equal(embedding(mx.array([2**32 - 1], mx.uint32), w, mx.float32), wide[9:])
    assert mx.array_equal(embedding(mx.array(4), w, mx.float32), wide[4])


def test_embedding_of_a_stack_and_of_no_ids(tmp_path: Path) -> None:
    w = packed(tmp_path, "Q4_1", (6, 5), 32)
    wide = dense(w, mx.float32)
    assert mx.array_equal(embedding(mx.array([5, 0]), w, mx.float32), wide[mx.array([5, 0])])
    empty = embedding(mx.zeros((2, 0), mx.int32), w)
    assert (empty.shape, empty.dtype) == ((2, 0, 5, 32), device.carried(mx.float16))
    assert embedding(mx.zeros((2, 0), mx.int32), wide).shape == (2, 0, 5, 32)


def test_embedding_gives_the_carried_type(tmp_path: Path) -> None:
    w = packed(tmp_path, "Q4_1", (6,), 32)
    ids = mx.array([1])
    assert embedding(ids, w).dtype == device.carried(mx.float16)
    assert embedding(ids, dense(w)).dtype == device.carried(mx.float16)
    assert embedding(ids, dense(w), mx.float32).dtype == mx.float32
    rounded = embedding(ids, w, mx.float16)
    assert rounded.dtype == mx.float16
    assert mx.array_equal(rounded, dense(w)[1:2])


def test_bytes_in_memory(tmp_path: Path) -> None:
    assert packed(tmp_path, "Q4_1", (8,), 64).nbytes == 8 * 2 * 20


def test_parts_that_do_not_fit_are_a_bug() -> None:
    words, scales = mx.zeros((2, 4), mx.uint32), mx.zeros((2, 1))
    with pytest.raises(AssertionError):
        Packed(words, scales, scales, PackedLayout(4, 32), (2, 64), mx.float16)
