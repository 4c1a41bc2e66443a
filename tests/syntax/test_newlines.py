"""The newline rule: where a line's end ends a statement, and where it means nothing."""

from __future__ import annotations

import pytest

from tensorlogic.compiler.syntax import nodes
from tests.syntax.helpers import kinds, same, statements, told, tree


@pytest.mark.parametrize(
    "ender", ["x", "1", "0.5", '"s"', 'f"{x}"', "true", "false", "none", "(x)", "[x]", "f()", "x[0]", "x.y", "inf"]
)
def test_a_line_ends_a_statement_that_may_end(ender: str) -> None:
    assert len(statements(f"{ender}\ny\n")) == 2
    assert len(statements(f"a = {ender} // comment\n\n\n/* more */ y")) == 2


def test_a_block_ends_with_its_line() -> None:
    assert len(statements("while x { }\ny")) == 2
    assert len(statements("if x { return }\ny")) == 2
    assert len(statements("while x { break\ncontinue\nreturn\n}\ny")) == 2


def test_an_optional_type_ends_its_line() -> None:
    struct = tree("struct S {\n a: int?\n b: int\n}").declarations[0]
    assert isinstance(struct, nodes.StructDeclaration)
    assert len(struct.fields) == 2


def test_type_arguments_end_a_line_and_a_comparison_does_not() -> None:
    struct = tree("struct S {\n a: P<int>\n b: P<A<B[N*2], fn() -> C?>>\n c: int\n}").declarations[0]
    assert isinstance(struct, nodes.StructDeclaration)
    assert len(struct.fields) == 3
    assert len(tree("fn f() -> P<int>\nfn g()", prelude=True).declarations) == 2
    assert len(statements("a >\nb")) == 1
    assert len(statements("x = a < b and c >\nd")) == 1
    assert len(statements("x = f(a < b) >\nd")) == 1
    assert same(tree("x = tensor<int>\n(a)"), tree("x = tensor<int>(a)"))


@pytest.mark.parametrize(
    "operator",
    ["**", "@", "*", "/", "%", "+", "-", "&", "|", "..", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or"],
)
def test_an_operator_first_on_a_line_continues(operator: str) -> None:
    assert same(tree(f"x = a\n\n  // comment\n  {operator} b"), tree(f"x = a {operator} b"))
    assert same(tree(f"x = a {operator}\n b"), tree(f"x = a {operator} b"))


def test_what_else_continues_a_statement() -> None:
    assert same(tree("x = a\n  .b\n  .c(d)"), tree("x = a.b.c(d)"))
    assert same(tree("if a\n{ b }\nelse\n{ c }"), tree("if a { b } else { c }"))
    assert same(tree("x = if a { b }\n else { c }"), tree("x = if a { b } else { c }"))
    assert same(
        tree("fn f(x: A)\n  -> B\n  where N == 1\n{ }"),
        tree("fn f(x: A) -> B where N == 1 { }"),
    )
    assert same(tree('struct S { a: A = "x"\n | "y"\n}'), tree('struct S { a: A = "x" | "y" }'))
    assert same(tree("main\n{ a }"), tree("main { a }"))


def test_a_minus_first_on_a_line_continues_and_a_bracket_does_not() -> None:
    assert len(statements("a\n-b")) == 1
    assert len(statements("a\n(b)")) == 2
    assert len(statements("a\n[b]")) == 2
    assert len(statements("a\n~b")) == 2
    assert len(statements("a\nnot b")) == 2


def test_return_takes_what_continues_it() -> None:
    function = tree("fn f() {\nreturn\nx\n}").declarations[0]
    assert isinstance(function, nodes.FunctionDeclaration)
    assert function.body is not None
    assert len(function.body.statements) == 2


def test_newlines_mean_nothing_in_parentheses_and_brackets() -> None:
    assert same(tree("x = f(\na\n,\nb\n)[\n0\n]"), tree("x = f(a, b)[0]"))
    assert same(tree("x = (\na\n(b))"), tree("x = (a(b))"))
    assert same(tree("fn f(\n x\n :\n int\n) { }"), tree("fn f(x: int) { }"))


def test_newlines_count_again_in_braces_within_brackets() -> None:
    assert same(tree("x = f(if c {\na\n} else {\n-b\n}, d)"), tree("x = f(if c { a } else { -b }, d)"))
    assert told("x = f(if c {\na\nb\n} else { d })") == ["3:1 TL0101 expected `}`, found `b`"]


def test_semicolons_end_statements() -> None:
    assert len(statements("a; b;c ;; d\n;e")) == 5
    assert len(statements("while a { b; c; }; d")) == 2
    assert statements(";;\n;") == ()


def test_newlines_are_never_doubled_and_stand_before_braces() -> None:
    assert kinds("\n\nx\n\n\n{ y }") == ["NAME", "LBRACE", "NAME", "NEWLINE", "RBRACE", "NEWLINE"]
    assert kinds("{\n}") == ["LBRACE", "RBRACE", "NEWLINE"]
    assert kinds("x = 1;\n\ny") == ["NAME", "EQUALS", "INTEGER", "NEWLINE", "NAME", "NEWLINE"]
    assert kinds("") == []


def test_carriage_returns_are_blanks() -> None:
    assert same(tree("a = 1\r\nb = 2\r\n"), tree("a = 1\nb = 2\n"))


def test_a_block_comment_over_lines_ends_a_statement() -> None:
    assert len(statements("a /* \n */ b")) == 2
