"""Emitted text reads as it would be written by hand: names, tuples, slices, f-strings, the declared types."""

from __future__ import annotations

import pytest

import tensorlogic
from tensorlogic.compiler import driver


def emitted(text: str) -> str:
    return driver.compile_text(text, options=driver.Options(verify=True)).python


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("fn f(x: float16[N], a: int) -> float16[?] { return x[a + 1:] }", "return x[a + 1 :]"),
        ("fn f(x: float16[N+4]) -> float16[N] { return x[4:] }", "return x[4:]"),
        (
            "fn f(x: float16[N]) -> (float16[N], int) { return (x, N) }",
            "return (tl.cast(result[0], mx.float16), result[1])",
        ),
        (
            "print((1, 2), [(1, 2)])",
            "tl.print_values(tl.shown((1, 2), (None, None)), tl.shown(((1, 2),), [(None, None)]))",
        ),
        ('fn f(s: string, i: [string]) -> string { return f"<{i[0]}> {s}" }', "return f'<{tl.item(i, 0, "),
        ("fn f(x: float16[N]) -> float16[?S] { return x }", "Returns: float16[?S]"),
        ("fn f(x: float16[?S], y: float16[S]) -> float16[S] { return x + y }", "x: float16[?S]"),
        ("fn f(x: float16[N], i: int) -> float16[?] { return x[i:i+2] }", "if x.shape[0] < i + 2:"),
        ("let x = tensor([1.0])\nprint((x + 1) * (x + 1))", "total = x + 1"),
        ('let s = "a"\nlet ys = [s]\nfor i in 0..2 { ys = ys + [s] }\nprint(ys)', "ys: tuple[str, ...] = (s,)"),
    ],
)
def test_lines(text: str, line: str) -> None:
    assert line in emitted(text)


def test_a_value_without_a_name_hides_no_builtin() -> None:
    words = "and so on, which is a long text with many words in it"
    python = emitted(f'print(1, f"{{args[0]}} and {{args[1]}} {words} {{args[2]}} {words}")')
    assert "\n    text = " in python
    assert "\n    format = " not in python


def test_the_index_of_an_enumeration_is_known_to_be_no_less_than_0() -> None:
    loop = "fn f(xs: [int], ys: [int]) -> int { let total = 0; for (i, x) in %s { %s }; return total }"
    for body in ("total = total + ys[i]", "if x > 1 { total = total + ys[i + 1] }"):
        python = emitted(loop % ("enumerate(xs)", body))
        assert "tl.item(ys, " in python
        assert "less than 0" not in python
    for over, body in (
        ("enumerate(xs)", "total = total + ys[i - 1]"),
        ("enumerate(xs)", "total = total + ys[x]"),
        ("enumerate(xs)", "i = total; total = ys[i]"),
        ("[(1, 2), (total, 3)]", "total = total + ys[i]"),
    ):
        assert "less than 0" in emitted(loop % (over, body))


def test_a_loop_over_tuples_takes_every_item() -> None:
    text = "fn f(ws: [(int, int, int)]) -> int { let s = 0; for (a, b, c) in ws { s = s + %s }; return s }"
    module = tensorlogic.compile(text % "a")
    assert "for a, _, _ in ws:" in emitted(text % "a")
    assert module.f([(1, 2, 3), (4, 5, 6)]) == 5
    assert tensorlogic.compile(text % "b").f([(1, 2, 3), (4, 5, 6)]) == 7
    assert tensorlogic.compile(text % "c").f([(1, 2, 3), (4, 5, 6)]) == 9
