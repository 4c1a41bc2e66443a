# Compiled by tlc 0.1.0 from phi3.tl. What is changed here is lost.
"""Phi-3 and 3.5 mini and medium, and Phi-4 mini (Abdin et al. 2024, "Phi-3 Technical Report"; Microsoft 2025, "Phi-4-Mini
Technical Report"): one product for queries, keys and values, one for both halves of a feed-forward block, rotation of
a part of each head, and factors for long texts (Ding et al. 2024, "LongRoPE").
"""
from __future__ import annotations

from dataclasses import dataclass, field

import mlx.core as mx

from tensorlogic import runtime as tl


@dataclass(frozen=True, eq=False, kw_only=True)
class Layer:
    """H heads of K features, G of keys and values, D features of a token, F inside a feed-forward block."""

    attention_norm: mx.array  # T[D]
    qkv: mx.array | tl.Packed  # T[H*K + 2*G*K, D]
    output: mx.array | tl.Packed  # T[D, H*K]
    feed_norm: mx.array  # T[D]
    gate_up: mx.array | tl.Packed  # T[2*F, D]
    down: mx.array | tl.Packed  # T[D, F]
    D: int = field(init=False, repr=False)
    H: int = field(repr=False)
    G: int = field(init=False, repr=False)
    K: int = field(init=False, repr=False)
    F: int = field(init=False, repr=False)
    T: mx.Dtype = field(init=False, repr=False)

    def __post_init__(self) -> None:
        T = tl.element(self.attention_norm, "Layer.attention_norm", "float", "phi3.tl:9")
        tl.set_fields(self, T=T)
        attention_norm = tl.array(self.attention_norm, "Layer.attention_norm", T, 1, "T[D]", "phi3.tl:10")
        qkv = tl.array(self.qkv, "Layer.qkv", T, 2, "T[H*K + 2*G*K, D]", "phi3.tl:11", packed=True)
        output = tl.array(self.output, "Layer.output", T, 2, "T[D, H*K]", "phi3.tl:12", packed=True)
        feed_norm = tl.array(self.feed_norm, "Layer.feed_norm", T, 1, "T[D]", "phi3.tl:13")
        gate_up = tl.array(self.gate_up, "Layer.gate_up", T, 2, "T[2*F, D]", "phi3.tl:14", packed=True)
        down = tl.array(self.down, "Layer.down", T, 2, "T[D, F]", "phi3.tl:15", packed=True)
        H = tl.integer(self.H, "Layer.H", "phi3.tl:9")
        if H < 1:
            tl.refuse("phi3.tl:9", "TL5001", "`H` is {}: a dimension variable is at least {}", H, 1)
        D = attention_norm.shape[0]
        if D < 1:
            tl.refuse(
                "phi3.tl:9",
                "TL5001",
                "`D` is {} by dim 0 of `attention_norm`: a dimension variable is at least {}",
                D,
                1,
            )
        F = down.shape[1]
        if F < 1:
            tl.refuse("phi3.tl:9", "TL5001", "`F` is {} by dim 1 of `down`: a dimension variable is at least {}", F, 1)
        if output.shape[1] % H != 0:
            tl.refuse("phi3.tl:9", "TL5001", "dim 1 of `output` is H*K: {} is not divisible by {}", output.shape[1], H)
        K = output.shape[1] // H
        if K < 1:
            tl.refuse(
                "phi3.tl:9", "TL5001", "`K` is {} by dim 1 of `output`: a dimension variable is at least {}", K, 1
            )
        if K * 2 < 1 or (0 - H * K + qkv.shape[0]) % (K * 2) != 0:
            tl.refuse(
                "phi3.tl:9",
                "TL5001",
                "dim 0 of `qkv` is H*K + 2*G*K: {} is not divisible by {}",
                0 - H * K + qkv.shape[0],
                K * 2,
            )
        G = (0 - H * K + qkv.shape[0]) // (K * 2)
        if G < 1:
            tl.refuse("phi3.tl:9", "TL5001", "`G` is {} by dim 0 of `qkv`: a dimension variable is at least {}", G, 1)
        if qkv.shape[1] != D:
            tl.refuse(
                "phi3.tl:11",
                "TL5001",
                "dim 1 of `qkv` is {}, not `D` = {} (`D` by dim 0 of `attention_norm`)",
                qkv.shape[1],
                D,
            )
        if output.shape[0] != D:
            tl.refuse(
                "phi3.tl:12",
                "TL5001",
                "dim 0 of `output` is {}, not `D` = {} (`D` by dim 0 of `attention_norm`)",
                output.shape[0],
                D,
            )
        if feed_norm.shape[0] != D:
            tl.refuse(
                "phi3.tl:13",
                "TL5001",
                "dim 0 of `feed_norm` is {}, not `D` = {} (`D` by dim 0 of `attention_norm`)",
                feed_norm.shape[0],
                D,
            )
        if gate_up.shape[0] != F * 2:
            tl.refuse(
                "phi3.tl:14",
                "TL5001",
                "dim 0 of `gate_up` is {}, not `2*F` = {} (`F` by dim 1 of `down`)",
                gate_up.shape[0],
                F * 2,
            )
        if gate_up.shape[1] != D:
            tl.refuse(
                "phi3.tl:14",
                "TL5001",
                "dim 1 of `gate_up` is {}, not `D` = {} (`D` by dim 0 of `attention_norm`)",
                gate_up.shape[1],
                D,
            )
        if down.shape[0] != D:
            tl.refuse(
                "phi3.tl:15",
                "TL5001",
                "dim 0 of `down` is {}, not `D` = {} (`D` by dim 0 of `attention_norm`)",
                down.shape[0],
                D,
            )
        tl.set_fields(
            self,
            attention_norm=attention_norm,
            qkv=qkv,
            output=output,
            feed_norm=feed_norm,
            gate_up=gate_up,
            down=down,
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
            tl.Field("qkv", ("attn_qkv.weight", "self_attn.qkv_proj.weight",), dtype="T", shape=({("H", "K",): 1, ("G", "K",): 2}, "D")),
            tl.Field("output", ("attn_output.weight", "self_attn.o_proj.weight",), dtype="T", shape=("D", {("H", "K",): 1})),
            tl.Field("feed_norm", ("ffn_norm.weight", "post_attention_layernorm.weight",), dtype="T", shape=("D",)),
            tl.Field("gate_up", ("ffn_up.weight", "mlp.gate_up_proj.weight",), dtype="T", shape=({("F",): 2}, "D")),
            tl.Field("down", ("ffn_down.weight", "mlp.down_proj.weight",), dtype="T", shape=("D", "F")),
        )

    @classmethod
    def bind(cls, model: tl.Model, prefix: str = "", **dims: int) -> Layer:
        """`Layer` filled from a model by its keys below `prefix`; dims by name."""
        return tl.bind(cls, model, prefix, dims)


@dataclass(frozen=True, eq=False, kw_only=True)
class Weights:
    """V tokens. The output projection may be the embedding."""

    embedding: mx.array | tl.Packed  # T[V, D]
    layers: tuple[Layer, ...]  # [Layer<T>[D, H, G, K, F]]
    norm: mx.array  # T[D]
    head: mx.array | tl.Packed  # T[V, D]
    V: int = field(init=False, repr=False)
    D: int = field(init=False, repr=False)
    H: int = field(init=False, repr=False)
    G: int = field(init=False, repr=False)
    K: int = field(init=False, repr=False)
    F: int = field(init=False, repr=False)
    T: mx.Dtype = field(init=False, repr=False)

    def __post_init__(self) -> None:
        T = tl.element(self.embedding, "Weights.embedding", "float", "phi3.tl:19")
        tl.set_fields(self, T=T)
        embedding = tl.array(self.embedding, "Weights.embedding", T, 2, "T[V, D]", "phi3.tl:20", packed=True)
        layers = tuple(
            tl.instance(item, Layer, "Weights.layers[i]", "phi3.tl:21")
            for item in tl.items(self.layers, "Weights.layers", "phi3.tl:21")
        )
        norm = tl.array(self.norm, "Weights.norm", T, 1, "T[D]", "phi3.tl:22")
        head = tl.array(self.head, "Weights.head", T, 2, "T[V, D]", "phi3.tl:23", packed=True)
        V = embedding.shape[0]
        if V < 1:
            tl.refuse(
                "phi3.tl:19", "TL5001", "`V` is {} by dim 0 of `embedding`: a dimension variable is at least {}", V, 1
            )
        D = embedding.shape[1]
        if D < 1:
            tl.refuse(
                "phi3.tl:19", "TL5001", "`D` is {} by dim 1 of `embedding`: a dimension variable is at least {}", D, 1
            )
        H = tl.item(layers, 0, "layers[0]", "phi3.tl:19").H
        G = tl.item(layers, 0, "layers[0]", "phi3.tl:19").G
        K = tl.item(layers, 0, "layers[0]", "phi3.tl:19").K
        F = tl.item(layers, 0, "layers[0]", "phi3.tl:19").F
        for item in layers:
            if item.D != D:
                tl.refuse(
                    "phi3.tl:21",
                    "TL5001",
                    "`D` of `layers[i]` is {}, not `D` = {} (`D` by dim 1 of `embedding`)",
                    item.D,
                    D,
                )
            if item.H != H:
                tl.refuse(
                    "phi3.tl:21",
                    "TL5001",
                    "`H` of `layers[i]` is {}, not `H` = {} (`H` by `H` of `layers[0]`)",
                    item.H,
                    H,
                )
            if item.G != G:
                tl.refuse(
                    "phi3.tl:21",
                    "TL5001",
                    "`G` of `layers[i]` is {}, not `G` = {} (`G` by `G` of `layers[0]`)",
                    item.G,
                    G,
                )
            if item.K != K:
                tl.refuse(
                    "phi3.tl:21",
                    "TL5001",
                    "`K` of `layers[i]` is {}, not `K` = {} (`K` by `K` of `layers[0]`)",
                    item.K,
                    K,
                )
            if item.F != F:
                tl.refuse(
                    "phi3.tl:21",
                    "TL5001",
                    "`F` of `layers[i]` is {}, not `F` = {} (`F` by `F` of `layers[0]`)",
                    item.F,
                    F,
                )
        if norm.shape[0] != D:
            tl.refuse(
                "phi3.tl:22",
                "TL5001",
                "dim 0 of `norm` is {}, not `D` = {} (`D` by dim 1 of `embedding`)",
                norm.shape[0],
                D,
            )
        if head.shape[0] != V:
            tl.refuse(
                "phi3.tl:23",
                "TL5001",
                "dim 0 of `head` is {}, not `V` = {} (`V` by dim 0 of `embedding`)",
                head.shape[0],
                V,
            )
        if head.shape[1] != D:
            tl.refuse(
                "phi3.tl:23",
                "TL5001",
                "dim 1 of `head` is {}, not `D` = {} (`D` by dim 1 of `embedding`)",
                head.shape[1],
                D,
            )
        tl.set_fields(self, embedding=embedding, layers=layers, norm=norm, head=head, V=V, D=D, H=H, G=G, K=K, F=F)

    @staticmethod
    def _model_fields() -> tuple[tl.Field, ...]:
        """Where a model file holds the fields of `Weights`."""
        return (
            tl.Field("embedding", ("token_embd.weight", "model.embed_tokens.weight",), dtype="T", shape=("V", "D")),
            tl.Field("layers", ("blk.{i}", "model.layers.{i}",), struct=Layer, dims=(("D", "D"), ("H", "H"), ("G", "G"), ("K", "K"), ("F", "F")), listed=True),
            tl.Field("norm", ("output_norm.weight", "model.norm.weight",), dtype="T", shape=("D",)),
            tl.Field("head", ("output.weight", "lm_head.weight", "token_embd.weight", "model.embed_tokens.weight",), dtype="T", shape=("V", "D")),
        )

    @classmethod
    def bind(cls, model: tl.Model, prefix: str = "", **dims: int) -> Weights:
        """`Weights` filled from a model by its keys below `prefix`; dims by name."""
        return tl.bind(cls, model, prefix, dims)


@dataclass(frozen=True, eq=False, kw_only=True)
class Turning:
    """How P pairs of each head turn: by `short` in texts of up to `original` tokens, by `long` in longer ones. What has turned
    is `growth` times as long, so that scores of the other features are not.
    """

    short: mx.array  # float32[P]
    long: mx.array  # float32[P]
    original: int  # int
    growth: float  # float
    P: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        short = tl.array(self.short, "Turning.short", mx.float32, 1, "float32[P]", "phi3.tl:29")
        long = tl.array(self.long, "Turning.long", mx.float32, 1, "float32[P]", "phi3.tl:30")
        original = tl.integer(self.original, "Turning.original", "phi3.tl:31")
        growth = tl.number(self.growth, "Turning.growth", "phi3.tl:32")
        P = short.shape[0]
        if P < 1:
            tl.refuse(
                "phi3.tl:28", "TL5001", "`P` is {} by dim 0 of `short`: a dimension variable is at least {}", P, 1
            )
        if long.shape[0] != P:
            tl.refuse(
                "phi3.tl:30",
                "TL5001",
                "dim 0 of `long` is {}, not `P` = {} (`P` by dim 0 of `short`)",
                long.shape[0],
                P,
            )
        tl.set_fields(self, short=short, long=long, original=original, growth=growth, P=P)

    @staticmethod
    def _model_fields() -> tuple[tl.Field, ...]:
        """Where a model file holds the fields of `Turning`."""
        return (
            tl.Field("short", ("short",), dtype=mx.float32, shape=("P",)),
            tl.Field("long", ("long",), dtype=mx.float32, shape=("P",)),
            tl.Field("original", ("original",)),
            tl.Field("growth", ("growth",)),
        )

    @classmethod
    def bind(cls, model: tl.Model, prefix: str = "", **dims: int) -> Turning:
        """`Turning` filled from a model by its keys below `prefix`; dims by name."""
        return tl.bind(cls, model, prefix, dims)


@dataclass(frozen=True, eq=False, kw_only=True)
class Phi3:
    """The weights, and what else the file says."""

    weights: Weights  # Weights<T>[V, D, H, G, K, F]
    turning: Turning  # Turning[P]
    eps: float  # float
    window: int  # int
    V: int = field(init=False, repr=False)
    D: int = field(init=False, repr=False)
    H: int = field(init=False, repr=False)
    G: int = field(init=False, repr=False)
    K: int = field(init=False, repr=False)
    F: int = field(init=False, repr=False)
    P: int = field(init=False, repr=False)
    T: mx.Dtype = field(init=False, repr=False)

    def __post_init__(self) -> None:
        T = tl.instance(self.weights, Weights, "Phi3.weights", "phi3.tl:36").T
        tl.set_fields(self, T=T)
        weights = tl.instance(self.weights, Weights, "Phi3.weights", "phi3.tl:37")
        turning = tl.instance(self.turning, Turning, "Phi3.turning", "phi3.tl:38")
        eps = tl.number(self.eps, "Phi3.eps", "phi3.tl:39")
        window = tl.integer(self.window, "Phi3.window", "phi3.tl:40")
        V = weights.V
        D = weights.D
        H = weights.H
        G = weights.G
        K = weights.K
        F = weights.F
        P = turning.P
        tl.set_fields(self, weights=weights, turning=turning, eps=eps, window=window, V=V, D=D, H=H, G=G, K=K, F=F, P=P)

    @staticmethod
    def _model_fields() -> tuple[tl.Field, ...]:
        """Where a model file holds the fields of `Phi3`."""
        return (
            tl.Field("weights", ("weights",), struct=Weights, dims=(("V", "V"), ("D", "D"), ("H", "H"), ("G", "G"), ("K", "K"), ("F", "F"))),
            tl.Field("turning", ("turning",), struct=Turning, dims=(("P", "P"),)),
            tl.Field("eps", ("eps",)),
            tl.Field("window", ("window",)),
        )

    @classmethod
    def bind(cls, model: tl.Model, prefix: str = "", **dims: int) -> Phi3:
        """`Phi3` filled from a model by its keys below `prefix`; dims by name."""
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


def _pairs(model: tl.Model, K: int) -> int:  # phi3.tl:44
    if _settings_is_gguf(model):
        int_ = model.int(_settings_key(model, "rope.dimension_count"), K)  # phi3.tl:45
        return int_ // 2
    said = model.float("partial_rotary_factor", 1.0)  # phi3.tl:46
    share = model.float("rope_parameters.partial_rotary_factor", said)  # phi3.tl:47
    return tl.float_to_int(share * float(K), "phi3.tl:48") // 2


def _settings_is_gguf(model: tl.Model) -> bool:  # settings.tl:5
    result = model.has("token_embd.weight")  # settings.tl:6
    return result


def _settings_key(model: tl.Model, name: str) -> str:  # settings.tl:10
    architecture = model.metadata.architecture
    if not architecture is not None:
        tl.refuse("settings.tl:12", "TL5005", "{}", "the file does not say of which architecture it is")
    return f"{architecture}.{name}"


def _factors(model: tl.Model, which: str, P: int) -> mx.array:  # phi3.tl:52
    if _settings_is_gguf(model):
        tensor = tl.weight(model, f"rope_factors_{which}.weight", mx.float32, "phi3.tl:54", reads=True)  # phi3.tl:54
        ranked = tl.ranked(tensor, 1, True, "`stored`", "float32[?]", "phi3.tl:54")
        stored = ranked
        if P != stored.shape[0]:
            tl.refuse(
                "phi3.tl:55",
                "TL5001",
                "the result of `factors` has a dim {} where `P` = {} is declared",
                stored.shape[0],
                P,
            )
        return stored
    said = model.floats(f"rope_scaling.{which}_factor", ())  # phi3.tl:57
    floats = model.floats(f"rope_parameters.{which}_factor", said)  # phi3.tl:58
    tensor = mx.array(tl.numbers(floats, mx.float32, "phi3.tl:58"), dtype=mx.float32)
    if P != tensor.shape[0]:
        tl.refuse(
            "phi3.tl:58",
            "TL5001",
            "the result of `factors` has a dim {} where `P` = {} is declared",
            tensor.shape[0],
            P,
        )
    return tensor


def _original_length(model: tl.Model) -> int:  # phi3.tl:62
    usual = _settings_context_length(model)  # phi3.tl:63
    if _settings_is_gguf(model):
        result = model.int(_settings_key(model, "rope.scaling.original_context_length"), usual)  # phi3.tl:64
        return result
    said = model.int("rope_scaling.original_max_position_embeddings", usual)  # phi3.tl:65
    newer = model.int("rope_parameters.original_max_position_embeddings", said)  # phi3.tl:66
    result = model.int("original_max_position_embeddings", newer)  # phi3.tl:67
    return result


def _settings_context_length(model: tl.Model) -> int:  # settings.tl:92
    return _settings_int_of(model, "context_length", "max_position_embeddings", None)


def _settings_int_of(model: tl.Model, gguf: str, hugging_face: str, default: int | None) -> int:  # settings.tl:17
    result = model.int(  # settings.tl:18
        _settings_key(model, gguf) if _settings_is_gguf(model) else hugging_face, default
    )
    return result


def _usual_growth(model: tl.Model, original: int) -> float:  # phi3.tl:71
    float_ = float(original)
    factor = tl.float_divide(float(_settings_context_length(model)), float_)
    return tl.float_sqrt(1.0 + tl.float_divide(tl.float_log(factor), tl.float_log(float_))) if factor > 1.0 else 1.0


def _growth(model: tl.Model, original: int) -> float:  # phi3.tl:76
    if _settings_is_gguf(model):
        result = model.float(_settings_key(model, "rope.scaling.attn_factor"), 1.0)  # phi3.tl:77
        return result
    said = model.float("rope_scaling.attention_factor", _usual_growth(model, original))  # phi3.tl:78
    result = model.float("rope_parameters.attention_factor", said)  # phi3.tl:79
    return result


def _turning(model: tl.Model, P: int) -> Turning:  # phi3.tl:82
    how = _rotary_kind(model)  # phi3.tl:83
    if how == "longrope" or how == "su":
        chosen = True
    else:
        chosen = model.has("rope_factors_long.weight")  # phi3.tl:84
    if chosen:
        periods = _rotary_plain(_rotary_base(model), P)  # phi3.tl:85
        original = _original_length(model)  # phi3.tl:86
        value = periods * _factors(model, "short", P)
        result = tl.made(
            Turning,
            short=value,
            long=periods * _factors(model, "long", P),
            original=original,
            growth=_growth(model, original),
            P=P,
        )
        return result
    found = _rotary_rotary(model, P)  # phi3.tl:94
    result = tl.made(
        Turning,
        short=found.periods,
        long=found.periods,
        original=_settings_context_length(model),
        growth=tl.float_sqrt(found.attention),
        P=P,
    )
    return result


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


def _rotary_newer(model: tl.Model, name: str) -> str:  # rotary.tl:13
    float_ = model.float("rope_parameters.full_attention.rope_theta", -1.0)  # rotary.tl:14
    is_nested = float_ >= 0.0
    return f"rope_parameters.full_attention.{name}" if is_nested else f"rope_parameters.{name}"


def _rotary_base(model: tl.Model) -> float:  # rotary.tl:19
    said = _settings_float_of(model, "rope.freq_base", "rope_theta", 10000.0)  # rotary.tl:20
    if _settings_is_gguf(model):
        chosen = said
    else:
        chosen = model.float(_rotary_newer(model, "rope_theta"), said)  # rotary.tl:21
    return chosen


def _settings_float_of(model: tl.Model, gguf: str, hugging_face: str, default: float | None) -> float:  # settings.tl:21
    result = model.float(  # settings.tl:22
        _settings_key(model, gguf) if _settings_is_gguf(model) else hugging_face, default
    )
    return result


def _rotary_plain(base: float, P: int) -> mx.array:  # rotary.tl:25
    full = mx.full(
        tl.sized((P,), mx.float32, "rotary.tl:26"), tl.fits(base, mx.float32, "base", "rotary.tl:26"), mx.float32
    )
    ratio = tl.arange(0, P, 1, mx.int32, "rotary.tl:26").astype(mx.float32) / tl.fits(
        float(P), mx.float32, "float(P)", "rotary.tl:26"
    )
    return full ** ratio


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


def _load(model: tl.Model) -> Phi3:  # phi3.tl:98
    if not (not _settings_has_biases(model)):
        tl.refuse("phi3.tl:99", "TL5005", "{}", "the projections of this model have biases, and this program none")
    heads = _settings_heads(model)  # phi3.tl:100
    kv_heads = _settings_kv_heads(model)  # phi3.tl:100
    weights = tl.of_elements(Weights.bind(model, H=heads, G=kv_heads), "phi3.tl:100", T=model.float_type)  # phi3.tl:100
    pairs = _pairs(model, weights.K)  # phi3.tl:103
    if pairs < 1:
        tl.refuse("phi3.tl:103", "TL5001", "`P` of `turning` is {}: a dimension variable is at least {}", pairs, 1)
    turning = _turning(model, pairs)  # phi3.tl:103
    norm_eps = _settings_norm_eps(model)  # phi3.tl:104
    window_of = _settings_window_of(  # phi3.tl:105
        _settings_int_of(model, "attention.sliding_window", "sliding_window", 0)
    )
    if heads < 1:
        tl.refuse("phi3.tl:102", "TL5001", "`H` of `Phi3` is {}: a dimension variable is at least {}", heads, 1)
    if kv_heads < 1:
        tl.refuse("phi3.tl:102", "TL5001", "`G` of `Phi3` is {}: a dimension variable is at least {}", kv_heads, 1)
    result = tl.made(
        Phi3,
        weights=weights,
        turning=turning,
        eps=norm_eps,
        window=window_of,
        V=weights.V,
        D=weights.D,
        H=heads,
        G=kv_heads,
        K=weights.K,
        F=weights.F,
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


def _settings_kv_heads(model: tl.Model) -> int:  # settings.tl:31
    return _settings_int_of(model, "attention.head_count_kv", "num_key_value_heads", _settings_heads(model))


def _settings_norm_eps(model: tl.Model) -> float:  # settings.tl:36
    return _settings_float_of(model, "attention.layer_norm_rms_epsilon", "rms_norm_eps", None)


def _settings_window_of(said: int) -> int:  # settings.tl:41
    return said if said > 0 else 1000000000


def _step(net: Phi3, ids: mx.array, cache: tl.KVCache) -> tuple[mx.array, tl.KVCache]:  # phi3.tl:114
    start = cache.length()  # phi3.tl:117
    periods = net.turning.short if start + ids.shape[1] <= net.turning.original else net.turning.long
    grown = net.turning.growth * net.turning.growth
    x = tl.embedding(ids, net.weights.embedding)
    for i, l in enumerate(net.weights.layers):
        hq, hk, hv = tl.split(
            tl.chain(x, tl.Stage(l.qkv, norm=l.attention_norm, eps=net.eps)),
            (net.H * net.K, net.G * net.K, net.G * net.K),
            -1,
        )
        q = mx.reshape(hq, (ids.shape[0], ids.shape[1], net.H, net.K)).transpose(0, 2, 1, 3)
        k = mx.reshape(hk, (ids.shape[0], ids.shape[1], net.G, net.K)).transpose(0, 2, 1, 3)
        v = mx.reshape(hv, (ids.shape[0], ids.shape[1], net.G, net.K)).transpose(0, 2, 1, 3)
        ks, vs, next = cache.update(
            i, tl.rope(k, offset=start, dims=2 * net.P, periods=periods), v, net.window, dtype=net.T
        )
        asked = tl.rope(q, offset=start, dims=2 * net.P, periods=periods)  # phi3.tl:129
        if grown != 1.0:
            list_: tuple[mx.array, ...] = (
                asked[:, :, :, : 2 * net.P] * tl.fits(grown, net.T, "grown", "phi3.tl:132"),
                asked[:, :, :, 2 * net.P : net.K],
            )
            asked = mx.concatenate(list(list_), -1)
        if net.window < 1:
            tl.refuse("phi3.tl:134", "TL5003", "`window` of `attention` is {}: it must be at least {}", net.window, 1)
        mask = next.mask(i, asked, ks)  # phi3.tl:134
        mixed = tl.attention(asked, ks, vs, mask=mask, causal=True, window=net.window)  # phi3.tl:134
        x = tl.chain(
            mx.reshape(mixed.transpose(0, 2, 1, 3), (ids.shape[0], ids.shape[1], net.H * net.K)),
            tl.Stage(l.output, add=x),
        )
        gate, up = tuple(mx.split(tl.chain(x, tl.Stage(l.gate_up, norm=l.feed_norm, eps=net.eps)), 2, -1))
        x = tl.chain(tl.silu(gate) * up, tl.Stage(l.down, add=x))
        cache = next
    return (tl.chain(x[:, ids.shape[1] - 1], tl.Stage(net.weights.head, norm=net.weights.norm, eps=net.eps)), cache)


@tl.entry
def pairs(model: tl.Model, K: int) -> int:
    """Pairs that turn of a head's K features.

    Args:
        model: Model
        K: int

    Returns: int
    """
    model = tl.instance(model, tl.Model, "model", "phi3.tl:44")
    K = tl.integer(K, "K", "phi3.tl:44")
    result = _pairs(model, K)  # phi3.tl:44
    return result


@tl.entry
def factors(model: tl.Model, which: str, P: int) -> mx.array:
    """The factors "long" or "short" of P pairs' periods.

    Args:
        model: Model
        which: string
        P: int

    Returns: float32[P]
    """
    model = tl.instance(model, tl.Model, "model", "phi3.tl:52")
    which = tl.string(which, "which", "phi3.tl:52")
    P = tl.integer(P, "P", "phi3.tl:52")
    if P < 1:
        tl.refuse("phi3.tl:52", "TL5001", "`P` is {}: a dimension variable is at least {}", P, 1)
    result = _factors(model, which, P)  # phi3.tl:52
    return result


@tl.entry
def original_length(model: tl.Model) -> int:
    """Tokens of a text that the model was trained for before its periods were stretched.

    Args:
        model: Model

    Returns: int
    """
    model = tl.instance(model, tl.Model, "model", "phi3.tl:62")
    result = _original_length(model)  # phi3.tl:62
    return result


@tl.entry
def usual_growth(model: tl.Model, original: int) -> float:
    """What LongRoPE makes turned queries and keys longer by, where the file does not say it.

    Args:
        model: Model
        original: int

    Returns: float
    """
    model = tl.instance(model, tl.Model, "model", "phi3.tl:71")
    original = tl.integer(original, "original", "phi3.tl:71")
    result = _usual_growth(model, original)  # phi3.tl:71
    return result


@tl.entry
def growth(model: tl.Model, original: int) -> float:
    """`growth` of phi3.tl:76.

    Args:
        model: Model
        original: int

    Returns: float
    """
    model = tl.instance(model, tl.Model, "model", "phi3.tl:76")
    original = tl.integer(original, "original", "phi3.tl:76")
    result = _growth(model, original)  # phi3.tl:76
    return result


@tl.entry
def turning(model: tl.Model, P: int) -> Turning:
    """`turning` of phi3.tl:82.

    Args:
        model: Model
        P: int

    Returns: Turning[P]
    """
    model = tl.instance(model, tl.Model, "model", "phi3.tl:82")
    P = tl.integer(P, "P", "phi3.tl:82")
    if P < 1:
        tl.refuse("phi3.tl:82", "TL5001", "`P` is {}: a dimension variable is at least {}", P, 1)
    result = _turning(model, P)  # phi3.tl:82
    return result


@tl.entry
def load(model: tl.Model) -> Phi3:
    """`load` of phi3.tl:98.

    Args:
        model: Model<T>

    Returns: Phi3<T>[?V, ?D, ?H, ?G, ?K, ?F, ?P]
    """
    T = tl.floats_of(model, "model", "phi3.tl:98")
    model = tl.instance(model, tl.Model, "model", "phi3.tl:98")
    result = _load(model)  # phi3.tl:98
    return result


@tl.entry
def step(net: Phi3, ids: mx.array, cache: tl.KVCache) -> tuple[mx.array, tl.KVCache]:
    """Logits of the token behind the last of L, and the cache that holds all of them.

    All of a step turn by the same factors: a step that goes beyond the original length takes the long ones. Keys that
    earlier steps have turned by the short ones stay as they are in the cache, where Hugging Face's program computes the
    text again. `generate` takes prompts in parts, so that a long one has its first tokens turned by the short factors.

    Args:
        net: Phi3<T>[V, D, H, G, K, F, P]
        ids: int32[B, L]
        cache: KVCache

    Returns: (T[B, V], KVCache)
    Demands: H % G == 0
    Demands: 2*P <= K
    """
    T = tl.instance(net, Phi3, "net", "phi3.tl:114").T
    net = tl.instance(net, Phi3, "net", "phi3.tl:114")
    ids = tl.array(ids, "ids", mx.int32, 2, "int32[B, L]", "phi3.tl:114")
    cache = tl.instance(cache, tl.KVCache, "cache", "phi3.tl:114")
    H = net.H
    G = net.G
    if H % G != 0:
        tl.refuse(
            "phi3.tl:114",
            "TL5006",
            "`step` demands `H % G == 0`: `H` is {} by `H` of `net`, `G` is {} by `G` of `net`",
            H,
            G,
        )
    K = net.K
    P = net.P
    if K < P * 2:
        tl.refuse(
            "phi3.tl:114",
            "TL5006",
            "`step` demands `2*P <= K`: `P` is {} by `P` of `net`, `K` is {} by `K` of `net`",
            P,
            K,
        )
    B = ids.shape[0]
    if B < 1:
        tl.refuse("phi3.tl:114", "TL5001", "`B` is {} by dim 0 of `ids`: a dimension variable is at least {}", B, 1)
    L = ids.shape[1]
    if L < 1:
        tl.refuse("phi3.tl:114", "TL5001", "`L` is {} by dim 1 of `ids`: a dimension variable is at least {}", L, 1)
    result = _step(net, ids, cache)  # phi3.tl:114
    return (tl.cast(result[0], T), result[1])


# `generate` drives the module by these, and by `step`.
bind = load
new_cache = tl.new_cache
