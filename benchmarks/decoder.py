"""A decoder of language models written by hand in MLX, against which compiled models are held.

Takes: a GGUF file of the architecture `llama` or `gemma3`. Promises: logits of a prompt's last token and of each token
after it, from a preallocated cache of float16 keys and values. With the CPU kernels every node of a layer is one of
their primitives; without them the same is said in MLX's own operations. Refuses other architectures.

A layer is: norm, joined projection to queries, keys and values, rotary positions and attention over the cache, output
projection and sum, norm, gated feed-forward and sum. Gemma 3 adds norms of queries and keys, norms before the sums, a
sliding window in five layers of six, and embeddings scaled by the root of their width (Gemma 3 technical report, 2025).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import mlx.core as mx

from tensorlogic.runtime import packed
from tensorlogic.runtime.joining import why_apart
from tensorlogic.runtime.models import Model, load_model
from tensorlogic.runtime.packed import Tensor

PART = 128
"""The most tokens of a prompt that are computed together."""

Matrices = tuple[Tensor, ...]
Cache = list[tuple[mx.array, mx.array]]


class Operations(Protocol):
    """What a layer is made of."""

    def project(self, x: mx.array, layer: Layer, sizes: Sizes) -> mx.array:
        """The norm of `x` [1, L, D] times the joined projection: [1, L, (H + 2 K) * head]."""

    def attend(
        self, qkv: mx.array, cache: tuple[mx.array, mx.array], offset: int, index: int, layer: Layer, sizes: Sizes
    ) -> tuple[mx.array, tuple[mx.array, mx.array]]:
        """Attention of the projected rows over the cache and themselves: [1, L, H * head], and the cache after it."""

    def feed(self, mixed: mx.array, x: mx.array, layer: Layer, sizes: Sizes) -> mx.array:
        """The output projection, the gated feed-forward and their sums with `x`: the layer's result [1, L, D]."""

    def logits(self, x: mx.array, net: Net) -> mx.array:
        """[1, L, V] of the last layer's result."""


@dataclass(frozen=True)
class Sizes:
    """Hyper-parameters, as the file's metadata gives them."""

    layers: int
    heads: int
    kv_heads: int
    head: int
    width: int
    eps: float
    base: float
    traditional: bool
    gemma: bool
    window: int | None

    @property
    def scale(self) -> float:
        return float(self.head**-0.5)

    def is_local(self, layer: int) -> bool:
        """Whether a layer sees only the window: in Gemma 3 all but each sixth."""
        return self.window is not None and (layer + 1) % 6 != 0


@dataclass(frozen=True)
class Layer:
    """The weights of one layer; matrices that meet the same rows stand in one tuple."""

    attention_norm: mx.array
    projection: Matrices
    q_norm: mx.array | None
    k_norm: mx.array | None
    output: Matrices
    output_norm: mx.array | None
    feed_norm: mx.array
    gate_up: Matrices
    down: Matrices
    down_norm: mx.array | None


@dataclass(frozen=True)
class Net:
    """All weights; the output projection is the embedding."""

    sizes: Sizes
    embedding: Tensor
    layers: tuple[Layer, ...]
    norm: mx.array


def bind(model: Model) -> Net:
    """The weights of a model file, joined where they meet the same rows."""
    kind = model.string("general.architecture")
    if kind not in ("llama", "gemma3"):
        raise ValueError(f"the benchmark's decoder knows llama and gemma3, not {kind}")
    gemma = kind == "gemma3"
    heads, width = model.int(f"{kind}.attention.head_count"), model.int(f"{kind}.embedding_length")
    sizes = Sizes(
        layers=model.int(f"{kind}.block_count"),
        heads=heads,
        kv_heads=model.int(f"{kind}.attention.head_count_kv"),
        head=model.int(f"{kind}.attention.key_length") if gemma else width // heads,
        width=width,
        eps=model.float(f"{kind}.attention.layer_norm_rms_epsilon"),
        base=model.float(f"{kind}.rope.freq_base"),
        # The files of llama.cpp have the rows of queries and keys permuted for it.
        traditional=not gemma,
        gemma=gemma,
        window=model.int(f"{kind}.attention.sliding_window") if gemma else None,
    )
    layers = tuple(_layer(model, f"blk.{index}", gemma) for index in range(sizes.layers))
    return Net(sizes, model.get_tensor("token_embd.weight"), layers, _vector(model, "output_norm.weight"))


def _layer(model: Model, name: str, gemma: bool) -> Layer:
    def vector(part: str) -> mx.array:
        return _vector(model, f"{name}.{part}.weight")

    def matrices(*parts: str) -> Matrices:
        return _joined(model, [f"{name}.{part}.weight" for part in parts])

    return Layer(
        attention_norm=vector("attn_norm"),
        projection=matrices("attn_q", "attn_k", "attn_v"),
        q_norm=vector("attn_q_norm") if gemma else None,
        k_norm=vector("attn_k_norm") if gemma else None,
        output=matrices("attn_output"),
        output_norm=vector("post_attention_norm") if gemma else None,
        feed_norm=vector("ffn_norm"),
        gate_up=matrices("ffn_gate", "ffn_up"),
        down=matrices("ffn_down"),
        down_norm=vector("post_ffw_norm") if gemma else None,
    )


def _vector(model: Model, name: str) -> mx.array:
    return packed.dense(model.get_tensor(name), mx.float32)


def _joined(model: Model, names: list[str]) -> Matrices:
    """As one matrix where the parts have one layout, else as they are."""
    parts = [model.get_tensor(name) for name in names]
    return tuple(parts) if why_apart(parts) else (model.get_joined(names),)


class Decoder:
    """One sequence: `prefill` begins it, `step` goes on. Logits are float32 [V], lazy."""

    def __init__(self, net: Net, operations: Operations) -> None:
        self.net = net
        self._operations = operations
        self._caches: Cache = []
        self._offset = 0

    def new_cache(self, capacity: int) -> None:
        """Begins a sequence of at most `capacity` tokens."""
        sizes = self.net.sizes
        shape = (1, sizes.kv_heads, capacity, sizes.head)
        self._caches = [(mx.zeros(shape, mx.float16), mx.zeros(shape, mx.float16)) for _ in range(sizes.layers)]
        mx.eval(self._caches)
        self._offset = 0

    def prefill(self, ids: list[int]) -> mx.array:
        """In parts of even sizes, so that the values on the way of a long prompt do not all wait for their turn."""
        count = -(-len(ids) // PART)
        begins = [len(ids) * part // count for part in range(count)]
        for begin, end in pairwise(begins):
            self._forward(mx.array([ids[begin:end]]))
            mx.eval(self._caches)
        return self._forward(mx.array([ids[begins[-1] :]]))

    def step(self, token: int | mx.array) -> mx.array:
        return self._forward(mx.array([[token]]) if isinstance(token, int) else token.reshape(1, 1))

    def _forward(self, ids: mx.array) -> mx.array:
        net, do = self.net, self._operations
        sizes, length = net.sizes, ids.shape[1]
        x = packed.embedding(ids, net.embedding, mx.float32)
        if sizes.gemma:
            x = x * sizes.width**0.5
        for index, layer in enumerate(net.layers):
            qkv = do.project(x, layer, sizes)
            mixed, self._caches[index] = do.attend(qkv, self._caches[index], self._offset, index, layer, sizes)
            if index == sizes.layers - 1:
                # Only the last token's logits are asked for.
                mixed, x = mixed[:, -1:], x[:, -1:]
            x = do.feed(mixed, x, layer, sizes)
        self._offset += length
        return do.logits(x, net)[0, -1]


def load(path: Path, *, fast: bool = False, kernels: bool = True) -> Decoder:
    """A decoder of the model in `path`, with the CPU kernels or in MLX's own operations."""
    # Imported here, since the two files need the classes above.
    from benchmarks import decoder_kernels, decoder_mlx

    net = bind(load_model(path))
    operations = decoder_kernels.Kernels(net, fast) if kernels else decoder_mlx.Plain()
    return Decoder(net, operations)
