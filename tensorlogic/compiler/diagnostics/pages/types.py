"""Pages on types other than shapes (TL2)."""

from __future__ import annotations

from tensorlogic.compiler.diagnostics.pages import Page

PAGES = {
    "TL2001": Page(
        "a value has another type than is asked for here",
        "The error shows the type that is expected, with the place that asks for it, and the type that was found. "
        "Change the value or the declared type. Nothing is converted silently: `int(x)`, `float(x)` and `string(x)` "
        "convert host values, and `x.to(float32)` converts a tensor.",
        'let n: int = "three"',
    ),
    "TL2002": Page(
        "two element types meet",
        "Tensors of different element types are never mixed silently, because that would change the precision of a "
        "result without the program saying so. Convert one of them: `.to(float32)` computes in the more precise type, "
        "`.to(float16)` rounds. Comparisons give `bool` tensors, which `where(mask, a, b)` turns into numbers.",
        """\
fn mix(a: float16[N], b: float32[N]) -> float32[N] {
    return a * b
}""",
    ),
    "TL2003": Page(
        "an operator does not accept these types",
        "The operator is not defined for its operands' types, which the error shows. Arithmetic takes numbers and "
        "tensors of numbers; `and`, `or` and `not` take `bool`, while tensors of `bool` are combined with `&`, `|` and "
        '`~`. An f-string joins text and values: `f"{a}.{b}"`.',
        'print("a" - "b")',
    ),
    "TL2004": Page(
        "too many or too few arguments",
        "Each parameter without a default needs exactly one argument, by place or by name, and there may be no more "
        "arguments than parameters. The error shows the signature and the parameters that are missing or given twice.",
        """\
fn add(a: int, b: int) -> int { return a + b }

print(add(1))""",
    ),
    "TL2005": Page(
        "this is not a function",
        "Only functions, structs (whose call makes a value) and values of a function type can be called. A "
        "multiplication needs its `*`: `2 * (a + b)`, not `2 (a + b)`. An item of a list or tensor is taken with "
        "brackets: `x[0]`.",
        "let x = 3\nprint(x(2))",
    ),
    "TL2006": Page(
        "a condition is not a bool",
        "`if`, `while`, `assert`, `and`, `or` and `not` take a `bool`; numbers, strings and optionals are not true or "
        'false of themselves. Write the comparison that is meant: `n != 0`, `text != ""`, `bias != none`. For a '
        "tensor of conditions use `where(cond, a, b)`, or reduce it with `all` or `any`.",
        'if 1 { print("yes") }',
    ),
    "TL2007": Page(
        "a number does not fit the element type",
        "A number that meets a tensor takes the tensor's element type, and this one would become `inf` or 0 there: "
        "float16 reaches from about 6e-8 to 65504. Convert the tensor first with `.to(float32)`, or use a number that "
        "float16 can hold. Parameters such as the `eps` of `rms_norm` are used in float32 and take small numbers.",
        "print(ones([3]) * 1e6)",
    ),
    "TL2008": Page(
        "this must be known while compiling",
        "An axis, `keepdims`, a `dtype`, a permutation and a pattern decide the type of the result, so they must be "
        "literals or constants, not values that only run time knows. Write the literal, declare it with `const`, or "
        "choose between calls with `if`.",
        """\
fn total(x: float16[N, N], axis: int) -> float16[N] {
    return sum(x, axis: axis)
}""",
    ),
    "TL2009": Page(
        "an optional is used without a test for `none`",
        "A value of type `T?` may be `none`. Test it first: inside `if x != none { ... }` it has the type `T`, and "
        "also after `if x == none { return ... }`, until the name gets another value.",
        """\
fn shift(x: float16[N], bias: float16[N]?) -> float16[N] {
    return x + bias
}""",
    ),
    "TL2010": Page(
        "a path through the function does not return",
        "Every path through a function must end in `return`. Add one at the end, or an `else` to the last `if`. A loop "
        "may run zero times, so that a `return` inside it is not enough.",
        """\
fn clamped(n: int) -> int {
    if n > 0 { return n }
}""",
    ),
    "TL2011": Page(
        "a division of ints may leave a remainder",
        "Between ints `/` is exact, because sizes have no fractions, and this one cannot be proved to be. Use "
        "`floor_div(a, b)` to round down, `float(a) / b` for a fraction, or state the fact that makes it exact: "
        "`where n % 2 == 0` at the function, or an `assert` before.",
        "fn half(n: int) -> int { return n / 2 }",
    ),
    "TL2012": Page(
        "a mean or a quotient of an integer tensor",
        "Tensors of integers and bools are for indices and masks, and `/` and `mean` would need fractions. Convert "
        "first: `x.to(float16) / 2.0`, `mean(mask.to(float32))`; or use `floor_div(x, 2)`, which stays an integer.",
        "let ids = tensor<int>([2, 4])\nprint(ids / 2)",
    ),
    "TL2013": Page(
        "a variable changes its type",
        "A variable keeps the type of its first value, shape included, when it is given another one, and from one "
        "iteration of a loop to the next. The error shows the type before and after. Use a second name, or declare the "
        "variable with a type that both values have.",
        'let x = 1\nx = "one"',
    ),
    "TL2014": Page(
        "a struct's fields are missing, unknown or given twice",
        "A struct is made by naming each of its fields once, in any order: `Linear(weight: w, bias: none)`. An "
        "optional field that is left out is `none`. The keys of a list's field hold `{i}`, which stands for an item's "
        "index in a model file; those of other fields do not.",
        """\
struct Pair {
    first: int
    second: int
}

let p = Pair(first: 1)""",
    ),
    "TL2015": Page(
        "nothing says what a function takes",
        "`|x| ...` takes the types of its parameters from the place where it is passed: a parameter of a type such as "
        "`fn(float16[N]) -> float16[N]`, or a `let` with such a type. Where there is no such place, declare it with "
        "`fn` and write the types. Lists, tuples and branches hold no functions.",
        "let square = |x| x * x",
    ),
    "TL2016": Page(
        "the value of a constant is not constant",
        "A `const` is known while compiling: literals, other constants, and arithmetic on them. What must be computed "
        "or loaded belongs into a variable of the script, and reaches functions as a parameter.",
        """\
fn three() -> int { return 3 }

const N = three()""",
    ),
    "TL2017": Page(
        "branches or items have different types",
        "`if c { a } else { b }` used as a value has one type, whichever branch is taken, shape included. Make both "
        "branches agree, or use an `if` statement whose branches do the work themselves. The items of a list have one "
        "type too; a tuple `(a, b)` holds values of several.",
        """\
fn pick(flag: bool) -> int {
    let x = if flag { 1 } else { "one" }
    return 1
}""",
    ),
    "TL2018": Page(
        "a function does not say what it returns",
        "A function's signature is all that its callers know of it, so it says the type of the result after the "
        "parameters: `-> int`. The result of `|x| ...` needs no type.",
        """\
fn half(x: float16[N]) {
    return x / 2
}""",
    ),
    "TL2019": Page(
        "the rows of a tensor literal differ in length",
        "Nested lists in `tensor<...>([...])` must be rectangular: all lists of one depth have equally many items, and "
        "numbers stand at one depth only. The error points to the first list that differs.",
        "let x = tensor<float16>([[1.0, 2.0], [3.0]])",
    ),
    "TL2020": Page(
        "a function evaluates a tensor while its graph is built",
        "This is a note, not an error. `if`, `while` and `assert` on a tensor and `x[mask]` need numbers, so that the "
        "function waits for them and is not one lazy graph. Where both sides may be computed, `where(condition, a, b)` "
        "chooses inside the graph.",
        """\
fn clamped(x: float16[N]) -> float16[N] {
    if any(x > 1.0) { return x / max(x) }
    return x
}""",
    ),
    "TL2021": Page(
        "a standalone module cannot do this",
        "`tlc compile --standalone` makes a module that needs MLX alone. Model files, tokenizers, packed weights, "
        "reading lines and tensors of unknown rank need this project's runtime. Compile without `--standalone`, or "
        "keep the loading in a program of its own and pass tensors to functions.",
        'let model = load_model("model.safetensors")',
    ),
    "TL2022": Page(
        "a cache of keys and values is used once more",
        "`update` changes a `KVCache` in place and gives the next one: the one before is gone, and nothing may use or "
        "ask it again, on any way through the function. Go on with the cache that `update`, or the function that was "
        "given the cache, returned. In a loop rebind the name: `cache = next`. `cache.copy()` is another cache of "
        "the same tokens.",
        """\
fn twice(cache: KVCache, k: float16[B, G, L, K]) -> KVCache {
    let (ks, vs, next) = cache.update(0, k, k)
    let (all, values, other) = cache.update(0, k, k)
    return next
}""",
    ),
}
