"""The distribution proves itself when it is imported, and is whole."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import mlx.core as mx
import pytest
import tensorlogic_cpu
from tensorlogic_cpu import kernels

ROOT = Path(__file__).parents[2]


def test_it_fits_the_installed_mlx(monkeypatch: pytest.MonkeyPatch) -> None:
    tensorlogic_cpu._prove()
    monkeypatch.setattr(mx, "__version__", f"{kernels.MLX_VERSION}+local")
    tensorlogic_cpu._prove()


@pytest.mark.parametrize("version", ["0.0.1", f"{kernels.MLX_VERSION}1", f"{kernels.MLX_VERSION}.dev20260101"])
def test_another_mlx_is_refused_before_an_array_crosses(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mx, "__version__", version)
    monkeypatch.delattr(kernels, "Matrix")
    told = f"tensorlogic-cpu was built for MLX {kernels.MLX_VERSION}, and MLX {version} is installed"
    with pytest.raises(ImportError) as refused:
        tensorlogic_cpu._prove()
    assert str(refused.value) == told


def test_a_build_against_another_mlx_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernels, "MLX_VERSION", "9.9.9")
    with pytest.raises(ImportError, match=r"^tensorlogic-cpu was built for MLX 9\.9\.9, and MLX \S+ is installed$"):
        tensorlogic_cpu._prove()


def test_arrays_that_do_not_cross_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> NoReturn:
        raise TypeError("__init__(): incompatible function arguments")

    monkeypatch.setattr(kernels, "Matrix", refuse)
    with pytest.raises(ImportError, match=r"^tensorlogic-cpu does not know the arrays of the installed MLX"):
        tensorlogic_cpu._prove()


def test_wrong_sums_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = SimpleNamespace(item=lambda: 31.0)
    monkeypatch.setattr(kernels, "Chain", lambda stages, results: lambda x: [wrong])
    with pytest.raises(ImportError, match=r"^tensorlogic-cpu computes wrong sums"):
        tensorlogic_cpu._prove()


def test_it_has_the_licence_of_the_project() -> None:
    assert (ROOT / "kernels" / "LICENSE").read_text(encoding="utf-8") == (ROOT / "LICENSE").read_text(encoding="utf-8")
