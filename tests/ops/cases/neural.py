"""Cases of the layers of neural networks."""

from __future__ import annotations

from collections.abc import Mapping

from tests.ops.harness import Case, Factory, bools, host, integers, normal, uniform, values

_INF = float("inf")
_TOLERANCE = 1e-5

_SOFTMAXES = [
    *(
        Case(op, f"{op}(x{axis})", {"x": normal(2, 3, 4)}, _TOLERANCE)
        for op in ("softmax", "log_softmax")
        for axis in ("", ", 0", ", axis: 1", ", axis: -3")
    ),
    *(
        Case(op, f"{op}(x{axis})", {"x": make}, _TOLERANCE)
        for op in ("softmax", "log_softmax")
        for make in (normal(3, 1), normal(0, 3), normal(3, 0), normal(2, 0, 3))
        for axis in ("", ", axis: 0")
    ),
    Case("softmax", "softmax(x)", {"x": values([[1000.0, 999.0, -_INF]])}, _TOLERANCE),
    Case("log_softmax", "log_softmax(x)", {"x": values([[1000.0, 999.0, -1000.0]])}, _TOLERANCE),
    Case("softmax", "softmax(x)", {"x": normal(3, 200, dtype="float16")}),
    Case("log_softmax", "log_softmax(x)", {"x": normal(3, 200, dtype="float16")}),
]

_D: Mapping[str, Factory] = {"x": normal(2, 3, 8), "w": normal(8), "b": normal(8)}


def _norm(op: str, arguments: str) -> Case:
    used = {name: make for name, make in _D.items() if name in arguments.replace("eps", "").replace("bias", "B")}
    return Case(op, f"{op}({arguments})", used, _TOLERANCE)


_NORMS = [
    *(_norm("layer_norm", a) for a in ("x", "x, w", "x, w, b", "x, bias: b", "x, w, eps: 0.1", "x, eps: 1e-12")),
    *(_norm("rms_norm", a) for a in ("x", "x, w", "x, weight: w, eps: 0.1", "x, eps: 1e-12")),
    Case("layer_norm", "layer_norm(x, w)", {"x": normal(5), "w": normal(5)}, _TOLERANCE),
    Case("rms_norm", "rms_norm(x)", {"x": normal(2, 1)}, _TOLERANCE),
    Case("rms_norm", "rms_norm(x, w)", {"x": normal(0, 3), "w": normal(3)}),
    Case("layer_norm", "layer_norm(x, w)", {"x": normal(2, 0, 3), "w": normal(3)}),
    Case("rms_norm", "rms_norm(x)", {"x": normal(2, 64, dtype="float16", scale=2e4)}),
    Case(
        "layer_norm",
        "layer_norm(x, w, b)",
        {"x": normal(2, 64, dtype="float16"), "w": normal(64, dtype="float16"), "b": normal(64, dtype="float16")},
        4e-3,
    ),
    *(
        Case(
            "batch_norm",
            f"batch_norm(x, m, v{rest})",
            {"x": normal(2, 3, 4), "m": normal(4), "v": uniform(0.5, 2, 4), **{n: normal(4) for n in names}},
            _TOLERANCE,
        )
        for rest, names in ((", w, b", "wb"), ("", ""), (", weight: w, eps: 0.1", "w"), (", bias: b", "b"))
    ),
    Case("batch_norm", "batch_norm(x, m, v)", {"x": normal(0, 2), "m": normal(2), "v": uniform(0.5, 2, 2)}),
]

_LINEARS = [
    Case("linear", "linear(x, w)", {"x": normal(2, 3, 4), "w": normal(5, 4)}, _TOLERANCE),
    Case("linear", "linear(x, w, b)", {"x": normal(3, 4), "w": normal(5, 4), "b": normal(5)}, _TOLERANCE),
    Case("linear", "linear(x, w, bias: b)", {"x": normal(4), "w": normal(5, 4), "b": normal(5)}, _TOLERANCE),
    Case("linear", "linear(x, w)", {"x": normal(0, 4), "w": normal(1, 4)}),
    Case(
        "linear",
        "linear(x, w)",
        {"x": normal(2, 64, dtype="float16"), "w": normal(3, 64, dtype="float16")},
        2e-2,
    ),
    Case("embedding", "embedding(i, w)", {"i": integers(-3, 9, 2, 5), "w": normal(6, 4)}),
    Case("embedding", "embedding(i, w)", {"i": integers(0, 6), "w": normal(6, 4, dtype="float16")}),
    Case("embedding", "embedding(i, w)", {"i": integers(0, 6, 0), "w": normal(6, 1)}),
]


def _convolution(op: str, x: tuple[int, ...], weight: tuple[int, ...], rest: str = "") -> Case:
    inputs: dict[str, Factory] = {"x": normal(*x), "w": normal(*weight)}
    if ", b" in rest:
        inputs["b"] = normal(weight[0])
    return Case(op, f"{op}(x, w{rest})", inputs, 2e-5)


_CONVOLUTIONS = [
    _convolution("conv1d", (2, 9, 3), (4, 3, 3)),
    _convolution("conv1d", (2, 9, 3), (4, 3, 3), ", b, padding: 1"),
    _convolution("conv1d", (1, 10, 2), (4, 2, 3), ", stride: 2, padding: 2"),
    _convolution("conv1d", (2, 9, 4), (6, 2, 3), ", dilation: 2, groups: 2"),
    _convolution("conv1d", (2, 9, 4), (4, 1, 4), ", groups: 4, stride: 3"),
    _convolution("conv1d", (2, 3, 4), (1, 4, 1)),
    _convolution("conv1d", (2, 3, 4), (2, 4, 3)),
    _convolution("conv1d", (1, 1, 1), (1, 1, 5), ", padding: 2"),
    _convolution("conv2d", (2, 6, 5, 3), (4, 3, 3, 2)),
    _convolution("conv2d", (1, 6, 7, 3), (4, 3, 3, 3), ", b, stride: 2, padding: 1"),
    _convolution("conv2d", (1, 6, 7, 2), (4, 2, 3, 2), ", stride: (1, 2), padding: [0, 1], dilation: (2, 1)"),
    _convolution("conv2d", (2, 6, 5, 4), (6, 2, 3, 3), ", groups: 2"),
    _convolution("conv2d", (2, 9, 8, 4), (8, 1, 3, 3), ", groups: 4, stride: 2, dilation: 2"),
    _convolution("conv2d", (2, 4, 4, 3), (5, 3, 1, 1), ", b"),
    _convolution("conv2d", (1, 1, 1, 1), (1, 1, 3, 3), ", padding: 1"),
    _convolution("conv2d", (1, 16, 16, 3), (8, 3, 4, 4), ", stride: 4"),
]

_POOLS = [
    Case(op, f"{op}(x, {arguments})", {"x": normal(2, 6, 7, 3)}, _TOLERANCE)
    for op in ("max_pool2d", "avg_pool2d")
    for arguments in (
        "2",
        "3",
        "(2, 3)",
        "[3, 2], stride: 1",
        "3, stride: (2, 1), padding: 1",
        "kernel: (2, 4), padding: [1, 2]",
        "1",
        "(6, 7)",
    )
] + [
    Case("max_pool2d", "max_pool2d(x, 2, padding: 1)", {"x": normal(1, 3, 3, 1, scale=-5)}),
    Case("avg_pool2d", "avg_pool2d(x, 2)", {"x": normal(1, 4, 4, 2, dtype="float16")}),
]

_DROPOUTS = [
    Case("sample", "sample(x, 3)", {"x": normal(4, 50)}),
    Case("sample", "sample(x, key: k, temperature: t)", {"x": normal(2, 3, 9), "k": host(2**70), "t": host(2.5)}),
    Case("sample", "sample(x, -1, top_k: 1)", {"x": normal(5)}),
    Case("sample", "sample(x, 1, temperature: 0.0)", {"x": normal(2, 3, dtype="float16")}),
    Case("sample", "sample(x, 1, top_p: p)", {"x": normal(2, 7), "p": host(0.0)}),
    Case("sample", "sample(x, 1, min_p: p)", {"x": normal(2, 7), "p": host(1.5)}),
    Case("sample", "sample(x, 1)", {"x": normal(0, 7)}),
    Case("dropout", "dropout(x, 0.5, 3)", {"x": normal(4, 5)}),
    Case("dropout", "dropout(x, 0.25, key: -1)", {"x": normal(2, 3, dtype="float16")}),
    Case("dropout", "dropout(x, 0.0, 3)", {"x": normal(4, 5)}),
    Case("dropout", "dropout(x, rate: r, key: k)", {"x": normal(4, 5), "r": host(0.75), "k": host(2**70)}),
    Case("dropout", "dropout(x, r, 1)", {"x": normal(3), "r": host(1.0)}),
    Case("dropout", "dropout(x, r, 1)", {"x": normal(3), "r": host(-0.5)}),
    Case("dropout", "dropout(x, 0.5, 1)", {"x": normal(0, 2)}),
]

_Q: Mapping[str, Factory] = {"q": normal(2, 4, 3, 8), "k": normal(2, 2, 5, 8), "v": normal(2, 2, 5, 6)}

_ATTENTIONS = [
    *(
        Case("attention", f"attention(q, k, v{rest})", {**_Q, **more}, _TOLERANCE)
        for rest, more in (
            ("", {}),
            (", scale: 0.25", {}),
            (", causal: true", {}),
            (", mask: m", {"m": bools(2, 1, 3, 5)}),
            (", mask: m", {"m": normal(3, 5)}),
            (", mask: m, causal: true", {"m": values([[True, False, True, True, True]], "bool")}),
            (", mask: m, causal: true", {"m": normal(4, 3, 5)}),
            (", mask: m", {"m": normal(4, 1, 1)}),
            (", mask: m", {"m": normal()}),
            (", mask: m", {"m": normal(5)}),
            (", scale: s, causal: c", {"s": host(0.5), "c": host(True)}),
            (", causal: c", {"c": host(False)}),
            (", causal: true, window: 1", {}),
            (", causal: true, window: 2", {}),
            (", causal: true, window: 5", {}),
            (", causal: true, window: w", {"w": host(4)}),
            (", causal: c, window: w, scale: 0.25", {"c": host(True), "w": host(2**40)}),
            (", causal: true, window: 3, mask: m", {"m": normal(4, 3, 5)}),
            (", causal: true, window: 2, mask: m", {"m": values([[True, False, True, True, True]], "bool")}),
        )
    ),
    Case("attention", "attention(q, k, v)", {n: normal(1, 1, 1, 1) for n in "qkv"}, _TOLERANCE),
    Case("attention", "attention(q, k, v, causal: true)", {n: normal(1, 2, 4, 64) for n in "qkv"}, _TOLERANCE),
    Case("attention", "attention(q, k, v)", {n: normal(2, 3, 9, 80) for n in "qkv"}, _TOLERANCE),
    Case("attention", "attention(q, k, v)", {n: normal(1, 2, 5, 16, dtype="float16") for n in "qkv"}, 4e-3),
    Case(
        "attention",
        "attention(q, k, v, mask: m)",
        {**{n: normal(1, 2, 5, 16, dtype="float16") for n in "qkv"}, "m": normal(5, 5, dtype="float16")},
        4e-3,
    ),
]

_ROPES = [
    *(
        Case("rope", f"rope(x{rest})", {"x": normal(2, 3, 5, 8), **more}, _TOLERANCE)
        for rest, more in (
            ("", {}),
            (", 7", {}),
            (", offset: n", {"n": host(3)}),
            (", base: 500.0", {}),
            (", traditional: true", {}),
            (", scale: 0.5, offset: 2", {}),
            (", dims: 4", {}),
            (", dims: 6, traditional: t", {"t": host(True)}),
            (", offset: -2", {}),
            (", periods: p, offset: 3", {"p": uniform(1.0, 9.0, 4)}),
            (", periods: p, dims: 6, scale: 0.5", {"p": uniform(1.0, 9.0, 3)}),
        )
    ),
    *(
        Case("rope", "rope(x, offset: 3)", {"x": normal(*shape)}, _TOLERANCE)
        for shape in ((5, 8), (1, 2), (2, 5, 4), (2, 1, 1, 6), (2, 2, 2, 3, 4), (0, 5, 4))
    ),
    Case("rope", "rope(x, dims: 4)", {"x": normal(5, 6)}, _TOLERANCE),
    Case("rope", "rope(x)", {"x": normal(2, 5, 8, dtype="float16")}, 4e-3),
]

_QUANTIZED = [
    *(
        Case("quantize", f"quantize(w, bits: {bits}, group: {group})", {"w": normal(3, 128)}, _TOLERANCE)
        for bits in (2, 3, 4, 5, 6, 8)
        for group in (32, 64, 128)
    ),
    Case("quantize", "quantize(w)", {"w": normal(2, 3, 64)}, _TOLERANCE),
    Case("quantize", "quantize(w, 8)", {"w": uniform(1, 2, 4, 192)}, _TOLERANCE),
    Case("quantize", "quantize(w, 4, 32)", {"w": values([[0.0] * 32, [float(i % 16) for i in range(32)]])}),
    Case("quantize", "quantize(w)", {"w": normal(0, 2, 64)}),
    Case("quantize", "quantize(w, bits: 8)", {"w": values([[i / 64 for i in range(64)]], "float16")}, 4e-3),
]

CASES = [
    *_QUANTIZED,
    *_SOFTMAXES,
    *_NORMS,
    *_LINEARS,
    *_CONVOLUTIONS,
    *_POOLS,
    *_DROPOUTS,
    *_ATTENTIONS,
    *_ROPES,
]
