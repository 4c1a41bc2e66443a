"""mlx-lm's model code over our CPU kernels: each operation that they have is theirs, and the code stays as it is.

Takes: a GGUF file of an architecture that `mlx_folder` knows. Promises: a model of mlx-lm with the file's weights as
our loader packs them, in whose every product, norm, rotation, activation and attention one kernel computes. Importing
this changes `mlx.core.fast` and modules of mlx-lm for the whole process.

What is compared with it is then what a compiler adds to kernels: fewer nodes, less memory between them, a cache of
their own type.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn
import mlx_lm.models.gemma3_text
import mlx_lm.models.llama
from mlx.nn.layers.base import Module
from mlx_lm.utils import _get_classes
from tensorlogic_cpu import kernels

from benchmarks.language import mlx_folder
from tensorlogic.runtime import models, packed
from tensorlogic.runtime.packed import Packed


class Product(Module):
    """`mlx.nn.Linear` and `mlx.nn.Embedding` of packed weights."""

    def __init__(self, weight: Packed) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # MLX declares it without types
        self._packed = weight

    def as_linear(self, x: mx.array) -> mx.array:
        return packed.matmul(x, self._packed, transpose=True)


class Linear(Product):
    def __call__(self, x: mx.array) -> mx.array:
        return self.as_linear(x)


class Embedding(Product):
    def __call__(self, ids: mx.array) -> mx.array:
        return packed.embedding(ids, self._packed, mx.float32)


def load(path: Path) -> Module:
    """The model in a GGUF file, its vectors in float32."""
    file = models.load_model(path)
    config = mlx_folder.config(file)
    model_class, arguments = _get_classes(config)
    model: Module = model_class(arguments.from_dict(config))
    # The output projection is the embedding, as mlx-lm sees where no other is among the weights.
    model.sanitize({})
    for name in file.tensors:
        target = mlx_folder.target(file, name)
        tensor = file.get_tensor(name)
        *holder, last = target.split(".")
        at: Any = model
        for part in holder:
            at = at[int(part)] if isinstance(at, list) else at[part]
        if isinstance(tensor, Packed):
            at[last] = Embedding(tensor) if last == "embed_tokens" else Linear(tensor)
        else:
            at[last].weight = tensor.astype(mx.float32) - mlx_folder.shift(file, target)
    mx.eval(model.parameters())  # type: ignore[no-untyped-call]
    return model


def _rope(
    x: mx.array,
    dims: int,
    *,
    traditional: bool,
    base: float | None,
    scale: float,
    offset: int,
    freqs: mx.array | None = None,
) -> mx.array:
    return kernels.rope(x, dims, traditional=traditional, base=base, scale=scale, offset=offset, freqs=freqs)


def _attention(
    q: mx.array, k: mx.array, v: mx.array, *, scale: float, mask: mx.array | str | None = None, sinks: None = None
) -> mx.array:
    causal = isinstance(mask, str)
    return kernels.attention(q, k, v, scale=scale, causal=causal, mask=None if isinstance(mask, str) else mask)


def _swiglu(gate: mx.array, x: mx.array) -> mx.array:
    return kernels.gated(gate, x, "silu")


def _gelu(x: mx.array) -> mx.array:
    return kernels.gelu(x, True)


_OPERATIONS: tuple[tuple[object, str, object], ...] = (
    (mx.fast, "rms_norm", kernels.rms_norm),
    (mx.fast, "rope", _rope),
    (mx.fast, "scaled_dot_product_attention", _attention),
    (mlx_lm.models.llama, "swiglu", _swiglu),
    (mlx.nn, "gelu_approx", _gelu),
)
for module, name, operation in _OPERATIONS:
    setattr(module, name, operation)
