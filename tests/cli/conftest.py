"""A stand-in for the compiler's driver and the script runner, so that the command line is tested by itself."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner, Result

import tensorlogic
import tensorlogic.compiler
import tensorlogic.runtime
from tensorlogic.cli import main
from tensorlogic.compiler.diagnostics import CompileError, Diagnostic, Label, error
from tensorlogic.compiler.source import Source, Span

MODULE = '"""Compiled by tlc from model.tl. é"""\n'


@dataclass(frozen=True)
class Options:
    strict: bool = False
    checked: bool = False
    root: Path | None = None
    standalone: bool = False
    fast: bool = False
    debug_nan: bool = False


@dataclass
class Compiled:
    diagnostics: tuple[Diagnostic, ...] = ()
    python: str | None = MODULE
    ir: str = "ir"
    printed: str = ""


@dataclass
class Report:
    diagnostics: list[Diagnostic]
    uses: tuple[Any, ...] = ()


@dataclass
class FakeDriver:
    """Answers by the file's text: `wrong` in it is an error, `note` a note, `bug` raises. Remembers the options."""

    options: list[Options] = field(default_factory=list)
    raises: BaseException | None = None
    found: list[Diagnostic] | None = None

    def check_file(self, path: Path, options: Options) -> list[Diagnostic]:
        self.options.append(options)
        if self.raises is not None:
            raise self.raises
        if self.found is not None:
            return self.found
        source = Source(str(path), path.read_text(encoding="utf-8"))
        found = []
        if "wrong" in source.text:
            start = source.text.index("wrong")
            found.append(error("TL1001", "no name `wrong`", Span(source, start, start + 5), "unknown", helps=["right"]))
        if "note" in source.text:
            start = source.text.index("note")
            label = Label(Span(source, start, start + 4), "", primary=True)
            found.append(Diagnostic("TL2020", "evaluated", (label,), severity="note"))
        return found

    def report(self, path: Path, options: Options) -> Report:
        return Report(self.check_file(path, options))

    def compile_file(self, path: Path, options: Options, *, print_after: str | None = None) -> Compiled:
        found = self.check_file(path, options)
        if any(diagnostic.severity == "error" for diagnostic in found):
            raise CompileError(found)
        return Compiled(tuple(found), printed=f"after {print_after}")

    def emit(self, path: Path, kind: str, options: Options) -> str:
        self.compile_file(path, options)
        return f"{kind} é"

    def pass_names(self) -> tuple[str, ...]:
        return ("fold", "dead_code")


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    fake = FakeDriver()
    module = ModuleType("tensorlogic.compiler.driver")
    for name in ("check_file", "compile_file", "emit", "pass_names", "report"):
        setattr(module, name, getattr(fake, name))
    module.Options = Options  # type: ignore[attr-defined]
    module.Report = Report  # type: ignore[attr-defined]
    _install(monkeypatch, module)
    monkeypatch.setattr(tensorlogic, "__version__", "1.2.3", raising=False)
    return fake


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., Any]], None]:
    """Sets what `tensorlogic.runtime.script.run` does."""

    def install(run: Callable[..., Any]) -> None:
        module = ModuleType("tensorlogic.runtime.script")
        module.run = run  # type: ignore[attr-defined]
        _install(monkeypatch, module)

    return install


def _install(monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> None:
    package, _, name = module.__name__.rpartition(".")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(sys.modules[package], name, module, raising=False)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TENSORLOGIC_DEBUG", raising=False)
    return tmp_path


@pytest.fixture
def tlc(driver: FakeDriver) -> Callable[..., Result]:
    """Runs a command line in this process, with the stand-in for the driver."""

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, arguments, prog_name="tlc")

    return run
