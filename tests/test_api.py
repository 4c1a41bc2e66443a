"""Programs from Python: `load`, `compile`, `check`, and `import model`."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from importlib import import_module, reload
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

import tensorlogic
from tensorlogic import importer
from tensorlogic import runtime as tl
from tensorlogic.compiler import driver
from tensorlogic.runtime import kernels

LINEAR = """\
fn forward(input: float16[N, D_in], weights: float16[D_in, D_out], bias: float16[D_out]) -> float16[N, D_out] {
    let output = input @ weights
    return output + bias
}
"""


def ones(*shape: int) -> mx.array:
    return mx.ones(shape, mx.float16)


def test_compiled_text_is_a_module_of_entries() -> None:
    module = tensorlogic.compile(LINEAR)
    result = module.forward(ones(2, 3), ones(3, 4), ones(4))
    assert result.dtype == mx.float16
    assert result.tolist() == [[4.0] * 4] * 2
    assert module.__name__ not in sys.modules


def test_the_docstring_states_the_shapes() -> None:
    documentation = tensorlogic.compile(LINEAR).forward.__doc__
    assert "input: float16[N, D_in]" in documentation
    assert "Returns: float16[N, D_out]" in documentation


@pytest.mark.parametrize("name", ["mlx", "math", "dataclasses", "tensorlogic", "typing"])
def test_a_program_may_be_called_as_a_module_that_it_needs(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.tl").write_text(
        'extern "math" fn sqrt(x: float) -> float\nstruct Gain[D] { w: float16[D] }\n'
        "fn f(g: Gain[D]) -> float16[D] { return g.w * sqrt(4.0) }\n"
    )
    before = dict(sys.modules)
    module = tensorlogic.load(tmp_path / f"{name}.tl")
    assert module.f(module.Gain(w=[1.5])).tolist() == [3.0]
    assert [made.__module__ for made in (module.Gain, module.f)] == [module.__name__] * 2 == [name] * 2
    assert all(sys.modules[known] is kept for known, kept in before.items())


def test_a_program_is_a_text() -> None:
    with pytest.raises(TypeError, match="not a bytes"):
        tensorlogic.compile(LINEAR.encode())  # type: ignore[arg-type]


def test_a_name_with_a_newline_harms_nothing() -> None:
    f = tensorlogic.compile("fn f(x: float16[N]) -> float16[N] { return x }", "two\nlines").f
    with pytest.raises(tensorlogic.TensorLogicError, match=r"two\\nlines\.tl:1: `x` is"):
        f(ones(1, 1))


def test_a_wrong_program_raises_what_check_prints() -> None:
    wrong = LINEAR.replace("input @ weights", "weights @ input")
    with pytest.raises(tensorlogic.CompileError, match="TL3001") as raised:
        tensorlogic.compile(wrong, "wrong")
    assert "wrong.tl:2" in str(raised.value)
    assert [d.code for d in tensorlogic.check(wrong)] == ["TL3001"]
    assert tensorlogic.check(LINEAR) == []


def test_a_wrong_shape_says_which_argument_and_by_whom() -> None:
    forward = tensorlogic.compile(LINEAR, "model").forward
    with pytest.raises(tensorlogic.TensorLogicError) as raised:
        forward(ones(2, 3), ones(5, 4), ones(4))
    said = str(raised.value)
    assert all(word in said for word in ("model.tl:1", "`weights`", "`D_in`", "`input`", "5", "3")), said


def test_load_reads_files_and_their_imports(tmp_path: Path) -> None:
    (tmp_path / "parts.tl").write_text("fn twice(x: float16[N]) -> float16[N] { return x + x }\n")
    (tmp_path / "model.tl").write_text(
        'from "parts.tl" import twice\nfn four(x: float16[N]) -> float16[N] { return twice(twice(x)) }\n'
    )
    module = tensorlogic.load(tmp_path / "model.tl")
    assert module.four(ones(2)).tolist() == [4.0, 4.0]
    assert tensorlogic.check(tmp_path / "model.tl") == []
    with pytest.raises(tensorlogic.CompileError, match="cannot read"):
        tensorlogic.load(tmp_path / "absent.tl")


def test_strict_rounds_after_every_operation() -> None:
    text = "fn f(x: float16[N]) -> float16[N] { return (x + 1) - 1 }"
    tiny = mx.array([1e-4], dtype=mx.float16)
    assert tensorlogic.compile(text, strict=True).f(tiny).tolist() == [0.0]


FAST = """
struct Layer[I, O] { weight: float16[O, I] }
fn transposed(x: float16[N, I], w: float16[O, I]) -> float16[N, O] { return x @ w.T }
fn layer(x: float16[N, I], l: Layer[I, O], b: float16[O]) -> float16[N, O] { return linear(x, l.weight, b) }
fn straight(x: float16[N, K], w: float16[K, M]) -> float16[N, M] { return x @ w }
fn made(x: float16[N, I], w: float16[O, I]) -> float16[N, O] { return x @ (w * 2).T }
"""


def test_fast_lets_products_with_packed_weights_round(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU with our kernels: each item by at most 1/254 of the largest of its block of 32."""
    loose, fast = tensorlogic.compile(FAST), tensorlogic.compile(FAST, fast=True)
    wide = mx.random.normal((64, 256), key=mx.random.key(1)).astype(mx.float16)
    w = tl.quantize(wide, 4, 32, mx.float16)
    x = mx.random.normal((3, 256), key=mx.random.key(2)).astype(mx.float16)
    b = mx.random.normal((64,), key=mx.random.key(3)).astype(mx.float16)
    largest = np.abs(np.asarray(x)).reshape(3, -1, 32).max(axis=-1).repeat(32, axis=-1).astype(np.float32)
    bound = largest / 254 @ np.abs(np.asarray(tl.dense(w, mx.float32))).T
    layers = [module.Layer(weight=w) for module in (loose, fast)]
    pairs = [
        (loose.transposed(x, w), fast.transposed(x, w)),
        (loose.layer(x, layers[0], b), fast.layer(x, layers[1], b)),
    ]
    for exact, rounded in pairs:
        found, expected = np.asarray(rounded, np.float32), np.asarray(exact, np.float32)
        assert np.abs(found - expected).max() > 0
        assert (np.abs(found - expected) <= bound + np.abs(expected) * 2**-10).all()
    # Nothing else is touched: a dense weight, a device without our kernels.
    assert mx.array_equal(loose.transposed(x, wide), fast.transposed(x, wide))
    monkeypatch.setattr(kernels, "active", lambda: None)
    assert mx.array_equal(loose.transposed(x, w), fast.transposed(x, w))


def test_fast_is_said_where_a_weight_may_be_packed() -> None:
    python = driver.compile_text(FAST, options=driver.Options(fast=True)).python
    assert "tl.matmul(x, w, transpose=True, fast=True)" in python
    assert "tl.linear(x, l.weight, b, fast=True)" in python
    assert "tl.matmul(x, w, fast=True)" in python
    assert "tl.matmul(x, w * 2, transpose=True)" in python
    assert "fast" not in driver.compile_text(FAST).python
    assert "fast=" not in driver.compile_text(FAST, options=driver.Options(fast=True, standalone=True)).python


def test_strict_and_fast_exclude_each_other(tmp_path: Path) -> None:
    (tmp_path / "model.tl").write_text(LINEAR)
    with pytest.raises(ValueError, match="exclude each other"):
        tensorlogic.compile(LINEAR, strict=True, fast=True)
    with pytest.raises(ValueError, match="exclude each other"):
        tensorlogic.load(tmp_path / "model.tl", strict=True, fast=True)
    with pytest.raises(ValueError, match="exclude each other"):
        tensorlogic.install_importer(strict=True, fast=True)


# --- the importer


@pytest.fixture
def importing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    before = list(sys.meta_path)
    loaded = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))
    tensorlogic.install_importer()
    yield tmp_path
    sys.meta_path[:] = before
    for name in set(sys.modules) - loaded:
        del sys.modules[name]


def test_import_finds_a_program_and_keeps_what_it_made(importing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (importing / "kept_model.tl").write_text(LINEAR)
    kept_model = import_module("kept_model")

    assert kept_model.forward(ones(1, 2), ones(2, 1), ones(1)).tolist() == [[3.0]]
    kept = importing / "__pycache__" / "kept_model.tl.py"
    assert "def forward" in kept.read_text()
    del sys.modules["kept_model"]

    def not_again(*_: object, **__: object) -> driver.Compiled:
        raise AssertionError("compiled a second time")

    monkeypatch.setattr(driver, "compile_file", not_again)
    again = import_module("kept_model")

    assert again.forward(ones(1, 2), ones(2, 1), ones(1)).tolist() == [[3.0]]


def test_a_change_in_any_source_compiles_anew(importing: Path) -> None:
    part = importing / "changing_part.tl"
    part.write_text("fn g(x: float16[N]) -> float16[N] { return x + 1 }\n")
    (importing / "changing.tl").write_text(
        'from "changing_part.tl" import g\nfn f(x: float16[N]) -> float16[N] { return g(x) }\n'
    )
    changing = import_module("changing")

    assert changing.f(ones(1)).tolist() == [2.0]
    part.write_text("fn g(x: float16[N]) -> float16[N] { return x + 2 }\n")
    del sys.modules["changing"]
    changed = import_module("changing")

    assert changed.f(ones(1)).tolist() == [3.0]


def test_a_broken_cache_is_no_cache(importing: Path) -> None:
    (importing / "spoiled.tl").write_text(LINEAR)
    (importing / "__pycache__").mkdir()
    (importing / "__pycache__" / "spoiled.tl.py").write_bytes(b"\xff\x00 not text")
    spoiled = import_module("spoiled")

    assert spoiled.forward(ones(1, 2), ones(2, 1), ones(1)).tolist() == [[3.0]]


def test_a_folder_that_cannot_be_written_is_no_error(importing: Path) -> None:
    (importing / "unkept.tl").write_text(LINEAR)
    (importing / "__pycache__").write_text("a file where the folder would be")
    unkept = import_module("unkept")

    assert unkept.forward(ones(1, 2), ones(2, 1), ones(1)).tolist() == [[3.0]]


def test_the_root_is_the_path_entry(importing: Path) -> None:
    (importing / "outside.tl").write_text('from "../x.tl" import f\n')
    with pytest.raises(tensorlogic.CompileError, match="leaves the project's root"):
        __import__("outside")


def test_the_root_of_a_package_s_program_is_the_path_entry(importing: Path) -> None:
    (importing / "shared.tl").write_text("fn twice(x: float16[N]) -> float16[N] { return x + x }\n")
    (importing / "house" / "room").mkdir(parents=True)
    (importing / "house" / "__init__.py").write_text("")
    (importing / "house" / "room" / "bed.tl").write_text(
        'from "../../shared.tl" import twice\nfn f(x: float16[N]) -> float16[N] { return twice(x) }\n'
    )
    assert import_module("house.room.bed").f([1.5]).tolist() == [3.0]


@pytest.mark.parametrize("kept", [lambda text: text[:-20], lambda text: text.replace("+", "-"), lambda text: ""])
def test_a_cache_that_was_changed_is_no_cache(importing: Path, kept: Callable[[str], str]) -> None:
    (importing / "touched.tl").write_text(LINEAR)
    import_module("touched")
    place = importing / "__pycache__" / "touched.tl.py"
    whole = place.read_text()
    place.write_text(kept(whole))
    del sys.modules["touched"]

    assert import_module("touched").forward(ones(1, 2), ones(2, 1), ones(1)).tolist() == [[3.0]]
    assert place.read_text() == whole


def test_a_cache_stands_where_python_s_own_does(importing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "pycache_prefix", str(importing / "elsewhere"))
    (importing / "placed.tl").write_text(LINEAR)
    import_module("placed")

    assert not (importing / "__pycache__").exists()
    assert [path.name for path in (importing / "elsewhere").rglob("*.py")] == ["placed.tl.py"]


def test_several_processes_import_at_once(tmp_path: Path) -> None:
    (tmp_path / "busy.tl").write_text(LINEAR)
    text = "import tensorlogic; tensorlogic.install_importer(); import busy; print(busy.forward.__name__)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(tensorlogic.__file__).parents[1]), "."])}
    command = [sys.executable, "-c", text]
    started = [
        subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(3)
    ]
    assert [process.communicate(timeout=60)[0] for process in started] == ["forward\n"] * 3
    assert [path.name for path in (tmp_path / "__pycache__").iterdir()] == ["busy.tl.py"]


def test_reloading_sees_what_was_written_since(importing: Path) -> None:
    file = importing / "renewed.tl"
    file.write_text("fn f(x: float16[N]) -> float16[N] { return x + 1 }\n")
    renewed = import_module("renewed")
    file.write_text("fn f(x: float16[N]) -> float16[N] { return x + 2 }\n")

    assert reload(renewed).f([1.0]).tolist() == [3.0]


def test_what_is_not_there_is_python_s_own_error(importing: Path) -> None:
    (importing / "folder.tl").mkdir()
    for name in ("absent", "folder", "a" * 300):
        with pytest.raises(ModuleNotFoundError):
            import_module(name)


def test_a_traceback_shows_the_emitted_line(importing: Path) -> None:
    (importing / "broken.tl").write_text(
        'extern "math" fn factorial(n: int) -> int\nfn f(n: int) -> int {\n    return factorial(n)\n}\n'
    )
    broken = import_module("broken")
    with pytest.raises(tensorlogic.TensorLogicError) as raised:
        broken.f(-1)
    shown = "".join(traceback.format_exception(raised.value))
    assert "tl.external(math, " in shown
    assert "broken.tl:1: `factorial`" in str(raised.value)


def test_python_modules_come_first(importing: Path) -> None:
    (importing / "json.tl").write_text(LINEAR)
    import json

    assert not hasattr(json, "forward")


def test_a_second_installation_changes_the_flags(importing: Path) -> None:
    tensorlogic.install_importer(strict=True)
    finders = [f for f in sys.meta_path if isinstance(f, importer._Finder)]
    assert [f.options.strict for f in finders] == [True]


def test_a_compiled_module_is_imported_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "model.tl").write_text(LINEAR)
    command = [sys.executable, "-m", "tensorlogic", "compile", "model.tl"]
    here = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, env=here)
    script = (
        "import mlx.core as mx, model; print(model.forward(*(mx.ones(s, mx.float16) for s in ((1, 2), (2, 1), (1,)))))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=here,
    )
    assert "3" in done.stdout, done.stderr
