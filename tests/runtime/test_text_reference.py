"""Ids are those of llama.cpp (`tests/data/text`), and what tokenizers do beside that.

Where a model's own tokenizer and llama.cpp differ, the model's is right: those texts are named here, with the reason.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import pytest

from tensorlogic.runtime.text.pre_tokenizers import PRE_TOKENIZERS
from tensorlogic.runtime.text.tokenizer import Tokenizer, load_tokenizer
from tests.data.text.torture import TEXTS
from tests.models import GEMMA3, MINILM, SMOLLM2, model_path
from tests.runtime import vocabularies

REFERENCE: dict[str, Any] = json.loads(
    (Path(__file__).parent.parent / "data" / "text" / "reference.json").read_text(encoding="utf-8")
)
NAMES = {"smollm2": SMOLLM2, "gemma3": GEMMA3}


@functools.cache
def of_model(name: str) -> Tokenizer:
    return load_tokenizer(model_path(NAMES[name]))


def differences(tokenizer: Tokenizer, expected: list[list[int]], added: int, after: int = 0) -> list[str]:
    """The texts with other ids, leaving out what is added to every text."""
    found = []
    for text, ids in zip(TEXTS, expected, strict=True):
        given = tokenizer.encode(text)
        if given[added : len(given) - after] != ids:
            found.append(text)
    return found


def texts_with(*parts: str) -> list[str]:
    return [text for text in TEXTS if any(part in text for part in parts)]


@pytest.mark.parametrize(("name", "added"), [("smollm2", 0), ("gemma3", 1)])
def test_ids_of_real_models(name: str, added: int) -> None:
    tokenizer, expected = of_model(name), REFERENCE[name]
    assert differences(tokenizer, expected["ids"], added) == []
    for place, text in enumerate(TEXTS):
        ids = expected["special"].get(str(place), expected["ids"][place])
        assert tokenizer.encode(text, special=True)[added:] == ids
    assert tokenizer.encode(TEXTS[4]) == expected["whole"]
    assert list(tokenizer.eos_ids) == expected["ends"]


@pytest.mark.parametrize("name", ["smollm2", "gemma3"])
def test_text_comes_back(name: str) -> None:
    tokenizer = of_model(name)
    # SPM writes a space as U+2581, so that this character comes back as a space.
    lost = texts_with("\u2581") if name == "gemma3" else []
    assert [text for text in TEXTS if tokenizer.decode(tokenizer.encode(text)) != text] == lost


MARKS = texts_with(
    *("\u0351\u036b", "nai\u0308ve", "\u0628\u0650\u0633\u0652", "\u05e9\u05c1"),
    *("\u09a8\u09ae", "\u0e2a\u0e27"),
)
"""Combining marks, which llama.cpp's form of some patterns takes for signs."""
CASES = texts_with("camelCase", "\u0120byte")
"""Capitals, which it takes for any letters."""
# Spaces other than U+0020, which it takes for vertical tabs where the patterns have ranges of characters.
SPACES = texts_with("\u202f", "\u2028")
OTHERS = {
    "deepseek-llm": SPACES,
    "deepseek-coder": SPACES,
    "youtu": CASES,
    # The ends of words and digits of other scripts, which it has for ASCII alone.
    "tiny_aya": [*CASES, *texts_with("\u4eca\u5929\u662f2024")],
    "superbpe": texts_with("\u0661\u0662"),
    "gpt-4o": [*MARKS, *texts_with("\u0120byte")],
    "granite-embed-multi-97m": texts_with("\u0120byte"),
    "tekken": [*MARKS, *texts_with("\u0120byte")],
    "kimi-k2": [*MARKS, *CASES],
}


@pytest.mark.parametrize("pre", list(REFERENCE["pre"]))
def test_ids_of_each_pre_tokenizer(pre: str, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(vocabularies.bpe_file(tmp_path / "v.gguf", TEXTS, pre, add_bos_token=False))
    found = differences(tokenizer, REFERENCE["pre"][pre], 0)
    assert found == [text for text in TEXTS if text in OTHERS.get(pre, ())]


def test_the_reference_has_every_pre_tokenizer() -> None:
    of_bytes = {pre for pre in PRE_TOKENIZERS.values() if pre.bytes}
    assert {PRE_TOKENIZERS[name] for name in REFERENCE["pre"]} == of_bytes


@pytest.mark.parametrize("spaces", [True, False])
def test_ids_of_sentence_pieces(spaces: bool, tmp_path: Path) -> None:
    expected = REFERENCE["spm" if spaces else "spm with spaces"]
    tokenizer = load_tokenizer(vocabularies.spm_file(tmp_path / "v.gguf", TEXTS, add_space_prefix=spaces))
    # There llama.cpp makes the control token `</s>` of letters.
    assert differences(tokenizer, expected["ids"], 1) == texts_with("</s>")
    assert tokenizer.encode(TEXTS[4]) == expected["whole"]
    assert list(tokenizer.eos_ids) == expected["ends"]
    assert [t for t in TEXTS if tokenizer.decode(tokenizer.encode(t)) != t] == texts_with("\u2581")


def test_ids_of_letters_with_merges(tmp_path: Path) -> None:
    expected = REFERENCE["gemma4"]
    tokenizer = load_tokenizer(vocabularies.letters_file(tmp_path / "v.gguf", TEXTS))
    assert differences(tokenizer, expected["ids"], 1) == []
    assert list(tokenizer.eos_ids) == expected["ends"]


def test_ids_of_word_pieces(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(vocabularies.wordpiece_file(tmp_path / "v.gguf", model_path(MINILM)))
    own = load_tokenizer(model_path(MINILM))
    assert [text for text in TEXTS if tokenizer.encode(text) != own.encode(text)] == []
    assert [text for text in TEXTS if tokenizer.decode(own.encode(text)) != own.decode(own.encode(text))] == []
    # llama.cpp takes Hangul apart in another way, drops vowel signs, and takes U+0085 for a space.
    known = texts_with("\u2028", "\uc548\ub155", "\u0928\u092e", "\u09a8\u09ae")
    assert differences(tokenizer, REFERENCE["wordpiece"]["ids"], 1, 1) == known
    assert tokenizer.encode(TEXTS[4]) == REFERENCE["wordpiece"]["whole"]
    assert tokenizer.encode("[CLS] x", special=True)[1] == own.encode("[CLS] x", special=True)[1] == 101
    assert tokenizer.encode("[CLS] x")[1] != 101
