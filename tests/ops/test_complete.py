"""The op table and the prelude say the same: no op lacks one of its parts."""

from __future__ import annotations

import inspect
from collections import defaultdict

import pytest

from tensorlogic.compiler.names import PRELUDE
from tensorlogic.compiler.ops.all_ops import OPS
from tensorlogic.compiler.ops.table import NO_COREML
from tensorlogic.compiler.source import Source
from tensorlogic.compiler.syntax import nodes, parse
from tests.ops.catalogue import CASES, REFERENCES

FORMS = frozenset({"host.len", "transpose_last", "astype"})
"""Ops that the checker makes of something else than a call of a prelude function with their name."""
STATEFUL = frozenset({"update_cache"})
"""Ops whose operands no case can write down; tests/runtime/test_caching.py holds a cache beside concatenation."""


def _declarations() -> dict[str, list[nodes.FunctionDeclaration]]:
    """The prelude's functions without a body by the op that they stand for; overloads on host values are the host's."""
    tree, problems = parse(Source("prelude.tl", PRELUDE.read_text(encoding="utf-8")), prelude=True)
    assert problems == []
    by_name: dict[str, list[nodes.FunctionDeclaration]] = defaultdict(list)
    for declaration in tree.declarations:
        if isinstance(declaration, nodes.FunctionDeclaration) and declaration.body is None:
            by_name[declaration.name.name].append(declaration)
    by_op: dict[str, list[nodes.FunctionDeclaration]] = defaultdict(list)
    for name, overloads in by_name.items():
        for declaration in overloads:
            is_host = len(overloads) > 1 and not any(_is_tensor(p.type) for p in declaration.parameters)
            by_op[f"host.{name}" if is_host else name].append(declaration)
    return by_op


def _is_tensor(node: nodes.TypeExpression) -> bool:
    if isinstance(node, nodes.OptionalType | nodes.ListType):
        return _is_tensor(node.item)
    return isinstance(node, nodes.NamedType) and node.dims is not None


DECLARATIONS = _declarations()


@pytest.mark.parametrize("name", DECLARATIONS)
def test_a_function_without_body_is_in_the_table(name: str) -> None:
    assert name in OPS
    assert OPS[name].parameters == ()


@pytest.mark.parametrize("name", OPS)
def test_an_op_has_its_operands_from_one_place(name: str) -> None:
    """The prelude declares it, or it is an operator or a form, and names them itself."""
    if name in DECLARATIONS:
        declared = {tuple(p.name.name for p in declaration.parameters) for declaration in DECLARATIONS[name]}
        assert len(declared) == 1, "overloads of one op have the same parameters"
    else:
        assert OPS[name].parameters or name in FORMS


@pytest.mark.parametrize("name", DECLARATIONS)
def test_a_function_is_builtin_exactly_where_there_is_a_rule(name: str) -> None:
    for declaration in DECLARATIONS[name]:
        assert declaration.builtin == (OPS[name].rule is not None)


@pytest.mark.parametrize("name", DECLARATIONS)
def test_a_function_is_documented(name: str) -> None:
    for declaration in DECLARATIONS[name]:
        text = declaration.documentation
        assert text is not None
        assert text.strip().endswith((".", ")."))


@pytest.mark.parametrize("name", sorted(OPS.keys() - STATEFUL))
def test_an_op_has_a_reference_and_a_case(name: str) -> None:
    assert name in REFERENCES
    assert any(case.op == name for case in CASES)


@pytest.mark.parametrize("name", OPS)
def test_an_op_says_its_core_ml_lowering(name: str) -> None:
    assert OPS[name].coreml == NO_COREML or OPS[name].coreml.isidentifier()


def test_references_and_cases_are_of_ops() -> None:
    assert set(REFERENCES) <= set(OPS)
    assert {case.op for case in CASES} <= set(OPS)


@pytest.mark.parametrize("name", sorted(DECLARATIONS.keys() - STATEFUL))
def test_a_reference_takes_the_declared_parameters(name: str) -> None:
    """Named functions have the parameters' names, so that a case may name its arguments."""
    reference = REFERENCES[name]
    if inspect.isfunction(reference) and not name.startswith("host.") and name not in ("int", "float", "bool"):
        (declaration, *_) = DECLARATIONS[name]
        assert list(inspect.signature(reference).parameters) == [p.name.name for p in declaration.parameters]
