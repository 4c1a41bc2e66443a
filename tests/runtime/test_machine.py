"""What `tlc doctor` tells of a machine."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import pytest

from tensorlogic.runtime import device, kernels, machine
from tensorlogic.runtime.machine import Threads, buffer_megabytes, examined


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measures nothing."""
    monkeypatch.setattr(machine, "_measured", lambda: machine.Speed(30.0, 134, 100.0))


@pytest.mark.usefixtures("quick")
def test_a_cpu_with_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "on_gpu", lambda: False)
    found = examined()
    assert (found.backend, found.reason, found.asked) == ("CPU", "", False)
    assert found.mlx.partition("+")[0] == kernels.cpu.MLX_VERSION
    assert found.kernels is not None
    assert found.kernels.version == kernels.VERSION
    assert found.kernels.instruction_set == kernels.cpu.instruction_set()
    assert found.kernels.instruction_sets[-1] == "portable"
    assert found.kernels.threads.count == kernels.cpu.threads()
    assert found.kernels.blas.startswith("OpenBLAS")
    assert found.speed == machine.Speed(30.0, 134, 100.0)


@pytest.mark.usefixtures("quick")
def test_limits_that_are_none_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = {"processors": 8, "cores": 4, "granted": 0.0, "asked": 0, "threads": 4}
    monkeypatch.setattr(device, "on_gpu", lambda: False)
    assert kernels.status().module is not None
    monkeypatch.setattr(kernels.cpu, "thread_limits", lambda: limits)
    monkeypatch.setattr(kernels.cpu, "threads", lambda: 4)
    found = examined().kernels
    assert found is not None
    assert found.threads == Threads(count=4, processors=8, cores=4)
    limits |= {"granted": 1.5, "asked": 3}
    found = examined().kernels
    assert found is not None
    assert found.threads == Threads(count=4, processors=8, cores=4, granted=1.5, asked=3)


def test_a_cpu_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "on_gpu", lambda: False)
    for status in (kernels.Status(None, "they are not installed"), kernels.Status(None, "off", asked=True)):
        monkeypatch.setattr(kernels, "status", lambda status=status: status)
        found = examined()
        assert (found.reason, found.asked) == (status.reason, status.asked)
        assert (found.kernels, found.speed) == (None, None)


def test_a_gpu_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "on_gpu", lambda: True)
    for there, name in ((True, "Metal"), (False, "CUDA")):
        monkeypatch.setattr(mx.metal, "is_available", lambda there=there: there)
        found = examined()
        assert (found.backend, found.kernels, found.speed) == (name, None, None)
        assert found.reason == "they are for the CPU, and programs run on the GPU"


def test_it_is_measured() -> None:
    speed = machine._measured()
    assert speed.read > 0.1
    assert speed.multiply > 0.1


@pytest.mark.parametrize(
    ("caches", "free", "megabytes"),
    [
        ({}, None, 128),
        ({"index0/size": "32K\n", "index3/size": "65536K\n"}, 100_000_000, 268),
        ({"index3/size": "1179648K\n"}, 100_000_000, 1024),
        ({"index3/size": "65536K\n"}, 400_000, 102),
        ({"index3/size": "nonsense"}, 1000, 1),
    ],
)
def test_the_buffer_is_larger_than_the_caches(
    caches: dict[str, str], free: int | None, megabytes: int, tmp_path: Path
) -> None:
    for name, text in caches.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="ascii")
    memory = tmp_path / "meminfo"
    if free is not None:
        memory.write_text(f"MemTotal:       9 kB\nMemAvailable:   {free} kB\n", encoding="ascii")
    assert buffer_megabytes(tmp_path, memory) == megabytes
