"""Cases of the functions on shapes."""

from __future__ import annotations

from tests.ops.harness import Case, bools, host, integers, normal, values

_X = {"x": normal(2, 3, 4)}

_RESHAPES = [
    *(
        Case("reshape", f"reshape(x, {shape})", _X)
        for shape in ("[24]", "[6, 4]", "[-1]", "[2, -1, 2]", "[1, 24, 1]", "(4, 3, 2)", "[3, -1]")
    ),
    Case("reshape", "reshape(x, [])", {"x": normal(1, 1)}),
    Case("reshape", "reshape(x, [1, 1])", {"x": normal()}),
    Case("reshape", "reshape(x, [0, 7])", {"x": normal(0, 3)}),
    Case("reshape", "reshape(x, [3, -1])", {"x": normal(0, 3)}),
    Case("reshape", "reshape(x, [3, -1])", {"x": integers(0, 9, 4, 3)}),
    Case("broadcast_to", "broadcast_to(x, [5, 2, 3])", {"x": normal(2, 3)}),
    Case("broadcast_to", "broadcast_to(x, [2, 3])", {"x": normal(2, 1)}),
    Case("broadcast_to", "broadcast_to(x, [2, 2])", {"x": bools()}),
    Case("broadcast_to", "broadcast_to(x, [0, 3])", {"x": integers(0, 9, 1, 3)}),
    Case("broadcast_to", "broadcast_to(x, [])", {"x": normal()}),
]

_AXES = [
    *(
        Case(op, f"{op}(x, {axes})", _X)
        for op in ("transpose", "permute")
        for axes in ("[1, 0, 2]", "(0, 2, 1)", "[2, 0, 1]", "[-1, -3, -2]", "[0, 1, 2]", "[2, 1, 0]")
    ),
    Case("transpose", "transpose(x)", _X),
    Case("transpose", "transpose(x)", {"x": integers(0, 9, 5)}),
    Case("transpose", "transpose(x)", {"x": bools(2, 3)}),
    Case("permute", "permute(x, [1, 0])", {"x": normal(0, 3)}),
    Case("permute", "permute(x, 0)", {"x": normal(3)}),
    Case("transpose_last", "x.T", {"x": normal(2, 3)}),
    Case("transpose_last", "x.T", _X),
    Case("transpose_last", "x.T", {"x": integers(0, 9, 0, 3)}),
    Case("squeeze", "squeeze(x, 1)", {"x": normal(2, 1, 3)}),
    Case("squeeze", "squeeze(x, axis: -1)", {"x": normal(2, 1)}),
    Case("squeeze", "squeeze(x, (0, -1))", {"x": bools(1, 2, 1)}),
    Case("squeeze", "squeeze(x, [0, 1])", {"x": integers(0, 9, 1, 1)}),
    *(Case("unsqueeze", f"unsqueeze(x, {axis})", {"x": normal(2, 3)}) for axis in (0, 1, 2, -1, -2, -3)),
    Case("unsqueeze", "unsqueeze(x, axis: 0)", {"x": normal()}),
    *(Case("flip", f"flip(x{axis})", _X) for axis in ("", ", 0", ", axis: -1", ", (0, 2)", ", [1, -1]")),
    Case("flip", "flip(x, 0)", {"x": bools(0, 2)}),
    *(Case("roll", f"roll(x, {n}, axis: {axis})", _X) for n, axis in ((1, 0), (-1, 1), (5, -1), (-9, -2), (0, 2))),
    Case("roll", "roll(x, n, 0)", {"x": integers(0, 9, 0), "n": host(3)}),
    Case("roll", "roll(x, n, 0)", {"x": integers(0, 9, 5), "n": host(2**40 + 1)}),
    Case("roll", "roll(x, -1_000_000_000_001, 0)", {"x": integers(0, 9, 5)}),
    Case("repeat", "repeat(x, 2, axis: -1)", _X),
    Case("repeat", "repeat(x, 0, 0)", _X),
    Case("repeat", "repeat(x, 3, axis: 1)", {"x": bools(0, 2)}),
    *(Case("tile", f"tile(x, {reps})", {"x": normal(2, 3)}) for reps in ("[2]", "[2, 1]", "(0, 2)", "[3, 1, 2]", "[]")),
    Case("tile", "tile(x, [2])", {"x": integers(0, 9)}),
    Case("tile", "tile(x, [2, 3])", {"x": normal(0, 2)}),
]

_PADS = [
    Case("pad", "pad(x, [(0, 1), (2, 0)])", {"x": normal(2, 3)}),
    Case("pad", "pad(x, [(1, 1), (0, 0)], value: 0.5)", {"x": normal(2, 3)}),
    Case("pad", "pad(x, [(1, 2)], -1)", {"x": integers(0, 9, 3)}),
    Case("pad", "pad(x, [(1, 2)], value: v)", {"x": normal(3), "v": values(2.5)}),
    Case("pad", "pad(x, [(1, 1)], v)", {"x": bools(2), "v": values(True, "bool")}),
    Case("pad", "pad(x, [(1, 2)])", {"x": bools(3)}),
    Case("pad", "pad(x, [(1, 0), (0, 0)])", {"x": normal(0, 2)}),
    Case("pad", "pad(x, [(1, 0)], value: 0.25)", {"x": normal(4, dtype="float16")}),
]

_JOINS = [
    Case("concat", "concat([x, y])", {"x": normal(2, 3), "y": normal(4, 3)}),
    Case("concat", "concat([x, y, x], axis: 1)", {"x": normal(2, 3), "y": normal(2, 1)}),
    Case("concat", "concat([x, y], -1)", {"x": integers(0, 9, 2, 0), "y": integers(0, 9, 2, 2)}),
    Case("concat", "concat((x, y))", {"x": bools(1), "y": bools(2)}),
    Case("concat", "concat([x])", {"x": normal(2, dtype="float16")}),
    Case("stack", "stack([x, y])", {"x": normal(2, 3), "y": normal(2, 3)}),
    Case("stack", "stack([x, y], axis: -1)", {"x": normal(2, 3), "y": normal(2, 3)}),
    Case("stack", "stack([x, y, x], 1)", {"x": integers(0, 9, 2, 3), "y": integers(0, 9, 2, 3)}),
    Case("stack", "stack([x, y])", {"x": bools(), "y": bools()}),
    Case("stack", "stack([x, y], -3)", {"x": normal(0, 2), "y": normal(0, 2)}),
    *(
        Case("split", f"split(x, {sizes})", {"x": normal(6, 4)})
        for sizes in ("[1, 2, 3]", "(6, 0)", "[2, 2], axis: 1", "2", "3, axis: 0", "4, -1")
    ),
    Case("split", "split(x, 2)", {"x": integers(0, 9, 0, 3)}),
]

_PICKS = [
    Case("take", "take(x, i)", {"x": normal(4, 3), "i": integers(0, 4, 5)}),
    Case("take", "take(x, i)", {"x": normal(4, 3), "i": integers(-9, 9, 8)}),
    Case("take", "take(x, i, axis: 1)", {"x": normal(2, 4, 3), "i": integers(-2, 6, 2, 3)}),
    Case("take", "take(x, i, -1)", {"x": bools(2, 4), "i": integers(0, 4)}),
    Case("take", "take(x, i)", {"x": integers(0, 9, 4), "i": integers(0, 4, 0)}),
    Case("take", "take(x, i)", {"x": normal(4, 0), "i": integers(0, 4, 2)}),
    Case("gather", "gather(x, i, axis: -1)", {"x": normal(2, 4), "i": integers(-2, 6, 2, 3)}),
    Case("gather", "gather(x, i, 0)", {"x": integers(0, 99, 4, 2), "i": integers(0, 4, 5, 2)}),
    Case("gather", "gather(x, i, axis: 1)", {"x": normal(2, 3, 2), "i": integers(0, 3, 2, 0, 2)}),
    Case("gather", "gather(x, i, axis: -1)", {"x": bools(0, 3), "i": integers(0, 3, 0, 2)}),
    Case(
        "scatter",
        "scatter(x, i, v, axis: -1)",
        {"x": normal(2, 4), "i": values([[3, 0], [1, 9]], "int32"), "v": normal(2, 2)},
    ),
    Case(
        "scatter",
        "scatter(x, i, v, 0)",
        {"x": integers(0, 9, 4), "i": values([2, -7], "int32"), "v": integers(50, 99, 2)},
    ),
    Case("scatter", "scatter(x, i, v, 0)", {"x": bools(3, 2), "i": integers(0, 3, 1, 2), "v": bools(1, 2)}),
    Case("scatter", "scatter(x, i, v, 1)", {"x": normal(2, 3), "i": integers(0, 3, 2, 0), "v": normal(2, 0)}),
    Case("slice_update", "slice_update(x, u, [1, 0])", {"x": normal(3, 4), "u": normal(2, 3)}),
    Case(
        "slice_update",
        "slice_update(x, u, [a, 1])",
        {"x": integers(0, 9, 3, 4), "u": integers(50, 99, 1, 3), "a": host(2)},
    ),
    Case("slice_update", "slice_update(x, u, [3, 4])", {"x": bools(3, 4), "u": bools(0, 0)}),
    Case("slice_update", "slice_update(x, u, [0, 0])", {"x": normal(2, 2), "u": normal(2, 2)}),
    Case("slice_update", "slice_update(x, u, [])", {"x": normal(), "u": normal()}),
]

_REARRANGES = [
    *(
        Case("rearrange", f"rearrange(x, {arguments})", {"x": normal(2, 6, 4)})
        for arguments in (
            '"a b c -> c a b"',
            '"a b c -> a b c"',
            '"a b c -> (a b c)"',
            '"a (h k) c -> a h k c", h: 2',
            '"a (h k) c -> h a c k", k: 2',
            '"a (h k) (i j) -> (i a) k (h j)", h: 3, j: 2',
            '"a b (i j) -> (a i) b j", i: 4',
            '"a b (i j k) -> k (i j) b a", i: 2, j: 1',
            '"a (h k) c -> a k h c", h: 2, k: 3',
            '"a ... -> ... a"',
            '"... c -> c ..."',
            '"... (i j) -> i ... j", i: 2',
            '"a b c -> a 1 b c 1"',
            '"a b c -> (a 1) () (b c)"',
        )
    ),
    Case("rearrange", 'rearrange(x, "1 b () -> b")', {"x": integers(0, 9, 1, 3, 1)}),
    Case("rearrange", 'rearrange(x, "1 (h k) -> k 1 h", h: 2)', {"x": bools(1, 6)}),
    Case("rearrange", 'rearrange(x, "... -> ... 1")', {"x": normal()}),
    Case("rearrange", 'rearrange(x, "n (h k) -> h n k", h: 2)', {"x": normal(3, 0)}),
    Case("rearrange", 'rearrange(x, "größe été -> été größe")', {"x": normal(2, 3)}),
]

_EINSUMS = [
    Case("einsum", f'einsum("{pattern}", {names})', {n: normal(*s) for n, s in shapes.items()}, 1e-5)
    for pattern, names, shapes in (
        ("i j, j k -> i k", "a, b", {"a": (2, 3), "b": (3, 4)}),
        ("b h q d, b h k d -> b h q k", "a, b", {"a": (2, 2, 3, 4), "b": (2, 2, 5, 4)}),
        ("i j -> j i", "a", {"a": (2, 3)}),
        ("i j ->", "a", {"a": (2, 3)}),
        ("i, j -> i j", "a, b", {"a": (2,), "b": (3,)}),
        ("row col, col -> row", "a, b", {"a": (2, 3), "b": (3,)}),
        ("i i -> i", "a", {"a": (3, 3)}),
        ("i i ->", "a", {"a": (3, 3)}),
        ("... i j, ... j k -> ... i k", "a, b", {"a": (2, 2, 3, 4), "b": (2, 2, 4, 5)}),
        ("... i, i -> ...", "a, b", {"a": (2, 3, 4), "b": (4,)}),
        ("i ... j -> j ...", "a", {"a": (2, 3, 4)}),
        ("a b, b c, c d -> a d", "a, b, c", {"a": (2, 3), "b": (3, 4), "c": (4, 2)}),
        (", i -> i", "a, b", {"a": (), "b": (3,)}),
        ("i j, j k -> i k", "a, b", {"a": (2, 0), "b": (0, 4)}),
        ("e b, b f -> f b", "a, b", {"a": (0, 3), "b": (3, 2)}),
        ("e f c b -> f c e", "a", {"a": (2, 3, 1, 0)}),
    )
]

_CASTS = [
    Case("astype", "astype(x, float16)", {"x": normal(2, 3)}, result="float16"),
    Case("astype", "astype(x, float16)", {"x": values([1e5, -1e5, 1e-8, 0.1])}, result="float16"),
    Case("astype", "astype(x, float32)", {"x": normal(2, 3, dtype="float16")}, result="float32"),
    Case("astype", "astype(x, float32)", {"x": normal(2, 3)}),
    Case("astype", "astype(x, float16)", {"x": normal(2, dtype="float16")}),
    Case("astype", "astype(x, int32)", {"x": values([2.7, -2.7, 0.0, -0.5, 1e6])}),
    Case("astype", "astype(x, bool)", {"x": values([2.5, 0.0, -0.0, 1e-30, float("inf")])}),
    Case("astype", "astype(x, float32)", {"x": bools(4)}, result="float32"),
    Case("astype", "astype(x, float16)", {"x": bools(4)}, result="float16"),
    Case("astype", "astype(x, int32)", {"x": bools(2, 0)}),
    Case("astype", "astype(x, float32)", {"x": integers(-9, 9, 3)}, result="float32"),
    Case("astype", "astype(x, uint32)", {"x": integers(0, 9, 3)}),
    Case("astype", "astype(x, bool)", {"x": integers(-1, 2, 5)}),
    Case("astype", "astype(x, bfloat16)", {"x": values([1.0, 2.5, -0.125])}, result="bfloat16"),
]

CASES = [*_RESHAPES, *_AXES, *_PADS, *_JOINS, *_PICKS, *_REARRANGES, *_EINSUMS, *_CASTS]
