"""The rules of expressions: operators by precedence, calls, indexing, literals, lambdas."""

from __future__ import annotations

from dataclasses import replace

from tensorlogic.compiler.source import Span
from tensorlogic.compiler.syntax import nodes
from tensorlogic.compiler.syntax.grammar.base import Enclosed, Rules, Symbols
from tensorlogic.compiler.syntax.tokens import Token

COMPARISONS = frozenset(("==", "!=", "<", "<=", ">", ">=", "in", "not in"))


class ExpressionRules(Rules):
    """An `expression` is a lambda, an `if ... else`, or an `operation`: everything that may be an operand."""

    def p_same_expression(self, p: Symbols) -> None:
        """expression : operation
        | lambda
        | conditional
        """

    def p_expression_error(self, p: Symbols) -> nodes.ErrorExpression:
        """expression : error"""
        return nodes.ErrorExpression(self.token_span(p[1]))

    # --- operators ---

    def p_binary(self, p: Symbols) -> nodes.Binary:
        """operation : operation OR operation
        | operation AND operation
        | operation PIPE operation
        | operation AMPERSAND operation
        | operation PLUS operation
        | operation MINUS operation
        | operation STAR operation
        | operation SLASH operation
        | operation PERCENT operation
        | operation AT operation
        | operation POWER operation
        """
        left, operator, right = p[1], p[2], p[3]
        if type(right) is nodes.Unary and right.operator == "not" and operator.kind not in ("AND", "OR"):
            self._refuse_loose_not(right, operator)
        span = Span(self.source, left.span.start, right.span.end)
        return nodes.Binary(span, operator.value, left, right, Span(self.source, operator.start, operator.end))

    def p_comparison(self, p: Symbols) -> nodes.Expression:
        """operation : operation COMPARISON operation
        | operation LESS operation
        | operation GREATER operation
        | operation IN operation
        | operation NOT_IN operation
        """
        left, operator = p[1], p[2]
        if self._is_bare_comparison(left) and not self._is_bare_comparison(left.left):
            self.report(
                "TL0105",
                "comparisons do not chain",
                self.token_span(operator),
                others=[(left.operator_span, "the first comparison")],
                helps=[f"`{self._unchained(left, operator, p[3])}`"],
            )
            return nodes.ErrorExpression(self.span(left, p[3]))
        return self.p_binary(p)

    def _unchained(self, left: nodes.Binary, operator: Token, last: nodes.Expression) -> str:
        """What was probably meant by `a < b < c`, and by `a < b & c < d`."""
        first, middle, end = (self.quote(part) for part in (left.left, left.right, last))
        inner = left.right
        if isinstance(inner, nodes.Binary) and inner.operator in ("&", "|") and not self._in_parentheses(inner):
            here, there = self.quote(inner.left), self.quote(inner.right)
            return f"({first} {left.operator} {here}) {inner.operator} ({there} {operator.value} {end})"
        if isinstance(last, nodes.BooleanLiteral):
            return f"({first} {left.operator} {middle}) {operator.value} {end}"
        return f"{first} {left.operator} {middle} and {middle} {operator.value} {end}"

    def _is_bare_comparison(self, expression: nodes.Expression) -> bool:
        return (
            type(expression) is nodes.Binary
            and expression.operator in COMPARISONS
            and not self._in_parentheses(expression)
        )

    def p_range(self, p: Symbols) -> nodes.Expression:
        """operation : operation RANGE operation"""
        start, operator, stop = p[1], p[2], p[3]
        if type(start) is nodes.RangeExpression and not self._in_parentheses(start):
            self.report("TL0105", "ranges do not chain", self.token_span(operator))
            return nodes.ErrorExpression(self.span(start, stop))
        if type(stop) is nodes.Unary and stop.operator == "not":
            self._refuse_loose_not(stop, operator)
        return nodes.RangeExpression(self.span(start, stop), start, stop)

    def p_unary(self, p: Symbols) -> nodes.Unary:
        """operation : MINUS operation %prec UNARY
        | TILDE operation %prec UNARY
        | NOT operation
        """
        operator, operand = p[1], p[2]
        if operator.kind != "NOT" and type(operand) is nodes.Unary and operand.operator == "not":
            self._refuse_loose_not(operand, operator)
        return nodes.Unary(self.span(operator, operand), operator.value, operand)

    def _in_parentheses(self, expression: nodes.Expression) -> bool:
        # The span of a parenthesized expression takes in the parentheses, and what is asked about begins with an
        # operand, which may begin with a parenthesis itself: then only the operand's span begins there too.
        if self.source.text[expression.span.start] != "(":
            return False
        first = expression.left if isinstance(expression, nodes.Binary) else None
        if isinstance(expression, nodes.RangeExpression):
            first = expression.start
        return first is None or first.span.start != expression.span.start

    def _refuse_loose_not(self, operand: nodes.Unary, operator: Token) -> None:
        if not self._in_parentheses(operand):
            message = f"`not` binds less tightly than `{operator.value}`"
            self.report("TL0105", message, operand.span, helps=[f"`{operator.value} ({self.quote(operand)})`"])

    # --- calls, attributes, indexing ---

    def p_call(self, p: Symbols) -> nodes.Call:
        """operation : operation LPAREN arguments RPAREN"""
        return nodes.Call(self.span(p[1], p[4]), p[1], (), tuple(p[3]))

    def p_call_of_keyword(self, p: Symbols) -> nodes.Call:
        """operation : TENSOR optional_type_arguments LPAREN arguments RPAREN
        | BIND optional_type_arguments LPAREN arguments RPAREN
        """
        callee = nodes.Name(self.token_span(p[1]), p[1].value)
        type_arguments = tuple(p[2].content) if p[2] is not None else ()
        return nodes.Call(self.span(p[1], p[5]), callee, type_arguments, tuple(p[4]))

    def p_call_of_where(self, p: Symbols) -> nodes.Call:
        """operation : WHERE LPAREN arguments RPAREN"""
        callee = nodes.Name(self.token_span(p[1]), "where")
        return nodes.Call(self.span(p[1], p[4]), callee, (), tuple(p[3]))

    def p_call_of_method_where(self, p: Symbols) -> nodes.Call:
        """operation : operation DOT WHERE LPAREN arguments RPAREN"""
        callee = nodes.Attribute(self.span(p[1], p[3]), p[1], self.identifier(p[3]))
        return nodes.Call(self.span(p[1], p[6]), callee, (), tuple(p[5]))

    def p_argument(self, p: Symbols) -> nodes.Argument:
        """argument : expression
        | NAME COLON expression
        """
        if len(p) == 2:
            return nodes.Argument(p[1].span, None, p[1])
        return nodes.Argument(self.span(p[1], p[3]), self.identifier(p[1]), p[3])

    def p_attribute(self, p: Symbols) -> nodes.Attribute:
        """operation : operation DOT NAME"""
        return nodes.Attribute(self.span(p[1], p[3]), p[1], self.identifier(p[3]))

    def p_index(self, p: Symbols) -> nodes.Index:
        """operation : operation LBRACKET index_list RBRACKET
        | operation LBRACKET index_list COMMA RBRACKET
        """
        return nodes.Index(self.span(p[1], p[len(p) - 1]), p[1], tuple(p[3]))

    def p_same_index_item(self, p: Symbols) -> None:
        """index_item : expression"""

    def p_ellipsis(self, p: Symbols) -> nodes.Ellipsis:
        """index_item : ELLIPSIS"""
        return nodes.Ellipsis(self.token_span(p[1]))

    def p_slice(self, p: Symbols) -> nodes.Slice:
        """index_item : optional_expression COLON optional_expression
        | optional_expression COLON optional_expression COLON optional_expression
        """
        written = [part for part in p[1:] if part is not None]
        step = p[5] if len(p) > 4 else None
        return nodes.Slice(self.span(written[0], written[-1]), p[1], p[3], step)

    # --- grouping ---

    def p_parenthesized(self, p: Symbols) -> nodes.Expression:
        """operation : LPAREN expression RPAREN"""
        expression: nodes.Expression = replace(p[2], span=self.span(p[1], p[3]))
        return expression

    def p_tuple(self, p: Symbols) -> nodes.TupleExpression:
        """operation : LPAREN expression COMMA expression_list RPAREN
        | LPAREN expression COMMA expression_list COMMA RPAREN
        """
        return nodes.TupleExpression(self.span(p[1], p[len(p) - 1]), (p[2], *p[4]))

    def p_list_expression(self, p: Symbols) -> nodes.ListExpression:
        """operation : LBRACKET RBRACKET
        | LBRACKET expression_list RBRACKET
        | LBRACKET expression_list COMMA RBRACKET
        """
        items = tuple(p[2]) if len(p) > 3 else ()
        return nodes.ListExpression(self.span(p[1], p[len(p) - 1]), items)

    # --- lambdas and conditionals ---

    def p_lambda(self, p: Symbols) -> nodes.Lambda:
        """lambda : PIPE names PIPE expression
        | PIPE PIPE expression
        """
        parameters = tuple(p[2]) if len(p) > 4 else ()
        return nodes.Lambda(self.span(p[1], p[len(p) - 1]), parameters, p[len(p) - 1])

    def p_conditional(self, p: Symbols) -> nodes.Conditional:
        """conditional : IF operation branch ELSE branch
        | IF operation branch ELSE conditional
        """
        then: Enclosed = p[3]
        otherwise, last = p[5] if isinstance(p[5], Enclosed) else (p[5], p[5])
        return nodes.Conditional(self.span(p[1], last), p[2], then.content, otherwise)

    # --- atoms ---

    def p_name(self, p: Symbols) -> nodes.Name:
        """operation : NAME"""
        token: Token = p[1]
        return nodes.Name(Span(self.source, token.start, token.end), token.value)  # type: ignore[arg-type]

    def p_integer(self, p: Symbols) -> nodes.IntegerLiteral:
        """operation : INTEGER"""
        return nodes.IntegerLiteral(self.token_span(p[1]), p[1].value)

    def p_float(self, p: Symbols) -> nodes.FloatLiteral:
        """operation : FLOAT"""
        return nodes.FloatLiteral(self.token_span(p[1]), p[1].value)

    def p_string(self, p: Symbols) -> nodes.StringLiteral:
        """operation : STRING"""
        return nodes.StringLiteral(self.token_span(p[1]), p[1].value)

    def p_boolean(self, p: Symbols) -> nodes.BooleanLiteral:
        """operation : TRUE
        | FALSE
        """
        return nodes.BooleanLiteral(self.token_span(p[1]), p[1].kind == "TRUE")

    def p_none(self, p: Symbols) -> nodes.NoneLiteral:
        """operation : NONE"""
        return nodes.NoneLiteral(self.token_span(p[1]))

    def p_invalid(self, p: Symbols) -> nodes.ErrorExpression:
        """operation : INVALID"""
        return nodes.ErrorExpression(self.token_span(p[1]))

    def p_format_string(self, p: Symbols) -> nodes.FormatString:
        """operation : FORMAT_START format_parts FORMAT_END"""
        return nodes.FormatString(self.span(p[1], p[3]), tuple(p[2]))

    def p_format_parts(self, p: Symbols) -> list[str | nodes.Expression]:
        """format_parts :
        | format_parts format_part
        """
        if len(p) == 1:
            return []
        p[1].append(p[2])
        return p[1]  # type: ignore[no-any-return]

    def p_format_part(self, p: Symbols) -> str | nodes.Expression:
        """format_part : FORMAT_TEXT
        | INVALID
        | FORMAT_OPEN expression FORMAT_CLOSE
        """
        part = p[1] if len(p) == 2 else p[2]
        if not isinstance(part, Token):
            return part  # type: ignore[no-any-return]
        if part.kind == "FORMAT_TEXT":
            return str(part.value)
        return nodes.ErrorExpression(self.token_span(part))
