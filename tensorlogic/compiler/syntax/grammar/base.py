"""What the rules of every topic share: the source they build nodes for, spans, and a place for diagnostics.

A rule is a method whose docstring is its productions, as PLY reads them. It receives the values of a production's
symbols, counted from 1 as in PLY (`p[0]` is of no meaning), and returns the value of the new symbol: rules only build
nodes, and tell what a grammar cannot say. The value of a token is the `Token`, that of `error` a token that covers what
was skipped. A rule named `p_same_...` passes its one symbol on, and is never called.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import Any, NamedTuple

from tensorlogic.compiler.diagnostics.model import Diagnostic, error
from tensorlogic.compiler.source import Source, Span
from tensorlogic.compiler.syntax import nodes
from tensorlogic.compiler.syntax.literals import LONGEST_QUOTE, shorten
from tensorlogic.compiler.syntax.tokens import MAXIMUM_BLOCKS, MAXIMUM_LOOPS, MAXIMUM_NESTING, Token
from tensorlogic.compiler.syntax.walk import is_nested_deeper, nest_deeper

_LOOPS = (nodes.For, nodes.While)
_BLOCKS = (nodes.If, nodes.Conditional, nodes.Lambda, *_LOOPS)

Symbols = list[Any]
"""The values of a production's symbols: tokens, nodes, lists of nodes, None for what is left out."""


class Enclosed(NamedTuple):
    """What stands between brackets, and the bracket that closes it."""

    content: Any
    last: Token


class Rules:
    """The state of one parse that rules use.

    `documentation` gives the doc comment before a token by its offset, `told` the brackets whose error is told.
    """

    def __init__(self, source: Source, documentation: dict[int, str], told: Set[int], *, prelude: bool) -> None:
        self.source = source
        self.told = told
        self.documentation = documentation
        self.prelude = prelude
        self.diagnostics: list[Diagnostic] = []
        self._too_deep: list[int] = []

    def report(
        self,
        code: str,
        message: str,
        span: Span,
        label: str = "",
        *,
        others: Iterable[tuple[Span, str]] = (),
        helps: Iterable[str] = (),
    ) -> None:
        self.diagnostics.append(error(code, message, span, label, others=others, helps=helps))

    def span(self, first: Token | nodes.Node, last: Token | nodes.Node) -> Span:
        """From the start of one token or node to the end of another."""
        start = first.start if isinstance(first, Token) else first.span.start
        end = last.end if isinstance(last, Token) else last.span.end
        return Span(self.source, start, end)

    def token_span(self, token: Token) -> Span:
        return Span(self.source, token.start, token.end)

    def quote(self, node: nodes.Node) -> str:
        """A node's text, short enough for a message."""
        return shorten(self.source.text[node.span.start : min(node.span.end, node.span.start + LONGEST_QUOTE + 1)])

    def identifier(self, token: Token) -> nodes.Identifier:
        assert isinstance(token.value, str)
        return nodes.Identifier(Span(self.source, token.start, token.end), token.value)

    def limit_nesting(self, item: nodes.Node) -> nodes.Node:
        """The item, or an error in its place if it is nested too deeply for those who walk the tree, or for Python.

        Layout limits brackets; this limits what nests without any, such as `a + b + ...`, `x.a.a...` and `else if`, and
        blocks.
        """
        if item.span.end - item.span.start <= MAXIMUM_NESTING:
            return item
        if is_nested_deeper(item, MAXIMUM_NESTING):
            what, limit, helps = "this is", MAXIMUM_NESTING, "name a part with `let`, or make a function of it"
        elif self._may_hold(item, MAXIMUM_LOOPS, "for", "while") and nest_deeper(item, _LOOPS, MAXIMUM_LOOPS):
            what, limit, helps = "loops are", MAXIMUM_LOOPS, "make a function of the inner ones"
        elif self._may_hold(item, MAXIMUM_BLOCKS, "{", "|") and nest_deeper(item, _BLOCKS, MAXIMUM_BLOCKS):
            what, limit, helps = "blocks are", MAXIMUM_BLOCKS, "make a function of the inner ones"
        else:
            return item
        if not any(item.span.start <= offset < item.span.end for offset in (*self.told, *self._too_deep)):
            self.report("TL0104", f"{what} nested more than {limit} deep", item.span, helps=[helps])
        self._too_deep.append(item.span.start)
        return nodes.ErrorStatement(item.span)

    def _may_hold(self, item: nodes.Node, count: int, *words: str) -> bool:
        """Whether the words that begin something occur more than so often in an item's text; most often they do not."""
        return sum(self.source.text.count(word, item.span.start, item.span.end) for word in words) > count

    def p_enclosed(self, p: Symbols) -> Enclosed:
        """type_arguments : LESS type_list GREATER
        shape : LBRACKET dims RBRACKET
        type_parameter_list : LESS type_parameters GREATER
        struct_dims : LBRACKET names RBRACKET
        branch : LBRACE expression NEWLINE RBRACE
        """
        return Enclosed(p[2], p[len(p) - 1])

    def p_list_of(self, p: Symbols) -> list[Any]:
        """argument_list : argument
        | argument_list COMMA argument
        expression_list : expression
        | expression_list COMMA expression
        index_list : index_item
        | index_list COMMA index_item
        type_list : type
        | type_list COMMA type
        dim_list : dim
        | dim_list COMMA dim
        names : identifier
        | names COMMA identifier
        parameter_list : parameter
        | parameter_list COMMA parameter
        type_parameters : type_parameter
        | type_parameters COMMA type_parameter
        facts : operation
        | facts COMMA operation
        keys : STRING
        | keys PIPE STRING
        imported_names : imported_name
        | imported_names COMMA imported_name
        """
        if len(p) == 2:
            return [p[1]]
        items: list[Any] = p[1]
        items.append(p[3])
        return items

    def p_optional_list(self, p: Symbols) -> list[Any]:
        """arguments :
        | argument_list
        | argument_list COMMA
        parameters :
        | parameter_list
        | parameter_list COMMA
        types :
        | type_list
        | type_list COMMA
        dims :
        | dim_list
        | dim_list COMMA
        """
        return p[1] if len(p) > 1 else []

    def p_optional(self, p: Symbols) -> Any:
        """optional_type_arguments :
        | type_arguments
        optional_shape :
        | shape
        optional_type_parameters :
        | type_parameter_list
        optional_struct_dims :
        | struct_dims
        optional_expression :
        | expression
        """
        return p[1] if len(p) > 1 else None

    def p_identifier(self, p: Symbols) -> nodes.Identifier:
        """identifier : NAME"""
        return self.identifier(p[1])
