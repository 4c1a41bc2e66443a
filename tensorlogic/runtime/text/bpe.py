"""BPE from a GGUF file's vocabulary and merges, by the library `tokenizers`.

Takes a vocabulary of the kind `gpt2`, of bytes or of letters. Promises the ids of llama.cpp, but where its patterns are
not the model's own (`pre_tokenizers.py`). Control tokens are left out of what merges may make, so that no text can
write one.

Refuses a text that the vocabulary cannot spell (TL4403); the library would leave it out without a word.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import tokenizers
from tokenizers import models, normalizers, pre_tokenizers

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.formats.header import shown
from tensorlogic.runtime.text.vocabulary import CONTROL, UNKNOWN, Vocabulary, damage

SPACE = "\u2581"


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
    for place, merge in enumerate(vocabulary.merges):
        middle = max(merge.find(" ", 1), 0)
        pair = merge[:middle], merge[middle + 1 :]
        texts = {*pair, "".join(pair)}
        if not texts <= tokens:
            raise damage(vocabulary.path, f"merge {place}, `{shown(merge)}`, does not join two tokens to a third")
        if texts <= index.keys():
            found.append(pair)
    return found


class Merges:
    """The library's tokenizer of one vocabulary. Encoding changes no state: threads may share it."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        pre = vocabulary.pre
        assert pre is not None
        self._path = vocabulary.path
        index = vocabulary.but_of_types(CONTROL, UNKNOWN)
        options = {"ignore_merges": pre.whole_words, "byte_fallback": not pre.bytes}
        try:
            # The library sees for itself whether merges join tokens to tokens. A first text with a space is rare.
            pairs: Any = [tuple(merge.split(" ", 1)) for merge in vocabulary.merges]
            model = models.BPE(index, pairs, **options)
        except Exception:
            # It raises nothing narrower. Looked at one by one, a wrong merge is told, and all else is raised again.
            model = models.BPE(index, _merges(vocabulary, index), **options)
        self.library = tokenizers.Tokenizer(model)
        splits: list[pre_tokenizers.PreTokenizer] = [
            pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated") for pattern in pre.patterns
        ]
        if pre.bytes:
            splits.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False))
            self._unspelled = {byte for byte, letter in LETTERS.items() if letter not in index}
        else:
            self.library.normalizer = normalizers.Replace(" ", SPACE)
            self._unspelled = {byte for byte in range(256) if f"<0x{byte:02X}>" not in index}
        self._known = frozenset() if pre.bytes else frozenset(token for token in index if len(token) == 1)
        self.library.pre_tokenizer = pre_tokenizers.Sequence(splits)

    def __call__(self, text: str, begins: bool) -> list[int]:
        """The ids of a text without special tokens."""
        if self._unspelled:
            self._check(text)
        return self.library.encode(text, add_special_tokens=False).ids

    def _check(self, text: str) -> None:
        for letter in set(text.replace(" ", SPACE) if self._known else text):
            if letter not in self._known and not self._unspelled.isdisjoint(letter.encode()):
                message = f"{self._path} cannot encode {letter!a}: it has neither a token for it nor for its bytes"
                raise ModelFileError("TL4403", message)
