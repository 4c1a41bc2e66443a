"""`--debug-nan`: the first operation that gives NaN ends the program, by its place in the source."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from tensorlogic.cli import main

NET = """fn half(x: float16[N]) -> float16[N] {
    let y = x - 1
    return sqrt(y) * 0.5
}
fn mean_of(x: float16[N], w: float16[N, N]) -> float16[N] {
    let h = x @ w
    return rms_norm(half(h)) @ w.T
}
"""


def run(tmp_path: Path, text: str, *options: str) -> tuple[int, str]:
    (tmp_path / "model.tl").write_text(text, encoding="utf-8")
    done = CliRunner().invoke(main, ["run", *options, str(tmp_path / "model.tl")])
    return done.exit_code, done.output


def test_the_operation_is_named(tmp_path: Path) -> None:
    text = NET + "print(mean_of(tensor([1.0, 2.0]), eye(2) * 0.5))\n"
    assert run(tmp_path, text)[0] == 0
    code, output = run(tmp_path, text, "--debug-nan")
    assert code == 1
    assert "error[TL5027]: `sqrt(y)` gives NaN: 1 of its 2 items" in output
    assert "model.tl:3" in output


@pytest.mark.parametrize(
    "line",
    [
        "print(mean_of(tensor([4.0, 6.0]), eye(2)))",
        "print(tensor<int32>([1, 2]) + 1, zeros([0]) / 0, 1.0 / tensor([0.0]))",
        "let i = 0; while i < 3 { i = i + 1 }; print(i, tensor([1.0])[0])",
    ],
)
def test_what_is_right_prints_the_same(tmp_path: Path, line: str) -> None:
    text = f"{NET}{line}\n"
    plain = run(tmp_path, text)
    assert plain[0] == 0
    assert run(tmp_path, text, "--debug-nan") == plain


def test_fused_operations_are_told_by_their_last_one(tmp_path: Path) -> None:
    text = """fn f(x: float16[N, D], w: float16[D, D]) -> float16[N, D] { return rms_norm(x) @ w.T + x }
print(f(1e30.to(float16) - zeros([1, 2]), eye(2)))
"""
    text = text.replace("1e30.to(float16) - zeros([1, 2])", "log(zeros([1, 2]) - 1)")
    code, output = run(tmp_path, text, "--debug-nan")
    assert code == 1
    assert "`log(zeros([1, 2]) - 1)` gives NaN: 2 of its 2 items" in output
