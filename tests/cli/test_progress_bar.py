"""The progress bar: only on a terminal, only for long work, and gone without a trace."""

from __future__ import annotations

import io
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tensorlogic.cli.progress import Bar, progress_shown
from tensorlogic.runtime import progress
from tests.cli.terminal import in_terminal
from tests.runtime.model_files import safetensors_bytes

ERASE = "\r\x1b[2K"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "70")
    return Terminal()


def test_short_work_shows_nothing(terminal: Terminal, clock: Clock) -> None:
    bar = Bar(terminal, clock)
    bar.begin("Reading a.gguf", 1000)
    clock.now += 0.5
    bar.advance(1000)
    bar.end()
    assert terminal.getvalue() == ""


def test_long_work_shows_one_line_and_leaves_none(terminal: Terminal, clock: Clock) -> None:
    bar = Bar(terminal, clock)
    bar.begin("Reading a.gguf", 2_000_000)
    clock.now += 1
    bar.advance(500_000)
    drawn = terminal.getvalue()
    assert drawn.startswith(f"{ERASE}Reading a.gguf ")
    assert drawn.endswith("\r")
    assert "0.5/2.0 MB" in drawn
    assert len(drawn.removeprefix(ERASE)) <= 70
    assert "\n" not in drawn
    bar.end()
    assert terminal.getvalue() == drawn + ERASE


def test_it_is_not_drawn_more_often_than_anyone_sees(terminal: Terminal, clock: Clock) -> None:
    bar = Bar(terminal, clock)
    bar.begin("Reading", 1000)
    clock.now += 1
    for _ in range(100):
        clock.now += 0.01
        bar.advance(1)
    assert 8 <= terminal.getvalue().count(ERASE) <= 12


def test_tensors_read_one_after_the_other_are_one_work(terminal: Terminal, clock: Clock) -> None:
    """Each erases its line, since the program may print between them, and the next goes on."""
    bar = Bar(terminal, clock)
    for _ in range(10):
        bar.begin("Reading", 2_000_000)
        clock.now += 0.1
        bar.advance(100_000)
        bar.end()
    assert "1.0/2.0 MB" in terminal.getvalue()
    assert terminal.getvalue().endswith(ERASE)


def test_after_a_pause_the_work_is_new(terminal: Terminal, clock: Clock) -> None:
    bar = Bar(terminal, clock)
    for _ in range(10):
        bar.begin("Reading", 2_000_000)
        clock.now += 0.1
        bar.advance(100_000)
        bar.end()
        clock.now += 1
    assert terminal.getvalue() == ""


def test_a_file_s_name_cannot_control_the_terminal(terminal: Terminal, clock: Clock) -> None:
    bar = Bar(terminal, clock)
    bar.begin("Reading \x1b[2J[red]{task}\n", 1000)
    clock.now += 1
    bar.advance(1)
    assert "\\u{1B}[2J[red]{task}\\n" in terminal.getvalue()


def test_a_narrow_terminal_keeps_one_line(terminal: Terminal, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    bar = Bar(terminal, clock)
    bar.begin("Reading a file of a long name", 1000)
    clock.now += 1
    bar.advance(1)
    line = terminal.getvalue().removeprefix(ERASE).removesuffix("\r")
    assert 0 < len(line) < 20


def test_a_terminal_that_went_away_does_not_stop_the_work(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(Terminal):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    bar = Bar(Gone(), clock)
    bar.begin("Reading", 1000)
    clock.now += 1
    bar.advance(1)
    bar.end()
    assert not bar._is_drawn


@pytest.mark.parametrize(
    ("stream", "term", "listens"),
    [(Terminal(), "xterm", True), (Terminal(), "dumb", False), (io.StringIO(), "", False)],
)
def test_only_a_terminal_listens(
    stream: io.StringIO, term: str, listens: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr("sys.stderr", stream)
    asked: list[int] = []

    def nbytes() -> int:
        asked.append(1)
        return 1

    with progress_shown(), progress.work("Reading", nbytes):
        pass
    with progress.work("Reading", nbytes):
        pass
    assert len(asked) == listens


@pytest.fixture
def large(tmp_path: Path) -> str:
    """A hole of 30 GB, which nobody reads to its end."""
    size = 30_000_000_000
    head = safetensors_bytes({"w": {"dtype": "F32", "shape": [size // 4000, 1000], "data_offsets": [0, size]}})
    path = tmp_path / "large.safetensors"
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + size)
    return str(path)


@pytest.mark.parametrize("where", ["terminal", "stdout elsewhere"])
def test_ctrl_c_leaves_the_terminal_clean(large: str, where: str) -> None:
    """Interrupted once the bar is seen. The bar does not hide the cursor, so nothing has to bring it back."""
    sent: list[bool] = []

    def interrupt(text: str, process: subprocess.Popen[bytes]) -> None:
        if "GB" in text and not sent:
            sent.append(True)
            process.send_signal(signal.SIGINT)

    nowhere = os.open(os.devnull, os.O_WRONLY)
    stdout = nowhere if where != "terminal" else None
    screen = in_terminal("inspect", large, "--stats", columns=80, stdout=stdout, seen=interrupt)
    os.close(nowhere)
    assert screen.status == 130
    assert "Reading large.safetensors" in screen.text
    assert "/30.0 GB" in screen.text
    assert screen.text.endswith(f"{ERASE}tlc: interrupted\n")
    assert "\x1b[?25l" not in screen.text


def test_a_program_that_loads_for_long_shows_it(tmp_path: Path) -> None:
    """Tensors that are read one after the other, each for a moment."""
    count, size = 400, 4_000_000
    entries = {
        f"w{i}": {"dtype": "F32", "shape": [size // 4], "data_offsets": [i * size, (i + 1) * size]}
        for i in range(count)
    }
    head = safetensors_bytes(entries)
    path = tmp_path / "many.safetensors"
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + count * size)
    program = tmp_path / "p.tl"
    program.write_text(
        f'let model = load_model("{path}")\n'
        "while true { for name in model.tensors {\n"
        "    let w = model.get_tensor(name)\n"
        '    if w.shape[0] == 0 { print("empty") }\n'
        "} }\n"
    )
    sent: list[bool] = []

    def interrupt(text: str, process: subprocess.Popen[bytes]) -> None:
        if "GB" in text and not sent:
            sent.append(True)
            process.send_signal(signal.SIGINT)

    screen = in_terminal("run", str(program), seen=interrupt)
    assert "Reading many.safetensors" in screen.text
    assert screen.status == 130
    assert screen.text.endswith("tlc: interrupted\n")
