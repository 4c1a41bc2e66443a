"""What the README of the example application says is what the application does."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from examples.app import __main__ as command
from examples.app.answer import End, Event, Failure, Piece, Waiting
from examples.app.asking import MOST_BYTES, ROLES, parse_question
from examples.app.engine import Question
from examples.app.server import encoded
from tests.documents import ROOT, Page

PAGE = Page("examples/app/README.md")
COMMANDS = [shlex.split(line.removeprefix("$ ")) for text in PAGE.console for line in text.splitlines()]


def test_its_commands_are_understood() -> None:
    (words,) = (words for words in COMMANDS if words[:3] == ["python", "-m", "examples.app"])
    asked = command._arguments(words[3:])
    assert (asked.model, asked.host, asked.port, asked.places) == (Path("model.gguf"), "127.0.0.1", 8000, 8)


def test_its_extras_exist() -> None:
    (words,) = (words for words in COMMANDS if words[0] == "pip")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for extra in re.findall(r"[a-z]+", words[-1]):
        assert re.search(rf"^{extra} = ", project, re.MULTILINE)


def test_its_question_is_one() -> None:
    (words,) = (words for words in COMMANDS if words[0] == "curl")
    body = words[words.index("-d") + 1]
    assert parse_question(body.encode()) == Question([("user", "What is the capital of France?")], max_tokens=100)


def test_its_table_has_all_events() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", PAGE.text, re.MULTILINE))
    events: list[Event] = [Waiting(1), Piece("a"), End("length", 1, 2, 0.5, 0.5), Failure("no")]
    assert len(rows) == len(events)
    for event in events:
        name, data = re.findall(r": (.*)", encoded(event).decode())
        assert [word for word in json.loads(data) if f"`{word}`" not in rows[name]] == []


def test_its_numbers_are_right() -> None:
    question = Question([])
    for name in ("max_tokens", "temperature", "top_p", "seed"):
        assert f"`{name}` ({getattr(question, name):g})" in PAGE.text
    assert f"{MOST_BYTES // 1024} KiB" in PAGE.text
    assert ", ".join(f"`{role}`" for role in ROLES) in PAGE.text


def test_its_files_are_there() -> None:
    named = set(re.findall(r"`([\w/]+\.\w+)`", PAGE.text))
    assert {name for name in named if not (ROOT / "examples/app" / name).exists()} == set()
    files = {path.name for path in (ROOT / "examples/app").iterdir() if path.is_file()}
    assert files - named == {"README.md", "__main__.py"}


def test_its_targets_are_targets() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in re.findall(r"make ([\w-]+)", PAGE.text):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
