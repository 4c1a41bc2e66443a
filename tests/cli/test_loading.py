"""Ctrl-C waits for a library that sets itself up."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from tensorlogic.cli.loading import load_whole


def test_an_interrupt_waits_for_the_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nfor _ in range(1000): pass\nwhole = True\n"
    (tmp_path / "interrupted_while_it_loads.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        load_whole("interrupted_while_it_loads")
    assert sys.modules.pop("interrupted_while_it_loads").whole
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_module_that_is_not_there_leaves_signals_as_they_were() -> None:
    with pytest.raises(ModuleNotFoundError):
        load_whole("no_such_module")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
