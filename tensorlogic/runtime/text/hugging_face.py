"""Tokenizers of the library `tokenizers`: those of a `tokenizer.json`, and WordPiece from a GGUF file's vocabulary.

Takes the path of a `tokenizer.json`, or a vocabulary of the kind `bert`. Promises the library's own ids, of one text
alone: a file's own padding and truncation are for batches, and some files disagree with their model about the length,
so neither is applied. Text of tokens of bytes is put together here (`detokenizer.py`), since the library gives U+FFFD
for each byte of a run that has a wrong one.

Refuses what is no tokenizer (TL4402) and texts that a vocabulary cannot write (TL4403), which the library tells by bare
exceptions, and by panics.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors

from tensorlogic.runtime.errors import ModelFileError
from tensorlogic.runtime.text.bpe import spelled
from tensorlogic.runtime.text.coder import SPACE, byte_of
from tensorlogic.runtime.text.detokenizer import HeldStream, Piece, Stream, join
from tensorlogic.runtime.text.splitting import Splitter
from tensorlogic.runtime.text.vocabulary import CONTROL, Vocabulary

_LARGEST_ID = 2**32 - 1
_LONGEST_WORD = 100
"""Letters of a word; longer ones are unknown. BERT's own, which GGUF has no key for."""


class LibraryCoder:
    """A coder of a tokenizer of the library. Encoding changes no state: threads may share it."""

    def __init__(self, library: tokenizers.Tokenizer, path: Path) -> None:
        library.no_padding()
        library.no_truncation()
        library.encode_special_tokens = True
        self._library = library
        self._path = path
        self.added = library.num_special_tokens_to_add(is_pair=False)
        tokens = library.get_added_tokens_decoder()
        self.special: Mapping[str, int] = {t.content: i for i, t in tokens.items() if t.special and t.content}
        self._special_ids = frozenset(self.special.values())

    @property
    def vocab_size(self) -> int:
        return self._library.get_vocab_size(with_added_tokens=True)

    def has(self, id: int) -> bool:
        return 0 <= id <= _LARGEST_ID and self._library.id_to_token(id) is not None

    def encode(self, text: str, most: int | None, special: bool) -> list[int]:
        library = self._finding_special if special else self._library
        with _faults("TL4403", f"{self._path} cannot encode {excerpt(text)}"):
            encoding = library.encode(text, add_special_tokens=False)
            if most is not None:
                # Before the special tokens are added, so that cutting cannot remove them.
                encoding.truncate(most - self.added)
            return library.post_process(encoding).ids

    def encode_chat(self, text: str, mark: str) -> list[int]:
        with _faults("TL4403", f"{self._path} cannot encode {excerpt(text)}"):
            if mark not in text:
                return self._finding_special.encode(text, add_special_tokens=False).ids
            # The library cannot be told which look-alikes to leave alone.
            ids: list[int] = []
            for part in Splitter(self.special).split(text):
                if isinstance(part, int):
                    ids.append(part)
                else:
                    ids += self._library.encode(part.replace(mark, ""), add_special_tokens=False).ids
            return ids

    def decode(self, ids: Iterable[int]) -> str:
        return join(self._piece, ids) if self._of_bytes else self._library.decode(list(ids))

    def stream(self, check: Callable[[int], None], continuing: bool) -> Stream:
        if self._of_bytes or self._kind() in ("WordPiece", "Metaspace", None):
            return Stream(self._piece, check, continuing)
        return HeldStream(self.decode, check)

    @functools.cached_property
    def _finding_special(self) -> tokenizers.Tokenizer:
        # A copy, since what the library does with special tokens is a state of its tokenizers.
        copy = tokenizers.Tokenizer.from_str(self._library.to_str())
        copy.encode_special_tokens = False
        return copy

    def _kind(self) -> object:
        return self._decoder.get("type")

    @functools.cached_property
    def _decoder(self) -> dict[str, Any]:
        """The decoder's settings; empty where there is none."""
        decoder = self._library.decoder
        found: dict[str, Any] = {} if decoder is None else json.loads(decoder.__getstate__())
        return found

    @functools.cached_property
    def _of_bytes(self) -> bool:
        """Whether tokens may be parts of characters."""
        return self._kind() == "ByteLevel" or self._fallback is not None

    @functools.cached_property
    def _fallback(self) -> bool | None:
        """Whether a text's first space is no part of it, for a decoder of SentencePiece's tokens; None for others."""
        steps = [*self._decoder.get("decoders", ())]
        strip = {"type": "Strip", "content": " ", "start": 1, "stop": 0}
        strips = steps[-1:] == [strip]
        replace = {"type": "Replace", "pattern": {"String": SPACE}, "content": " "}
        known = [replace, {"type": "ByteFallback"}, {"type": "Fuse"}, *([strip] if strips else [])]
        return strips if self._kind() == "Sequence" and steps == known else None

    @functools.cached_property
    def _piece(self) -> Piece:
        if self._of_bytes:
            return self._bytes_of
        # A token's text depends on whether one goes before it, and on nothing else.
        anchor = next(
            (i for i in self._library.get_vocab().values() if i not in self._special_ids and self._library.decode([i])),
            None,
        )
        if anchor is None:
            return lambda id, begins: None
        length = len(self._library.decode([anchor]))

        def piece(id: int, begins: bool) -> bytes | None:
            if id in self._special_ids:
                return None
            return (self._library.decode([id]) if begins else self._library.decode([anchor, id])[length:]).encode()

        return piece

    def _bytes_of(self, id: int, begins: bool) -> bytes | None:
        token = self._library.id_to_token(id)
        if id in self._special_ids or token is None:
            return None
        if self._fallback is None:
            return spelled(token)
        data = byte_of(token.replace(SPACE, " "))
        return data.removeprefix(b" ") if begins and self._fallback else data


def read_library(path: Path) -> tokenizers.Tokenizer:
    """The library's tokenizer of a file. Raises `ModelFileError` for anything else (TL4402)."""
    with _faults("TL4402", f"{path} is not a tokenizer in the Hugging Face format"):
        library = tokenizers.Tokenizer.from_file(str(path))
        # A file may name special tokens that it does not define; the library notices when it adds them.
        library.post_process(library.encode("", add_special_tokens=False))
    return library


def word_pieces(vocabulary: Vocabulary) -> tokenizers.Tokenizer:
    """BERT's tokenizer for a vocabulary of the kind `bert`: `[CLS]`, the longest pieces of each word, `[SEP]`."""
    names: dict[str, int] = {}
    for id, token in enumerate(vocabulary.tokens):
        # A word's first piece is written with a space there; in WordPiece the others have the mark.
        special = vocabulary.types[id] == CONTROL or id == vocabulary.unknown_id
        name = token if special else token[1:] if token.startswith(SPACE) else f"##{token}"
        if name in names:
            message = f"tokens {names[name]} and {id} of its vocabulary are the same"
            raise ModelFileError("TL4405", f"the vocabulary of `{vocabulary.path}` is damaged: {message}")
        names[name] = id
    begin, end, unknown = vocabulary.bos_id, vocabulary.separator_id, vocabulary.unknown_id
    assert begin is not None
    assert end is not None
    assert unknown is not None
    tokens = vocabulary.tokens
    library = tokenizers.Tokenizer(
        models.WordPiece(names, unk_token=tokens[unknown], max_input_chars_per_word=_LONGEST_WORD)
    )
    library.normalizer = normalizers.BertNormalizer(
        lowercase=vocabulary.lowercase, strip_accents=vocabulary.strips_accents
    )
    library.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    library.decoder = decoders.WordPiece()
    library.add_special_tokens([tokens[i] for i in vocabulary.special_ids().values()])
    library.post_processor = processors.TemplateProcessing(
        single=[tokens[begin], "$A", tokens[end]],
        special_tokens=[(tokens[begin], begin), (tokens[end], end)],
    )
    return library


@contextmanager
def _faults(code: str, message: str) -> Iterator[None]:
    """Turns what the library raises into an error that names the file. It raises bare exceptions, and Rust panics."""
    try:
        yield
    except BaseException as fault:
        if isinstance(fault, Exception) or type(fault).__name__ == "PanicException":
            raise ModelFileError(code, f"{message}: {fault}") from fault
        raise


def excerpt(text: str) -> str:
    """Enough of a text to recognise it by, in characters that every output can write."""
    return ascii(text if len(text) <= 40 else text[:40] + "...")
