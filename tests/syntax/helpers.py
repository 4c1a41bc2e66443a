"""Short ways to parse text in tests."""

from __future__ import annotations

from tensorlogic.compiler.diagnostics.model import Diagnostic
from tensorlogic.compiler.source import Source
from tensorlogic.compiler.syntax import dump, nodes, parse, tokenize


def tree(text: str, *, prelude: bool = False) -> nodes.Module:
    """The tree of a text without errors."""
    module, diagnostics = parse(Source("test.tl", text), prelude=prelude)
    assert diagnostics == []
    return module


def expression(text: str) -> nodes.Expression:
    """The expression that a text is."""
    (declaration,) = tree(f"const X = {text}").declarations
    assert isinstance(declaration, nodes.ConstantDeclaration)
    return declaration.value


def statements(text: str) -> tuple[nodes.Statement, ...]:
    """The statements that a text is."""
    return tree(text).statements


def same(left: nodes.Node, right: nodes.Node) -> bool:
    """Whether two trees say the same."""
    return dump(left) == dump(right)


def errors(text: str, *, prelude: bool = False) -> list[Diagnostic]:
    """What is wrong with a text."""
    return parse(Source("test.tl", text), prelude=prelude)[1]


def told(text: str, *, prelude: bool = False) -> list[str]:
    """What is wrong with a text, as `line:column code message`."""
    return [summary(diagnostic) for diagnostic in errors(text, prelude=prelude)]


def summary(diagnostic: Diagnostic) -> str:
    assert diagnostic.span is not None
    return f"{diagnostic.span.line}:{diagnostic.span.column} {diagnostic.code} {diagnostic.message}"


def kinds(text: str, *, prelude: bool = False) -> list[str]:
    """The kinds of a text's tokens, without the END."""
    tokens, diagnostics = tokenize(Source("test.tl", text), prelude=prelude)
    assert diagnostics == []
    assert tokens[-1].kind == "END"
    return [token.kind for token in tokens[:-1]]
