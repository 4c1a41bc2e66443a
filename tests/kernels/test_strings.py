"""Lists of strings as GGUF files have them, by the kernels and by Python."""

from __future__ import annotations

import struct
from pathlib import Path
from types import ModuleType

import pytest
from tensorlogic_cpu import kernels

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats import read_header
from tensorlogic.runtime.formats.gguf import quick
from tensorlogic.runtime.formats.gguf.header import _skip_strings, raw_string
from tests.runtime.model_files import write_gguf

TEXTS = ["", "a", "ÄÖ", "\u2581the", "\U0001f600" * 70, "x" * 5000, "\0", "last"]
DATA = b"".join(map(raw_string, TEXTS))
HUGE = struct.pack("<Q", 2**64 - 1)


def test_strings_are_decoded() -> None:
    assert kernels.strings(DATA, len(TEXTS)) == TEXTS
    assert kernels.strings(DATA, 3) == TEXTS[:3]
    assert kernels.strings(b"", 0) == []


@pytest.mark.parametrize("data", [DATA[:-1], DATA[:7], b"", DATA + HUGE, DATA + HUGE[:5]], ids=len)
def test_strings_that_end_too_early_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="the data end within a string"):
        kernels.strings(data, len(TEXTS) + 1)


@pytest.mark.parametrize("wrong", [b"\xff", b"\xed\xa0\x80", b"ab\xc3"])
def test_what_is_no_text_is_refused(wrong: bytes) -> None:
    with pytest.raises(UnicodeDecodeError):
        kernels.strings(raw_string("a") + struct.pack("<Q", len(wrong)) + wrong, 2)


def test_all_pairs_of_bytes_are_what_python_takes_them_for() -> None:
    for both in range(2**16):
        text = both.to_bytes(2, "big")
        data = struct.pack("<Q", 3) + b"a" + text
        try:
            expected = "a" + text.decode()
        except UnicodeDecodeError:
            with pytest.raises(UnicodeDecodeError):
                kernels.strings(data, 1)
        else:
            assert kernels.strings(data, 1) == [expected]


@pytest.mark.parametrize("letter", ["a", "\xe9", "\u0120", "\u07ff", "\u0800", "\U0001f600"])
def test_texts_of_all_lengths(letter: str) -> None:
    texts = [letter * count for count in range(70)] + ["a" * count + letter for count in range(70)]
    assert kernels.strings(b"".join(map(raw_string, texts)), len(texts)) == texts


@pytest.mark.parametrize("size", [0, 7, 8, 9, 30, len(DATA) - 5, len(DATA)])
@pytest.mark.parametrize("place", [0, 8, 17])
def test_skipping_is_the_same_in_both(size: int, place: int) -> None:
    count = len(TEXTS) - (0, 1, 2)[(0, 8, 17).index(place)]
    assert kernels.skip_strings(DATA[:size], place, count) == _skip_strings(DATA[:size], place, count)


def test_a_length_that_no_file_has_ends_behind_it() -> None:
    place, left = kernels.skip_strings(HUGE + b"abc", 0, 1)
    assert left == 0
    assert place > 2**60
    assert kernels.skip_strings(HUGE + b"abc", 0, 3)[1] == 2
    with pytest.raises(ValueError, match="a place is not negative"):
        kernels.skip_strings(DATA, -1, 1)


@pytest.mark.parametrize("by", [None, kernels], ids=["python", "kernels"])
def test_headers_are_the_same_by_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: ModuleType | None) -> None:
    monkeypatch.setattr(quick, "kernels", by)
    words = [f"word {i} " + "\u00fc" * (i % 40) for i in range(20_000)]
    path = write_gguf(tmp_path / "m.gguf", {}, {"tokenizer.ggml.tokens": words, "b": "ü", "c": ["z"]})
    metadata = read_header(path).metadata
    assert (metadata["tokenizer.ggml.tokens"], metadata["b"], metadata["c"]) == (tuple(words), "ü", ("z",))
    whole = path.read_bytes()
    path.write_bytes(whole.replace("\u00fc".encode() * 39, b"\xff" * 78))
    with pytest.raises(ModelFileError, match=r"string 39 of the metadata key .* is no valid UTF-8"):
        read_header(path).metadata["tokenizer.ggml.tokens"]
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelFileError, match="before the end of the value of"):
        read_header(path)
