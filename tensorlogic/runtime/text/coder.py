"""What turns text into ids and back, below `Tokenizer`: the interface of all kinds, and the one for GGUF's own kinds.

`VocabularyCoder` takes a checked `Vocabulary` and the function that encodes text without special tokens. Where special
tokens are asked for it finds them first (`splitting.py`); tokens that a user defined are found in every text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from tensorlogic.runtime.errors import BoundaryError
from tensorlogic.runtime.text.bpe import spelled
from tensorlogic.runtime.text.detokenizer import Stream, join
from tensorlogic.runtime.text.splitting import Splitter
from tensorlogic.runtime.text.vocabulary import BYTE, CONTROL, NORMAL, UNKNOWN, USER_DEFINED, Vocabulary

Encode = Callable[[str, bool], list[int]]
"""The ids of a text without special tokens. Told whether nothing or a special token went before."""

SPACE = "\u2581"


class Coder(Protocol):
    """One vocabulary. `added` is how many tokens every text gets, `special` the tokens that are no text."""

    @property
    def vocab_size(self) -> int: ...

    @property
    def added(self) -> int: ...

    @property
    def special(self) -> Mapping[str, int]: ...

    def has(self, id: int) -> bool:
        """Whether there is a token of this id."""

    def encode(self, text: str, most: int | None, special: bool) -> list[int]:
        """The ids of a text, with what is added to every one; of the text itself so many that `most` are not passed."""

    def encode_chat(self, text: str, mark: str) -> list[int]:
        """The ids of what a chat template wrote: its special tokens, and its text less all `mark`s."""

    def decode(self, ids: Iterable[int]) -> str:
        """The text of ids that exist, without special tokens."""

    def stream(self, check: Callable[[int], None], continuing: bool) -> Stream: ...


class VocabularyCoder:
    """A coder of a GGUF file of the kinds `gpt2` and `llama`."""

    def __init__(self, vocabulary: Vocabulary, encode: Encode) -> None:
        self._vocabulary = vocabulary
        self._encode = encode
        defined = vocabulary.of_types(USER_DEFINED)
        self.special: Mapping[str, int] = vocabulary.special_ids()
        self._plain = Splitter(defined)
        self._all = Splitter({**defined, **self.special})
        self._before = [vocabulary.bos_id] if vocabulary.adds_bos and vocabulary.bos_id is not None else []
        self._after = [vocabulary.eos_id] if vocabulary.adds_eos and vocabulary.eos_id is not None else []
        self._spells_bytes = vocabulary.pre is not None and vocabulary.pre.bytes
        self._strips = vocabulary.adds_space

    @property
    def vocab_size(self) -> int:
        return len(self._vocabulary.tokens)

    @property
    def added(self) -> int:
        return len(self._before) + len(self._after)

    def has(self, id: int) -> bool:
        return 0 <= id < len(self._vocabulary.tokens)

    def encode(self, text: str, most: int | None, special: bool) -> list[int]:
        ids = self._ids(text, self._all if special else self._plain)
        if most is not None:
            del ids[most - self.added :]
        return [*self._before, *ids, *self._after]

    def encode_chat(self, text: str, mark: str) -> list[int]:
        ids = self._ids(text, self._all, mark)
        # Some templates begin with the token that begins every text, and some leave it to who encodes them.
        return ids if ids[:1] == self._before else [*self._before, *ids]

    def decode(self, ids: Iterable[int]) -> str:
        return join(self._piece, ids)

    def stream(self, check: Callable[[int], None], continuing: bool) -> Stream:
        return Stream(self._piece, check, continuing)

    def _ids(self, text: str, splitter: Splitter, mark: str = "") -> list[int]:
        ids: list[int] = []
        begins = True
        for part in splitter.split(text):
            if isinstance(part, int):
                ids.append(part)
                begins = True
            elif part := part.replace(mark, "") if mark else part:
                ids += self._encode(part, begins)
                begins = False
        return ids

    def _piece(self, id: int, begins: bool) -> bytes | None:
        token, type = self._vocabulary.tokens[id], self._vocabulary.types[id]
        if type in (CONTROL, UNKNOWN):
            return None
        if type == BYTE:
            return byte_of(token)
        if self._spells_bytes and type == NORMAL:
            return spelled(token)
        text = token if type == USER_DEFINED else token.replace(SPACE, " ")
        return text.removeprefix(" ").encode() if begins and self._strips else text.encode()


def byte_of(token: str) -> bytes:
    """The byte of a token such as `<0x0A>`; of any other the bytes of its text."""
    if len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
        try:
            return bytes([int(token[3:5], 16)])
        except ValueError:
            pass
    return token.encode()


def refuse_id(position: str, number: object, path: object) -> BoundaryError:
    """An error for a number that is no id."""
    return BoundaryError("TL5401", f"{position} is {number}, which is no id of {path}")
