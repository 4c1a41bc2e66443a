"""Pages on names: scopes, declarations and imports (TL1)."""

from __future__ import annotations

from tensorlogic.compiler.diagnostics.pages import Page

PAGES = {
    "TL1001": Page(
        "unknown name",
        "Nothing with this name is visible here. A function sees its parameters, its own variables, and the constants, "
        "structs, functions and imports of its file; a variable is visible from its `let` to the end of the block that "
        "holds it. Check the spelling (the error names the nearest visible names), declare the name before it is used, "
        "or import it.",
        "let scale = 2\nprint(scael)",
    ),
    "TL1002": Page(
        "a name is declared twice in one file",
        "Functions, structs, constants and imports of a file share one set of names, and each name may be declared "
        "once. Rename one of the two, or import one of them under another name with `as`. To accept several types in "
        "one function, use a type parameter: `fn f<T: float>(x: T[N]) -> T[N]`.",
        """\
fn double(x: float16[N]) -> float16[N] { return x + x }
fn double(x: float16[N]) -> float16[N] { return 2.0 * x }""",
    ),
    "TL1003": Page(
        "a visible name is declared again by `let`",
        "A name that is visible in a function, a parameter included, is not declared a second time in it, so that a "
        "name means one thing. To give a variable another value of the same type, write `x = ...` without `let`; for a "
        "value of another type or shape, choose a new name. Names of the prelude, such as `sum`, may be declared.",
        """\
fn twice(x: float16[N]) -> float16[N] {
    let x = x + x
    return x
}""",
    ),
    "TL1004": Page(
        "a function uses a variable of the script",
        "Functions are pure: they see their parameters, constants and other functions, but no variable of the "
        "statements around them. Pass the value as a parameter. Where it is a number, string or bool known while "
        "compiling, it can also be declared with `const`, which every function sees.",
        """\
let scale = tensor<float16>([2.0])

fn scaled(x: float16[N]) -> float16[N] {
    return x * scale
}""",
    ),
    "TL1005": Page(
        "a file or module cannot be found or read",
        '`import name` takes a module of the standard library; `import "file.tl" as name` takes a file, looked for '
        "from the folder of the importing file. The error says whether the name is unknown, or why the file cannot be "
        "read. Check the spelling, and that a path stands in quotation marks and ends in `.tl`.",
        "import no_such_module",
    ),
    "TL1006": Page(
        "imports form a cycle",
        "The files import each other in a circle, which the error prints. Move what both sides need into a third file "
        "that imports neither, or put all of it into one file, where functions may call each other in any order.",
        'import "example.tl" as itself',
    ),
    "TL1007": Page(
        "an import leaves the project's root",
        "A program may import files only from the project's root and the folders in it. The root is the folder of the "
        "file given to `tlc`, or the one given by `--root`; links are followed before this is checked. Pass "
        "`--root DIR` with a folder that holds both files, or move the imported file.",
        'import "../outside.tl" as outside',
    ),
    "TL1008": Page(
        "an imported name does not exist",
        "The module or file has no declaration of this name. The error names the nearest ones that it has. Check the "
        "spelling, and that the import names the right file.",
        "from nn import no_such_function",
    ),
    "TL1009": Page(
        "a dimension or a pack occurs only in the result type",
        "A name in a result's shape must be bound by something: an argument's shape, an `int` parameter or a constant. "
        "A name that occurs nowhere else is most often a typing error, and the error suggests the nearest name. Where "
        "the function itself chooses the size, write `?S`: a named size that is known only when the program runs. A "
        "pack of a result is one of an argument, by name: `...B` on both sides.",
        """\
fn twice(x: float16[N, D_in]) -> float16[N, D_ni] {
    return x + x
}""",
    ),
    "TL1010": Page(
        "a dimension cannot be found from the arguments",
        "Every dimension variable of a signature must follow from the arguments: from a dim that is the variable "
        "alone, or from one that is linear in it once the others are known. `float16[H*K]` gives neither `H` nor `K`. "
        "Add an `int` parameter for one of them (`H: int`), or let another argument have it as a dim of its own. The "
        "same holds for type parameters, and for the dims of a struct that is filled by `bind`, where those that no "
        "tensor tells are given by name.",
        """\
fn heads(x: float16[N, H*K]) -> float16[N, H, K] {
    return x.reshape([N, H, K])
}""",
    ),
    "TL1011": Page(
        "unknown field or attribute",
        "The value has no field of this name. A tensor has `.shape`, `.rank`, `.dtype`, `.size`, `.T` and "
        "`.to(dtype)`; a struct has the fields it declares, and the dims that were bound when it was made from a "
        "model. `x.f(a)` with parentheses is the call `f(x, a)` where there is such a function.",
        "let x = ones([2, 3])\nprint(x.shapes)",
    ),
    "TL1012": Page(
        "unknown named argument",
        "The function has no parameter of this name. The error shows its signature. Named arguments come after the "
        "positional ones, and a parameter is given once, by place or by name.",
        """\
fn scaled(x: float16[N], by: float = 2.0) -> float16[N] { return x * by }

print(scaled(ones([2]), factor: 3.0))""",
    ),
    "TL1013": Page(
        "this is no type, no dim or no fact",
        "No type has this name, or it is written wrongly. Element types are `float16`, `bfloat16`, `float32`, `int32`, "
        "`uint32` and `bool`; host types are `int`, `float`, `bool`, `string`, `Model` and `Tokenizer`; the "
        "others are structs of this file or imported, and the function's own type parameters, as in `fn f<T: float>`. "
        "Dims are made of integers, names and `+ - * /`, after at most one pack; a `where` is made of `p == q`, "
        "`p <= q`, `p < q` and `p % q == 0`, joined by `and`. A struct does not contain itself.",
        "fn same(x: flaot) -> int { return 1 }",
    ),
    "TL1014": Page(
        "assignment to something that is not a variable",
        "Only variables declared with `let` (or, in a script, by their first assignment) can be given another value. "
        "Constants, functions, structs and modules keep theirs, and a field of a struct or an item of a tensor is not "
        "assigned in place. Use a new variable; make a changed struct with its constructor, and a changed tensor with "
        "`where` or `slice_update`.",
        """\
const EPS = 1e-5

fn smallest() -> float {
    EPS = 1e-6
    return EPS
}""",
    ),
    "TL1015": Page(
        "a function that only scripts may use",
        "`print`, `read_line`, `args`, `load_model`, `save_model` and `generate` act on the world, and functions are "
        "pure, so they stand in a script's statements only. Load a model in the script and pass it, or the struct "
        'bound from it, as a parameter. To look at a value inside a function, wrap it in `debug(x, "label")`.',
        """\
fn shown(x: float16[N]) -> float16[N] {
    print(x)
    return x
}""",
    ),
    "TL1016": Page(
        "`break`, `continue` or `return` in the wrong place",
        "`break` and `continue` belong to the loop around them, and `return` to the function around it. A script's "
        "statements are not a function: to leave them early, put the rest into an `if`.",
        "break",
    ),
}
