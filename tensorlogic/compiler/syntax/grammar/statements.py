"""The rules of statements and blocks."""

from __future__ import annotations

from tensorlogic.compiler.source import Span
from tensorlogic.compiler.syntax import nodes
from tensorlogic.compiler.syntax.grammar.base import Rules, Symbols
from tensorlogic.compiler.syntax.tokens import INNER_TUPLE, Token


class StatementRules(Rules):
    """Every statement is followed by NEWLINE, which the layout puts before `}` too.

    What stands left of `=` is read as an operation and made a target here: the grammar would need to look beyond the
    whole of `(a, b)` to know it for one.
    """

    def p_block(self, p: Symbols) -> nodes.Block:
        """block : LBRACE statements RBRACE"""
        return nodes.Block(self.span(p[1], p[3]), tuple(p[2]))

    def p_same_statement(self, p: Symbols) -> None:
        """statement : if_statement"""

    def p_statement_error(self, p: Symbols) -> nodes.ErrorStatement:
        """statement : error"""
        return nodes.ErrorStatement(self.token_span(p[1]))

    # --- variables ---

    def p_let(self, p: Symbols) -> nodes.Let:
        """statement : LET target EQUALS expression
        | LET identifier COLON type EQUALS expression
        """
        value = p[len(p) - 1]
        names, declared = ((p[2],), p[4]) if len(p) > 5 else (tuple(p[2]), None)
        return nodes.Let(self.span(p[1], value), names, declared, value)

    def p_target(self, p: Symbols) -> list[nodes.Identifier]:
        """target : identifier
        | LPAREN names RPAREN
        | LPAREN names COMMA RPAREN
        """
        return [p[1]] if len(p) == 2 else p[2]

    def p_assign(self, p: Symbols) -> nodes.Statement:
        """statement : operation EQUALS expression"""
        target, value = p[1], p[3]
        names = target.items if isinstance(target, nodes.TupleExpression) else (target,)
        if any(isinstance(name, nodes.ErrorExpression) for name in names):
            return nodes.ErrorStatement(self.span(target, value))
        targets: list[nodes.Identifier] = []
        for name in names:
            if not isinstance(name, nodes.Name):
                self._refuse_target(name, p[2])
                return nodes.ErrorStatement(self.span(target, value))
            targets.append(self._assigned(name))
        return nodes.Assign(self.span(target, value), tuple(targets), value)

    def p_augmented_assign(self, p: Symbols) -> nodes.Statement:
        """statement : operation AUGMENTED expression"""
        target, operator, value = p[1], p[2], p[3]
        if isinstance(target, nodes.ErrorExpression):
            return nodes.ErrorStatement(self.span(target, value))
        if not isinstance(target, nodes.Name):
            self._refuse_target(target, operator)
            return nodes.ErrorStatement(self.span(target, value))
        name = self._assigned(target)
        symbol = operator.value.removesuffix("=")
        return nodes.AugmentedAssign(self.span(target, value), name, symbol, value, self.token_span(operator))

    def _assigned(self, name: nodes.Name) -> nodes.Identifier:
        # A parenthesized name's span has the parentheses in it, which are no part of the identifier.
        start = self.source.text.index(name.name, name.span.start)
        return nodes.Identifier(Span(self.source, start, start + len(name.name)), name.name)

    def _refuse_target(self, target: nodes.Expression, operator: Token) -> None:
        helps = []
        if isinstance(target, nodes.Index):
            helps = ["values do not change in place; `slice_update` gives a new tensor, and a list is written anew"]
        elif isinstance(target, nodes.Attribute):
            helps = ["structs are values; make a new one with the field changed"]
        elif isinstance(target, nodes.TupleExpression):
            helps = [INNER_TUPLE]
        elif operator.value == "=":
            helps = ["`==` compares"]
        place = self.token_span(operator)
        self.report(
            "TL0106",
            "only a name can be assigned to",
            target.span,
            "this is not a name",
            others=[(place, "assigns")],
            helps=helps,
        )

    # --- simple statements ---

    def p_return(self, p: Symbols) -> nodes.Return:
        """statement : RETURN optional_expression"""
        return nodes.Return(self.span(p[1], p[1] if p[2] is None else p[2]), p[2])

    def p_assert(self, p: Symbols) -> nodes.Assert:
        """statement : ASSERT expression
        | ASSERT expression COMMA expression
        """
        message = p[4] if len(p) > 3 else None
        return nodes.Assert(self.span(p[1], p[len(p) - 1]), p[2], message)

    def p_break(self, p: Symbols) -> nodes.Break:
        """statement : BREAK"""
        return nodes.Break(self.token_span(p[1]))

    def p_continue(self, p: Symbols) -> nodes.Continue:
        """statement : CONTINUE"""
        return nodes.Continue(self.token_span(p[1]))

    def p_expression_statement(self, p: Symbols) -> nodes.ExpressionStatement:
        """statement : operation"""
        return nodes.ExpressionStatement(p[1].span, p[1])

    # --- control flow ---

    def p_if(self, p: Symbols) -> nodes.If:
        """if_statement : IF condition block
        | IF condition block ELSE block
        | IF condition block ELSE if_statement
        """
        otherwise: nodes.Block | None = None
        if len(p) > 4:
            last: nodes.Block | nodes.If = p[5]
            otherwise = last if isinstance(last, nodes.Block) else nodes.Block(last.span, (last,))
        return nodes.If(self.span(p[1], p[len(p) - 1]), p[2], p[3], otherwise)

    def p_while(self, p: Symbols) -> nodes.While:
        """statement : WHILE condition block"""
        return nodes.While(self.span(p[1], p[3]), p[2], p[3])

    def p_for(self, p: Symbols) -> nodes.For:
        """statement : FOR target IN condition block"""
        return nodes.For(self.span(p[1], p[5]), tuple(p[2]), p[4], p[5])

    def p_same_condition(self, p: Symbols) -> None:
        """condition : operation"""

    def p_condition_error(self, p: Symbols) -> nodes.ErrorExpression:
        """condition : error"""
        return nodes.ErrorExpression(self.token_span(p[1]))
