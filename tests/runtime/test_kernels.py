"""Which kernels compute on a CPU, and what is said where ours do not."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import mlx.core as mx
import pytest

from tensorlogic.runtime import kernels

ROOT = Path(__file__).parents[2]
SLOW = ", so programs run many times slower on this CPU; `tlc doctor` says more\n"


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test asks as a new process would."""
    monkeypatch.delenv("TENSORLOGIC_KERNELS", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    _forget()
    yield
    _forget()


def _forget() -> None:
    kernels._for_cpu.cache_clear()
    kernels._looked_for.cache_clear()


@pytest.fixture
def distribution(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Puts another text in the place of `tensorlogic_cpu`."""

    def put(text: str) -> None:
        (tmp_path / "tensorlogic_cpu.py").write_text(text, encoding="utf-8")

    for name in [name for name in sys.modules if name.partition(".")[0] == "tensorlogic_cpu"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    return put


def test_the_kernels_are_used_on_the_cpu(capsys: pytest.CaptureFixture[str]) -> None:
    with mx.stream(mx.cpu):
        found = kernels.active()
    assert isinstance(found, ModuleType)
    assert kernels.status() == kernels.Status(found)
    assert kernels.cpu is found
    assert capsys.readouterr().err == ""


def test_off_is_asked_for(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("TENSORLOGIC_KERNELS", "off")
    with mx.stream(mx.cpu):
        assert kernels.active() is None
    assert kernels.status() == kernels.Status(None, "TENSORLOGIC_KERNELS is `off`", asked=True)
    assert capsys.readouterr().err == ""


def test_other_values_are_told_and_not_used(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TENSORLOGIC_KERNELS", "0")
    assert kernels.status().module is not None
    assert kernels.status().module is not None
    assert capsys.readouterr().err == 'tensorlogic: TENSORLOGIC_KERNELS is "on" or "off", not "0"; it is not used\n'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("raise ImportError('built for MLX 1\\nmore')", "the CPU kernels cannot be used (built for MLX 1)"),
        ("raise OSError('no such file')", "the CPU kernels cannot be used (no such file)"),
        ("raise TypeError('incompatible')", "the CPU kernels cannot be used (incompatible)"),
        ("import mlx_of_old", "the CPU kernels cannot be used (No module named 'mlx_of_old')"),
        (
            "__version__ = '9'",
            f"the CPU kernels cannot be used (tensorlogic-cpu 9 is installed, and {kernels.VERSION} is needed)",
        ),
        (
            "",
            "the CPU kernels cannot be used (tensorlogic-cpu of another version is installed, and "
            f"{kernels.VERSION} is needed)",
        ),
    ],
)
def test_what_cannot_be_used_is_told_once(
    distribution: Callable[[str], None], capsys: pytest.CaptureFixture[str], text: str, reason: str
) -> None:
    distribution(text)
    assert kernels.status() == kernels.Status(None, reason)
    assert capsys.readouterr().err == ""
    with mx.stream(mx.cpu):
        assert kernels.active() is None
        assert kernels.active() is None
    assert capsys.readouterr().err == f"tensorlogic: {reason}{SLOW}"


def test_without_the_distribution(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "tensorlogic_cpu", None)
    with mx.stream(mx.cpu):
        assert kernels.active() is None
    assert capsys.readouterr().err == f"tensorlogic: the CPU kernels are not installed{SLOW}"


def test_nothing_is_said_on_macos(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "tensorlogic_cpu", None)
    monkeypatch.setattr(sys, "platform", "darwin")
    with mx.stream(mx.cpu):
        assert kernels.active() is None
    assert capsys.readouterr().err == ""


def test_they_follow_the_default_device(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(mx, "default_device", lambda: mx.Device(mx.gpu))
    monkeypatch.setenv("TENSORLOGIC_KERNELS", "off")
    assert kernels.active() is None
    monkeypatch.delenv("TENSORLOGIC_KERNELS")
    monkeypatch.setattr(mx, "default_device", lambda: mx.Device(mx.cpu))
    assert kernels.active() is not None
    assert capsys.readouterr().err == ""


def test_importing_says_nothing_and_loads_no_kernels() -> None:
    code = (
        "import sys; sys.modules['tensorlogic_cpu'] = None\n"
        "import tensorlogic, tensorlogic.runtime, tensorlogic.runtime.kernels, tensorlogic.runtime.packed"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert (ran.stdout, ran.stderr) == ("", "")


def test_the_versions_of_both_projects_are_one() -> None:
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    theirs = tomllib.loads((ROOT / "kernels" / "pyproject.toml").read_text(encoding="utf-8"))
    assert theirs["project"]["version"] == kernels.VERSION
    assert ours["optional-dependencies"]["cpu"] == [f"tensorlogic-cpu=={kernels.VERSION}; sys_platform == 'linux'"]
    pinned = next(text.partition(";")[0] for text in ours["dependencies"] if "linux" in text)
    assert pinned in theirs["project"]["dependencies"]
    assert pinned in theirs["build-system"]["requires"]
