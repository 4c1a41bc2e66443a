"""The rules of declarations, and of the module as a whole."""

from __future__ import annotations

from typing import NamedTuple

from tensorlogic.compiler.source import Span
from tensorlogic.compiler.syntax import nodes
from tensorlogic.compiler.syntax.grammar.base import Enclosed, Rules, Symbols
from tensorlogic.compiler.syntax.tokens import Token


class Signature(NamedTuple):
    """A function up to its body. `last` is what it ends with; `is_told` where an error in it is told already."""

    keyword: Token
    name: nodes.Identifier
    type_parameters: tuple[nodes.TypeParameter, ...]
    parameters: tuple[nodes.Parameter, ...]
    result: nodes.TypeExpression | None
    where: tuple[nodes.Fact, ...]
    last: Token | nodes.Node
    is_told: bool


class DeclarationRules(Rules):
    """Declarations stand at the top level only. A doc comment is filed under a declaration's first token."""

    def p_module(self, p: Symbols) -> nodes.Module:
        """module : items END"""
        declarations: list[nodes.Declaration] = []
        statements: list[nodes.Statement] = []
        main: nodes.Block | None = None
        for item in p[1]:
            if isinstance(item, nodes.Declaration):
                declarations.append(item)
            elif isinstance(item, nodes.Block):
                if main is not None:
                    self.report("TL0109", "a file has one `main`", item.span, others=[(main.span, "the first one")])
                main = item
                statements.extend(item.statements)
            else:
                statements.append(item)
        span = Span(self.source, 0, len(self.source.text))
        return nodes.Module(span, tuple(declarations), tuple(statements), None)

    def p_items(self, p: Symbols) -> list[nodes.Node]:
        """items :
        | items item NEWLINE
        statements :
        | statements statement NEWLINE
        """
        if len(p) == 1:
            return []
        items: list[nodes.Node] = p[1]
        items.append(self.limit_nesting(p[2]))
        return items

    def p_same_item(self, p: Symbols) -> None:
        """item : declaration
        | statement
        """

    def p_main(self, p: Symbols) -> nodes.Block:
        """item : MAIN block"""
        block: nodes.Block = p[2]
        return nodes.Block(self.span(p[1], block), block.statements)

    # --- functions ---

    def p_function(self, p: Symbols) -> nodes.FunctionDeclaration:
        """declaration : signature block"""
        return self._function(p[1], p[1].keyword, p[2])

    def p_function_without_body(self, p: Symbols) -> nodes.FunctionDeclaration:
        """declaration : signature"""
        signature: Signature = p[1]
        if not self.prelude and not signature.is_told:
            helps = ["a function of a Python module is declared with `extern`"]
            self.report("TL0107", f"`{signature.name.name}` has no body", signature.name.span, helps=helps)
        return self._function(signature, signature.keyword, None)

    def p_builtin_function(self, p: Symbols) -> nodes.FunctionDeclaration:
        """declaration : BUILTIN signature"""
        return self._function(p[2], p[1], None, builtin=True)

    def p_extern_function(self, p: Symbols) -> nodes.FunctionDeclaration:
        """declaration : EXTERN STRING signature
        | EXTERN STRING signature block
        """
        if len(p) > 4:
            self.report("TL0108", "an `extern` function has no body", p[4].span, others=[(self.token_span(p[1]), "")])
        return self._function(p[3], p[1], None, external=p[2].value)

    def _function(
        self,
        signature: Signature,
        first: Token,
        body: nodes.Block | None,
        *,
        external: str | None = None,
        builtin: bool = False,
    ) -> nodes.FunctionDeclaration:
        return nodes.FunctionDeclaration(
            self.span(first, signature.last if body is None else body),
            signature.name,
            signature.type_parameters,
            signature.parameters,
            signature.result,
            signature.where,
            body,
            self.documentation.get(first.start),
            external,
            builtin,
        )

    def p_signature(self, p: Symbols) -> Signature:
        """signature : FN identifier optional_type_parameters LPAREN parameters RPAREN result where"""
        type_parameters: Enclosed | None = p[3]
        result: nodes.TypeExpression | None = p[7]
        where: tuple[nodes.Fact, ...] = p[8]
        last = where[-1] if where else result if result is not None else p[6]
        parameters = tuple(type_parameters.content) if type_parameters is not None else ()
        is_told = p[6].value is None or isinstance(result, nodes.ErrorType)
        return Signature(p[1], p[2], parameters, tuple(p[5]), result, where, last, is_told)

    def p_type_parameter(self, p: Symbols) -> nodes.TypeParameter:
        """type_parameter : identifier COLON identifier"""
        return nodes.TypeParameter(self.span(p[1], p[3]), p[1], p[3])

    def p_type_parameter_error(self, p: Symbols) -> nodes.TypeParameter:
        """type_parameter : identifier error"""
        return nodes.TypeParameter(self.span(p[1], p[2]), p[1], nodes.Identifier(self.token_span(p[2]), "any"))

    def p_parameter(self, p: Symbols) -> nodes.Parameter:
        """parameter : identifier COLON type
        | identifier COLON type EQUALS expression
        """
        default = p[5] if len(p) > 4 else None
        return nodes.Parameter(self.span(p[1], p[len(p) - 1]), p[1], p[3], default)

    def p_parameter_error(self, p: Symbols) -> nodes.Parameter:
        """parameter : identifier error"""
        return nodes.Parameter(self.span(p[1], p[2]), p[1], nodes.ErrorType(self.token_span(p[2])), None)

    def p_result(self, p: Symbols) -> nodes.TypeExpression | None:
        """result :
        | ARROW type
        """
        return p[2] if len(p) > 1 else None

    def p_result_error(self, p: Symbols) -> nodes.ErrorType:
        """result : error"""
        return nodes.ErrorType(self.token_span(p[1]))

    def p_where(self, p: Symbols) -> tuple[nodes.Fact, ...]:
        """where :
        | WHERE facts
        """
        if len(p) == 1:
            return ()
        return tuple(nodes.Fact(part.span, part) for fact in p[2] for part in _conjuncts(fact))

    # --- structs ---

    def p_struct(self, p: Symbols) -> nodes.StructDeclaration:
        """declaration : STRUCT identifier optional_type_parameters optional_struct_dims LBRACE fields RBRACE"""
        type_parameters: Enclosed | None = p[3]
        dims: Enclosed | None = p[4]
        return nodes.StructDeclaration(
            self.span(p[1], p[7]),
            p[2],
            tuple(type_parameters.content) if type_parameters is not None else (),
            tuple(dims.content) if dims is not None else (),
            tuple(p[6]),
            self.documentation.get(p[1].start),
        )

    def p_fields(self, p: Symbols) -> list[nodes.Field]:
        """fields :
        | fields field NEWLINE
        | fields field COMMA
        | fields field COMMA NEWLINE
        """
        if len(p) == 1:
            return []
        fields: list[nodes.Field] = p[1]
        if p[2] is not None:
            fields.append(p[2])
        return fields

    def p_field(self, p: Symbols) -> nodes.Field:
        """field : identifier COLON type
        | identifier COLON type EQUALS keys
        """
        keys: list[Token] = p[5] if len(p) > 4 else []
        last = keys[-1] if keys else p[3]
        strings = tuple(str(key.value) for key in keys)
        documentation = self.documentation.get(p[1].span.start)
        return nodes.Field(self.span(p[1], last), p[1], p[3], strings, documentation)

    def p_field_error(self, p: Symbols) -> nodes.Field | None:
        """field : identifier error
        | error
        """
        if len(p) == 2:
            return None
        return nodes.Field(self.span(p[1], p[2]), p[1], nodes.ErrorType(self.token_span(p[2])), (), None)

    # --- constants and imports ---

    def p_constant(self, p: Symbols) -> nodes.ConstantDeclaration:
        """declaration : CONST identifier EQUALS expression"""
        documentation = self.documentation.get(p[1].start)
        return nodes.ConstantDeclaration(self.span(p[1], p[4]), p[2], p[4], documentation)

    def p_import_module(self, p: Symbols) -> nodes.ImportDeclaration:
        """declaration : IMPORT module_name
        | IMPORT module_name AS identifier
        """
        module, target = p[2]
        alias = p[4] if len(p) > 3 else None
        span = Span(self.source, p[1].start, target.end) if alias is None else self.span(p[1], alias)
        return nodes.ImportDeclaration(span, module, None, target, alias, None)

    def p_import_file(self, p: Symbols) -> nodes.ImportDeclaration:
        """declaration : IMPORT STRING AS identifier"""
        return nodes.ImportDeclaration(self.span(p[1], p[4]), None, p[2].value, self.token_span(p[2]), p[4], None)

    def p_import_names(self, p: Symbols) -> nodes.ImportDeclaration:
        """declaration : FROM module_name IMPORT imported_names
        | FROM STRING IMPORT imported_names
        """
        names = tuple(p[4])
        span = self.span(p[1], names[-1])
        if isinstance(p[2], Token):
            path = str(p[2].value)
            return nodes.ImportDeclaration(span, None, path, self.token_span(p[2]), None, names)
        module, target = p[2]
        return nodes.ImportDeclaration(span, module, None, target, None, names)

    def p_module_name(self, p: Symbols) -> tuple[str, Span]:
        """module_name : NAME
        | module_name DOT NAME
        """
        if len(p) == 2:
            return str(p[1].value), self.token_span(p[1])
        module, span = p[1]
        return f"{module}.{p[3].value}", Span(self.source, span.start, p[3].end)

    def p_imported_name(self, p: Symbols) -> nodes.ImportedName:
        """imported_name : identifier
        | identifier AS identifier
        """
        alias = p[3] if len(p) > 2 else None
        return nodes.ImportedName(self.span(p[1], p[len(p) - 1]), p[1], alias)


def _conjuncts(condition: nodes.Expression) -> list[nodes.Expression]:
    """The parts of `a and b and c`, in order. A loop, since the chain may be as long as the file."""
    found: list[nodes.Expression] = []
    waiting = [condition]
    while waiting:
        part = waiting.pop()
        if isinstance(part, nodes.Binary) and part.operator == "and":
            waiting += (part.left, part.right)
        else:
            found.append(part)
    found.reverse()
    return found
