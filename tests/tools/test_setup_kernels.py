"""Building the kernels: when something changed, and not again in vain. Compilers and pip are stood in for."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tools import setup_kernels
from tools.setup_kernels import Environment, SetupError, find_compiler, main, setup, sources_fingerprint


@pytest.fixture
def kernels(tmp_path: Path) -> Path:
    folder = tmp_path / "kernels"
    (folder / "src").mkdir(parents=True)
    (folder / "src" / "a.cpp").write_text("int a;", encoding="ascii")
    (folder / "pyproject.toml").write_text("[build-system]\nrequires = ['builder']\n", encoding="ascii")
    return folder


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    folder = tmp_path / "environment"
    folder.mkdir()
    return Environment(folder)


class Machine:
    """What pip and the compiler do here, and what was asked of them."""

    def __init__(self) -> None:
        self.installs, self.compiles, self.imports = True, True, True
        self.built = 0
        self.installed = False
        self.removed = 0

    def pip(self, arguments: Sequence[str], environment: Environment, variables: object = None) -> bool:
        if not any("build-dir" in argument for argument in arguments):
            return self.installs
        self.built += 1
        environment.log.write_text("what the compiler said\n", encoding="ascii")
        environment.build.mkdir(exist_ok=True)
        works = self.compiles and not (environment.build / "stale").exists()
        self.installed = works
        return works

    def uninstall(self) -> None:
        self.removed += 1
        self.installed = False

    def run(self, command: Sequence[str], **options: object) -> subprocess.CompletedProcess[str]:
        if "-I" in command:
            return subprocess.CompletedProcess(command, 0 if self.imports else 1, "", "Traceback\nImportError: no MLX")
        return subprocess.CompletedProcess(command, 0, "[]", "")


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine()
    monkeypatch.setattr(setup_kernels, "_pip", machine.pip)
    monkeypatch.setattr(setup_kernels, "_uninstall", machine.uninstall)
    monkeypatch.setattr(setup_kernels, "_is_installed", lambda: machine.installed)
    monkeypatch.setattr(setup_kernels, "_has_headers", lambda: True)
    monkeypatch.setattr(setup_kernels, "find_compiler", lambda: ["/usr/bin/c++"])
    monkeypatch.setattr(subprocess, "run", machine.run)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    return machine


def test_what_is_built_is_not_built_again(machine: Machine, kernels: Path, environment: Environment) -> None:
    for _ in range(3):
        setup(kernels, environment, required=False)
        setup(kernels, environment, required=True)
    assert machine.built == 1


def test_a_change_builds_again(
    machine: Machine, kernels: Path, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup(kernels, environment, required=False)
    (environment.build / "kept").touch()
    (kernels / "src" / "a.cpp").write_text("int b;", encoding="ascii")
    setup(kernels, environment, required=False)
    assert machine.built == 2
    assert (environment.build / "kept").exists()
    monkeypatch.setattr(setup_kernels, "_mlx", lambda: "9.9")
    setup(kernels, environment, required=False)
    assert machine.built == 3
    assert not (environment.build / "kept").exists(), "what another MLX was used for is not"
    machine.installed = False
    setup(kernels, environment, required=False)
    assert machine.built == 4


def test_a_failure_is_told_again_and_not_tried_again(machine: Machine, kernels: Path, environment: Environment) -> None:
    machine.compiles = False
    for _ in range(3):
        with pytest.raises(SetupError, match=r"the compiler failed; .*kernels\.log has what it said"):
            setup(kernels, environment, required=False)
    assert machine.built == 1
    with pytest.raises(SetupError):
        setup(kernels, environment, required=True)
    assert machine.built == 2
    machine.compiles = True
    (kernels / "src" / "a.cpp").write_text("int b;", encoding="ascii")
    setup(kernels, environment, required=False)
    assert machine.built == 3


def test_kernels_of_older_sources_do_not_stay(machine: Machine, kernels: Path, environment: Environment) -> None:
    setup(kernels, environment, required=False)
    machine.compiles = False
    (kernels / "src" / "a.cpp").write_text("wrong", encoding="ascii")
    with pytest.raises(SetupError):
        setup(kernels, environment, required=False)
    assert (machine.removed, machine.installed) == (1, False)


def test_files_of_a_build_that_is_no_good_are_made_anew(
    machine: Machine, kernels: Path, environment: Environment
) -> None:
    setup(kernels, environment, required=False)
    (environment.build / "stale").touch()
    (kernels / "src" / "a.cpp").write_text("int b;", encoding="ascii")
    setup(kernels, environment, required=False)
    assert machine.built == 3
    assert machine.installed


def test_what_cannot_be_imported_is_not_kept(machine: Machine, kernels: Path, environment: Environment) -> None:
    machine.imports = False
    with pytest.raises(SetupError, match="they were built and cannot be used: ImportError: no MLX"):
        setup(kernels, environment, required=False)
    assert not machine.installed


def test_a_registry_that_is_away_is_asked_again_next_time(
    machine: Machine, kernels: Path, environment: Environment
) -> None:
    machine.installs = False
    with pytest.raises(SetupError, match="cannot be installed"):
        setup(kernels, environment, required=False)
    machine.installs = True
    setup(kernels, environment, required=False)
    assert machine.built == 1


@pytest.mark.parametrize("text", ["", "{", "[]", '{"unknown": 1}'])
def test_a_state_that_is_none_is_ignored(machine: Machine, kernels: Path, environment: Environment, text: str) -> None:
    environment.state.write_text(text, encoding="ascii")
    setup(kernels, environment, required=False)
    assert machine.built == 1


def test_a_machine_without_a_compiler_or_headers(
    machine: Machine, kernels: Path, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup_kernels, "_has_headers", lambda: False)
    with pytest.raises(SetupError, match="Python's headers are missing"):
        setup(kernels, environment, required=False)
    monkeypatch.setattr(setup_kernels, "find_compiler", list)
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(SetupError, match=r"there is no C\+\+ compiler; on Debian and Ubuntu: g\+\+"):
        setup(kernels, environment, required=False)
    monkeypatch.setenv("CXX", "nonsense++")
    with pytest.raises(SetupError, match=r"there is no compiler `nonsense\+\+`, which CXX names"):
        setup(kernels, environment, required=True)
    assert machine.built == 0


def test_a_compiler_that_is_no_program(
    machine: Machine, kernels: Path, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(command: Sequence[str], **options: object) -> None:
        raise OSError(8, "Exec format error", command[0])

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(SetupError, match="`/usr/bin/c\\+\\+` cannot be run: Exec format error"):
        setup(kernels, environment, required=False)
    assert machine.built == 0


def test_the_compiler_that_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert find_compiler() == []
    for name in ("clang++", "ours"):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(stat.S_IRWXU)
    assert find_compiler() == [str(tmp_path / "clang++")]
    monkeypatch.setenv("CXX", "ours -m64")
    assert find_compiler() == [str(tmp_path / "ours"), "-m64"]
    monkeypatch.setenv("CXX", "absent")
    assert find_compiler() == []


def test_what_a_build_makes_is_no_source(kernels: Path) -> None:
    before = sources_fingerprint(kernels)
    for name in ("build/x.o", "tensorlogic_cpu/_kernels.so", "tensorlogic_cpu/__pycache__/a.pyc"):
        (kernels / name).parent.mkdir(parents=True, exist_ok=True)
        (kernels / name).touch()
    assert sources_fingerprint(kernels) == before
    (kernels / "src" / "new.cpp").touch()
    assert sources_fingerprint(kernels) != before


@pytest.fixture
def command(
    machine: Machine, kernels: Path, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., int]:
    monkeypatch.setattr(setup_kernels, "KERNELS", kernels)
    monkeypatch.setattr(sys, "prefix", str(environment.folder))
    monkeypatch.setattr(sys, "platform", "linux")
    return lambda *arguments: main(arguments)


def test_the_command_says_one_line(
    machine: Machine, command: Callable[..., int], capsys: pytest.CaptureFixture[str], environment: Environment
) -> None:
    assert command() == 0
    assert capsys.readouterr() == ("Building the CPU kernels; this takes a minute or two.\n", "")
    assert command() == 0
    assert capsys.readouterr() == ("", "")
    machine.compiles = machine.installed = False
    why = f"tensorlogic: the CPU kernels are not installed (the compiler failed; {environment.log} has what it said)"
    assert command() == 1
    assert capsys.readouterr().err == f"{why}, so programs run many times slower on this CPU\n"
    assert command("--required") == 1
    assert capsys.readouterr().err == f"what the compiler said\n{why}\n"


def test_there_is_nothing_to_do_on_macos(
    machine: Machine, command: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert command("--required") == 0
    assert machine.built == 0
