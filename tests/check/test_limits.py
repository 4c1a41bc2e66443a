"""Programs that are long or deep: no recursion error, and no more facts than a proof can look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from tensorlogic.compiler import driver
from tensorlogic.compiler.dims import Kind, Polynomial, Variable
from tensorlogic.compiler.facts import MOST, Facts

MANY = 3000
DEEP = 190


def compiled(tmp_path: Path, text: str) -> str:
    path = tmp_path / "program.tl"
    path.write_text(text, encoding="utf-8")
    return driver.compile_file(path, driver.Options(verify=True)).python


def codes(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "program.tl"
    path.write_text(text, encoding="utf-8")
    return [d.code for d in driver.check_file(path)]


DEEP_PROGRAMS = {
    "parentheses": "let x = " + "(" * DEEP + "1" + ")" * DEEP,
    "a sum of tensors": "let a = ones([2])\nlet x = " + " + ".join(["a"] * DEEP),
    "a chain of `and`": "let b = bool(ones([]))\nlet x = " + " and ".join(["b"] * DEEP),
    "nested lists": "let x = " + "[" * DEEP + "1" + "]" * DEEP,
    "attributes": "let a = ones([2, 2])\nlet x = a" + ".T" * DEEP,
    "conditional values": "let b = bool(ones([]))\nlet x = " + "if b { 1 } else { " * 90 + "2" + " }" * 90,
    "nested loops": "".join(f"for i{k} in 0..2 {{\n" for k in range(16)) + "print(1)\n" + "}\n" * 16,
    "list types": "fn f(x: " + "[" * DEEP + "int" + "]" * DEEP + ") -> int { return 1 }",
    "function types": "fn f(x: " + "fn(" * DEEP + "int" + ") -> int" * DEEP + ") -> int { return 1 }",
    "constants": "".join(f"const A{k} = A{k + 1} + 1\n" for k in range(MANY)) + f"const A{MANY} = 1",
    "functions": "".join(f"fn f{k}(n: int) -> int {{ return f{k + 1}(n) }}\n" for k in range(MANY))
    + f"fn f{MANY}(n: int) -> int {{ return n }}",
    "structs": "".join(f"struct S{k} {{ a: S{k + 1} }}\n" for k in range(MANY)) + f"struct S{MANY} {{ a: int }}",
}


@pytest.mark.parametrize("text", DEEP_PROGRAMS.values(), ids=DEEP_PROGRAMS)
def test_what_is_deep_compiles(tmp_path: Path, text: str) -> None:
    assert "def main" in compiled(tmp_path, text + "\nprint(1)\n")


def test_a_long_circle_is_told_once(tmp_path: Path) -> None:
    constants = "".join(f"const A{k} = A{k + 1}\n" for k in range(MANY)) + f"const A{MANY} = A0\n"
    assert codes(tmp_path, constants) == ["TL2016"]
    structs = "".join(f"struct S{k} {{ a: S{k + 1} }}\n" for k in range(MANY)) + f"struct S{MANY} {{ a: S0 }}\n"
    assert codes(tmp_path, structs) == ["TL1013"]


def test_imports_have_a_depth(tmp_path: Path) -> None:
    for k in range(150):
        (tmp_path / f"m{k}.tl").write_text(f'import "m{k + 1}.tl" as n\n', encoding="utf-8")
    (tmp_path / "m150.tl").write_text("const A = 1\n", encoding="utf-8")
    assert codes(tmp_path, 'import "m0.tl" as n\n') == ["TL0104"]
    assert codes(tmp_path, 'import "m60.tl" as n\n') == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("let x = 9 ** 64\n", ["TL2007"]),
        ("let x = 9_000_000_000_000_000_000 + 1_000_000_000_000_000_000\n", ["TL2007"]),
        ("const X = 9 ** 64\n", ["TL2016"]),
        ("let x = 2 ** 62\n", []),
        ("fn f(a: int, b: int, c: int, d: int) -> int { return (a + b + c + d) ** 64 }\n", []),
    ],
)
def test_ints_are_bounded(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert codes(tmp_path, text) == expected


def test_a_long_product_of_sums_is_an_unknown_int(tmp_path: Path) -> None:
    names = [chr(ord("a") + k) for k in range(4)]
    squares = "".join(f"    let s{k + 1} = s{k} * s{k}\n" for k in range(12))
    parameters = ", ".join(f"{n}: int" for n in names)
    text = f"fn f({parameters}) -> int {{\n    let s0 = {' + '.join(names)}\n{squares}    return s12\n}}\n"
    assert codes(tmp_path, text) == []


def test_facts_do_not_pile_up() -> None:
    n, k = Polynomial.of(Variable("n", Kind.INTEGER)), Polynomial.of(Variable("k", Kind.INTEGER))
    facts = Facts()
    for i in range(MANY):
        facts = facts.with_bound(n - k - i)
    assert facts.bounds == (n - k - (MANY - 1),)
    assert facts.with_bound(n - k) is facts


def test_the_first_facts_and_the_newest_stay() -> None:
    n = Polynomial.of(Variable("n", Kind.INTEGER))
    others = [Polynomial.of(Variable(f"v{i}", Kind.INTEGER)) for i in range(MOST + 100)]
    facts = Facts()
    for other in others:
        facts = facts.with_bound(n - other)
    assert len(facts.bounds) == MOST
    assert facts.nonnegative(n - others[0])
    assert facts.nonnegative(n - others[-1])
    assert not facts.nonnegative(n - others[MOST // 2 - 10])
