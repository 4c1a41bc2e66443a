"""`tlc doctor`: what it shows, on terminals and in pipes, with kernels and without."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from tensorlogic._version import __version__
from tensorlogic.cli import main
from tensorlogic.cli.doctor import threads_told
from tensorlogic.runtime import machine
from tensorlogic.runtime.machine import Kernels, Machine, Speed, Threads
from tests.cli.terminal import in_terminal

FOUND = Machine(
    backend="CPU",
    device="A CPU",
    mlx="0.32.4",
    kernels=Kernels("0.1.0", "avx2", ("avx512", "avx2", "portable"), "OpenBLAS 0.3 Zen", Threads(4, 8, 4)),
    speed=Speed(read=27.06, megabytes=134, multiply=1234.5),
)


def tlc(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["doctor", *arguments], prog_name="tlc")


@pytest.fixture
def is_found(monkeypatch: pytest.MonkeyPatch) -> Callable[[Machine], None]:
    """Sets what the machine is."""
    return lambda found: monkeypatch.setattr(machine, "examined", lambda: found)


def without_python(text: str) -> list[str]:
    """The lines; the first names the Python that runs this."""
    first, *others = text.splitlines()
    assert first.split()[:2] == ["tensorlogic", f"{__version__},"]
    return others


def test_in_a_pipe(is_found: Callable[[Machine], None]) -> None:
    is_found(FOUND)
    result = tlc()
    assert (result.exit_code, result.stderr) == (0, "")
    assert without_python(result.stdout) == [
        "backend          CPU, A CPU",
        "MLX              0.32.4",
        "kernels          tensorlogic-cpu 0.1.0",
        "instruction set  avx2; there are also avx512, portable",
        "BLAS             OpenBLAS 0.3 Zen",
        "threads          4, one for each core; this process may use 8 processors",
        "memory           27.1 GB/s read by all threads",
        "float32          1,234 GFLOP/s in products of matrices, by all threads",
    ]


def test_without_kernels_it_says_why_and_what_to_do(is_found: Callable[[Machine], None]) -> None:
    is_found(Machine("CPU", "", "0.32.4", None, "the CPU kernels are not installed"))
    result = tlc()
    assert result.exit_code == 0
    assert without_python(result.stdout)[:4] == [
        "backend      CPU",
        "MLX          0.32.4",
        "kernels      not used: the CPU kernels are not installed",
        "",
    ]
    assert "`make kernels` builds them" in result.stdout


@pytest.mark.parametrize(
    "found",
    [
        Machine("CPU", "", "0.32.4", None, "TENSORLOGIC_KERNELS is `off`", asked=True),
        Machine("Metal", "", "0.32.4", None, "they are for the CPU", asked=True),
    ],
)
def test_no_advice_where_it_was_asked_for(found: Machine, is_found: Callable[[Machine], None]) -> None:
    is_found(found)
    assert without_python(tlc().stdout)[2:] == [f"kernels      not used: {found.reason}"]


def test_json(is_found: Callable[[Machine], None]) -> None:
    is_found(FOUND)
    found = json.loads(tlc("--json").stdout)
    assert list(found) == ["tensorlogic", "python", "mlx", "backend", "device", "reason", "kernels", "speed"]
    assert (found["tensorlogic"], found["mlx"], found["backend"]) == (__version__, "0.32.4", "CPU")
    assert (found["device"], found["reason"]) == ("A CPU", None)
    assert found["kernels"] == {
        "version": "0.1.0",
        "instruction_set": "avx2",
        "instruction_sets": ["avx512", "avx2", "portable"],
        "blas": "OpenBLAS 0.3 Zen",
        "threads": {"count": 4, "processors": 8, "cores": 4, "granted": None, "asked": None},
    }
    assert found["speed"] == {"read": 27.06, "megabytes": 134, "multiply": 1234.5}


def test_json_without_kernels(is_found: Callable[[Machine], None]) -> None:
    is_found(Machine("CUDA", "A GPU", "0.32.4", None, "they are for the CPU", asked=True))
    found = json.loads(tlc("--json").stdout)
    assert (found["reason"], found["kernels"], found["speed"]) == ("they are for the CPU", None, None)


@pytest.mark.parametrize(
    ("threads", "told"),
    [
        (Threads(1, 1, 1), "1, one for each processor that this process may use"),
        (Threads(2, 2, 2), "2, one for each processor that this process may use"),
        (Threads(4, 8, 4), "4, one for each core; this process may use 8 processors"),
        (Threads(1, 2, 1), "1, one for each core; this process may use 2 processors"),
        (Threads(2, 8, 8, granted=1.5), "2, since a cgroup grants the time of 1.5 of 8 processors"),
        (Threads(1, 1, 1, granted=0.5), "1, one for each processor that this process may use"),
        (Threads(4, 8, 4, granted=6), "4, one for each core; this process may use 8 processors"),
        (Threads(3, 8, 4, granted=1, asked=3), "3, by TENSORLOGIC_THREADS"),
        (Threads(99, 8, 4, asked=1000), "99, by TENSORLOGIC_THREADS; it asks for 1000, and there are no more"),
    ],
)
def test_why_there_are_so_many_threads(threads: Threads, told: str) -> None:
    assert threads_told(threads) == told


def test_a_narrow_terminal_cuts_nothing() -> None:
    screen = in_terminal("doctor", columns=30, environment={"NO_COLOR": "1"})
    lines = screen.text.splitlines()
    assert screen.status == 0
    assert "\x1b" not in screen.text
    assert max(map(len, lines)) <= 30
    assert [line.split()[0] for line in lines if not line.startswith(" ")][:3] == ["tensorlogic", "backend", "MLX"]


def test_it_needs_no_argument() -> None:
    assert tlc("x").exit_code == 2
