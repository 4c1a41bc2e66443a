"""The keys of a struct's fields: refused where they are declared, when they make no sense."""

from __future__ import annotations

from pathlib import Path

import pytest

import tensorlogic
from tensorlogic.compiler import driver
from tensorlogic.runtime.script import run


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ('q: float16[6] = "blk.{j}.q"', "`{j}` in the key of `q` stands for nothing"),
        ('q: [float16[6]] = "blk.{i}.{j}"', "`{j}` in the key of `q` stands for nothing"),
        ('q: float16[6] = "q" | "blk.{i}.q"', "`{i}` in the key of `q` counts the items of a list, and this is none"),
        ('q: [float16[6]] = "blk.q"', "the key of the list `q` does not say where an item's index goes"),
        ('q: [float16[6]]? = "blk.{i}" | "q"', "the key of the list `q` does not say where an item's index goes"),
    ],
)
def test_keys_that_make_no_sense(field: str, message: str) -> None:
    (wrong,) = tensorlogic.check(f"struct S {{ {field} }}")
    assert (wrong.code, wrong.message) == ("TL2014", message)


@pytest.mark.parametrize(
    "field", ["q: [[float16[6]]]", "q: [float16[6]?]", "q: [float16[6]?]?", "q: (float16[6], int)"]
)
def test_what_no_model_has_is_refused_where_it_is_bound(field: str) -> None:
    text = f"struct S {{ {field} }}\n"
    assert not tensorlogic.check(text)
    (wrong,) = tensorlogic.check(text + 'let s = bind<S>(load_model("m" + ".safetensors"))')
    assert (wrong.code, wrong.message) == ("TL2001", "`S` cannot be filled from a model: `q` is not in one")


def test_a_list_without_a_key_counts_below_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = """
    struct Inner[N] { w: float16[N] }
    struct Layers[N] { weights: [float16[N]]
        inner: [Inner[N]]? }
    save_model(Layers(weights: [ones([2]), zeros([2])], inner: [Inner(w: ones([2]))]), "l.safetensors")
    let m = load_model("l.safetensors")
    let layers = bind<Layers>(m)
    print(m.tensors, layers.weights, layers.N)
    """
    monkeypatch.chdir(tmp_path)
    run(driver.compile_text(text, options=driver.Options(verify=True)).python, "program.tl", [])
    assert capsys.readouterr().out == '["inner.0.w", "weights.0", "weights.1"] [[1.0, 1.0], [0.0, 0.0]] 2\n'


def test_names_that_python_keeps_for_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = """
    struct Inner[N] { lambda: float16[N] = "class" }
    struct Outer[self, class] { w: float16[self * class]
        inner: [Inner[2*class]] = "inner.{i}" }
    save_model(Outer(w: ones([6]), inner: [Inner(lambda: ones([6]))], class: 3), "m.safetensors")
    let m = load_model("m.safetensors")
    let outer = bind<Outer>(m, class: 3)
    print(outer.self, outer.class, outer.inner[0].N, bind<Outer>(m).self)
    """
    monkeypatch.chdir(tmp_path)
    run(driver.compile_text(text, options=driver.Options(verify=True)).python, "program.tl", [])
    assert capsys.readouterr().out == "2 3 6 2\n"
