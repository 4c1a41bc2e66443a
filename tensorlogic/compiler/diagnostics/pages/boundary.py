"""Pages on what is only known, and so only checked, when a program runs (TL5)."""

from __future__ import annotations

from tensorlogic.compiler.diagnostics.pages import Page

PAGES = {
    "TL5001": Page(
        "a shape that run time brought does not fit",
        "A function was called from Python, or a size written as `?` met a demand, and the shape does not fit. The "
        "message names the argument or the line, the dim, what it was bound to and by whom. Pass a tensor of the "
        "declared shape, or widen the declaration.",
        """\
# model.tl: fn square(x: float16[N, N]) -> float16[N, N] { return x }
python -c "import mlx.core as mx, model; model.square(mx.zeros((2, 3), mx.float16))\"""",
    ),
    "TL5002": Page(
        "an argument has the wrong type",
        "A function was called from Python with a value that is not of the declared type. Entries take `mx.array` of "
        "exactly the declared element type, because converting would change the precision unseen; convert with "
        "`x.astype(mx.float16)`. NumPy arrays, PyTorch tensors and lists of numbers are converted.",
        """\
# model.tl: fn same(x: float16[N]) -> float16[N] { return x }
python -c "import mlx.core as mx, model; model.same(mx.zeros((2,), mx.int32))\"""",
    ),
    "TL5003": Page(
        "an index or slice is out of bounds",
        "An index or a slice's bound that only run time knows does not lie within the tensor. The message shows the "
        "index, the size and the line. Test the bound before with `if` or `assert`, which also lets the compiler "
        "prove the access. With `--checked`, ids in a tensor are reported in the same way instead of clamped.",
        """\
# model.tl: let x = ones([3])
#           print(x[int(args[0])])
tlc run model.tl -- 3""",
    ),
    "TL5004": Page(
        "a value would become infinite in float16",
        "A finite number from outside, an argument or a host value that met a tensor, is larger than 65504, the "
        "largest number of float16, and would silently become `inf`. Scale it, or declare the tensor as float32 or "
        "bfloat16, whose range is larger.",
        """\
# model.tl: fn same(x: float16[N]) -> float16[N] { return x }
python -c "import model; model.same([70000.0])\"""",
    ),
    "TL5005": Page(
        "an assertion failed",
        "The condition of an `assert` was false when the program ran. The message is the one written in the program, "
        "and the line is that of the `assert`.",
        """\
# model.tl: assert len(args) > 0, "give a file"
tlc run model.tl""",
    ),
    "TL5006": Page(
        "a call does not meet a `where` clause",
        "The function's `where` clause asks a fact about its sizes that does not hold for the arguments it was called "
        "with from outside. The message shows the clause and the sizes. Pass arguments that meet it, for example by "
        "padding to an even size.",
        """\
# model.tl: fn half(x: float16[N]) -> float16[N/2] where N % 2 == 0 { return x[0:N/2] }
python -c "import mlx.core as mx, model; model.half(mx.zeros((3,), mx.float16))\"""",
    ),
    "TL5007": Page(
        "interrupted",
        "The program was stopped with Ctrl-C. In a script, the first Ctrl-C ends a loop over generated text and the "
        "second one ends the script; `tlc` then exits with status 130. Files are written whole or not at all, so that "
        "none is left half written.",
        "tlc run model.tl    # and then Ctrl-C",
    ),
    "TL5008": Page(
        "this cannot be converted to a number",
        "`int` or `float` was given a text that says no number, or `int` a float that is infinite or not a number. The "
        "message shows the value and the line. Test it before, or give a default where it comes from.",
        """\
# model.tl: print(int(args[0]) + 1)
tlc run model.tl -- three""",
    ),
}
