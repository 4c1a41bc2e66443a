"""Doc comments reach Python as they were written, whatever characters they hold."""

from __future__ import annotations

import ast
import inspect

import pytest

import tensorlogic
from tensorlogic.compiler import driver

LINES = [
    "Plain words.",
    "A \"quoted\" word, and 'another'.",
    '"',
    'ends with a quote"',
    '""" three quotes """',
    '""""',
    "a backslash \\ and a last one \\",
    "\\",
    '\\"""',
    "\\n is no newline, \\x41 no letter, \\u00e9 none, \\N{DASH} neither",
    "{braces} {0} {{}} %s $x",
    "# not a comment",
    "é ü 漢字 😀",
    "a\ttab",
]


def words(documented: object) -> list[list[str]]:
    """A docstring's lines by words: from Python 3.13 on it keeps no tabs."""
    return [line.split() for line in (inspect.getdoc(documented) or "").splitlines()]


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_a_function(line: str) -> None:
    function = tensorlogic.compile(f"/// {line}\nfn f(x: float16[N]) -> float16[N] {{ return x }}").f
    assert words(function)[0] == line.split()


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_a_struct_among_others(line: str) -> None:
    struct = tensorlogic.compile(f"/// First.\n/// {line}\n/// Last.\nstruct S[N] {{ w: float16[N] }}").S
    assert words(struct)[:3] == [["First."], line.split(), ["Last."]]


def test_what_a_docstring_says_beside_the_comment() -> None:
    text = """
    /// Halves.
    ///
    /// Twice as short.
    fn f(x: float16[N, L], scale: float = 2.0, mask: bool[N]? = none) -> (float16[N, L/2], int) where L % 2 == 0 {
        return (x[:, 0:L/2] * scale, L)
    }
    """
    documentation = tensorlogic.compile(text).f.__doc__
    lines = [line.strip() for line in documentation.strip().splitlines()]
    assert lines[:3] == ["Halves.", "", "Twice as short."]
    assert "x: float16[N, L]" in lines
    assert "scale: float" in lines
    assert "mask: bool[N]?" in lines
    assert "Returns: (float16[N, L/2], int)" in lines
    assert "Demands: L % 2 == 0" in lines


def test_a_function_without_a_comment_says_its_shapes() -> None:
    documentation = tensorlogic.compile(
        "fn f(x: float16[...B, D]) -> float16[...B] { return sum(x, axis: -1) }"
    ).f.__doc__
    assert "x: float16[...B, D]" in documentation
    assert "Returns: float16[...B]" in documentation


def test_strings_of_a_program_reach_python_as_they_are() -> None:
    module = tensorlogic.compile(
        r"""
        const TEXT = "a \"b\" \\ {c} \n \t \u{1F600} '''"
        fn plain() -> string { return TEXT }
        fn formatted(n: int) -> string { return f"{{{n}}} \"{n}\" \\ %s" }
        fn refused(n: int) -> int { assert n > 0, f"{{{n}}} \"is\" \\ %s {TEXT}"; return n }
        """
    )
    text = "a \"b\" \\ {c} \n \t 😀 '''"
    assert module.plain() == text
    assert module.formatted(3) == '{3} "3" \\ %s'
    with pytest.raises(tensorlogic.TensorLogicError) as raised:
        module.refused(-1)
    assert f'{{-1}} "is" \\ %s {text}' in str(raised.value)


def test_a_file_with_every_comment_is_one_python_module() -> None:
    comments = "".join(f"/// {line}\nfn f{i}(n: int) -> int {{ return n }}\n" for i, line in enumerate(LINES))
    tree = ast.parse(driver.compile_text(comments).python)
    found = {node.name: ast.get_docstring(node, clean=False) for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert [(found[f"f{i}"] or "").splitlines()[0] for i in range(len(LINES))] == LINES
