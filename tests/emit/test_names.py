"""Names that mean something in Python or in the emitted module are names like others in a program.

Each stands in each place where a program may name something, and the program prints what it would with another name.
"""

from __future__ import annotations

import io
from contextlib import redirect_stdout

import mlx.core as mx
import pytest

import tensorlogic
from tensorlogic.compiler import driver
from tensorlogic.runtime.script import run

KEYWORDS = ["class", "def", "lambda", "None", "True", "is", "yield", "await", "match"]
BUILTINS = ["list", "tuple", "range", "str", "type", "object", "super", "isinstance", "id", "property", "__import__"]
EMITTED = [
    "mx",
    "tl",
    "math",
    "dataclass",
    "field",
    "F16",
    "main",
    "args",
    "self",
    "cls",
    "annotations",
    "Callable",
    "np",
]
SHAPED = [
    "_",
    "__",
    "_x",
    "__x",
    "__init__",
    "__post_init__",
    "__class__",
    "__dict__",
    "x_2",
    "result",
    "ranked",
    "shape",
]
NAMES = [*KEYWORDS, *BUILTINS, *EMITTED, *SHAPED]

PLACES = {
    "function": (
        "fn NAME(x: float16[N]) -> float16[N] { return x + 1 }\nlet y = ones([2])\nprint(NAME(y), y.NAME())",
        "[2.0, 2.0] [2.0, 2.0]",
    ),
    "parameter": (
        "fn f(NAME: float16[N], k: int) -> float16[N] { return NAME * 2 + float(NAME.shape[0]) + k }\n"
        "print(f(ones([2]), 1), f(NAME: ones([2]), k: 1))",
        "[5.0, 5.0] [5.0, 5.0]",
    ),
    "int parameter": (
        "fn f(y: float16[N], NAME: int) -> float16[N] { let s = y; for i in 0..NAME { s = s + 0.5 }; return s }\n"
        "print(f(ones([1]), 2))",
        "[2.0]",
    ),
    "local": (
        "fn f(y: float16[N]) -> float16[N] { let NAME = y * 2; NAME = NAME + y; let z = NAME - 1; return z * NAME }\n"
        "print(f(ones([1])))",
        "[6.0]",
    ),
    "script variable": (
        "let NAME = ones([2])\nNAME = NAME + 1\nprint(NAME, sum(NAME), max(NAME), len(NAME.shape))",
        "[2.0, 2.0] 4.0 2.0 1",
    ),
    "loop variable": (
        "fn f(xs: [int]) -> int {\n    let t = 0\n    for NAME in xs { t += NAME }\n"
        "    for (i, NAME) in enumerate(xs) { t += i * NAME }\n    return t\n}\nprint(f([1, 2]))",
        "5",
    ),
    "struct": (
        "struct NAME[N] { w: float16[N], b: float16[N]? }\nfn f(a: NAME[N]) -> float16[N] { return a.w }\n"
        "let v: NAME[2] = NAME(w: ones([2]), b: none)\nprint(f(v), v)",
        "[1.0, 1.0] NAME(w: [1.0, 1.0], b: none)",
    ),
    "field": (
        "struct S[N] { NAME: float16[N], NAME_: int?, other: int }\n"
        "fn f(a: S[N]) -> float16[N] { return a.NAME * 2 }\n"
        "let v = S(NAME: ones([2]), NAME_: 3, other: 4)\nprint(f(v), v.NAME, v.NAME_, v)",
        "[2.0, 2.0] [1.0, 1.0] 3 S(NAME: [1.0, 1.0], NAME_: 3, other: 4)",
    ),
    "dim": (
        "struct S[NAME] { w: float16[NAME] }\n"
        "fn f(y: float16[NAME]) -> float16[NAME] { return y / NAME + zeros([NAME]) }\n"
        "fn g(s: S[NAME]) -> int { return NAME + s.NAME }\n"
        "print(f(ones([2])), g(S(w: ones([3]))), S(w: ones([1])).NAME)",
        "[0.5, 0.5] 6 1",
    ),
    "type parameter": (
        "struct S<NAME: float>[N] { w: NAME[N] }\nfn f<NAME: float>(y: NAME[N]) -> NAME[N] { return y + y }\n"
        "struct Pair<NAME: float>[N] { one: S<NAME>[N], more: [S<NAME>[N]] }\n"
        "fn g<NAME: float>(s: Pair<NAME>[N]) -> NAME[N] { return s.one.w + s.more[0].w }\n"
        "let s = S(w: ones([1], dtype: float32))\nprint(f(ones([2])), g(Pair(one: s, more: [s])))",
        "[2.0, 2.0] [2.0]",
    ),
    "constant": (
        "const NAME = 3\nfn f(y: float16[NAME]) -> float16[NAME] { return y * NAME }\nprint(f(ones([3])), NAME)",
        "[3.0, 3.0, 3.0] 3",
    ),
    "parameter of a lambda": (
        "fn f(g: fn(float16[N]) -> float16[N], y: float16[N]) -> float16[N] { return g(y) }\nlet k = 2.0\n"
        "print(f(|NAME| NAME * k, ones([2])))",
        "[2.0, 2.0]",
    ),
    "name of a lambda": (
        "fn f(y: float16[N]) -> float16[N] {\n    let NAME: fn(float16[N]) -> float16[N] = |v| v * 3\n"
        "    return NAME(NAME(y))\n}\nprint(f(ones([1])))",
        "[9.0]",
    ),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_name_is_a_name(place: str) -> None:
    text, expected = PLACES[place]
    printed: dict[str, str] = {}
    for name in NAMES:
        python = driver.compile_text(text.replace("NAME", name), options=driver.Options(verify=True)).python
        out = io.StringIO()
        with redirect_stdout(out):
            run(python, "program.tl", [])
        printed[name] = out.getvalue()
    assert printed == {name: expected.replace("NAME", name) + "\n" for name in NAMES}


def test_two_names_never_become_one() -> None:
    module = tensorlogic.compile(
        """
        struct S { class: int, class_: int, class__: int, __a: int, tl__a: int, self: int, self_: int, mx: int }
        fn f(class: int, class_: int, class__2: int) -> int { return class * 100 + class_ * 10 + class__2 }
        fn g(s: S) -> [int] { return [s.class, s.class_, s.class__, s.__a, s.tl__a, s.self, s.self_, s.mx] }
        fn made() -> [int] {
            return g(S(class: 1, class_: 2, class__: 3, __a: 4, tl__a: 5, self: 6, self_: 7, mx: 8))
        }
        """
    )
    assert module.f(1, 2, 3) == 123
    assert list(module.made()) == [1, 2, 3, 4, 5, 6, 7, 8]


def test_python_calls_what_is_a_keyword_there_with_an_underscore() -> None:
    module = tensorlogic.compile(
        """
        struct class[N] { lambda: float16[N], mx: float16[N]? }
        fn None(is: float16[N], scale: float = 2.0) -> float16[N] { return is * scale }
        fn apply(c: class[N]) -> float16[N] { return c.lambda + 1 }
        fn list(xs: [int]) -> int { return len(xs) }
        """
    )
    x = mx.ones((2,), mx.float16)
    assert module.None_(x).tolist() == [2.0, 2.0]
    assert module.None_(is_=x, scale=3.0).tolist() == [3.0, 3.0]
    assert module.apply(module.class_(lambda_=x)).tolist() == [2.0, 2.0]
    with pytest.raises(tensorlogic.TensorLogicError, match=r"`class\.lambda` is float16\[\], not float16\[N\]"):
        module.class_(lambda_=3)
