"""Streams give what decoding at once gives, and never half a character."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Library
from tokenizers import decoders, models

from tensorlogic.runtime.errors import BoundaryError
from tensorlogic.runtime.text.tokenizer import Tokenizer, load_tokenizer
from tests.data.text.torture import TEXTS
from tests.models import GEMMA3, MINILM, SMOLLM2, model_path
from tests.runtime import vocabularies

FILES = (SMOLLM2, GEMMA3, MINILM)


@functools.cache
def loaded(name: str) -> Tokenizer:
    return load_tokenizer(model_path(name))


def streamed(tokenizer: Tokenizer, ids: list[int]) -> str:
    stream = tokenizer.stream()
    pieces = [stream.push(id) for id in ids]
    # A character is whole in its piece, so that what a terminal was given needs no more.
    for piece in pieces:
        piece.encode()
    return "".join(pieces) + stream.end()


@pytest.mark.parametrize("name", FILES)
@given(data=st.data())
def test_a_stream_of_any_ids_is_their_text(name: str, data: st.DataObject) -> None:
    tokenizer = loaded(name)
    ids = data.draw(st.lists(st.integers(0, tokenizer.vocab_size - 1) | st.integers(0, 600), max_size=30))
    assert streamed(tokenizer, ids) == tokenizer.decode(ids)


@pytest.mark.parametrize("name", FILES)
def test_a_stream_of_a_text_is_the_text(name: str) -> None:
    tokenizer = loaded(name)
    for text in TEXTS:
        ids = tokenizer.encode(text)
        assert streamed(tokenizer, ids) == tokenizer.decode(ids)


# SmolLM2 has no tokens for some control characters, and for the first bytes of planes without characters.
@given(text=st.text(st.characters(max_codepoint=0x2FFFF, exclude_categories=("Cs", "Cc")), max_size=60))
def test_text_of_bytes_comes_back(text: str) -> None:
    tokenizer = loaded(SMOLLM2)
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert not set(ids) & set(tokenizer.eos_ids)


@given(text=st.text(max_size=60).filter(lambda text: "\u2581" not in text))
def test_text_of_sentence_pieces_comes_back(text: str) -> None:
    tokenizer = loaded(GEMMA3)
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_a_character_of_several_tokens_is_held_back() -> None:
    tokenizer = loaded(SMOLLM2)
    ids = tokenizer.encode("\U0002a6d6")
    assert len(ids) > 1
    stream = tokenizer.stream()
    assert [stream.push(id) for id in ids] == [""] * (len(ids) - 1) + ["\U0002a6d6"]
    assert stream.end() == ""


def test_bytes_that_are_no_character_are_told_as_soon_as_they_are() -> None:
    tokenizer = loaded(SMOLLM2)
    first = tokenizer.encode("\U0002a6d6")[0]
    stream = tokenizer.stream()
    assert stream.push(first) == ""
    assert stream.push(tokenizer.encode("a")[0]) == "\ufffda"
    assert stream.push(first) == ""
    assert stream.end() == "\ufffd"
    # It begins anew.
    assert stream.push(tokenizer.encode("b")[0]) == "b"


def test_the_space_before_a_text_is_no_part_of_it(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(vocabularies.spm_file(tmp_path / "v.gguf", TEXTS))
    ids = tokenizer.encode("Hello world")
    assert streamed(tokenizer, ids) == tokenizer.decode(ids) == "Hello world"
    stream = tokenizer.stream(continuing=True)
    assert "".join(map(stream.push, ids)) + stream.end() == " Hello world"
    assert stream.push(ids[1]).startswith(" ")


@pytest.mark.parametrize("id", [-1, 49152, 2**40])
def test_an_id_that_does_not_exist_is_refused(id: int) -> None:
    tokenizer = loaded(SMOLLM2)
    with pytest.raises(BoundaryError, match=f"{id} is no id of") as caught:
        tokenizer.stream().push(id)
    assert caught.value.code == "TL5401"
    with pytest.raises(BoundaryError, match=rf"ids\[0\] is {id}, which is no id"):
        tokenizer.decode([id])


def sentence_pieces() -> list[Any]:
    return [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse()]


DECODERS: dict[str, Callable[[], Any]] = {
    "bytes": decoders.ByteLevel,
    "sentence pieces": lambda: decoders.Sequence([*sentence_pieces(), decoders.Strip(" ", 1, 0)]),
    "sentence pieces with spaces": lambda: decoders.Sequence(sentence_pieces()),
    "metaspace": decoders.Metaspace,
    "word pieces": decoders.WordPiece,
    "suffixes": decoders.BPEDecoder,
    "none": lambda: None,
}
TOKENS = ["a", "b", "\u2581a", "\u2581", "##c", "d</w>", "\u0120x", "'s", ".", "<0xE4>", "<0xBD>", "<0xA0>", "\u00e4"]


@pytest.mark.parametrize("kind", DECODERS)
@given(data=st.data())
def test_decoders_of_the_library(kind: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    library = Library(models.WordLevel({token: i for i, token in enumerate(TOKENS)}, unk_token="a"))
    if (decoder := DECODERS[kind]()) is not None:
        library.decoder = decoder
    library.add_special_tokens(["<end>"])
    path = tmp_path_factory.mktemp("decoder") / "tokenizer.json"
    library.save(str(path))
    tokenizer = load_tokenizer(path)
    ids = data.draw(st.lists(st.integers(0, len(TOKENS)), max_size=12))
    text = tokenizer.decode(ids)
    assert streamed(tokenizer, ids) == text
    if "\ufffd" not in text:
        assert text == library.decode(ids)


def test_the_json_of_a_vocabulary_of_bytes_gives_the_same(tmp_path: Path) -> None:
    """A `tokenizer.json` with the vocabulary and the pre-tokenizer of a GGUF file."""
    from tensorlogic.runtime.formats import read_header
    from tensorlogic.runtime.text.bpe import library as library_of
    from tensorlogic.runtime.text.vocabulary import read_vocabulary

    path = vocabularies.bpe_file(tmp_path / "v.gguf", TEXTS, "qwen2")
    header = read_header(path)
    library = library_of(read_vocabulary(path, header.metadata))
    library.decoder = decoders.ByteLevel()
    library.save(str(tmp_path / "tokenizer.json"))
    content = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    assert content["decoder"]["type"] == "ByteLevel"
    one, other = load_tokenizer(path), load_tokenizer(tmp_path)
    for text in TEXTS:
        ids = one.encode(text)
        assert other.encode(text) == ids
        assert one.decode(ids) == other.decode(ids) == text
