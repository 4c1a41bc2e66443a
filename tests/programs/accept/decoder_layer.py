# Compiled by tlc 0.1.0 from decoder_layer.tl. What is changed here is lost.
"""Layers of decoders, whose products and what stands around them become chains: Llama's, and Gemma's with its norms."""
from __future__ import annotations

from dataclasses import dataclass, field

import mlx.core as mx

from tensorlogic import runtime as tl

F16 = tl.carried(mx.float16)


@dataclass(frozen=True, eq=False, kw_only=True)
class Attention:
    """`Attention`: Attention[D, H, K, E]."""

    _joined = (("q", "k", "v"),)  # products of one left side, which `bind` makes one

    norm: mx.array  # float16[D]
    q: mx.array | tl.Packed  # float16[H*E, D]
    k: mx.array | tl.Packed  # float16[K*E, D]
    v: mx.array | tl.Packed  # float16[K*E, D]
    o: mx.array | tl.Packed  # float16[D, H*E]
    D: int = field(init=False, repr=False)
    H: int = field(repr=False)
    K: int = field(init=False, repr=False)
    E: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        norm = tl.array(self.norm, "Attention.norm", mx.float16, 1, "float16[D]", "decoder_layer.tl:4")
        q = tl.array(self.q, "Attention.q", mx.float16, 2, "float16[H*E, D]", "decoder_layer.tl:5", packed=True)
        k = tl.array(self.k, "Attention.k", mx.float16, 2, "float16[K*E, D]", "decoder_layer.tl:6", packed=True)
        v = tl.array(self.v, "Attention.v", mx.float16, 2, "float16[K*E, D]", "decoder_layer.tl:7", packed=True)
        o = tl.array(self.o, "Attention.o", mx.float16, 2, "float16[D, H*E]", "decoder_layer.tl:8", packed=True)
        H = tl.integer(self.H, "Attention.H", "decoder_layer.tl:3")
        if H < 1:
            tl.refuse("decoder_layer.tl:3", "TL5001", "`H` is {}: a dimension variable is at least {}", H, 1)
        D = norm.shape[0]
        if D < 1:
            tl.refuse(
                "decoder_layer.tl:3",
                "TL5001",
                "`D` is {} by dim 0 of `norm`: a dimension variable is at least {}",
                D,
                1,
            )
        if q.shape[0] % H != 0:
            tl.refuse("decoder_layer.tl:3", "TL5001", "dim 0 of `q` is H*E: {} is not divisible by {}", q.shape[0], H)
        E = q.shape[0] // H
        if E < 1:
            tl.refuse(
                "decoder_layer.tl:3", "TL5001", "`E` is {} by dim 0 of `q`: a dimension variable is at least {}", E, 1
            )
        if k.shape[0] % E != 0:
            tl.refuse("decoder_layer.tl:3", "TL5001", "dim 0 of `k` is K*E: {} is not divisible by {}", k.shape[0], E)
        K = k.shape[0] // E
        if K < 1:
            tl.refuse(
                "decoder_layer.tl:3", "TL5001", "`K` is {} by dim 0 of `k`: a dimension variable is at least {}", K, 1
            )
        if q.shape[1] != D:
            tl.refuse(
                "decoder_layer.tl:5",
                "TL5001",
                "dim 1 of `q` is {}, not `D` = {} (`D` by dim 0 of `norm`)",
                q.shape[1],
                D,
            )
        if k.shape[1] != D:
            tl.refuse(
                "decoder_layer.tl:6",
                "TL5001",
                "dim 1 of `k` is {}, not `D` = {} (`D` by dim 0 of `norm`)",
                k.shape[1],
                D,
            )
        if v.shape[0] != K * E:
            tl.refuse(
                "decoder_layer.tl:7",
                "TL5001",
                "dim 0 of `v` is {}, not `K*E` = {} (`K` by dim 0 of `k`, `E` by dim 0 of `q`)",
                v.shape[0],
                K * E,
            )
        if v.shape[1] != D:
            tl.refuse(
                "decoder_layer.tl:7",
                "TL5001",
                "dim 1 of `v` is {}, not `D` = {} (`D` by dim 0 of `norm`)",
                v.shape[1],
                D,
            )
        if o.shape[0] != D:
            tl.refuse(
                "decoder_layer.tl:8",
                "TL5001",
                "dim 0 of `o` is {}, not `D` = {} (`D` by dim 0 of `norm`)",
                o.shape[0],
                D,
            )
        if o.shape[1] != H * E:
            tl.refuse(
                "decoder_layer.tl:8",
                "TL5001",
                "dim 1 of `o` is {}, not `H*E` = {} (`E` by dim 0 of `q`)",
                o.shape[1],
                H * E,
            )
        tl.set_fields(self, norm=norm, q=q, k=k, v=v, o=o, D=D, H=H, K=K, E=E)

    @staticmethod
    def _model_fields() -> tuple[tl.Field, ...]:
        """Where a model file holds the fields of `Attention`."""
        return (
            tl.Field("norm", ("norm",), dtype=mx.float16, shape=("D",)),
            tl.Field("q", ("q",), dtype=mx.float16, shape=({("H", "E",): 1}, "D")),
            tl.Field("k", ("k",), dtype=mx.float16, shape=({("K", "E",): 1}, "D")),
            tl.Field("v", ("v",), dtype=mx.float16, shape=({("K", "E",): 1}, "D")),
            tl.Field("o", ("o",), dtype=mx.float16, shape=("D", {("H", "E",): 1})),
        )

    @classmethod
    def bind(cls, model: tl.Model, prefix: str = "", **dims: int) -> Attention:
        """`Attention` filled from a model by its keys below `prefix`; dims by name."""
        return tl.bind(cls, model, prefix, dims)


@dataclass(frozen=True, eq=False, kw_only=True)
class FeedForward:
    """`FeedForward`: FeedForward[D, F]."""

    _joined = (("gate", "up"),)  # products of one left side, which `bind` makes one

    norm: mx.array  # float16[D]
    gate: mx.array | tl.Packed  # float16[F, D]
    up: mx.array | tl.Packed  # float16[F, D]
    down: mx.array | tl.Packed  # float16[D, F]
    D: int = field(init=False, repr=False)
    F: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        norm = tl.array(self.norm, "FeedForward.norm", mx.float16, 1, "float16[D]", "decoder_layer.tl:12")
        gate = tl.array(
            self.gate, "FeedForward.gate", mx.float16, 2, "float16[F, D]", "decoder_layer.tl:13", packed=True
        )
        up = tl.array(self.up, "FeedForward.up", mx.float16, 2, "float16[F, D]", "decoder_layer.tl:14", packed=True)
        down = tl.array(
            self.down, "FeedForward.down", mx.float16, 2, "float16[D, F]", "decoder_layer.tl:15", packed=True
        )
        D = norm.shape[0]
        if D < 1:
            tl.refuse(
                "decoder_layer.tl:11",
                "TL5001",
                "`D` is {} by dim 0 of `norm`: a dimension variable is at least {}",
                D,
                1,
            )
        F = gate.shape[0]
        if F < 1:
            tl.refuse(
                "decoder_layer.tl:11",
                "TL5001",
                "`F` is {} by dim 0 of `gate`: a dimension variable is at least {}",
                F,
                1,
            )
        if gate.shape[1] != D:
            tl.refuse(
                "decoder_layer.tl:13",
                "TL5001",
                "dim 1 of `gate` is {}, not `D` = {} (`D` by dim 0 of `norm`)",
                gate.shape[1],
                D,
            )
        if up.shape[0] != F:
            tl.refuse(
                "decoder_layer.tl:14",
                "TL5001",
                "dim 0 of `up` is {}, not `F` = {} (`F` by dim 0 of `gate`)",
                up.shape[0],
                F,
            )
        if up.shape[1] != D:
            tl.refuse(
                "decoder_layer.tl:14",
                "TL5001",
                "dim 1 of `up` is {}, not `D` = {} (`D` by dim 0 of `norm`)",
                up.shape[1],
                D,
            )
        if down.shape[0] != D:
            tl.refuse(
                "decoder_layer.tl:15",
                "TL5001",
                "dim 0 of `down` is {}, not `D` = {} (`D` by dim 0 of `norm`)",
                down.shape[0],
                D,
            )
        if down.shape[1] != F:
            tl.refuse(
                "decoder_layer.tl:15",
                "TL5001",
                "dim 1 of `down` is {}, not `F` = {} (`F` by dim 0 of `gate`)",
                down.shape[1],
                F,
            )
        tl.set_fields(self, norm=norm, gate=gate, up=up, down=down, D=D, F=F)

    @staticmethod
    def _model_fields() -> tuple[tl.Field, ...]:
        """Where a model file holds the fields of `FeedForward`."""
        return (
            tl.Field("norm", ("norm",), dtype=mx.float16, shape=("D",)),
            tl.Field("gate", ("gate",), dtype=mx.float16, shape=("F", "D")),
            tl.Field("up", ("up",), dtype=mx.float16, shape=("F", "D")),
            tl.Field("down", ("down",), dtype=mx.float16, shape=("D", "F")),
        )

    @classmethod
    def bind(cls, model: tl.Model, prefix: str = "", **dims: int) -> FeedForward:
        """`FeedForward` filled from a model by its keys below `prefix`; dims by name."""
        return tl.bind(cls, model, prefix, dims)


def _attend(h: mx.array, a: Attention, window: int) -> mx.array:  # decoder_layer.tl:19
    product, product_2, product_3 = tl.chain_apart(h, tl.Stage(a.q, a.k, a.v))
    q = mx.unflatten(product, 2, (a.H, -1)).transpose(0, 2, 1, 3)
    k = mx.unflatten(product_2, 2, (a.K, -1)).transpose(0, 2, 1, 3)
    v = mx.unflatten(product_3, 2, (a.K, -1)).transpose(0, 2, 1, 3)
    y = tl.attention(tl.rope(q), tl.rope(k), v, causal=True, window=window)  # decoder_layer.tl:25
    return mx.flatten(y.transpose(0, 2, 1, 3), 2, 3)


def _llama(x: mx.array, a: Attention, f: FeedForward) -> mx.array:  # decoder_layer.tl:29
    result = tl.chain(
        _attend(tl.rms_norm(x, a.norm, 1e-05), a, x.shape[1]),
        tl.Stage(a.o, add=x),
        tl.Stage(f.gate, f.up, norm=f.norm, eps=1e-05, gate="silu"),
        tl.Stage(f.down, add_stage=1),
    )
    return result


def _gemma(x: mx.array, a: Attention, f: FeedForward, window: int) -> mx.array:  # decoder_layer.tl:37
    result = tl.chain(
        _attend(tl.rms_norm(x, a.norm, 1e-05), a, window),
        tl.Stage(a.o, norm_after=a.norm, eps_after=1e-05, add=x),
        tl.Stage(f.gate, f.up, norm=f.norm, eps=1e-05, gate="gelu_tanh"),
        tl.Stage(f.down, norm_after=f.norm, eps_after=1e-06, add_stage=1),
    )
    return result


def _matrix(N: int, M: int, step: float) -> mx.array:  # decoder_layer.tl:47
    product = tl.arange(0, N * M, 1, mx.int32, "decoder_layer.tl:48").astype(mx.float32) * tl.fits(
        step, mx.float32, "step", "decoder_layer.tl:48"
    )
    return mx.reshape((mx.sin(product) / 4).astype(mx.float16).astype(F16), (N, M))


@tl.entry
def attend(h: mx.array, a: Attention, window: int) -> mx.array:
    """Queries, keys and values with their rotary positions, and what the last `window` positions say to each.

    Args:
        h: float16[B, L, D]
        a: Attention[D, H, K, E]
        window: int

    Returns: float16[B, L, H*E]
    Demands: H % K == 0
    Demands: E % 2 == 0
    Demands: window >= 1
    """
    h = tl.array(h, "h", mx.float16, 3, "float16[B, L, D]", "decoder_layer.tl:19")
    a = tl.instance(a, Attention, "a", "decoder_layer.tl:19")
    window = tl.integer(window, "window", "decoder_layer.tl:19")
    if window < 1:
        tl.refuse("decoder_layer.tl:19", "TL5006", "`attend` demands `window >= 1`: `window` is {}", window)
    B = h.shape[0]
    if B < 1:
        tl.refuse(
            "decoder_layer.tl:19", "TL5001", "`B` is {} by dim 0 of `h`: a dimension variable is at least {}", B, 1
        )
    L = h.shape[1]
    if L < 1:
        tl.refuse(
            "decoder_layer.tl:19", "TL5001", "`L` is {} by dim 1 of `h`: a dimension variable is at least {}", L, 1
        )
    D = h.shape[2]
    if D < 1:
        tl.refuse(
            "decoder_layer.tl:19", "TL5001", "`D` is {} by dim 2 of `h`: a dimension variable is at least {}", D, 1
        )
    H = a.H
    K = a.K
    if H % K != 0:
        tl.refuse(
            "decoder_layer.tl:19",
            "TL5006",
            "`attend` demands `H % K == 0`: `H` is {} by `H` of `a`, `K` is {} by `K` of `a`",
            H,
            K,
        )
    E = a.E
    if E % 2 != 0:
        tl.refuse("decoder_layer.tl:19", "TL5006", "`attend` demands `E % 2 == 0`: `E` is {} by `E` of `a`", E)
    if a.D != D:
        tl.refuse("decoder_layer.tl:19", "TL5001", "`D` of `a` is {}, not `D` = {} (`D` by dim 2 of `h`)", a.D, D)
    result = _attend(h, a, window)  # decoder_layer.tl:19
    return tl.cast(result, mx.float16)


@tl.entry
def llama(x: mx.array, a: Attention, f: FeedForward) -> mx.array:
    """`llama` of decoder_layer.tl:29.

    Args:
        x: float16[B, L, D]
        a: Attention[D, H, K, E]
        f: FeedForward[D, F]

    Returns: float16[B, L, D]
    Demands: H % K == 0
    Demands: E % 2 == 0
    """
    x = tl.array(x, "x", mx.float16, 3, "float16[B, L, D]", "decoder_layer.tl:29")
    a = tl.instance(a, Attention, "a", "decoder_layer.tl:29")
    f = tl.instance(f, FeedForward, "f", "decoder_layer.tl:29")
    B = x.shape[0]
    if B < 1:
        tl.refuse(
            "decoder_layer.tl:29", "TL5001", "`B` is {} by dim 0 of `x`: a dimension variable is at least {}", B, 1
        )
    L = x.shape[1]
    if L < 1:
        tl.refuse(
            "decoder_layer.tl:29", "TL5001", "`L` is {} by dim 1 of `x`: a dimension variable is at least {}", L, 1
        )
    D = x.shape[2]
    if D < 1:
        tl.refuse(
            "decoder_layer.tl:29", "TL5001", "`D` is {} by dim 2 of `x`: a dimension variable is at least {}", D, 1
        )
    H = a.H
    K = a.K
    if H % K != 0:
        tl.refuse(
            "decoder_layer.tl:29",
            "TL5006",
            "`llama` demands `H % K == 0`: `H` is {} by `H` of `a`, `K` is {} by `K` of `a`",
            H,
            K,
        )
    E = a.E
    if E % 2 != 0:
        tl.refuse("decoder_layer.tl:29", "TL5006", "`llama` demands `E % 2 == 0`: `E` is {} by `E` of `a`", E)
    if a.D != D:
        tl.refuse("decoder_layer.tl:29", "TL5001", "`D` of `a` is {}, not `D` = {} (`D` by dim 2 of `x`)", a.D, D)
    if f.D != D:
        tl.refuse("decoder_layer.tl:29", "TL5001", "`D` of `f` is {}, not `D` = {} (`D` by dim 2 of `x`)", f.D, D)
    result = _llama(x, a, f)  # decoder_layer.tl:29
    return tl.cast(result, mx.float16)


@tl.entry
def gemma(x: mx.array, a: Attention, f: FeedForward, window: int) -> mx.array:
    """`gemma` of decoder_layer.tl:37.

    Args:
        x: float16[B, L, D]
        a: Attention[D, H, K, E]
        f: FeedForward[D, F]
        window: int

    Returns: float16[B, L, D]
    Demands: H % K == 0
    Demands: E % 2 == 0
    Demands: window >= 1
    """
    x = tl.array(x, "x", mx.float16, 3, "float16[B, L, D]", "decoder_layer.tl:37")
    a = tl.instance(a, Attention, "a", "decoder_layer.tl:37")
    f = tl.instance(f, FeedForward, "f", "decoder_layer.tl:37")
    window = tl.integer(window, "window", "decoder_layer.tl:37")
    if window < 1:
        tl.refuse("decoder_layer.tl:37", "TL5006", "`gemma` demands `window >= 1`: `window` is {}", window)
    B = x.shape[0]
    if B < 1:
        tl.refuse(
            "decoder_layer.tl:37", "TL5001", "`B` is {} by dim 0 of `x`: a dimension variable is at least {}", B, 1
        )
    L = x.shape[1]
    if L < 1:
        tl.refuse(
            "decoder_layer.tl:37", "TL5001", "`L` is {} by dim 1 of `x`: a dimension variable is at least {}", L, 1
        )
    D = x.shape[2]
    if D < 1:
        tl.refuse(
            "decoder_layer.tl:37", "TL5001", "`D` is {} by dim 2 of `x`: a dimension variable is at least {}", D, 1
        )
    H = a.H
    K = a.K
    if H % K != 0:
        tl.refuse(
            "decoder_layer.tl:37",
            "TL5006",
            "`gemma` demands `H % K == 0`: `H` is {} by `H` of `a`, `K` is {} by `K` of `a`",
            H,
            K,
        )
    E = a.E
    if E % 2 != 0:
        tl.refuse("decoder_layer.tl:37", "TL5006", "`gemma` demands `E % 2 == 0`: `E` is {} by `E` of `a`", E)
    if a.D != D:
        tl.refuse("decoder_layer.tl:37", "TL5001", "`D` of `a` is {}, not `D` = {} (`D` by dim 2 of `x`)", a.D, D)
    if f.D != D:
        tl.refuse("decoder_layer.tl:37", "TL5001", "`D` of `f` is {}, not `D` = {} (`D` by dim 2 of `x`)", f.D, D)
    result = _gemma(x, a, f, window)  # decoder_layer.tl:37
    return tl.cast(result, mx.float16)


@tl.entry
def matrix(N: int, M: int, step: float) -> mx.array:
    """Numbers that count up to `N*M` and swing.

    Args:
        N: int
        M: int
        step: float

    Returns: float16[N, M]
    Demands: 1 <= N
    Demands: 1 <= M
    """
    N = tl.integer(N, "N", "decoder_layer.tl:47")
    M = tl.integer(M, "M", "decoder_layer.tl:47")
    step = tl.number(step, "step", "decoder_layer.tl:47")
    if N < 1:
        tl.refuse("decoder_layer.tl:47", "TL5001", "`N` is {}: a dimension variable is at least {}", N, 1)
    if M < 1:
        tl.refuse("decoder_layer.tl:47", "TL5001", "`M` is {}: a dimension variable is at least {}", M, 1)
    result = _matrix(N, M, step)  # decoder_layer.tl:47
    return tl.cast(result, mx.float16)


def main(args: tuple[str, ...]) -> None:
    ones = mx.ones((32,), F16)
    a = tl.made(
        Attention,
        norm=ones * 1.5,
        q=tl.quantize(_matrix(32, 32, 0.7), 8, 32, mx.float16),
        k=tl.quantize(_matrix(16, 32, 0.9), 8, 32, mx.float16),
        v=tl.quantize(_matrix(16, 32, 1.1), 8, 32, mx.float16),
        o=tl.quantize(_matrix(32, 32, 1.3), 8, 32, mx.float16),
        D=32,
        H=4,
        K=2,
        E=8,
    )
    f = tl.made(
        FeedForward,
        norm=ones,
        gate=tl.quantize(_matrix(64, 32, 0.3), 8, 32, mx.float16),
        up=tl.quantize(_matrix(64, 32, 0.5), 8, 32, mx.float16),
        down=_matrix(32, 64, 1.7),
        D=32,
        F=64,
    )
    x = mx.reshape(_matrix(3, 32, 2.1) * 4, (1, 3, 32))
    tl.print_values(tl.shown(_llama(x, a, f)[0, :, :6], "float16"))  # decoder_layer.tl:66
    tl.print_values(tl.shown(_gemma(x, a, f, 2)[0, :, :6], "float16"))  # decoder_layer.tl:67


if __name__ == "__main__":
    tl.run_main(main)
