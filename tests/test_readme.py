"""What the README shows is what the program does: its programs check, its commands print what stands there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import mlx.core as mx
import pytest
from click.testing import CliRunner

from tensorlogic.cli import main
from tensorlogic.compiler import driver

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(?:`([\w.]+)`:\n\n)?```([\w-]+)\n(.*?)```", README, re.DOTALL)
PROGRAMS = [(name, text) for name, kind, text in BLOCKS if kind.startswith("tensorlogic")]
CONSOLE = [text for _, kind, text in BLOCKS if kind == "console"]
PYTHON = [text for _, kind, text in BLOCKS if kind == "python"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the README's named programs, which is the working directory."""
    for name, text in PROGRAMS:
        if name:
            (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_there_is_something_to_test() -> None:
    assert len(PROGRAMS) >= 4
    assert len(CONSOLE) >= 2
    assert PYTHON


@pytest.mark.parametrize("text", [t for _, kind, t in BLOCKS if kind in ("tensorlogic", "tensorlogic-script")])
def test_programs_check(text: str) -> None:
    assert driver.compile_text(text).diagnostics == () or all(
        d.severity == "note" for d in driver.compile_text(text).diagnostics
    )


@pytest.mark.parametrize("text", CONSOLE)
def test_commands_print_what_is_shown(text: str, folder: Path) -> None:
    command, _, expected = text.partition("\n")
    words = shlex.split(command.removeprefix("$ "))
    assert words[0] == "tlc"
    result = CliRunner().invoke(main, words[1:])
    assert result.output == expected


@pytest.mark.parametrize("text", PYTHON)
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
    script = next(t for _, kind, t in BLOCKS if kind == "tensorlogic-script")
    Path("script.tl").write_text(script, encoding="utf-8")
    result = CliRunner().invoke(main, ["run", "script.tl"])
    assert result.output == "safetensors [2, 3]\n"
    assert Path("copy.safetensors").is_file()


@pytest.mark.parametrize("path", re.findall(r"\]\(([^)h][^)]*)\)", README))
def test_links_lead_somewhere(path: str) -> None:
    assert (ROOT / path).exists()


def test_the_commands_at_the_top_are_targets() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"`?make (\w+)", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_command_of_the_table_exists() -> None:
    for command in re.findall(r"^\| `tlc (\w+)", README, re.MULTILINE):
        assert CliRunner().invoke(main, [command, "--help"]).exit_code == 0
