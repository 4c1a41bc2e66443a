"""What the device is asked of packed layouts, and what happens with those that it has no kernel for."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from tensorlogic.runtime import device, kernels, probing
from tensorlogic.runtime import packed as packed_module
from tensorlogic.runtime.formats import PackedLayout
from tensorlogic.runtime.packed import Packed, Tensor, dense, embedding, matmul
from tensorlogic.runtime.probing import accepts, has_kernel, mlx_accepts
from tests.runtime.model_files import Array

MODES = [PackedLayout(4, 32, "mxfp4"), PackedLayout(8, 32, "mxfp8"), PackedLayout(4, 16, "nvfp4")]
AFFINE = [PackedLayout(bits, group) for bits in (2, 3, 4, 5, 6, 8) for group in (16, 32, 64, 128)]


def example(layout: PackedLayout) -> tuple[Packed, Array]:
    words, scales, biases, elements = probing._example(layout)
    parts = mx.array(words), mx.array(scales), None if biases is None else mx.array(biases)
    return Packed(*parts, layout, elements.shape, mx.float32), elements


@pytest.mark.parametrize("layout", [*MODES, *AFFINE], ids=str)
def test_elements_and_products_are_right_whatever_the_device_accepts(layout: PackedLayout) -> None:
    w, elements = example(layout)
    np.testing.assert_array_equal(np.asarray(dense(w)), elements)
    for transpose in (True, False):
        right = elements.T if transpose else elements
        x = np.sin(np.arange(3 * len(right), dtype=np.float32)).reshape(3, -1)
        found = np.asarray(matmul(mx.array(x), w, transpose=transpose))
        np.testing.assert_allclose(found, x @ right, rtol=0, atol=1e-5 * (np.abs(x) @ np.abs(right)).max())
        half = matmul(mx.array(x).astype(mx.float16), w, transpose=transpose)
        assert half.dtype == mx.float16
    rows = mx.array([[3, 0], [31, 5]])
    np.testing.assert_array_equal(np.asarray(embedding(rows, w, mx.float32)), elements[np.asarray(rows)])


def test_a_layout_without_a_kernel_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    w, elements = example(PackedLayout(4, 32, "mxfp4"))
    monkeypatch.setattr(packed_module, "has_kernel", lambda layout: False)
    monkeypatch.setattr(packed_module, "mlx_accepts", lambda layout, dtype, transpose: False)
    x = mx.random.normal((2, elements.shape[1]), key=mx.random.key(1))
    found = matmul(x, w, transpose=True)
    np.testing.assert_allclose(np.asarray(found), np.asarray(x) @ elements.T, rtol=1e-5, atol=1e-4)
    x = mx.random.normal((elements.shape[0],), key=mx.random.key(1))
    found = matmul(x, w, transpose=False)
    np.testing.assert_allclose(np.asarray(found), np.asarray(x) @ elements, rtol=1e-5, atol=1e-4)


def test_layouts_that_mlx_does_not_have_are_not_accepted() -> None:
    assert not accepts(PackedLayout(7, 32), mx.float32)
    assert not accepts(PackedLayout(4, 32, "no such mode"), mx.float32)


def test_a_kernel_that_is_wrong_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    layout = PackedLayout(3, 64)
    assert mlx_accepts(layout, mx.float32)
    real = mx.quantized_matmul
    probing._mlx_accepts.cache_clear()
    with monkeypatch.context() as patched:
        patched.setattr(mx, "quantized_matmul", lambda *args, **options: real(*args, **options) * 1.01)
        assert not mlx_accepts(layout, mx.float32)
    probing._mlx_accepts.cache_clear()
    assert mlx_accepts(layout, mx.float32)


def test_on_cuda_one_row_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    """For more, MLX would compile kernels that no program may call."""
    real = mx.quantized_matmul
    rows: list[int] = []

    def noted(x: mx.array, *args: Any, **options: Any) -> mx.array:
        rows.append(len(x))
        return real(x, *args, **options)

    monkeypatch.setattr(device, "on_cuda", lambda: True)
    monkeypatch.setattr(mx, "quantized_matmul", noted)
    probing._mlx_accepts.cache_clear()
    assert mlx_accepts(PackedLayout(4, 64), mx.float32)
    assert rows == [1]
    probing._mlx_accepts.cache_clear()


def test_our_kernels_count_where_they_are_used_and_right(monkeypatch: pytest.MonkeyPatch) -> None:
    layout = PackedLayout(6, 64)
    monkeypatch.setattr(probing, "mlx_accepts", lambda layout, dtype: False)
    probing._kernels_accept.cache_clear()
    assert accepts(layout, mx.float16)
    with monkeypatch.context() as patched:
        patched.setattr(kernels, "active", lambda: None)
        assert not accepts(layout, mx.float16)
    real = kernels.cpu.Chain
    probing._kernels_accept.cache_clear()
    with monkeypatch.context() as patched:
        patched.setattr(kernels.cpu, "Chain", lambda *parts: lambda x: [value * 1.01 for value in real(*parts)(x)])
        assert not accepts(layout, mx.float16)
    probing._kernels_accept.cache_clear()


@pytest.mark.parametrize("layout", [MODES[0], *(layout for layout in AFFINE if layout.group_size > 16)], ids=str)
def test_our_kernels_have_every_layout_of_whole_groups_of_32(layout: PackedLayout) -> None:
    assert has_kernel(layout)
    w, _ = example(layout)
    assert w.matrix() is w.matrix() is not None


@pytest.mark.parametrize("transform", [mx.compile, lambda f: mx.grad(lambda x: f(x).sum())])
def test_the_device_may_be_asked_within_a_transformation(transform: object) -> None:
    w, elements = example(PackedLayout(6, 128))
    probing._mlx_accepts.cache_clear()
    probing._kernels_accept.cache_clear()

    def product(x: mx.array, right: Tensor = w) -> mx.array:
        return matmul(x, right, transpose=True)

    assert callable(transform)
    x = mx.ones((4, elements.shape[1]))
    assert np.isfinite(np.asarray(transform(product)(x))).all()
