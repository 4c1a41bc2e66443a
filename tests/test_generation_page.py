"""docs/generation.md shows what the program does: its commands print what stands there, its programs run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tensorlogic.runtime.architectures import MODULES
from tensorlogic.runtime.generating import generate as documented
from tests.documents import Page, assert_prints
from tests.models import SMOLLM2, model_path

PAGE = Page("docs/generation.md")
ROOT = Path(__file__).parent.parent


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the page's programs and SmolLM2 as `model.gguf`, which is the working directory."""
    PAGE.write_programs(tmp_path)
    (tmp_path / "model.gguf").symlink_to(model_path(SMOLLM2))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("text", PAGE.console)
def test_commands_print_what_is_shown(text: str, folder: Path) -> None:
    assert_prints(text)


def test_python_runs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answered, own = PAGE.python
    exec(answered, {})
    assert capsys.readouterr().out == "The capital of France is Paris."
    (text,) = (text for name, kind, text in PAGE.blocks if kind == "tensorlogic")
    (folder / "own.tl").write_text(text, encoding="utf-8")
    names: dict[str, Any] = {}
    exec(own, names)
    assert capsys.readouterr().out != ""
    assert (names["logits"].shape[0], names["net"].D) == (1, 576)


def test_every_setting_and_architecture_stands_in_a_table() -> None:
    settings = set(documented.__annotations__) - {"model", "prompt", "return"}
    assert {name for name in settings if f"`{name}`" not in PAGE.text} == set()
    assert {name for name in MODULES if f"`{name}`" not in PAGE.text} == set()


def test_lines_are_counted() -> None:
    lines = len((ROOT / "tensorlogic/stdlib/models/llama.tl").read_text(encoding="utf-8").splitlines())
    assert f"`stdlib/models/llama.tl` is {lines} lines" in PAGE.text
