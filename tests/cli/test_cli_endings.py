"""How `tlc` ends: statuses, bugs, interrupts, closed pipes, colour, and what it loads."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from tensorlogic.cli import main, reporting
from tensorlogic.compiler.diagnostics import error
from tests.cli.conftest import FakeDriver

Tlc = Callable[..., Result]


@pytest.fixture
def program(folder: Path) -> str:
    Path("model.tl").write_text("fine\n", encoding="utf-8")
    return "model.tl"


def test_a_bug_asks_for_a_report(tlc: Tlc, driver: FakeDriver, program: str) -> None:
    driver.raises = ZeroDivisionError("division by zero\nsecond line")
    result = tlc("check", program)
    assert (result.exit_code, result.stdout) == (70, "")
    assert result.stderr == (
        "error[TL9001]: the compiler failed: ZeroDivisionError: division by zero\n"
        "   = note: this is a bug in tlc 1.2.3, whatever the program is\n"
        "   = help: please report it with the program, and with what `--verbose` adds to this\n"
    )


@pytest.mark.parametrize("command", ["check", "compile", "run"])
def test_verbose_adds_the_traceback(tlc: Tlc, driver: FakeDriver, program: str, command: str) -> None:
    driver.raises = AssertionError()
    result = tlc(command, "--verbose", program)
    assert result.exit_code == 70
    assert result.stderr.startswith("Traceback (most recent call last)")
    assert "error[TL9001]: the compiler failed: AssertionError\n" in result.stderr
    assert "--verbose" not in result.stderr.partition("error[")[2]


def test_the_environment_asks_for_the_traceback(
    tlc: Tlc, driver: FakeDriver, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.raises = KeyError("x")
    monkeypatch.setenv("TENSORLOGIC_DEBUG", "1")
    assert "Traceback" in tlc("check", program).stderr
    monkeypatch.setenv("TENSORLOGIC_DEBUG", "0")
    assert "Traceback" not in tlc("check", program).stderr


def test_interrupted(tlc: Tlc, driver: FakeDriver, program: str) -> None:
    driver.raises = KeyboardInterrupt()
    result = tlc("check", program)
    assert (result.exit_code, result.output) == (130, "tlc: interrupted\n")


def test_a_closed_pipe_is_quiet(tlc: Tlc, driver: FakeDriver, program: str) -> None:
    driver.raises = BrokenPipeError()
    result = tlc("check", program)
    assert (result.exit_code, result.output) == (141, "")


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        (OSError(28, "No space left on device"), "tlc: No space left on device\n"),
        (OSError(13, "Permission denied", b"x.py"), "tlc: x.py: Permission denied\n"),
        (OSError("odd"), "tlc: odd\n"),
        (MemoryError(), "tlc: out of memory\n"),
    ],
)
def test_what_the_machine_refuses(tlc: Tlc, driver: FakeDriver, program: str, problem: Exception, message: str) -> None:
    driver.raises = problem
    result = tlc("check", program)
    assert (result.exit_code, result.output) == (1, message)
    assert "Traceback" in tlc("check", "--verbose", program).stderr


@pytest.mark.parametrize("arguments", [("nonsense",), ("check", "--nonsense", "x"), ()])
def test_a_wrong_command_line(tlc: Tlc, arguments: tuple[str, ...]) -> None:
    result = tlc(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Usage: tlc" in result.stderr


def test_version_and_help(tlc: Tlc) -> None:
    assert tlc("--version").output == "tlc 1.2.3\n"
    overview = tlc("-h").output
    for name in ("check", "compile", "explain", "inspect", "run"):
        assert f"  {name} " in overview
        assert tlc(name, "--help").output.startswith(f"Usage: tlc {name} ")


def test_the_status_can_be_had_without_exiting(driver: FakeDriver, program: str) -> None:
    result = CliRunner().invoke(main, ["check", "missing.tl"], standalone_mode=False)
    assert (result.exit_code, result.return_value) == (0, 1)


class Terminal:
    def __init__(self, terminal: bool) -> None:
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal

    def fileno(self) -> int:
        raise OSError


@pytest.mark.parametrize(
    ("terminal", "environment", "colored"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
        (True, {"TERM": "dumb"}, False),
        (False, {"FORCE_COLOR": "1"}, True),
        (False, {"FORCE_COLOR": "0"}, False),
        (True, {"FORCE_COLOR": "1", "TERM": "dumb"}, True),
        (True, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_color_only_at_a_terminal(
    terminal: bool, environment: dict[str, str], colored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "stderr", Terminal(terminal))
    shown: list[str] = []
    monkeypatch.setattr(click, "echo", lambda text, err, color: shown.append(text))
    reporting.show_diagnostics([error("TL1001", "m")])
    assert ("\033[" in shown[0]) is colored


def test_the_width_is_the_terminal_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "44")
    assert reporting.width_of(Terminal(True)) == 44  # type: ignore[arg-type]
    assert reporting.width_of(Terminal(False)) == 120  # type: ignore[arg-type]
    monkeypatch.setenv("COLUMNS", "many")
    assert reporting.width_of(Terminal(True)) == 120  # type: ignore[arg-type]
    assert reporting.width_of(None) == 120


def python_process(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, check=False, env={**os.environ, **environment}
    )


def test_the_package_runs_as_a_module() -> None:
    done = python_process("-m", "tensorlogic", "explain", "TL9001")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"TL9001: a bug in the compiler\n")


def test_a_page_reaches_a_terminal_without_unicode() -> None:
    done = python_process("-m", "tensorlogic", "explain", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, b"")


def test_explain_loads_no_compiler_and_no_arrays() -> None:
    code = (
        "import sys; from tensorlogic.cli import main\n"
        "main(['explain', 'TL3001'], standalone_mode=False)\n"
        "heavy = ('mlx', 'numpy', 'ply', 'rich', 'gguf', 'tensorlogic.compiler.driver', 'tensorlogic.runtime.errors')\n"
        "print(*(name for name in heavy if name in sys.modules), file=sys.stderr, end='')"
    )
    done = python_process("-c", code)
    assert (done.returncode, done.stderr) == (0, b"")


def test_closed_outputs_are_no_failure() -> None:
    done = subprocess.run(["sh", "-c", f"'{sys.executable}' -m tensorlogic explain TL9001 >&- 2>&-"], check=False)
    assert done.returncode == 0


def test_a_reader_that_leaves_early(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "tensorlogic", "explain"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    message = process.stderr.read()
    process.stderr.close()
    assert (process.wait(), message) == (141, b"")
