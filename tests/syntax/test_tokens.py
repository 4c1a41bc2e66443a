"""Tokens: their kinds, their values, their places, and what the lexer says of text that is none."""

from __future__ import annotations

import math

import pytest

from tensorlogic.compiler.source import Source
from tensorlogic.compiler.syntax import nodes, tokenize
from tensorlogic.compiler.syntax.tokens import KEYWORDS
from tests.syntax.helpers import errors, kinds, told, tree


def value_of(text: str) -> object:
    tokens, diagnostics = tokenize(Source("test.tl", text))
    assert diagnostics == []
    assert [token.kind for token in tokens[1:]] == ["NEWLINE", "END"]
    return tokens[0].value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12),
        ("1_000", 1000),
        ("007", 7),
        ("9223372036854775807", 2**63 - 1),
        ("0.5", 0.5),
        ("1_0.2_5", 10.25),
        ("1e-5", 1e-5),
        ("2E3", 2000.0),
        ("1.5e+10", 1.5e10),
        ("0e0", 0.0),
        ("inf", math.inf),
        ('""', ""),
        ('"text"', "text"),
        (r'"a\n\t\"\\b"', 'a\n\t"\\b'),
        (r'"\u{1F600}\u{e9}"', "\U0001f600é"),
        ('"// not a comment"', "// not a comment"),
    ],
)
def test_literals(text: str, value: object) -> None:
    found = value_of(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("name", ["x", "_x", "x1", "λ", "größe", "हिन्दी", "变量", "inform", "note", "f", "mainly"])
def test_names(name: str) -> None:
    assert kinds(name) == ["NAME", "NEWLINE"]
    assert value_of(name) == name


@pytest.mark.parametrize("keyword", sorted(KEYWORDS))
def test_keywords_are_no_names(keyword: str) -> None:
    assert kinds(f"x {keyword} x")[1] == keyword.upper()
    assert errors(f"let {keyword} = 1")[0].code == "TL0101"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0..n", "INTEGER RANGE NAME"),
        ("x[...B]", "NAME LBRACKET ELLIPSIS NAME RBRACKET"),
        ("a**b", "NAME POWER NAME"),
        ("a**=b", "NAME AUGMENTED NAME"),
        ("a<=b", "NAME COMPARISON NAME"),
        ("a<-b", "NAME LESS MINUS NAME"),
        ("a->b", "NAME ARROW NAME"),
        ("a not in b", "NAME NOT_IN NAME"),
        ("a not /* c */ in b", "NAME NOT_IN NAME"),
        ("x[::2]", "NAME LBRACKET COLON COLON INTEGER RBRACKET"),
        ("a/b", "NAME SLASH NAME"),
        ("a //b", "NAME"),
        ("a /* /* */ */ b", "NAME NAME"),
        ("T??", "NAME QUESTION QUESTION"),
        ("1.x", "INTEGER DOT NAME"),
        ("\ufeffx", "NAME"),
    ],
)
def test_kinds(text: str, expected: str) -> None:
    assert kinds(text) == [*expected.split(), "NEWLINE"]


def test_a_token_knows_its_place() -> None:
    tokens, _ = tokenize(Source("test.tl", "let café = 1_0 // ten"))
    assert [(token.kind, token.start, token.end) for token in tokens] == [
        ("LET", 0, 3),
        ("NAME", 4, 8),
        ("EQUALS", 9, 10),
        ("INTEGER", 11, 14),
        ("NEWLINE", 14, 14),
        ("END", 21, 21),
    ]


def test_format_strings_hold_tokens_with_their_own_places() -> None:
    text = r'f"a{{\u{e9}{x + 1}"'
    tokens, diagnostics = tokenize(Source("test.tl", text))
    assert diagnostics == []
    assert [(token.kind, token.value) for token in tokens[:-2]] == [
        ("FORMAT_START", 'f"'),
        ("FORMAT_TEXT", "a{é"),
        ("FORMAT_OPEN", "{"),
        ("NAME", "x"),
        ("PLUS", "+"),
        ("INTEGER", 1),
        ("FORMAT_CLOSE", "}"),
        ("FORMAT_END", '"'),
    ]
    assert text[tokens[3].start : tokens[5].end] == "x + 1"


def test_main_and_builtin_are_keywords_in_one_place_only() -> None:
    assert kinds("main { }") == ["MAIN", "LBRACE", "RBRACE", "NEWLINE"]
    assert kinds("main") == ["NAME", "NEWLINE"]
    assert kinds("f(main)")[2] == "NAME"
    assert kinds("builtin fn f()", prelude=True)[0] == "BUILTIN"
    assert kinds("builtin fn f()")[0] == "NAME"
    assert kinds("import a as builtin\nfn f()", prelude=True)[3] == "NAME"
    assert kinds("builtin\nfn f()", prelude=True)[0] == "NAME"
    assert kinds("let builtin = 1", prelude=True)[1] == "NAME"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x = 2 $ 3", "1:7 TL0001 the character `$` is not part of the language"),
        ("x = ###", "1:5 TL0001 the character `#` is not part of the language"),
        ("x = 'it'", "1:5 TL0001 the character `'` is not part of the language"),
        ("x\u00a0= 1", "1:2 TL0001 the character U+00A0 (NO-BREAK SPACE) is not part of the language"),
        ("²x = 1", "1:1 TL0001 the character `²` U+00B2 (SUPERSCRIPT TWO) is not part of the language"),
        ("x²³1y = 1", "1:2 TL0001 the character `²` U+00B2 (SUPERSCRIPT TWO) is not part of the language"),
        ("f\"{'}\" // '", "1:4 TL0001 the character `'` is not part of the language"),
        ('x = "abc', "1:5 TL0002 this string is not closed on its line"),
        ('x = f"abc{y}', "1:5 TL0002 this string is not closed on its line"),
        ('print("abc)', "1:7 TL0002 this string is not closed on its line"),
        ('print(a b", c)', "1:10 TL0002 this string is not closed on its line"),
        ("x = 1\n/* a /* b */", "2:1 TL0002 this comment is never closed"),
        (r'x = "a\qb"', "1:7 TL0003 `\\q` is not an escape"),
        (r'x = f"a\qb"', "1:8 TL0003 `\\q` is not an escape"),
        (r'x = "\u{}"', "1:6 TL0003 `\\u{}` needs one to six hexadecimal digits"),
        (r'x = "\u{110000}"', "1:6 TL0003 `\\u{110000}` is no Unicode character"),
        (r'x = "\u{d800}"', "1:6 TL0003 `\\u{d800}` is no Unicode character"),
        ("x = 1__0", "1:5 TL0004 `1__0` is not a number"),
        ("x = 0x1F", "1:5 TL0004 `0x1F` is not a number"),
        ("x = 12abc", "1:5 TL0004 `12abc` is not a number"),
        ("x = 1.5e", "1:5 TL0004 `1.5e` is not a number"),
        ("x = 9223372036854775808", "1:5 TL0004 `9223372036854775808` is too large for an integer"),
        ("x = " + "9" * 9999, "1:5 TL0004 `99999999999999999999...` is too large for an integer"),
        ("x = 1e999", "1:5 TL0004 `1e999` is too large for a float"),
        ("x = 1e-999", "1:5 TL0004 `1e-999` is too small for a float: it would become 0"),
        ('x = f"a } b"', "1:9 TL0005 a single `}` in a format string"),
        ('x = f"a { b"', "1:9 TL0005 this `{` of a format string is never closed"),
    ],
)
def test_unreadable_text_is_told_once(text: str, expected: str) -> None:
    assert told(text + "\n") == [expected]


def test_an_unreadable_literal_leaves_an_error_in_its_place() -> None:
    for text in ("12abc", '"abc', r'"\q"', "$"):
        (statement,) = [*tree_of_errors(f"let x = {text}\n")]
        assert isinstance(statement, nodes.Let)
        assert isinstance(statement.value, nodes.ErrorExpression)


def tree_of_errors(text: str) -> tuple[nodes.Statement, ...]:
    from tensorlogic.compiler.syntax import parse

    module, diagnostics = parse(Source("test.tl", text))
    assert len(diagnostics) == 1
    return module.statements


def test_documentation_belongs_to_the_next_declaration() -> None:
    module = tree(
        """\
/// A constant
/// of two lines.
const A = 1

/// Not this one.

/// This one.
fn f() { }
/// A struct.
struct S {
    /// A field.
    a: int
    b: int, /// Another.
    c: int
}
//// no documentation
const B = 1
"""
    )
    constant, function, struct, undocumented = module.declarations
    assert isinstance(constant, nodes.ConstantDeclaration)
    assert isinstance(function, nodes.FunctionDeclaration)
    assert isinstance(struct, nodes.StructDeclaration)
    assert isinstance(undocumented, nodes.ConstantDeclaration)
    assert module.documentation is None
    assert constant.documentation == "A constant\nof two lines."
    assert function.documentation == "This one."
    assert struct.documentation == "A struct."
    assert [field.documentation for field in struct.fields] == ["A field.", None, "Another."]
    assert undocumented.documentation is None


@pytest.mark.parametrize("rest", ["\nfn f() { }\n", "import nn\n", "print(1)\n", "", "\n/// f\nfn f() { }\n"])
def test_documentation_of_the_module(rest: str) -> None:
    assert tree("/// The module.\n" + rest).documentation == "The module."


def test_a_declaration_at_the_top_takes_its_documentation() -> None:
    module = tree("/// The function.\nfn f() { }\n")
    assert module.documentation is None
    assert isinstance(module.declarations[0], nodes.FunctionDeclaration)
    assert module.declarations[0].documentation == "The function."
