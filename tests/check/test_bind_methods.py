"""What a program may ask a `Model`, and what it is told when it asks something else."""

from __future__ import annotations

import pytest

import tensorlogic

HEAD = 'let m = load_model("m" + ".safetensors")\nlet w = m.get_tensor("w")\n'


@pytest.mark.parametrize(
    ("asked", "code", "message", "help"),
    [
        ('m.get_tensor("w", 1)', "TL2004", "`get_tensor` takes 1 argument", None),
        ("m.get_tensor()", "TL2004", "`get_tensor` needs `name`", None),
        ('m.get_tensor(nme: "w")', "TL1012", "`get_tensor` has no parameter `nme`", "its parameters are name"),
        ('m.get_tensor("w", name: "w")', "TL2004", "`name` of `get_tensor` is given twice", None),
        ("m.int(3)", "TL2001", "`key` of `int` is `string`, not `int`", None),
        ('m.bool("flag")', "TL1011", "`Model` has no `bool`", "`model.string(key)` and `model.int(key)` read metadata"),
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


def test_functions_of_the_program_take_a_model_as_a_receiver() -> None:
    text = 'fn exp(m: Model) -> int { return m.int("layers") }\nprint(m.exp())\nm.save_model("again.safetensors")'
    assert not tensorlogic.check(HEAD + text)
