"""Properties: what is printed reads back as the same tree, and no text makes the front end fail."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tensorlogic.compiler.diagnostics.model import MAXIMUM_ERRORS
from tensorlogic.compiler.diagnostics.pages.syntax import PAGES
from tensorlogic.compiler.source import Source
from tensorlogic.compiler.syntax import (
    dump,
    format_module,
    nodes,
    parse,
    show_expression,
    show_type,
    tokenize,
)
from tensorlogic.compiler.syntax.tokens import CLOSER_OF, OPENER_OF, SPELLING
from tests.syntax.helpers import expression, same, tree
from tests.syntax.random_trees import EXPRESSIONS, MODULES, TYPES
from tests.syntax.test_trees import every_node

PROGRAMS = sorted((Path(__file__).parents[1] / "programs").rglob("*.tl"))
TEXTS = [path.read_text(encoding="utf-8") for path in PROGRAMS]
PIECES = [
    *SPELLING.values(),
    "==",
    "+=",
    "x",
    "1",
    "0.5",
    '"s"',
    'f"{x}"',
    '"',
    "\n",
    " ",
    "//",
    "/*",
    "*/",
    "///",
    "$",
]


@given(EXPRESSIONS)
def test_a_printed_expression_reads_back(made: nodes.Expression) -> None:
    assert same(expression(show_expression(made)), made)


@given(EXPRESSIONS)
def test_a_printed_operand_reads_back_in_an_operands_place(made: nodes.Expression) -> None:
    (statement,) = tree(f"while {show_expression(made, operand=True)} {{ }}").statements
    assert isinstance(statement, nodes.While)
    assert same(statement.condition, made)


@given(TYPES)
def test_a_printed_type_reads_back(made: nodes.TypeExpression) -> None:
    (function,) = tree(f"fn f(x: {show_type(made)}) {{ }}").declarations
    assert isinstance(function, nodes.FunctionDeclaration)
    assert same(function.parameters[0].type, made)


@given(MODULES)
def test_a_printed_module_reads_back(made: nodes.Module) -> None:
    printed = format_module(made)
    module = tree(printed, prelude=True)
    assert same(module, made)
    assert format_module(module) == printed


def holds(text: str) -> None:
    """What is true of every text: it is read without an exception, into tokens and a tree that make sense."""
    source = Source("test.tl", text)
    tokens, _ = tokenize(source)
    assert tokens[-1].kind == "END"
    assert [token.start for token in tokens] == sorted(token.start for token in tokens)
    open_brackets = []
    for token in tokens:
        if token.kind in CLOSER_OF:
            open_brackets.append(CLOSER_OF[token.kind])
        elif token.kind in OPENER_OF:
            assert open_brackets.pop() == token.kind
    assert open_brackets == []
    module, diagnostics = parse(source)
    assert len(diagnostics) <= MAXIMUM_ERRORS
    for diagnostic in diagnostics:
        assert diagnostic.code in PAGES
        for label in diagnostic.labels:
            assert 0 <= label.span.start <= label.span.end <= len(text)
    has_error = False
    for node in every_node(module):
        assert 0 <= node.span.start <= node.span.end <= len(text)
        has_error |= isinstance(node, nodes.ErrorExpression | nodes.ErrorStatement | nodes.ErrorType)
    assert diagnostics or not has_error
    assert dump(module)
    if not diagnostics:
        assert same(tree(format_module(module)), module)


@given(st.text(max_size=60))
def test_any_text(text: str) -> None:
    holds(text)


@given(st.lists(st.sampled_from(PIECES), max_size=40), st.sampled_from(["", " ", "\n"]))
def test_any_tokens(pieces: list[str], between: str) -> None:
    holds(between.join(pieces))


@given(st.sampled_from(TEXTS), st.data())
def test_a_damaged_program(text: str, data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        length = data.draw(st.sampled_from([0, 1, 2, 5, 30]))
        text = text[:start] + data.draw(st.sampled_from(["", *PIECES])) + text[start + length :]
    holds(text)


@given(st.sampled_from(TEXTS), st.data())
def test_a_program_that_is_cut_off(text: str, data: st.DataObject) -> None:
    holds(text[: data.draw(st.integers(0, len(text)))])
