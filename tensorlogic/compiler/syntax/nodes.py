"""The tree that the parser makes: one frozen dataclass for each construct, with its span.

Nodes say what was written and nothing about what it means. Two nodes are equal only when they are the same object,
so that a node can be a key. Names that take part in errors carry spans of their own (`Identifier`).
"""

from __future__ import annotations

from typing import TypeVar, dataclass_transform

from tensorlogic.compiler.records import dataclass
from tensorlogic.compiler.source import Span

_Class = TypeVar("_Class")


@dataclass_transform(eq_default=False, frozen_default=True)
def _node(cls: type[_Class]) -> type[_Class]:
    # Frozen for the type checker alone: sixty frozen classes take three times as long to import, at every `tlc`.
    return dataclass(eq=False, repr=False)(cls)


@_node
class Node:
    span: Span


@_node
class Identifier(Node):
    """A name where one is declared, assigned or selected."""

    name: str


# --- expressions ------------------------------------------------------------------------------------------------


@_node
class Expression(Node):
    pass


@_node
class IntegerLiteral(Expression):
    value: int


@_node
class FloatLiteral(Expression):
    """`0.5`, `1e-5`, `inf`."""

    value: float


@_node
class StringLiteral(Expression):
    value: str


@_node
class FormatString(Expression):
    """`f"blk.{i}.weight"`: literal text and expressions in turn."""

    parts: tuple[str | Expression, ...]


@_node
class BooleanLiteral(Expression):
    value: bool


@_node
class NoneLiteral(Expression):
    pass


@_node
class Name(Expression):
    """A name used as a value. `tensor`, `bind` and `where` appear as names in the callee's place."""

    name: str


@_node
class Unary(Expression):
    """`-x`, `~x`, `not x`."""

    operator: str
    operand: Expression


@_node
class Binary(Expression):
    """`** @ * / % + - & | == != < <= > >= in and or`, and `not in`. `operator_span` covers the operator alone."""

    operator: str
    left: Expression
    right: Expression
    operator_span: Span


@_node
class RangeExpression(Expression):
    """`start..stop`."""

    start: Expression
    stop: Expression


@_node
class Argument(Node):
    """One argument of a call; `name` for `eps: 1e-6`."""

    name: Identifier | None
    value: Expression


@_node
class Call(Expression):
    """`f(a, eps: 1e-6)`, `tensor<float16>(...)`, `bind<Llama>(model)`, `Linear(weight: w)`."""

    callee: Expression
    type_arguments: tuple[TypeExpression, ...]
    arguments: tuple[Argument, ...]


@_node
class Attribute(Expression):
    """`value.name`; also the callee of `value.f(a)`."""

    value: Expression
    name: Identifier


@_node
class Slice(Node):
    """`start:stop:step` between brackets; each part may be absent."""

    start: Expression | None
    stop: Expression | None
    step: Expression | None


@_node
class Ellipsis(Node):
    """`...` between brackets."""


@_node
class Index(Expression):
    """`value[items]`. An item `none` is a `NoneLiteral`."""

    value: Expression
    items: tuple[Expression | Slice | Ellipsis, ...]


@_node
class TupleExpression(Expression):
    """`(a, b)`, two items or more."""

    items: tuple[Expression, ...]


@_node
class ListExpression(Expression):
    items: tuple[Expression, ...]


@_node
class Lambda(Expression):
    """`|x, y| body`."""

    parameters: tuple[Identifier, ...]
    body: Expression


@_node
class Conditional(Expression):
    """`if condition { then } else { otherwise }` where a whole expression may stand."""

    condition: Expression
    then: Expression
    otherwise: Expression


@_node
class ErrorExpression(Expression):
    """Stands where the parser could read no expression. Whoever meets it stays silent: the error is told already."""


# --- types ------------------------------------------------------------------------------------------------------


@_node
class TypeExpression(Node):
    pass


@_node
class UnknownDim(Node):
    """`?`, or `?S` with its name."""

    name: Identifier | None


@_node
class Pack(Node):
    """`...`, or `...B` with its name."""

    name: Identifier | None


Dim = Expression | UnknownDim | Pack
"""A dim of a shape: arithmetic of integer literals and names (as an expression), an unknown, or a pack."""


@_node
class NamedType(TypeExpression):
    """`int`, `T`, `float16[N, D]`, `Linear<float16>[I, O]`. `dims` is None where no brackets stand."""

    name: Identifier
    type_arguments: tuple[TypeExpression, ...]
    dims: tuple[Dim, ...] | None


@_node
class TupleType(TypeExpression):
    items: tuple[TypeExpression, ...]


@_node
class ListType(TypeExpression):
    item: TypeExpression


@_node
class OptionalType(TypeExpression):
    """`T?`."""

    item: TypeExpression


@_node
class FunctionType(TypeExpression):
    """`fn(A, B) -> C`."""

    parameters: tuple[TypeExpression, ...]
    result: TypeExpression


@_node
class ErrorType(TypeExpression):
    """Stands where the parser could read no type."""


# --- statements -------------------------------------------------------------------------------------------------


@_node
class Statement(Node):
    pass


@_node
class Block(Node):
    statements: tuple[Statement, ...]


@_node
class Let(Statement):
    """`let x = e`, `let x: T = e`, `let (a, b) = e`. Several names take a tuple apart and have no type."""

    names: tuple[Identifier, ...]
    type: TypeExpression | None
    value: Expression


@_node
class Assign(Statement):
    """`x = e`, `(a, b) = e`."""

    names: tuple[Identifier, ...]
    value: Expression


@_node
class AugmentedAssign(Statement):
    """`x += e` and its kin; `operator` is the binary operator (`+`), `operator_span` covers `+=`."""

    name: Identifier
    operator: str
    value: Expression
    operator_span: Span


@_node
class Return(Statement):
    value: Expression | None


@_node
class If(Statement):
    """`if c { } else if d { } else { }`: an `else if` is an `otherwise` block whose one statement is an `If`."""

    condition: Expression
    then: Block
    otherwise: Block | None


@_node
class For(Statement):
    """`for i in e { }`, `for (i, b) in e { }`."""

    names: tuple[Identifier, ...]
    iterable: Expression
    body: Block


@_node
class While(Statement):
    condition: Expression
    body: Block


@_node
class Break(Statement):
    pass


@_node
class Continue(Statement):
    pass


@_node
class Assert(Statement):
    condition: Expression
    message: Expression | None


@_node
class ExpressionStatement(Statement):
    value: Expression


@_node
class ErrorStatement(Statement):
    """Stands where the parser skipped something it could not read."""


# --- declarations -----------------------------------------------------------------------------------------------


@_node
class Declaration(Node):
    pass


@_node
class TypeParameter(Node):
    """`T: float`, `T: any`."""

    name: Identifier
    bound: Identifier


@_node
class Parameter(Node):
    name: Identifier
    type: TypeExpression
    default: Expression | None


@_node
class Fact(Node):
    """One conjunct of a `where`: a comparison (`==`, `<=`, `<`, and `% q == 0` as a `Binary` of both)."""

    condition: Expression


@_node
class FunctionDeclaration(Declaration):
    """`fn name<T: float>(x: T[N]) -> T[N] where N % 2 == 0 { }`.

    `external` is the Python module of an `extern "m" fn`, which has no body. A function of the prelude without a body
    is an op; `builtin` marks those whose shape rule is in the op table.
    """

    name: Identifier
    type_parameters: tuple[TypeParameter, ...]
    parameters: tuple[Parameter, ...]
    result: TypeExpression | None
    where: tuple[Fact, ...]
    body: Block | None
    documentation: str | None
    external: str | None
    builtin: bool


@_node
class Field(Node):
    """`weight: float16[O, I] = "weight" | "w"`; `keys` are the strings as written, empty where there are none."""

    name: Identifier
    type: TypeExpression
    keys: tuple[str, ...]
    documentation: str | None


@_node
class StructDeclaration(Declaration):
    """`struct Linear<T: float>[I, O] { ... }`."""

    name: Identifier
    type_parameters: tuple[TypeParameter, ...]
    dims: tuple[Identifier, ...]
    fields: tuple[Field, ...]
    documentation: str | None


@_node
class ConstantDeclaration(Declaration):
    name: Identifier
    value: Expression
    documentation: str | None


@_node
class ImportedName(Node):
    name: Identifier
    alias: Identifier | None


@_node
class ImportDeclaration(Declaration):
    """`import nn`, `import "layers.tl" as layers`, `from nn import linear as dense`.

    Of `module` (a standard-library name, dots included) and `path` (a file) one is given. `names` is None for a plain
    import, which binds `alias` or the module's own last name.
    """

    module: str | None
    path: str | None
    target_span: Span
    alias: Identifier | None
    names: tuple[ImportedName, ...] | None


@_node
class Module(Node):
    """One file. `statements` are those of the top level and of `main { }`, in order of the text."""

    declarations: tuple[Declaration, ...]
    statements: tuple[Statement, ...]
    documentation: str | None
