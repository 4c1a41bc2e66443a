"""What a program may ask a `Model`, and what it is told when it asks something else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import tensorlogic
from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.models import load_model

HEAD = 'let m = load_model("m" + ".safetensors")\nlet w = m.get_tensor("w")\n'


@pytest.mark.parametrize(
    ("asked", "code", "message", "help"),
    [
        ('m.get_tensor("w", float32, 1)', "TL2004", "`get_tensor` takes 2 arguments", None),
        ('m.get_tensor("w", int32)', "TL2008", "`dtype` of `get_tensor` is a float type", None),
        ('m.get_tensor("w", 1)', "TL2008", "`dtype` of `get_tensor` is a float type", None),
        ("m.get_tensor()", "TL2004", "`get_tensor` needs `name`", None),
        ('m.get_tensor(nme: "w")', "TL1012", "`get_tensor` has no parameter `nme`", "its parameters are name, dtype"),
        ('m.get_tensor("w", name: "w")', "TL2004", "`name` of `get_tensor` is given twice", None),
        ("m.int(3)", "TL2001", "`key` of `int` is `string`, not `int`", None),
        ("m.exp()", "TL1011", "`Model` has no `exp`", None),
        ("m.tensors_", "TL1011", "`Model` has no `tensors_`", "did you mean `tensors`?"),
        ("m.tokenizer()", "TL2005", "`tokenizer` of `Model` is not a function", "`m.tokenizer`"),
        (
            "m.tokenizer.eos_id",
            "TL1011",
            "`Tokenizer` has no `eos_id`",
            "`eos_ids` has all tokens that end a generation",
        ),
        (
            "m.tokenizer.stream()",
            "TL1011",
            "`Tokenizer` has no `stream`",
            "Python has it: `load_tokenizer(...).stream()` turns ids into text one by one",
        ),
        (
            'm.tokenizer.chat_text(["user"])',
            "TL2001",
            "item 0 of `messages` of `chat_text` is `(string, string)`, not `string`",
            None,
        ),
        (
            "w[0]",
            "TL3017",
            "indexing needs to know how many dims `w` has",
            "say the shape where `w` is declared: `let w: float16[?, ?] = ...`",
        ),
        (
            'm.get_tensor("w")[0]',
            "TL3017",
            'indexing needs to know how many dims `m.get_tensor("w")` has',
            'say the shape: `let w: float16[?, ?] = m.get_tensor("w")`',
        ),
    ],
)
def test_what_a_model_does_not_answer(asked: str, code: str, message: str, help: str | None) -> None:
    (wrong,) = tensorlogic.check(f"{HEAD}print({asked})")
    assert (wrong.code, wrong.message) == (code, message)
    assert wrong.helps == ((help,) if help is not None else ())


def test_settings_have_defaults(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        '{"heads": 3, "tied": true, "rope": {"base": 2.5, "factors": [1, 1.5]}, "kinds": ["a", "b"]}'
    )
    save_file({"w": np.zeros(1, np.float16)}, tmp_path / "model.safetensors")
    module = tensorlogic.compile("""
    fn heads(m: Model) -> (int, int) { return (m.int("heads", default: 9), m.int("no", 9)) }
    fn base(m: Model) -> (float, float) { return (m.float("rope.base"), m.float("rope.scale", default: 1)) }
    fn factors(m: Model) -> ([float], [float]) { return (m.floats("rope.factors"), m.floats("no", default: [])) }
    fn kinds(m: Model) -> ([string], [string]) { return (m.strings("kinds"), m.strings("no", default: ["c"])) }
    fn flags(m: Model) -> (bool, bool) { return (m.bool("tied"), m.bool("no", default: true)) }
    fn text(m: Model) -> string { return m.string("type", default: "none") }
    """)
    model = load_model(tmp_path)
    assert module.heads(model) == (3, 9)
    assert module.base(model) == (2.5, 1.0)
    assert module.factors(model) == ((1.0, 1.5), ())
    assert module.kinds(model) == (("a", "b"), ("c",))
    assert module.flags(model) == (True, True)
    assert module.text(model) == "none"
    with pytest.raises(ModelFileError, match="TL4011"):
        model.string("heads", "a default does not hide what is wrong")


def test_functions_of_the_program_take_a_model_as_a_receiver() -> None:
    text = 'fn exp(m: Model) -> int { return m.int("layers") }\nprint(m.exp())\nm.save_model("again.safetensors")'
    assert not tensorlogic.check(HEAD + text)
