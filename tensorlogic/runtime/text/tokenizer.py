"""Tokenizers: text to token ids and back, chats to ids.

Takes the path of a `tokenizer.json`, of a folder that holds one, or of a GGUF file, whose metadata are enough; or an
open model's header.

Promises: `encode` gives the ids that the model was trained with, with the tokens that its tokenizer adds to every text.
What spells a special token is text, unless it is asked for as one, so that a text from outside controls nothing.
`max_length` cuts and keeps the tokens that are added. Encoding changes no state: threads may share a tokenizer.

Refuses, with a `TensorLogicError` that names the file: a missing library (TL4401), a file that is missing or is no
tokenizer (TL4402), a text that its vocabulary cannot write (TL4403), a kind of tokenizer that is not known (TL4404), a
damaged vocabulary (TL4405), a chat where there is no template (TL4406), or one that fails (TL4407), ids and lengths out
of bounds (TL5401), a text that is not Unicode (TL5402), messages that are none (TL5403).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tensorlogic.runtime.errors import BoundaryError, ModelFileError, TensorLogicError
from tensorlogic.runtime.formats import FileHeader, MetadataValue, read_header
from tensorlogic.runtime.formats.folder import check_inside
from tensorlogic.runtime.formats.gguf.header import decoded
from tensorlogic.runtime.formats.gguf.text import GGUF_KEY, from_text
from tensorlogic.runtime.text.chat import Chat, Message
from tensorlogic.runtime.text.settings import Settings, check_template, read_settings

if TYPE_CHECKING:
    from tensorlogic.runtime.text.coder import Coder
    from tensorlogic.runtime.text.detokenizer import Stream
    from tensorlogic.runtime.text.vocabulary import Vocabulary

FILE_NAME = "tokenizer.json"


@dataclass(frozen=True, slots=True)
class Tokenizer:
    """A loaded tokenizer. Made by `load_tokenizer`, and by a model."""

    _coder: Coder = field(repr=False)
    _path: Path
    _settings: Settings = field(repr=False)
    _chat: Chat | None = field(repr=False)

    def __str__(self) -> str:
        return f"<Tokenizer {self._path}>"

    @property
    def vocab_size(self) -> int:
        """How many ids there are, added tokens included."""
        return self._coder.vocab_size

    @property
    def bos_id(self) -> int | None:
        """The token that begins a text, where there is one."""
        return self._settings.bos_id

    @property
    def eos_ids(self) -> tuple[int, ...]:
        """All tokens that end a generation, in order: the end of a text, of a turn, of a message."""
        return self._settings.eos_ids

    @property
    def chat_template(self) -> str | None:
        """The template that writes a chat, in Jinja, where there is one."""
        return self._settings.chat_template

    def encode(self, text: str, max_length: int | None = None, special: bool = False) -> list[int]:
        """The ids of `text`, at most `max_length` of them, those counted that are added to every text.

        What spells a special token (`<|im_end|>`) is text like any other; with `special` it is that token.
        """
        added = self._coder.added
        if max_length is not None and max_length < added:
            message = f"max_length is {max_length}, but this tokenizer adds {added} special tokens to every text"
            raise BoundaryError("TL5401", message)
        check_unicode(text)
        return self._coder.encode(text, max_length, special)

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`, without special tokens. Bytes that are no UTF-8 give U+FFFD."""
        found = list(ids)
        for position, number in enumerate(found):
            if not self._coder.has(number):
                raise BoundaryError("TL5401", f"ids[{position}] is {number}, which is no id of {self._path}")
        return self._coder.decode(found)

    def stream(self, continuing: bool = False) -> Stream:
        """Turns ids into text one by one: `push(id)` gives what is certain, `end()` the rest; joined, `decode`'s text.

        With `continuing` the text goes on from another, so that a space at its beginning stays.
        """
        return self._coder.stream(self._check, continuing)

    def chat_text(self, messages: Iterable[Message], add_generation_prompt: bool = True, **variables: Any) -> str:
        """A chat as the model's template writes it.

        Messages are (role, content) pairs, or dicts as templates know them. With `add_generation_prompt` the text ends
        where the model is to answer. Further `variables` go to the template (`tools`, `enable_thinking`).
        """
        return self._required_chat().text(messages, add_generation_prompt, variables)

    def apply_chat_template(
        self, messages: Iterable[Message], add_generation_prompt: bool = True, **variables: Any
    ) -> list[int]:
        """The ids of `chat_text`. The template's special tokens are tokens; what spells one in a message is text."""
        text, mark = self._required_chat().marked_text(messages, add_generation_prompt, variables)
        check_unicode(text)
        return self._coder.encode_chat(text, mark)

    def _required_chat(self) -> Chat:
        if self._chat is None:
            message = f"{self._path} has no chat template"
            helps = ["`encode` takes a prompt that is written out"]
            raise ModelFileError("TL4406", message, helps=helps)
        return self._chat

    def _check(self, id: int) -> None:
        if not self._coder.has(id):
            raise BoundaryError("TL5401", f"{id} is no id of {self._path}")


def load_tokenizer(path: str | os.PathLike[str]) -> Tokenizer:
    """Reads a `tokenizer.json`, in a folder or by its own path, or a GGUF file's. Raises as the module says."""
    place = Path(path)
    if place.suffix == ".gguf":
        return tokenizer_of(read_header(place))
    if place.is_dir():
        check_inside(place, place / FILE_NAME)
        place /= FILE_NAME
    return _of_file(place)


def tokenizer_of(header: FileHeader) -> Tokenizer:
    """The tokenizer of an open model: from a GGUF file's metadata, else the `tokenizer.json` beside its files.

    The metadata of a GGUF file go along when it is saved as safetensors, and are asked where there is no such file.
    """
    if header.format == "gguf":
        return _of_metadata(header.path, header.metadata)
    folder = header.path if header.path.is_dir() else header.path.parent
    if not (folder / FILE_NAME).is_file():
        text = header.metadata.get(GGUF_KEY)
        if isinstance(text, str):
            return _of_metadata(header.path, decoded(from_text(header.path, text), header.path))
        raise ModelFileError("TL4402", f"there is no tokenizer in `{header.path}`, and no `{folder / FILE_NAME}`")
    check_inside(folder, folder / FILE_NAME)
    return _of_file(folder / FILE_NAME)


def _of_file(path: Path) -> Tokenizer:
    _require_library()
    from tensorlogic.runtime.text.hugging_face import LibraryCoder, read_library

    if not path.is_file():
        raise ModelFileError("TL4402", f"there is no tokenizer at {path}")
    library = read_library(path)
    coder = LibraryCoder(library, path)
    return _made(coder, path, read_settings(path.parent, library.token_to_id, coder.special))


def _of_metadata(path: Path, metadata: Mapping[str, MetadataValue]) -> Tokenizer:
    _require_library()
    from tensorlogic.runtime.text.vocabulary import read_vocabulary

    vocabulary = read_vocabulary(path, metadata)
    tokens = vocabulary.tokens
    names = {"bos_token": vocabulary.bos_id, "eos_token": vocabulary.eos_id, "unk_token": vocabulary.unknown_id}
    variables = {name: tokens[id] for name, id in names.items() if id is not None}
    template = vocabulary.chat_template
    if template is not None:
        check_template(template, path)
    settings = Settings(vocabulary.bos_id, vocabulary.end_ids, template, variables)
    return _made(_coder(vocabulary), path, settings)


def _coder(vocabulary: Vocabulary) -> Coder:
    from tensorlogic.runtime.text.bpe import Merges
    from tensorlogic.runtime.text.coder import VocabularyCoder
    from tensorlogic.runtime.text.hugging_face import LibraryCoder, word_pieces
    from tensorlogic.runtime.text.spm import SentencePieces

    if vocabulary.kind == "bert":
        return LibraryCoder(word_pieces(vocabulary), vocabulary.path)
    encode = Merges(vocabulary) if vocabulary.kind == "gpt2" else SentencePieces(vocabulary)
    # The encoder has its own of what tokens are made by.
    return VocabularyCoder(replace(vocabulary, index={}, scores=(), merges=tuple, raw=None), encode)


def _made(coder: Coder, path: Path, settings: Settings) -> Tokenizer:
    template = settings.chat_template
    chat = None if template is None else Chat(template, settings.variables, tuple(coder.special), path)
    return Tokenizer(coder, path, settings, chat)


def check_unicode(text: str) -> None:
    """Refuse a text with half a surrogate pair in it (TL5402)."""
    try:
        text.encode()
    except UnicodeEncodeError as fault:
        start = ascii(text if len(text) <= 40 else text[:40] + "...")
        raise BoundaryError("TL5402", f"the text {start} is not Unicode: {fault.reason}") from fault


def _require_library() -> None:
    try:
        import tokenizers  # noqa: F401
    except ImportError as fault:
        raise TensorLogicError(
            "TL4401",
            "reading a tokenizer needs the library `tokenizers`, which is not installed",
            helps=["pip install 'tensorlogic-mlx[text]'"],
        ) from fault
