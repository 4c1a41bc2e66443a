"""From logits to token ids, as graph nodes: the next step can be built before the last one has been computed.

`Sampler` takes logits [B, V] in any float type and gives ids int32 [B]. In this order, which is llama.cpp's: the logits
of tokens that were there before are divided by `repetition_penalty` where positive and multiplied where negative
(Keskar et al. 2019); of the rest stay the `top_k` largest (Fan et al. 2018), the fewest whose probabilities sum up to
`top_p` (Holtzman et al. 2020), and those of at least `min_p` times the largest's probability (Nguyen et al. 2024); then
one is drawn from `softmax(logits / temperature)`. A temperature of 0 takes the largest. Equal seeds draw equal tokens
from equal logits.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import mlx.core as mx

from tensorlogic.runtime.errors import BoundaryError
from tensorlogic.runtime.functions_kernels import cast, greedy
from tensorlogic.runtime.functions_sampling import draw


@dataclass
class Sampler:
    """Raises BoundaryError TL5023 for numbers that make no sense."""

    temperature: float = 0.0
    top_k: int = 0
    """0 for all."""
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    seed: int = 0
    _seen: mx.array | None = field(default=None, init=False, repr=False)
    """bool [B, V]: which tokens were there before."""
    _key: mx.array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        _require(self.temperature >= 0, "temperature", self.temperature, "is at least 0")
        _require(self.top_k >= 0, "top_k", self.top_k, "is at least 0")
        _require(0 < self.top_p <= 1, "top_p", self.top_p, "is above 0 and at most 1")
        _require(0 <= self.min_p <= 1, "min_p", self.min_p, "is from 0 to 1")
        _require(0 < self.repetition_penalty < mx.inf, "repetition_penalty", self.repetition_penalty, "is above 0")
        _require(-(2**63) <= self.seed < 2**64, "seed", self.seed, "fits 64 bits")
        self._key = mx.random.key(self.seed % 2**64)

    def note(self, ids: mx.array, vocabulary: int) -> None:
        """Tokens [B, L] that the penalty counts."""
        if self.repetition_penalty == 1:
            return
        if self._seen is None:
            self._seen = mx.zeros((ids.shape[0], vocabulary), mx.bool_)
        self._seen = mx.put_along_axis(self._seen, ids, mx.array(True), axis=-1)

    def __call__(self, logits: mx.array) -> mx.array:
        """The next token of each row, which is noted: int32 [B], -1 where the logits are no numbers."""
        x = cast(logits, mx.float32)
        if self._seen is not None:
            penalized = mx.where(x > 0, x / self.repetition_penalty, x * self.repetition_penalty)
            x = mx.where(self._seen, penalized, x)
        ids = greedy(x)
        if self.temperature > 0:
            self._key, key = mx.random.split(self._key)
            drawn = draw(x, key, self.temperature, self.top_k, self.top_p, self.min_p)
            ids = mx.where(ids < 0, -1, drawn.astype(mx.int32))
        self.note(ids[:, None], logits.shape[-1])
        return ids


def _require(holds: bool, name: str, value: float, what: str) -> None:
    if not holds:
        raise BoundaryError("TL5023", f"`{name}` {what}, not {value}")
