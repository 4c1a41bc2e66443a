"""Comparing two models: names, shapes, storage types, and how far values are apart."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from tensorlogic.runtime import comparing, elements
from tensorlogic.runtime.comparing import Comparison, compare
from tensorlogic.runtime.formats import open_model
from tensorlogic.runtime.formats.values import STORED, Array
from tensorlogic.runtime.models import load_model, save_model
from tests.runtime.model_files import expanded, random_blocks, safetensors_bytes, write_gguf
from tests.runtime.test_statistics import cut_pieces

RANDOM = np.random.default_rng(1)


def stored(path: Path, tensors: dict[str, tuple[str, Array]]) -> Path:
    header, data = {}, b""
    for name, (storage, array) in tensors.items():
        more = array.astype(STORED[storage]).tobytes()
        header[name] = {
            "dtype": storage,
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + len(more)],
        }
        data += more
    path.write_bytes(safetensors_bytes(header, data))
    return path


def compared(first: Path, second: Path) -> Comparison:
    (one, files), (two, other_files) = open_model(first), open_model(second)
    try:
        return compare((one.tensors, files), (two.tensors, other_files))
    finally:
        for file in (*files.values(), *other_files.values()):
            file.close()


def both(folder: Path, storage: str, a: Array, other_storage: str, b: Array) -> Comparison:
    one = stored(folder / "a.safetensors", {"w": (storage, a)})
    return compared(one, stored(folder / "b.safetensors", {"w": (other_storage, b)}))


def test_a_model_equals_itself(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.safetensors", {"w": ("F32", np.ones(3)), "v": ("I64", np.arange(4))})
    found = compared(path, path)
    assert not found.differs
    assert found.equal == 2


def test_names_shapes_and_storages(tmp_path: Path) -> None:
    first = {"a": ("F32", np.ones(3)), "b": ("F32", np.ones((2, 3))), "c": ("F32", np.ones(2))}
    second = {"b": ("F32", np.ones((3, 2))), "c": ("F16", np.ones(2)), "d": ("F32", np.ones(1))}
    found = compared(stored(tmp_path / "a.safetensors", first), stored(tmp_path / "b.safetensors", second))
    assert (found.only_first, found.only_second) == (["a"], ["d"])
    assert found.shapes == {"b": ((2, 3), (3, 2))}
    assert found.storages == {"c": ("F32", "F16")}
    assert (found.equal, found.values, found.differs) == (1, {}, True)


def test_equal_values_stored_differently_are_no_difference(tmp_path: Path) -> None:
    found = both(tmp_path, "F32", np.array([1.0, 0.5]), "F16", np.array([1.0, 0.5]))
    assert found.storages == {"w": ("F32", "F16")}
    assert not found.differs


@pytest.mark.parametrize("step", [7, 1 << 17])
def test_how_far_values_are_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    monkeypatch.setattr(comparing, "CACHED", step)
    cut_pieces(monkeypatch, 4 * step + 4)
    a = RANDOM.normal(size=(11, 13)).astype(np.float32)
    b = a.copy()
    b[3, 4] += 0.25
    b[5, 6] -= 0.5
    distance = both(tmp_path, "F32", a, "F32", b).values["w"]
    apart = a.astype(np.float64) - b
    assert (distance.count, distance.differing) == (143, 2)
    assert distance.maximum == np.abs(apart).max()
    assert distance.rms == pytest.approx(math.sqrt((apart**2).mean()))
    assert distance.relative == pytest.approx(math.sqrt((apart**2).sum() / (a.astype(np.float64) ** 2).sum()))


def test_a_nan_equals_a_nan_and_zeros_are_equal(tmp_path: Path) -> None:
    a, b = np.array([math.nan, 0.0, math.inf]), np.array([math.nan, -0.0, math.inf])
    assert not both(tmp_path, "F32", a, "F32", b).differs
    assert not both(tmp_path, "F32", a, "F64", b).differs


@pytest.mark.parametrize("other", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_infinitely_far(tmp_path: Path, other: float) -> None:
    distance = both(tmp_path, "F32", np.array([1.0, 2.0]), "F32", np.array([1.0, other])).values["w"]
    assert (distance.differing, distance.maximum, distance.rms, distance.relative) == (1, *[math.inf] * 3)


def test_an_infinity_that_both_have_does_not_hide_the_rest(tmp_path: Path) -> None:
    distance = both(tmp_path, "F32", np.array([math.inf, 2.0]), "F32", np.array([math.inf, 3.0])).values["w"]
    assert (distance.differing, distance.maximum) == (1, 1.0)
    assert distance.relative == pytest.approx(0.5)


def test_against_zeros(tmp_path: Path) -> None:
    distance = both(tmp_path, "F32", np.zeros(4), "F32", np.ones(4)).values["w"]
    assert (distance.rms, distance.relative) == (1.0, math.inf)


def test_integers_that_float64_does_not_tell_apart(tmp_path: Path) -> None:
    a, b = np.array([2**62, 5], np.int64), np.array([2**62 + 1, 5], np.int64)
    distance = both(tmp_path, "I64", a, "I64", b).values["w"]
    assert distance.differing == 1
    assert not both(tmp_path, "I64", np.array([5, 6]), "U8", np.array([5, 6])).differs


@pytest.mark.parametrize("storage", ["Q4_0", "Q4_1", "Q8_0"])
def test_between_formats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, storage: str) -> None:
    monkeypatch.setattr(elements, "ROWS_ELEMENTS", 100)
    blocks = random_blocks(storage, (9,), 64, seed=2)
    quantized = write_gguf(tmp_path / "a.gguf", {"w": (storage, blocks)})
    exact = expanded(storage, blocks)
    assert not compared(quantized, stored(tmp_path / "b.safetensors", {"w": ("F32", exact)})).differs
    save_model(load_model(quantized), tmp_path / "c.safetensors")
    packed = compared(quantized, tmp_path / "c.safetensors")
    assert list(packed.storages) == ["w"]
    assert not packed.differs
    exact[8, 63] += 1
    changed = compared(quantized, stored(tmp_path / "d.safetensors", {"w": ("F32", exact)}))
    assert (changed.values["w"].differing, changed.values["w"].count) == (1, 576)


def test_equal_bytes_are_not_decoded(tmp_path: Path) -> None:
    """Even of a storage type that cannot be read; where the bytes differ, it is told as a problem."""
    entry = {"w": {"dtype": "C64", "shape": [1], "data_offsets": [0, 8]}}
    paths = [tmp_path / f"{name}.safetensors" for name in "abc"]
    for path, data in zip(paths, (bytes(8), bytes(8), b"12345678"), strict=True):
        path.write_bytes(safetensors_bytes(entry, data))
    assert compared(paths[0], paths[1]).equal == 1
    found = compared(paths[0], paths[2])
    assert found.differs
    assert found.problems["w"].code == "TL4004"


def test_the_parts_of_a_packed_weight_are_compared(tmp_path: Path) -> None:
    """Two triples with equal words, but of other scales."""
    blocks = random_blocks("Q4_1", (2,), 64, seed=3)
    save_model(load_model(write_gguf(tmp_path / "a.gguf", {"w": ("Q4_1", blocks)})), tmp_path / "a.safetensors")
    halves = blocks.reshape(-1, 20)[:, :2].copy().view("<f2") * np.float16(2)
    blocks.reshape(-1, 20)[:, :2] = halves.view(np.uint8)
    save_model(load_model(write_gguf(tmp_path / "b.gguf", {"w": ("Q4_1", blocks)})), tmp_path / "b.safetensors")
    assert list(compared(tmp_path / "a.safetensors", tmp_path / "b.safetensors").values) == ["w"]


def test_empty_tensors_are_equal(tmp_path: Path) -> None:
    assert both(tmp_path, "F32", np.zeros((0, 3)), "F16", np.zeros((0, 3))).equal == 1
