"""What MLX and Python raise while a program runs comes out as one error with a code and the `.tl` line."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import mlx.core as mx
import pytest
from click.testing import CliRunner

import tensorlogic
from tensorlogic.cli import main
from tensorlogic.compiler import driver
from tensorlogic.runtime.failures import entry
from tensorlogic.runtime.sizes import sized

RECURSION = {
    "itself": "fn f(x: float16[N], k: int) -> float16[N] {\n    return f(x, k + 1) * 2.0\n}\n",
    "each other": """
fn f(x: float16[N], k: int) -> float16[N] { return g(x, k + 1) }
fn g(x: float16[N], k: int) -> float16[N] { return f(x, k + 1) }
""",
    "through a lambda": """
fn twice(g: fn(float16[N]) -> float16[N], x: float16[N]) -> float16[N] { return g(g(x)) }
fn f(x: float16[N], k: int) -> float16[N] { return twice(|y| f(y, k + 1), x) }
""",
    "through a list": """
fn f(x: float16[N], k: int) -> float16[N] {
    let out = x
    for i in 0..2 { out = out + f(x, k + i) }
    return out
}
""",
}


def called(module: ModuleType) -> tensorlogic.TensorLogicError:
    with pytest.raises(tensorlogic.TensorLogicError) as raised:
        module.f(mx.ones((2,), mx.float16), 1)
    assert raised.value.__suppress_context__
    return raised.value


@pytest.mark.parametrize("how", RECURSION)
def test_recursion_without_end_is_one_error(how: str) -> None:
    error = called(tensorlogic.compile(RECURSION[how], "deep"))
    assert error.code == "TL5009"
    assert error.where.startswith("deep.tl:")
    assert str(sys.getrecursionlimit()) in error.message


def test_functions_that_call_each_other_are_named() -> None:
    error = called(tensorlogic.compile(RECURSION["each other"], "deep"))
    assert {"deep.tl:2", "deep.tl:3"} <= {*error.notes[0].split()}


def test_recursion_that_ends_is_no_error() -> None:
    text = "fn f(n: int) -> int {\n    if n < 1 { return 0 }\n    return f(n - 1) + 1\n}\n"
    assert tensorlogic.compile(text).f(500) == 500


@pytest.mark.parametrize("alone", [False, True])
def test_a_script_says_it_in_one_message(tmp_path: Path, alone: bool) -> None:
    text = RECURSION["itself"] + "print(f(ones([3]), 1))\n"
    module = tmp_path / "module.py"
    module.write_text(driver.compile_text(text, "deep.tl", driver.Options(standalone=alone)).python)
    environment = os.environ | {"PYTHONPATH": str(Path(tensorlogic.__file__).parent.parent)}
    command = [sys.executable, str(module)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("deep.tl:1: calls ")
    assert "Traceback" not in done.stderr


def test_a_standalone_module_explains_its_failures(tmp_path: Path) -> None:
    file = tmp_path / "alone.py"
    file.write_text(driver.compile_text(RECURSION["itself"], "deep.tl", driver.Options(standalone=True)).python)
    spec = importlib.util.spec_from_file_location("alone", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with pytest.raises(ValueError, match=r"deep\.tl:1: calls of functions"):
        module.f(mx.ones((2,), mx.float16), 1)


# --- numbers and sizes that are too large

SIZES = """
fn filled(n: int) -> float16[?] { return zeros([n * 100_000]) }
fn whole(n: int) -> float16[?, ?] { return full([n, n], 1.0) }
fn counted(n: int) -> int32[?] { return arange(n * 100_000) }
fn square(n: int) -> float16[?, ?] { return eye(n) }
fn drawn(n: int) -> float16[?] { return random_normal([n], key: 1) }
fn spaced(n: int) -> float16[?] { return linspace(0.0, 1.0, n) }
fn spread(x: float16[D], n: int) -> float16[?, D] { return broadcast_to(x, [n, D]) }
fn repeated(x: float16[D], n: int) -> float16[?] { return repeat(x, n, axis: 0) }
fn tiled(x: float16[D], n: int) -> float16[?] { return tile(x, [n]) }
fn padded(x: float16[D], n: int) -> float16[?] { return pad(x, [(0, n)]) }
fn flattened(x: float16[N, M]) -> float16[N*M] { return x.reshape([N*M]) }
"""


@pytest.fixture(scope="module")
def sizes() -> ModuleType:
    return tensorlogic.compile(SIZES, "sizes")


@pytest.mark.parametrize("n", [40_000 * 100_000, 2**70, 10**5000], ids=["32 bits", "64 bits", "unprintable"])
@pytest.mark.parametrize(
    "name", ["filled", "whole", "counted", "square", "drawn", "spaced", "spread", "repeated", "tiled", "padded"]
)
def test_a_size_above_what_mlx_can_count(sizes: ModuleType, name: str, n: int) -> None:
    arguments = [mx.ones((2,), mx.float16)] if name in ("spread", "repeated", "tiled", "padded") else []
    with pytest.raises(tensorlogic.TensorLogicError) as raised:
        getattr(sizes, name)(*arguments, n)
    assert raised.value.code == "TL5010"
    assert raised.value.where.startswith("sizes.tl:")


def test_a_product_of_sizes_above_what_mlx_can_count(sizes: ModuleType) -> None:
    with pytest.raises(tensorlogic.TensorLogicError, match=r"sizes.tl:12: a number or a size is too large.*TL5010"):
        sizes.flattened(mx.broadcast_to(mx.ones((1, 1), mx.float16), (100_000, 100_000)))


@pytest.mark.parametrize("made", ["zeros([n, n, n])", "ones([100_000, 100_000, 100])", "eye(9 * n)"])
def test_a_tensor_above_the_machine_s_memory(made: str) -> None:
    module = tensorlogic.compile(f"fn f(n: int) -> float16[] {{ return sum({made}) }}", "vast")
    with pytest.raises(tensorlogic.TensorLogicError, match=r"vast\.tl:1: a tensor of the shape .* takes .* GB"):
        module.f(100_000)


def test_what_fits_is_made() -> None:
    assert sized((2**31 - 1, 0), mx.float32, "") == (2**31 - 1, 0)
    assert (
        tensorlogic.compile("fn f(n: int) -> float16[?, ?] { return zeros([n, 3]) }").f(2).tolist() == [[0.0] * 3] * 2
    )


def test_a_host_number_that_no_float_holds() -> None:
    module = tensorlogic.compile("fn f(n: int) -> float { return float(n) }", "host")
    with pytest.raises(tensorlogic.TensorLogicError, match="TL5010"):
        module.f(10**400)


# --- what is left alone


def test_a_bug_stays_a_bug() -> None:
    @entry
    def broken() -> None:
        raise KeyError("internal")

    with pytest.raises(KeyError):
        broken()


def test_a_bug_says_where_the_program_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*values: object, end: str = "") -> None:
        raise KeyError("internal")

    (tmp_path / "model.tl").write_text("let x = 1\nprint(x)\n")
    monkeypatch.setattr("tensorlogic.runtime.print_values", broken, raising=False)
    done = CliRunner().invoke(main, ["run", str(tmp_path / "model.tl")])
    assert done.exit_code == 70
    assert "TL9001" in done.stderr
    assert "it happened while model.tl:2 ran" in done.stderr


def test_an_entry_is_the_function_that_was_written() -> None:
    f = tensorlogic.compile("fn f(n: int = 2) -> int { return n }").f
    assert (f.__name__, f(), f(3), f(n=4)) == ("f", 2, 3, 4)
    with pytest.raises(TypeError, match="unexpected keyword"):
        f(m=1)


TOO_LARGE = {
    "a broadcast sum": "x[:, none] + x[none, :]",
    "a product of matrices": "x[:, none] @ x[none, :]",
    "a comparison": "where(x[:, none] < x[none, :], x, 0.0)",
    "a repetition": "repeat(x[none, :], 2_000_000, axis: 0)",
    "a tile": "tile(x[none, :], [2_000_000, 1])",
    "a broadcast": "broadcast_to(x, [2_000_000, N])",
    "an einsum": 'einsum("i, j -> i j", x, x)',
    "a linear layer": "linear(x[:, none], x[:, none])",
    "a table of embeddings": "embedding(zeros([2_000_000], dtype: int32), x[none, :])",
    "a gather": "x[none, :][zeros([2_000_000], dtype: int32)]",
}


@pytest.mark.parametrize("what", TOO_LARGE)
def test_a_result_that_the_machine_has_no_memory_for_is_refused_before_it_is_evaluated(what: str) -> None:
    module = tensorlogic.compile(f"fn f(x: float16[N]) -> float16[?, ?] {{\n    return {TOO_LARGE[what]}\n}}\n", "vast")
    small = module.f(mx.zeros((3,), mx.float16)) if "_000" not in TOO_LARGE[what] else None
    assert small is None or small.shape == (3, 3)
    with pytest.raises(tensorlogic.TensorLogicError) as raised:
        module.f(mx.zeros((2_000_000,), mx.float16))
    assert raised.value.code == "TL5010"
    assert raised.value.where.startswith("vast.tl:")


def test_what_an_operand_bounds_is_not_looked_at() -> None:
    text = "fn f(x: float16[...B, D], w: float16[D]) -> float16[...B, D] {\n    return x * w + x\n}\n"
    assert "affordable" not in str(driver.compile_text(text, "plain.tl").python)
