"""Statistics of a file's values: every storage type against NumPy, what float16 would lose, and values in pieces."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tensorlogic.runtime import elements, progress, statistics
from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats import TensorInfo, open_model
from tensorlogic.runtime.formats.values import PIECE_BYTES, STORED, Array, read_pieces, widen_bfloat16
from tensorlogic.runtime.models import load_model, save_model
from tests.runtime.model_files import expanded, random_blocks, safetensors_bytes, write_gguf


def cut_pieces(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Let the bytes of dense tensors come in pieces of at most `size`."""

    def cut(file: io.FileIO, info: TensorInfo, unit: int) -> Iterator[tuple[int, bytes]]:
        for place, piece in read_pieces(file, info, unit):
            for start in range(0, len(piece), size):
                yield place + start, piece[start : start + size]

    monkeypatch.setattr(elements, "read_pieces", cut)


@pytest.fixture(params=[False, True], ids=["whole", "in pieces"])
def pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces so small that every tensor has many, of which the last is not whole."""
    if request.param:
        cut_pieces(monkeypatch, 104)
        monkeypatch.setattr(statistics, "CACHED", 5)
        monkeypatch.setattr(elements, "ROWS_ELEMENTS", 130)


def stored(path: Path, storage: str, array: Array) -> Path:
    """A safetensors file of one tensor `w`; BF16 values are given as their bits."""
    data = array.astype(STORED[storage]).tobytes()
    entry = {"dtype": storage, "shape": list(array.shape), "data_offsets": [0, len(data)]}
    path.write_bytes(safetensors_bytes({"w": entry}, data))
    return path


def measured(path: Path, name: str = "w") -> statistics.Statistics:
    header, files = open_model(path)
    try:
        return statistics.statistics(files, header.tensors[name])
    finally:
        for file in files.values():
            file.close()


def check(found: statistics.Statistics, exact: Array) -> None:
    """Against NumPy in float64."""
    wide = exact.astype(np.float64)
    assert found.count == exact.size
    assert (found.minimum, found.maximum) == (wide.min(), wide.max())
    assert found.mean == pytest.approx(wide.mean(), rel=1e-12, abs=1e-12)
    assert found.rms == pytest.approx(math.sqrt((wide**2).mean()), rel=1e-12)
    assert (found.nans, found.infinities, found.nonzero) == (0, 0, int(np.count_nonzero(exact)))


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("storage", ["F64", "F32", "F16"])
def test_floats(tmp_path: Path, storage: str) -> None:
    array = np.random.default_rng(1).normal(size=(13, 17)).astype(STORED[storage])
    found = measured(stored(tmp_path / "a.safetensors", storage, array))
    check(found, array)
    narrow = array.astype(np.float16)
    assert (found.overflows, found.underflows) == (0, int(np.count_nonzero(array) - np.count_nonzero(narrow)))


@pytest.mark.usefixtures("pieces")
def test_bfloat16(tmp_path: Path) -> None:
    bits = np.random.default_rng(2).integers(0x3000, 0x4700, 1000).astype(np.uint16)
    check(measured(stored(tmp_path / "a.safetensors", "BF16", bits)), widen_bfloat16(bits))


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("storage", ["I64", "I32", "I16", "I8", "U64", "U32", "U16", "U8", "BOOL"])
def test_integers(tmp_path: Path, storage: str) -> None:
    high = 2 if storage == "BOOL" else 100
    array = np.random.default_rng(3).integers(0, high, (13, 17)).astype(STORED[storage])
    array.flat[0], array.flat[1] = 0, 1
    found = measured(stored(tmp_path / "a.safetensors", storage, array))
    check(found, array)
    assert (found.overflow_fraction, found.underflow_fraction) == (0.0, 0.0)
    assert type(found.minimum) is int


def test_large_integers_are_exact(tmp_path: Path) -> None:
    found = measured(stored(tmp_path / "a.safetensors", "I64", np.array([2**63 - 1, -(2**63) + 1], np.int64)))
    assert (found.minimum, found.maximum) == (-(2**63) + 1, 2**63 - 1)


@pytest.mark.usefixtures("pieces")
@pytest.mark.parametrize("storage", ["Q4_0", "Q4_1", "Q8_0"])
def test_quantized_values_are_the_dequantized_ones(tmp_path: Path, storage: str) -> None:
    blocks = random_blocks(storage, (3, 5), 64, seed=4)
    found = measured(write_gguf(tmp_path / "a.gguf", {"w": (storage, blocks)}))
    exact = expanded(storage, blocks)
    check(found, exact)
    assert found.underflows == np.count_nonzero(exact) - np.count_nonzero(exact.astype(np.float16))


@pytest.mark.usefixtures("pieces")
def test_what_mlx_packed(tmp_path: Path) -> None:
    """A triple of three tensors, of which each run of rows takes its own part."""
    blocks = random_blocks("Q4_1", (7, 3), 64, seed=5)
    save_model(load_model(write_gguf(tmp_path / "a.gguf", {"w": ("Q4_1", blocks)})), tmp_path / "b.safetensors")
    check(measured(tmp_path / "b.safetensors"), expanded("Q4_1", blocks))


@pytest.mark.parametrize("pieces_of", [4, 1 << 22])
def test_what_is_not_finite_is_counted_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pieces_of: int) -> None:
    cut_pieces(monkeypatch, pieces_of)
    array = np.array([math.nan, 3, math.inf, -1, -math.inf, 0, math.nan], np.float32)
    found = measured(stored(tmp_path / "a.safetensors", "F32", array))
    assert (found.minimum, found.maximum, found.nans, found.infinities) == (-1, 3, 2, 2)
    assert found.mean == pytest.approx(2 / 3)
    assert found.rms == pytest.approx(math.sqrt(10 / 3))
    assert found.overflows == 0


def test_nothing_finite(tmp_path: Path) -> None:
    found = measured(stored(tmp_path / "a.safetensors", "F32", np.array([math.nan, math.inf], np.float32)))
    assert (found.minimum, found.maximum, found.mean, found.rms) == (None, None, None, None)
    assert (found.nans, found.infinities) == (1, 1)


def test_what_float16_would_lose(tmp_path: Path) -> None:
    """Half a step above its largest number, and half of its smallest, decide; NumPy rounds the same way."""
    edges = [65519.996, 65520.0, 1e30, 2.0**-25, 2.0**-25 * 1.0001, 1e-30, 1.0]
    array = np.array([*edges, *(-edge for edge in edges), 0.0], np.float32)
    found = measured(stored(tmp_path / "a.safetensors", "F32", array))
    with np.errstate(over="ignore"):
        narrow = array.astype(np.float16)
    assert found.overflows == np.count_nonzero(np.isinf(narrow)) == 4
    assert found.underflows == 14 - np.count_nonzero(narrow) == 4
    assert found.overflow_fraction == 4 / 15
    assert found.underflow_fraction == 4 / 14


def test_an_empty_tensor(tmp_path: Path) -> None:
    found = measured(stored(tmp_path / "a.safetensors", "F16", np.zeros((0, 4), np.float16)))
    assert (found.count, found.minimum, found.rms) == (0, None, None)
    assert (found.overflow_fraction, found.underflow_fraction) == (0.0, 0.0)


def test_a_tensor_without_dims(tmp_path: Path) -> None:
    check(measured(stored(tmp_path / "a.safetensors", "F16", np.array(2.5, np.float16))), np.array(2.5))


def test_a_storage_type_that_is_not_read(tmp_path: Path) -> None:
    entry = {"dtype": "C64", "shape": [1], "data_offsets": [0, 8]}
    path = tmp_path / "a.safetensors"
    path.write_bytes(safetensors_bytes({"w": entry}, bytes(8)))
    with pytest.raises(ModelFileError) as caught:
        measured(path)
    assert caught.value.code == "TL4004"


def test_a_file_that_became_shorter(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.safetensors", "F32", np.ones(100))
    header, files = open_model(path)
    with files[path], path.open("r+b") as file:
        file.truncate(100)
        with pytest.raises(ModelFileError) as caught:
            statistics.statistics(files, header.tensors["w"])
    assert caught.value.code == "TL4008"


def test_runs_of_rows_hold_every_row_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elements, "ROWS_ELEMENTS", 100)
    info = TensorInfo("w", "Q8_0", (2, 5, 32), "float16", 1000, 340, Path("a"))
    runs = list(elements.runs_of_rows(info))
    assert [(run.shape, run.offset, run.nbytes) for run in runs] == [
        ((3, 32), 1000, 102),
        ((3, 32), 1102, 102),
        ((3, 32), 1204, 102),
        ((1, 32), 1306, 34),
    ]


def test_what_the_file_keeps_otherwise_is_expanded_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elements, "ROWS_ELEMENTS", 32)
    scales = TensorInfo("s", "F16", (10, 1), "float16", 0, 20, Path("a"))
    info = TensorInfo("w", "GPTQ", (10, 32), "float16", 1000, 340, Path("a"), scales=scales)
    assert list(elements.runs_of_rows(info)) == [info]


def test_progress_is_told_every_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    monkeypatch.setattr(progress, "advanced", told.append)
    path = stored(tmp_path / "a.safetensors", "F32", np.ones(PIECE_BYTES // 2))
    measured(path)
    assert told == [PIECE_BYTES, PIECE_BYTES, 0]


def test_no_more_is_held_than_a_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bytes that are read at once, of a tensor of many pieces."""
    monkeypatch.setattr(elements, "ROWS_ELEMENTS", 64)
    sizes: list[int] = []
    read = elements.runs_of_rows

    def watched(info: TensorInfo) -> list[TensorInfo]:
        runs = list(read(info))
        sizes.extend(run.nbytes for run in runs)
        return runs

    monkeypatch.setattr(elements, "runs_of_rows", watched)
    measured(write_gguf(tmp_path / "a.gguf", {"w": ("Q8_0", random_blocks("Q8_0", (9,), 32, seed=6))}))
    assert sizes == [68, 68, 68, 68, 34]
