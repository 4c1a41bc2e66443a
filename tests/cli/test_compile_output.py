"""`tlc compile` with the compiler itself: what it writes, where, whole or not at all, and that it runs."""

from __future__ import annotations

import os
import resource
import runpy
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mlx.core as mx
import pytest
from click.testing import CliRunner, Result

import tensorlogic
from tensorlogic.cli import main

TEXT = """\
/// Twice.
fn twice(x: float16[N]) -> float16[N] { return x + x }
print(twice(ones([2])))
"""
WRONG = "fn twice(x: float16[N]) -> float16[N] { return x + y }\n"
OLD = "# what was here before\n"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(tensorlogic.__file__).parent.parent)}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a program."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.tl").write_text(TEXT)
    return tmp_path


def tlc(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, prog_name="tlc")


def files(folder: Path) -> list[str]:
    """Every file, hidden ones too, so that what is left behind is seen."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def works(module: Path) -> bool:
    """Whether a module that was written computes what the program says."""
    twice = runpy.run_path(str(module), run_name="module")["twice"]
    return bool(twice(mx.ones((2,), mx.float16)).tolist() == [2.0, 2.0])


# --- where it goes


def test_beside_the_program(folder: Path) -> None:
    result = tlc("compile", "model.tl")
    assert (result.exit_code, result.output) == (0, "")
    assert files(folder) == ["model.py", "model.tl"]
    assert works(folder / "model.py")


def test_a_module_is_a_script(folder: Path) -> None:
    tlc("compile", "model.tl")
    command = [sys.executable, "model.py"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=ENVIRONMENT)
    assert (done.stdout, done.stderr) == ("[2.0, 2.0]\n", "")


def test_to_another_file_and_folder(folder: Path) -> None:
    (folder / "out").mkdir()
    assert tlc("compile", "model.tl", "-o", "out/other.py").exit_code == 0
    assert tlc("compile", "-o", str(folder / "full path.py"), "model.tl").exit_code == 0
    assert files(folder) == ["full path.py", "model.tl", "out/other.py"]
    assert works(folder / "out" / "other.py")
    assert works(folder / "full path.py")


def test_to_stdout_the_same_bytes(folder: Path) -> None:
    tlc("compile", "model.tl")
    for arguments in (("-o", "-"), ("--emit", "py")):
        assert tlc("compile", "model.tl", *arguments).stdout == (folder / "model.py").read_text()
    assert files(folder) == ["model.py", "model.tl"]


def test_the_same_bytes_from_any_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "parts").mkdir()
    (folder / "parts" / "part.tl").write_text("fn more(x: float16[N]) -> float16[N] { return x * 3 }\n")
    (folder / "model.tl").write_text('from "parts/part.tl" import more\n' + TEXT + "print(more(ones([1])))\n")
    tlc("compile", "model.tl", "-o", "here.py")
    monkeypatch.chdir(folder / "parts")
    assert tlc("compile", "../model.tl", "-o", "../there.py").exit_code == 0
    assert tlc("compile", str(folder / "model.tl"), "-o", str(folder / "full.py")).exit_code == 0
    here, there, full = ((folder / f"{name}.py").read_bytes() for name in ("here", "there", "full"))
    assert here == there == full
    assert str(folder).encode() not in here


@pytest.mark.parametrize("name", ["two words.tl", "größe.tl", "class.tl", "1.tl", "a.b.tl", "-dash.tl", "__init__.tl"])
def test_any_name_of_a_file(folder: Path, name: str) -> None:
    (folder / name).write_text(TEXT)
    assert tlc("compile", "--", name).exit_code == 0
    assert works(folder / f"{name.removesuffix('.tl')}.py")


def test_windows_newlines_and_a_byte_order_mark(folder: Path) -> None:
    tlc("compile", "model.tl", "-o", "plain.py")
    (folder / "model.tl").write_bytes(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())
    assert tlc("compile", "model.tl", "-o", "windows.py").exit_code == 0
    assert (folder / "windows.py").read_bytes() == (folder / "plain.py").read_bytes()


@pytest.mark.parametrize("option", ["--strict", "--fast", "--checked", "--standalone"])
def test_options_make_modules_that_work(folder: Path, option: str) -> None:
    assert tlc("compile", "model.tl", option, "-o", "out.py").exit_code == 0
    assert works(folder / "out.py")


# --- what is there already


def test_its_own_module_is_replaced(folder: Path) -> None:
    tlc("compile", "model.tl")
    (folder / "model.tl").write_text(TEXT.replace("Twice.", "Two times."))
    assert tlc("compile", "model.tl").exit_code == 0
    assert "Two times." in (folder / "model.py").read_text()
    assert files(folder) == ["model.py", "model.tl"]


def test_another_file_is_replaced_only_when_it_is_named(folder: Path) -> None:
    (folder / "model.py").write_text(OLD)
    result = tlc("compile", "model.tl")
    assert result.exit_code == 2
    assert "`model.py` exists and was not written by tlc" in result.stderr
    assert (folder / "model.py").read_text() == OLD
    assert tlc("compile", "model.tl", "-o", "model.py").exit_code == 0
    assert works(folder / "model.py")


def test_a_module_that_was_changed_by_hand_is_still_its_own(folder: Path) -> None:
    tlc("compile", "model.tl")
    module = folder / "model.py"
    module.write_text(module.read_text() + "changed = True\n")
    assert tlc("compile", "model.tl").exit_code == 0
    assert "changed = True" not in module.read_text()


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("model.tl", "is the program itself"),
        ("./model.tl", "is the program itself"),
        ("out", "it is a folder"),
        (".", "it is a folder"),
        ("missing/model.py", "there is no folder `missing`"),
        ("model.tl/model.py", "there is no folder `model.tl`"),
    ],
)
def test_what_cannot_be_an_output(folder: Path, output: str, said: str) -> None:
    (folder / "out").mkdir()
    result = tlc("compile", "model.tl", "-o", output)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert (folder / "model.tl").read_text() == TEXT
    assert files(folder) == ["model.tl"]


def test_a_link_stays_a_link_and_its_file_keeps_its_permissions(folder: Path) -> None:
    (folder / "real").mkdir()
    real = folder / "real" / "module.py"
    real.write_text(OLD)
    real.chmod(0o640)
    (folder / "link.py").symlink_to(real)
    assert tlc("compile", "model.tl", "-o", "link.py").exit_code == 0
    assert (folder / "link.py").is_symlink()
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    assert works(real)
    assert files(folder) == ["link.py", "model.tl", "real/module.py"]


# --- whole or not at all


def test_a_wrong_program_writes_nothing(folder: Path) -> None:
    tlc("compile", "model.tl")
    before = (folder / "model.py").read_bytes()
    (folder / "model.tl").write_text(WRONG)
    for arguments in ((), ("-o", "model.py"), ("-o", "new.py"), ("-o", "-")):
        result = tlc("compile", "model.tl", *arguments)
        assert (result.exit_code, result.stdout) == (1, "")
        assert "error[TL1001]" in result.stderr
    assert files(folder) == ["model.py", "model.tl"]
    assert (folder / "model.py").read_bytes() == before


def limited(size: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("existing", [True, False])
def test_a_file_that_cannot_be_written_whole(folder: Path, existing: bool) -> None:
    """The operating system refuses every byte after the hundredth, as a full disk would."""
    if existing:
        (folder / "out.py").write_text(OLD)
    before = files(folder)
    command = [sys.executable, "-B", "-m", "tensorlogic", "compile", "model.tl", "-o", "out.py"]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=limited(100), env=ENVIRONMENT)
    assert done.returncode == 1
    assert "out.py" in done.stderr
    assert "Traceback" not in done.stderr
    assert "TL9" not in done.stderr
    assert files(folder) == before
    if existing:
        assert (folder / "out.py").read_text() == OLD


def test_a_folder_that_takes_no_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "out.py").write_text(OLD)

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", "out.py")

    monkeypatch.setattr(os, "replace", refuse)
    result = tlc("compile", "model.tl", "-o", "out.py")
    assert result.exit_code == 1
    assert "out.py" in result.stderr
    assert "Permission denied" in result.stderr
    assert files(folder) == ["model.tl", "out.py"]
    assert (folder / "out.py").read_text() == OLD


def test_a_reader_sees_the_old_file_or_the_new_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the last step the file holds what it held, and that step is one rename."""
    (folder / "out.py").write_text(OLD)
    seen: list[str] = []
    rename = os.replace

    def watched(source: str | Path, target: str | Path) -> None:
        seen.append(Path(target).read_text())
        rename(source, target)
        seen.append(Path(target).read_text())

    monkeypatch.setattr(os, "replace", watched)
    assert tlc("compile", "model.tl", "-o", "out.py").exit_code == 0
    assert seen == [OLD, (folder / "out.py").read_text()]
    assert works(folder / "out.py")
