"""How diagnostics look: the plain text, exactly, for the language page's example and for what is hard to lay out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorlogic.compiler.diagnostics import Diagnostic, Label, error
from tensorlogic.compiler.diagnostics.glyphs import display_width
from tensorlogic.compiler.diagnostics.render import MINIMUM_WIDTH, render, render_all
from tensorlogic.compiler.source import Source, Span

INNER = """\
fn layer(x: float16[N, D_in], w: float16[D_out, D_in]) -> float16[N, D_out] {
    let y = x @ w
    return y
}
"""


def find(source: Source, text: str, occurrence: int = 1) -> Span:
    """The span of the `occurrence`-th `text` in `source`."""
    start = -1
    for _ in range(occurrence):
        start = source.text.index(text, start + 1)
    return Span(source, start, start + len(text))


def expect(diagnostic: Diagnostic, expected: str, width: int = 120) -> None:
    assert render(diagnostic, width=width) == dedent(expected).strip("\n")


def inner() -> Diagnostic:
    source = Source("inner.tl", INNER)
    at = find(source, "@")
    return error(
        "TL3001",
        "`@` needs equal inner dims: `D_in` is not `D_out`",
        at,
        others=[
            (find(source, "D_in"), "`x` contracts `D_in`"),
            (find(source, "D_out"), "`w` offers `D_out`"),
            (Span(source, at.start - 2, at.start - 1), "float16[N, D_in]"),
            (Span(source, at.end + 1, at.end + 2), "float16[D_out, D_in]"),
        ],
        notes=["`D_in` and `D_out` are independent dims of `layer`"],
        helps=["`x @ w.T` is float16[N, D_out]"],
    )


def test_the_example_of_the_language_page() -> None:
    expect(
        inner(),
        """
        error[TL3001]: `@` needs equal inner dims: `D_in` is not `D_out`
          --> inner.tl:2:15
           |
         1 | fn layer(x: float16[N, D_in], w: float16[D_out, D_in]) -> float16[N, D_out] {
           |                        ----              ----- `w` offers `D_out`
           |                        `x` contracts `D_in`
         2 |     let y = x @ w
           |             - ^ - float16[D_out, D_in]
           |             |
           |             float16[N, D_in]
           = note: `D_in` and `D_out` are independent dims of `layer`
           = help: `x @ w.T` is float16[N, D_out]
        """,
    )


def test_the_example_in_a_terminal_of_40_columns() -> None:
    expect(
        inner(),
        """
        error[TL3001]: `@` needs equal inner dims: `D_in` is not `D_out`
          --> inner.tl:2:15
           |
         1 | ...[N, D_in], w...t16[D_out, D_...
           |        ----           -----
           |        |         `w` offers `D_out`
           |        `x` contracts `D_in`
         2 |     let y = x @ w
           |             - ^ -
           |             |   |
           |             |  float16[D_out, D_in]
           |             float16[N, D_in]
           = note: `D_in` and `D_out` are independent dims of `layer`
           = help: `x @ w.T` is float16[N, D_out]
        """,
        width=40,
    )


def test_no_label_is_only_a_header_with_its_remarks() -> None:
    expect(
        error("TL1005", "cannot read `a.tl`", notes=["two\nlines"], helps=["try `b.tl`", ""]),
        """
        error[TL1005]: cannot read `a.tl`
           = note: two
                   lines
           = help: try `b.tl`
           = help:
        """,
    )


def test_a_place_can_stand_for_missing_labels() -> None:
    diagnostic = error("TL5005", "too small")
    assert render(diagnostic, where="m.tl:12") == "error[TL5005]: too small\n  --> m.tl:12"
    labelled = error("TL5005", "too small", Span(Source("a.tl", "x"), 0, 1))
    assert "m.tl" not in render(labelled, where="m.tl:12")


def test_a_note_says_so() -> None:
    source = Source("a.tl", "x")
    diagnostic = Diagnostic("TL2020", "evaluated here", (Label(Span(source, 0, 1), "", True),), severity="note")
    expect(
        diagnostic,
        """
        note[TL2020]: evaluated here
          --> a.tl:1:1
           |
         1 | x
           | ^
        """,
    )


def test_labels_that_overlap_are_drawn_in_layers() -> None:
    source = Source("a.tl", "y = f(x @ w)")
    whole = find(source, "x @ w")
    expect(
        error(
            "TL3003",
            "m",
            whole,
            "whole",
            others=[
                (find(source, "x"), "left"),
                (find(source, "w"), "right"),
                (find(source, "y"), "target"),
                (find(source, "y"), "target"),
            ],
        ),
        """
        error[TL3003]: m
          --> a.tl:1:7
           |
         1 | y = f(x @ w)
           | -     ^^^^^ whole
           | |
           | target
           |       -   - right
           |       |
           |       left
        """,
    )


def test_neighbours_of_one_kind_stay_apart() -> None:
    source = Source("a.tl", "ab")
    expect(
        error("TL2001", "m", others=[(Span(source, 0, 1), "a"), (Span(source, 1, 2), "b")]),
        """
        error[TL2001]: m
          --> a.tl:1:1
           |
         1 | ab
           | - a
           |  - b
        """,
    )


def test_many_labels_hang_from_right_to_left() -> None:
    source = Source("a.tl", "f(aa, bb, cc, dd)")
    expect(
        error(
            "TL2001",
            "m",
            find(source, "f"),
            others=[(find(source, name), f"this is {name}") for name in ("aa", "bb", "cc", "dd")],
        ),
        """
        error[TL2001]: m
          --> a.tl:1:1
           |
         1 | f(aa, bb, cc, dd)
           | ^ --  --  --  -- this is dd
           |   |   |   this is cc
           |   |   this is bb
           |   this is aa
        """,
    )


def test_a_span_over_lines_is_bracketed() -> None:
    source = Source("a.tl", "a\nlet y = concat(\n    [a],\n)\n")
    expect(
        error("TL3015", "m", find(source, "concat(\n    [a],\n)"), "float16[2*N]"),
        """
        error[TL3015]: m
          --> a.tl:2:9
           |
         2 |   let y = concat(
           |  _________^
         3 | |     [a],
         4 | | )
           | |_^ float16[2*N]
        """,
    )


def test_nested_and_long_spans_over_lines() -> None:
    middle = "".join(f"    {i},\n" for i in range(8))
    source = Source("a.tl", f"f(\n  g(\n{middle}  ), 1\n)\n")
    expect(
        error(
            "TL2001",
            "m",
            Span(source, 0, len(source.text) - 1),
            "outer",
            others=[(find(source, f"g(\n{middle}  )"), "inner"), (find(source, "1,"), "")],
        ),
        """
        error[TL2001]: m
           --> a.tl:1:1
            |
          1 |     f(
            |  ___^
          2 | |     g(
            | |  ___-
          3 | | |     0,
          4 | | |     1,
            | | |     --
        ...   | |
         11 | | |   ), 1
            | | |___- inner
         12 | |   )
            | |___^ outer
        """,
    )


def test_a_label_of_a_bracket_hangs_where_it_does_not_fit_beside() -> None:
    source = Source("a.tl", "f(\n)")
    expect(
        error("TL2001", "m", Span(source, 0, 4), "a label that is long enough"),
        """
        error[TL2001]: m
          --> a.tl:1:1
           |
         1 |   f(
           |  _^
         2 | | )
           | |_^
           |   a label that is long
           |   enough
        """,
        width=30,
    )


def test_labels_in_several_files() -> None:
    main, other = Source("main.tl", "let y = f(x)\n"), Source("lib/layers.tl", "\n" * 119 + "fn f(x: float16[N])\n")
    expect(
        error("TL3005", "rank 2 where 1 is asked for", find(main, "x"), others=[(find(other, "[N]"), "declared here")]),
        """
        error[TL3005]: rank 2 where 1 is asked for
            --> main.tl:1:11
             |
           1 | let y = f(x)
             |           ^
            ::: lib/layers.tl:120:16
             |
         120 | fn f(x: float16[N])
             |                --- declared here
        """,
    )


def test_lines_far_apart_and_nearly_together() -> None:
    source = Source("a.tl", "a\n\nb\nc\nd\ne")
    expect(
        error("TL2001", "m", find(source, "a"), others=[(find(source, "b"), ""), (find(source, "e"), "")]),
        """
        error[TL2001]: m
          --> a.tl:1:1
           |
         1 | a
           | ^
         2 |
         3 | b
           | -
        ...
         6 | e
           | -
        """,
    )


def test_tabs_wide_combining_and_invisible_characters() -> None:
    source = Source("a.tl", "字é\x00\tw + \u202eb\te\u0301x\n")
    expect(
        error(
            "TL0001",
            "bad \x1b[31m\n\tname",
            find(source, "w"),
            "wide 字",
            others=[
                (find(source, "字"), "k\x00"),
                (find(source, "\x00"), ""),
                (find(source, "b"), "bee"),
                (find(source, "x"), "x"),
            ],
            notes=["a\x07"],
        ),
        """
        error[TL0001]: bad \\u{1B}[31m\\n\\tname
          --> a.tl:1:5
           |
         1 | 字é\\u{0}    w + \\u{202E}b   e\u0301x
           | -- -----    ^           -    - x
           | |           |           |
           | |           |           bee
           | |           wide 字
           | k\\u{0}
           = note: a\\u{7}
        """,
    )


@pytest.mark.parametrize(
    ("text", "start", "end", "rows"),
    [
        ("", 0, 0, [" 1 |", "   | ^ here"]),
        ("a\n", 2, 2, [" 2 |", "   | ^ here"]),
        ("a\n", 1, 2, [" 1 | a", "   |  ^ here"]),
        ("a", 1, 1, [" 1 | a", "   |  ^ here"]),
        ("ab\r\nc", 1, 4, [" 1 | ab", "   |  ^^ here"]),
        ("\n\n", 0, 1, [" 1 |", "   | ^ here"]),
        ("\n\n", 0, 2, [" 1 |", "   |  _^", " 2 | |", "   | |_^ here"]),
        ("(  ", 3, 3, [" 1 | (", "   |    ^ here"]),
    ],
)
def test_empty_lines_line_ends_and_the_end_of_the_file(text: str, start: int, end: int, rows: list[str]) -> None:
    diagnostic = error("TL0001", "m", Span(Source("a.tl", text), start, end), "here")
    assert render(diagnostic).splitlines()[3:] == rows


def test_a_hostile_file_name_is_shown_escaped() -> None:
    source = Source("a\x1b]0;x\x07\udcff.tl", "x")
    text = render(error("TL0001", "m", Span(source, 0, 1)), color=False)
    assert "--> a\\u{1B}]0;x\\u{7}\\u{DCFF}.tl:1:1" in text
    assert text.encode()


def test_a_long_line_keeps_its_marks() -> None:
    source = Source("a.tl", "x" * 500 + " first " + "y" * 500 + " second " + "z" * 500)
    expect(
        error("TL2001", "m", find(source, "first"), "one", others=[(find(source, "second"), "two")]),
        """
        error[TL2001]: m
          --> a.tl:1:502
           |
         1 | ...xxxxxxxxxxxxxxxx first yyyyyyyyyyyyyyyy...yyyyyyyyyyyyyyyy second zzzzzzzzzzzzzzzz...
           |                     ^^^^^                                     ------ two
           |                     one
        """,
        width=93,
    )


def test_a_long_mark_is_shortened_inside() -> None:
    source = Source("a.tl", "let y = [" + "1, " * 500 + "]")
    expect(
        error("TL2001", "m", Span(source, 8, len(source.text)), "this list"),
        """
        error[TL2001]: m
          --> a.tl:1:9
           |
         1 | let y = [1, 1, 1, 1... 1, 1, 1, ]
           |         ^^^^^^^^^^^^^^^^^^^^^^^^^
           |         this list
        """,
        width=38,
    )


def test_more_marks_than_a_small_terminal_has_room_for() -> None:
    source = Source("a.tl", "\n" * 9998 + "a = b" + " + bbbbbbbb" * 40)
    others = [(find(source, "bbbbbbbb", i), f"operand {i}") for i in range(1, 41)]
    text = render(error("TL2001", "m", find(source, "="), others=others), width=1)
    assert all(display_width(line) <= MINIMUM_WIDTH for line in text.splitlines())
    assert "operand 40" in text


def test_render_all_leaves_an_empty_line_between() -> None:
    assert render_all([error("TL2001", "a"), error("TL2002", "b")]) == "error[TL2001]: a\n\nerror[TL2002]: b"
    assert render_all([]) == ""


def test_colors() -> None:
    colored = render(inner(), color=True)
    assert re.sub(r"\033\[[0-9;]*m", "", colored) == render(inner())
    assert colored.startswith("\033[1;31merror[TL3001]\033[0m")
    assert "\033[1;31m^\033[0m" in colored
    assert "\033[1;34m----\033[0m" in colored


TEXTS = st.text(alphabet="ab \t\n\r字\u0301\x00\u202e(é\ud800", max_size=60)


@st.composite
def diagnostics(draw: st.DrawFn) -> Diagnostic:
    sources = [Source(f"{name}.tl", draw(TEXTS)) for name in "ab"]
    labels = []
    for i in range(draw(st.integers(1, 5))):
        source = draw(st.sampled_from(sources))
        start = draw(st.integers(0, len(source.text)))
        end = draw(st.integers(start, len(source.text)))
        labels.append(Label(Span(source, start, end), draw(TEXTS), primary=i == 0))
    return Diagnostic("TL2001", draw(TEXTS), tuple(labels), (draw(TEXTS),))


@given(diagnostics(), st.integers(0, 130))
def test_nothing_breaks_the_layout(diagnostic: Diagnostic, width: int) -> None:
    text = render(diagnostic, width=width)
    text.encode()
    colored = render(diagnostic, width=width, color=True)
    assert re.sub(r"\033\[[0-9;]*m", "", colored) == text
    lines = text.split("\n")
    assert all(line.isprintable() or "\u0301" in line for line in lines)
    assert all(line == line.rstrip() for line in lines)
    drawn = [line for line in lines[1:] if "|" in line[:5]]
    assert all(display_width(line) <= max(width, MINIMUM_WIDTH) for line in drawn)
    assert sum("^" in line for line in drawn) >= 1


@given(diagnostics())
def test_every_label_is_told(diagnostic: Diagnostic) -> None:
    shown = "".join(_words(render(diagnostic, width=10_000)))
    for label in diagnostic.labels:
        for word in _words(render(Diagnostic("", label.text)).removeprefix("error[]:")):
            assert word in shown


def _words(text: str) -> Iterable[str]:
    return text.split()
