"""Programs that the contract decides: files dropped into tests/programs, found by their names.

- `accept/x.tl` must check, compile, verify after every pass, run, and print `x.out`; float16 numbers may differ by two
  units in the last place, since a fused kernel rounds once where two operations round twice. `x.ir` and `x.py`, where
  they are there, are the IR after the passes and the emitted module, to the letter.
- `reject/x.tl` must be refused with exactly the text of `x.err`. `x.says` tells in a sentence what the text must hold.
- `fail/x.tl` must check and then end with the run-time error of `x.err`.

`pytest tests/test_programs.py --update-golden` writes `.out`, `.err`, `.ir` and `.py` anew; a file that is missing is
not made for `.ir` and `.py`.
"""

from __future__ import annotations

import io
import re
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest

from tensorlogic.compiler import driver
from tensorlogic.compiler.diagnostics.model import CompileError
from tensorlogic.compiler.diagnostics.render import render_all
from tensorlogic.runtime.errors import TensorLogicError
from tensorlogic.runtime.script import run

PROGRAMS = Path(__file__).parent / "programs"
OPTIONS = driver.Options(verify=True)
NUMBER = re.compile(r"-?(?:\d+\.\d*(?:e[+-]?\d+)?|\d+e[+-]?\d+)")


def programs(folder: str) -> list[pytest.param]:  # type: ignore[valid-type]
    return [pytest.param(path, id=path.stem) for path in sorted((PROGRAMS / folder).glob("*.tl"))]


def compiled(path: Path) -> driver.Compiled:
    try:
        return driver.compile_file(path, OPTIONS)
    except CompileError as wrong:
        pytest.fail(f"{path.name} does not check:\n{render_all(wrong.diagnostics)}")


def golden(path: Path, text: str, request: pytest.FixtureRequest) -> str:
    """What a golden file says, after writing it anew where that was asked for."""
    if request.config.getoption("--update-golden"):
        path.write_text(text, encoding="utf-8")
    return path.read_text(encoding="utf-8")


def same_output(found: str, expected: str) -> bool:
    """Equal text, apart from numbers that differ by at most two float16 units in the last place."""
    if NUMBER.sub("#", found) != NUMBER.sub("#", expected):
        return False
    a = np.array([float(n) for n in NUMBER.findall(found)])
    b = np.array([float(n) for n in NUMBER.findall(expected)])
    unit = np.spacing(np.minimum(np.abs(b), 60000.0).astype(np.float16)).astype(np.float64)
    return bool(np.all((a == b) | (np.abs(a - b) <= 2 * unit)))


@pytest.mark.parametrize("path", programs("accept"))
def test_accepted(path: Path, request: pytest.FixtureRequest) -> None:
    made = compiled(path)
    assert driver.compile_file(path, OPTIONS).python == made.python, "the same source gave other bytes"
    for suffix, text in ((".ir", made.ir), (".py", made.python)):
        file = path.with_suffix(suffix)
        if file.exists():
            assert text == golden(file, text, request)
    printed = io.StringIO()
    with redirect_stdout(printed):
        run(made.python, path.name, [])
    expected = golden(path.with_suffix(".out"), printed.getvalue(), request)
    assert same_output(printed.getvalue(), expected), printed.getvalue()


@pytest.mark.parametrize("path", programs("reject"))
def test_rejected(path: Path, request: pytest.FixtureRequest) -> None:
    errors = [d for d in driver.check_file(path, OPTIONS) if d.severity == "error"]
    assert errors, f"{path.name} checks"
    text = render_all(errors).replace(f"{path.parent}/", "") + "\n"
    assert text == golden(path.with_suffix(".err"), text, request)


@pytest.mark.parametrize("path", programs("fail"))
def test_fails_when_run(path: Path, request: pytest.FixtureRequest) -> None:
    made = compiled(path)
    with redirect_stdout(io.StringIO()), pytest.raises(TensorLogicError) as raised:
        run(made.python, path.name, [])
    text = f"{raised.value}\n"
    assert text == golden(path.with_suffix(".err"), text, request)
    assert re.fullmatch(r"[\w/]+\.tl:\d+", raised.value.where), "no .tl line"


def test_a_number_that_differs_is_seen() -> None:
    assert same_output("[2.21, 6.418] 4\n", "[2.21, 6.42] 4\n")
    assert not same_output("[2.21, 6.43] 4\n", "[2.21, 6.418] 4\n")
    assert not same_output("[2.21, 6.418] 5\n", "[2.21, 6.418] 4\n")
