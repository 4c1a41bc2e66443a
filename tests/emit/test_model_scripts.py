"""Scripts over tensors of a model file, whose rank and shape only the file says.

An operator on such a tensor is checked when it runs, and says no in the program's own names; a declaration or a
function's parameter checks it once, and from there on its shape is known.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import tensorlogic
from tensorlogic.compiler import driver
from tensorlogic.runtime.errors import TensorLogicError
from tensorlogic.runtime.script import run

HEAD = 'let model = load_model("m" + ".safetensors")\nlet w = model.get_tensor("w")\nlet v = model.get_tensor("v")\n'
"""The path is put together, so that checking knows nothing of the file."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a model of a matrix `w`, a vector `v`, integers `ids`, and others."""
    save_file(
        {
            "w": np.arange(6, dtype=np.float16).reshape(2, 3),
            "v": np.array([1, 0, -1], np.float16),
            "ids": np.array([2, 0], np.int64),
            "scalar": np.array(0.5, np.float32),
            "layers.0.weight": np.eye(3, dtype=np.float16),
            "layers.1.weight": 2 * np.eye(3, dtype=np.float16),
            "huge": np.array([1.0, 70000.0, -1e6], np.float32),
            "wide": np.array([1, 2**40], np.int64),
        },
        tmp_path / "m.safetensors",
        metadata={"layers": "2", "name": "tiny"},
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def printed(text: str, capsys: pytest.CaptureFixture[str]) -> str:
    run(driver.compile_text(HEAD + text, options=driver.Options(verify=True)).python, "program.tl", [])
    return capsys.readouterr().out


def refused(text: str) -> str:
    python = driver.compile_text(HEAD + text, options=driver.Options(verify=True, files=False)).python
    with pytest.raises(TensorLogicError) as raised:
        run(python, "program.tl", [])
    return str(raised.value)


# --- what runs


def test_operators_on_tensors_of_any_rank(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = """
    print(w + v, w * w, 2 * w - 1, -v, w > v)
    print(w @ v, w @ w.T, w.T.shape, v @ v, (w + 1).shape, w.rank, v.size, w.dtype)
    print(w == w, w / (v + 2), w ** 2, model.get_tensor("scalar") + w)
    """
    assert printed(text, capsys).splitlines() == [
        "[[1.0, 1.0, 1.0], [4.0, 4.0, 4.0]] [[0.0, 1.0, 4.0], [9.0, 16.0, 25.0]] "
        "[[-1.0, 1.0, 3.0], [5.0, 7.0, 9.0]] [-1.0, -0.0, 1.0] [[false, true, true], [true, true, true]]",
        "[-2.0, -2.0] [[5.0, 14.0], [14.0, 50.0]] [3, 2] 2.0 [2, 3] 2 3 float16",
        "[[true, true, true], [true, true, true]] [[0.0, 0.5, 2.0], [1.0, 2.0, 5.0]] "
        "[[0.0, 1.0, 4.0], [9.0, 16.0, 25.0]] [[0.5, 1.5, 2.5], [3.5, 4.5, 5.5]]",
    ]


def test_a_declaration_makes_the_shape_known(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = """
    let known: float16[?, ?] = w
    let exact: float16[2, 3] = w
    let vector: float16[3] = v
    print(known[0], exact[1, 2], sum(known, axis: 1), known.shape, vector[1:], exact @ vector)
    """
    assert printed(text, capsys) == "[0.0, 1.0, 2.0] 5.0 [3.0, 12.0] [2, 3] [0.0, -1.0] [-2.0, -2.0]\n"


def test_a_parameter_takes_them(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = """
    fn dense(x: float16[...B, I], w: float16[O, I]) -> float16[...B, O] { return x @ w.T }
    fn total(x: float16[...]) -> float16[] { return sum(x) }
    print(dense(v, w), dense(w, w), total(w), total(v), total(w + v))
    fn layer(model: Model, i: int) -> float16[3, 3] {
        let weight: float16[3, 3] = model.get_tensor(f"layers.{i}.weight")
        return weight
    }
    let y: float16[2, 3] = w
    for i in 0..model.int("layers") { y = dense(y, layer(model, i)) }
    print(y, model.string("name"), model.has("w"), model.has("x"), len(model.tensors))
    """
    assert printed(text, capsys).splitlines() == [
        "[-2.0, -2.0] [[5.0, 14.0], [14.0, 50.0]] 15.0 0.0 15.0",
        "[[0.0, 2.0, 4.0], [6.0, 8.0, 10.0]] tiny true false 8",
    ]


# --- what is refused when it runs

REFUSED = [
    ("print(w.T + v)", "TL5001", ["[3, 2]", "[3]"]),
    ("print(w @ w)", "TL5001", ["@", "3", "2"]),
    ("print(v.T)", "TL5001", [".T", "1"]),
    ("print(w @ v @ v)", "TL5001", ["@", "2", "3"]),
    ("let known: float16[3, 3] = w", "TL5001", ["known", "2", "3"]),
    ("let known: float16[?] = w", "TL5001", ["`known` has the shape [2, 3], not float16[?]", "2 dims"]),
    ("fn f(x: float16[N, N]) -> float16[N] { return x[0] }\nprint(f(w))", "TL5001", ["N", "f", "2", "3"]),
    (
        "fn f(x: float16[N]) -> float16[N] { return x }\nprint(f(w))",
        "TL5001",
        ["`x` has the shape [2, 3], not float16[N]", "2 dims"],
    ),
    ('print(model.get_tensor("layer.0.weight"))', "TL4005", ["`layer.0.weight`", "did you mean `layers.0.weight`"]),
    ('let name = "layers.2.weight"\nprint(model.get_tensor(name))', "TL4005", ["layers.2.weight", "layers.1.weight"]),
    ('print(model.get_tensor("huge"))', "TL4006", ["huge", "2", "1e+06", "bfloat16"]),
    ('print(model.get_tensor("wide"))', "TL4007", ["wide", "int32"]),
    ('print(model.int("depth"))', "TL4010", ["depth"]),
    ('print(model.int("name"))', "TL4011", ["name", "tiny"]),
]


@pytest.mark.parametrize(("statement", "code", "words"), REFUSED, ids=[s.splitlines()[-1] for s, _, _ in REFUSED])
def test_what_does_not_fit_is_told_with_its_line(folder: Path, statement: str, code: str, words: list[str]) -> None:
    said = refused(statement)
    assert said.startswith(f"program.tl:{len((HEAD + statement).splitlines())}: ")
    assert f"[{code}]" in said
    assert all(word in said for word in words), said


def test_a_pack_that_another_argument_tells(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    function = "fn rows(x: float16[...B, M], y: float16[...B]) -> float16[...B] { return sum(x, axis: -1) + y }\n"
    assert printed(function + "print(rows(w, ones([2])), rows(v, tensor<float16>(1.0)))", capsys) == "[4.0, 13.0] 1.0\n"
    assert "`x` has the shape [3], not float16[?, M]" in refused(function + "print(rows(v, ones([2])))")
    assert "2 by `x` and 3 by `y`" in refused(function + "print(rows(w, ones([3])))")


def test_inside_a_function_a_shape_must_be_said(folder: Path) -> None:
    (wrong,) = tensorlogic.check('fn f(m: Model) -> float16[?] { let w = m.get_tensor("w"); return w + w }')
    assert "let w: float16[?" in "".join(wrong.helps)


def test_no_model_file(folder: Path) -> None:
    (folder / "m.safetensors").unlink()
    assert (
        refused("print(1)")
        == "program.tl:1: cannot open the model file `m.safetensors`: No such file or directory [TL4001]"
    )


def test_a_file_that_is_no_model(folder: Path) -> None:
    (folder / "m.safetensors").write_bytes(b"\xff" * 100)
    said = refused("print(1)")
    assert said.startswith("program.tl:1: ")
    assert "m.safetensors" in said
    assert "[TL4" in said
