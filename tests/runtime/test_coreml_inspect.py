"""`tlc inspect` of a Core ML model: what it takes and gives stands beside its weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from click.testing import CliRunner

from tensorlogic.cli import main
from tests.runtime.core_ml_files import write_program


def test_inputs_and_outputs_are_shown(tmp_path: Path) -> None:
    path = write_program(tmp_path / "m.mlpackage", {"scale": np.ones(64, np.float32), "other": np.ones(2, np.float32)})
    text = CliRunner().invoke(main, ["inspect", str(path)]).output
    assert "\nInputs\nx  float32[1]\n\nOutputs\n" in text
    assert "float32[64]" in text[text.index("Outputs") : text.index("name")]
    assert "\nscale" in text
    found = json.loads(CliRunner().invoke(main, ["inspect", str(path), "--json"]).output)
    assert found["inputs"] == {"x": "float32[1]"}
    assert list(found["outputs"].values()) == ["float32[64]", "float32[2]"]
    chosen = CliRunner().invoke(main, ["inspect", str(path), "--filter", "scale"]).output
    assert "Inputs" not in chosen
