"""Every quantized type of GGUF: its elements through our path are those of GGUF's own library."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from tensorlogic.runtime import reading
from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats.gguf.repacked import REPACKINGS
from tensorlogic.runtime.formats.header import PackedLayout
from tensorlogic.runtime.models import FloatType, load_model
from tensorlogic.runtime.packed import Packed, Tensor, dense, embedding, matmul
from tests.memory import IS_COUNTED, WHY_NOT, resident
from tests.runtime.model_files import (
    BLOCK_TYPES,
    Array,
    block_size,
    expanded,
    random_blocks,
    set_scales,
    write_gguf,
)

PACKED_ON_A_CPU = sorted(set(REPACKINGS) - {"Q2_K", "Q3_K", "Q6_K"})
WIDTH = 512
LARGEST = {"NVFP4": 64.0}
"""The largest scales; those of NVFP4 are small."""


def blocks_of(storage: str, rows: int = 12, largest: float = 1.0) -> Array:
    """Random blocks whose first rows are the rare ones: all bytes zero, scales zero, subnormal and large."""
    blocks = random_blocks(storage, (rows,), WIDTH, seed=11, largest=min(largest, LARGEST.get(storage, largest)))
    view = blocks.reshape(rows, -1, block_size(storage)[1])
    view[0] = 0
    for row, scale in enumerate((0.0, 6e-8, -6e-5, 60000.0 if largest > 1000 else 1.0), start=1):
        if storage != "NVFP4" or scale < 100:
            set_scales(storage, view[row : row + 1], np.full((1, view.shape[1]), scale, np.float16))
    return blocks


def load(tmp_path: Path, storage: str, blocks: Array, dtype: FloatType = "float16", *, whole: bool = False) -> Tensor:
    path = write_gguf(tmp_path / "a.gguf", {"w": (storage, blocks)})
    return load_model(path, dtype=dtype, dequantize=whole).get_tensor("w")


@pytest.mark.parametrize("storage", BLOCK_TYPES)
@pytest.mark.parametrize("largest", [1.0, 30000.0])
def test_elements_in_float32_are_exact(tmp_path: Path, storage: str, largest: float) -> None:
    blocks = blocks_of(storage, largest=largest)
    tensor = load(tmp_path, storage, blocks, "float32", whole=True)
    assert isinstance(tensor, mx.array)
    assert tensor.dtype == mx.float32
    np.testing.assert_array_equal(np.asarray(tensor), expanded(storage, blocks))


@pytest.mark.parametrize("storage", BLOCK_TYPES)
def test_elements_in_float16_are_rounded_once(tmp_path: Path, storage: str) -> None:
    blocks = blocks_of(storage)
    tensor = load(tmp_path, storage, blocks, whole=True)
    assert tensor.dtype == mx.float16
    np.testing.assert_array_equal(np.asarray(tensor), expanded(storage, blocks).astype(np.float16))


@pytest.mark.parametrize("storage", ["Q6_K", "IQ2_XS", "Q4_K"])
def test_elements_in_bfloat16_are_rounded_once(tmp_path: Path, storage: str) -> None:
    blocks = blocks_of(storage, largest=30000.0)
    tensor = load(tmp_path, storage, blocks, "bfloat16", whole=True)
    expected = mx.array(expanded(storage, blocks)).astype(mx.bfloat16)
    assert tensor.dtype == mx.bfloat16
    assert mx.array_equal(dense(tensor), expected)


@pytest.mark.parametrize("storage", PACKED_ON_A_CPU)
def test_what_mlx_multiplies_by_stays_packed(tmp_path: Path, storage: str) -> None:
    tensor = load(tmp_path, storage, blocks_of(storage))
    assert isinstance(tensor, Packed)
    # Words take the bits that elements have, and scales little beside them.
    assert tensor.weight.nbytes == tensor.size * tensor.layout.bits // 8
    assert tensor.scales.itemsize == np.dtype(REPACKINGS[storage].kept).itemsize


@pytest.mark.parametrize("storage", PACKED_ON_A_CPU)
def test_products_and_rows_are_those_of_the_expanded_matrix(tmp_path: Path, storage: str) -> None:
    blocks = blocks_of(storage)
    w = load(tmp_path, storage, blocks)
    values = expanded(storage, blocks)
    x = np.random.default_rng(1).normal(size=(3, WIDTH)).astype(np.float32)
    wide = x.astype(np.float64) @ values.T.astype(np.float64)
    # What is half precision to a program our kernels may keep in 16 bits.
    tolerance = 2e-5 * (np.abs(x) @ np.abs(values).T).max()
    np.testing.assert_allclose(np.asarray(matmul(mx.array(x), w, transpose=True)), wide, rtol=0, atol=tolerance)
    left = np.random.default_rng(2).normal(size=(2, len(values))).astype(np.float32)
    found = np.asarray(matmul(mx.array(left), w, transpose=False))
    tolerance = 2e-6 * (np.abs(left) @ np.abs(values)).max()
    np.testing.assert_allclose(found, left @ values, rtol=0, atol=tolerance)
    rows = np.asarray(embedding(mx.array([[7, 0], [3, 11]]), w, mx.float32))
    np.testing.assert_array_equal(rows, values[[[7, 0], [3, 11]]])


@pytest.mark.parametrize("storage", sorted(REPACKINGS))
def test_every_repacking_is_exact_where_a_device_takes_it(
    tmp_path: Path, storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Groups of 16, too, which MLX expands everywhere."""
    monkeypatch.setattr(reading, "accepts", lambda layout, dtype: True)
    blocks = blocks_of(storage)
    tensor = load(tmp_path, storage, blocks, "float32")
    assert isinstance(tensor, Packed)
    np.testing.assert_array_equal(np.asarray(dense(tensor)), expanded(storage, blocks))
    x = mx.random.normal((2, WIDTH), key=mx.random.key(1))
    found, wide = matmul(x, tensor, transpose=True), x @ dense(tensor).T
    assert mx.allclose(found, wide, rtol=1e-5, atol=1e-5 * float(mx.abs(wide).max()))


@pytest.mark.parametrize("storage", sorted(REPACKINGS))
def test_what_a_device_does_not_take_is_expanded(tmp_path: Path, storage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[PackedLayout] = []

    def refuse(layout: PackedLayout, dtype: mx.Dtype) -> bool:
        asked.append(layout)
        return False

    monkeypatch.setattr(reading, "accepts", refuse)
    blocks = blocks_of(storage)
    tensor = load(tmp_path, storage, blocks)
    assert isinstance(tensor, mx.array)
    np.testing.assert_array_equal(np.asarray(tensor), expanded(storage, blocks).astype(np.float16))
    assert len(asked) == 1


@pytest.mark.parametrize("storage", BLOCK_TYPES)
def test_vectors_stacks_and_no_elements(tmp_path: Path, storage: str) -> None:
    blocks = random_blocks(storage, (2, 3), WIDTH, seed=5, largest=0.5)
    values = expanded(storage, blocks)
    empty = np.zeros((0, blocks.shape[-1]), np.uint8)
    tensors = {"stack": (storage, blocks), "vector": (storage, blocks[0, 0]), "empty": (storage, empty)}
    model = load_model(write_gguf(tmp_path / "a.gguf", tensors), dtype="float32")
    np.testing.assert_array_equal(np.asarray(dense(model.get_tensor("stack"))), values)
    vector = model.get_tensor("vector")
    assert isinstance(vector, mx.array)
    np.testing.assert_array_equal(np.asarray(vector), values[0, 0])
    assert dense(model.get_tensor("empty")).shape == (0, WIDTH)


@pytest.mark.parametrize("storage", BLOCK_TYPES)
def test_scales_that_are_no_numbers_are_refused(tmp_path: Path, storage: str) -> None:
    blocks = random_blocks(storage, (4,), WIDTH, seed=2)
    view = blocks.reshape(4, -1, block_size(storage)[1])
    if storage in ("MXFP4", "NVFP4"):
        view[2, 1, 0] = 255
    else:
        set_scales(storage, view[2:3, :1], np.array([[np.inf]], np.float16))
        set_scales(storage, view[3:, :1], np.array([[np.nan]], np.float16))
    with pytest.raises(ModelFileError, match=r"scales (that )?are inf or NaN") as caught:
        load(tmp_path, storage, blocks)
    assert caught.value.code == "TL4009"


@pytest.mark.parametrize("storage", sorted(set(BLOCK_TYPES) - {"NVFP4", "TQ1_0"}))
def test_elements_beyond_float16_are_refused_and_counted(tmp_path: Path, storage: str) -> None:
    """The elements of the two types left out are no larger than a float16 scale, or than 2688."""
    blocks = random_blocks(storage, (4,), WIDTH, seed=2, largest=0.5)
    view = blocks.reshape(4, -1, block_size(storage)[1])
    set_scales(storage, view[1:2], np.full((1, view.shape[1]), 60000.0, np.float16))
    magnitudes = np.abs(expanded(storage, blocks))
    beyond = int(np.count_nonzero(magnitudes >= 65520))
    assert beyond > 0
    with pytest.raises(ModelFileError) as caught:
        load(tmp_path, storage, blocks)
    assert caught.value.code == "TL4006"
    assert f"{beyond} finite value" in caught.value.message
    assert f"{magnitudes.max():.6g}" in caught.value.message
    assert "bfloat16" in caught.value.helps[0]
    np.testing.assert_array_equal(
        np.asarray(dense(load(tmp_path, storage, blocks, "float32"))), expanded(storage, blocks)
    )


@pytest.mark.parametrize("storage", ["Q6_K", "IQ1_M", "IQ2_S"])
def test_expanded_elements_that_become_zero_are_counted(tmp_path: Path, storage: str) -> None:
    blocks = random_blocks(storage, (4,), WIDTH, seed=2, largest=1e-5)
    values = expanded(storage, blocks)
    model = load_model(write_gguf(tmp_path / "a.gguf", {"w": (storage, blocks)}))
    model.get_tensor("w")
    lost = np.count_nonzero(values) - np.count_nonzero(values.astype(np.float16))
    assert dict(model.underflows) == ({"w": lost} if lost else {})


def test_nvfp4_scales_have_no_sign_and_one_zero_more(tmp_path: Path) -> None:
    """127 stands for 0 in ggml, and a sign is not looked at."""
    blocks = random_blocks("NVFP4", (4,), WIDTH, seed=2)
    view = blocks.reshape(4, -1, 36)
    view[1, :, :4] = 0x7F
    view[2, :, :4] |= 0x80
    tensor = load(tmp_path, "NVFP4", blocks, "float32")
    np.testing.assert_array_equal(np.asarray(dense(tensor)), expanded("NVFP4", blocks))
    assert not np.asarray(dense(tensor))[1].any()


@pytest.mark.parametrize("storage", BLOCK_TYPES)
def test_what_kind_of_quantization_a_model_has(tmp_path: Path, storage: str) -> None:
    tensors: dict[str, Array | tuple[str, Array]] = {
        "w": (storage, random_blocks(storage, (4,), WIDTH, seed=2)),
        "other": ("Q8_0", random_blocks("Q8_0", (1,), WIDTH, seed=2)),
        "norm": np.ones(100_000, np.float32),
    }
    assert load_model(write_gguf(tmp_path / "a.gguf", tensors)).metadata.quantization == storage


@pytest.mark.skipif(not IS_COUNTED, reason=WHY_NOT)
@pytest.mark.parametrize("storage", ["Q4_0", "Q4_K", "MXFP4", "Q6_K", "IQ2_S"])
def test_nothing_is_held_beside_the_result(tmp_path: Path, storage: str) -> None:
    """A few pieces, whatever the size: what NumPy holds is counted, and what stays in memory is the result."""
    row = random_blocks(storage, (1,), 2048, seed=1, largest=0.01)
    # Once before, so that GGUF's library and its tables are there.
    load(tmp_path, storage, row)
    model = load_model(
        write_gguf(tmp_path / "b.gguf", {"w": (storage, np.repeat(row, 12_000_000 // row.size, axis=0))})
    )
    before = resident()
    tracemalloc.start()
    try:
        tensor = model.get_tensor("w")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6_000_000
    assert resident() - before < tensor.nbytes + 6_000_000


def test_a_tensor_of_many_pieces(tmp_path: Path) -> None:
    for storage in ("Q5_K", "Q6_K", "Q4_0"):
        blocks = random_blocks(storage, (700,), WIDTH, seed=4)
        tensor = load(tmp_path, storage, blocks, "float32")
        np.testing.assert_array_equal(np.asarray(dense(tensor)), expanded(storage, blocks))
