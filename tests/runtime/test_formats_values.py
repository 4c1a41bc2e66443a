"""Dense elements on their way from a file into an element type."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats import open_model
from tensorlogic.runtime.formats.values import (
    KEPT,
    PIECE_BYTES,
    ROUNDS_TO_INFINITY,
    STORED,
    Array,
    convert,
    convert_unchecked,
    fill_dense,
    widen_bfloat16,
)
from tests.runtime.model_files import safetensors_bytes

BITS = st.lists(st.integers(0, 2**32 - 1), min_size=1)


def stored(path: Path, storage: str, values: Array) -> Path:
    """A safetensors file of one tensor `w`; BF16 values are given as their bits."""
    data = values.astype(STORED[storage]).tobytes()
    entry = {"dtype": storage, "shape": list(values.shape), "data_offsets": [0, len(data)]}
    path.write_bytes(safetensors_bytes({"w": entry}, data))
    return path


def read(path: Path, dtype: str) -> tuple[Array, int]:
    header, files = open_model(path)
    try:
        info = header.tensors["w"]
        values: Array = np.empty(info.shape, KEPT[dtype])
        return values, fill_dense(files[info.file], info, dtype, values)
    finally:
        for file in files.values():
            file.close()


def refusal(path: Path, dtype: str) -> ModelFileError:
    with pytest.raises(ModelFileError) as caught:
        read(path, dtype)
    assert "`w`" in caught.value.message
    assert str(path) in caught.value.message
    return caught.value


@pytest.mark.parametrize("storage", ["F64", "F32", "F16"])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_floats_round_to_nearest(tmp_path: Path, storage: str, dtype: str) -> None:
    values = np.random.default_rng(1).normal(scale=1000, size=(7, 11)).astype(STORED[storage])
    found, underflows = read(stored(tmp_path / "a.safetensors", storage, values), dtype)
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, values.astype(dtype))
    assert underflows == 0


def test_bfloat16_to_every_type(tmp_path: Path) -> None:
    bits = np.random.default_rng(2).integers(0x3000, 0x4700, 1000).astype(np.uint16)
    path = stored(tmp_path / "a.safetensors", "BF16", bits)
    exact = np.asarray(mx.array(bits).view(mx.bfloat16).astype(mx.float32))
    np.testing.assert_array_equal(read(path, "float32")[0], exact)
    np.testing.assert_array_equal(read(path, "float16")[0], exact.astype(np.float16))
    np.testing.assert_array_equal(read(path, "bfloat16")[0], bits)


@given(BITS)
def test_float32_rounds_to_bfloat16_as_mlx_does(numbers: list[int]) -> None:
    values = np.array(numbers, np.uint32).view(np.float32)
    expected = mx.array(values).astype(mx.bfloat16).astype(mx.float32)
    rounded = np.empty(values.size, np.uint16)
    convert_unchecked("bfloat16", values, rounded)
    found = mx.array(rounded).view(mx.bfloat16).astype(mx.float32)
    assert mx.array_equal(found, expected, equal_nan=True)


@given(st.integers(0x0080, 0x7F7E), st.sampled_from([0, -(2.0**-40), 2.0**-40]), st.sampled_from([0.25, 0.5, 0.75]))
def test_float64_rounds_to_bfloat16_once(bits: int, nudge: float, part: float) -> None:
    """Near a tie a rounding to float32 in between would lose the digits that decide."""
    low, high = widen_bfloat16(np.array([bits, bits + 1], np.uint16)).astype(np.float64)
    value = low + (high - low) * (part + nudge)
    nearer_high = part + nudge > 0.5 or (part + nudge == 0.5 and bits % 2 == 1)
    with tempfile.TemporaryDirectory() as folder:
        found, _ = read(stored(Path(folder) / "a.safetensors", "F64", np.array([value])), "bfloat16")
    assert int(found[0]) == bits + nearer_high


@pytest.mark.parametrize(
    ("storage", "dtype", "largest", "beyond", "offers"),
    [
        ("F32", "float16", 65519.0, 65520.0, "bfloat16"),
        ("F64", "float16", 65519.999, -65520.0, "bfloat16"),
        ("F64", "float32", 3.4028235677973362e38, 3.4028235677973366e38, ""),
        ("F32", "bfloat16", 3.3961773e38, -3.3961775e38, "float32"),
        ("F64", "float16", 1.0, 1e300, ""),
    ],
)
def test_a_finite_value_that_becomes_infinite_is_refused(
    tmp_path: Path, storage: str, dtype: str, largest: float, beyond: float, offers: str
) -> None:
    path = tmp_path / "a.safetensors"
    values, _ = read(stored(path, storage, np.array([largest, -largest, np.inf, -np.inf, np.nan])), dtype)
    wide = widen_bfloat16(values) if dtype == "bfloat16" else values
    assert np.isfinite(wide).tolist() == [True, True, False, False, False]
    error = refusal(stored(path, storage, np.array([1.0, beyond, np.inf, np.nan, -beyond])), dtype)
    assert error.code == "TL4006"
    assert "2 finite values" in error.message
    assert f"{abs(beyond):.6g}" in error.message
    assert error.helps == ((f"load the model with `dtype: {offers}`",) if offers else ())


def test_a_bfloat16_value_that_becomes_infinite_is_refused(tmp_path: Path) -> None:
    error = refusal(stored(tmp_path / "a.safetensors", "BF16", np.array([0x4780, 0x3F80])), "float16")
    assert "1 finite value " in error.message
    assert "65536" in error.message


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_values_that_become_zero_are_counted(tmp_path: Path, dtype: str) -> None:
    values = np.array([1e-60, -1e-60, 0.0, -0.0, 1.0, np.nan, np.inf])
    found, underflows = read(stored(tmp_path / "a.safetensors", "F64", values), dtype)
    assert underflows == 2
    wide = widen_bfloat16(found) if dtype == "bfloat16" else found
    np.testing.assert_array_equal(wide, np.array([0, 0, 0, 0, 1, np.nan, np.inf]))


@pytest.mark.parametrize("storage", ["I8", "I16", "I32", "I64", "U8", "U16", "U32", "U64"])
def test_integers_that_fit_become_int32(tmp_path: Path, storage: str) -> None:
    limits = np.iinfo(STORED[storage])
    values = np.array([max(int(limits.min), -(2**31)), 0, 1, min(int(limits.max), 2**31 - 1)], STORED[storage])
    found, _ = read(stored(tmp_path / "a.safetensors", storage, values), "int32")
    assert found.dtype == np.int32
    assert found.tolist() == values.tolist()


@pytest.mark.parametrize(("storage", "value"), [("I64", 2**31), ("I64", -(2**31) - 1), ("U32", 2**31), ("U64", 2**63)])
def test_integers_that_do_not_fit_are_refused(tmp_path: Path, storage: str, value: int) -> None:
    error = refusal(stored(tmp_path / "a.safetensors", storage, np.array([0, value, 1], STORED[storage])), "int32")
    assert error.code == "TL4007"
    assert str(value) in error.message


def test_truth_values(tmp_path: Path) -> None:
    found, _ = read(stored(tmp_path / "a.safetensors", "BOOL", np.array([[0, 1], [2, 0]])), "bool")
    assert found.tolist() == [[False, True], [True, False]]


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (1,)])
def test_scalars_and_empty_tensors(tmp_path: Path, shape: tuple[int, ...]) -> None:
    found, _ = read(stored(tmp_path / "a.safetensors", "F32", np.ones(shape)), "float16")
    assert found.shape == shape


def test_a_tensor_of_many_pieces(tmp_path: Path) -> None:
    values = np.arange(PIECE_BYTES // 4 * 2 + 5, dtype=np.float32) % 1999
    path = stored(tmp_path / "a.safetensors", "F32", values)
    np.testing.assert_array_equal(read(path, "float16")[0], values.astype(np.float16))
    values[[3, -2, -1]] = 1e9
    assert "3 finite values" in refusal(stored(path, "F32", values), "float16").message


def test_a_file_that_is_cut_while_it_is_open(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.safetensors", "F32", np.ones(10))
    header, files = open_model(path)
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(ModelFileError) as caught:
        fill_dense(files[path], header.tensors["w"], "float16", np.empty(10, np.float16))
    files[path].close()
    assert caught.value.code == "TL4008"


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20), st.sampled_from([2, 4, 8]), st.data())
def test_what_came_out_tells_what_was_lost(numbers: list[int], itemsize: int, data: st.DataObject) -> None:
    """Any bits, in every pair of types: a conversion by itself is the reference."""
    dtype = data.draw(st.sampled_from(["float16", "bfloat16", "float32"]))
    bits = np.array(numbers, np.uint64) >> np.uint64(64 - 8 * itemsize)
    wide = bits.astype(f"u{itemsize}").view(f"f{itemsize}")
    target = np.empty(wide.size, np.uint16 if dtype == "bfloat16" else dtype)
    underflows = convert(dtype, wide, target)
    became = (widen_bfloat16(target) if dtype == "bfloat16" else target).astype(np.float64)
    overflowed = bool(np.any(np.isfinite(wide) & ~np.isfinite(became)))
    assert overflowed == bool(
        np.any(np.isfinite(wide) & (np.abs(wide.astype(np.float64)) >= ROUNDS_TO_INFINITY[dtype]))
    )
    assert underflows == (None if overflowed else int(np.count_nonzero((wide != 0) & (became == 0))))


@pytest.mark.parametrize("storage", ["F64", "F32", "BF16"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_losses_in_every_part_are_counted(tmp_path: Path, storage: str, dtype: str) -> None:
    tiny, size = {"F64": 1e-300, "F32": 1e-44, "BF16": 1e-39}[storage], 600_000
    values = np.ones(size)
    values[::7] = 0
    values[::1000] = -tiny
    bits = values.astype(np.float32).view(np.uint32) >> 16
    path = stored(tmp_path / "a.safetensors", storage, bits if storage == "BF16" else values)
    found, underflows = read(path, dtype)
    is_lost = dtype == "float16" or storage != "BF16"
    assert underflows == (600 if is_lost else 0)
    wide = widen_bfloat16(found) if dtype == "bfloat16" else found
    assert np.count_nonzero(wide) == np.count_nonzero(values) - underflows


@pytest.mark.parametrize("place", [0, 150_000, 599_999])
def test_an_overflow_in_any_part_is_refused(tmp_path: Path, place: int) -> None:
    values = np.zeros(600_000)
    values[place] = 1e300
    for dtype in ("float16", "bfloat16", "float32"):
        error = refusal(stored(tmp_path / "a.safetensors", "F64", values), dtype)
        assert "1 finite value " in error.message
        assert "1e+300" in error.message
