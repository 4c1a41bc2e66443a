"""Errors of the parser: their places and words, and how it goes on after them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tensorlogic.compiler import syntax
from tensorlogic.compiler.diagnostics.model import MAXIMUM_ERRORS
from tensorlogic.compiler.diagnostics.pages.syntax import PAGES
from tensorlogic.compiler.source import Source
from tensorlogic.compiler.syntax import dump, nodes, parse
from tests.syntax.helpers import errors, told


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("let x = 1 +", "1:12 TL0101 expected an expression after `+`, found end of line"),
        ("let x = a b", "1:11 TL0101 expected end of line after `a`, found `b`"),
        ("let x", "1:6 TL0101 expected `:` or `=` after `x`, found end of line"),
        ("let = 3", "1:5 TL0101 expected a name after `let`, found `=`"),
        ("let in = 3", "1:5 TL0101 expected a name after `let`, found the keyword `in`"),
        ("+x", "1:1 TL0101 expected a declaration or a statement, found `+`"),
        ("f(a b)", "1:5 TL0101 expected `)`, `,` or `:` after `a`, found `b`"),
        ("f(a,, b)", "1:5 TL0101 expected an expression or `)` after `,`, found `,`"),
        ("f(a; b)", "1:4 TL0101 expected `)`, `,` or `:` after `a`, found `;`"),
        ("f(eps: )", "1:8 TL0101 expected an expression after `:`, found `)`"),
        ("x[0 1]", "1:5 TL0101 expected `,`, `:` or `]` after `0`, found `1`"),
        ("x[1:2:3:4]", "1:8 TL0101 expected `,` or `]` after `3`, found `:`"),
        ("x = (a,)", "1:8 TL0101 expected an expression after `,`, found `)`"),
        ("x = ()", "1:6 TL0101 expected an expression after `(`, found `)`"),
        ("x.0", "1:3 TL0101 expected a name after `.`, found `0`"),
        ("if x = 3 { }", "1:6 TL0101 expected `{` after `x`, found `=`"),
        ("if { }", "1:4 TL0101 expected an expression after `if`, found `{`"),
        ("for i 0..3 { }", "1:7 TL0101 expected `in` after `i`, found `0`"),
        ("let x = if a { b }", "1:19 TL0101 expected `else` after `}`, found end of line"),
        ("let x = 1 + if a { b } else { c }", "1:13 TL0101 expected an expression after `+`, found the keyword `if`"),
        ("fn (x: int) { }", "1:4 TL0101 expected a name after `fn`, found `(`"),
        ("fn f(x int) { }", "1:8 TL0101 expected `:` after `x`, found `int`"),
        ("fn f(x: ) { }", "1:9 TL0101 expected a type after `:`, found `)`"),
        ("fn f(x: A[N,,]) { }", "1:13 TL0101 expected a dim or `]` after `,`, found `,`"),
        ("fn f(x: A[N +]) { }", "1:14 TL0101 expected a dim after `+`, found `]`"),
        ("fn f(): int { }", "1:7 TL0101 expected `->`, `where`, `{` or end of line after `)`, found `:`"),
        ("fn f<T>() { }", "1:7 TL0101 expected `:` after `T`, found `>`"),
        ("let x: A<B = 3", "1:12 TL0101 expected `,` or `>` after `B`, found `=`"),
        ("let x: fn(A) = 3", "1:14 TL0101 expected `->` after `)`, found `=`"),
        ("struct S(x) { a: A }", "1:9 TL0101 expected `{` after `S`, found `(`"),
        ("struct S { a: A b: B }", "1:17 TL0101 expected `,`, `=` or end of line after `A`, found `b`"),
        ("const A: int = 3", "1:8 TL0101 expected `=` after `A`, found `:`"),
        ('import "a.tl"', '1:14 TL0101 expected `as` after `"a.tl"`, found end of line'),
        ("import a b", "1:10 TL0101 expected `as` or end of line after `a`, found `b`"),
        ("from a import", "1:14 TL0101 expected a name after `import`, found end of line"),
        ("let f = |x x", "1:12 TL0101 expected `,` or `|` after `x`, found `x`"),
        ('f"{x:.2f}"', "1:5 TL0101 expected `}` after `x`, found `:`"),
        ('f"a{}"', "1:5 TL0101 expected an expression after `{`, found `}`"),
        ("fn f() {\n    fn g() { }\n}", "2:5 TL0101 expected a statement or `}`, found the keyword `fn`"),
        ("a < b < c", "1:7 TL0105 comparisons do not chain"),
        ("a in b not in c", "1:8 TL0105 comparisons do not chain"),
        ("0..1..2", "1:5 TL0105 ranges do not chain"),
        ("a == not b", "1:6 TL0105 `not` binds less tightly than `==`"),
        ("-not b", "1:2 TL0105 `not` binds less tightly than `-`"),
        ("0..not b", "1:4 TL0105 `not` binds less tightly than `..`"),
        ("x[0] = 1", "1:1 TL0106 only a name can be assigned to"),
        ("x.y += 1", "1:1 TL0106 only a name can be assigned to"),
        ("(a, f(b)) = c", "1:5 TL0106 only a name can be assigned to"),
        ("fn f() -> int", "1:4 TL0107 `f` has no body"),
        ('extern "m" fn f() { }', "1:19 TL0108 an `extern` function has no body"),
        ("main { a }\nmain { b }", "2:1 TL0109 a file has one `main`"),
        ("f(a", "1:2 TL0102 `(` is never closed"),
        ("let x = [1, 2\nlet y = 3", "1:9 TL0102 `[` is never closed"),
        ("f(a\nb = 3", "1:2 TL0102 `(` is never closed"),
        ("if f(a { b }", "1:5 TL0102 `(` is never closed"),
        ("fn f() {\n    f(a\n}", "2:6 TL0102 `(` is never closed"),
        ("fn f() {\n    a\nfn g() { }", "1:8 TL0102 `{` is never closed"),
        ("fn f(a: int -> int { }", "1:5 TL0102 `(` is never closed"),
        ("let (a, b = f()", "1:5 TL0102 `(` is never closed"),
        ('f"{x[0}"', "1:5 TL0102 `[` is never closed"),
        ("f(a))", "1:5 TL0103 `)` closes nothing"),
        ("}", "1:1 TL0103 `}` closes nothing"),
        ("x = )", "1:5 TL0103 `)` closes nothing"),
        ("f(a]", "1:4 TL0103 `]` cannot close `(`"),
    ],
)
def test_one_mistake_gives_one_error(text: str, expected: str) -> None:
    assert told(text + "\n") == [expected]


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("a && b", "both conditions: `and`"),
        ("a || b", "either condition: `or`"),
        ("!a", "`not` negates a condition, `!=` compares"),
        ("x++", "`x += 1` adds to a variable"),
        ("+x", "there is no unary `+`"),
        ("x = .5", "a number has digits on both sides of the point: `0.5`"),
        ("x = 1.", "a number has digits on both sides of the point: `0.5`"),
        ("x.0", "an item is taken with `[0]`"),
        ("x = c ? a : b", "a choice is written `if c { a } else { b }`"),
        ("if x = 3 { }", "`==` compares"),
        ("fn f(): int { }", "a result's type stands after `->`"),
        ("x: int = 3", "a variable with a type is declared with `let`"),
        ("x = 1 + |y| y", "as an operand, `|` and what belongs to it stand in parentheses"),
        ("x = {a: 1}", "a struct is made with a call: `Linear(weight: w, bias: none)`"),
        ("while x {\n  const A = 1\n}", "declarations stand at the top level of a file"),
        ("def f(x)", "a function is declared with `fn`"),
        ("let mut x = 1", "every variable can be assigned again; leave out `mut`"),
        ("if a { } elif b { }", "write `else if`"),
        ("fn f(x) { }", "a parameter has a type: `x: int`"),
        ("fn f<T>() { }", "a type parameter has a bound: `T: float`"),
        ('import "a.tl"', 'an imported file is given a name: `import "layers.tl" as layers`'),
        ("a < b < c", "`a < b and b < c`"),
        ("a == not b", "`== (not b)`"),
    ],
)
def test_advice(text: str, advice: str) -> None:
    first, *_ = errors(text + "\n")
    assert first.helps == (advice,)


def test_an_error_inside_an_older_bracket_shows_the_bracket() -> None:
    (diagnostic,) = errors("x = f(a,\n  b c)\n")
    assert diagnostic.message == "expected `)`, `,` or `:` after `b`, found `c`"
    assert [(label.span.line, label.span.column, label.text) for label in diagnostic.labels[1:]] == [
        (1, 6, "inside this bracket")
    ]


def test_an_unclosed_bracket_shows_where_that_was_noticed() -> None:
    (diagnostic,) = errors("fn f() {\n    g((a\n    let b = 1\n}\n")
    assert diagnostic.message == "`(` is never closed"
    assert [(label.span.line, label.span.column, label.text) for label in diagnostic.labels] == [
        (2, 7, "opened here"),
        (2, 6, "nor is this one"),
        (3, 5, "found before it was closed"),
    ]
    assert diagnostic.notes == ("`let` stands where `)` was still missing",)


def test_an_unclosed_brace_is_sought_by_indentation() -> None:
    text = "fn f() {\n    if a {\n        b\n    c\n}\n\nfn g() { }\n"
    (diagnostic,) = errors(text)
    assert [(label.span.line, label.text) for label in diagnostic.labels] == [
        (1, "opened here"),
        (2, "perhaps it is this one: the `}` that closes it is indented less"),
        (7, "found before it was closed"),
    ]


# --- going on ---


def recovered(text: str) -> nodes.Module:
    module, diagnostics = parse(Source("test.tl", text))
    assert diagnostics != []
    return module


def statement_of(text: str) -> nodes.Statement:
    (statement,) = recovered(text).statements
    return statement


def test_the_function_after_an_error_is_as_written() -> None:
    text = "fn f() -> int {\n    let y = x +\n    return y\n}\n\nfn g() -> int {\n    return 1\n}\n"
    module, diagnostics = parse(Source("test.tl", text))
    assert len(diagnostics) == 1
    f, g = module.declarations
    assert isinstance(f, nodes.FunctionDeclaration)
    assert f.body is not None
    let, last = f.body.statements
    assert isinstance(let, nodes.Let)
    assert let.names[0].name == "y"
    assert isinstance(let.value, nodes.ErrorExpression)
    assert isinstance(last, nodes.Return)
    assert isinstance(last.value, nodes.Name)
    clean, _ = parse(Source("test.tl", text[text.index("fn g") :]))
    assert dump(g) == dump(clean.declarations[0])


def test_several_errors_are_told_in_one_run() -> None:
    text = """\
let a = 1 +
let b = f(2 3)
struct S { x: , y: int }
fn g(x: int,, y: int) -> { return x }
import
const C = 1
if a < { b = 1 }
"""
    assert [message.split()[0] for message in told(text)] == ["1:12", "2:13", "3:15", "4:13", "5:7", "7:8"]


def test_names_survive_errors_beside_them() -> None:
    let = statement_of("let a: float16[N N] = 1\n")
    assert isinstance(let, nodes.Let)
    assert isinstance(let.type, nodes.NamedType)
    assert isinstance(let.value, nodes.IntegerLiteral)
    (function,) = recovered("fn f(a: , b int, c: C) -> ) { return a }\n").declarations
    assert isinstance(function, nodes.FunctionDeclaration)
    assert [parameter.name.name for parameter in function.parameters] == ["a", "b", "c"]
    assert [type(parameter.type) for parameter in function.parameters] == [
        nodes.ErrorType,
        nodes.ErrorType,
        nodes.NamedType,
    ]
    assert function.body is not None
    (struct,) = recovered("struct S { a int\n b: B, c: 3 \n d: D }\n").declarations
    assert isinstance(struct, nodes.StructDeclaration)
    assert [field.name.name for field in struct.fields] == ["a", "b", "c", "d"]


def test_the_rest_of_a_call_survives() -> None:
    statement = statement_of("f(a, +, b c, d: 1)\n")
    assert isinstance(statement, nodes.ExpressionStatement)
    assert isinstance(statement.value, nodes.Call)
    assert [type(argument.value) for argument in statement.value.arguments] == [
        nodes.Name,
        nodes.ErrorExpression,
        nodes.ErrorExpression,
        nodes.IntegerLiteral,
    ]


def test_a_block_survives_its_condition() -> None:
    for text in ("if a < { b = 1 }\n", "while a < { b = 1 }\n", "for a in { b = 1 }\n"):
        statement = statement_of(text)
        assert isinstance(statement, nodes.If | nodes.While | nodes.For)
        body = statement.then if isinstance(statement, nodes.If) else statement.body
        assert isinstance(body.statements[0], nodes.Assign)


def test_skipping_steps_over_whole_brackets() -> None:
    module = recovered("let x = a b { c\n d (\n e\n ) }\nlet y = 1\n")
    assert [type(statement) for statement in module.statements] == [nodes.Let, nodes.Let]


def test_two_statements_on_a_line_are_both_kept() -> None:
    module = recovered("let a = 1 let b = 2\n")
    assert [type(statement) for statement in module.statements] == [nodes.Let, nodes.Let]


def test_an_error_node_covers_what_was_skipped() -> None:
    (statement,) = recovered("fn 1 + 2 (a,\n b) { c }\n").statements
    assert isinstance(statement, nodes.ErrorStatement)
    assert statement.span.text == "fn 1 + 2 (a,\n b) { c }"
    let = statement_of("let x = a b c\n")
    assert isinstance(let, nodes.Let)
    assert let.value.span.text == "a b c"


def test_no_more_errors_than_a_reader_can_use() -> None:
    assert len(errors("let = 1\n" * 100)) == MAXIMUM_ERRORS


def test_errors_are_in_the_order_of_the_text() -> None:
    assert [line.split()[0] for line in told("let x = )\nlet y = 'a'\nlet z\nf(1\n")] == ["1:9", "2:9", "3:6", "4:2"]


# --- nesting ---


@pytest.mark.parametrize(
    "text",
    [
        "x = " + "(" * 10_000 + "1" + ")" * 10_000,
        "x = " + "f(" * 10_000 + ")" * 10_000,
        "if a { " * 10_000 + "}" * 10_000,
        "x = " + "-" * 10_000 + "1",
        "x = " + "not " * 10_000 + "a",
        "x = " + "a + " * 10_000 + "a",
        "x = " + "a ** " * 10_000 + "a",
        "x = a" + ".b" * 10_000,
        "x = a" + "()" * 10_000,
        "x = " + "|a| " * 10_000 + "a",
        "x = " + "if a { b } else " * 10_000 + "{ c }",
        "if a { b } else " * 10_000 + "{ c }",
        "let x: int" + "?" * 10_000 + " = 1",
        "let x: " + "fn() -> " * 10_000 + "int = 1",
        "fn f(x: " + "[" * 10_000 + "int" + "]" * 10_000 + ") { }",
        "fn f() -> int" + "?" * 10_000 + " { }",
        "fn f(x: A[" + "N + " * 10_000 + "N]) { }",
        "const A = " + "a - " * 10_000 + "a",
    ],
)
def test_deep_nesting_is_one_error(text: str) -> None:
    module, diagnostics = parse(Source("test.tl", text + "\ny = 1\n"))
    assert [diagnostic.code for diagnostic in diagnostics] == ["TL0104"]
    # Whoever walks the tree meets no more than they can take.
    assert dump(module)
    assert isinstance(module.statements[-1], nodes.Assign)


def test_brackets_that_are_never_closed_are_one_error_too() -> None:
    assert told("x = " + "[" * 10_000) == ["1:205 TL0104 brackets are nested more than 200 deep"]


def test_nesting_within_the_limit_is_fine() -> None:
    for text in ("(" * 190 + "1" + ")" * 190, "[" * 190 + "]" * 190, "a + " * 190 + "a", "-" * 190 + "a"):
        module, diagnostics = parse(Source("test.tl", f"x = {text}\n"))
        assert diagnostics == []
        assert dump(module)


IF, FOR, WHILE = "if a { b\n", "for i in 0..2 {\n", "while a {\n"


@pytest.mark.parametrize(
    ("opening", "depth", "message"),
    [
        (IF, 91, "blocks are nested more than 90 deep"),
        (IF, 199, "blocks are nested more than 90 deep"),
        ("if a { b } else {\n", 91, "blocks are nested more than 90 deep"),
        (FOR, 17, "loops are nested more than 16 deep"),
        (WHILE + IF, 17, "loops are nested more than 16 deep"),
        (WHILE + FOR, 99, "loops are nested more than 16 deep"),
    ],
)
def test_blocks_nested_deeper_than_python_takes_are_one_error(opening: str, depth: int, message: str) -> None:
    closing = "}" * opening.count("\n") + "\n"
    module, diagnostics = parse(Source("test.tl", opening * depth + "b\n" + closing * depth + "y = 1\n"))
    assert [(told.code, told.message) for told in diagnostics] == [("TL0104", message)]
    assert dump(module)
    assert isinstance(module.statements[-1], nodes.Assign)


def test_conditional_expressions_nest_as_deep_as_blocks() -> None:
    text = "x = " + "if a { " * 91 + "b" + " } else { c }" * 91
    assert [told.message for told in errors(text)] == ["blocks are nested more than 90 deep"]


def test_blocks_within_the_limit_are_fine() -> None:
    for text in (IF * 90 + "b" + "}" * 90, FOR * 16 + "b" + "}" * 16, (FOR + "}\n") * 100, (IF + "}\n") * 100):
        assert errors(text) == []


def test_a_long_conjunction_is_no_deep_one() -> None:
    (function,) = parse(Source("test.tl", "fn f() where " + "A == 1 and " * 5000 + "A == 1 { }"))[0].declarations
    assert isinstance(function, nodes.FunctionDeclaration)
    assert len(function.where) == 5001


# --- pages ---


@pytest.mark.parametrize("code", [code for code in PAGES if code != "TL0201"])
def test_the_example_of_a_page_gives_its_code(code: str) -> None:
    assert [diagnostic.code for diagnostic in errors(PAGES[code].example)] == [code]


def test_every_code_of_the_front_end_has_a_page_and_an_error() -> None:
    folder = Path(syntax.__file__).parent
    texts = [path.read_text(encoding="utf-8") for path in folder.rglob("*.py")]
    assert {code for text in texts for code in re.findall(r'"(TL\d{4})"', text)} == PAGES.keys()
