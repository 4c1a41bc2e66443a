"""Functions on shapes refuse what they cannot do, in the program's words, and offer what would help."""

from __future__ import annotations

import pytest

from tests.ops.harness import errors, refusal

_MANY = " ".join(f"n{i}" for i in range(33))

# Parameters, a call, the code and the message of the one error.
REFUSED = [
    ("x: float16[N, D]", "reshape(x, [D, 3])", "TL3009", "`x` has N*D items, the new shape 3*D"),
    ("x: float16[N, D]", "reshape(x, [-1, -1])", "TL3009", "only one size of a reshape can be -1"),
    (
        "x: float16[N, D]",
        "reshape(x, [-1, 3])",
        "TL3009",
        "-1 cannot be told: N*D items are not provably divisible by 3",
    ),
    (
        "x: float16[6, 4]",
        "reshape(x, [-1, 5])",
        "TL3009",
        "-1 cannot be told: 24 items are not divisible by 5",
    ),
    ("x: float16[0, 4]", "reshape(x, [-1, 0])", "TL3009", "-1 cannot be told: the other sizes make 0"),
    ("x: float16[6, 4]", "reshape(x, [-2, -12])", "TL3018", "a size of `reshape` is -2: it must be at least 0"),
    ("x: float16[...B, 4]", "reshape(x, [4, -1])", "TL3013", "`reshape` cannot name the dims of `...B`"),
    (
        "x: float16[N], y: float16[...B]",
        "reshape(x, y.shape)",
        "TL2008",
        "`shape` of `reshape` must be known while compiling",
    ),
    ("x: float16[N]", "x.T", "TL3005", "`.T` swaps the last two dims: this tensor has fewer"),
    ("x: float16[...B, N]", "x.T", "TL3005", "`.T` swaps the last two dims: this tensor may have fewer"),
    ("x: float16[N, D]", "transpose(x, [0])", "TL3008", "`transpose` names each axis once: 2, not 1"),
    ("x: float16[N, D]", "permute(x, [0, 0])", "TL3008", "axis 0 is given twice"),
    ("x: float16[N, D]", "transpose(x, [0, 2])", "TL3008", "axis 2 does not exist: the tensor has 2 dims"),
    ("x: float16[...B, D]", "transpose(x, [0])", "TL3008", "axis 0 cannot be told in a shape that begins with a pack"),
    (
        "x: float16[...B, C, D]",
        "transpose(x, [-1])",
        "TL3008",
        "`transpose` names each axis once: 2 after `...B`, not 1",
    ),
    ("x: float16[...B, D]", "transpose(x)", "TL3013", "`transpose` cannot name the dims of `...B`"),
    (
        "x: float16[N, D], a: int",
        "transpose(x, [a, 0])",
        "TL2008",
        "`axes` of `transpose` must be known while compiling",
    ),
    ("x: float16[N, D]", "squeeze(x, 1)", "TL3009", "`squeeze` removes dims of size 1: this one is D"),
    ("x: float16[N, D], a: int", "squeeze(x, a)", "TL2008", "`axis` of `squeeze` must be known while compiling"),
    ("x: float16[N, 1]", "squeeze(x, 2)", "TL3008", "axis 2 does not exist: the tensor has 2 dims"),
    ("x: float16[N]", "unsqueeze(x, 2)", "TL3008", "axis 2 does not exist: the tensor has 2 dims"),
    ("x: float16[...B, N]", "unsqueeze(x, 0)", "TL3008", "axis 0 cannot be told in a shape that begins with a pack"),
    ("x: float16[...B, N]", "unsqueeze(x, -3)", "TL3008", "axis -3 cannot be told in a shape that begins with a pack"),
    ("x: float16[N, D]", "flip(x, 2)", "TL3008", "axis 2 does not exist: the tensor has 2 dims"),
    ("x: float16[N, D]", "roll(x, 1, -3)", "TL3008", "axis -3 does not exist: the tensor has 2 dims"),
    ("x: float16[N, D]", "repeat(x, -1, 0)", "TL3018", "`n` of `repeat` is -1: it must be at least 0"),
    ("x: float16[N, D]", "repeat(x, D - N, 0)", "TL3018", "`n` of `repeat` is D - N, which may be negative"),
    ("x: float16[N, D]", "tile(x, [2, -1])", "TL3018", "a size of `tile` is -1: it must be at least 0"),
    ("x: float16[...B, D]", "tile(x, [2, 1])", "TL3013", "`tile` cannot name the dims of `...B`"),
    ("x: float16[N, 2]", "pad(x, [(1, 2)])", "TL3005", "`pad` takes a pair for each dim: 2, not 1"),
    (
        "x: float16[...B, 2]",
        "pad(x, [(1, 2), (1, 2)])",
        "TL3005",
        "`pad` takes a pair for each dim: 1 after `...B`, not 2",
    ),
    ("x: float16[2]", "pad(x, [(1, -2)])", "TL3018", "a size of `pad` is -2: it must be at least 0"),
    ("x: int32[2]", "pad(x, [(1, 1)], value: 0.5)", "TL2002", "a float meets int32"),
    (
        "x: float16[2], v: float16[]?",
        "pad(x, [(1, 1)], value: v)",
        "TL2009",
        "`value` of `pad` may be none here: it is float16[]?",
    ),
    ("x: float16[2], v: [(int, int)]", "pad(x, v)", "TL2008", "`widths` of `pad` must be known while compiling"),
    ("x: float16[D]", "broadcast_to(x, [5, 3])", "TL3002", "`broadcast_to` cannot make D into 3 at axis -1"),
    ("x: float16[D, 2]", "broadcast_to(x, [2])", "TL3005", "`x` has 2 dims, the shape to broadcast to only 1"),
    ("x: float16[...B]", "broadcast_to(x, [2])", "TL3013", "`broadcast_to` cannot name the dims of `...B`"),
    ("x: float16[1]", "broadcast_to(x, [-2])", "TL3018", "a size of `broadcast_to` is -2: it must be at least 0"),
    (
        "x: float16[N, D], y: float16[M, E]",
        "concat([x, y])",
        "TL3015",
        "`concat` needs equal dims except along its axis: at axis -1, item 0 has D, item 1 has E",
    ),
    ("x: float16[N, D], y: float32[M, D]", "concat((x, y))", "TL2002", "float16 meets float32"),
    (
        "x: float16[N, D], y: float16[M]",
        "concat([x, y])",
        "TL3015",
        "`concat` joins tensors of one rank: item 0 is float16[N, D], item 1 is float16[M]",
    ),
    (
        "x: float16[...A, D], y: float16[...B, D]",
        "concat([x, y], axis: -1)",
        "TL3013",
        "`concat` cannot join float16[...A, D] and float16[...B, D]",
    ),
    ("x: [float16[D]]", "concat(x)", "TL3015", "how many tensors `concat` joins must be known while compiling"),
    ("x: float16[D]", "concat([])", "TL3015", "`concat` joins at least one tensor"),
    ("x: float16[D]", "concat((x, 1))", "TL2001", "`concat` joins tensors; item 1 is int"),
    ("x: float16[D]", "concat([x], axis: 1)", "TL3008", "axis 1 does not exist: the tensor has 1 dim"),
    (
        "x: float16[D], y: float16[E]",
        "stack([x, y])",
        "TL3015",
        "`stack` needs equal dims: at axis -1, item 0 has D, item 1 has E",
    ),
    ("x: float16[D]", "stack([x, x], axis: 2)", "TL3008", "axis 2 does not exist: the tensor has 2 dims"),
    ("x: float16[D]", "split(x, 2)", "TL3015", "D is not provably divisible into 2 equal parts"),
    ("x: float16[6]", "split(x, [2, 3])", "TL3015", "the parts of `split` make 5, the dim is 6"),
    ("x: float16[6]", "split(x, [8, -2])", "TL3018", "a size of `split` is -2: it must be at least 0"),
    ("x: float16[6]", "split(x, 4)", "TL3015", "6 is not divisible into 4 equal parts"),
    ("x: float16[6]", "split(x, 0)", "TL3015", "`split` makes 1 to 4096 parts, not 0"),
    ("x: float16[6]", "split(x, none)", "TL2001", "`split` needs the sizes of the parts, or their number"),
    ("x: float16[D], n: int", "split(x, n)", "TL2008", "`sizes` of `split` must be known while compiling"),
    ("x: float16[D], n: int", "split(x, [n, n])", "TL3015", "the parts of `split` make 2*n, the dim is D"),
    ("x: float16[6]", "split(x, 5000)", "TL3015", "`split` makes 1 to 4096 parts, not 5000"),
    ("x: float16[0, 3], i: int32[2]", "take(x, i)", "TL3016", "`take` picks from a dim that is 0"),
    ("x: float16[N], i: int32[2]", "take(x[1:N], i)", "TL3016", "`take` picks from a dim that may be 0: `N - 1`"),
    ("x: float16[N, 3], i: float16[2]", "take(x, i)", "TL2002", "`ids` of `take` is int32, not float16"),
    ("x: float16[N, 3], i: int32[...B]", "take(x, i, axis: 1)", "TL3013", "`take` would put `...B` behind other dims"),
    (
        "x: float16[...B, 3], i: int32[...B]",
        "take(x, i, axis: -1)",
        "TL3013",
        "`take` would put `...B` behind other dims",
    ),
    (
        "x: float16[...B, 3], i: int32[2]",
        "take(x, i)",
        "TL3008",
        "axis 0 cannot be told in a shape that begins with a pack",
    ),
    (
        "x: float16[N, 3], i: int32[M, 3]",
        "gather(x, i, axis: 1)",
        "TL3003",
        "`gather` needs equal dims except along its axis: at axis -2, N is not M",
    ),
    ("x: float16[N, 3], i: int32[M]", "gather(x, i, axis: 1)", "TL3005", "`gather` needs the same rank in `x` and `i`"),
    (
        "x: float16[...A, 3], i: int32[...B, 3]",
        "gather(x, i, axis: -1)",
        "TL3013",
        "`gather` needs the same leading dims in `x` and `i`",
    ),
    ("x: float16[N, 0], i: int32[N, 3]", "gather(x, i, 1)", "TL3016", "`gather` picks from a dim that is 0"),
    (
        "x: float16[N, 3], i: int32[N, 3]",
        "scatter(x, i, 1.0, axis: 1)",
        "TL3005",
        "`scatter` needs the same rank in `i` and `1.0`",
    ),
    (
        "x: float16[N, 3], i: int32[N, 3], v: float16[N, 2]",
        "scatter(x, i, v, axis: 1)",
        "TL3003",
        "`scatter` needs one value for each index: at axis -1, 3 is not 2",
    ),
    (
        "x: float16[N, 3], i: int32[M, 3], v: float16[M, 3]",
        "scatter(x, i, v, axis: 1)",
        "TL3003",
        "`scatter` needs equal dims except along its axis: at axis -2, N is not M",
    ),
    (
        "x: float16[N, 3], i: int32[N, 3], v: float32[N, 3]",
        "scatter(x, i, v, axis: 1)",
        "TL2002",
        "float16 meets float32",
    ),
    (
        "x: float16[N], u: float16[K]",
        "slice_update(x, u, [0])",
        "TL3007",
        "0:K does not provably lie inside N at axis -1",
    ),
    (
        "x: float16[N], u: float16[K]",
        "slice_update(x, u, [0, 1])",
        "TL3005",
        "`slice_update` takes a start for each dim: 1, not 2",
    ),
    (
        "x: float16[4], u: float16[2]",
        "slice_update(x, u, [3])",
        "TL3007",
        "3:5 does not lie inside 4 at axis -1",
    ),
    (
        "x: float16[4], u: float16[2]",
        "slice_update(x, u, [-1])",
        "TL3007",
        "-1:1 does not lie inside 4 at axis -1",
    ),
    ("x: float16[4]", "slice_update(x, 1.0, [1])", "TL3005", "`slice_update` needs the same rank in `x` and `1.0`"),
    (
        "x: float16[...A, 4], u: float16[...B, 2]",
        "slice_update(x, u, [1])",
        "TL3013",
        "`slice_update` needs the same leading dims in `x` and `u`",
    ),
    (
        "x: float16[N, D]",
        'rearrange(x, "n (h k) -> h n k")',
        "TL3014",
        "`h` and `k` cannot both be told from the dim D",
    ),
    (
        "x: float16[N, D]",
        'rearrange(x, "n (h k) -> h n k", h: 4)',
        "TL3014",
        "`h k` in the pattern: the dim D is not provably divisible by 4",
    ),
    (
        "x: float16[N, 6]",
        'rearrange(x, "n (h k) -> h n k", h: 4)',
        "TL3014",
        "`h k` in the pattern: the dim 6 is not divisible by 4",
    ),
    (
        "x: float16[N, D]",
        'rearrange(x, "n (h k) -> h n k", h: 4, k: 2)',
        "TL3014",
        "`h k` in the pattern: the dim D is not 8",
    ),
    ("x: float16[N, D]", 'rearrange(x, "n d -> d n", h: 4)', "TL3014", "the pattern has no dim `h`"),
    (
        "x: float16[N, D]",
        'rearrange(x, "n d -> d n", d: 0)',
        "TL3018",
        "`d` of `rearrange` is 0: it must be at least 1",
    ),
    ("x: float16[N, D]", 'rearrange(x, "n d -> d n", d: 1.5)', "TL2001", "the size `d` is an int, not float"),
    ("x: float16[N, D]", 'rearrange(x, "n d -> d n", d: N)', "TL3014", "`d` in the pattern: the dim D is not N"),
    ("x: float16[N, D]", 'rearrange(x, "n d -> d")', "TL3014", "`n` is missing after `->`"),
    ("x: float16[N, D]", 'rearrange(x, "n d -> d n e")', "TL3014", "`e` is missing before `->`"),
    ("x: float16[N, D]", 'rearrange(x, "n n -> n")', "TL3014", "`n` occurs twice on one side"),
    ("x: float16[N, D]", 'rearrange(x, "n d e -> d n e")', "TL3014", "the pattern names 3 dims, the tensor has 2"),
    ("x: float16[N, D]", 'rearrange(x, "n 1 -> n")', "TL3014", "`1` in the pattern: the dim D is not 1"),
    (
        "x: float16[...B, D]",
        'rearrange(x, "n d -> d n")',
        "TL3014",
        "`...` comes first on both sides: the tensor begins with `...B`",
    ),
    (
        "x: float16[...B, D]",
        'rearrange(x, "d -> d")',
        "TL3014",
        "`...` comes first on both sides: the tensor begins with `...B`",
    ),
    (
        "x: float16[...B, D]",
        'rearrange(x, "... d -> d ...")',
        "TL3014",
        "`...` comes first on both sides: the tensor begins with `...B`",
    ),
    ("x: float16[N, D]", 'rearrange(x, "... d -> d")', "TL3014", "`...` stands on both sides or on none"),
    ("x: float16[N, D]", 'rearrange(x, "n (d -> d n")', "TL3014", "a `(` is not closed"),
    ("x: float16[N, D]", 'rearrange(x, "n d) -> d n")', "TL3014", "`)` is out of place"),
    ("x: float16[N, D]", 'rearrange(x, "n ((d)) -> d n")', "TL3014", "`(` is out of place"),
    ("x: float16[N, D]", 'rearrange(x, "n * d -> d n")', "TL3014", "`*` is out of place"),
    ("x: float16[N, D]", 'rearrange(x, "n 2 -> n")', "TL3014", "`2` is out of place"),
    ("x: float16[N, D]", 'rearrange(x, "(... d) -> d")', "TL3014", "`...` stands by itself, not inside parentheses"),
    ("x: float16[N, D]", 'rearrange(x, "... ... -> ...")', "TL3014", "`...` occurs once on a side"),
    ("x: float16[N, D]", 'rearrange(x, "n d")', "TL3014", "a pattern has one `->`"),
    ("x: float16[N, D]", 'rearrange(x, "n -> d -> n")', "TL3014", "a pattern has one `->`"),
    (
        "x: float16[N, D]",
        'rearrange(x, "n d, e -> d n")',
        "TL3014",
        "`rearrange` takes one tensor: there is no `,` in its pattern",
    ),
    (
        "x: float16[N, D], s: string",
        "rearrange(x, s)",
        "TL2008",
        "`pattern` of `rearrange` must be known while compiling",
    ),
    ("x: float16[N, D], y: float16[E, K]", 'einsum("n d, d k -> n k", x, y)', "TL3014", "`d` is D, and E in `y`"),
    (
        "x: float16[N, D], y: float32[D, K]",
        'einsum("n d, d k -> n k", x, y)',
        "TL2002",
        "`einsum` of float16 and float32",
    ),
    ("x: int32[N, D]", 'einsum("n d -> d n", x)', "TL2003", "`einsum` does not take tensors of int32"),
    ("x: float16[N, D]", 'einsum("n d, d k -> n k", x)', "TL3014", "the pattern has 2 operands, not 1"),
    (
        "x: float16[N, D]",
        'einsum("(n d) -> n", x)',
        "TL3014",
        "the dims of `einsum` are plain names: use `rearrange` before or after it",
    ),
    (
        "x: float16[N, D]",
        'einsum("n d -> n 1", x)',
        "TL3014",
        "the dims of `einsum` are plain names: use `rearrange` before or after it",
    ),
    ("x: float16[N, D]", 'einsum("n d -> n e", x)', "TL3014", "`e` is missing before `->`"),
    (
        "x: float16[N, D], y: float16[D]",
        'einsum("nd, d -> n", x, y)',
        "TL3014",
        "`n` is missing before `->`: names are separated by spaces, `i j, j -> i`",
    ),
    ("x: float16[N, D]", f'einsum("{_MANY} ->", x)', "TL3014", "a pattern has at most 32 names"),
    ("x: float16[N, D]", 'einsum("n d -> n n", x)', "TL3014", "`n` occurs twice after `->`"),
    ("x: float16[N, D]", 'einsum("n n -> n", x)', "TL3014", "`n` is N, and D in `x`"),
    ("x: float16[N, D]", 'einsum("n d -> ", tensors: [x])', "TL2004", "`einsum` takes its tensors one by one"),
    ("x: float16[N, D]", 'einsum("n d -> ")', "TL3014", "the pattern has 1 operand, not 0"),
    ("x: float16[N, D]", 'einsum("n d -> n", 2.0)', "TL2001", "`einsum` takes tensors, not float"),
    ("x: float16[N, D]", 'einsum("n d e -> n", x)', "TL3014", "the pattern names 3 dims, `x` has 2"),
    ("x: float16[N, D]", 'einsum("n -> n", x)', "TL3014", "the pattern names 1 dim, `x` has 2"),
    ("x: float16[N, D]", 'einsum("... d -> d", x)', "TL3014", "`...` stands on both sides or on none"),
    (
        "x: float16[...A, D], y: float16[...B, D]",
        'einsum("... d, ... d -> ...", x, y)',
        "TL3014",
        "`...` is [...A], and [...B] in `y`",
    ),
    (
        "x: float16[...A, D]",
        'einsum("... d -> d ...", x)',
        "TL3014",
        "`...` comes first after `->`: it begins with `...A`",
    ),
    ("x: float16[...A, D]", 'einsum("n d -> d n", x)', "TL3014", "`...` comes first for `x`, which begins with `...A`"),
    (
        "x: float16[...A, D]",
        'einsum("d ... -> d ...", x)',
        "TL3014",
        "`...` comes first for `x`, which begins with `...A`",
    ),
    (
        "x: float16[A, D], y: float16[C, B, D]",
        'einsum("... d, ... d -> ...", x, y)',
        "TL3014",
        "`...` is [A], and [C, B] in `y`",
    ),
]


@pytest.mark.parametrize(
    ("parameters", "source", "code", "message"), REFUSED, ids=[f"{r[1]} of {r[0]}" for r in REFUSED]
)
def test_what_does_not_fit_is_refused(parameters: str, source: str, code: str, message: str) -> None:
    diagnostic = refusal(f"fn f({parameters}) -> float16[] {{ let result = {source}\n return full([], 0) }}")
    assert (diagnostic.code, diagnostic.message) == (code, message)


# Parameters and a call that is accepted with the clause that the error offers.
CLAUSES = [
    ("x: float16[D]", "split(x, 2)", "D % 2 == 0"),
    ("x: float16[D]", "reshape(x, [-1, 3])", "D % 3 == 0"),
    ("x: float16[N, D]", 'rearrange(x, "n (h k) -> h n k", h: 4)', "D % 4 == 0"),
    ("x: float16[N], i: int32[2]", "take(x[1:N], i)", "2 <= N"),
    ("x: float16[N], u: float16[K]", "slice_update(x, u, [0])", "K <= N"),
    ("x: float16[N, D]", "repeat(x, D - N, 0)", "N <= D"),
]


@pytest.mark.parametrize(("parameters", "source", "clause"), CLAUSES, ids=[f"{c[1]} of {c[0]}" for c in CLAUSES])
def test_the_clause_that_is_offered_proves_it(parameters: str, source: str, clause: str) -> None:
    body = f"{{ let result = {source}\n return full([], 0) }}"
    diagnostic = refusal(f"fn f({parameters}) -> float16[] {body}")
    assert diagnostic.helps == (f"add `where {clause}` to `f`",)
    assert errors(f"fn f({parameters}) -> float16[] where {clause} {body}") == ()
