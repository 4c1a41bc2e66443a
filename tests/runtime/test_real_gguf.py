"""The real GGUF models: every element is what GGUF's own library says, and memory stays near the files' size."""

from __future__ import annotations

import gguf
import mlx.core as mx
import numpy as np
import pytest
from gguf.quants import dequantize

from tensorlogic.runtime.formats import TensorInfo
from tensorlogic.runtime.formats.values import Array
from tensorlogic.runtime.models import load_model
from tensorlogic.runtime.packed import Packed, dense
from tests.models import GEMMA3, SMOLLM2, model_path

MODELS = pytest.mark.parametrize("name", [SMOLLM2, GEMMA3])


def first_rows(info: TensorInfo) -> Array:
    """The elements of up to 64 rows, by GGUF's own library."""
    rows = min(64, info.shape[0]) if len(info.shape) > 1 else 1
    count = info.nbytes // info.shape[0] * rows if len(info.shape) > 1 else info.nbytes
    with open(info.file, "rb") as file:
        file.seek(info.offset)
        content = np.frombuffer(file.read(count), np.uint8)
    values: Array = dequantize(content[None], gguf.GGMLQuantizationType[info.storage])
    return values.reshape(rows, *info.shape[1:]) if len(info.shape) > 1 else values.reshape(info.shape)


@MODELS
def test_elements_and_memory(name: str) -> None:
    path = model_path(name)
    model = load_model(path)
    held = {}
    for key, tensor in model.read_all():
        held[key] = tensor
        expected = first_rows(model.header.tensors[key])
        if isinstance(tensor, Packed):
            found = dense(tensor, mx.float32)
        else:
            found, expected = tensor, expected.astype(np.float16)
        np.testing.assert_array_equal(np.asarray(found[: len(expected)]), expected)
    assert tuple(held) == model.tensors
    assert not model.underflows
    assert sum(tensor.nbytes for tensor in held.values()) < 1.15 * path.stat().st_size
