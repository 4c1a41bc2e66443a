"""BPE from a GGUF file's vocabulary and merges: texts are cut into words by the library `tokenizers`, and words merged
by our CPU kernels, where somebody has loaded them, or by the library.

Takes a vocabulary of the kind `gpt2`, of bytes or of letters. Promises the ids of llama.cpp, but where its patterns are
not the model's own (`pre_tokenizers.py`), by either way. Control tokens are left out of what merges may make, so that
no text can write one.

The library's model is made of Python's objects, each token and merge decoded, and that was most of what kept a model
from opening in 1.25 times llama.cpp's time and memory: SmolLM2's tokenizer (49,152 tokens) took 103 ms and 41 MB with
it, and takes 32 ms and 15 MB with the kernels, which read the file's own bytes (medians of 9 processes of either way,
on two virtual cores; their tables have 3.5 MB). The library is the way without kernels, for what they refuse and to
hold them against: `tests/kernels/test_bpe.py`.

Refuses a text that the vocabulary cannot spell (TL4403); the library would leave it out without a word.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import tokenizers
from tokenizers import models, normalizers, pre_tokenizers

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats.gguf import quick
from tensorlogic.runtime.formats.header import shown
from tensorlogic.runtime.text.pre_tokenizers import PreTokenizer
from tensorlogic.runtime.text.vocabulary import CONTROL, UNKNOWN, Vocabulary, damage

SPACE = "\u2581"

_Encode = Callable[[str], list[int]]


def _letters() -> dict[int, str]:
    """The letter for each byte: itself where it can be seen, one from U+0100 on where not (GPT-2's encoder.py)."""
    seen = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = itertools.count(0x100)
    return {byte: chr(byte) if byte in seen else chr(next(others)) for byte in range(256)}


LETTERS = _letters()
BYTES = {letter: byte for byte, letter in LETTERS.items()}


def spelled(token: str) -> bytes:
    """The bytes of a token of a vocabulary of bytes; of any other one those of its text."""
    try:
        return bytes([BYTES[letter] for letter in token])
    except KeyError:
        return token.encode()


def _merges(vocabulary: Vocabulary, index: Mapping[str, int]) -> list[tuple[str, str]]:
    """Those of tokens that texts may have. Refuses one that joins no two tokens to a third (TL4405)."""
    tokens = set(vocabulary.tokens)
    found: list[tuple[str, str]] = []
    for place, merge in enumerate(vocabulary.merges()):
        middle = max(merge.find(" ", 1), 0)
        pair = merge[:middle], merge[middle + 1 :]
        texts = {*pair, "".join(pair)}
        if not texts <= tokens:
            raise damage(vocabulary.path, f"merge {place}, `{shown(merge)}`, does not join two tokens to a third")
        if texts <= index.keys():
            found.append(pair)
    return found


def library(vocabulary: Vocabulary) -> tokenizers.Tokenizer:
    """The library's tokenizer of a vocabulary. Refuses a merge that joins no two tokens to a third (TL4405)."""
    pre = vocabulary.pre
    assert pre is not None
    index = vocabulary.but_of_types(CONTROL, UNKNOWN)
    options = {"ignore_merges": pre.whole_words, "byte_fallback": not pre.bytes}
    merges = vocabulary.merges()
    # The library sees for itself whether merges join tokens to tokens. A first text with a space is rare.
    pairs: Any = [tuple(merge.split(" ", 1)) for merge in merges]
    if _longest(merges) > _longest(index) + 1:
        # On a merge to more than any token it would not raise, but panic.
        pairs = _merges(vocabulary, index)
    try:
        model = models.BPE(index, pairs, **options)
    except Exception:
        # It raises nothing narrower. Looked at one by one, a wrong merge is told, and all else is raised again.
        model = models.BPE(index, _merges(vocabulary, index), **options)
    made = tokenizers.Tokenizer(model)
    if not pre.bytes:
        made.normalizer = normalizers.Replace(" ", SPACE)
    made.pre_tokenizer = _cutting(pre)
    return made


def _longest(texts: Iterable[str]) -> int:
    """The bytes of the longest; 0 of none."""
    return max(map(len, map(str.encode, texts)), default=0)


def _cutting(pre: PreTokenizer) -> pre_tokenizers.PreTokenizer:
    """The library's own, which cuts a text into words; those of a vocabulary of bytes are in its letters."""
    splits: list[pre_tokenizers.PreTokenizer] = [
        pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated") for pattern in pre.patterns
    ]
    if pre.bytes:
        splits.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False))
    return pre_tokenizers.Sequence(splits)


def _by_library(vocabulary: Vocabulary) -> _Encode:
    made = library(vocabulary)
    return lambda text: made.encode(text, add_special_tokens=False).ids


def _by_kernels(vocabulary: Vocabulary) -> _Encode | None:
    """None without kernels, and for what they refuse, of which the library's way tells more."""
    pre, raw = vocabulary.pre, vocabulary.raw
    assert pre is not None
    if quick.kernels is None or raw is None:
        return None
    apart = list(vocabulary.special_ids().values())
    lists = raw.tokens, raw.token_count, raw.merges, raw.merge_count
    try:
        bpe = quick.kernels.Bpe(*lists, apart, pre.whole_words, not pre.bytes)
    except ValueError:
        return None
    cutting = _cutting(pre)

    def encode(text: str) -> list[int]:
        pieces = tokenizers.PreTokenizedString(text if pre.bytes else text.replace(" ", SPACE))
        cutting.pre_tokenize(pieces)
        # Places are not asked for; counted in letters, as `pre_tokenize_str` does, they take a fifth of the time.
        ids: list[int] = bpe.encode([piece for piece, *_ in pieces.get_splits("normalized", "byte")])
        return ids

    return encode


class Merges:
    """The merging of one vocabulary. Encoding changes no state: threads may share it."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        pre = vocabulary.pre
        assert pre is not None
        self._path = vocabulary.path
        self._encode = _by_kernels(vocabulary) or _by_library(vocabulary)
        special = vocabulary.special_ids()
        index = vocabulary.index.keys()
        names = LETTERS if pre.bytes else {byte: f"<0x{byte:02X}>" for byte in range(256)}
        self._unspelled = {byte for byte, name in names.items() if name not in index or name in special}
        self._known: frozenset[str] = frozenset()
        if not pre.bytes:
            self._known = frozenset(token for token in index if len(token) == 1 and token not in special)

    def __call__(self, text: str, begins: bool) -> list[int]:
        """The ids of a text without special tokens."""
        if self._unspelled:
            self._check(text)
        return self._encode(text)

    def _check(self, text: str) -> None:
        for letter in set(text.replace(" ", SPACE) if self._known else text):
            if letter not in self._known and not self._unspelled.isdisjoint(letter.encode()):
                message = f"{self._path} cannot encode {letter!a}: it has neither a token for it nor for its bytes"
                raise ModelFileError("TL4403", message)
