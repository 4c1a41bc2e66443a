"""Pages on shapes (TL3)."""

from __future__ import annotations

from tensorlogic.compiler.diagnostics.pages import Page

PAGES = {
    "TL3001": Page(
        "the inner dims of `@` differ",
        "`a @ b` multiplies the rows of `a` with the columns of `b`: the last dim of `a` must equal the second last "
        "dim of `b`. The error shows both. Weights in PyTorch's order `[out, in]` are used as `x @ w.T`. Two names are "
        "equal only if the signature says so: use one name for both, or a `where` clause.",
        """\
fn layer(x: float16[N, D_in], w: float16[D_out, D_in]) -> float16[N, D_out] {
    let y = x @ w
    return y
}""",
    ),
    "TL3002": Page(
        "two shapes do not broadcast",
        "Element-wise operators line shapes up from the right; two dims meet when they are provably equal or one of "
        "them is the literal 1. A dimension variable is not taken for 1. Insert a dim with `x[:, none]`, change the "
        "order with `permute` or `.T`, or use one name in the signature for what is meant to be equal.",
        """\
fn add(a: float16[N, D], b: float16[M, D]) -> float16[N, D] {
    return a + b
}""",
    ),
    "TL3003": Page(
        "the shape of an argument does not fit",
        "The dims of all arguments of a call are compared with the signature, where a name is the same number "
        "everywhere. The error shows what each name was bound to and by which argument, so the wrong one of the two "
        "can be mended: transpose or reshape the argument, or use two names in the signature.",
        """\
fn square(x: float16[N, N]) -> float16[N, N] { return x }

print(square(ones([2, 3])))""",
    ),
    "TL3004": Page(
        "the shape is not the declared one",
        "A `return`, or a `let` with a type, promises a shape that the value does not provably have. The error shows "
        "both. Correct the one that is wrong; where only run time can know that they agree, give the value a type with "
        "`?`, and a check is made when the program runs.",
        """\
fn turned(x: float16[N, M]) -> float16[M, N] {
    return x
}""",
    ),
    "TL3005": Page(
        "a tensor has the wrong number of dims",
        "The operation, parameter or declared type asks for another rank. `x[none, :]` adds a dim, `squeeze` removes "
        "one of size 1, `x[0]` takes one item, `reshape` regroups. A function for any number of leading dims takes a "
        "pack: `float16[...B, D]`.",
        """\
fn turned(x: float16[N]) -> float16[N] {
    return x.T
}""",
    ),
    "TL3006": Page(
        "an index is out of bounds",
        "Indices go from 0 to the size less one; a negative literal counts from the end, so that `x[-1]` is the last "
        "item. The error shows the size. An index that only run time knows is checked when it is used.",
        "let x = ones([3])\nprint(x[3])",
    ),
    "TL3007": Page(
        "a slice is out of bounds",
        "`x[a:b]` has the size `b - a`, and needs `0 <= a`, `a <= b` and `b <= N`. Slices never clamp. Where the "
        "bounds are names, state what is known of them: `where k <= N` at the function, an `if` or an `assert` "
        "before; `min(k, n)` makes a bound that holds.",
        "let x = ones([3])\nprint(x[1:5])",
    ),
    "TL3008": Page(
        "an axis is out of range or given twice",
        "Axes count from 0 at the left, negative ones from -1 at the right. With a pack of leading dims, only the "
        "dims after it can be named, and only from the right. Each axis may be given once.",
        "print(sum(ones([2, 3]), axis: 2))",
    ),
    "TL3009": Page(
        "a reshape changes the number of items",
        "The product of the new sizes must equal the product of the old ones; the error shows both. One size may be "
        "`-1`, which is computed, where the division is exact.",
        "print(ones([2, 3]).reshape([4, 2]))",
    ),
    "TL3010": Page(
        "what a `where` clause asks is not proved",
        "The function that is called demands a fact about its dims, and it does not follow from what is known here: "
        "the sizes, the caller's own `where` clause, and the conditions and assertions around the call. The error "
        "offers the clause that would help; add it to the caller, which passes the question on to its own callers.",
        """\
fn first_three(x: float16[N]) -> float16[3] where 3 <= N {
    return x[0:3]
}

print(first_three(ones([2])))""",
    ),
    "TL3011": Page(
        "a loop changes the shape of a variable",
        "A variable that is rebound in a loop keeps its shape from one iteration to the next; the error shows it "
        "before and after. Collect the parts and `concat` them once, compute the final shape first and fill it, or "
        "declare the dim as unknown: `let y: float16[?, D] = x`.",
        """\
fn grow(x: float16[N], n: int) -> float16[N] {
    let y = x
    for i in 0..n {
        y = concat([y, y], axis: 0)
    }
    return y
}""",
    ),
    "TL3012": Page(
        "a division of dims may leave a remainder",
        "A dim such as `N/2` must be provably a whole number. State it at the function: `where N % 2 == 0`. Or take "
        "the quotient as the variable: a parameter of shape `[2*H]` gives the half as `H`.",
        """\
fn pairs(x: float16[N], y: float16[N/2]) -> float16[N] {
    return x
}""",
    ),
    "TL3013": Page(
        "packs of leading dims cannot meet",
        "`...A` and `...B` stand for any number of dims each, and nothing says that they are equal or broadcast. Use "
        "one name for both, or keep one of the shapes free of a pack. An argument bound to a pack is never broadcast.",
        """\
fn add(a: float16[...A], b: float16[...B]) -> float16[...A] {
    return a + b
}""",
    ),
    "TL3014": Page(
        "a pattern of `einsum` or `rearrange` is wrong",
        "The pattern must be readable while compiling, name each dim of every operand, and use in its result only "
        "names that occur before the arrow; `rearrange` uses each name exactly once on both sides, and needs the sizes "
        'that a group leaves open, as in `rearrange(x, "n (h k) -> h n k", h: 4)`.',
        'print(einsum("i j, j k -> i l", ones([2, 3]), ones([3, 4])))',
    ),
    "TL3015": Page(
        "sizes of `concat`, `stack` or `split` do not fit",
        "`concat` needs equal dims except along its axis, `stack` needs equal shapes, and the parts of `split` must "
        "add up to the size of its axis.",
        "print(concat([ones([2, 3]), ones([2, 4])], axis: 0))",
    ),
    "TL3016": Page(
        "a dim might be 0",
        "A dimension variable stands for at least 1, and this size cannot be proved to be so. State it where the size "
        "comes from: `where 2 <= N` makes `N-1` at least 1. A function that is to accept empty tensors takes `?`.",
        """\
fn same(x: float16[N]) -> float16[N] { return x }

fn tail(x: float16[N]) -> float16[N-1] {
    return same(x[1:N])
}""",
    ),
    "TL3017": Page(
        "a tensor of unknown rank is used in a function",
        "`model.get_tensor(...)` has a shape that only the file knows, and inside a function nothing can be computed "
        "with a tensor whose number of dims is unknown. Say what it is: `let w: float16[?, ?] = "
        'model.get_tensor("w")`, or `float16[D, D]` with dims known here; the shape is checked when it is read.',
        """\
fn doubled(model: Model) -> float16[?S] {
    let w = model.get_tensor("w")
    return w + w
}""",
    ),
    "TL3018": Page(
        "a size is negative, may be so, or is too large",
        "The sizes of a tensor that is made are at least 0, and this one is negative or cannot be proved not to be. "
        "State it at the function, `where k <= N` for a size of `N - k`, or test it before with `if` or `assert`. "
        "MLX counts a dim in 32 bits, so that no size is above 2147483647.",
        "print(zeros([2, -1]))",
    ),
}
