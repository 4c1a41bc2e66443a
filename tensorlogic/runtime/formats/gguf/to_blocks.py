"""MLX's packed layouts as GGUF's blocks of 32, where these can hold the same values: `repacked`, turned round.

Takes words, scales and biases of a packed tensor, gives the blocks' bytes. Nothing is rounded: a tensor of which one
scale or bias is no float16, or whose layout GGUF has not, is refused with None, and whoever asks expands it.

    affine, up to 4 bits   Q4_0 where each bias is -8 times its scale, else Q4_1
    affine, 5 bits         Q5_0 where it is -16 times, else Q5_1
    affine, 8 bits         Q8_0 where it is -128 times
    mxfp4                  MXFP4

A group of 64 or 128 elements becomes two or four blocks with its scale. The format:
https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tensorlogic.runtime.formats.bits import unpacked
from tensorlogic.runtime.formats.blocks import BLOCK, Parts
from tensorlogic.runtime.formats.header import PackedLayout
from tensorlogic.runtime.formats.values import Array, widen_bfloat16

_PIECE = 1 << 16
"""Blocks that are made at once: two million elements."""
_HALF = BLOCK // 2
_NAMES = {4: ("Q4_0", "Q4_1"), 5: ("Q5_0", "Q5_1"), 8: ("Q8_0", None)}


def to_blocks(parts: Parts, layout: PackedLayout) -> tuple[str, Iterator[bytes]] | None:
    """The storage type and, in pieces, the bytes of blocks with exactly the values of a packed tensor, if there is one.

    `parts` has scales and biases of any float type.
    """
    if layout.mode == "mxfp4":
        return "MXFP4", _small_floats(parts)
    if layout.mode != "affine" or layout.group_size % BLOCK or layout.bits == 6:
        return None
    assert parts.biases is not None, "the mode affine has biases"
    bits = max(layout.bits, 4)
    symmetric, shifted = _NAMES[bits]
    scales, exact = _halves(parts.scales, parts.is_bfloat16)
    if not exact:
        return None
    wide_biases = widen_bfloat16(parts.biases) if parts.is_bfloat16 else parts.biases.astype(np.float32)
    heads: list[Array] = [scales]
    storage = symmetric
    if not np.array_equal(wide_biases, scales.astype(np.float32) * -(2.0 ** (bits - 1))):
        biases, exact = _halves(parts.biases, parts.is_bfloat16)
        if shifted is None or not exact:
            return None
        heads.append(biases)
        storage = shifted
    each = layout.group_size // BLOCK
    repeated = [np.repeat(head.reshape(-1), each) for head in heads]
    return storage, _blocks(parts.words.reshape(-1), layout.bits, bits, repeated)


def _halves(values: Array, is_bfloat16: bool) -> tuple[Array, bool]:
    """Values as float16, and whether they all are ones."""
    wide = widen_bfloat16(values) if is_bfloat16 else values
    with np.errstate(over="ignore"):
        halves = wide.astype("<f2")
    return halves, np.array_equal(halves.astype(np.float32), wide.astype(np.float32))


def _blocks(words: Array, stored_bits: int, bits: int, heads: list[Array]) -> Iterator[bytes]:
    for begin in range(0, heads[0].size, _PIECE):
        front = [head[begin : begin + _PIECE] for head in heads]
        count = front[0].size
        codes = _codes(words[begin * stored_bits :], stored_bits, count)
        columns: list[Array] = [np.ascontiguousarray(head).view(np.uint8).reshape(count, 2) for head in front]
        if bits == 8:
            columns.append(codes ^ 0x80)
        else:
            if bits == 5:
                columns.append(np.packbits(codes >> 4, axis=1, bitorder="little"))
            low = codes & 0x0F
            columns.append(low[:, :_HALF] | low[:, _HALF:] << 4)
        yield np.concatenate(columns, axis=1).tobytes()


def _small_floats(parts: Parts) -> Iterator[bytes]:
    """A byte of scale, then element j beside element j + 16; both have the same scales and elements of four bits."""
    scales, words = parts.scales.reshape(-1), parts.words.reshape(-1)
    for begin in range(0, scales.size, _PIECE):
        front = scales[begin : begin + _PIECE]
        codes = _codes(words[begin * 4 :], 4, front.size)
        yield np.concatenate([front[:, None], codes[:, :_HALF] | codes[:, _HALF:] << 4], axis=1).tobytes()


def _codes(words: Array, bits: int, count: int) -> Array:
    """The elements of `count` blocks, of shape (count, BLOCK), each as a byte; they begin with these words."""
    return unpacked(words[: count * bits].view(np.uint8), bits, count * BLOCK).reshape(count, BLOCK)
