"""Vocabularies of GGUF files: what is refused, and that nothing else happens to files that are damaged."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tensorlogic.runtime.errors import ModelFileError, TensorLogicError
from tensorlogic.runtime.formats.header import FileHeader
from tensorlogic.runtime.models import load_model, save_model
from tensorlogic.runtime.text.ends import KEYS as KEYS_OF_ENDS
from tensorlogic.runtime.text.ends import decide
from tensorlogic.runtime.text.splitting import Splitter
from tensorlogic.runtime.text.tokenizer import load_tokenizer, tokenizer_of
from tests.models import GEMMA3, MINILM, SMOLLM2, model_path
from tests.runtime import vocabularies
from tests.runtime.model_files import write_gguf

PATH = Path("model.gguf")
TEXTS = ("Hello world 123",)


def header(**metadata: Any) -> FileHeader:
    return FileHeader("gguf", PATH, {}, {k if "." in k else f"tokenizer.ggml.{k}": v for k, v in metadata.items()})


def of_bytes() -> dict[str, Any]:
    tokens, merges = vocabularies.byte_level(TEXTS)
    return {"model": "gpt2", "pre": "gpt-2", "tokens": tuple(tokens), "merges": tuple(merges)}


def of_pieces() -> dict[str, Any]:
    tokens, scores, types = vocabularies.sentence_pieces(TEXTS)
    return {"model": "llama", "tokens": tuple(tokens), "scores": tuple(scores), "token_type": tuple(types)}


def of_words() -> dict[str, Any]:
    tokens = ("[CLS]", "[SEP]", "[UNK]", "\u2581hello", "s")
    types = (3, 3, 3, 1, 1)
    ids = {"bos_token_id": 0, "seperator_token_id": 1, "unknown_token_id": 2}
    return {"model": "bert", "tokens": tokens, "token_type": types, **ids}


def refusal(**metadata: Any) -> TensorLogicError:
    with pytest.raises(ModelFileError) as caught:
        tokenizer_of(header(**metadata))
    return caught.value


def test_the_small_vocabularies_are_sound() -> None:
    assert tokenizer_of(header(**of_bytes())).decode(tokenizer_of(header(**of_bytes())).encode("Hello")) == "Hello"
    assert tokenizer_of(header(**of_pieces())).encode("Hello")[0] == 1
    assert tokenizer_of(header(**of_words())).encode("hellos") == [0, 3, 4, 1]


@pytest.mark.parametrize(
    ("changed", "code", "said"),
    [
        ({"model": None}, "TL4402", "there is no tokenizer in `model.gguf`"),
        ({"model": "none"}, "TL4402", "there is no tokenizer"),
        ({"model": "t5"}, "TL4404", "a tokenizer of the kind `t5`, which is not known"),
        ({"model": "rwkv"}, "TL4404", "a tokenizer of the kind `rwkv`"),
        ({"pre": "gpt-7"}, "TL4404", "a pre-tokenizer of the kind `gpt-7`, which is not known"),
        ({"pre": None}, "TL4404", "does not say how its tokenizer cuts texts"),
        ({"pre": 3}, "TL4405", "`tokenizer.ggml.pre` is no text"),
        ({"model": 3}, "TL4405", "`tokenizer.ggml.model` is no text"),
        ({"tokens": None}, "TL4405", "is no list of texts"),
        ({"tokens": ()}, "TL4405", "is missing or empty"),
        ({"tokens": (1, 2)}, "TL4405", "is no list of texts"),
        ({"tokens": ("a", "b", "a")}, "TL4405", "token 2 of its vocabulary, `a`, is there before"),
        ({"tokens": ("a" * 70_000,)}, "TL4405", "a token of more than 65536 bytes"),
        ({"merges": None}, "TL4405", "it has no `tokenizer.ggml.merges`"),
        ({"merges": ("H e", "x")}, "TL4405", "merge 1, `x`, does not join two tokens to a third"),
        ({"merges": ("H \u20ac",)}, "TL4405", "merge 0, `H \u20ac`, does not join"),
        ({"merges": ("H " + "e" * 99,)}, "TL4405", "merge 0, `H eee"),
        ({"merges": (1,)}, "TL4405", "is no list of texts"),
        ({"token_type": (1, 2)}, "TL4405", "but 2 items in `tokenizer.ggml.token_type`"),
        ({"token_type": "a"}, "TL4405", "is no list of numbers"),
        ({"bos_token_id": "a"}, "TL4405", "`tokenizer.ggml.bos_token_id` is no whole number"),
        ({"add_bos_token": True}, "TL4405", "asks for a token that it does not name"),
        ({"add_eos_token": True}, "TL4405", "asks for a token that it does not name"),
        ({"add_bos_token": True, "bos_token_id": 2**32 - 1}, "TL4405", "asks for a token that it does not name"),
        ({"add_bos_token": 1}, "TL4405", "is neither true nor false"),
        ({"tokenizer.chat_template": 1}, "TL4405", "its `tokenizer.chat_template` is no text"),
    ],
)
def test_damaged_vocabularies_of_bytes(changed: dict[str, Any], code: str, said: str) -> None:
    metadata = {key: value for key, value in (of_bytes() | changed).items() if value is not None}
    error = refusal(**metadata)
    assert error.code == code
    assert said in error.message


def test_an_unknown_kind_is_told_with_those_that_are_known() -> None:
    error = refusal(**(of_bytes() | {"pre": "gpt-7"}))
    (help,) = error.helps
    assert {"default", "llama-bpe", "qwen2", "qwen35", "tekken", "deepseek-v3"} <= set(
        help.removeprefix("known are ").split(", ")
    )


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"scores": None}, "it has no `tokenizer.ggml.scores`"),
        ({"scores": (1.0,)}, "but 1 items in"),
        ({"scores": "a"}, "is no list of numbers"),
        ({"bos_token_id": 10**6}, "asks for a token that it does not name"),
    ],
)
def test_damaged_vocabularies_of_pieces(changed: dict[str, Any], said: str) -> None:
    metadata = {key: value for key, value in (of_pieces() | changed).items() if value is not None}
    error = refusal(**metadata)
    assert error.code == "TL4405"
    assert said in error.message
    scores = (math.nan, *of_pieces()["scores"][1:])
    assert "are no numbers" in refusal(**(of_pieces() | {"scores": scores})).message


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"unknown_token_id": 99}, "names no token for unknown words"),
        ({"seperator_token_id": 99}, "names no token for unknown words"),
        ({"tokens": ("[CLS]", "[SEP]", "[UNK]", "\u2581[SEP]", "s")}, "tokens 1 and 3 of its vocabulary are the same"),
    ],
)
def test_damaged_vocabularies_of_words(changed: dict[str, Any], said: str) -> None:
    error = refusal(**(of_words() | changed))
    assert error.code == "TL4405"
    assert said in error.message


def test_text_that_a_vocabulary_cannot_spell() -> None:
    tokens = tuple(token for token in of_bytes()["tokens"] if token != "!")
    tokenizer = tokenizer_of(header(**(of_bytes() | {"tokens": tokens})))
    assert tokenizer.decode(tokenizer.encode("Hello?")) == "Hello?"
    with pytest.raises(ModelFileError, match="cannot encode '!'") as caught:
        tokenizer.encode("Hello!")
    assert caught.value.code == "TL4403"
    pieces = of_pieces()
    kept = [i for i, token in enumerate(pieces["tokens"]) if token != "<0x21>"]
    without = {key: tuple(pieces[key][i] for i in kept) for key in ("tokens", "scores", "token_type")}
    with pytest.raises(ModelFileError, match="cannot encode '!'"):
        tokenizer_of(header(**(pieces | without))).encode("Hello!")


def test_special_tokens_in_a_text() -> None:
    metadata = of_bytes()
    tokens = (*metadata["tokens"], "<end>", "<tool>", "<tool><end>")
    types = (*(1 for _ in metadata["tokens"]), 3, 4, 3)
    tokenizer = tokenizer_of(header(**(metadata | {"tokens": tokens, "token_type": types})))
    end, tool, both = range(len(tokens) - 3, len(tokens))
    assert tokenizer.encode("<end>", special=True) == [end]
    assert end not in tokenizer.encode("a<end>b")
    assert tokenizer.encode("<tool>") == [tool]
    assert tokenizer.encode("<tool><end><tool>", special=True) == [both, tool]
    assert tokenizer.decode([end, tool, both]) == "<tool>"
    assert tokenizer.encode("a<tool>b", max_length=2)[1:] == [tool]


def test_cutting_keeps_what_is_added() -> None:
    given = of_bytes() | {"add_bos_token": True, "bos_token_id": 5, "add_eos_token": True, "eos_token_id": 6}
    tokenizer = tokenizer_of(header(**given))
    whole = tokenizer.encode("Hello")
    assert (whole[0], whole[-1]) == (5, 6)
    assert tokenizer.encode("Hello world", max_length=2) == [5, 6]
    assert tokenizer.encode("Hello world", max_length=3) == [5, tokenizer.encode("Hello world")[1], 6]
    with pytest.raises(TensorLogicError, match="adds 2 special tokens"):
        tokenizer.encode("Hello", max_length=1)


def test_which_tokens_end_a_generation() -> None:
    def ends(tokens: list[str], **named: int) -> tuple[int, ...]:
        given: dict[str, int | None] = dict.fromkeys(KEYS_OF_ENDS)
        return decide({t: i for i, t in enumerate(tokens)}, given | named)[0]

    assert ends(["a", "<|im_end|>", "<|endoftext|>"], eos=0) == (0, 1, 2)
    # gpt-oss: it ends a message of a turn.
    assert ends(["<|end|>", "<|return|>", "<|call|>"]) == (1, 2)
    # Gemma 4: it is a tag of HTML.
    assert ends(["</s>", "<|tool_response>"]) == (1,)
    assert ends(["<PAD>", "<|fim_pad|>", "<|file_sep|>"]) == (1, 2)


def test_a_model_has_the_tokenizer_of_its_file() -> None:
    model = load_model(model_path(SMOLLM2))
    assert model.tokenizer is model.tokenizer
    assert model.tokenizer.encode("Hello world") == [19556, 905]
    assert load_model(model_path(MINILM)).tokenizer.encode("hello") == [101, 7592, 102]
    assert load_model(model_path(MINILM) / "model.safetensors").tokenizer.vocab_size == 30522


def test_a_gguf_file_keeps_its_tokenizer_when_it_is_saved_as_safetensors(tmp_path: Path) -> None:
    metadata = {f"tokenizer.ggml.{key}": value for key, value in of_bytes().items()}
    path = write_gguf(tmp_path / "m.gguf", {"w": np.ones(4, np.float32)}, metadata | {"tokenizer.chat_template": "t"})
    save_model(load_model(path), tmp_path / "m.safetensors")
    saved = load_model(tmp_path / "m.safetensors").tokenizer
    assert saved.encode("Hello world") == load_tokenizer(path).encode("Hello world")
    assert saved.chat_template == "t"


def test_a_model_without_a_tokenizer(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes((2).to_bytes(8, "little") + b"{}")
    with pytest.raises(ModelFileError, match="there is no tokenizer in") as caught:
        _ = load_model(path).tokenizer
    assert caught.value.code == "TL4402"


ANYTHING = (
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats()
    | st.text(max_size=8)
    | st.lists(st.text(max_size=4), max_size=9).map(tuple)
    | st.lists(st.integers(-3, 9), max_size=9).map(tuple)
    | st.lists(st.floats(width=32), max_size=9).map(tuple)
)
KEYS = (
    *("model", "pre", "tokens", "scores", "token_type", "merges", "bos_token_id", "eos_token_id", "unknown_token_id"),
    *("add_bos_token", "add_space_prefix", "seperator_token_id", "tokenizer.chat_template", "normalizer.lowercase"),
)


@given(
    kind=st.sampled_from([of_bytes, of_pieces, of_words]),
    changed=st.dictionaries(st.sampled_from(KEYS), ANYTHING, max_size=4),
    text=st.text(max_size=20),
)
def test_damage_is_an_error_or_harmless(kind: Any, changed: dict[str, Any], text: str) -> None:
    metadata = {key: value for key, value in (kind() | changed).items() if value is not None}
    # Any other error is a failure.
    with suppress(ModelFileError):
        tokenizer = tokenizer_of(header(**metadata))
        tokenizer.decode(tokenizer.encode(text, special=True))


@given(st.data())
def test_splitting_finds_the_first_and_longest(data: st.DataObject) -> None:
    tokens = data.draw(st.lists(st.text("abc", min_size=1, max_size=4), unique=True, max_size=8))
    text = data.draw(st.text("abcd", max_size=20))
    expected: list[str | int] = []
    place = 0
    while place < len(text):
        found = max((t for t in tokens if text.startswith(t, place)), key=len, default=None)
        if found is not None:
            expected.append(tokens.index(found))
        elif expected and isinstance(expected[-1], str):
            expected[-1] += text[place]
        else:
            expected.append(text[place])
        place += len(found or " ")
    assert list(Splitter({t: i for i, t in enumerate(tokens)}).split(text)) == expected


def test_a_gguf_file_by_its_path() -> None:
    assert load_tokenizer(os.fspath(model_path(GEMMA3))).vocab_size == 262144
