"""What the README shows is what the program does: its programs check, its commands print what stands there."""

from __future__ import annotations

import re
from pathlib import Path

import mlx.core as mx
import pytest
from click.testing import CliRunner

from tensorlogic.cli import main
from tensorlogic.compiler import driver
from tests.documents import ROOT, Page, assert_prints

PAGE = Page("README.md")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the README's named programs, which is the working directory."""
    PAGE.write_programs(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_there_is_something_to_test() -> None:
    assert len(PAGE.programs) >= 4
    assert len(PAGE.console) >= 2
    assert PAGE.python


@pytest.mark.parametrize("text", PAGE.right_programs())
def test_programs_check(text: str) -> None:
    assert driver.compile_text(text).diagnostics == () or all(
        d.severity == "note" for d in driver.compile_text(text).diagnostics
    )


@pytest.mark.parametrize("text", PAGE.console)
def test_commands_print_what_is_shown(text: str, folder: Path) -> None:
    assert_prints(text)


@pytest.mark.parametrize("text", PAGE.python)
def test_python_runs(text: str, folder: Path) -> None:
    import sys

    before = list(sys.meta_path)
    scope: dict[str, object] = {}
    try:
        exec(text, scope)
    finally:
        sys.meta_path[:] = before
    forward = scope["module"].forward  # type: ignore[attr-defined]
    half = mx.float16
    assert forward(mx.ones((1, 2), half), mx.ones((2, 1), half), mx.ones((1,), half)).tolist() == [[3.0]]


def test_the_script_on_models_runs(folder: Path) -> None:
    mx.save_safetensors("model.safetensors", {"layer.0.weight": mx.ones((2, 3), mx.float16)})
    script = next(t for _, kind, t in PAGE.blocks if kind == "tensorlogic-script")
    Path("script.tl").write_text(script, encoding="utf-8")
    result = CliRunner().invoke(main, ["run", "script.tl"])
    assert result.output == "safetensors [2, 3]\n"
    assert Path("copy.safetensors").is_file()


@pytest.mark.parametrize("path", re.findall(r"\]\(([^)h][^)]*)\)", PAGE.text))
def test_links_lead_somewhere(path: str) -> None:
    assert (ROOT / path).exists()


def test_the_commands_at_the_top_are_targets() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`?make (\w+)", PAGE.text):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_command_of_the_table_exists() -> None:
    for command in re.findall(r"^\| `tlc (\w+)", PAGE.text, re.MULTILINE):
        assert CliRunner().invoke(main, [command, "--help"]).exit_code == 0
