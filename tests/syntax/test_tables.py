"""The cache of the parser's tables: used when whole, made anew when not, never in the way."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tensorlogic.compiler.syntax import tables as module
from tensorlogic.compiler.syntax.tables import build, tables

BUILT = cache(build)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache folder of this test, not made yet."""
    monkeypatch.setenv("TENSORLOGIC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one whenever tables are made."""
    made: list[int] = []

    def count() -> module.Tables:
        made.append(1)
        return BUILT()

    monkeypatch.setattr(module, "build", count)
    return made


def fresh() -> module.Tables:
    """The tables as a new process would get them."""
    return tables.__wrapped__()


def test_tables_are_made_once_and_kept(folder: Path, counted: list[int]) -> None:
    first = fresh()
    assert len(counted) == 1
    assert len(list(folder.iterdir())) == 1
    assert fresh() == first
    assert len(counted) == 1


@pytest.mark.parametrize("damage", [b"", b"short", b"x" * 5000, None])
def test_a_damaged_file_is_made_anew(folder: Path, counted: list[int], damage: bytes | None) -> None:
    first = fresh()
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage if damage is not None else whole[:-1])
    assert fresh() == first
    assert len(counted) == 2
    assert path.read_bytes() == whole


def test_every_damaged_byte_is_seen(folder: Path, counted: list[int]) -> None:
    fresh()
    (path,) = folder.iterdir()
    whole = path.read_bytes()
    for position in (0, 3, 4, len(whole) // 2, len(whole) - 1):
        changed = bytearray(whole)
        changed[position] ^= 1
        path.write_bytes(changed)
        counted.clear()
        fresh()
        assert len(counted) == 1


def test_another_grammar_has_another_file(folder: Path, counted: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    fresh()
    monkeypatch.setattr(module, "_FORMAT", "another")
    fresh()
    assert len(counted) == 2
    assert len(list(folder.iterdir())) == 2


def test_a_folder_that_cannot_be_made_is_no_error(
    tmp_path: Path, counted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    monkeypatch.setenv("TENSORLOGIC_CACHE", str(tmp_path / "file" / "cache"))
    assert fresh() == fresh()
    assert len(counted) == 2


def test_a_file_that_cannot_be_moved_into_place_leaves_nothing(
    folder: Path, counted: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: object, target: object) -> None:
        raise PermissionError(13, "no")

    monkeypatch.setattr(os, "replace", refuse)
    assert fresh()
    assert list(folder.iterdir()) == []


def test_the_folder_follows_the_platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TENSORLOGIC_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert module._cache_folder() == tmp_path / "xdg" / "tensorlogic"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    assert module._cache_folder() == tmp_path / ".cache" / "tensorlogic"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert module._cache_folder() == tmp_path / "Library" / "Caches" / "tensorlogic"


def run(*arguments: str, cache: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "TENSORLOGIC_CACHE": str(cache), "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=environment, check=False)


def test_a_second_run_does_not_import_ply_yacc(tmp_path: Path) -> None:
    program = (
        "import sys; from tensorlogic.compiler.source import Source; from tensorlogic.compiler.syntax import parse;"
        "print(parse(Source('a', 'x = 1'))[1], 'ply.yacc' in sys.modules)"
    )
    assert run("-c", program, cache=tmp_path).stdout == "[] True\n"
    assert run("-c", program, cache=tmp_path).stdout == "[] False\n"


def test_stripped_docstrings_are_told(tmp_path: Path) -> None:
    program = (
        "from tensorlogic.compiler.source import Source; from tensorlogic.compiler.syntax import parse;"
        "from tensorlogic.compiler.diagnostics.model import CompileError\n"
        "try: parse(Source('a', 'x = 1'))\n"
        "except CompileError as problem: (told,) = problem.diagnostics; print(told.code, told.message)"
    )
    assert run("-O", "-c", program, cache=tmp_path).stdout == ""
    told = run("-OO", "-c", program, cache=tmp_path)
    assert told.stdout == "TL0201 `python -OO` strips the docstrings that hold the grammar\n"
    assert told.returncode == 0
