"""`python -m examples.app`: the real model, Ctrl-C, and what keeps it from serving, each told in one message."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.app.__main__ import main
from tests.documents import ROOT
from tests.examples.app.script import chat, close_all, post
from tests.models import GEMMA3, SMOLLM2, model_path

QUESTION = "What is the capital of France? Answer in one sentence."


@pytest.fixture
def served() -> Iterator[tuple[subprocess.Popen[str], int]]:
    """The application as a user starts it, and its port."""
    command = [sys.executable, "-m", "examples.app", str(model_path(SMOLLM2)), "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert "Reading" in process.stdout.readline()
            found = re.fullmatch(
                r"Serving at http://127\.0\.0\.1:(\d+) \(Ctrl-C ends it\)\n", process.stdout.readline()
            )
            assert found
            yield process, int(found[1])
        finally:
            close_all()
            process.kill()


def test_a_real_model_answers_and_ctrl_c_ends_it(served: tuple[subprocess.Popen[str], int]) -> None:
    process, port = served
    assert post(port, chat(QUESTION)).text() == "The capital of France is Paris."
    too_long = post(port, chat("word " * 9000))
    assert too_long.status == 400
    assert re.fullmatch(r"the prompt has 9\d+ tokens; the model's context has room for 8192", too_long.error())
    assert post(port, chat("\ud800")).error() == "a text in messages is not Unicode: surrogates not allowed"
    # In the middle of an answer.
    events = post(port, chat("Count to a thousand.", max_tokens=4000)).events()
    while next(events)[0] != "piece":
        pass
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert (output.strip(), errors) == ("", "")
    assert list(events)[-1] == ("failure", {"error": "the server is being stopped"})


def test_ctrl_c_ends_it_while_the_model_is_read(tmp_path: Path) -> None:
    endless = tmp_path / "endless.gguf"
    os.mkfifo(endless)
    command = [sys.executable, "-m", "examples.app", str(endless), "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert "Reading" in process.stdout.readline()
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=20)
        finally:
            process.kill()
    assert (process.returncode, errors) == (130, "interrupted\n")


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 1
    errors = capsys.readouterr().err
    assert errors.startswith("error: ")
    assert "Traceback" not in errors
    return errors.removeprefix("error: ").rstrip("\n")


def test_a_port_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        message = refused(capsys, "model.gguf", "--port", str(port))
    assert message == f"cannot listen on 127.0.0.1, port {port}: Address already in use"


def test_a_host_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "model.gguf", "--host", "no such host").startswith(
        "cannot listen on no such host, port 8000: "
    )


def test_a_model_that_is_missing_or_broken(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    missing = tmp_path / "missing.gguf"
    assert str(missing) in refused(capsys, str(missing), "--port", "0")
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(100))
    assert str(broken) in refused(capsys, str(broken), "--port", "0")


def test_it_starts_from_any_folder(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "examples" / "app"), "missing.gguf", "--port", "0"]
    done = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "error: cannot open the model file `missing.gguf`: No such file or directory [TL4001]\n"


def test_a_model_that_is_no_chat_model(capsys: pytest.CaptureFixture[str]) -> None:
    message = refused(capsys, str(model_path(GEMMA3)), "--port", "0")
    assert "has no chat template" in message
    assert "help: " in message


def test_libraries_that_are_not_installed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "examples.app.server", raising=False)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    message = refused(capsys, "model.gguf", "--port", "0")
    assert message == "the library `uvicorn` is not installed\n  help: pip install --editable '.[app,text]'"


@pytest.mark.parametrize(
    "arguments", [[], ["model.gguf", "--port", "65536"], ["model.gguf", "--port", "x"], ["model.gguf", "--places", "0"]]
)
def test_wrong_arguments(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage: python -m examples.app" in capsys.readouterr().err
