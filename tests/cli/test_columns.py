"""Tables as text: what holds at every width."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tensorlogic.cli.columns import Column, fold, painter, pairs, sentence, table
from tensorlogic.compiler.diagnostics.glyphs import display_width, visible

COLUMNS = (Column("name"), Column("type"), Column("mean", right=True, labelled=True))
TEXT = st.text(max_size=60).map(visible)
ROWS = st.lists(st.tuples(TEXT.filter(bool), TEXT, TEXT), min_size=1, max_size=12)
PLAIN = painter(False)


def without_spaces(lines: list[str]) -> str:
    return "".join("".join(lines).split())


@given(TEXT, st.integers(2, 30))
def test_a_folded_text_is_whole_and_fits(text: str, width: int) -> None:
    parts = fold(text, width)
    assert "".join(parts) == text
    assert all(display_width(part) <= width for part in parts)


@given(ROWS, st.integers(6, 120))
def test_a_table_fits_its_width_and_loses_no_cell(rows: list[tuple[str, str, str]], width: int) -> None:
    lines = list(table(COLUMNS, rows, width, PLAIN))
    assert all(display_width(line) <= width for line in lines)
    shown = without_spaces(lines)
    for row in rows:
        # The parts of a cell may stand in lines between which others stand, but not their order.
        rest = iter(shown)
        assert all(character in rest for character in without_spaces(list(row[:1])))


@given(ROWS)
def test_without_a_width_every_row_is_a_line(rows: list[tuple[str, str, str]]) -> None:
    title, *lines = table(COLUMNS, rows, None, PLAIN)
    assert title.split() == ["name", "type", "mean"]
    assert len(lines) == len(rows)
    for line, row in zip(lines, rows, strict=True):
        assert line.startswith(row[0])
        assert without_spaces([line]) == without_spaces(list(row))


@given(ROWS, st.one_of(st.none(), st.integers(6, 120)))
def test_colours_change_no_text(rows: list[tuple[str, str, str]], width: int | None) -> None:
    import click

    colored = list(table((Column("name", style="kind"), *COLUMNS[1:]), rows, width, painter(True)))
    assert [click.unstyle(line) for line in colored] == list(table(COLUMNS, rows, width, PLAIN))


@given(st.lists(st.tuples(TEXT, TEXT), max_size=8), st.integers(6, 120))
def test_pairs_fit_their_width(rows: list[tuple[str, str]], width: int) -> None:
    lines = list(pairs(rows, width, PLAIN))
    widest = max([display_width(name) for name, _ in rows], default=0)
    assert all(display_width(line) <= max(width, widest) for line in lines)
    assert len(lines) >= len(rows)


def test_a_title_stands_by_a_stacked_number() -> None:
    assert list(table(COLUMNS, [("a" * 30, "F16", "0.5")], 20, PLAIN)) == [
        "a" * 20,
        "a" * 10,
        "  F16  mean 0.5",
    ]


def test_a_few_long_names_go_on_in_the_next_line_and_the_rest_stays_aligned() -> None:
    rows = [(f"name{i}", "F16", "1") for i in range(20)] + [("x" * 40, "F16", "1")]
    lines = list(table(COLUMNS, rows, 40, PLAIN))
    assert lines[:2] == [f"name{' ' * 24}  type  mean", f"name0{' ' * 23}  F16      1"]
    assert lines[-2:] == ["x" * 28, f"{'x' * 12}{' ' * 16}  F16      1"]


def test_sentences_break_between_words() -> None:
    assert list(sentence("No value is NaN.", 10, PLAIN)) == ["No value", "is NaN."]
    assert list(sentence("No value is NaN.", None, PLAIN)) == ["No value is NaN."]
