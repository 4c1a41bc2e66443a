"""Values that became 0 on their way in are counted and told, to those who listen."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from click.testing import CliRunner
from safetensors.numpy import save_file

from tensorlogic.cli import main
from tensorlogic.runtime.models import load_model
from tensorlogic.runtime.outside import converted


@pytest.mark.parametrize(
    ("value", "dtype", "count"),
    [
        ([1e-9, 1.0], mx.float16, "1 value"),
        ([[1e-9], [0.0], [1e-30]], mx.float16, "2 values"),
        (np.array([1e-9, 1e-60]), mx.float16, "2 values"),
        (np.array([1e-9, 1e-60]), mx.bfloat16, "1 value"),
        (np.array([1e-9, 1e-60]), mx.float32, "1 value"),
        (np.array([1e-9, 0.0], np.float32), mx.float16, "1 value"),
        ([np.array([1e-9], np.float32), np.array([1e-9])], mx.float16, "2 values"),
        (np.float64(1e-9), mx.float16, "1 value"),
        (1e-9, mx.float16, "1 value"),
    ],
)
def test_counted_where_they_come_in(value: Any, dtype: mx.Dtype, count: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "tensorlogic"):
        converted(value, "x", dtype, "a tensor", "model.tl:3")
    name = str(dtype).rpartition(".")[2]
    assert caplog.messages == [f"{count} of `x` (model.tl:3) became 0 in {name}"]


@pytest.mark.parametrize("value", [[1.0, 0.0], np.array([6e-8, 0.0]), np.array([3, 0]), 0.0])
def test_nothing_is_said_of_what_is_kept(value: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "tensorlogic"):
        converted(value, "x", mx.float16, "a tensor", "model.tl:3")
    assert caplog.messages == []


def test_of_a_file_s_tensor(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save_file({"w": np.array([1e-9, 1.0], np.float32)}, tmp_path / "m.safetensors")
    model = load_model(tmp_path / "m.safetensors")
    with caplog.at_level(logging.INFO, "tensorlogic"):
        model.get_tensor("w")
    assert caplog.messages == [f"1 value of the tensor `w` of `{tmp_path / 'm.safetensors'}` became 0 in float16"]


def test_verbose_shows_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    save_file({"w": np.array([1e-9, 1.0], np.float32)}, tmp_path / "m.safetensors")
    (tmp_path / "model.tl").write_text('let model = load_model("m.safetensors")\nprint(model.get_tensor("w"))\n')
    quiet, verbose = (CliRunner().invoke(main, ["run", "model.tl", *options]) for options in ([], ["--verbose"]))
    assert (quiet.exit_code, quiet.stdout, quiet.stderr) == (0, "[0.0, 1.0]\n", "")
    assert (verbose.exit_code, verbose.stdout) == (0, "[0.0, 1.0]\n")
    assert verbose.stderr == "tlc: 1 value of the tensor `w` of `m.safetensors` became 0 in float16\n"
    assert logging.getLogger("tensorlogic").handlers == []
