# Compiled by tlc 0.1.0 from gemma3.tl. What is changed here is lost.
"""Gemma 3, the text models (Gemma Team 2025, "Gemma 3 Technical Report"): norms before and behind each block, norms of
queries and keys, a sliding window in five layers of six. Its residual stream leaves float16's range: load it as
bfloat16 or float32 where a GPU computes.
"""
from __future__ import annotations

from dataclasses import dataclass, field

import mlx.core as mx

from tensorlogic import runtime as tl


@dataclass(frozen=True, eq=False, kw_only=True)
class Layer:
    """H heads of K features, G of keys and values, D features of a token, F inside a feed-forward block. The norms' weights
    are those of GGUF files, with the 1 that the model adds to them.
    """

    _joined = (("q", "k", "v"), ("gate", "up"))  # products of one left side, which `bind` makes one

    attention_norm: mx.array  # T[D]
    q: mx.array | tl.Packed  # T[H*K, D]
    k: mx.array | tl.Packed  # T[G*K, D]
    v: mx.array | tl.Packed  # T[G*K, D]
    q_norm: mx.array  # T[K]
    k_norm: mx.array  # T[K]
    output: mx.array | tl.Packed  # T[D, H*K]
    output_norm: mx.array  # T[D]
    feed_norm: mx.array  # T[D]
    gate: mx.array | tl.Packed  # T[F, D]
    up: mx.array | tl.Packed  # T[F, D]
    down: mx.array | tl.Packed  # T[D, F]
    down_norm: mx.array  # T[D]
    D: int = field(init=False, repr=False)
    H: int = field(init=False, repr=False)
    G: int = field(init=False, repr=False)
    K: int = field(init=False, repr=False)
    F: int = field(init=False, repr=False)
    T: mx.Dtype = field(init=False, repr=False)

    def __post_init__(self) -> None:
        T = tl.element(self.attention_norm, "Layer.attention_norm", "float", "gemma3.tl:10")
        tl.set_fields(self, T=T)
        attention_norm = tl.array(self.attention_norm, "Layer.attention_norm", T, 1, "T[D]", "gemma3.tl:11")
        q = tl.array(self.q, "Layer.q", T, 2, "T[H*K, D]", "gemma3.tl:12", packed=True)
        k = tl.array(self.k, "Layer.k", T, 2, "T[G*K, D]", "gemma3.tl:13", packed=True)
        v = tl.array(self.v, "Layer.v", T, 2, "T[G*K, D]", "gemma3.tl:14", packed=True)
        q_norm = tl.array(self.q_norm, "Layer.q_norm", T, 1, "T[K]", "gemma3.tl:15")
        k_norm = tl.array(self.k_norm, "Layer.k_norm", T, 1, "T[K]", "gemma3.tl:16")
        output = tl.array(self.output, "Layer.output", T, 2, "T[D, H*K]", "gemma3.tl:17", packed=True)
        output_norm = tl.array(self.output_norm, "Layer.output_norm", T, 1, "T[D]", "gemma3.tl:18")
        feed_norm = tl.array(self.feed_norm, "Layer.feed_norm", T, 1, "T[D]", "gemma3.tl:19")
        gate = tl.array(self.gate, "Layer.gate", T, 2, "T[F, D]", "gemma3.tl:20", packed=True)
        up = tl.array(self.up, "Layer.up", T, 2, "T[F, D]", "gemma3.tl:21", packed=True)
        down = tl.array(self.down, "Layer.down", T, 2, "T[D, F]", "gemma3.tl:22", packed=True)
        down_norm = tl.array(self.down_norm, "Layer.down_norm", T, 1, "T[D]", "gemma3.tl:23")
        D = attention_norm.shape[0]
        if D < 1:
            tl.refuse(
                "gemma3.tl:10",
                "TL5001",
                "`D` is {} by dim 0 of `attention_norm`: a dimension variable is at least {}",
                D,
                1,
            )
        K = q_norm.shape[0]
        if K < 1:
            tl.refuse(
                "gemma3.tl:10", "TL5001", "`K` is {} by dim 0 of `q_norm`: a dimension variable is at least {}", K, 1
            )
        F = gate.shape[0]
        if F < 1:
            tl.refuse(
                "gemma3.tl:10", "TL5001", "`F` is {} by dim 0 of `gate`: a dimension variable is at least {}", F, 1
            )
        if q.shape[0] % K != 0:
            tl.refuse("gemma3.tl:10", "TL5001", "dim 0 of `q` is H*K: {} is not divisible by {}", q.shape[0], K)
        H = q.shape[0] // K
        if H < 1:
            tl.refuse("gemma3.tl:10", "TL5001", "`H` is {} by dim 0 of `q`: a dimension variable is at least {}", H, 1)
        if k.shape[0] % K != 0:
            tl.refuse("gemma3.tl:10", "TL5001", "dim 0 of `k` is G*K: {} is not divisible by {}", k.shape[0], K)
        G = k.shape[0] // K
        if G < 1:
            tl.refuse("gemma3.tl:10", "TL5001", "`G` is {} by dim 0 of `k`: a dimension variable is at least {}", G, 1)
        if q.shape[1] != D:
            tl.refuse(
                "gemma3.tl:12",
                "TL5001",
                "dim 1 of `q` is {}, not `D` = {} (`D` by dim 0 of `attention_norm`)",
                q.shape[1],
                D,
            )
        if k.shape[1] != D:
            tl.refuse(
                "gemma3.tl:13",
                "TL5001",
                "dim 1 of `k` is {}, not `D` = {} (`D` by dim 0 of `attention_norm`)",
                k.shape[1],
                D,
            )
        if v.shape[0] != G * K:
            tl.refuse(
                "gemma3.tl:14",
                "TL5001",
                "dim 0 of `v` is {}, not `G*K` = {} (`G` by dim 0 of `k`, `K` by dim 0 of `q_norm`)",
                v.shape[0],
                G * K,
            )
        if v.shape[1] != D:
            tl.refuse(
                "gemma3.tl:14",
                "TL5001",
                "dim 1 of `v` is {}, not `D` = {} (`D` by dim 0 of `attention_norm`)",
                v.shape[1],
                D,
            )
        if k_norm.shape[0] != K:
            tl.refuse(
                "gemma3.tl:16",
                "TL5001",
                "dim 0 of `k_norm` is {}, not `K` = {} (`K` by dim 0 of `q_norm`)",
                k_norm.shape[0],
                K,
            )
        if output.shape[0] != D:
            tl.refuse(
                "gemma3.tl:17",
                "TL5001",
                "dim 0 of `output` is {}, not `D` = {} (`D` by dim 0 of `attention_norm`)",
                output.shape[0],
                D,
            )
        if output.shape[1] != H * K:
            tl.refuse(
                "gemma3.tl:17",
                "TL5001",
                "dim 1 of `output` is {}, not `H*K` = {} (`H` by dim 0 of `q`, `K` by dim 0 of `q_norm`)",
                output.shape[1],
                H * K,
            )
        if output_norm.shape[0] != D:
            tl.refuse(
                "gemma3.tl:18",
                "TL5001",
                "dim 0 of `output_norm` is {}, not `D` = {} (`D` by dim 0 of `attention_norm`)",
                output_norm.shape[0],
                D,
            )
        if feed_norm.shape[0] != D:
            tl.refuse(
                "gemma3.tl:19",
                "TL5001",
                "dim 0 of `feed_norm` is {}, not `D` = {} (`D` by dim 0 of `attention_norm`)",
                feed_norm.shape[0],
                D,
            )
        if gate.shape[1] != D:
            tl.refuse(
                "gemma3.tl:20",
                "TL5001",
                "dim 1 of `gate` is {}, not `D` = {} (`D` by dim 0 of `attention_norm`)",
                gate.shape[1],
                D,
            )
        if up.shape[0] != F:
            tl.refuse(
                "gemma3.tl:21", "TL5001", "dim 0 of `up` is {}, not `F` = {} (`F` by dim 0 of `gate`)", up.shape[0], F
            )
        if up.shape[1] != D:
            tl.refuse(
                "gemma3.tl:21",
                "TL5001",
                "dim 1 of `up` is {}, not `D` = {} (`D` by dim 0 of `attention_norm`)",
                up.shape[1],
                D,
            )
        if down.shape[0] != D:
            tl.refuse(
                "gemma3.tl:22",
                "TL5001",
                "dim 0 of `down` is {}, not `D` = {} (`D` by dim 0 of `attention_norm`)",
                down.shape[0],
                D,
            )
        if down.shape[1] != F:
            tl.refuse(
                "gemma3.tl:22",
                "TL5001",
                "dim 1 of `down` is {}, not `F` = {} (`F` by dim 0 of `gate`)",
                down.shape[1],
                F,
            )
        if down_norm.shape[0] != D:
            tl.refuse(
                "gemma3.tl:23",
                "TL5001",
                "dim 0 of `down_norm` is {}, not `D` = {} (`D` by dim 0 of `attention_norm`)",
                down_norm.shape[0],
                D,
            )
        tl.set_fields(
            self,
            attention_norm=attention_norm,
            q=q,
            k=k,
            v=v,
            q_norm=q_norm,
            k_norm=k_norm,
            output=output,
            output_norm=output_norm,
            feed_norm=feed_norm,
            gate=gate,
            up=up,
            down=down,
            down_norm=down_norm,
            D=D,
            H=H,
            G=G,
            K=K,
            F=F,
        )

    @staticmethod
    def _model_fields() -> tuple[tl.Field, ...]:
        """Where a model file holds the fields of `Layer`."""
        return (
            tl.Field("attention_norm", ("attn_norm.weight", "input_layernorm.weight",), dtype="T", shape=("D",)),
            tl.Field("q", ("attn_q.weight", "self_attn.q_proj.weight",), dtype="T", shape=({("H", "K",): 1}, "D")),
            tl.Field("k", ("attn_k.weight", "self_attn.k_proj.weight",), dtype="T", shape=({("G", "K",): 1}, "D")),
            tl.Field("v", ("attn_v.weight", "self_attn.v_proj.weight",), dtype="T", shape=({("G", "K",): 1}, "D")),
            tl.Field("q_norm", ("attn_q_norm.weight", "self_attn.q_norm.weight",), dtype="T", shape=("K",)),
            tl.Field("k_norm", ("attn_k_norm.weight", "self_attn.k_norm.weight",), dtype="T", shape=("K",)),
            tl.Field("output", ("attn_output.weight", "self_attn.o_proj.weight",), dtype="T", shape=("D", {("H", "K",): 1})),
            tl.Field("output_norm", ("post_attention_norm.weight", "post_attention_layernorm.weight",), dtype="T", shape=("D",)),
            tl.Field("feed_norm", ("ffn_norm.weight", "pre_feedforward_layernorm.weight",), dtype="T", shape=("D",)),
            tl.Field("gate", ("ffn_gate.weight", "mlp.gate_proj.weight",), dtype="T", shape=("F", "D")),
            tl.Field("up", ("ffn_up.weight", "mlp.up_proj.weight",), dtype="T", shape=("F", "D")),
            tl.Field("down", ("ffn_down.weight", "mlp.down_proj.weight",), dtype="T", shape=("D", "F")),
            tl.Field("down_norm", ("post_ffw_norm.weight", "post_feedforward_layernorm.weight",), dtype="T", shape=("D",)),
        )

    @classmethod
    def bind(cls, model: tl.Model, prefix: str = "", **dims: int) -> Layer:
        """`Layer` filled from a model by its keys below `prefix`; dims by name."""
        return tl.bind(cls, model, prefix, dims)


@dataclass(frozen=True, eq=False, kw_only=True)
class Weights:
    """V tokens; the embedding is the output projection, too."""

    embedding: mx.array | tl.Packed  # T[V, D]
    layers: tuple[Layer, ...]  # [Layer<T>[D, H, G, K, F]]
    norm: mx.array  # T[D]
    V: int = field(init=False, repr=False)
    D: int = field(init=False, repr=False)
    H: int = field(init=False, repr=False)
    G: int = field(init=False, repr=False)
    K: int = field(init=False, repr=False)
    F: int = field(init=False, repr=False)
    T: mx.Dtype = field(init=False, repr=False)

    def __post_init__(self) -> None:
        T = tl.element(self.embedding, "Weights.embedding", "float", "gemma3.tl:27")
        tl.set_fields(self, T=T)
        embedding = tl.array(self.embedding, "Weights.embedding", T, 2, "T[V, D]", "gemma3.tl:28", packed=True)
        layers = tuple(
            tl.instance(item, Layer, "Weights.layers[i]", "gemma3.tl:29")
            for item in tl.items(self.layers, "Weights.layers", "gemma3.tl:29")
        )
        norm = tl.array(self.norm, "Weights.norm", T, 1, "T[D]", "gemma3.tl:30")
        V = embedding.shape[0]
        if V < 1:
            tl.refuse(
                "gemma3.tl:27", "TL5001", "`V` is {} by dim 0 of `embedding`: a dimension variable is at least {}", V, 1
            )
        D = embedding.shape[1]
        if D < 1:
            tl.refuse(
                "gemma3.tl:27", "TL5001", "`D` is {} by dim 1 of `embedding`: a dimension variable is at least {}", D, 1
            )
        H = tl.item(layers, 0, "layers[0]", "gemma3.tl:27").H
        G = tl.item(layers, 0, "layers[0]", "gemma3.tl:27").G
        K = tl.item(layers, 0, "layers[0]", "gemma3.tl:27").K
        F = tl.item(layers, 0, "layers[0]", "gemma3.tl:27").F
        for item in layers:
            if item.D != D:
                tl.refuse(
                    "gemma3.tl:29",
                    "TL5001",
                    "`D` of `layers[i]` is {}, not `D` = {} (`D` by dim 1 of `embedding`)",
                    item.D,
                    D,
                )
            if item.H != H:
                tl.refuse(
                    "gemma3.tl:29",
                    "TL5001",
                    "`H` of `layers[i]` is {}, not `H` = {} (`H` by `H` of `layers[0]`)",
                    item.H,
                    H,
                )
            if item.G != G:
                tl.refuse(
                    "gemma3.tl:29",
                    "TL5001",
                    "`G` of `layers[i]` is {}, not `G` = {} (`G` by `G` of `layers[0]`)",
                    item.G,
                    G,
                )
            if item.K != K:
                tl.refuse(
                    "gemma3.tl:29",
                    "TL5001",
                    "`K` of `layers[i]` is {}, not `K` = {} (`K` by `K` of `layers[0]`)",
                    item.K,
                    K,
                )
            if item.F != F:
                tl.refuse(
                    "gemma3.tl:29",
                    "TL5001",
                    "`F` of `layers[i]` is {}, not `F` = {} (`F` by `F` of `layers[0]`)",
                    item.F,
                    F,
                )
        if norm.shape[0] != D:
            tl.refuse(
                "gemma3.tl:30",
                "TL5001",
                "dim 0 of `norm` is {}, not `D` = {} (`D` by dim 1 of `embedding`)",
                norm.shape[0],
                D,
            )
        tl.set_fields(self, embedding=embedding, layers=layers, norm=norm, V=V, D=D, H=H, G=G, K=K, F=F)

    @staticmethod
    def _model_fields() -> tuple[tl.Field, ...]:
        """Where a model file holds the fields of `Weights`."""
        return (
            tl.Field("embedding", ("token_embd.weight", "model.embed_tokens.weight",), dtype="T", shape=("V", "D")),
            tl.Field("layers", ("blk.{i}", "model.layers.{i}",), struct=Layer, dims=(("D", "D"), ("H", "H"), ("G", "G"), ("K", "K"), ("F", "F")), listed=True),
            tl.Field("norm", ("output_norm.weight", "model.norm.weight",), dtype="T", shape=("D",)),
        )

    @classmethod
    def bind(cls, model: tl.Model, prefix: str = "", **dims: int) -> Weights:
        """`Weights` filled from a model by its keys below `prefix`; dims by name."""
        return tl.bind(cls, model, prefix, dims)


@dataclass(frozen=True, eq=False, kw_only=True)
class rotary_Rotary:
    """The periods of P pairs, in positions a radian, and what scores are multiplied by besides."""

    _name = "Rotary"

    periods: mx.array  # float32[P]
    attention: float  # float
    P: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        periods = tl.array(self.periods, "Rotary.periods", mx.float32, 1, "float32[P]", "rotary.tl:7")
        attention = tl.number(self.attention, "Rotary.attention", "rotary.tl:8")
        P = periods.shape[0]
        if P < 1:
            tl.refuse(
                "rotary.tl:6", "TL5001", "`P` is {} by dim 0 of `periods`: a dimension variable is at least {}", P, 1
            )
        tl.set_fields(self, periods=periods, attention=attention, P=P)

    @staticmethod
    def _model_fields() -> tuple[tl.Field, ...]:
        """Where a model file holds the fields of `Rotary`."""
        return (
            tl.Field("periods", ("periods",), dtype=mx.float32, shape=("P",)),
            tl.Field("attention", ("attention",)),
        )

    @classmethod
    def bind(cls, model: tl.Model, prefix: str = "", **dims: int) -> rotary_Rotary:
        """`Rotary` filled from a model by its keys below `prefix`; dims by name."""
        return tl.bind(cls, model, prefix, dims)


@dataclass(frozen=True, eq=False, kw_only=True)
class Gemma3:
    """The weights, and what else the file says: `rotary` is of the layers that see all, `local` of those with a window."""

    weights: Weights  # Weights<T>[V, D, H, G, K, F]
    rotary: rotary_Rotary  # Rotary[P]
    local: mx.array  # float32[P]
    scale: float  # float
    score_cap: float | None = None  # float?
    logit_cap: float | None = None  # float?
    eps: float  # float
    window: int  # int
    context: int  # int
    windowed: tuple[bool, ...]  # [bool]
    V: int = field(init=False, repr=False)
    D: int = field(init=False, repr=False)
    H: int = field(init=False, repr=False)
    G: int = field(init=False, repr=False)
    K: int = field(init=False, repr=False)
    F: int = field(init=False, repr=False)
    P: int = field(init=False, repr=False)
    T: mx.Dtype = field(init=False, repr=False)

    def __post_init__(self) -> None:
        T = tl.instance(self.weights, Weights, "Gemma3.weights", "gemma3.tl:34").T
        tl.set_fields(self, T=T)
        weights = tl.instance(self.weights, Weights, "Gemma3.weights", "gemma3.tl:35")
        rotary = tl.instance(self.rotary, rotary_Rotary, "Gemma3.rotary", "gemma3.tl:36")
        local = tl.array(self.local, "Gemma3.local", mx.float32, 1, "float32[P]", "gemma3.tl:37")
        scale = tl.number(self.scale, "Gemma3.scale", "gemma3.tl:38")
        score_cap = None if self.score_cap is None else tl.number(self.score_cap, "Gemma3.score_cap", "gemma3.tl:39")
        logit_cap = None if self.logit_cap is None else tl.number(self.logit_cap, "Gemma3.logit_cap", "gemma3.tl:40")
        eps = tl.number(self.eps, "Gemma3.eps", "gemma3.tl:41")
        window = tl.integer(self.window, "Gemma3.window", "gemma3.tl:42")
        context = tl.integer(self.context, "Gemma3.context", "gemma3.tl:43")
        windowed = tuple(
            tl.boolean(item, "Gemma3.windowed[i]", "gemma3.tl:44")
            for item in tl.items(self.windowed, "Gemma3.windowed", "gemma3.tl:44")
        )
        V = weights.V
        D = weights.D
        H = weights.H
        G = weights.G
        K = weights.K
        F = weights.F
        P = rotary.P
        if local.shape[0] != P:
            tl.refuse(
                "gemma3.tl:37",
                "TL5001",
                "dim 0 of `local` is {}, not `P` = {} (`P` by `P` of `rotary`)",
                local.shape[0],
                P,
            )
        tl.set_fields(
            self,
            weights=weights,
            rotary=rotary,
            local=local,
            scale=scale,
            score_cap=score_cap,
            logit_cap=logit_cap,
            eps=eps,
            window=window,
            context=context,
            windowed=windowed,
            V=V,
            D=D,
            H=H,
            G=G,
            K=K,
            F=F,
            P=P,
        )

    @staticmethod
    def _model_fields() -> tuple[tl.Field, ...]:
        """Where a model file holds the fields of `Gemma3`."""
        return (
            tl.Field("weights", ("weights",), struct=Weights, dims=(("V", "V"), ("D", "D"), ("H", "H"), ("G", "G"), ("K", "K"), ("F", "F"))),
            tl.Field("rotary", ("rotary",), struct=rotary_Rotary, dims=(("P", "P"),)),
            tl.Field("local", ("local",), dtype=mx.float32, shape=("P",)),
            tl.Field("scale", ("scale",)),
            tl.Field("score_cap", ("score_cap",), optional=True),
            tl.Field("logit_cap", ("logit_cap",), optional=True),
            tl.Field("eps", ("eps",)),
            tl.Field("window", ("window",)),
            tl.Field("context", ("context",)),
            tl.Field("windowed", ("windowed.{i}",), listed=True),
        )

    @classmethod
    def bind(cls, model: tl.Model, prefix: str = "", **dims: int) -> Gemma3:
        """`Gemma3` filled from a model by its keys below `prefix`; dims by name."""
        return tl.bind(cls, model, prefix, dims)


def _local_layers(model: tl.Model, layers: int) -> tuple[bool, ...]:  # gemma3.tl:48
    int_ = model.int("_sliding_window_pattern", 6)  # gemma3.tl:49
    period = model.int("sliding_window_pattern", int_)  # gemma3.tl:49
    usual: tuple[bool, ...] = ()
    for i in range(layers):
        if period < 1:
            tl.refuse("gemma3.tl:51", "TL5003", "the divisor `period` of `%` is {}: it must be at least {}", period, 1)
        usual = usual + ((i + 1) % period != 0,)
    return _settings_windowed(model, usual)


def _settings_windowed(model: tl.Model, usual: tuple[bool, ...]) -> tuple[bool, ...]:  # settings.tl:53
    sliding = "sliding_attention"
    full = "full_attention"
    kinds: tuple[str, ...] = ()
    for has_one in usual:
        kinds = kinds + (sliding if has_one else full,)
    said = model.strings("layer_types", kinds)  # settings.tl:57
    named = len(said)
    layers = len(usual)
    if not named == layers:
        tl.refuse(
            "settings.tl:59", "TL5005", "{}", f"`layer_types` names {named} layers of this model, which has {layers}"
        )
    found: tuple[bool, ...] = ()
    for kind in said:
        equal = kind == sliding
        is_known = equal or kind == full
        if not is_known:
            tl.refuse(
                "settings.tl:63",
                "TL5005",
                "{}",
                f"`layer_types` names the kind `{kind}`, which this program does not know",
            )
        found = found + (equal,)
    return found


def _cap(model: tl.Model, name: str) -> float | None:  # gemma3.tl:56
    said = _settings_float_of(model, name, name, 0.0)  # gemma3.tl:57
    return said if said > 0.0 else None


def _settings_float_of(model: tl.Model, gguf: str, hugging_face: str, default: float | None) -> float:  # settings.tl:21
    result = model.float(  # settings.tl:22
        _settings_key(model, gguf) if _settings_is_gguf(model) else hugging_face, default
    )
    return result


def _settings_is_gguf(model: tl.Model) -> bool:  # settings.tl:5
    result = model.has("token_embd.weight")  # settings.tl:6
    return result


def _settings_key(model: tl.Model, name: str) -> str:  # settings.tl:10
    architecture = model.metadata.architecture
    if not architecture is not None:
        tl.refuse("settings.tl:12", "TL5005", "{}", "the file does not say of which architecture it is")
    return f"{architecture}.{name}"


def _shifted(l: Layer) -> Layer:  # gemma3.tl:62
    result = tl.made(
        Layer,
        attention_norm=l.attention_norm + 1.0,
        q=l.q,
        k=l.k,
        v=l.v,
        q_norm=l.q_norm + 1.0,
        k_norm=l.k_norm + 1.0,
        output=l.output,
        output_norm=l.output_norm + 1.0,
        feed_norm=l.feed_norm + 1.0,
        gate=l.gate,
        up=l.up,
        down=l.down,
        down_norm=l.down_norm + 1.0,
        D=l.D,
        H=l.H,
        G=l.G,
        K=l.K,
        F=l.F,
        T=l.T,
    )
    return result


def _all_shifted(weights: Weights) -> Weights:  # gemma3.tl:70
    layers: tuple[Layer, ...] = ()
    for l in weights.layers:
        layers = layers + (_shifted(l),)
    result = tl.made(
        Weights,
        embedding=weights.embedding,
        layers=layers,
        norm=weights.norm + 1.0,
        V=weights.V,
        D=weights.D,
        H=weights.H,
        G=weights.G,
        K=weights.K,
        F=weights.F,
        T=weights.T,
    )
    return result


def _load(model: tl.Model) -> Gemma3:  # gemma3.tl:76
    if not (not _settings_has_biases(model)):
        tl.refuse("gemma3.tl:77", "TL5005", "{}", "the projections of this model have biases, and this program none")
    heads = _settings_heads(model)  # gemma3.tl:78
    kv_heads = _settings_kv_heads(model)  # gemma3.tl:78
    bound = tl.of_elements(Weights.bind(model, H=heads, G=kv_heads), "gemma3.tl:78", T=model.float_type)  # gemma3.tl:78
    if _settings_is_gguf(model):
        weights = bound
    else:
        if heads < 1:
            tl.refuse(
                "gemma3.tl:79", "TL5001", "`H` of `_all_shifted` is {}: a dimension variable is at least {}", heads, 1
            )
        if kv_heads < 1:
            tl.refuse(
                "gemma3.tl:79",
                "TL5001",
                "`G` of `_all_shifted` is {}: a dimension variable is at least {}",
                kv_heads,
                1,
            )
        weights = _all_shifted(bound)  # gemma3.tl:79
    pairs = weights.K // 2
    local = model.float("rope_local_base_freq", 10000.0)  # gemma3.tl:81
    if pairs < 1:
        tl.refuse("gemma3.tl:82", "TL5001", "`P` of `rotary` is {}: a dimension variable is at least {}", pairs, 1)
    turning = _rotary_rotary(model, pairs)  # gemma3.tl:82
    is_largest = _settings_is_gguf(model) and len(weights.layers) == 62
    usual = tl.float_divide(float(weights.D), float(weights.H)) if is_largest else float(weights.K)
    features = model.float("query_pre_attn_scalar", usual)  # gemma3.tl:86
    float_ = model.float("rope_parameters.sliding_attention.rope_theta", local)  # gemma3.tl:90
    plain = _rotary_plain(float_, pairs)  # gemma3.tl:90
    cap = _cap(model, "attn_logit_softcapping")  # gemma3.tl:92
    cap_2 = _cap(model, "final_logit_softcapping")  # gemma3.tl:93
    norm_eps = _settings_norm_eps(model)  # gemma3.tl:94
    int_of = _settings_int_of(model, "attention.sliding_window", "sliding_window", None)  # gemma3.tl:95
    context_length = _settings_context_length(model)  # gemma3.tl:96
    local_layers = _local_layers(model, len(weights.layers))  # gemma3.tl:97
    if heads < 1:
        tl.refuse("gemma3.tl:88", "TL5001", "`H` of `Gemma3` is {}: a dimension variable is at least {}", heads, 1)
    if kv_heads < 1:
        tl.refuse("gemma3.tl:88", "TL5001", "`G` of `Gemma3` is {}: a dimension variable is at least {}", kv_heads, 1)
    result = tl.made(
        Gemma3,
        weights=weights,
        rotary=turning,
        local=plain,
        scale=tl.float_divide(turning.attention, tl.float_sqrt(features)),
        score_cap=cap,
        logit_cap=cap_2,
        eps=norm_eps,
        window=int_of,
        context=context_length,
        windowed=local_layers,
        V=bound.V,
        D=bound.D,
        H=heads,
        G=kv_heads,
        K=bound.K,
        F=bound.F,
        P=pairs,
        T=model.float_type,
    )
    return result


def _settings_has_biases(model: tl.Model) -> bool:  # settings.tl:46
    has = model.has("blk.0.attn_q.bias")  # settings.tl:47
    if has:
        ours = True
    else:
        ours = model.has("blk.0.ffn_gate.bias")  # settings.tl:47
    has = model.has("model.layers.0.self_attn.q_proj.bias")  # settings.tl:48
    if has:
        theirs = True
    else:
        theirs = model.has("model.layers.0.mlp.gate_proj.bias")  # settings.tl:48
    return ours or theirs


def _settings_heads(model: tl.Model) -> int:  # settings.tl:26
    return _settings_int_of(model, "attention.head_count", "num_attention_heads", None)


def _settings_int_of(model: tl.Model, gguf: str, hugging_face: str, default: int | None) -> int:  # settings.tl:17
    result = model.int(  # settings.tl:18
        _settings_key(model, gguf) if _settings_is_gguf(model) else hugging_face, default
    )
    return result


def _settings_kv_heads(model: tl.Model) -> int:  # settings.tl:31
    return _settings_int_of(model, "attention.head_count_kv", "num_key_value_heads", _settings_heads(model))


def _rotary_rotary(model: tl.Model, P: int) -> rotary_Rotary:  # rotary.tl:67
    b = _rotary_base(model)  # rotary.tl:68
    periods = _rotary_plain(b, P)  # rotary.tl:69
    how = _rotary_kind(model)  # rotary.tl:70
    if how == "default":
        return tl.made(rotary_Rotary, periods=periods, attention=1.0, P=P)
    if how == "factors":
        tensor = tl.weight(model, "rope_freqs.weight", mx.float32, "rotary.tl:73", reads=True)  # rotary.tl:73
        ranked = tl.ranked(tensor, 1, True, "`factors`", "float32[?]", "rotary.tl:73")
        factors = ranked
        if P != factors.shape[0]:
            tl.refuse(
                "rotary.tl:74",
                "TL5001",
                "`*` needs equal sizes at axis -1: {} in `periods`, {} in `factors`",
                P,
                factors.shape[0],
            )
        return tl.made(rotary_Rotary, periods=periods * factors, attention=1.0, P=P)
    factor = _rotary_scaling(model, "factor", "factor", None)  # rotary.tl:76
    if how == "linear":
        result = tl.made(
            rotary_Rotary, periods=periods * tl.fits(factor, mx.float32, "factor", "rotary.tl:77"), attention=1.0, P=P
        )
        return result
    trained = float(_settings_context_length(model))
    context = _rotary_scaling(  # rotary.tl:79
        model, "original_context_length", "original_max_position_embeddings", trained
    )
    if how == "llama3":
        low = _rotary_scaling(model, "low_freq_factor", "low_freq_factor", None)  # rotary.tl:81
        high = _rotary_scaling(model, "high_freq_factor", "high_freq_factor", None)  # rotary.tl:82
        return tl.made(rotary_Rotary, periods=_rotary_llama3(periods, factor, low, high, context), attention=1.0, P=P)
    if not how == "yarn":
        tl.refuse(
            "rotary.tl:85", "TL5005", "{}", f"rotary positions are scaled as {how}, which this model does not know"
        )
    fast = _rotary_scaling(model, "yarn_beta_fast", "beta_fast", 32.0)  # rotary.tl:86
    slow = _rotary_scaling(model, "yarn_beta_slow", "beta_slow", 1.0)  # rotary.tl:87
    usual = 0.1 * tl.float_log(factor) + 1.0
    said = _rotary_scaling(  # rotary.tl:90
        model, "attn_factor", "attention_factor", 1.0 if _settings_is_gguf(model) else usual
    )
    grown = said * usual if _settings_is_gguf(model) else said
    result = tl.made(
        rotary_Rotary, periods=_rotary_yarn(periods, b, factor, fast, slow, context), attention=grown * grown, P=P
    )
    return result


def _rotary_base(model: tl.Model) -> float:  # rotary.tl:19
    said = _settings_float_of(model, "rope.freq_base", "rope_theta", 10000.0)  # rotary.tl:20
    if _settings_is_gguf(model):
        chosen = said
    else:
        chosen = model.float(_rotary_newer(model, "rope_theta"), said)  # rotary.tl:21
    return chosen


def _rotary_newer(model: tl.Model, name: str) -> str:  # rotary.tl:13
    float_ = model.float("rope_parameters.full_attention.rope_theta", -1.0)  # rotary.tl:14
    is_nested = float_ >= 0.0
    return f"rope_parameters.full_attention.{name}" if is_nested else f"rope_parameters.{name}"


def _rotary_plain(base: float, P: int) -> mx.array:  # rotary.tl:25
    full = mx.full(
        tl.sized((P,), mx.float32, "rotary.tl:26"), tl.fits(base, mx.float32, "base", "rotary.tl:26"), mx.float32
    )
    ratio = tl.arange(0, P, 1, mx.int32, "rotary.tl:26").astype(mx.float32) / tl.fits(
        float(P), mx.float32, "float(P)", "rotary.tl:26"
    )
    return full ** ratio


def _rotary_kind(model: tl.Model) -> str:  # rotary.tl:30
    if _settings_is_gguf(model):
        has = model.has("rope_freqs.weight")  # rotary.tl:32
        if has:
            return "factors"
        said = model.string(_settings_key(model, "rope.scaling.type"), "default")  # rotary.tl:33
        return "default" if said == "none" else said
    old = model.string("rope_scaling.type", "default")  # rotary.tl:36
    said = model.string("rope_scaling.rope_type", old)  # rotary.tl:37
    result = model.string(_rotary_newer(model, "rope_type"), said)  # rotary.tl:38
    return result


def _rotary_scaling(model: tl.Model, gguf: str, hugging_face: str, default: float | None) -> float:  # rotary.tl:42
    if _settings_is_gguf(model):
        result = model.float(_settings_key(model, f"rope.scaling.{gguf}"), default)  # rotary.tl:43
        return result
    float_ = model.float(_rotary_newer(model, hugging_face), -1.0)  # rotary.tl:44
    if float_ >= 0.0:
        result = model.float(_rotary_newer(model, hugging_face))  # rotary.tl:44
        return result
    result = model.float(f"rope_scaling.{hugging_face}", default)  # rotary.tl:45
    return result


def _settings_context_length(model: tl.Model) -> int:  # settings.tl:92
    return _settings_int_of(model, "context_length", "max_position_embeddings", None)


def _rotary_llama3(  # rotary.tl:49
    periods: mx.array, factor: float, low: float, high: float, context: float
) -> mx.array:
    turns = tl.fits(context, mx.float32, "context", "rotary.tl:50") / (periods * 6.283185307179586)
    ratio = (
        turns - tl.fits(low, mx.float32, "low", "rotary.tl:51")
    ) / tl.fits(high - low, mx.float32, "(high - low)", "rotary.tl:51")
    share = mx.clip(ratio, 0.0, 1.0)
    return periods / ((1.0 - share) / tl.fits(factor, mx.float32, "factor", "rotary.tl:52") + share)


def _rotary_yarn(  # rotary.tl:57
    periods: mx.array, base: float, factor: float, fast: float, slow: float, context: float
) -> mx.array:
    tau = 6.283185307179586
    float_ = float(periods.shape[0])
    log = tl.float_log(base)
    first = max(tl.float_floor(tl.float_divide(float_ * tl.float_log(tl.float_divide(context, fast * tau)), log)), 0.0)
    last = min(
        tl.float_ceil(tl.float_divide(float_ * tl.float_log(tl.float_divide(context, slow * tau)), log)),
        float(2 * periods.shape[0] - 1),
    )
    span = 0.001 if last == first else last - first
    difference = mx.arange(periods.shape[0], dtype=mx.int32).astype(mx.float32) - tl.fits(
        first, mx.float32, "first", "rotary.tl:62"
    )
    stretched = mx.clip(difference / tl.fits(span, mx.float32, "span", "rotary.tl:62"), 0.0, 1.0)
    return periods / (stretched / tl.fits(factor, mx.float32, "factor", "rotary.tl:63") + (1.0 - stretched))


def _settings_norm_eps(model: tl.Model) -> float:  # settings.tl:36
    return _settings_float_of(model, "attention.layer_norm_rms_epsilon", "rms_norm_eps", None)


def _step(net: Gemma3, ids: mx.array, cache: tl.KVCache) -> tuple[mx.array, tl.KVCache]:  # gemma3.tl:102
    start = cache.length()  # gemma3.tl:105
    x = tl.embedding(ids, net.weights.embedding) * tl.fits(
        tl.float_sqrt(float(net.D)), net.T, "sqrt(float(D))", "gemma3.tl:106"
    )
    for i, l in enumerate(net.weights.layers):
        is_local = tl.item(net.windowed, i, "net.windowed[i]", "gemma3.tl:108")  # gemma3.tl:108
        periods = net.local if is_local else net.rotary.periods
        window = net.window if is_local else net.context
        if window < 1:
            tl.refuse("gemma3.tl:119", "TL5003", "`window` of `attention` is {}: it must be at least {}", window, 1)
        mixed, next = tl.cached_attention(
            cache,
            i,
            tl.chain(x, tl.Stage(l.q, l.k, l.v, norm=l.attention_norm, eps=net.eps)),
            net.H,
            net.G,
            scale=net.scale,
            window=window,
            soft_cap=net.score_cap,
            offset=start,
            base=10000.0,
            periods=periods,
            q_norm=l.q_norm,
            k_norm=l.k_norm,
            eps=net.eps,
            dtype=net.T,
        )
        x = tl.chain(
            mixed,
            tl.Stage(l.output, norm_after=l.output_norm, eps_after=net.eps, add=x),
            tl.Stage(l.gate, l.up, norm=l.feed_norm, eps=net.eps, gate="gelu_tanh"),
            tl.Stage(l.down, norm_after=l.down_norm, eps_after=net.eps, add_stage=1),
        )
        cache = next
    logits = tl.chain(x[:, ids.shape[1] - 1], tl.Stage(net.weights.embedding, norm=net.weights.norm, eps=net.eps))
    c = net.logit_cap
    if c is not None:
        value_2 = tl.fits(c, net.T, "c", "gemma3.tl:130")
        chosen = value_2 * mx.tanh(logits / tl.fits(c, net.T, "c", "gemma3.tl:130"))
    else:
        chosen = logits
    return (chosen, cache)


@tl.entry
def local_layers(model: tl.Model, layers: int) -> tuple[bool, ...]:
    """Which of the layers have a window: all but each sixth, where the file says nothing else.

    Args:
        model: Model
        layers: int

    Returns: [bool]
    """
    model = tl.instance(model, tl.Model, "model", "gemma3.tl:48")
    layers = tl.integer(layers, "layers", "gemma3.tl:48")
    result = _local_layers(model, layers)  # gemma3.tl:48
    return result


@tl.entry
def cap(model: tl.Model, name: str) -> float | None:
    """What softly bounds scores or logits; no model has it that came with Gemma 3.

    Args:
        model: Model
        name: string

    Returns: float?
    """
    model = tl.instance(model, tl.Model, "model", "gemma3.tl:56")
    name = tl.string(name, "name", "gemma3.tl:56")
    result = _cap(model, name)  # gemma3.tl:56
    return result


@tl.entry
def load(model: tl.Model) -> Gemma3:
    """`load` of gemma3.tl:76.

    Args:
        model: Model<T>

    Returns: Gemma3<T>[?V, ?D, ?H, ?G, ?K, ?F, ?P]
    """
    T = tl.floats_of(model, "model", "gemma3.tl:76")
    model = tl.instance(model, tl.Model, "model", "gemma3.tl:76")
    result = _load(model)  # gemma3.tl:76
    return result


@tl.entry
def step(net: Gemma3, ids: mx.array, cache: tl.KVCache) -> tuple[mx.array, tl.KVCache]:
    """Logits of the token behind the last of L, and the cache that holds all of them.

    Args:
        net: Gemma3<T>[V, D, H, G, K, F, P]
        ids: int32[B, L]
        cache: KVCache

    Returns: (T[B, V], KVCache)
    Demands: H % G == 0
    Demands: K == 2*P
    """
    T = tl.instance(net, Gemma3, "net", "gemma3.tl:102").T
    net = tl.instance(net, Gemma3, "net", "gemma3.tl:102")
    ids = tl.array(ids, "ids", mx.int32, 2, "int32[B, L]", "gemma3.tl:102")
    cache = tl.instance(cache, tl.KVCache, "cache", "gemma3.tl:102")
    H = net.H
    G = net.G
    if H % G != 0:
        tl.refuse(
            "gemma3.tl:102",
            "TL5006",
            "`step` demands `H % G == 0`: `H` is {} by `H` of `net`, `G` is {} by `G` of `net`",
            H,
            G,
        )
    K = net.K
    P = net.P
    if K != P * 2:
        tl.refuse(
            "gemma3.tl:102",
            "TL5006",
            "`step` demands `K == 2*P`: `K` is {} by `K` of `net`, `P` is {} by `P` of `net`",
            K,
            P,
        )
    B = ids.shape[0]
    if B < 1:
        tl.refuse("gemma3.tl:102", "TL5001", "`B` is {} by dim 0 of `ids`: a dimension variable is at least {}", B, 1)
    L = ids.shape[1]
    if L < 1:
        tl.refuse("gemma3.tl:102", "TL5001", "`L` is {} by dim 1 of `ids`: a dimension variable is at least {}", L, 1)
    result = _step(net, ids, cache)  # gemma3.tl:102
    return (tl.cast(result[0], T), result[1])


# `generate` drives the module by these, and by `step`.
bind = load
new_cache = tl.new_cache
