"""Which browser `make test-browser` takes, and what it says where none can be had. Nothing is installed here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tools import setup_browser


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine without a browser; gives a folder that is on its PATH."""
    monkeypatch.setattr(setup_browser, "FOR_MAC", tmp_path / "none")
    monkeypatch.setattr(setup_browser, "_downloaded", lambda: None)
    monkeypatch.delenv(setup_browser.VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def program(path: Path) -> str:
    path.write_text("#!/bin/sh\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def test_the_one_on_the_path_is_taken_and_the_named_one_before_it(bare: Path) -> None:
    assert setup_browser.find_chromium() is None
    chrome = program(bare / "google-chrome")
    assert setup_browser.find_chromium() == chrome
    chromium = program(bare / "chromium")
    assert setup_browser.find_chromium() == chromium
    named = program(bare / "mine")
    assert setup_browser.find_chromium({setup_browser.VARIABLE: named, "PATH": str(bare)}) == named


def test_a_named_one_that_is_not_there_is_told(
    bare: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program(bare / "chromium")
    monkeypatch.setenv(setup_browser.VARIABLE, "/no/such/browser")
    assert setup_browser.main() == 1
    assert "TENSORLOGIC_CHROMIUM names /no/such/browser, which is no program" in capsys.readouterr().err


def test_each_way_is_tried_and_told(
    bare: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fails = [sys.executable, "-c", "import sys; sys.exit('E: not reached')"]
    does_nothing = [sys.executable, "-c", ""]
    monkeypatch.setattr(setup_browser, "_ways", lambda: [[fails], [does_nothing]])
    monkeypatch.setattr(setup_browser, "install_playwright", lambda: None)
    assert setup_browser.main() == 1
    message = capsys.readouterr().err
    assert message.startswith("error: no Chromium could be had\n")
    assert "E: not reached" in message
    assert "it left none behind" in message
    assert "help: install Chromium or Chrome" in message


def test_what_a_way_installs_is_found(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = bare / "chromium"
    makes = [sys.executable, "-c", f"import os; os.close(os.open({str(path)!r}, os.O_CREAT, 0o755))"]
    monkeypatch.setattr(setup_browser, "_ways", lambda: [[makes]])
    assert setup_browser.install_chromium() == str(path)


def test_playwright_is_named_in_the_project() -> None:
    (name,) = setup_browser.requirements(setup_browser.PROJECT)
    assert name.startswith("playwright>=")
