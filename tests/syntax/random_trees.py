"""Hypothesis strategies for trees: every construct that the parser can make, in every place where it may stand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from tensorlogic.compiler.source import Source, Span
from tensorlogic.compiler.syntax import nodes
from tensorlogic.compiler.syntax.tokens import KEYWORDS

NOWHERE = Span(Source("made", ""), 0, 0)

Made = st.SearchStrategy[Any]


def made(kind: Callable[..., Any], *parts: Made, **named: Made) -> Made:
    """Nodes of a class, from strategies for the fields after the span."""
    return st.builds(kind, st.just(NOWHERE), *parts, **named)


def tuples(items: Made, least: int = 0, most: int = 3) -> Made:
    return st.lists(items, min_size=least, max_size=most).map(tuple)


def optional(items: Made) -> Made:
    return st.none() | items


WORDS = st.one_of(
    st.sampled_from(["x", "y", "N", "weight", "main", "f", "_", "λ", "builtin", "x1", "float16", "i"]),
    st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,5}", fullmatch=True),
).filter(lambda word: word not in KEYWORDS and word != "inf")
NAMES = made(nodes.Identifier, WORDS)
VALUE_NAMES = made(nodes.Name, WORDS)
INTEGERS = made(nodes.IntegerLiteral, st.integers(0, 2**63 - 1) | st.integers(0, 9))
FLOATS = made(nodes.FloatLiteral, st.floats(min_value=0.0, allow_nan=False).map(abs))
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(["{", "}", '"', "\\", "\n", "a"])
STRINGS = made(nodes.StringLiteral, TEXT)
ATOMS = st.one_of(
    VALUE_NAMES, INTEGERS, FLOATS, STRINGS, made(nodes.BooleanLiteral, st.booleans()), made(nodes.NoneLiteral)
)
OPERATORS = [
    "**",
    "@",
    "*",
    "/",
    "%",
    "+",
    "-",
    "&",
    "|",
    "==",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "in",
    "not in",
    "and",
    "or",
]


def _join_text(parts: tuple[Any, ...]) -> tuple[Any, ...]:
    """Parts of a format string as the parser makes them: no empty text, no two texts in a row."""
    joined: list[Any] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        elif part != "":
            joined.append(part)
    return tuple(joined)


# What may stand in the braces of a format string has no quote, newline or brace in it.
INNER = st.recursive(
    st.one_of(VALUE_NAMES, INTEGERS),
    lambda inner: st.one_of(
        made(nodes.Binary, st.sampled_from(OPERATORS), inner, inner, st.just(NOWHERE)),
        made(nodes.Attribute, inner, NAMES),
        made(nodes.Index, inner, tuples(inner, 1)),
    ),
    max_leaves=4,
)
FORMATS = made(nodes.FormatString, tuples(TEXT | INNER).map(_join_text))


def _extend_expressions(inner: Made) -> Made:
    arguments = tuples(made(nodes.Argument, optional(NAMES), inner))
    part = optional(inner)
    item = st.one_of(inner, made(nodes.Slice, part, part, part), made(nodes.Ellipsis))
    keyword = st.sampled_from(["tensor", "bind"]).map(lambda name: nodes.Name(NOWHERE, name))
    where = st.just(nodes.Identifier(NOWHERE, "where"))
    chosen = st.just(nodes.Name(NOWHERE, "where")) | made(nodes.Attribute, inner, where)
    return st.one_of(
        FORMATS,
        made(nodes.Unary, st.sampled_from(["-", "~", "not"]), inner),
        made(nodes.Binary, st.sampled_from(OPERATORS), inner, inner, st.just(NOWHERE)),
        made(nodes.RangeExpression, inner, inner),
        made(nodes.Call, inner | chosen, st.just(()), arguments),
        made(nodes.Call, keyword, tuples(TYPES, 0, 2), arguments),
        made(nodes.Attribute, inner, NAMES),
        made(nodes.Index, inner, tuples(item, 1)),
        made(nodes.TupleExpression, tuples(inner, 2)),
        made(nodes.ListExpression, tuples(inner)),
        made(nodes.Lambda, tuples(NAMES, 0, 2), inner),
        made(nodes.Conditional, inner, inner, inner),
    )


DIM_EXPRESSIONS = st.recursive(
    VALUE_NAMES | INTEGERS,
    lambda inner: made(nodes.Binary, st.sampled_from("+-*/"), inner, inner, st.just(NOWHERE)),
    max_leaves=4,
)
DIMS = st.one_of(DIM_EXPRESSIONS, made(nodes.UnknownDim, optional(NAMES)), made(nodes.Pack, optional(NAMES)))
TYPES = st.recursive(
    made(nodes.NamedType, NAMES, st.just(()), optional(tuples(DIMS))),
    lambda inner: st.one_of(
        made(nodes.NamedType, NAMES, tuples(inner, 0, 2), optional(tuples(DIMS))),
        made(nodes.TupleType, tuples(inner, 2)),
        made(nodes.ListType, inner),
        made(nodes.OptionalType, inner),
        made(nodes.FunctionType, tuples(inner, 0, 2), inner),
    ),
    max_leaves=4,
)
EXPRESSIONS = st.recursive(ATOMS, _extend_expressions, max_leaves=10)

SIMPLE_STATEMENTS = st.one_of(
    made(nodes.Let, NAMES.map(lambda name: (name,)), optional(TYPES), EXPRESSIONS),
    made(nodes.Let, tuples(NAMES, 2), st.none(), EXPRESSIONS),
    made(nodes.Assign, tuples(NAMES, 1), EXPRESSIONS),
    made(nodes.AugmentedAssign, NAMES, st.sampled_from(OPERATORS[:9]), EXPRESSIONS, st.just(NOWHERE)),
    made(nodes.Return, optional(EXPRESSIONS)),
    made(nodes.Assert, EXPRESSIONS, optional(EXPRESSIONS)),
    made(nodes.ExpressionStatement, EXPRESSIONS),
    made(nodes.Break),
    made(nodes.Continue),
)


def _extend_statements(inner: Made) -> Made:
    block = made(nodes.Block, tuples(inner))
    return st.one_of(
        made(nodes.If, EXPRESSIONS, block, optional(block)),
        made(nodes.While, EXPRESSIONS, block),
        made(nodes.For, tuples(NAMES, 1), EXPRESSIONS, block),
    )


STATEMENTS = st.recursive(SIMPLE_STATEMENTS, _extend_statements, max_leaves=6)

_WORD_LINES = st.from_regex(r"[a-z/]{1,4}( [a-zé.]{1,4})?", fullmatch=True)
DOCUMENTATION = optional(st.lists(_WORD_LINES, min_size=1, max_size=3).map("\n".join))
# The parts of `a and b` in a `where` are facts of their own.
FACTS = made(
    nodes.Fact, EXPRESSIONS.filter(lambda made: not (isinstance(made, nodes.Binary) and made.operator == "and"))
)
PARAMETERS = made(nodes.Parameter, NAMES, TYPES, optional(EXPRESSIONS))
TYPE_PARAMETERS = tuples(made(nodes.TypeParameter, NAMES, NAMES), 0, 2)
_SIGNATURE = (NAMES, TYPE_PARAMETERS, tuples(PARAMETERS), optional(TYPES), tuples(FACTS, 0, 2))
FUNCTIONS = st.one_of(
    made(
        nodes.FunctionDeclaration,
        *_SIGNATURE,
        made(nodes.Block, tuples(STATEMENTS)),
        DOCUMENTATION,
        st.none(),
        st.just(False),
    ),
    made(nodes.FunctionDeclaration, *_SIGNATURE, st.none(), DOCUMENTATION, TEXT, st.just(False)),
    made(nodes.FunctionDeclaration, *_SIGNATURE, st.none(), DOCUMENTATION, st.none(), st.booleans()),
)
STRUCTS = made(
    nodes.StructDeclaration,
    NAMES,
    TYPE_PARAMETERS,
    tuples(NAMES),
    tuples(made(nodes.Field, NAMES, TYPES, tuples(TEXT, 0, 2), DOCUMENTATION)),
    DOCUMENTATION,
)
_MODULES = st.lists(WORDS, min_size=1, max_size=3).map(".".join)
_IMPORTED = tuples(made(nodes.ImportedName, NAMES, optional(NAMES)), 1)
IMPORTS = st.one_of(
    made(nodes.ImportDeclaration, _MODULES, st.none(), st.just(NOWHERE), optional(NAMES), st.none()),
    made(nodes.ImportDeclaration, st.none(), TEXT, st.just(NOWHERE), NAMES, st.none()),
    made(nodes.ImportDeclaration, _MODULES, st.none(), st.just(NOWHERE), st.none(), _IMPORTED),
    made(nodes.ImportDeclaration, st.none(), TEXT, st.just(NOWHERE), st.none(), _IMPORTED),
)
CONSTANTS = made(nodes.ConstantDeclaration, NAMES, EXPRESSIONS, DOCUMENTATION)
MODULES = made(
    nodes.Module, tuples(st.one_of(FUNCTIONS, STRUCTS, IMPORTS, CONSTANTS)), tuples(STATEMENTS), DOCUMENTATION
)
