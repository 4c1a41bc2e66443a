"""Programs that the generators found, the smallest of each kind: each was once refused, or ran to a wrong end."""

from __future__ import annotations

import pytest

from tests.properties.arguments import Argument, Array
from tests.properties.running import compiled, outcome

FOUND: list[tuple[str, dict[str, Argument], Array]] = [
    (
        "fn f(x: float16[P]) -> float16[P] { return if P == 1 { 2 - x } else { relu(x) } }",
        {"x": Array("float16", (3,))},
        Array("float16", (3,)),
    ),
    (
        "fn f(x: float16[P]) -> float16[P] {\n    let y = x\n    if P == 1 { y = x[0:1] }\n    return y\n}",
        {"x": Array("float16", (1,))},
        Array("float16", (1,)),
    ),
    (
        "fn some(x: float16[P]) -> float16[?S] { return x[arange(P) < 2] }\n"
        "fn f(x: float16[N]) -> float16[?] {\n    let y = some(x)\n    return y[1:]\n}",
        {"x": Array("float16", (3,))},
        Array("float16", (1,)),
    ),
]


@pytest.mark.parametrize(("source", "arguments", "expected"), FOUND)
def test_it_runs(source: str, arguments: dict[str, Argument], expected: Array) -> None:
    assert outcome(compiled(source), arguments) == (expected,)
