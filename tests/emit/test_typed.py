"""Emitted modules satisfy a strict type checker, which is told what the runtime gives them."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from types import ModuleType

import mlx.core as mx
from mypy import api

import tensorlogic
from tensorlogic import runtime
from tensorlogic.runtime.formats import PackedLayout
from tensorlogic.runtime.packed import Packed

ROOT = Path(__file__).parent.parent.parent
ACCEPTED = ROOT / "tests" / "programs" / "accept"


def test_mypy_accepts_the_golden_modules() -> None:
    modules = sorted(str(path) for path in ACCEPTED.glob("*.py"))
    options = [
        "--strict",
        "--config-file=",
        "--no-error-summary",
        "--follow-imports=silent",
        f"--cache-dir={ROOT / '.mypy_cache' / 'emitted'}",
    ]
    told, problems, status = api.run([*options, f"--python-executable={sys.executable}", *modules])
    assert (told + problems, status) == ("", 0)


def test_type_checkers_see_what_is_found_at_run_time() -> None:
    tree = ast.parse(Path(runtime.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    imported = {node.module for node in block.body if isinstance(node, ast.ImportFrom)}
    wanted = {*vars(runtime)["_WHERE"], *vars(runtime)["_HELPERS"], "show"}
    assert imported == {f"tensorlogic.runtime.{module}" for module in wanted}


def test_a_list_that_an_op_takes_holds_arrays() -> None:
    text = """
    struct Table[N, D] { rows: float16[N, D] }
    fn grown(t: Table[N, D], row: float16[1, D]) -> float16[N+1, D] { return concat([t.rows, row], axis: 0) }
    fn product(t: Table[N, D], x: float16[D]) -> float16[N] { return t.rows @ x }
    """
    module: ModuleType = tensorlogic.compile(text, "m")
    rows = mx.random.normal((4, 64)).astype(mx.float16)
    words, scales, biases = mx.quantize(rows, 32, 4)
    packed = Packed(words, scales, biases, layout=PackedLayout(4, 32), shape=(4, 64), dtype=mx.float16)
    table = module.Table(rows=packed)
    assert module.grown(table, mx.ones((1, 64), mx.float16)).shape == (5, 64)
    assert module.product(table, mx.ones((64,), mx.float16)).shape == (4,)
