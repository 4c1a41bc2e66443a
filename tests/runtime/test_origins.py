"""A check that fails while a program runs names the model file, the tensor and the file's shape."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import pytest

from tensorlogic.compiler import driver
from tensorlogic.runtime import origins
from tensorlogic.runtime.errors import BoundaryError
from tensorlogic.runtime.script import run

HEAD = "let m = load_model(args[0])\n"
PROGRAMS = {
    "a size": ('let w: float16[?, 128] = m.get_tensor("a")', ["`a` of `{}` is [64, 4]"]),
    "a rank": ('let w: float16[?] = m.get_tensor("a")', ["`a` of `{}` is [64, 4]"]),
    "an operator": (
        'print(m.get_tensor("a") @ m.get_tensor("b"))',
        ["`a` of `{}` is [64, 4]", "`b` of `{}` is [3, 4]"],
    ),
    "an index": ('let w: float16[?, ?] = m.get_tensor("b")\nprint(w[3])', ["`b` of `{}` is [3, 4]"]),
    "an assertion": ('let w: float16[?, ?] = m.get_tensor("b")\nassert w.shape[0] == 4', ["`b` of `{}` is [3, 4]"]),
    "no tensor": ("assert len(args) == 5", []),
}


@pytest.mark.parametrize(("text", "notes"), PROGRAMS.values(), ids=list(PROGRAMS))
def test_what_the_file_has_is_told(text: str, notes: list[str], tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    mx.save_safetensors(str(path), {"a": mx.zeros((64, 4)), "b": mx.zeros((3, 4))})
    with pytest.raises(BoundaryError) as raised:
        run(driver.compile_text(HEAD + text).python, "program.tl", [str(path)])
    assert list(raised.value.notes) == [note.format(path) for note in notes]


def test_tensors_that_are_gone_are_forgotten() -> None:
    value = mx.zeros((2,))
    origins.remember(value, "m.gguf", "w")
    assert origins.origin(value) == "`w` of `m.gguf` is [2]"
    key = id(value)
    assert key in origins._origins
    del value
    assert key not in origins._origins


def test_other_tensors_have_no_origin() -> None:
    assert origins.origin(mx.zeros((2,))) is None
    assert origins.origin(None) is None
