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
        "`x.astype(mx.float16)`. NumPy arrays, PyTorch tensors and lists of numbers are converted. A tensor of a model "
        'file, too, must hold what the program declares: `let ids: int32[?] = model.get_tensor("ids")`.',
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
        "a Python function that an `extern` names failed",
        "The function raised an exception, which the message shows, or its module cannot be imported or has no "
        "function of that name. Nothing of the program can repair it: correct the Python side, or its name.",
        """\
# model.tl: extern "math" fn factorial(n: int) -> int
# print(factorial(int(args[0])))
tlc run model.tl -- -1""",
    ),
    "TL5008": Page(
        "this cannot be converted to a number",
        "`int` or `float` was given a text that says no number, or `int` a float that is infinite or not a number. The "
        "message shows the value and the line. Test it before, or give a default where it comes from.",
        """\
# model.tl: print(int(args[0]) + 1)
tlc run model.tl -- three""",
    ),
    "TL5009": Page(
        "calls are nested too deeply",
        "A function called itself, or functions called each other, more often than Python allows one call inside "
        "another, which is about 1,000 times. Most often the recursion has no end, because its condition never comes "
        "true. Let it end sooner, or write it as a loop, which has no such limit.",
        """\
# model.tl: fn down(n: int) -> int { return down(n - 1) }
#           print(down(3))
tlc run model.tl""",
    ),
    "TL5010": Page(
        "a number, a size or a tensor is too large",
        "A dim of a tensor is at most 2147483647, a host number that goes into a computation must fit it, and a tensor "
        "must fit the machine's memory. The message says what was too large, or what MLX said when it failed. Make "
        "the number smaller, or the computation in parts.",
        """\
# model.tl: let n = int(args[0])
#           print(zeros([n * 100_000]))
tlc run model.tl -- 40000""",
    ),
    "TL5020": Page(
        "a cache was used already",
        "A `KVCache` is used once: `update`, and the `step` of a model, change it in place and give the next one. Go "
        "on with that one, or keep a `copy()` before.",
        """\
python -c "import mlx.core as mx
from tensorlogic.runtime import KVCache
k, cache = mx.zeros((1, 1, 1, 32)), KVCache()
cache.update(0, k, k); cache.update(0, k, k)\"""",
    ),
    "TL5021": Page(
        "a cache is full",
        "A `KVCache` with a `capacity` refuses more tokens than that, so that its memory is bounded. Make it larger, "
        "leave the capacity out, so that it grows, or give it a `window`: it keeps the last tokens alone then.",
        """\
python -c "import mlx.core as mx
from tensorlogic.runtime import KVCache
k = mx.zeros((1, 1, 5, 32))
KVCache(capacity=4).update(0, k, k)\"""",
    ),
    "TL5022": Page(
        "keys and values do not fit a cache",
        "The keys and values of a layer are `[B, G, L, K]` and `[B, G, L, E]` with the same B, G, K and E at each "
        "update; quantized ones have a multiple of 32 items. The message shows the shapes, or the number that makes no "
        "sense.",
        """\
python -c "from tensorlogic.runtime import KVCache
KVCache(bits=3)\"""",
    ),
    "TL5023": Page(
        "a setting of the sampling makes no sense",
        "`temperature`, `top_k` and `min_p` are at least 0, `top_p` and `repetition_penalty` above 0, `top_p` and "
        "`min_p` at most 1, `max_tokens` at least 0. The message names the one.",
        """\
python -c "from tensorlogic.runtime.sampling import Sampler
Sampler(top_p=1.5)\"""",
    ),
    "TL5024": Page(
        "a prompt does not fit the model's context",
        "The prompt has no tokens, or more than the model was trained for, with those that its cache holds already. "
        "Make the prompt shorter, begin with a new cache, or ask for one with a `window`, which keeps the last tokens "
        "alone.",
        """\
python -c "from tensorlogic.runtime.generation import require_prompt
require_prompt(5000, 0, 4096)\"""",
    ),
    "TL5025": Page(
        "a model's logits are no numbers",
        "A step gave NaN, so that no token can be chosen; the note says which layer made the first. Most often a value "
        "left float16's range on the way: load the model as bfloat16 or float32. Otherwise the weights are damaged.",
        """\
python -c "from tensorlogic.runtime import KVCache
from tensorlogic.runtime.generation import number_of
number_of(-1, KVCache())\"""",
    ),
    "TL5026": Page(
        "a file cannot serve as a prompt's cache",
        "`generate(..., prompt_cache: file)` writes the keys and values of its prompt into the file where there is "
        "none, and takes those of the beginning from it where there is one. They are of one model, in one type, and of "
        "no use to another. The message says what is wrong with the file; another name begins a new one.",
        """\
# model.tl: for _ in generate(load_model("model.gguf"), "Once", window: 8, prompt_cache: "once.cache") { }
tlc run model.tl""",
    ),
    "TL5027": Page(
        "an operation gives NaN",
        "Under `tlc run --debug-nan` the result of each operation is looked at, and the first with an item that is no "
        "number ends the program: what it was made of had none, unless it was read from a file or given from outside. "
        "A division of 0 by 0, a root or logarithm of less than 0 and `inf - inf` give NaN; in float16, `inf` is what "
        "more than 65504 becomes.",
        """\
# model.tl: print(log(tensor([-1.0])))
tlc run --debug-nan model.tl""",
    ),
    "TL5401": Page(
        "a token id or a length is out of bounds",
        "`decode` or a stream was given a number that is no id of the tokenizer, or `encode` a `max_length` that "
        "leaves no room for the special tokens it must add. The message shows the number. Ids come from `encode` of "
        "the same tokenizer, or from logits over its vocabulary.",
        """\
# model.tl: print(load_tokenizer("tokenizer.json").decode([1000000]))
tlc run model.tl""",
    ),
    "TL5402": Page(
        "a text is not Unicode",
        "The text holds half of a surrogate pair, which is no character, so that it cannot be written as UTF-8 and no "
        "tokenizer can read it. Such texts come from files that were decoded with `surrogateescape`, or were cut in "
        'the middle of a character. Decode the bytes again with `errors="replace"`.',
        """\
python -c "from tensorlogic.runtime import load_tokenizer
load_tokenizer('tokenizer.json').encode(chr(0xD800))\"""",
    ),
    "TL5403": Page(
        "messages of a chat are not written as messages",
        "A chat is a list of messages. Each is a pair of the role and the content, both strings, or in Python a dict "
        "with `role`, `content` and whatever else the template knows, of the kinds that JSON has: strings, numbers, "
        "truth values, lists and dicts.",
        """\
python -c "from tensorlogic.runtime import load_tokenizer
load_tokenizer('model.gguf').chat_text('Hello')\"""",
    ),
}
