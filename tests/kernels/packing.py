"""Packed matrices for tests, and what they mean in float64 by the formats' definitions, not by MLX."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import numpy as np
import numpy.typing as npt
from tensorlogic_cpu import kernels

Floats = npt.NDArray[np.float64]

E2M1 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])


@dataclass(frozen=True)
class Layout:
    bits: int
    group: int
    mode: str = "affine"

    @property
    def block(self) -> int:
        """What a row is a multiple of."""
        return max(self.group, 32)

    def __str__(self) -> str:
        return f"{self.mode}{self.bits}x{self.group}"


LAYOUTS = [
    *(Layout(bits, group) for bits in (2, 3, 4, 5, 6, 8) for group in (16, 32, 64, 128) if (bits, group) != (4, 16)),
    Layout(4, 32, "mxfp4"),
]


@dataclass(frozen=True)
class Packed:
    """A matrix for the kernels, its parts, and its elements."""

    matrix: kernels.Matrix
    parts: tuple[mx.array, mx.array, mx.array | None]
    elements: Floats
    sizes: Floats
    """What sums are made of: |scale * code| + |bias| of each element."""


def codes_in_words(codes: npt.NDArray[Any], bits: int) -> npt.NDArray[np.uint32]:
    """Codes [N, K] as uint32 words [N, K * bits / 32]: a row's first code in the lowest bits of its first word."""
    stream = (codes[..., None].astype(np.uint32) >> np.arange(bits, dtype=np.uint32)) & 1
    octets = np.packbits(stream.astype(np.uint8).reshape(len(codes), -1), axis=1, bitorder="little")
    return octets.view(np.uint32)


def packed(rng: np.random.Generator, rows: int, width: int, layout: Layout, scales: mx.Dtype = mx.float32) -> Packed:
    """A random matrix [rows, width]: every code, scales of both signs, biases that do not follow from scales."""
    codes = rng.integers(0, 2**layout.bits, (rows, width))
    words = mx.array(codes_in_words(codes, layout.bits).reshape(rows, width * layout.bits // 32))
    groups = (rows, width // layout.group)
    if layout.mode == "mxfp4":
        exponents = rng.integers(112, 128, groups).astype(np.uint8)
        elements = E2M1[codes] * np.repeat(2.0 ** (exponents.astype(np.float64) - 127), layout.group, axis=1)
        parts: tuple[mx.array, mx.array, mx.array | None] = (words, mx.array(exponents), None)
        # Codes are multiplied as whole numbers up to 24, halved and 6 too large.
        sizes = np.abs(elements) + 12 * np.repeat(2.0 ** (exponents.astype(np.float64) - 127), layout.group, axis=1)
    else:
        scale = mx.array(rng.normal(0, 0.1, groups).astype(np.float32)).astype(scales)
        bias = mx.array(rng.normal(0, 0.5, groups).astype(np.float32)).astype(scales)
        wide = (np.array(part.astype(mx.float32), np.float64) for part in (scale, bias))
        factor, offset = (np.repeat(part, layout.group, axis=1) for part in wide)
        elements = factor * codes + offset
        sizes = np.abs(factor) * codes + np.abs(offset)
        parts = (words, scale, bias)
    matrix = kernels.Matrix(*parts, layout.bits, layout.group, layout.mode)
    return Packed(matrix, parts, elements, sizes)


def block_peaks(x: Floats) -> Floats:
    """In each item's place, the largest magnitude of its block of 32."""
    blocks = np.abs(x).reshape(*x.shape[:-1], -1, 32)
    return np.broadcast_to(blocks.max(axis=-1, keepdims=True), blocks.shape).reshape(x.shape)
