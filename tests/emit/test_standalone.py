"""Standalone modules: they run where TensorLogic cannot be imported, and refuse what needs its files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tensorlogic.compiler import driver
from tensorlogic.compiler.diagnostics.model import CompileError

ACCEPTED = Path(__file__).parent.parent / "programs" / "accept"
ALONE = driver.Options(verify=True, standalone=True)
WITHOUT = """
import runpy, sys
sys.modules["tensorlogic"] = None
sys.modules["numpy"] = None
runpy.run_path(sys.argv[1], run_name=sys.argv[2])
"""


def run(module: Path, name: str = "__main__") -> str:
    """What a module prints in a process that has neither TensorLogic nor NumPy."""
    command = [sys.executable, "-W", "error", "-c", WITHOUT, str(module), name]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


ALIKE = ["names", "structs", "generics", "unknown", "indexing", "printing", "dtypes", "externs"]
ALIKE += ["mlp", "optional_parts", "keyword_names", "recurrent", "convolution", "sizes_by_value"]


@pytest.mark.parametrize("name", ALIKE)
def test_a_script_prints_the_same(name: str, tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(driver.compile_file(ACCEPTED / f"{name}.tl", ALONE).python, encoding="utf-8")
    assert run(module) == (ACCEPTED / f"{name}.out").read_text(encoding="utf-8")


def test_importing_runs_nothing(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(driver.compile_text('print("hello")\n', options=ALONE).python, encoding="utf-8")
    assert run(module, "module") == ""


def test_entries_check_and_are_called_as_the_source_calls_them(tmp_path: Path) -> None:
    text = """
    struct Gain<T: float>[D] { g: T[D] }
    fn array(x: float16[N], y: float16[N]) -> float16[N] { return x + y }
    fn refuse<T: float>(gain: Gain<T>[D], x: T[D]) -> T[D] { return x * gain.g }
    fn tl(x: float16[N], i: int) -> float16[] { return x[i] }
    """
    calls = """
import mlx.core as mx
print(array([1, 2], [3.0, 4.0]).tolist(), refuse(Gain(g=mx.ones(2)), mx.ones(2)).dtype)
for call in (lambda: array([1], [1, 2]), lambda: tl_([1.0], 1), lambda: refuse({}, [1.0])):
    try:
        call()
    except ValueError as wrong:
        print(wrong)
"""
    module = tmp_path / "module.py"
    module.write_text(driver.compile_text(text, options=ALONE).python + calls, encoding="utf-8")
    assert run(module).splitlines() == [
        "[4.0, 6.0] mlx.core.float32",
        "program.tl:3: dim 0 of `y` is 2, not `N` = 1 (`N` by dim 0 of `x`) [TL5001]",
        "program.tl:5: the index `i` of `x` is 1, the last item is 0 [TL5003]",
        "program.tl:4: `gain` is a dict, not a Gain [TL5002]",
    ]


def test_a_packed_weight_is_refused_by_name(tmp_path: Path) -> None:
    text = "fn f(x: float16[N, K], w: float16[M, K]) -> float16[N, M] { return x @ w.T }"
    calls = """
class Packed:
    scales = layout = None
try:
    f([[1.0]], Packed())
except ValueError as wrong:
    print(wrong)
"""
    module = tmp_path / "module.py"
    module.write_text(driver.compile_text(text, options=ALONE).python + calls, encoding="utf-8")
    assert run(module) == "program.tl:1: a standalone module takes no packed weights: a `Packed` was given [TL5002]\n"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('let m = load_model("m.safetensors")\n', "load_model"),
        ('fn f(m: Model) -> float16[?] { let w: float16[?] = m.get_tensor("w"); return w }', "Model"),
        ('let t = load_tokenizer("tokenizer.json")\n', "load_tokenizer"),
        ("struct S[N] { w: float16[N] }\nfn f(m: Model) -> int { return 1 }", "Model"),
        ("let line = read_line()\nprint(line)", "read_line"),
    ],
)
def test_what_needs_the_runtime_is_refused_by_name(text: str, named: str) -> None:
    with pytest.raises(CompileError, match=rf"TL2021.*`{named}`"):
        driver.compile_text(text, options=ALONE)
