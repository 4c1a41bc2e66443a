"""The chat example as its users run it: questions from a pipe, one question, Ctrl-C within an answer."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.models import SMOLLM2, model_path

CHAT = Path(__file__).parents[2] / "examples" / "chat" / "chat.tl"
SPEED = re.compile(r"\[(\d+) tokens, the first after [\d.]+ ms, [\d.]+ a second\]")


def chat(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tensorlogic", "run", str(CHAT), "--", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, encoding="utf-8")


def test_one_question() -> None:
    out, errors = chat(str(model_path(SMOLLM2)), "What is the capital of France? Answer in one sentence.").communicate()
    answer, speed = out.splitlines()
    assert answer == "The capital of France is Paris."
    assert SPEED.fullmatch(speed)
    assert errors == ""


def test_a_conversation() -> None:
    questions = "What is the capital of France?\n\nRepeat your answer.\n/reset\nWhat is the capital of France?\n"
    process = chat(str(model_path(SMOLLM2)))
    out, errors = process.communicate(questions)
    assert (process.returncode, errors) == (0, "")
    answers = SPEED.split(out.replace("> ", "").replace("\n", ""))[::2]
    assert len(answers) == 4
    assert answers[0] == answers[2] == "The capital of France is Paris."
    assert "Paris" in answers[1]


def test_ctrl_c_ends_an_answer_and_not_the_chat() -> None:
    process = chat(str(model_path(SMOLLM2)))
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("Tell me a long story about a king, in twenty paragraphs.\n")
    process.stdin.flush()
    begun = process.stdout.read(12)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate("What is the capital of France?\n")
    assert (process.returncode, errors) == (0, ""), begun
    first, second = (int(count) for count in SPEED.findall(out))
    assert first < 500
    assert second == 7


@pytest.mark.parametrize(("arguments", "told"), [((), "a chat takes a model's file"), (("no.gguf",), "no.gguf")])
def test_what_is_wrong_is_told(arguments: tuple[str, ...], told: str) -> None:
    process = chat(*arguments)
    out, errors = process.communicate()
    assert (process.returncode, out) == (1, "")
    assert told in errors
    assert "Traceback" not in errors
