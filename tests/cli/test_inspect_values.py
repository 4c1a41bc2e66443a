"""`tlc inspect --stats` and `--diff`: what the command prints of values, and its exit status."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from tensorlogic.cli import main
from tensorlogic.runtime.formats.values import Array
from tensorlogic.runtime.models import load_model, save_model
from tests.cli.terminal import in_terminal
from tests.models import MINILM, SMOLLM2, model_path
from tests.runtime.model_files import gguf_bytes, gguf_entry, random_blocks, safetensors_bytes, write_gguf


def tlc(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["inspect", *map(str, arguments)], prog_name="tlc")


def parsed(*arguments: str | Path) -> Any:
    return json.loads(tlc(*arguments, "--json").stdout)


def stored(path: Path, **tensors: Array) -> Path:
    """A safetensors file of float32 and float16 arrays."""
    header, data = {}, b""
    for name, array in tensors.items():
        end = len(data) + array.nbytes
        kind = {"float32": "F32", "float16": "F16"}[array.dtype.name]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [len(data), end]}
        data += array.tobytes()
    path.write_bytes(safetensors_bytes(header, data))
    return path


def f32(*values: float) -> Array:
    return np.array(values, np.float32)


@pytest.fixture
def first(tmp_path: Path) -> Path:
    return stored(tmp_path / "first.safetensors", a=f32(1, 2), b=f32(1, 2, 3), c=f32(3, 4), d=f32(5))


@pytest.fixture
def second(tmp_path: Path) -> Path:
    b = f32(1, 2, 3).astype(np.float16)
    return stored(tmp_path / "second.safetensors", b=b, c=f32(3, 4.5), d=f32(5, 5), e=f32(0))


def test_statistics(first: Path) -> None:
    result = tlc(first, "--stats")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        "name  type  min  max  mean    rms\n"
        "a     F32     1    2   1.5  1.581\n"
        "b     F32     1    3     2   2.16\n"
        "c     F32     3    4   3.5  3.536\n"
        "d     F32     5    5     5      5\n"
        "\n"
        "No value is NaN or inf.\n"
        "No value would become infinite in float16.\n"
        "No value that is not 0 would become 0 in float16.\n"
        "\n"
        f"file        {first}\n"
        "format      safetensors\n"
        "tensors     4\n"
        "parameters  8\n"
        "size        32 B\n"
    )


def test_statistics_of_values_that_float16_has_not(tmp_path: Path) -> None:
    odd = f32(math.nan, math.inf, 1e6, 1e-9, 2)
    path = stored(tmp_path / "a.safetensors", odd=odd, none=f32(math.nan), fine=f32(1, -1))
    result = tlc(path, "--stats")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[:6] == [
        "name  type    min    max       mean        rms  NaN  inf  to inf  to 0",
        "odd   F32   1e-09  1e+06  3.333e+05  5.774e+05    1    1     20%   20%",
        "none  F32                                         1",
        "fine  F32      -1      1          0          1",
        "",
        "to inf, to 0: the fraction of all values, and of the nonzero ones, that become this in float16.",
    ]
    assert "No value" not in result.stdout
    odd_statistics = parsed(path, "--stats")["tensors"][0]["statistics"]
    assert odd_statistics == {
        "elements": 5,
        "min": pytest.approx(1e-9),
        "max": 1e6,
        "mean": pytest.approx((1e6 + 2) / 3),
        "rms": pytest.approx(math.sqrt((1e12 + 4) / 3)),
        "nan": 1,
        "inf": 1,
        "overflow": 0.2,
        "underflow": 0.2,
    }


def test_nothing_is_said_of_values_that_could_not_be_read(tmp_path: Path) -> None:
    scale = np.array([np.inf], np.float16).tobytes() + bytes(32)
    block = gguf_bytes(entries=[gguf_entry("a", (32,), 8, 0)], data=scale.ljust(64, b"\0"))
    (tmp_path / "a.gguf").write_bytes(block)
    result = tlc(tmp_path / "a.gguf", "--stats")
    assert result.exit_code == 1
    assert "No value" not in result.stdout
    assert "1 block scale" in result.stdout
    entries = [gguf_entry("a", (32,), 8, 0), gguf_entry("b", (1,), 0, 64)]
    (tmp_path / "a.gguf").write_bytes(gguf_bytes(entries=entries, data=scale.ljust(96, b"\0")))
    assert "Of the tensors that could be read:\nNo value is NaN" in tlc(tmp_path / "a.gguf", "--stats").stdout


def test_statistics_of_what_was_chosen(first: Path) -> None:
    found = parsed(first, "--stats", "--filter", "[bc]")
    assert [(t["name"], t["statistics"]["max"]) for t in found["tensors"]] == [("b", 3), ("c", 4)]
    assert "statistics" not in parsed(first)["tensors"][0]


def test_statistics_of_a_narrow_terminal_are_labelled(first: Path) -> None:
    screen = in_terminal("inspect", str(first), "--stats", columns=20, environment={"NO_COLOR": "1"})
    assert screen.text.startswith("a\n  F32  min 1  max 2\n  mean 1.5\n  rms 1.581\nb\n")


def test_a_tensor_that_cannot_be_read_does_not_hide_the_others(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    header = {
        "bad": {"dtype": "C64", "shape": [1], "data_offsets": [0, 8]},
        "good": {"dtype": "F32", "shape": [1], "data_offsets": [8, 12]},
    }
    path.write_bytes(safetensors_bytes(header, bytes(12)))
    result = tlc(path, "--stats")
    assert result.exit_code == 1
    assert "good  F32     0    0     0    0\n" in result.stdout
    assert "\nbad: `" in result.stdout
    assert "[TL4004]\n" in result.stdout
    found = {t["name"]: t["statistics"] for t in parsed(path, "--stats")["tensors"]}
    assert found["bad"]["problem"]["code"] == "TL4004"
    assert found["good"]["elements"] == 1


def test_differences(first: Path, second: Path) -> None:
    result = tlc(first, "--diff", second)
    assert (result.exit_code, result.stderr) == (1, "")
    assert result.stdout == (
        f"Only in {first}: 1\n"
        "name  type  shape\n"
        "a     F32   [2]\n"
        "\n"
        f"Only in {second}: 1\n"
        "name  type  shape\n"
        "e     F32   [1]\n"
        "\n"
        "Different shapes: 1\n"
        "name  shape  shape of the other\n"
        "d     [1]    [2]\n"
        "\n"
        "Different values: 1\n"
        "name  max abs     rms  relative  differing\n"
        "c         0.5  0.3536       0.1        50%\n"
        "\n"
        "Stored differently: 1\n"
        "type  type of the other  tensors\n"
        "F32   F16                      1\n"
        "\n"
        "1 tensor of equal shape and values.\n"
    )


def test_differences_as_json(first: Path, second: Path) -> None:
    assert parsed(first, "--diff", second)["diff"] == {
        "path": str(second),
        "equal": False,
        "equal_tensors": 1,
        "only_first": ["a"],
        "only_second": ["e"],
        "shapes": {"d": [[1], [2]]},
        "storages": {"b": ["F32", "F16"]},
        "values": {
            "c": {
                "max_abs": 0.5,
                "rms": pytest.approx(math.sqrt(0.125)),
                "relative": pytest.approx(0.1),
                "differing": 1,
                "elements": 2,
            }
        },
        "problems": {},
    }


def test_differences_of_what_was_chosen(first: Path, second: Path) -> None:
    result = tlc(first, "--diff", second, "--filter", "b")
    assert result.exit_code == 0
    assert result.stdout.endswith("\nNo difference: 1 tensor of equal shape and values.\n")
    only = tlc(first, "--diff", second, "--filter", "e")
    assert (only.exit_code, "Only in" in only.stdout) == (1, True)
    assert tlc(first, "--diff", second, "--filter", "nothing").exit_code == 1


def test_statistics_and_differences_together(first: Path, second: Path) -> None:
    result = tlc(first, "--stats", "--diff", second)
    assert result.stdout.index("rms") < result.stdout.index("Only in")
    found = parsed(first, "--stats", "--diff", second)
    assert found["tensors"][0]["statistics"]["max"] == 2
    assert found["diff"]["only_first"] == ["a"]


def test_the_other_file_is_no_model(first: Path, tmp_path: Path) -> None:
    result = tlc(first, "--diff", tmp_path / "gone.safetensors")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error[TL4001]")


def test_a_model_converted_is_equal(tmp_path: Path) -> None:
    tensors: dict[str, Array | tuple[str, Array]] = {
        "w": ("Q4_1", random_blocks("Q4_1", (8,), 64, seed=1)),
        "v": np.linspace(0, 1, 9).astype(np.float16),
    }
    source = write_gguf(tmp_path / "a.gguf", tensors)
    save_model(load_model(source), tmp_path / "b.safetensors")
    result = tlc(source, "--diff", tmp_path / "b.safetensors")
    assert result.exit_code == 0
    assert "Q4_1  MLX_4BIT_G32" in result.stdout
    assert result.stdout.endswith("No difference: 2 tensors of equal shape and values.\n")


def test_a_real_model_loses_nothing_but_small_values() -> None:
    """The statistics of two real models, and that they are themselves."""
    smollm2, minilm = model_path(SMOLLM2), model_path(MINILM)
    norm = parsed(smollm2, "--stats", "--filter", "output_norm.weight")["tensors"][0]["statistics"]
    assert (norm["elements"], norm["min"], norm["max"], norm["overflow"]) == (576, -2.125, 3.34375, 0)
    query = parsed(smollm2, "--stats", "--filter", "blk.0.attn_q.weight")["tensors"][0]["statistics"]
    assert query["rms"] == pytest.approx(0.2839, abs=1e-4)
    assert tlc(minilm, "--diff", minilm).exit_code == 0
