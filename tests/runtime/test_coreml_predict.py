"""`predict`, and compiled models: what this system answers, and what a stand-in for Apple's library is given.

Neither was ever run on a Mac by these tests: `coremltools` predicts there alone.
"""

from __future__ import annotations

import json
import platform
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from tensorlogic.runtime.errors import BoundaryError, ModelFileError
from tensorlogic.runtime.formats import read_header
from tensorlogic.runtime.models import load_model
from tests.runtime.core_ml_files import tools


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A model that takes an array and, perhaps, a text, and gives two outputs."""
    spec = tools().proto.Model_pb2.Model(specificationVersion=5)
    spec.identity.SetInParent()
    array, text = (spec.description.input.add(name=name) for name in ("x", "text"))
    array.type.multiArrayType.dataType = 65552
    array.type.multiArrayType.shape.extend([1, 3])
    text.type.stringType.SetInParent()
    text.type.isOptional = True
    target = tmp_path / "m.mlmodel"
    target.write_bytes(spec.SerializeToString())
    return target


class StandIn:
    """Takes the place of coremltools' class: notes what it is given."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.given: list[dict[str, Any]] = []
        made.append(self)

    def predict(self, given: dict[str, Any]) -> dict[str, Any]:
        self.given.append(given)
        if "text" in given:
            raise RuntimeError("the text\nis too long")
        return {"y": given["x"] * 2, "label": "cat"}


made: list[StandIn] = []


@pytest.fixture
def on_a_mac(monkeypatch: pytest.MonkeyPatch) -> None:
    made.clear()
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    library = SimpleNamespace(MLModel=StandIn, CompiledMLModel=StandIn)
    monkeypatch.setitem(sys.modules, "coremltools.models", library)


def refusal(code: str, model: Any, *given: Any, **named: Any) -> str:
    with pytest.raises(ModelFileError) as caught:
        model.predict(*given, **named)
    assert caught.value.code == code
    return str(caught.value)


def test_elsewhere_the_error_says_what_can_be_done(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    message = refusal("TL4050", load_model(path), x=[[1, 2, 3]])
    assert "is run by macOS alone, and this is Linux" in message
    assert "read its weights here with `get_tensor`, and write the program in TensorLogic" in message
    assert "call `predict` on a Mac" in message


def test_without_the_library_the_error_names_the_extra(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    monkeypatch.setitem(sys.modules, "coremltools.models", None)
    assert "pip install 'tensorlogic-mlx[coreml]'" in refusal("TL4051", load_model(path), x=[[1, 2, 3]])


def test_a_file_of_weights_cannot_predict(tmp_path: Path) -> None:
    mx.save_safetensors(str(tmp_path / "m.safetensors"), {"w": mx.ones(3)})
    model = load_model(tmp_path / "m.safetensors")
    assert (model.inputs, model.outputs) == ((), ())
    assert "holds weights alone" in refusal("TL4052", model, x=[1])


@pytest.mark.usefixtures("on_a_mac")
def test_arrays_go_in_and_come_out_by_name(path: Path) -> None:
    model = load_model(path)
    for value in ([[1, 2, 3]], np.array([[1.0, 2.0, 3.0]]), mx.array([[1, 2, 3]], mx.float32)):
        outputs = model.predict(x=value)
        assert isinstance(outputs["y"], mx.array)
        assert (outputs["y"].dtype, outputs["y"].tolist()) == (mx.float16, [[2, 4, 6]])
        assert outputs["label"] == "cat"
    assert model.predict({"x": [[1, 2, 3]]})["y"].tolist() == [[2, 4, 6]]
    # It is loaded once, and is given NumPy arrays of the model's own element type.
    [loaded] = made
    assert loaded.path == str(path)
    assert all(isinstance(given["x"], np.ndarray) and given["x"].dtype == np.float16 for given in loaded.given)


@pytest.mark.usefixtures("on_a_mac")
def test_what_a_model_does_not_take(path: Path) -> None:
    model = load_model(path)
    assert "its input `x` is not given" in refusal("TL4052", model)
    message = refusal("TL4052", model, x=[[1, 2, 3]], z=1)
    assert "it has no input `z`" in message
    assert "its inputs: x: float16[1, 3], text: string?" in message
    assert "Core ML says: the text\\nis too long" in refusal("TL4052", model, x=[[1, 2, 3]], text="a")
    with pytest.raises(BoundaryError):
        model.predict(x="a")


@pytest.mark.usefixtures("on_a_mac")
def test_a_model_that_core_ml_cannot_load(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(path: str) -> None:
        raise RuntimeError("no such operation")

    monkeypatch.setattr(sys.modules["coremltools.models"], "MLModel", failing)
    assert "Core ML says: no such operation" in refusal("TL4052", load_model(path), x=[[1, 2, 3]])


@pytest.mark.usefixtures("on_a_mac")
def test_a_model_with_a_state_does_not_predict_yet(path: Path) -> None:
    spec = tools().utils.load_spec(str(path))
    spec.description.state.add(name="cache").type.stateType.arrayType.dataType = 65552
    path.write_bytes(spec.SerializeToString())
    assert "it keeps a state" in refusal("TL4052", load_model(path), x=[[1, 2, 3]])


METADATA = [
    {
        "shortDescription": "a model",
        "specificationVersion": 7,
        "userDefinedMetadata": {"layers": "12"},
        "inputSchema": [
            {
                "name": "x",
                "type": "MultiArray",
                "dataType": "Float16",
                "shape": "[1, 3]",
                "isOptional": "1",
                "shortDescription": "numbers",
            }
        ],
        "outputSchema": [{"name": "y", "type": "MultiArray", "dataType": "Double", "shape": "[]"}],
    }
]


@pytest.fixture
def compiled(tmp_path: Path) -> Path:
    folder = tmp_path / "m.mlmodelc"
    folder.mkdir()
    (folder / "metadata.json").write_text(json.dumps(METADATA))
    return folder


def test_a_compiled_model_is_refused_elsewhere(compiled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    with pytest.raises(ModelFileError, match="is compiled for macOS") as caught:
        load_model(compiled)
    assert caught.value.code == "TL4053"
    assert "load the `.mlpackage` or `.mlmodel` that it was made from" in str(caught.value)


@pytest.mark.usefixtures("on_a_mac")
def test_a_compiled_model_says_what_it_takes(compiled: Path) -> None:
    model = load_model(compiled)
    assert [str(feature) for feature in model.inputs] == ["x: float16[1, 3]?"]
    assert [str(feature) for feature in model.outputs] == ["y: float64[]"]
    assert (model.tensors, model.string("coreml.description"), model.int("layers")) == ((), "a model", 12)
    assert model.predict(x=[[1, 2, 3]])["y"].tolist() == [[2, 4, 6]]
    assert made[0].path == str(compiled)


@pytest.mark.usefixtures("on_a_mac")
@pytest.mark.parametrize("content", ["{}", "[]", "[3]", "["])
def test_damaged_compiled_models(compiled: Path, content: str) -> None:
    (compiled / "metadata.json").write_text(content)
    with pytest.raises(ModelFileError) as caught:
        read_header(compiled)
    assert caught.value.code == "TL4003"
