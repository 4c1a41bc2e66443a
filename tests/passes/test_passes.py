"""What each pass makes of the IR, and what it leaves alone."""

from __future__ import annotations

from tests.passes.helpers import stages


def change(text: str, before: str, after: str) -> tuple[set[str], set[str]]:
    """The lines that a stage took away, and those that it put there."""
    first, second = stages(text, before, after)
    return set(first) - set(second), set(second) - set(first)


# --- fold


def test_folding_writes_known_host_values() -> None:
    removed, added = change("let n = 2 * 3\nprint(n, 1.5 + 1.0)\n", "check", "fold")
    assert "%n = host.multiply %0, %1 : int" in removed
    assert "%n = constant {value: 6} : int" in added
    assert any("constant {value: 2.5}" in line for line in added)


def test_folding_leaves_what_only_run_time_knows() -> None:
    _, after = stages("fn f(n: int) -> int { return n * 2 + 0 * n }", "check", "fold")
    assert any("= host.multiply %n" in line for line in after)


def test_folding_takes_items_out_of_tuples_made_here() -> None:
    _, after = stages("fn f(a: int, b: int) -> int { let (x, y) = (b, a + 1); return x - y }", "check", "fold")
    assert not any(" item " in line for line in after)
    assert any(line.startswith("%y = host.add") for line in after)


def test_folding_keeps_items_of_tuples_that_come_from_elsewhere() -> None:
    text = "fn g(a: int) -> (int, int) { return (a, a) }\nfn f(a: int) -> int { let (x, y) = g(a); return x - y }"
    assert stages(text, "check")[0].count("%x = item {index: 0} %1 : int") == stages(text, "fold")[0].count(
        "%x = item {index: 0} %1 : int"
    )


def test_folding_takes_the_branch_of_a_known_condition() -> None:
    text = "const FAST = true\nfn f(x: float16[N]) -> float16[N] { return if FAST { x * 2 } else { x * 3 } }"
    _, after = stages(text, "check", "fold")
    assert not any("if " in line for line in after)
    assert sum("= multiply" in line for line in after) == 1


def test_nothing_follows_a_known_branch_that_leaves() -> None:
    text = """
    const FAST = true
    fn f(x: float16[N], c: bool, n: int) -> float16[N] {
        let y = x
        for i in 0..n {
            if FAST { y = y * 2; continue }
            y = y * 3
        }
        if c { return y } else { if FAST { return y * 4 }; y = y * 5 }
        return y * 6
    }
    """
    before, after = stages(text, "check", "fold")
    assert sum("= multiply" in line for line in before) == 5
    assert sum("= multiply" in line for line in after) == 2


# --- transposes


def test_a_transposed_right_side_is_read_as_it_lies() -> None:
    removed, added = change(
        "fn f(x: float16[N, K], w: float16[M, K]) -> float16[N, M] { return x @ w.T }", "check", "transposes"
    )
    assert any("= matmul %x" in line for line in removed)
    assert any("matmul_transposed %x, %w" in line for line in added)


def test_two_transposes_cancel() -> None:
    (after,) = stages("fn f(x: float16[N, K]) -> float16[N, K] { return x.T.T }", "transposes")
    assert after[-1] == "return %x"


def test_a_transposed_left_side_stays() -> None:
    (after,) = stages("fn f(x: float16[K, N], w: float16[K, M]) -> float16[N, M] { return x.T @ w }", "transposes")
    assert any("transpose_last %x" in line for line in after)
    assert any("= matmul " in line for line in after)


# --- common


TWICE = "fn f(x: float16[N]) -> float16[N] { return exp(x) * exp(x) }"


def test_what_is_computed_twice_is_computed_once() -> None:
    before, after = stages(TWICE, "transposes", "common")
    assert sum("exp %x" in line for line in before) == 2
    assert sum("exp %x" in line for line in after) == 1


def test_a_second_name_is_an_alias() -> None:
    text = "fn f(x: float16[N]) -> float16[N] { let a = exp(x); let b = exp(x); return a * b + a / b }"
    (after,) = stages(text, "common")
    assert "%b = retype %a : float16[N]" in after
    assert sum("exp %x" in line for line in after) == 1


def test_what_equals_an_alias_is_found_too() -> None:
    text = "fn f(x: float16[N]) -> float16[N] { let a = exp(x); let b = exp(x); return log(a) * log(b) }"
    (after,) = stages(text, "common")
    assert sum("= log " in line for line in after) == 1


def test_a_branch_uses_what_stands_before_it_but_not_the_other_branch() -> None:
    text = """fn f(x: float16[N], c: bool) -> float16[N] {
        let y = exp(x)
        if c { y = exp(x) + log(x) } else { y = log(x) }
        return y
    }"""
    (after,) = stages(text, "common")
    assert sum("exp %x" in line for line in after) == 1
    assert sum("log %x" in line for line in after) == 2


def test_constants_of_other_kinds_and_signs_stay_apart() -> None:
    (after,) = stages('print(1, 1.0, true, 0.0, -0.0, 1, "1")\n', "common")
    values = [line.split("{value: ")[1].split("}")[0] for line in after if "constant" in line]
    assert values == ["1", "1.0", "True", "0.0", "-0.0", '"1"']


def test_checks_debugging_and_what_acts_are_never_merged() -> None:
    text = """
fn g(x: float16[N], n: int) -> float16[N] { assert n > 0; return x }
fn h(x: float16[N], n: int) -> float16[N] { return g(x, n) }
fn pure(x: float16[N]) -> float16[N] { return x * 2 }
fn f(x: float16[N], n: int) -> float16[N] {
    return h(x, n) + h(x, n) + debug(x, "x") + debug(x, "x") + pure(x) + pure(x)
}"""
    (after,) = stages(text, "common")
    assert sum('callee: "h"' in line for line in after) == 2
    assert sum("debug" in line for line in after) == 2
    assert sum('callee: "pure"' in line for line in after) == 1


# --- dead


def test_what_nothing_uses_is_removed() -> None:
    text = "fn f(x: float16[N]) -> float16[N] { let unused = exp(x); let also = unused * 2; return x }"
    assert stages(text, "dead") == [["return %x"]]


def test_a_branch_whose_results_nothing_uses_is_removed() -> None:
    text = "fn f(x: float16[N], c: bool) -> float16[N] { let y = x; if c { y = exp(x) }; return x }"
    assert stages(text, "dead") == [["return %x"]]


def test_checks_and_what_acts_stay() -> None:
    text = """
fn g(x: float16[N], n: int) -> float16[N] { assert n > 0; return x }
fn pure(x: float16[N]) -> float16[N] { return x * 2 }
fn f(x: float16[?], y: float16[?], n: int) -> float16[?] {
    let a = x + y
    let b = g(x, n)
    let c = pure(x)
    let d = debug(x, "x")
    if n > 3 { assert n > 5 }
    return x
}"""
    (after,) = stages(text, "dead")
    # The sizes of x and y, that of x where g wants at least 1, and the two assertions.
    assert sum("demand" in line for line in after) == 4
    assert sum('callee: "g"' in line for line in after) == 1
    assert sum("debug" in line for line in after) == 1
    assert not any('callee: "pure"' in line or "= add" in line for line in after)


# --- packing


LINEAR = """
struct Linear[I, O] { weight: float16[O, I] }
fn apply(l: Linear[I, O], x: float16[N, I]) -> float16[N, O] { return x @ l.weight.T }
fn norm(l: Linear[I, O]) -> float16[] { return sum(l.weight * l.weight) }
fn both(w: float16[V, D], ids: int32[N]) -> float16[N, D] { return embedding(ids, w) + w[0] }
"""


def test_a_packed_weight_is_kept_for_matmul_and_expanded_once_elsewhere() -> None:
    (after,) = stages(LINEAR, "packing")
    assert any('matmul_transposed {packed: ["b"]}' in line for line in after)
    assert any("embedding {packed:" in line for line in after)
    assert sum("= expand " in line for line in after) == 2


def test_vectors_and_integers_are_never_packed() -> None:
    (after,) = stages(
        "struct S[N] { g: float16[N]; i: int32[N, N] }\n"
        "fn f(s: S[N]) -> float16[N] { return s.g * s.i[0].to(float16) }",
        "packing",
    )
    assert not any("expand" in line for line in after)
