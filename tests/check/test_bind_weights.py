"""The element types of what a model holds: declared by the program, checked when a tensor is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from safetensors.numpy import save_file

import tensorlogic
from tensorlogic.compiler import driver
from tensorlogic.runtime.errors import BoundaryError
from tensorlogic.runtime.models import load_model
from tensorlogic.runtime.script import run

HEAD = 'let m = load_model("m" + ".safetensors")\n'
FUNCTIONS = """
struct Vector<T: float>[N] { w: T[N] = "wide" }
fn half(m: Model) -> float16[?] { let w: float16[?] = m.get_tensor("wide"); return w }
fn single(m: Model) -> float32[?] { let w: float32[?] = m.get_tensor("wide"); return w }
fn half_struct(m: Model) -> float16[?] { return bind<Vector>(m).w }
fn single_struct(m: Model) -> float32[?] { let v: Vector<float32>[?] = bind<Vector>(m); return v.w }
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tensors = {
        "ids": np.array([5, 2147483647], np.int64),
        "mask": np.array([True, False]),
        "w": np.array([1, 2], np.float16),
        "wide": np.array([70000, 1, -1e9], np.float32),
    }
    save_file(tensors, tmp_path / "m.safetensors")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ran(text: str) -> None:
    run(driver.compile_text(text, options=driver.Options(verify=True, files=False)).python, "program.tl", [])


def test_a_declared_type_says_what_is_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran(
        HEAD
        + """
    let ids: int32[2] = m.get_tensor("ids")
    let mask: bool[?] = m.get_tensor("mask")
    let w: float16[?]? = m.get_tensor("w")
    fn first(m: Model) -> int32[] { let ids: int32[?] = m.get_tensor("ids"); return ids[0] }
    fn whole(m: Model) -> int32[2] { return m.get_tensor("ids") }
    print(ids, ids.dtype, mask, mask.dtype, first(m), whole(m))
    """
    )
    assert capsys.readouterr().out == "[5, 2147483647] int32 [true, false] bool 5 [5, 2147483647]\n"


GENERIC = """
struct Vector<T: float>[N] { w: T[N] = "w" }
fn load<T: float>(m: Model<T>) -> Vector<T>[?N] { return bind<Vector>(m) }
fn twice<T: float>(m: Model<T>) -> T[?N] { let w: T[?] = m.get_tensor("w"); return w + load(m).w }
"""


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_a_function_takes_the_floats_of_its_model(folder: Path, capsys: pytest.CaptureFixture[str], dtype: str) -> None:
    ran(f'{GENERIC}let m = load_model("m.safetensors", dtype: {dtype})\nprint(load(m).w.dtype, twice(m))')
    assert capsys.readouterr().out == f"{dtype} [2.0, 4.0]\n"


def test_a_tensor_is_read_as_another_float_type(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """float16 would hold neither of the large values."""
    ran(HEAD + 'let w: float32[?] = m.get_tensor("wide", dtype: float32)\nprint(w, w.dtype)')
    assert capsys.readouterr().out == "[70000.0, 1.0, -1000000000.0] float32\n"
    model = load_model("m.safetensors")
    assert model.get_tensor("w", mx.float32).dtype == mx.float32
    assert model.get_tensor("w", mx.float16) is model.get_tensor("w")
    with pytest.raises(TypeError, match="floats are read as"):
        model.get_tensor("w", mx.int32)


def test_an_entry_takes_the_floats_of_its_model(folder: Path) -> None:
    module = tensorlogic.compile(GENERIC)
    for dtype in ("float16", "bfloat16", "float32"):
        model = load_model("m.safetensors", dtype=dtype)
        assert module.twice(model).dtype == module.load(model).T == getattr(mx, dtype)
    with pytest.raises(BoundaryError, match="no one type"):
        module.twice(load_model("m.safetensors", dtype="native"))
    with pytest.raises(BoundaryError, match="`m` is a str, not a Model"):
        module.twice("m.safetensors")


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("fn f(m: Model<int32>) -> int { return 1 }", "TL2001", "the floats of a model are a float type, not int32"),
        ("fn f(m: Model<float16, float16>) -> int { return 1 }", "TL2004", "`Model` takes 1 element type, not 2"),
        ("fn f(t: Tokenizer<float16>) -> int { return 1 }", "TL1013", "`Tokenizer` takes no element type"),
        (
            "fn f(m: Model<float32>) -> int { return 1 }\nprint(f(load_model(args[0])))",
            "TL2002",
            "`m` of `f` is float32, not float16",
        ),
        (
            "fn f<T: float>(m: Model<T>, x: T[N]) -> int { return 1 }\n"
            "print(f(load_model(args[0]), ones([2], dtype: float32)))",
            "TL2002",
            "float16 meets float32",
        ),
    ],
)
def test_floats_that_no_model_has(text: str, code: str, message: str) -> None:
    (wrong,) = tensorlogic.check(text)
    assert (wrong.code, wrong.message) == (code, message)


def test_a_parameter_says_what_is_read(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ran(
        HEAD
        + """
    struct Table[N] { ids: int32[N]
        mask: bool[N]? }
    fn pick(x: int32[N], y: float16[2]?) -> int32[N] { return x }
    fn next(m: Model, x: int32[N]) -> int32[N] { return x - 1 }
    fn total<T: float>(x: T[...]) -> T[] { return sum(x) }
    print(pick(m.get_tensor("ids"), y: m.get_tensor("w")), m.next(m.get_tensor("ids")))
    print(Table(ids: m.get_tensor("ids"), mask: m.get_tensor("mask")).mask, total(m.get_tensor("w")))
    """
    )
    assert capsys.readouterr().out == "[5, 2147483647] [4, 2147483646]\n[true, false] 3.0\n"


@pytest.mark.parametrize(
    ("text", "said", "help"),
    [
        ('let s = m.get_tensor("ids")', "`ids` of `m.safetensors` holds int32, not float16", "let w: int32[...]"),
        ('print(m.get_tensor("mask"))', "`mask` of `m.safetensors` holds bool, not float16", "let w: bool[...]"),
        (
            'let s: int32[?] = m.get_tensor("w")',
            "`w` of `m.safetensors` holds float16, not int32",
            "let w: float16[...]",
        ),
        ('let s: bool[?] = m.get_tensor("ids")', "`ids` of `m.safetensors` holds int32, not bool", "let w: int32[...]"),
        (
            'fn f(x: float16[N]) -> float16[N] { return x * 0.5 }\nprint(f(m.get_tensor("ids")))',
            "`ids` of `m.safetensors` holds int32, not float16",
            "let w: int32[...]",
        ),
    ],
)
def test_another_element_type_is_refused_when_it_is_read(folder: Path, text: str, said: str, help: str) -> None:
    with pytest.raises(BoundaryError) as raised:
        ran(HEAD + text)
    line = len((HEAD + text).splitlines())
    assert (raised.value.code, raised.value.message, raised.value.where) == ("TL5002", said, f"program.tl:{line}")
    assert help in raised.value.helps[0]


def test_a_model_that_is_handed_on_is_not_taken_to_be_float16(folder: Path) -> None:
    module: Any = tensorlogic.compile(FUNCTIONS, "weights")
    for model in (load_model("m.safetensors", dtype="float32"), load_model("m.safetensors", dtype="native")):
        expected = [70000.0, 1.0, -1e9]
        assert module.single(model).tolist() == expected
        assert module.single_struct(model).tolist() == expected
        with pytest.raises(BoundaryError, match="holds float32, not float16"):
            module.half(model)
        with pytest.raises(BoundaryError, match="`Vector` from the model holds float32, not float16"):
            module.half_struct(model)


@pytest.mark.parametrize(
    "text",
    ['let w: float32[2] = m.get_tensor("w")', "let v: Vector<float32>[?] = bind<Vector>(m)"],
)
def test_a_model_whose_floats_are_known_is_compared_while_checking(text: str) -> None:
    (wrong,) = tensorlogic.check(HEAD + FUNCTIONS + text)
    assert wrong.code == "TL2002"
    assert wrong.message == "the floats of this model are read as float16, not float32"
    assert wrong.helps == ("`load_model(..., dtype: float32)` reads them so",)
    right = HEAD.replace(")\n", ", dtype: float32)\n") + FUNCTIONS + text
    assert not tensorlogic.check(right)


def test_no_tensor_of_a_file_is_uint32() -> None:
    (wrong,) = tensorlogic.check(HEAD + 'let ids: uint32[?] = m.get_tensor("ids")')
    assert wrong.code == "TL2002"


def test_save_model_takes_a_model_of_any_floats(folder: Path) -> None:
    ran('save_model(load_model("m.safetensors", dtype: float32), "again.safetensors")')
    again: Any = load_model("again.safetensors", dtype="native").get_tensor("wide")
    assert again.tolist() == [70000.0, 1.0, -1e9]
