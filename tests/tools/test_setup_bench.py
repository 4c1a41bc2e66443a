"""What `make bench` installs besides: named once, in the project, and never at the price of another MLX."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import pytest

from tools import setup_bench


def test_every_package_is_pinned() -> None:
    found = setup_bench.requirements(setup_bench.PROJECT)
    assert [re.split("[=]=", each)[0] for each in found] == ["llama-cpp-python", "mlx-lm"]
    assert all(re.fullmatch(r"[a-z-]+==[0-9.]+", each) for each in found)


def test_what_is_installed_is_kept() -> None:
    assert setup_bench.constraints(["mlx", "there-is-no-such-package"]) == [f"mlx=={version('mlx')}"]


def test_what_is_installed_is_known() -> None:
    assert setup_bench.is_installed(f"mlx=={version('mlx')}")
    assert not setup_bench.is_installed("mlx==0.0.1")
    assert not setup_bench.is_installed("there-is-no-such-package==1.0")


def test_a_package_that_cannot_be_installed_is_a_line_and_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project = tmp_path / "pyproject.toml"
    missing = tmp_path / "missing-1.0.whl"
    project.write_text(f'[project.optional-dependencies]\nbench = ["missing @ {missing.as_uri()}"]\n', encoding="utf-8")
    monkeypatch.setattr(setup_bench, "PROJECT", project)
    assert setup_bench.main() == 0
    said = capsys.readouterr()
    assert said.out.startswith("Installing missing @")
    (line,) = said.err.splitlines()
    assert "is not compared with, since it cannot be installed: ERROR: " in line
