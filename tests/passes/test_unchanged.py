"""No pass changes what a program computes: random functions give the same with every choice of passes."""

from __future__ import annotations

import pytest

from tensorlogic.compiler import driver
from tensorlogic.compiler.passes import PASSES
from tests.emit.random_functions import random_functions
from tests.emit.test_random_functions import ARGUMENTS, run

CHOICES = [(), *((name,) for name in PASSES), tuple(reversed(PASSES)), tuple(PASSES) * 2]


@pytest.mark.parametrize("seed", range(100, 103))
@pytest.mark.parametrize("chosen", CHOICES, ids="+".join)
def test_functions_of_ints(seed: int, chosen: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    program, python, names = random_functions(seed, 3)
    passes = {f"{name}{i}": PASSES[name] for i, name in enumerate(chosen)}
    monkeypatch.setattr("tensorlogic.compiler.passes.PASSES", passes)
    emitted = run(driver.compile_text(program, options=driver.Options(verify=True)).python)
    expected = run(python)
    for name in names:
        for arguments in ARGUMENTS:
            assert emitted[name](*arguments) == expected[name](*arguments), f"{name}{arguments} of\n{program}"


TENSORS = """
fn f(x: float16[N, N], w: float16[N, N], n: int) -> float16[N, N] {
    let y = x @ w.T
    let z = x @ w.T
    let (a, b) = (y * 2, z * 2)
    for i in 0..n {
        (a, b) = (b @ w.T.T, a + exp(x) - exp(x))
        let unused = exp(a)
        if i == 1 { a = (x @ w.T) * 2; continue }
        b = b + y
    }
    return a - b + z
}
"""


@pytest.mark.parametrize("chosen", CHOICES, ids="+".join)
def test_functions_of_tensors(chosen: tuple[str, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    x, w = np.array([[1.0, 2.0], [0.5, -1.0]]), np.array([[0.5, 1.0], [-1.0, 0.25]])
    y = x @ w.T
    a, b = y * 2, y * 2
    for i in range(3):
        a, b = b @ w, a
        if i == 1:
            a = (x @ w.T) * 2
            continue
        b = b + y
    monkeypatch.setattr("tensorlogic.compiler.passes.PASSES", {f"{n}{i}": PASSES[n] for i, n in enumerate(chosen)})
    module = run(driver.compile_text(TENSORS, options=driver.Options(verify=True)).python)
    np.testing.assert_allclose(np.array(module["f"](x, w, 3)), a - b + y, rtol=2e-3, atol=2e-3)
