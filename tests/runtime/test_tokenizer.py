"""The tokenizer: real ids of a real file, cutting, and one clear error for everything that can be wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tensorlogic.runtime.errors import BoundaryError, ModelFileError, TensorLogicError
from tensorlogic.runtime.text.tokenizer import Tokenizer, load_tokenizer
from tests.models import MINILM, model_path

CLS, SEP = 101, 102


@pytest.fixture(scope="module")
def minilm() -> Tokenizer:
    return load_tokenizer(model_path(MINILM) / "tokenizer.json")


@pytest.fixture
def reference() -> tokenizers.Tokenizer:
    """The library itself, without the file's padding."""
    library = tokenizers.Tokenizer.from_file(str(model_path(MINILM) / "tokenizer.json"))
    library.no_padding()
    return library


def small_tokenizer() -> dict[str, Any]:
    """Words split at spaces, between [CLS] and [SEP]. The ids have a gap: there is no 3."""
    special = {
        token: {"id": token, "ids": [number], "tokens": [token]} for token, number in (("[CLS]", 0), ("[SEP]", 1))
    }
    return {
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": {"type": "Whitespace"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [
                {"SpecialToken": {"id": "[CLS]", "type_id": 0}},
                {"Sequence": {"id": "A", "type_id": 0}},
                {"SpecialToken": {"id": "[SEP]", "type_id": 0}},
            ],
            "pair": [],
            "special_tokens": special,
        },
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": {"[CLS]": 0, "[SEP]": 1, "one": 2, "two": 4},
        },
    }


def written(folder: Path, content: dict[str, Any]) -> Path:
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(content))
    return path


def test_ids_are_those_of_the_model(minilm: Tokenizer) -> None:
    assert minilm.encode("Hello, world!") == [CLS, 7592, 1010, 2088, 999, SEP]
    assert minilm.encode("") == [CLS, SEP]
    assert minilm.vocab_size == 30522


def test_a_folder_stands_for_the_file_in_it() -> None:
    assert load_tokenizer(model_path(MINILM)).encode("Hello") == [CLS, 7592, SEP]


def test_the_files_own_padding_and_truncation_are_not_applied(minilm: Tokenizer) -> None:
    assert len(minilm.encode("word")) == 3  # the file pads to 128
    assert len(minilm.encode("word " * 300)) == 302  # the file cuts at 128


def test_cutting_keeps_the_special_tokens(minilm: Tokenizer) -> None:
    assert minilm.encode("Hello, world!", max_length=4) == [CLS, 7592, 1010, SEP]
    assert minilm.encode("Hello, world!", max_length=2) == [CLS, SEP]
    assert minilm.encode("Hello", max_length=256) == [CLS, 7592, SEP]


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text(), length=st.integers(2, 40))
def test_cutting_is_the_librarys_own_truncation(
    minilm: Tokenizer, reference: tokenizers.Tokenizer, text: str, length: int
) -> None:
    reference.enable_truncation(length)
    assert minilm.encode(text, max_length=length) == reference.encode(text).ids


def test_decoding_leaves_out_special_tokens(minilm: Tokenizer) -> None:
    assert minilm.decode(minilm.encode("hello world")) == "hello world"
    assert minilm.decode([]) == ""


def test_a_missing_library_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(TensorLogicError) as caught:
        load_tokenizer(tmp_path)
    assert caught.value.code == "TL4401"
    assert caught.value.helps == ("pip install 'tensorlogic-mlx[text]'",)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"no tokenizer at .*absent\.json") as caught:
        load_tokenizer(tmp_path / "absent.json")
    assert caught.value.code == "TL4402"
    with pytest.raises(ModelFileError, match=r"no tokenizer at .*tokenizer\.json"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b"[" * 100_000, b'{"version": "1.0", "model": {}}'])
def test_a_broken_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match="is not a tokenizer in the Hugging Face format") as caught:
        load_tokenizer(path)
    assert caught.value.code == "TL4402"


def test_a_template_with_an_undefined_token_is_refused(tmp_path: Path) -> None:
    content = small_tokenizer()
    del content["post_processor"]["special_tokens"]["[SEP]"]
    with pytest.raises(ModelFileError, match="is not a tokenizer in the Hugging Face format"):
        load_tokenizer(written(tmp_path, content))


def test_a_text_outside_the_vocabulary_is_refused(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(written(tmp_path, small_tokenizer()))
    assert tokenizer.encode("one two") == [0, 2, 4, 1]
    with pytest.raises(ModelFileError, match="cannot encode 'one three'") as caught:
        tokenizer.encode("one three")
    assert caught.value.code == "TL4403"


def test_a_text_that_is_not_unicode_is_refused(minilm: Tokenizer) -> None:
    with pytest.raises(BoundaryError, match="is not Unicode") as caught:
        minilm.encode(os.fsdecode(b"caf\xe9"))
    assert caught.value.code == "TL5402"


@pytest.mark.parametrize("length", [1, 0, -1])
def test_a_length_without_room_for_special_tokens_is_refused(minilm: Tokenizer, length: int) -> None:
    with pytest.raises(BoundaryError, match=f"max_length is {length}, but this tokenizer adds 2") as caught:
        minilm.encode("Hello", max_length=length)
    assert caught.value.code == "TL5401"


@pytest.mark.parametrize("number", [-1, 3, 5, 2**32, 2**70])
def test_an_id_that_does_not_exist_is_refused(tmp_path: Path, number: int) -> None:
    tokenizer = load_tokenizer(written(tmp_path, small_tokenizer()))
    with pytest.raises(BoundaryError, match=rf"ids\[1\] is {number}, which is no id") as caught:
        tokenizer.decode([2, number])
    assert caught.value.code == "TL5401"


def test_it_imports_no_mlx() -> None:
    program = "import sys, tensorlogic.runtime.text.tokenizer; print('mlx' in sys.modules, 'numpy' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["False", "False"]
