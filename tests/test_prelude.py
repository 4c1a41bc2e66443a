"""The prelude read by parts says what it says as a whole."""

from __future__ import annotations

import pytest

from tensorlogic.compiler import driver
from tensorlogic.compiler.names import PRELUDE, FunctionSymbol
from tensorlogic.compiler.prelude import prelude
from tensorlogic.compiler.source import Source
from tensorlogic.compiler.syntax import dump, nodes, parse


def test_every_declaration_is_found_with_its_place_and_its_documentation() -> None:
    whole, problems = parse(Source("prelude.tl", PRELUDE.read_text(encoding="utf-8")), prelude=True)
    assert problems == []
    assert whole.statements == ()
    found: list[nodes.Node] = []
    for name, symbol in prelude().scope.items():
        assert isinstance(symbol, FunctionSymbol)
        assert {declaration.name.name for declaration in symbol.declarations} == {symbol.name} == {name}
        found += symbol.declarations
    found.sort(key=lambda node: node.span.start)
    assert [dump(node, places=True) for node in found] == [dump(node, places=True) for node in whole.declarations]


def test_only_what_is_used_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = prelude.__wrapped__()
    monkeypatch.setattr(driver, "prelude", lambda: fresh)
    text = Source("a.tl", "fn f(x: float16[N]) -> float16[N] { return relu(exp(x)) }\n")
    assert driver._checked(text, None, driver.DEFAULT_OPTIONS).diagnostics == []
    assert {name for name, symbol in fresh.scope.items() if "declarations" in vars(symbol)} == {"relu", "exp"}
