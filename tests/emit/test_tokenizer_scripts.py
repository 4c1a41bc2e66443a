"""Scripts that read texts: `model.tokenizer` and what a program asks a tokenizer."""

from __future__ import annotations

from pathlib import Path

import pytest

import tensorlogic
from tensorlogic.compiler import driver
from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.script import run
from tensorlogic.runtime.text.tokenizer import load_tokenizer
from tests.runtime import vocabularies

TEXTS = ("Hello world", "user: assistant:")
TEMPLATE = (
    "{% for m in messages %}<|begin|>{{ m.role }}: {{ m.content }}<|im_end|>{% endfor %}"
    "{% if add_generation_prompt %}<|begin|>assistant:{% endif %}"
)


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return vocabularies.bpe_file(tmp_path / "m.gguf", TEXTS, "qwen2", **{"tokenizer.chat_template": TEMPLATE})


def printed(text: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    run(driver.compile_text(text, options=driver.Options(verify=True)).python, "program.tl", [])
    return capsys.readouterr().out.splitlines()


def test_a_script_asks_a_tokenizer(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = printed(
        """
        let t = load_model("m.gguf").tokenizer
        let chat = [("user", "Hello <|im_end|>")]
        print(t.encode("Hello world"))
        print(t.encode("Hello world", max_length: 1), t.encode("<|im_end|>", special: true))
        print(t.encode("Hello", 9, false), t.decode(t.encode("Hello")))
        print(t.chat_text(chat))
        print(t.apply_chat_template(chat, add_generation_prompt: false))
        print(t.apply_chat_template(chat + [("assistant", "Hello")]))
        print(t.vocab_size, t.bos_id, t.eos_ids, t.chat_template != none)
        """,
        capsys,
    )
    t = load_tokenizer(path)
    chat = [("user", "Hello <|im_end|>")]
    ids = t.encode("Hello world")
    assert found == [
        str(ids),
        f"{ids[:1]} {list(t.eos_ids)}",
        f"{t.encode('Hello')} Hello",
        "<|begin|>user: Hello <|im_end|><|im_end|><|begin|>assistant:",
        str(t.apply_chat_template(chat, add_generation_prompt=False)),
        str(t.apply_chat_template([*chat, ("assistant", "Hello")])),
        f"{t.vocab_size} {t.bos_id} {list(t.eos_ids)} true",
    ]


def test_a_function_is_given_a_tokenizer(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = printed(
        """
        fn lengths(m: Model, t: Tokenizer, texts: [string]) -> [int] {
            let counts: [int] = []
            for text in texts { counts = counts + [len(t.encode(text)) + len(m.tokenizer.encode(text))] }
            return counts
        }
        let model = load_model("m.gguf")
        print(lengths(model, load_tokenizer("m.gguf"), ["Hello", "Hello world"]))
        """,
        capsys,
    )
    t = load_tokenizer(path)
    assert found == [str([2 * len(t.encode(text)) for text in ("Hello", "Hello world")])]


def test_what_is_refused_stays_where_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tokenizer that nobody uses is read, as a file that nobody uses is opened."""
    monkeypatch.chdir(tmp_path)
    vocabularies.write_vocabulary(tmp_path / "m.gguf", {"model": "t5", "tokens": ["a"]})
    python = driver.compile_text('let t = load_model("m.gguf").tokenizer\nprint("on")\n').python
    with pytest.raises(ModelFileError, match="of the kind `t5`, which is not known"):
        run(python, "program.tl", [])


def test_messages_are_pairs_of_strings() -> None:
    (wrong,) = tensorlogic.check('print(load_tokenizer("t").apply_chat_template([("user", 3)]))')
    assert wrong.code == "TL2001"
