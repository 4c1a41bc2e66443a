"""The rules of types and of the dims of shapes."""

from __future__ import annotations

from dataclasses import replace

from tensorlogic.compiler.syntax import nodes
from tensorlogic.compiler.syntax.grammar.base import Rules, Symbols


class TypeRules(Rules):
    """A `type` is what may stand after `:` and `->`. `?` belongs to the type just before it."""

    def p_same_type(self, p: Symbols) -> None:
        """type : postfix_type"""

    def p_type_error(self, p: Symbols) -> nodes.ErrorType:
        """type : error"""
        return nodes.ErrorType(self.token_span(p[1]))

    def p_function_type(self, p: Symbols) -> nodes.FunctionType:
        """type : FN LPAREN types RPAREN ARROW type"""
        return nodes.FunctionType(self.span(p[1], p[6]), tuple(p[3]), p[6])

    def p_optional_type(self, p: Symbols) -> nodes.OptionalType:
        """postfix_type : postfix_type QUESTION"""
        return nodes.OptionalType(self.span(p[1], p[2]), p[1])

    def p_named_type(self, p: Symbols) -> nodes.NamedType:
        """postfix_type : NAME optional_type_arguments optional_shape"""
        name, type_arguments, shape = p[1], p[2], p[3]
        last = shape.last if shape is not None else type_arguments.last if type_arguments is not None else name
        return nodes.NamedType(
            self.span(name, last),
            self.identifier(name),
            tuple(type_arguments.content) if type_arguments is not None else (),
            tuple(shape.content) if shape is not None else None,
        )

    def p_list_type(self, p: Symbols) -> nodes.ListType:
        """postfix_type : LBRACKET type RBRACKET"""
        return nodes.ListType(self.span(p[1], p[3]), p[2])

    def p_tuple_type(self, p: Symbols) -> nodes.TupleType:
        """postfix_type : LPAREN type COMMA type_list RPAREN
        | LPAREN type COMMA type_list COMMA RPAREN
        """
        return nodes.TupleType(self.span(p[1], p[len(p) - 1]), (p[2], *p[4]))

    def p_parenthesized_type(self, p: Symbols) -> nodes.TypeExpression:
        """postfix_type : LPAREN type RPAREN"""
        inner: nodes.TypeExpression = replace(p[2], span=self.span(p[1], p[3]))
        return inner

    # --- dims ---

    def p_same_dim(self, p: Symbols) -> None:
        """dim : dim_expression"""

    def p_unknown_dim(self, p: Symbols) -> nodes.UnknownDim:
        """dim : QUESTION
        | QUESTION identifier
        """
        name = p[2] if len(p) > 2 else None
        return nodes.UnknownDim(self.span(p[1], p[len(p) - 1]), name)

    def p_pack(self, p: Symbols) -> nodes.Pack:
        """dim : ELLIPSIS
        | ELLIPSIS identifier
        """
        name = p[2] if len(p) > 2 else None
        return nodes.Pack(self.span(p[1], p[len(p) - 1]), name)

    def p_dim_error(self, p: Symbols) -> nodes.ErrorExpression:
        """dim : error"""
        return nodes.ErrorExpression(self.token_span(p[1]))

    def p_dim_binary(self, p: Symbols) -> nodes.Binary:
        """dim_expression : dim_expression PLUS dim_expression
        | dim_expression MINUS dim_expression
        | dim_expression STAR dim_expression
        | dim_expression SLASH dim_expression
        """
        return nodes.Binary(self.span(p[1], p[3]), p[2].value, p[1], p[3], self.token_span(p[2]))

    def p_dim_parenthesized(self, p: Symbols) -> nodes.Expression:
        """dim_expression : LPAREN dim_expression RPAREN"""
        inner: nodes.Expression = replace(p[2], span=self.span(p[1], p[3]))
        return inner

    def p_dim_integer(self, p: Symbols) -> nodes.IntegerLiteral:
        """dim_expression : INTEGER"""
        return nodes.IntegerLiteral(self.token_span(p[1]), p[1].value)

    def p_dim_name(self, p: Symbols) -> nodes.Name:
        """dim_expression : NAME"""
        return nodes.Name(self.token_span(p[1]), p[1].value)

    def p_dim_invalid(self, p: Symbols) -> nodes.ErrorExpression:
        """dim_expression : INVALID"""
        return nodes.ErrorExpression(self.token_span(p[1]))
