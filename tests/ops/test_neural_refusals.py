"""Layers refuse operands that do not fit, in the program's words, and offer what would help."""

from __future__ import annotations

import pytest

from tests.ops.harness import errors, refusal

# Parameters, a call, the code and the message of the one error.
REFUSED = [
    ("x: float16[N, D]", "softmax(x, 2)", "TL3008", "axis 2 does not exist: the tensor has 2 dims"),
    ("x: float16[]", "log_softmax(x)", "TL3008", "axis -1 does not exist: the tensor has 0 dims"),
    ("x: int32[N]", "softmax(x)", "TL2001", "`x` of `softmax` is a tensor of floats, not of int32"),
    ("x: float16[]", "rms_norm(x)", "TL3005", "`x` of `rms_norm` has at least 1 dim; this has 0 dims"),
    (
        "x: float16[N, D], w: float16[N]",
        "layer_norm(x, w)",
        "TL3003",
        "`D` of `layer_norm` is D by `x` and N by `weight`",
    ),
    ("x: float16[N, 0]", "layer_norm(x)", "TL3016", "`D` of `layer_norm` would be 0"),
    (
        "x: float16[N, H, W, C], w: float16[O, C, 3, 3]",
        "conv2d(x, w)",
        "TL3018",
        "`conv2d`: a window of 3 does not provably fit into H",
    ),
    (
        "x: float16[N, 5, 9, C], w: float16[O, C, 3, 3]",
        "conv2d(x, w, dilation: 3)",
        "TL3018",
        "`conv2d`: a window of 7 does not fit into 5",
    ),
    (
        "x: float16[N, H, 8, C], w: float16[O, C, 1, 1]",
        "conv2d(x, w, stride: 2)",
        "TL3012",
        "`conv2d` moves its window by 2 over H - 1: cannot tell how much remains",
    ),
    (
        "x: float16[N, H, 8, C], w: float16[O, I, 1, 1]",
        "conv2d(x, w)",
        "TL3003",
        "`weight` of `conv2d` takes I channels, `x` has C",
    ),
    (
        "x: float16[N, L, 4], w: float16[O, 2, 1]",
        "conv1d(x, w, groups: 2)",
        "TL3012",
        "O outputs of `conv1d` are not provably divisible by 2 groups",
    ),
    (
        "x: float16[N, L, 4], w: float16[6, 1, 1]",
        "conv1d(x, w, groups: 4)",
        "TL3012",
        "6 outputs of `conv1d` are not divisible by 4 groups",
    ),
    (
        "x: float16[N, L, 4], w: float16[6, 1, 1]",
        "conv1d(x, w, groups: 2)",
        "TL3003",
        "`weight` of `conv1d` takes 1 channels, 2 groups of it make 2, `x` has 4",
    ),
    (
        "x: float16[N, L, 4], w: float16[O, 4, 1]",
        "conv1d(x, w, stride: 0)",
        "TL3018",
        "`stride` of `conv1d` is 0: it must be at least 1",
    ),
    (
        "x: float16[N, L, 4], w: float16[O, 4, 1]",
        "conv1d(x, w, padding: -1)",
        "TL3018",
        "`padding` of `conv1d` is -1: it must be at least 0",
    ),
    (
        "x: float16[N, L, 4], w: float16[O, 4, 1]",
        "conv1d(x, w, dilation: 0)",
        "TL3018",
        "`dilation` of `conv1d` is 0: it must be at least 1",
    ),
    (
        "x: float16[N, L, 4], w: float16[O, 4, 1]",
        "conv1d(x, w, groups: 0)",
        "TL3018",
        "`groups` of `conv1d` is 0: it must be at least 1",
    ),
    (
        "x: float16[N, 8, 8, 4], w: float16[O, 4, 1, 1]",
        "conv2d(x, w, stride: (1, 0))",
        "TL3018",
        "a number in `stride` of `conv2d` is 0: it must be at least 1",
    ),
    (
        "x: float16[N, 8, 8, 4], w: float16[O, 4, 1, 1]",
        "conv2d(x, w, stride: (1, 1, 1))",
        "TL2001",
        "`stride` of `conv2d` is an int or a pair of ints",
    ),
    (
        "x: float16[N, 8, 4], w: float16[O, 4, 1, 1]",
        "conv2d(x, w)",
        "TL3005",
        "`x` of `conv2d` has 4 dims; this has 3 dims",
    ),
    (
        "x: float16[N, 8, 8, 4]",
        "max_pool2d(x, 3, padding: 2)",
        "TL3018",
        "`padding` of `max_pool2d` is 2: it is at most half of the kernel, which is 3",
    ),
    (
        "x: float16[N, 8, 8, 4]",
        "max_pool2d(x, (1, 2, 3))",
        "TL2001",
        "`kernel` of `max_pool2d` is an int or a pair of ints",
    ),
    ("x: float16[N, 8, 8, 4]", "avg_pool2d(x, none)", "TL2001", "`kernel` of `avg_pool2d` is an int or a pair of ints"),
    (
        "x: float16[N, 8, 8, 4]",
        "avg_pool2d(x, 9)",
        "TL3018",
        "`avg_pool2d`: a window of 9 does not fit into 8",
    ),
    (
        "x: float16[N, 8, W, 4]",
        "avg_pool2d(x, 2, 1)",
        "TL3018",
        "`avg_pool2d`: a window of 2 does not provably fit into W",
    ),
    (
        "x: float16[N, 8, 8, 4], s: [int]",
        "avg_pool2d(x, s)",
        "TL2008",
        "`kernel` of `avg_pool2d` must be known while compiling",
    ),
    (
        "q: float16[B, H, L, D], k: float16[B, H, S, D]",
        "attention(q, k, k, causal: true)",
        "TL3018",
        "causal attention needs at least as many keys as queries: cannot prove L <= S",
    ),
    (
        "q: float16[B, H, L, D], k: float16[B, K, S, D]",
        "attention(q, k, k)",
        "TL3010",
        "cannot prove `H % K == 0`, which `attention` demands",
    ),
    (
        "q: float16[B, H, L, D]",
        "attention(q, q, q, window: 4)",
        "TL2004",
        "a `window` of `attention` goes with `causal: true`",
    ),
    (
        "q: float16[B, H, L, D]",
        "attention(q, q, q, causal: true, window: 0)",
        "TL3018",
        "`window` of `attention` is 0: it must be at least 1",
    ),
    (
        "q: float16[B, H, L, D]",
        "attention(q, q, q, soft_cap: -0.5)",
        "TL3018",
        "the `soft_cap` of `attention` is above 0, not -0.5",
    ),
    (
        "q: float16[B, H, L, D], n: int?",
        "attention(q, q, q, causal: true, window: n)",
        "TL2009",
        "`window` of `attention` may be none here: it is int?",
    ),
    (
        "q: float16[B, H, L, D], m: float32[L, L]",
        "attention(q, q, q, mask: m)",
        "TL2002",
        "`mask` of `attention` is bool, or float16 to be added to the scores; not float32",
    ),
    (
        "q: float16[B, H, L, D], m: int32[L, L]",
        "attention(q, q, q, mask: m)",
        "TL2002",
        "`mask` of `attention` is bool, or float16 to be added to the scores; not int32",
    ),
    (
        "q: float16[B, H, L, D], m: bool[L, D]",
        "attention(q, q, q, mask: m)",
        "TL3002",
        "`mask` of `attention` broadcasts to [B, H, L, L]: at axis -1, D is not L",
    ),
    (
        "q: float16[B, H, L, D], m: bool[...A, L]",
        "attention(q, q, q, mask: m)",
        "TL3005",
        "`mask` of `attention` broadcasts to [B, H, L, L]: it has at most four dims",
    ),
    (
        "q: float16[B, H, L, D], m: bool[1, 1, 1, 1, L]",
        "attention(q, q, q, mask: m)",
        "TL3005",
        "`mask` of `attention` broadcasts to [B, H, L, L]: it has at most four dims",
    ),
    (
        "q: float16[B, H, L, D]",
        "attention(q, q[:, :, none], q)",
        "TL3005",
        "`k` of `attention` has 4 dims; this has 5 dims",
    ),
    ("x: float16[L, D]", "rope(x)", "TL3012", "`rope` rotates pairs: D is not provably even"),
    ("x: float16[L, 5]", "rope(x)", "TL3012", "`rope` rotates pairs: 5 is not even"),
    ("x: float16[L, D], n: int", "rope(x, dims: n)", "TL3012", "`rope` rotates pairs: n is not provably even"),
    (
        "x: float16[L, D]",
        "rope(x, dims: 4)",
        "TL3018",
        "`rope` rotates 4 of D dims: there are not provably so many",
    ),
    (
        "x: float16[L, 4]",
        "rope(x, dims: 6)",
        "TL3018",
        "`rope` rotates 6 of 4 dims: there are not so many",
    ),
    ("x: float16[L, 4]", "rope(x, dims: 0)", "TL3018", "`dims` of `rope` is 0: it must be at least 2"),
    ("x: float16[L, 4], n: int?", "rope(x, dims: n)", "TL2009", "`dims` of `rope` may be none here: it is int?"),
    (
        "x: float16[L, 4], p: float32[3]",
        "rope(x, periods: p)",
        "TL3003",
        "`rope` rotates 4 dims in pairs: 3 periods are not half as many",
    ),
    (
        "x: float16[L, 4], p: float32[P]",
        "rope(x, periods: p)",
        "TL3003",
        "`rope` rotates 4 dims in pairs: P periods are not provably half as many",
    ),
    ("x: float16[D]", "rope(x)", "TL3005", "`x` of `rope` has at least 2 dims; this has 1 dim"),
    ("x: float16[N]", "dropout(x, 1.0, 3)", "TL3018", "the rate of `dropout` is at least 0 and less than 1, not 1"),
    ("x: float16[N]", "dropout(x, -0.1, 3)", "TL3018", "the rate of `dropout` is at least 0 and less than 1, not -0.1"),
    ("x: int32[N]", "dropout(x, 0.1, 3)", "TL2001", "`x` of `dropout` is a tensor of floats, not of int32"),
    ("x: float16[N, D], w: float16[O, I]", "linear(x, w)", "TL3003", "`I` of `linear` is D by `x` and I by `weight`"),
    (
        "x: float16[N, D], w: float16[O, D], b: float16[D]",
        "linear(x, w, b)",
        "TL3003",
        "`O` of `linear` is O by `weight` and D by `bias`",
    ),
    ("i: float16[N], w: float16[O, D]", "embedding(i, w)", "TL2002", "`ids` of `embedding` is int32, not float16"),
    (
        "x: float16[N, D], y: int32[D]",
        "cross_entropy(x, y)",
        "TL3003",
        "`...B` of `cross_entropy` is N by `logits` and D by `targets`",
    ),
    ("x: float16[N], y: float32[N]", "mse(x, y)", "TL2002", "float16 meets float32"),
]


@pytest.mark.parametrize(
    ("parameters", "source", "code", "message"), REFUSED, ids=[f"{r[1]} of {r[0]}" for r in REFUSED]
)
def test_what_does_not_fit_is_refused(parameters: str, source: str, code: str, message: str) -> None:
    diagnostic = refusal(f"fn f({parameters}) -> float16[] {{ let result = {source}\n return full([], 0) }}")
    assert (diagnostic.code, diagnostic.message) == (code, message)


# Parameters and a call that is accepted with the clause that the error offers.
CLAUSES = [
    ("x: float16[N, L, C], w: float16[O, C, 3]", "conv1d(x, w)", "3 <= L"),
    ("x: float16[N, L, C], w: float16[O, C, 1]", "conv1d(x, w, stride: 2)", "L % 2 == 0"),
    ("x: float16[N, L, C], w: float16[O, C, 3]", "conv1d(x, w, stride: 3, padding: 1)", "L % 3 == 0"),
    ("x: float16[N, L, 4], w: float16[O, 2, 1]", "conv1d(x, w, groups: 2)", "O % 2 == 0"),
    ("x: float16[N, 8, W, 4]", "avg_pool2d(x, 2, 1)", "2 <= W"),
    ("q: float16[B, H, L, D], k: float16[B, H, S, D]", "attention(q, k, k, causal: true)", "L <= S"),
    ("q: float16[B, H, L, D], k: float16[B, K, L, D]", "attention(q, k, k)", "H % K == 0"),
    ("x: float16[L, D]", "rope(x)", "D % 2 == 0"),
    ("x: float16[L, D]", "rope(x, dims: 4)", "4 <= D"),
]


@pytest.mark.parametrize(("parameters", "source", "clause"), CLAUSES, ids=[f"{c[1]} of {c[0]}" for c in CLAUSES])
def test_the_clause_that_is_offered_proves_it(parameters: str, source: str, clause: str) -> None:
    body = f"{{ let result = {source}\n return full([], 0) }}"
    diagnostic = refusal(f"fn f({parameters}) -> float16[] {body}")
    assert diagnostic.helps == (f"add `where {clause}` to `f`",)
    assert errors(f"fn f({parameters}) -> float16[] where {clause} {body}") == ()
