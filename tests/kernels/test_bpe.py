"""Words into tokens by the kernels, beside the library `tokenizers`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorlogic_cpu import kernels
from tokenizers import models

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats import read_header
from tensorlogic.runtime.formats.gguf import quick
from tensorlogic.runtime.formats.gguf.header import Metadata, raw_string
from tensorlogic.runtime.text import bpe
from tensorlogic.runtime.text.pre_tokenizers import PRE_TOKENIZERS
from tensorlogic.runtime.text.tokenizer import Tokenizer, load_tokenizer, tokenizer_of
from tests.data.text.torture import TEXTS
from tests.models import SMOLLM2, model_path
from tests.runtime import vocabularies

ROOT = Path(__file__).parent.parent.parent


def raw(texts: Collection[str]) -> tuple[bytes, int]:
    return b"".join(map(raw_string, texts)), len(texts)


def native(
    tokens: Sequence[str],
    merges: Sequence[str],
    apart: Sequence[int] = (),
    whole_words: bool = False,
    byte_fallback: bool = False,
) -> kernels.Bpe:
    return kernels.Bpe(*raw(tokens), *raw(merges), apart, whole_words, byte_fallback)


def by_library(
    tokens: Sequence[str], merges: Iterable[str], apart: Collection[int], whole_words: bool, byte_fallback: bool
) -> Callable[[str], list[int]] | None:
    """What encodes one word; None where a merge does not join two tokens to a third."""
    index = {token: id for id, token in enumerate(tokens) if id not in apart}
    pairs: Any = []
    for merge in dict.fromkeys(merges):
        middle = merge.find(" ", 1)
        texts = merge[:middle], merge[middle + 1 :], merge[:middle] + merge[middle + 1 :]
        if middle < 0 or not set(texts) <= set(tokens):
            return None
        if set(texts) <= index.keys():
            pairs.append(texts[:2])
    model = models.BPE(index, pairs, ignore_merges=whole_words, byte_fallback=byte_fallback)
    return lambda word: [token.id for token in model.tokenize(word)]


LETTERS = "abc \u00e9\u20ac\U0001f600"


@st.composite
def grown(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    """Letters, and what merges of two of the tokens before join; some are there twice, or cut at another space."""
    tokens = sorted(draw(st.sets(st.sampled_from(LETTERS), min_size=1)))
    merges = []
    for _ in range(draw(st.integers(0, 24))):
        left, right = draw(st.sampled_from(tokens)), draw(st.sampled_from(tokens))
        if len(left + right) <= 9:
            merges.append(f"{left} {right}")
            tokens.append(left + right)
    given_bytes = draw(st.sets(st.sampled_from([*"\u00e9\u20ac".encode(), 0x61, 0xFF])))
    tokens = list(dict.fromkeys([*tokens, *(f"<0x{byte:02X}>" for byte in sorted(given_bytes))]))
    return draw(st.permutations(tokens)), draw(st.permutations(merges))


@given(
    vocabulary=grown(),
    data=st.data(),
    whole_words=st.booleans(),
    byte_fallback=st.booleans(),
    words=st.lists(st.text(LETTERS + "d", max_size=30), max_size=8),
)
def test_ids_are_those_of_the_library(
    vocabulary: tuple[list[str], list[str]],
    data: st.DataObject,
    whole_words: bool,
    byte_fallback: bool,
    words: list[str],
) -> None:
    tokens, merges = vocabulary
    apart = data.draw(st.sets(st.integers(0, len(tokens) - 1), max_size=3) if len(tokens) > 3 else st.just(set()))
    words += data.draw(st.lists(st.sampled_from(tokens), max_size=3))
    rest = sorted(apart), whole_words, byte_fallback
    encode = by_library(tokens, merges, *rest)
    if encode is None:
        with pytest.raises(ValueError, match="merges join two of them to a third"):
            native(tokens, merges, *rest)
    else:
        found = native(tokens, merges, *rest)
        assert found.encode(words) == [id for word in words for id in encode(word)]
        assert found.encode([]) == found.encode([""]) == []


@pytest.mark.parametrize("doublings", [0, 1, 4, 10])
def test_long_words(doublings: int) -> None:
    tokens = ["a" * 2**i for i in range(doublings + 1)]
    merges = [f"{token} {token}" for token in tokens[:-1]]
    encode = by_library(tokens, merges, (), False, False)
    assert encode is not None
    for word in ("a" * 100_000, "a" * 99_999, "aab" * 33_333):
        assert native(tokens, merges).encode([word]) == encode(word)


def test_a_merge_that_is_there_again_counts_once() -> None:
    tokens = ["a", "b", "ab", "ba"]
    assert native(tokens, ["b a", "a b", "b a"]).encode(["aba"]) == [0, 3]
    assert native(tokens, ["a b", "b a", "a b"]).encode(["aba"]) == [2, 0]


@pytest.mark.parametrize(
    ("tokens", "merges"),
    [(["a", "a"], []), (["a", ""], []), (["a", "b"], ["a b"]), (["a", "b"], ["ab"]), (["a", "aa"], [" a"])],
)
def test_what_is_no_vocabulary_is_refused(tokens: list[str], merges: list[str]) -> None:
    with pytest.raises(ValueError, match="tokens differ"):
        native(tokens, merges)


@pytest.mark.parametrize("apart", [[-1], [1], [2**62]])
def test_ids_that_are_none_are_refused(apart: list[int]) -> None:
    with pytest.raises(ValueError, match="those apart are among them"):
        native(["a"], [], apart)


def test_data_that_end_too_early_are_refused() -> None:
    (tokens, _), (merges, _) = raw(["a", "b", "ab"]), raw(["a b"])
    huge = b"\xff" * 8 + tokens[8:]
    cut = [(tokens[:size], 3, merges, 1) for size in range(len(tokens))]
    cut += [(tokens, 3, merges[:size], 1) for size in range(len(merges))]
    cut += [(tokens, 4, merges, 1), (tokens, 3, merges, 2), (tokens, -1, merges, 1), (tokens, 3, merges, 2**62)]
    for lists in (*cut, (huge, 3, merges, 1), (tokens, 3, huge, 1)):
        with pytest.raises(ValueError, match="tokens differ"):
            kernels.Bpe(*lists, [], False, False)
    assert kernels.Bpe(tokens, 3, merges, 1, [], False, False).encode(["aba"]) == [2, 0]


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(TypeError):
        native(["a"], []).encode(["\ud800"])


def test_threads_share_it() -> None:
    found = native(["a", "b", "ab"], ["a b"])
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda n: found.encode(["ab" * n] * 50), range(100)))
    assert results == [[2] * n * 50 for n in range(100)]


# Whole files.


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], tuple[Tokenizer, Tokenizer]]:
    """A file's tokenizer by the kernels and by the library."""

    def library(*_: object) -> None:
        raise AssertionError("the kernels take it")

    def load(path: Path) -> tuple[Tokenizer, Tokenizer]:
        with monkeypatch.context() as patch:
            patch.setattr(quick, "kernels", kernels)
            patch.setattr(bpe, "library", library)
            ours = load_tokenizer(path)
        with monkeypatch.context() as patch:
            patch.setattr(quick, "kernels", None)
            return ours, load_tokenizer(path)

    return load


def test_a_real_model(both: Callable[[Path], tuple[Tokenizer, Tokenizer]]) -> None:
    ours, theirs = both(model_path(SMOLLM2))
    own = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "tensorlogic" / "runtime").rglob("*.py"))]
    texts = [*TEXTS, *own, " ".join(own), "\n".join(TEXTS)]
    assert sum(map(len, own)) > 300_000
    for text in texts:
        assert ours.encode(text) == theirs.encode(text)
        assert ours.encode(text, special=True) == theirs.encode(text, special=True)


@pytest.mark.parametrize("pre", sorted({pre: name for name, pre in PRE_TOKENIZERS.items() if pre.bytes}.values()))
def test_each_pre_tokenizer(pre: str, tmp_path: Path, both: Callable[[Path], tuple[Tokenizer, Tokenizer]]) -> None:
    ours, theirs = both(vocabularies.bpe_file(tmp_path / "v.gguf", TEXTS, pre, add_bos_token=False))
    assert [text for text in TEXTS if ours.encode(text) != theirs.encode(text)] == []


def test_letters_with_bytes(tmp_path: Path, both: Callable[[Path], tuple[Tokenizer, Tokenizer]]) -> None:
    ours, theirs = both(vocabularies.letters_file(tmp_path / "v.gguf", TEXTS))
    assert [text for text in TEXTS if ours.encode(text) != theirs.encode(text)] == []


def small(path: Path, **changed: Any) -> Path:
    tokens, merges = vocabularies.byte_level(["Hello world </s>"])
    return vocabularies.write_vocabulary(
        path, {"model": "gpt2", "pre": "gpt-2", "tokens": tokens, "merges": merges} | changed
    )


def test_an_end_that_merges_make_is_text(tmp_path: Path, both: Callable[[Path], tuple[Tokenizer, Tokenizer]]) -> None:
    assert "</s>" in vocabularies.byte_level(["</s>"])[0]
    ours, theirs = both(small(tmp_path / "v.gguf"))
    assert ours.encode("</s>") == theirs.encode("</s>")
    assert ours.eos_ids == theirs.eos_ids
    assert ours.decode(ours.encode("</s>")) == "</s>"


def test_a_text_without_letters(tmp_path: Path, both: Callable[[Path], tuple[Tokenizer, Tokenizer]]) -> None:
    tokens, _ = vocabularies.byte_level(["Hello"])
    for tokenizer in both(small(tmp_path / "v.gguf", tokens=[t for t in tokens if t != "!"], merges=["H e"])):
        with pytest.raises(ModelFileError, match="cannot encode '!'"):
            tokenizer.encode("Hello!")


@pytest.mark.parametrize("by", [None, kernels], ids=["library", "kernels"])
@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"merges": ["H e", "x"]}, "merge 1, `x`, does not join two tokens to a third"),
        ({"merges": ["H e", "H \u20ac"]}, "merge 1, `H \u20ac`, does not join"),
        ({"tokens": ["a", "b", "a"], "merges": ["a b"]}, "token 2 of its vocabulary, `a`, is there before"),
        ({"merges": [1]}, "is no list of texts"),
        ({"add_bos_token": True}, "asks for a token that it does not name"),
    ],
)
def test_damage_is_told_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: ModuleType | None, changed: dict[str, Any], said: str
) -> None:
    monkeypatch.setattr(quick, "kernels", by)
    with pytest.raises(ModelFileError, match=said) as caught:
        load_tokenizer(small(tmp_path / "v.gguf", **changed))
    assert caught.value.code == "TL4405"


@pytest.mark.parametrize("by", [None, kernels], ids=["library", "kernels"])
def test_merges_that_are_no_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: ModuleType | None) -> None:
    monkeypatch.setattr(quick, "kernels", by)
    path = small(tmp_path / "v.gguf", merges=["H e", "l lyz"])
    path.write_bytes(path.read_bytes().replace(b"l lyz", b"l l\xff\xff"))
    with pytest.raises(ModelFileError, match=r"string 1 of the metadata key `tokenizer.ggml.merges` is no valid UTF-8"):
        load_tokenizer(path)


def test_an_empty_token_and_a_first_text_with_a_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = [*vocabularies.byte_letters(), "", " ", " H"]
    path = small(tmp_path / "v.gguf", tokens=tokens, merges=["  H"])
    expected = None
    for by in (None, kernels):
        monkeypatch.setattr(quick, "kernels", by)
        ids = load_tokenizer(path).encode("Hello H")
        assert expected in (None, ids)
        expected = ids


def test_merges_are_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quick, "kernels", kernels)
    header = read_header(model_path(SMOLLM2))
    assert isinstance(header.metadata, Metadata)
    assert tokenizer_of(header).encode("Hello world") == [19556, 905]
    assert header.metadata.raw_strings("tokenizer.ggml.merges") is not None
    assert header.metadata.raw_strings("tokenizer.ggml.tokens") is None
    assert header.metadata.raw_strings("tokenizer.ggml.model") is None
    assert header.metadata.raw_strings("no key") is None
    # Asked for by somebody, they are the library's.
    merges = header.metadata["tokenizer.ggml.merges"]
    assert isinstance(merges, tuple)
    assert len(merges) == 48_900
    assert tokenizer_of(header).encode("Hello world") == [19556, 905]
