"""What a repacking is: one function from the blocks of a storage type to MLX's words, scales and biases.

Each family of types has a room (`repack_legacy`, `repack_k`, `repack_small`, `repack_grid`) with a table from a type's
name to its `Repacking`. A function gets some thousand blocks at a time, small enough for the processor's cache.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tensorlogic.runtime.formats.values import Array


@dataclass(frozen=True, slots=True)
class Groups:
    """The scales of some blocks, shape (blocks, groups of a block), and the biases where the mode has any.

    Floats in the type in which they are exact; bytes as they are kept in the modes that are not affine.
    """

    scales: Array
    biases: Array | None


@dataclass(frozen=True, slots=True)
class Repacking:
    """How blocks of the NumPy type `block` are repacked.

    `run(blocks, words)` fills uint32 words of shape (blocks, words of a block) and gives the groups' numbers. `kept` is
    the type that holds them exactly: float16 where biases that are too large for it are the one exception, float32
    otherwise, uint8 for bytes. `factor` is set where the bias is always the scale times it.
    """

    block: np.dtype[np.void]
    kept: type[np.float16] | type[np.float32] | type[np.uint8]
    run: Callable[[Array, Array], Groups]
    factor: int | None = None
