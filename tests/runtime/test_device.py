"""The device that a program asks for, and the precision in which values are carried there."""

from __future__ import annotations

import mlx.core as mx
import pytest

from tensorlogic.runtime import device


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16])
def test_halves_are_carried_in_float32_on_a_cpu_alone(dtype: mx.Dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "on_gpu", lambda: False)
    assert device.carried(dtype) == mx.float32
    assert device.carried(dtype, strict=True) == dtype
    monkeypatch.setattr(device, "on_gpu", lambda: True)
    assert device.carried(dtype) == dtype


@pytest.mark.parametrize("dtype", [mx.float32, mx.int32, mx.uint32, mx.bool_])
def test_other_types_are_carried_as_themselves(dtype: mx.Dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "on_gpu", lambda: False)
    assert device.carried(dtype) == dtype


def test_the_default_device_decides() -> None:
    assert device.on_gpu() == (mx.default_device().type == mx.DeviceType.gpu)


def test_named_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    assert device.select(None) == mx.default_device()
    assert device.select("cpu") == mx.Device(mx.cpu)
    monkeypatch.setattr(mx, "is_available", lambda _: True)
    assert device.select("gpu") == mx.Device(mx.gpu)


def test_a_missing_gpu_is_said_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    device._say_no_gpu.cache_clear()
    monkeypatch.setattr(mx, "is_available", lambda _: False)
    assert device.select("gpu") == device.select("gpu") == mx.Device(mx.cpu)
    captured = capsys.readouterr()
    assert captured.err.count("no GPU") == 1
    assert captured.out == ""
