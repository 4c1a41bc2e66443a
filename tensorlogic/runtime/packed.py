"""Weights that stay packed: quantized tensors in MLX's layouts, and the three operations that take them.

A `Packed` stands wherever a float tensor does: its element type is `dtype`, its shape the unpacked one. `matmul` and
`embedding` use the packed bits as they are; `dense` expands them, for everything else. All three take a dense array,
too, and are lazy: they build graph nodes and evaluate nothing. On a CPU with our kernels, products are theirs.

In the mode `affine` an element is `scale * bits + bias`. That is computed in float32 and rounded once, because in
float16 the product would lose what the sum needs: an 8-bit block's bias is 128 times its scale.
"""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, overload

import mlx.core as mx

from tensorlogic.runtime import device, kernels
from tensorlogic.runtime.formats.header import PackedLayout
from tensorlogic.runtime.functions_kernels import cast
from tensorlogic.runtime.keeping import Kept
from tensorlogic.runtime.probing import has_kernel, mlx_accepts
from tensorlogic.runtime.sizes import affordable

if TYPE_CHECKING:
    from tensorlogic_cpu._kernels import Chain, Matrix


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Packed:
    """A quantized tensor of logical `shape` and element type `dtype`.

    `weight` holds uint32 words, `layout.bits` for each element, the row's first element in the lowest bits of its first
    word. `scales` has one item for each `layout.group_size` elements of a row: a float in the mode `affine`, which has
    `biases` of the same kind, and a byte in the others, which have none. All have the leading dims of `shape`.
    """

    weight: mx.array
    scales: mx.array
    biases: mx.array | None
    layout: PackedLayout
    shape: tuple[int, ...]
    dtype: mx.Dtype
    fast: bool = False
    """Whether `in_bytes` made it: products with it are those of `matmul(..., fast=True)`."""
    _matrix: Matrix | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        *rows, width = self.shape
        groups = (*rows, width // self.layout.group_size)
        assert self.weight.shape == (*rows, width * self.layout.bits // 32), "the words hold the elements of the shape"
        assert self.scales.shape == groups, "one scale for each group"
        assert (self.biases is None) == (self.layout.mode != "affine"), "only the mode affine has biases"
        assert self.biases is None or self.biases.shape == groups, "one bias for each group"

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return self.weight.size * 32 // self.layout.bits

    @property
    def nbytes(self) -> int:
        """The bytes that it takes in memory."""
        return self.weight.nbytes + self.scales.nbytes + (0 if self.biases is None else self.biases.nbytes)

    def matrix(self) -> Matrix | None:
        """The matrix as our CPU kernels take it, made once; None where they are not used or do not take it."""
        if not kernels.active():
            return None
        if self._matrix is None and len(self.shape) == 2 and self.size and has_kernel(self.layout):
            bits, group, mode = self.layout.bits, self.layout.group_size, self.layout.mode
            made = kernels.cpu.Matrix(self.weight, self.scales, self.biases, bits, group, mode)
            object.__setattr__(self, "_matrix", made)
        return self._matrix

    def activations(self, x: mx.Dtype, *, fast: bool) -> Activations:
        """How exactly our CPU kernels keep an `x` of this type where it meets these weights.

        An `x` in float32 beside weights of half precision is half precision to the program, and carried in float32.
        """
        if fast or self.fast:
            return "int8"
        return "float16" if x == mx.float32 and self.dtype in (mx.float16, mx.bfloat16) else "float32"


def in_bytes(value: Any) -> Any:
    """A struct, a tuple or a weight, in which every packed weight meets activations in bytes. Memory is shared."""
    if isinstance(value, Packed):
        return dataclasses.replace(value, fast=True)
    if isinstance(value, tuple):
        return tuple(map(in_bytes, value))
    if not dataclasses.is_dataclass(value):
        return value
    # Not made anew, which would check again what holds.
    made = copy.copy(value)
    for each in dataclasses.fields(value):
        object.__setattr__(made, each.name, in_bytes(getattr(value, each.name)))
    return made


Activations = Literal["float32", "float16", "int8"]
Tensor = mx.array | Packed


def dense(w: Tensor, dtype: mx.Dtype | None = None) -> mx.array:
    """The elements of `w` as an ordinary array of `dtype`, which is `w`'s own where it is not given."""
    if isinstance(w, Packed):
        return _expand(w, w.weight, w.scales, w.biases, dtype or w.dtype)
    return w if dtype is None else w.astype(dtype)


@overload
def expanded(w: Tensor) -> mx.array: ...


@overload
def expanded(w: Tensor | None) -> mx.array | None: ...


def expanded(w: Tensor | None) -> mx.array | None:
    """The elements of `w`, where there is one, in the type in which the device carries them: for what is no product."""
    return None if w is None else dense(w, device.carried(w.dtype))


_products: Kept[Chain] = Kept()


def matmul(x: mx.array, w: Tensor, *, transpose: bool = False, fast: bool = False) -> mx.array:
    """`x @ w`, or `x @ w.T` where `transpose` is set, in `x`'s type.

    On a CPU a half-precision `x` meets a packed `w` in float32. One that is carried in float32 our kernels may keep in
    16 bits, in blocks of 32 items that share a step; an item loses at most half of what float16 would, on the average.
    With `fast` they may keep it in one byte: an item is off by at most 1/254 of the largest of its block. A layout that
    the device has no kernel for is expanded as part of the graph.
    """
    if not isinstance(w, Packed):
        return affordable(_dense_product(x, mx.swapaxes(w, -1, -2) if transpose else w))
    if transpose and (matrix := w.matrix()) is not None:
        return affordable(_kept_chain(w, matrix, w.activations(x.dtype, fast=fast))(x)[0])
    if x.size == 0:
        # MLX's kernel for the CPU divides by the number of rows. What has no rows has no products either.
        batch = mx.broadcast_shapes(x.shape[:-2], w.shape[:-2])
        return mx.zeros((*batch, *x.shape[-2:-1], w.shape[-2 if transpose else -1]), x.dtype)
    # MLX accumulates half precision on a CPU in half precision, 35 times more slowly.
    product = _multiply(x if device.carried(x.dtype) == x.dtype else x.astype(mx.float32), w, transpose)
    return affordable(product if product.dtype == x.dtype else product.astype(x.dtype))


def _kept_chain(w: Packed, matrix: Matrix, activations: Activations) -> Chain:
    """The product with the matrix alone, as our kernels are called for it."""
    key = (id(w), activations)
    found = _products.get(key)
    if found is None:
        stage = kernels.cpu.Stage([matrix], activations=activations)
        found = _products.keep(key, kernels.cpu.Chain([stage], [1]), [w])
    return found


def _dense_product(x: mx.array, w: mx.array) -> mx.array:
    """`x @ w` in `x`'s type; a weight may be of another float type, which our kernels read as it is."""
    return kernels.cpu.matmul(x, w) if kernels.active() else x @ cast(w, x.dtype)


def _multiply(x: mx.array, w: Packed, transpose: bool) -> mx.array:
    """The product by MLX's kernel for the layout where the device has one, by the expanded matrix where it has none."""
    # Half-precision scales meet a float32 `x` in float32, and float32 scales any `x`. On CUDA MLX multiplies stacks of
    # matrices wrongly (0.32.4).
    meets = x.dtype if w.scales.dtype in (x.dtype, mx.uint8) else mx.float32
    if (w.ndim > 2 and device.on_cuda()) or not mlx_accepts(w.layout, meets, transpose=transpose):
        wide = dense(w, x.dtype)
        return x @ (mx.swapaxes(wide, -1, -2) if transpose else wide)
    # MLX does not broadcast a left side of lower rank than a stack of matrices, and gives a wrong shape for it; on CUDA
    # it takes no vector.
    lifted = x.reshape(*[1] * (w.ndim - x.ndim), *x.shape) if x.ndim < w.ndim else x
    product = mx.quantized_matmul(
        lifted,
        w.weight,
        w.scales,
        w.biases,
        transpose=transpose,
        group_size=w.layout.group_size,
        bits=w.layout.bits,
        mode=w.layout.mode,
    )
    return product.squeeze(-2) if x.ndim == 1 else product


def linear(x: mx.array, w: Tensor, bias: mx.array | None = None, *, fast: bool = False) -> mx.array:
    """`x @ w.T + bias` for `w` of shape [O, I] and `bias` [O], in `x`'s type; one kernel where `w` is an array."""
    return matmul(x, w, transpose=True, fast=fast) if bias is None else add_product(bias, x, w, fast=fast)


def add_product(c: mx.array, x: mx.array, w: Tensor, *, fast: bool = False) -> mx.array:
    """`c + x @ w.T` for a `c` that broadcasts to the product, in `x`'s type; one kernel where `w` is an array."""
    if isinstance(w, Packed):
        return matmul(x, w, transpose=True, fast=fast) + c
    if kernels.active():
        return affordable(kernels.cpu.addmm(c, x, w.T))
    c, w = cast(c, x.dtype), cast(w, x.dtype)
    # On CUDA the process ends in MLX's sum with a product of nothing (0.32.4).
    return affordable(mx.addmm(c, x, w.T) if x.size else x @ w.T + c)


def embedding(ids: mx.array, w: Tensor, dtype: mx.Dtype | None = None) -> mx.array:
    """The rows of `w` (N of them) that `ids` name, of shape `ids.shape + w.shape[1:]`.

    Ids are clamped to 0...N-1, since MLX reads foreign memory for others. The result has the type `dtype`: where it is
    not given, the type in which the device carries `w`'s.
    """
    count = w.shape[0]
    assert count > 0, "a table of embeddings has rows"
    rows = mx.clip(ids, 0, count - 1)
    kept = dtype or device.carried(w.dtype)
    if not isinstance(w, Packed):
        return affordable(cast(mx.take(w, rows, axis=0), kept))
    if ids.size == 0:
        return mx.zeros((*ids.shape, *w.shape[1:]), kept)
    words, scales = mx.take(w.weight, rows, axis=0), mx.take(w.scales, rows, axis=0)
    biases = None if w.biases is None else mx.take(w.biases, rows, axis=0)
    return _expand(w, words, scales, biases, kept)


def quantize(w: mx.array, bits: int, group: int, dtype: mx.Dtype) -> Tensor:
    """`w`, rounded to `dtype`, packed in the mode `affine` with scales and biases of `dtype`; without items, itself.

    `w` has the shape [..., O, I], and `group` (32, 64 or 128) divides I; `bits` are 2, 3, 4, 5, 6 or 8.
    """
    if w.size == 0:
        return w
    words, scales, biases = mx.quantize(w.astype(dtype), group_size=group, bits=bits)
    return Packed(words, scales, biases, PackedLayout(bits, group), w.shape, dtype)


def _expand(w: Packed, words: mx.array, scales: mx.array, biases: mx.array | None, dtype: mx.Dtype) -> mx.array:
    """The elements of rows that were taken from `w`."""
    shape = (*words.shape[:-1], w.shape[-1])
    # `mx.dequantize` takes no vectors: one row of a table becomes a matrix, and a vector again.
    rows = words.shape[:-1] or (1,)
    words, scales = words.reshape(*rows, -1), scales.reshape(*rows, -1)
    if biases is not None:
        scales, biases = scales.astype(mx.float32), biases.reshape(*rows, -1).astype(mx.float32)
    wide = mx.dequantize(
        words, scales, biases, group_size=w.layout.group_size, bits=w.layout.bits, mode=w.layout.mode, dtype=mx.float32
    )
    return affordable(wide.reshape(*shape).astype(dtype))
