"""docs/models.md shows what the program does: its commands print what stands there, its programs run."""

from __future__ import annotations

import shutil
from pathlib import Path

import mlx.core as mx
import pytest
from click.testing import CliRunner

from tensorlogic.cli import main
from tensorlogic.runtime.formats.gguf.types import STORAGES
from tests.documents import Page, assert_prints
from tests.models import MINILM, model_path

PAGE = Page("docs/models.md")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the model that the page speaks of, a tokenizer and its programs, which is the working directory."""
    PAGE.write_programs(tmp_path)
    weight = (mx.arange(64 * 32).reshape(64, 32) / 1000).astype(mx.float16)
    tensors = {"layer.weight": weight, "layer.bias": mx.zeros((64,), mx.float32)}
    mx.save_safetensors(str(tmp_path / "model.safetensors"), tensors, metadata={"format": "pt"})
    shutil.copy(model_path(MINILM) / "tokenizer.json", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("text", PAGE.console)
def test_commands_print_what_is_shown(text: str, folder: Path) -> None:
    assert_prints(text)


@pytest.mark.parametrize("text", PAGE.right_programs())
def test_programs_run(text: str, folder: Path) -> None:
    (folder / "program.tl").write_text(text, encoding="utf-8")
    result = CliRunner().invoke(main, ["run", "program.tl"])
    assert result.exit_code == 0
    expected = "[101, 7592, 1010, 2088, 999, 102] hello, world! 30522\n" if "load_tokenizer" in text else "[64, 64]"
    assert result.output.startswith(expected)


@pytest.mark.parametrize("text", PAGE.python)
def test_python_runs(text: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exec(text, {})
    assert sorted(capsys.readouterr().out.splitlines()) == [
        "layer.bias (64,) mlx.core.float32",
        "layer.weight (64, 32) mlx.core.float16",
    ]


def test_every_type_of_gguf_stands_in_the_table() -> None:
    for storage in STORAGES.values():
        assert storage.name in PAGE.text or storage.name in ("F32", "F16", "BF16", "F64", "I8", "I16", "I32", "I64")
