"""What a header says of a model as a whole: its architecture, its quantization, and how much of what it holds.

Takes a checked header, gives numbers and names. Imports neither NumPy nor MLX, so that looking at a file costs no more
than reading its header.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tensorlogic.runtime.formats.header import MetadataValue, TensorInfo

_ARCHITECTURE_KEYS = ("general.architecture", "model_type")
"""What `save_model` kept of a GGUF file, and what Hugging Face calls it in `config.json`."""


@dataclass(frozen=True, slots=True)
class Amount:
    """So many tensors with so many elements, in so many bytes of a file."""

    tensors: int = 0
    elements: int = 0
    nbytes: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.tensors + other.tensors, self.elements + other.elements, self.nbytes + other.nbytes)


def architecture(metadata: Mapping[str, MetadataValue]) -> str | None:
    """The name of the model's architecture, such as `llama`, where the metadata tells it."""
    names = (metadata.get(key) for key in _ARCHITECTURE_KEYS)
    return next((name for name in names if isinstance(name, str)), None)


def quantization(tensors: Iterable[TensorInfo]) -> str | None:
    """The storage type of most quantized elements; None where none are."""
    elements: Counter[str] = Counter()
    for info in tensors:
        if info.is_quantized or info.layout is not None or info.scales is not None or not info.readable:
            elements[info.storage] += math.prod(info.shape)
    return elements.most_common(1)[0][0] if elements else None


def stored_bytes(info: TensorInfo) -> int:
    """The bytes that a tensor takes in its file, those of its scales and whatever else belongs to it included."""
    return info.nbytes + sum(part.nbytes for part in info.parts)


def amounts(tensors: Iterable[TensorInfo]) -> dict[str, Amount]:
    """How much there is of each storage type, the one with the most bytes first."""
    found: dict[str, Amount] = {}
    for info in tensors:
        one = Amount(1, math.prod(info.shape), stored_bytes(info))
        found[info.storage] = found.get(info.storage, Amount()) + one
    return dict(sorted(found.items(), key=lambda item: (-item[1].nbytes, item[0])))
