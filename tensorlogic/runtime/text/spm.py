"""SPM: pieces of text joined by scores, as SentencePiece's BPE and llama.cpp do it.

Takes a vocabulary of the kind `llama`. Promises the ids of llama.cpp: of all neighbours that are a token together,
those with the highest score are joined first, the leftmost of equal ones; what is no token in the end is given byte by
byte. Unlike there, a token that is no text (a control token, a byte, the unknown one) is never made of letters, as in
SentencePiece itself (https://github.com/google/sentencepiece, src/bpe_model.cc), so that no text can write one.

This is done here and not by the library `tokenizers`, whose merges have ranks for pairs: pairs that are one token, or
have one score, cannot have one rank there, and ids would differ.

Refuses a text with bytes that the vocabulary has no token for (TL4403).
"""

from __future__ import annotations

import re
from heapq import heapify, heappop, heappush

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.text.vocabulary import BYTE, CONTROL, UNKNOWN, Vocabulary

SPACE = "\u2581"
_MOST_WORDS = 65_536
_LONGEST_WORD = 64
_MOST_LETTERS = 1_000


class SentencePieces:
    """The joining of one vocabulary. Remembers the ids of words that it has seen; threads may share it."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._path = vocabulary.path
        self._scores = vocabulary.scores
        self._adds_space = vocabulary.adds_space
        self._index = vocabulary.but_of_types(UNKNOWN, CONTROL, BYTE)
        special = vocabulary.of_types(UNKNOWN, CONTROL, BYTE)
        spelled = (f"<0x{byte:02X}>" for byte in range(256))
        self._bytes = [
            special.get(name, self._index.get(name, self._index.get(chr(byte)))) for byte, name in enumerate(spelled)
        ]
        self._ends_of_words = _ends_of_words(self._index)
        self._known: dict[str, list[int]] = {}

    def __call__(self, text: str, begins: bool) -> list[int]:
        """The ids of a text without special tokens; `begins` where none of it went before, or a special token did."""
        if begins and self._adds_space:
            text = " " + text
        ids: list[int] = []
        for word in self._ends_of_words.split(text.replace(" ", SPACE)):
            found = self._known.get(word)
            if found is None:
                found = self._joined(word)
                if len(word) <= _LONGEST_WORD:
                    if len(self._known) >= _MOST_WORDS:
                        self._known.clear()
                    self._known[word] = found
            ids += found
        return ids

    def _joined(self, word: str) -> list[int]:
        parts = list(word)
        count = len(parts)
        before = list(range(-1, count - 1))
        after = [*range(1, count), -1]
        index, scores = self._index, self._scores
        waiting: list[tuple[float, int, int, int]] = []
        for left in range(count - 1):
            token = index.get(word[left : left + 2])
            if token is not None:
                waiting.append((-scores[token], left, left + 1, 2))
        heapify(waiting)
        while waiting:
            _, left, right, size = heappop(waiting)
            # Parts only grow, or are emptied: with this size both are as they were.
            if not parts[left] or not parts[right] or len(parts[left]) + len(parts[right]) != size:
                continue
            parts[left] += parts[right]
            parts[right] = ""
            following = after[left] = after[right]
            if following >= 0:
                before[following] = left
            for one, other in ((before[left], left), (left, following)):
                if one >= 0 and other >= 0:
                    text = parts[one] + parts[other]
                    token = index.get(text)
                    if token is not None:
                        heappush(waiting, (-scores[token], one, other, len(text)))
        ids: list[int] = []
        for part in filter(None, parts):
            token = index.get(part)
            if token is not None:
                ids.append(token)
            else:
                ids += self._spelled(part)
        return ids

    def _spelled(self, letter: str) -> list[int]:
        ids: list[int] = []
        for byte in letter.encode():
            id = self._bytes[byte]
            if id is None:
                message = f"{self._path} cannot encode {letter!a}: it has neither a token for it nor for its bytes"
                raise ModelFileError("TL4403", message)
            ids.append(id)
        return ids


def _ends_of_words(index: dict[str, int]) -> re.Pattern[str]:
    """Where a text may be cut, since no token holds what is on both sides: before spaces, but for those behind letters
    after which some token has one."""
    inside = re.compile(f"[^{SPACE}](?={SPACE})")
    spaced = [token for token in index if token.rfind(SPACE) > 0]
    letters = {letter for token in spaced for letter in inside.findall(token)}
    if len(letters) > _MOST_LETTERS:
        return re.compile("(?!)")
    kept = "".join(map(re.escape, sorted(letters)))
    return re.compile(f"(?<=[^{SPACE}{kept}])(?={SPACE})")
