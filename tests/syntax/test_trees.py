"""Trees: what each construct becomes, how operators bind, and which text each node covers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tensorlogic.compiler.source import Source
from tensorlogic.compiler.syntax import dump, nodes, parse, show_expression
from tensorlogic.compiler.syntax.walk import children
from tests.syntax.helpers import expression, same, statements, tree


@pytest.mark.parametrize(
    ("text", "grouped"),
    [
        ("a + b + c", "(a + b) + c"),
        ("a - b - c", "(a - b) - c"),
        ("a + b * c", "a + (b * c)"),
        ("a @ b * c / d % e", "(((a @ b) * c) / d) % e"),
        ("a ** b ** c", "a ** (b ** c)"),
        ("-a ** b", "-(a ** b)"),
        ("a ** -b ** c", "a ** (-(b ** c))"),
        ("a ** -b * c", "(a ** (-b)) * c"),
        ("-a * b", "(-a) * b"),
        ("~a & b", "(~a) & b"),
        ("-a.b[0](c)", "-(((a.b)[0])(c))"),
        ("a ** b.c", "a ** (b.c)"),
        ("a | b & c + d", "a | (b & (c + d))"),
        ("a | b..c | d", "(a | b)..(c | d)"),
        ("a in b..c", "a in (b..c)"),
        ("a + b == c | d", "(a + b) == (c | d)"),
        ("a not in b + c", "a not in (b + c)"),
        ("not a == b", "not (a == b)"),
        ("not a in b", "not (a in b)"),
        ("not not a and b", "(not (not a)) and b"),
        ("a and b or c and d", "(a and b) or (c and d)"),
        ("a or b or c", "(a or b) or c"),
        ("a == b and c < d", "(a == b) and (c < d)"),
        ("|x| x + y", "|x| (x + y)"),
        ("|x| |y| x | y", "|x| (|y| (x | y))"),
        ("if a == b { c } else { d }", "if (a == b) { (c) } else { (d) }"),
    ],
)
def test_precedence(text: str, grouped: str) -> None:
    assert same(expression(text), expression(grouped))


def test_each_kind_of_expression() -> None:
    call = expression("f(a, eps: 1e-6,)")
    assert isinstance(call, nodes.Call)
    assert [argument.name.name if argument.name else None for argument in call.arguments] == [None, "eps"]
    assert call.type_arguments == ()
    made = expression("tensor<float16>([[1.0, 2.0], []], device: gpu)")
    assert isinstance(made, nodes.Call)
    assert isinstance(made.callee, nodes.Name)
    assert made.callee.name == "tensor"
    assert len(made.type_arguments) == 1
    bound = expression("bind<Llama>(model)")
    assert isinstance(bound, nodes.Call)
    assert isinstance(bound.callee, nodes.Name)
    assert bound.callee.name == "bind"
    chosen = expression("where(a, b, c)")
    assert isinstance(chosen, nodes.Call)
    assert isinstance(chosen.callee, nodes.Name)
    assert chosen.callee.name == "where"
    method = expression("a.where(b, c)")
    assert isinstance(method, nodes.Call)
    assert isinstance(method.callee, nodes.Attribute)
    assert method.callee.name.name == "where"
    for text, kind in (
        ("(a, b)", nodes.TupleExpression),
        ("(a, b,)", nodes.TupleExpression),
        ("[]", nodes.ListExpression),
        ("[a, b,]", nodes.ListExpression),
        ("(a)", nodes.Name),
        ("|| a", nodes.Lambda),
        ("|x, y| a", nodes.Lambda),
        ("0..n", nodes.RangeExpression),
        ("true", nodes.BooleanLiteral),
        ("none", nodes.NoneLiteral),
        ('f"{a}b"', nodes.FormatString),
    ):
        assert type(expression(text)) is kind


def test_index_items() -> None:
    index = expression("x[0, -1, ..., none, :, a:, :b, a:b, ::c, a:b:c, ids]")
    assert isinstance(index, nodes.Index)
    shown = []
    for item in index.items:
        if isinstance(item, nodes.Slice):
            parts = (item.start, item.stop, item.step)
            shown.append("/".join("-" if part is None else show_expression(part) for part in parts))
        else:
            shown.append(type(item).__name__)
    assert shown == [
        "IntegerLiteral",
        "Unary",
        "Ellipsis",
        "NoneLiteral",
        "-/-/-",
        "a/-/-",
        "-/b/-",
        "a/b/-",
        "-/-/c",
        "a/b/c",
        "Name",
    ]


def test_else_if_in_an_expression() -> None:
    conditional = expression("if a { b } else if c { d } else { e }")
    assert isinstance(conditional, nodes.Conditional)
    assert isinstance(conditional.otherwise, nodes.Conditional)


def test_an_if_that_begins_a_statement_is_a_statement() -> None:
    (statement,) = statements("if a { b } else if c { d } else { e }")
    assert isinstance(statement, nodes.If)
    assert statement.otherwise is not None
    (inner,) = statement.otherwise.statements
    assert isinstance(inner, nodes.If)
    assert inner.otherwise is not None
    (let,) = statements("let x = if a { b } else { c }")
    assert isinstance(let, nodes.Let)
    assert isinstance(let.value, nodes.Conditional)


TYPES = """\
fn f<T: float, U: any>(
    a: int,
    b: float16[],
    c: T[...B, N, 2*(H+1)/D - 1] = none,
    d: float16[?, ?S, ...],
    e: Linear<float16>[I, O]?,
    g: [Block[D, ?]]??,
    h: (int, fn(A, B) -> C?),
    i: (fn() -> A)?,
    j: Pair<T, U>,
) -> (int, int) where N % 2 == 0, N <= M and M < 3 { }
"""


def test_types() -> None:
    (function,) = tree(TYPES).declarations
    assert isinstance(function, nodes.FunctionDeclaration)
    assert [(parameter.name.name, parameter.bound.name) for parameter in function.type_parameters] == [
        ("T", "float"),
        ("U", "any"),
    ]
    by_name = {parameter.name.name: parameter for parameter in function.parameters}
    assert isinstance(by_name["a"].type, nodes.NamedType)
    assert by_name["a"].type.dims is None
    assert isinstance(by_name["b"].type, nodes.NamedType)
    assert by_name["b"].type.dims == ()
    assert isinstance(by_name["c"].default, nodes.NoneLiteral)
    assert isinstance(by_name["d"].type, nodes.NamedType)
    assert by_name["d"].type.dims is not None
    assert [type(dim) for dim in by_name["d"].type.dims] == [nodes.UnknownDim, nodes.UnknownDim, nodes.Pack]
    assert isinstance(by_name["e"].type, nodes.OptionalType)
    assert isinstance(by_name["g"].type, nodes.OptionalType)
    assert isinstance(by_name["g"].type.item, nodes.OptionalType)
    assert isinstance(by_name["h"].type, nodes.TupleType)
    made = by_name["h"].type.items[1]
    assert isinstance(made, nodes.FunctionType)
    assert isinstance(made.result, nodes.OptionalType)
    assert isinstance(by_name["i"].type, nodes.OptionalType)
    assert isinstance(by_name["i"].type.item, nodes.FunctionType)
    assert isinstance(by_name["j"].type, nodes.NamedType)
    assert len(by_name["j"].type.type_arguments) == 2
    assert [show_expression(fact.condition) for fact in function.where] == ["N % 2 == 0", "N <= M", "M < 3"]


def test_declarations() -> None:
    module = tree(
        """\
import nn
import nn.layers as layers
import "a.tl" as a
from nn import linear, rms_norm as norm
from "a.tl" import b
const EPS = 1e-5
struct Linear<T: float>[I, O] {
    weight: T[O, I] = "output.weight" | "token_embd.weight", bias: T[O]?
}
struct Empty { }
extern "numpy.linalg" fn norm(x: float16[N]) -> float16[]
"""
    )
    imports = [item for item in module.declarations if isinstance(item, nodes.ImportDeclaration)]
    assert [(item.module, item.path, item.alias.name if item.alias else None) for item in imports] == [
        ("nn", None, None),
        ("nn.layers", None, "layers"),
        (None, "a.tl", "a"),
        ("nn", None, None),
        (None, "a.tl", None),
    ]
    assert imports[0].names is None
    assert imports[3].names is not None
    assert [(item.name.name, item.alias.name if item.alias else None) for item in imports[3].names] == [
        ("linear", None),
        ("rms_norm", "norm"),
    ]
    linear, empty, external = module.declarations[6:]
    assert isinstance(linear, nodes.StructDeclaration)
    assert [dim.name for dim in linear.dims] == ["I", "O"]
    assert [field.keys for field in linear.fields] == [("output.weight", "token_embd.weight"), ()]
    assert isinstance(empty, nodes.StructDeclaration)
    assert empty.fields == ()
    assert isinstance(external, nodes.FunctionDeclaration)
    assert external.external == "numpy.linalg"
    assert external.body is None


def test_the_prelude_may_leave_out_bodies() -> None:
    first, second, third = tree(
        "fn exp<T: float>(x: T[...B]) -> T[...B]\n/// Doc.\nbuiltin fn reshape(x: int)\nfn f() { }", prelude=True
    ).declarations
    assert isinstance(first, nodes.FunctionDeclaration)
    assert isinstance(second, nodes.FunctionDeclaration)
    assert isinstance(third, nodes.FunctionDeclaration)
    assert (first.body, first.builtin) == (None, False)
    assert (second.body, second.builtin, second.documentation) == (None, True, "Doc.")
    assert third.body is not None


def test_statements() -> None:
    found = statements(
        """\
let x = 1
let y: int = 2
let (a, b) = f()
(a, b) = g()
x = 3
(x) = 4
x **= 5
for i in 0..3 { continue }
for (i, j) in enumerate(x) { break }
while x { }
assert x
assert x, "message"
f(x)
"""
    )
    assert [type(statement).__name__ for statement in found] == [
        "Let",
        "Let",
        "Let",
        "Assign",
        "Assign",
        "Assign",
        "AugmentedAssign",
        "For",
        "For",
        "While",
        "Assert",
        "Assert",
        "ExpressionStatement",
    ]
    assert isinstance(found[3], nodes.Assign)
    assert [name.name for name in found[3].names] == ["a", "b"]
    assert isinstance(found[5], nodes.Assign)
    assert found[5].names[0].span.text == "x"
    assert isinstance(found[6], nodes.AugmentedAssign)
    assert (found[6].operator, found[6].operator_span.text) == ("**", "**=")


def test_main_holds_statements_of_the_file() -> None:
    assert same(tree("a\nmain { b; c }\nd"), tree("a; b; c; d"))


# --- spans ---


def every_node(node: nodes.Node) -> Iterator[nodes.Node]:
    yield node
    for child in children(node):
        yield from every_node(child)


@pytest.mark.parametrize(
    ("text", "kind", "covered"),
    [
        ("(a + b) * c", nodes.Binary, "(a + b) * c"),
        ("f((a), b)[0].c", nodes.Attribute, "f((a), b)[0].c"),
        ("x[1 : 2, ...]", nodes.Slice, "1 : 2"),
        ("x[:]", nodes.Slice, ":"),
        ("x[::2]", nodes.Slice, "::2"),
        ("x[ ... ]", nodes.Ellipsis, "..."),
        ("f(eps : 1)", nodes.Argument, "eps : 1"),
        ("[ a, b , ]", nodes.ListExpression, "[ a, b , ]"),
        ("( a, b )", nodes.TupleExpression, "( a, b )"),
        ("if a { b } else { c }", nodes.Conditional, "if a { b } else { c }"),
        ("|x| x", nodes.Lambda, "|x| x"),
        ('f"a{ b }"', nodes.FormatString, 'f"a{ b }"'),
        ("tensor<int>(a)", nodes.Call, "tensor<int>(a)"),
        ("- a", nodes.Unary, "- a"),
        ("a .. b", nodes.RangeExpression, "a .. b"),
        ('"a\\n"', nodes.StringLiteral, '"a\\n"'),
    ],
)
def test_spans_of_expressions(text: str, kind: type[nodes.Node], covered: str) -> None:
    found = next(node for node in every_node(expression(text)) if isinstance(node, kind))
    assert found.span.text == covered


@pytest.mark.parametrize(
    ("text", "kind", "covered"),
    [
        ("let x: int = 1 // c", nodes.Let, "let x: int = 1"),
        ("return;", nodes.Return, "return"),
        ("if a { b } else { c } // d", nodes.If, "if a { b } else { c }"),
        ("while a { b }", nodes.Block, "{ b }"),
        ("for i in x { }", nodes.For, "for i in x { }"),
        ("fn f() -> int { }", nodes.FunctionDeclaration, "fn f() -> int { }"),
        ('extern "m" fn f(a: int) // c', nodes.FunctionDeclaration, 'extern "m" fn f(a: int)'),
        ("fn f() where A == 1, B < 2 { }", nodes.Fact, "A == 1"),
        ("fn f<T : any>() { }", nodes.TypeParameter, "T : any"),
        ("fn f(a: A = 1) { }", nodes.Parameter, "a: A = 1"),
        ("fn f(a: A<B>[C]?) { }", nodes.OptionalType, "A<B>[C]?"),
        ("fn f(a: A<B> = 1) { }", nodes.NamedType, "A<B>"),
        ("fn f(a: (fn() -> B)?) { }", nodes.FunctionType, "(fn() -> B)"),
        ("fn f(a: A[?S]) { }", nodes.UnknownDim, "?S"),
        ("fn f(a: A[...B]) { }", nodes.Pack, "...B"),
        ('struct S { a: A = "x" | "y" }', nodes.Field, 'a: A = "x" | "y"'),
        ("const A = 1;", nodes.ConstantDeclaration, "const A = 1"),
        ("import a.b // c", nodes.ImportDeclaration, "import a.b"),
        ("from a import b as c", nodes.ImportedName, "b as c"),
    ],
)
def test_spans_of_the_rest(text: str, kind: type[nodes.Node], covered: str) -> None:
    module, _ = parse(Source("test.tl", text))
    found = next(node for node in every_node(module) if isinstance(node, kind))
    assert found.span.text == covered


def test_children_lie_within_their_parents() -> None:
    module = tree(TYPES + 'main { let x = f"{(a, b)[0]:}"; x += |y| y }'.replace(":}", "}"))
    for node in every_node(module):
        for child in children(node):
            assert node.span.start <= child.span.start <= child.span.end <= node.span.end


def test_dumps() -> None:
    module = tree("let x: float16[N] = -1")
    assert dump(module.statements[0]) == (
        "Let\n"
        "  names:\n"
        "    Identifier name='x'\n"
        "  type: NamedType name=float16\n"
        "    dims:\n"
        "      Name name='N'\n"
        "  value: Unary operator='-'\n"
        "    operand: IntegerLiteral value=1\n"
    )
    assert "value: Unary @1:21 operator='-'" in dump(module, places=True)
